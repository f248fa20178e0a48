package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
	"scada/web/api"
)

// Weights of what can be wrong with a node; the devices have their own. A node that cannot record should not be the active
// one. What is less than the default margin of 20 is shown and moves nothing by itself.
const (
	weightStuck    = 100
	weightHistory  = 50
	weightJournal  = 50
	weightResource = 50
	weightNetwork  = 30
	weightClock    = 10
	weightLate     = 10
	weightDiverged = 10
)

const (
	healthEvery  = 200 * time.Millisecond
	maxClockSkew = time.Second
	// stuckAfter is how long an engine may stand still that has something to do.
	stuckAfter = 5 * time.Second
)

// watchHealth keeps the health the heartbeat carries up to date.
func (s *Server) watchHealth(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for told := 0; ; {
		s.health.Store(&assessment{health: *s.assess(), at: time.Now()})
		told = s.tellDropped(told)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// assessment is how the node found itself, and when.
type assessment struct {
	health redundancy.Health
	at     time.Time
}

// present is the health as the heartbeat carries it. One that is old says that whoever assesses the node is stuck himself,
// in a lock or on a disk: then nothing else it says counts.
func (a *assessment) present(now time.Time) redundancy.Health {
	h := a.health
	if age := now.Sub(a.at); age > stuckAfter {
		h.Score += weightStuck
		h.Reasons = append(slices.Clone(h.Reasons), fmt.Sprintf("the node has not looked at itself for %s", age.Round(time.Second)))
		h.NotReady = append(slices.Clone(h.NotReady), "the node is stuck")
	}
	return h
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
	if damaged, mended := s.store.Damaged(); damaged > 0 || mended > 0 {
		fault(0, "the disk of the history should be looked at: %d damaged blocks were found, %d records of its journal put right", damaged, mended)
	}
	s.droppedFault(fault)
	for _, why := range s.divergences() {
		fault(weightDiverged, "%s", why)
	}
	for _, why := range s.proofs.faults() {
		fault(weightTampered, "%s", why)
	}
	for _, why := range s.webProblems() {
		fault(weightCertificate, "%s", why)
	}
	for _, why := range s.linkProblems() {
		fault(weightCertificate, "%s", why)
	}
	s.exportFaults(fault)
	st := s.pair.Status()
	if skew := st.Peer.ClockOffset.Abs(); st.Peer.Reachable && skew > maxClockSkew {
		fault(weightClock, "the clocks of the nodes differ by %s", skew.Round(time.Millisecond))
	}
	for _, why := range s.network.faults() {
		fault(weightNetwork, "%s", why)
	}
	if late := s.late.worst(time.Now()); late > s.late.limit {
		fault(weightLate, "programs get their turn up to %s late", late.Round(10*time.Millisecond))
	}
	for _, name := range s.areaNames {
		a := s.areas[name]
		if a.commit.broken() {
			fault(weightJournal, "the journal of area %s cannot be written", name)
		}
		for _, why := range a.resources.Faults() {
			fault(weightResource, "area %s: %s", name, why)
		}
		reach, progress := a.reach(), a.progress()
		h.Areas[name] = reach.health(s.cfg.Redundancy.HealthMargin)
		h.Progress = append(h.Progress, progress)
		if why := a.stuck(reach, progress); why != "" {
			fault(weightStuck, "%s", why)
		}
		if why := reach.text(name); why != "" {
			h.Reasons = append(h.Reasons, why)
		}
	}
	h.NotReady = s.notReady(h)
	return h
}

// stuck says that the engine of the area stands still although it has something to do.
func (a *area) stuck(reach reach, progress redundancy.Progress) string {
	if reach.active && reach.polled > 0 && reach.pulse > 0 && progress.Age > max(stuckAfter, 3*reach.pulse) {
		return fmt.Sprintf("area %s has taken no sample for %s although devices answer", a.name, progress.Age.Round(time.Second))
	}
	return ""
}

// presentHealth is what the heartbeat tells: the last assessment, and what must not be as old as that. A node that has
// just taken a snapshot would be called ready before it has compared the past with the active's.
func (s *Server) presentHealth() redundancy.Health {
	h := s.health.Load().present(time.Now())
	if left := s.backfill().Remaining; left > 0 {
		h.NotReady = append(slices.Clone(h.NotReady), fmt.Sprintf("%d windows of history are still to be copied", left))
	}
	return h
}

// notReady says why this node could not take over well, beyond what the pair sees for itself (paths, mirror).
func (s *Server) notReady(h *redundancy.Health) []string {
	var why []string
	if h.Score >= weightJournal {
		why = append(why, h.Reasons...)
	}
	for _, name := range s.areaNames {
		if s.areas[name].commit.slow() {
			why = append(why, "the standby does not store the alarms of area "+name+" in time")
		}
		reach := s.areas[name].reach()
		for _, device := range reach.missed {
			why = append(why, "device "+device+" cannot be reached from here")
		}
		if reach.unseen {
			why = append(why, "the devices of area "+name+" have not been looked at yet")
		}
		why = append(why, s.areas[name].apps.problems()...)
	}
	why = append(why, s.conf.problems()...)
	return append(why, s.mirrorProblems()...)
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
			own = max(levelActive-totalScore(st.Health), levelActiveLeast)
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
