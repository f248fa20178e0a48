package server

import (
	"context"
	"fmt"
	"time"

	"scada/acquisition"
	"scada/redundancy"
	"scada/redundancy/role"
	"scada/web/api"
)

// Weights of what can be wrong with a node. A device the other node may reach weighs little; a node that cannot record
// should not be the active one.
const (
	weightHistory  = 50
	weightJournal  = 50
	weightResource = 50
	weightDevice   = 1
	weightClock    = 10
)

const (
	healthEvery  = 200 * time.Millisecond
	maxClockSkew = time.Second
)

// watchHealth keeps the health the heartbeat carries up to date.
func (s *Server) watchHealth(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		s.health.Store(s.assess())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Server) assess() *redundancy.Health {
	h := &redundancy.Health{Areas: map[string]redundancy.AreaHealth{}}
	fault := func(weight int, format string, args ...any) {
		h.Score += weight
		h.Reasons = append(h.Reasons, fmt.Sprintf(format, args...))
	}
	if err := s.store.Health(); err != nil {
		fault(weightHistory, "the history is not recorded: %s", err)
	}
	for _, why := range s.linkProblems() {
		fault(weightCertificate, "%s", why)
	}
	st := s.pair.Status()
	if skew := st.Peer.ClockOffset.Abs(); st.Peer.Reachable && skew > maxClockSkew {
		fault(weightClock, "the clocks of the nodes differ by %s", skew.Round(time.Millisecond))
	}
	for _, name := range s.areaNames {
		a := s.areas[name]
		if a.commit.broken() {
			fault(weightJournal, "the journal of area %s cannot be written", name)
		}
		for _, why := range a.resources.Faults() {
			fault(weightResource, "area %s: %s", name, why)
		}
		ah, progress := a.health()
		h.Areas[name] = ah
		h.Progress = append(h.Progress, progress)
		if missing := ah.Devices - ah.Reachable; missing > 0 && a.isActive() {
			fault(missing*weightDevice, "%d of %d devices of area %s do not answer", missing, ah.Devices, name)
		}
	}
	h.NotReady = s.notReady(h)
	return h
}

// notReady says why this node could not take over well, beyond what the pair sees for itself (paths, mirror).
func (s *Server) notReady(h *redundancy.Health) []string {
	var why []string
	if h.Score >= weightJournal {
		why = append(why, h.Reasons...)
	}
	if left := s.backfill().Remaining; left > 0 {
		why = append(why, fmt.Sprintf("%d windows of history are still to be copied", left))
	}
	for _, name := range s.areaNames {
		if s.areas[name].commit.slow() {
			why = append(why, "the standby does not store the alarms of area "+name+" in time")
		}
		for _, device := range s.areas[name].lostDevices() {
			why = append(why, "device "+device+" cannot be reached from here")
		}
	}
	return append(why, s.mirrorProblems()...)
}

// health is what the heartbeat tells of the area.
func (a *area) health() (redundancy.AreaHealth, redundancy.Progress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ah := redundancy.AreaHealth{Devices: len(a.group.Devices()), Commands: a.writes}
	p := redundancy.Progress{Name: "samples/" + a.name, Counter: a.samples}
	if !a.lastAt.IsZero() {
		p.Age = time.Since(a.lastAt)
	}
	if !a.active {
		ah.Reachable = ah.Devices - len(a.unreachable) // only devices with a probe are asked
		return ah, p
	}
	for _, d := range a.group.Status() {
		if d.State == acquisition.Good || d.State == acquisition.Suspect {
			ah.Reachable++
		}
	}
	return ah, p
}

func (a *area) isActive() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.active
}

func (s *Server) mirrorProblem(area, why string) {
	s.problemMu.Lock()
	defer s.problemMu.Unlock()
	if why == "" {
		delete(s.problems, area)
		return
	}
	s.problems[area] = why
}

func (s *Server) mirrorProblems() []string {
	s.problemMu.Lock()
	defer s.problemMu.Unlock()
	var out []string
	for _, name := range s.areaNames {
		if why := s.problems[name]; why != "" {
			out = append(out, why)
		}
	}
	return out
}

// backfill is how much of the past is still to be exchanged with the other node.
func (s *Server) backfill() api.Backfill {
	var b api.Backfill
	for _, h := range s.healers {
		b.Remaining += h.left.Load()
		if at := h.checked.Load(); at != nil && (b.VerifiedAt == nil || at.Before(*b.VerifiedAt)) {
			utc := at.UTC()
			b.VerifiedAt = &utc
		}
	}
	return b
}

// The service levels of OPC UA (Part 4, 6.6.2): clients go to the highest and never leave a server at 200 or more.
const (
	levelMaintenance  = 0
	levelNoData       = 1
	levelNotReady     = 100
	levelReadyStandby = 199
	levelActiveLeast  = 200
	levelActive       = 255
)

// serviceLevel is how well this node serves OPC UA clients; the worst area decides.
func (s *Server) serviceLevel() byte {
	st := s.pair.Status()
	level := levelActive
	for _, a := range st.Areas {
		own := levelNoData
		switch a.Role {
		case role.Active:
			own = max(levelActive-st.Health.Score, levelActiveLeast)
			if a.Switching != "" {
				own = levelReadyStandby - 1 // about to leave: clients that follow the standard go first
			}
		case role.Standby:
			own = levelNotReady
			if a.Mirror.Connected && len(st.NotReady) == 0 {
				own = levelReadyStandby
			}
		case role.Maintenance:
			own = levelMaintenance
		case role.Starting, role.Isolated:
		}
		level = min(level, own)
	}
	return byte(level)
}
