package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"scada/acquisition"
	"scada/cmd/internal/config"
	"scada/redundancy"
	"scada/redundancy/role"
)

// reach is which devices of an area this node reaches: by polling as the active, by its looks as the standby.
type reach struct {
	active   bool
	devices  int // of the area
	pulse    time.Duration
	polled   int      // the active: devices that are polled and answer at present
	commands int      // device writes under way
	silent   []string // the active: do not
	lost     int      // weight of those not reached, of the ones a standby looks at
	watched  int      // weight of those of which this node knows
	seen     int      // weight of those that it is known to reach
	unseen   bool     // the standby: has not looked at all of them yet
	missed   []string // the standby: could not be reached, and the active reaches them
	failed   []string // the standby: could not be reached
}

// newLookout returns what looks at the area's devices from the standby.
func (s *Server) newLookout(a *area, sources []acquisition.Source) *lookout {
	return &lookout{
		area: a.name, log: s.log, active: a.isActive, sights: map[string]sight{}, look: func(ctx context.Context, device string) error { return a.group.Probe(ctx, device) },
		lanes: lanes(sources, a.permitted), changed: make(chan struct{}, 1),
	}
}

// serial reports whether a device is on a serial line: that has one master.
func serial(d config.Device) bool {
	return d.Modbus != nil && len(d.Modbus.Endpoints) > 0 && strings.HasPrefix(d.Modbus.Endpoints[0], "rtu:")
}

// answers reports whether a device answers, by its state on the active. One request without an answer is no loss yet.
func answers(s acquisition.State) bool { return s == acquisition.Good || s == acquisition.Suspect }

// reach collects what this node knows of the area's devices.
func (a *area) reach() reach {
	r := reach{devices: len(a.group.Devices())}
	a.mu.Lock()
	plan := a.areaPlan
	r.active, r.commands, r.pulse = a.active, a.writes, plan.pulse
	a.mu.Unlock()
	probed := a.lookout.probed()
	there := map[string]bool{} // what answers the active
	for _, d := range a.status() {
		there[d.Device] = answers(d.State)
		switch {
		case !r.active:
		case !there[d.Device]:
			r.silent = append(r.silent, d.Device)
		case plan.polled[d.Device]:
			r.polled++
		}
	}
	for _, device := range probed {
		r.count(device, plan.weights[device], a.lookout.sight(device), there)
	}
	slices.Sort(r.missed)
	return r
}

// count takes in a device that the standby looks at. Of one that a standby knows nothing of, or nothing new, it is taken to
// reach what the active reaches, as far as that has said: nothing follows from what nobody knows.
func (r *reach) count(device string, weight int, s sight, there map[string]bool) {
	here, told := there[device]
	known := r.active || s == reached || s == failed
	switch {
	case r.active:
	case known:
		here = s == reached
	default:
		here = here || !told
		r.unseen = r.unseen || s == unseen
	}
	if known {
		r.watched += weight
	}
	if here {
		if known {
			r.seen += weight
		}
		return
	}
	r.lost += weight
	if !r.active && known {
		r.failed = append(r.failed, device)
		if there[device] {
			r.missed = append(r.missed, device)
		}
	}
}

// health is what the heartbeat tells of it. A node that reaches nothing it knows of is worse by the margin than one
// that reaches something, however few devices there are.
func (r reach) health(margin int) redundancy.AreaHealth {
	h := redundancy.AreaHealth{Devices: r.devices, Reachable: r.devices - len(r.silent) - len(r.failed), Lost: r.lost, Commands: r.commands}
	if r.seen == 0 && r.watched > 0 && margin != role.NoHealthSwitch {
		h.Lost = max(r.lost, margin)
	}
	return h
}

// namedDevices is how many devices a text names.
const namedDevices = 5

// text says which devices are lost, or "".
func (r reach) text(area string) string {
	list, what := r.silent, "do not answer"
	if !r.active {
		list, what = r.failed, "cannot be reached from here"
	}
	if len(list) == 0 {
		return ""
	}
	names := strings.Join(list[:min(len(list), namedDevices)], ", ")
	if len(list) > namedDevices {
		names += ", …"
	}
	return fmt.Sprintf("%d of %d devices of area %s %s: %s", len(list), r.devices, area, what, names)
}

// totalScore is the score with the devices: what is shown of a node.
func totalScore(h redundancy.Health) int {
	sum := h.Score
	for _, a := range h.Areas {
		sum += a.Lost
	}
	return sum
}

// progress is how far the area has come with its samples.
func (a *area) progress() redundancy.Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := redundancy.Progress{Name: "samples/" + a.name, Counter: a.samples}
	if !a.lastAt.IsZero() {
		p.Age = time.Since(a.lastAt)
	}
	return p
}
