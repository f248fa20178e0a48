//go:build e2e && linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"scada/web/api"
)

// fault is one thing that can go wrong, with what the pair is expected to do about it.
type fault struct {
	name string
	// apply does it to the active node and returns how to undo it.
	apply func(r *labRig, active string) (heal func() error, err error)
	// lasts is how long it lasts at least; 0 lasts until what is watched for has happened.
	lasts time.Duration
	// switches says whether the other node must become active.
	switches func(take time.Duration) bool
	// watch waits for what an operator sees first and returns it; nil waits for the record of the switch-over.
	watch func(r *labRig, active string) (string, error)
	// bothAct: the nodes cannot know of each other, so both read the devices until it is over.
	bothAct bool
	// blind: the devices cannot be read, so alarms that come and go meanwhile cannot be known.
	blind bool
	lab   labOptions
	// askew: the wall clock of a node is not that of the test.
	askew bool
}

func always(time.Duration) bool { return true }
func never(time.Duration) bool  { return false }

func pathFault(path string) fault {
	return fault{
		name: "one path cut: " + path, switches: never, lasts: 500 * time.Millisecond,
		apply: func(r *labRig, active string) (func() error, error) {
			return func() error { return r.lab.cable(active, true, path) }, r.lab.cable(active, false, path)
		},
		watch: func(r *labRig, active string) (string, error) {
			return "path shown down by both nodes", r.until(func() error {
				for _, node := range []string{active, other(active)} {
					n, _, err := r.self(node)
					if err != nil {
						return err
					}
					for _, p := range n.Paths {
						if p.Up == (p.Name == path) {
							return fmt.Errorf("%s shows path %s up %v", node, p.Name, p.Up)
						}
					}
				}
				return nil
			})
		},
	}
}

func stopFault(name string, lasts time.Duration) fault {
	return fault{
		name: name, lasts: lasts, switches: func(take time.Duration) bool { return take < lasts },
		apply: func(r *labRig, active string) (func() error, error) {
			p := r.procs[active].Process
			return func() error { return p.Signal(syscall.SIGCONT) }, p.Signal(syscall.SIGSTOP)
		},
	}
}

func deafFault(name string, deaf func(active string) string) fault {
	return fault{
		name: name, switches: always, lasts: time.Second, bothAct: true,
		apply: func(r *labRig, active string) (func() error, error) {
			who := deaf(active)
			return func() error { return r.lab.undeafen(who) }, r.lab.deafen(who)
		},
	}
}

func killed(r *labRig, active string) (func() error, error) {
	r.signal(active, syscall.SIGKILL)
	return func() error { r.startNode(active); return nil }, nil
}

func powerOff(r *labRig, active string) (func() error, error) {
	if err := r.lab.cable(active, false, networks...); err != nil { // first: no goodbye of the kernel gets out
		return nil, err
	}
	r.signal(active, syscall.SIGKILL)
	return func() error {
		err := r.lab.cable(active, true, networks...)
		r.startNode(active)
		return err
	}, nil
}

func bothCut(r *labRig, active string) (func() error, error) {
	return func() error { return r.lab.cable(active, true, lan, ded) }, r.lab.cable(active, false, lan, ded)
}

// faults is the campaign.
func faults() []fault {
	return append([]fault{
		{name: "kill -9", switches: always, apply: killed},
		{name: "power off", switches: always, apply: powerOff},
		stopFault("SIGSTOP 2 s", 2*time.Second),
		stopFault("SIGSTOP 10 s", 10*time.Second),
		stopFault("SIGSTOP 30 s", 30*time.Second),
		{name: "both paths cut", switches: always, lasts: time.Second, bothAct: true, apply: bothCut},
		deafFault("one way: active to standby lost", other),
		deafFault("one way: standby to active lost", func(active string) string { return active }),
		pathFault(lan),
		pathFault(ded),
		{name: "field network of the active", switches: never, lasts: time.Second, blind: true, watch: fieldLost,
			apply: func(r *labRig, active string) (func() error, error) {
				return func() error { return r.lab.cable(active, true, field) }, r.lab.cable(active, false, field)
			}},
		{name: "client network of the active", switches: never, lasts: 500 * time.Millisecond, watch: clientLost,
			apply: func(r *labRig, active string) (func() error, error) {
				return func() error { return r.lab.cable(active, true, client) }, r.lab.cable(active, false, client)
			}},
		{name: "disk of the active full", switches: never, lasts: time.Second, lab: labOptions{smallDisks: true}, watch: diskFull,
			apply: func(r *labRig, active string) (func() error, error) { return r.fill(active) }},
	}, variants()...)
}

const watchWithin = 20 * time.Second

var errNotSeen = errors.New("not seen")

// until polls a condition of what operators see.
func (r *labRig) until(check func() error) error {
	deadline := time.Now().Add(watchWithin)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w within %s: %w", errNotSeen, watchWithin, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// fieldLost waits until no fast value of the active is good.
func fieldLost(r *labRig, active string) (string, error) {
	return "no fast value is good", r.until(func() error {
		if good, err := r.goodDevices(active); err != nil || good > 0 {
			return fmt.Errorf("%d devices have good values (%w)", good, errors.Join(err, errNotSeen))
		}
		return nil
	})
}

// goodDevices counts the devices with a fast value that is good. Asking for all values in a loop would take the node's time.
func (r *labRig) goodDevices(node string) (int, error) {
	var tags api.Tags
	time.Sleep(25 * time.Millisecond)
	if err := r.call(node, http.MethodGet, "/api/v1/tags?limit=1000", nil, &tags); err != nil {
		return 0, err
	}
	good := map[string]bool{}
	for _, tag := range tags.Tags {
		if tag.ScanMs == 100 && tag.Quality == "Good" {
			good[tag.Device] = true
		}
	}
	return len(good), nil
}

// clientLost asks both nodes from where the clients are.
func clientLost(r *labRig, active string) (string, error) {
	addresses := map[string]string{"a": prefixes[client] + "1:8081", "b": prefixes[client] + "2:8082"}
	reach := func(node string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		c, err := r.lab.spaces["client"].dial(ctx, addresses[node])
		if err != nil {
			return err
		}
		return c.Close()
	}
	if err := reach(active); err == nil {
		return "", fmt.Errorf("clients still reach %s", active)
	}
	if err := reach(other(active)); err != nil {
		return "", fmt.Errorf("clients do not reach %s either: %w", other(active), err)
	}
	return "clients reach the standby only", nil
}

// diskFull waits until the node says that it is not well, or is not active any more.
func diskFull(r *labRig, active string) (string, error) {
	seen := "the node says it cannot record"
	return seen, r.until(func() error {
		n, _, err := r.self(active)
		if err != nil {
			return err
		}
		if n.Score == 0 && n.Ready {
			return errNotSeen
		}
		return nil
	})
}
