package server

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"scada/acquisition"
	"scada/acquisition/tag"
	"scada/alarms/notify/send"
	"scada/cmd/internal/config"
	"scada/history"
	"scada/redundancy"
)

// change is a new generation beside the present one, with everything made that can fail.
type change struct {
	before, gen *generation
	diff        config.Diff
	areas       map[string]*areaChange
}

// areaChange is what a change does to the sources of an area.
type areaChange struct {
	leave, enter []acquisition.Source
	stay         []acquisition.Source
	senders      map[string]send.Sender // of receivers of notifications that are new or different
}

// errNeedsRestart is why a configuration cannot be taken over while the node runs.
var errNeedsRestart = errors.New("needs a restart of each node")

// prepare makes a generation of a configuration. It changes nothing and touches no device.
func (s *Server) prepare(cfg *config.Config) (*change, error) {
	before := s.now()
	ch := &change{before: before, diff: config.Compare(before.cfg, cfg), areas: map[string]*areaChange{}}
	if len(ch.diff.Restart) > 0 {
		return nil, fmt.Errorf("%w: %s changed", errNeedsRestart, strings.Join(ch.diff.Restart, ", "))
	}
	if err := checkDeclared(cfg); err != nil {
		return nil, err
	}
	var err error
	if ch.gen, err = newGeneration(cfg, before); err != nil {
		return nil, err
	}
	for _, name := range s.areaNames {
		if ch.areas[name], err = s.prepareArea(s.areas[name], before, ch.gen); err != nil {
			return nil, fmt.Errorf("area %s: %w", name, err)
		}
	}
	return ch, nil
}

// prepareArea decides which sources stay: those whose channel is configured as before. What reads the table of values by
// number (calculated tags) cannot outlive a change of the tags.
func (s *Server) prepareArea(a *area, before, g *generation) (*areaChange, error) {
	ac := &areaChange{}
	var err error
	if ac.senders, err = a.notify.prepare(g.cfg.Notify); err != nil {
		return nil, err
	}
	have := map[string]*feed{}
	for _, src := range a.group.Sources() {
		if f, ok := src.(*feed); ok {
			have[f.key] = f
		}
	}
	renew := retagged(before.cfg, g.cfg)
	for _, c := range g.cfg.Channels(a.name) {
		if old := have[c.Key]; old != nil && old.print == c.Print && !(old.bound && renew) {
			delete(have, c.Key)
			ac.stay = append(ac.stay, old)
			continue
		}
		f, err := s.buildFeed(a, g, c)
		if err != nil {
			return nil, err
		}
		ac.enter = append(ac.enter, f)
	}
	for _, f := range have {
		ac.leave = append(ac.leave, f)
	}
	return ac, nil
}

// adopt takes a prepared generation over. What leaves has ended before the exchange, what enters begins after it, and the
// rest is polled all the time. told is the area whose stream said so, "" for none. On an error nothing has changed.
func (s *Server) adopt(ch *change, told string) error {
	for name, ac := range ch.areas {
		s.areas[name].group.Remove(ac.leave...)
	}
	err := s.swap(ch, told)
	for name, ac := range ch.areas {
		a, enter := s.areas[name], ac.enter
		if err != nil {
			enter = ac.leave
		}
		if failed := a.group.Add(enter...); failed != nil {
			s.log.Error("Devices of a changed configuration are not polled", "area", name, "error", failed) // two sources of one name: the configuration cannot say that
		}
		var anew []string
		for _, src := range enter {
			anew = append(anew, src.Devices()...)
		}
		a.lookout.change(lanes(a.group.Sources(), s.now().plans[name].permitted), anew)
	}
	if err != nil {
		return err
	}
	if ch.diff.People() {
		s.people.revise(ch.gen.cfg)
	}
	s.exporter().follow(ch.gen.cfg)
	s.pair.SetDigest(ch.gen.cfg.Digest)
	s.reviseUA()
	return nil
}

// swap replaces the generation in one moment for all areas: with all their mutexes held.
func (s *Server) swap(ch *change, told string) error {
	for _, name := range s.areaNames {
		s.areas[name].mu.Lock()
		defer s.areas[name].mu.Unlock()
	}
	from, to := ch.before.cfg, ch.gen.cfg
	renew := retagged(from, to)
	if renew {
		if err := s.store.SetTags(recordAll(to.Tags)); err != nil {
			return fmt.Errorf("the tags of the history: %w", err)
		}
		same := func(x, y tag.Definition) bool {
			return alike(x, y) && x.Device == y.Device && x.Address == y.Address && x.Scale == y.Scale
		}
		present, _ := ch.before.live.Since(nil, 0, 0)
		batch := make([]tag.Update, len(present))
		for i, c := range present {
			batch[i] = c.Update
		}
		ch.gen.live.Apply(translate(batch, renumber(from, to, same)))
	}
	s.gen.Store(ch.gen)
	for _, name := range s.areaNames {
		a := s.areas[name]
		if renew {
			a.renumber(renumber(from, to, alike), ch.gen, name == told)
			a.proof = s.newProof(a)
		}
		a.swap(ch.gen, slices.Concat(ch.areas[name].stay, ch.areas[name].enter))
		if !reflect.DeepEqual(from.Notify, to.Notify) {
			a.notify.adopt(to.Notify, ch.areas[name].senders)
		}
	}
	s.store.SetLimits(limitsOf(to.History))
	return nil
}

// limitsOf are those of the history in a configuration.
func limitsOf(h config.History) history.Limits {
	return history.Limits{Retention: h.Raw, Hourly: h.Hourly, MaxDisk: h.MaxDisk}
}

// alike reports whether a sample of one tag can be one of the other.
func alike(x, y tag.Definition) bool { return x.Type == y.Type }

// renumber follows the tags to their new numbers. The caller holds the mutex.
func (a *area) renumber(ids map[tag.ID]tag.ID, g *generation, current bool) {
	a.keep = a.keep.renumber(g.cfg.Tags, ids)
	for _, src := range a.group.Sources() {
		if f, ok := src.(*feed); ok {
			f.moved(g.cfg)
		}
	}
	a.areaPlan = g.plans[a.name]
	switch {
	case a.active || current:
		a.from = nil
	case a.from == nil:
		a.from = ids
	default:
		further := map[tag.ID]tag.ID{}
		for old, id := range a.from {
			if next, ok := ids[id]; ok {
				further[old] = next
			}
		}
		a.from = further
	}
}

// swap takes over what a generation says of the area. The caller holds the mutex. The state of the alarms survives by
// name: the active judges it anew and tells the standby the outcome.
func (a *area) swap(g *generation, sources []acquisition.Source) {
	plan := g.plans[a.name]
	plan.engine = nil // it was made to see that it can be
	a.areaPlan, a.live, a.digest, a.flood = plan, g.live, g.cfg.Digest, plan.alarms.Flood
	if err := a.apps.adoptFeeds(sources, g); err != nil {
		a.log.Error("Applications of a changed configuration cannot be stored", "area", a.name, "error", err)
	}
	a.changed++
	if !a.active {
		if err := a.engine.Follow(plan.alarms, g.cfg.Lookup); err != nil {
			a.log.Error("Alarms of a changed configuration are not followed", "area", a.name, "error", err)
		}
		return
	}
	last := func(id tag.ID) (tag.Sample, bool) { return g.live.Get(id), true }
	out, err := a.engine.Reload(now(), plan.alarms, g.cfg.Lookup, last)
	if err != nil {
		a.log.Error("Alarms of a changed configuration are not evaluated", "area", a.name, "error", err)
	}
	a.emit([]redundancy.Record{jsonRecord(kindRevision, header{Digest: a.digest})}, &out)
	a.nudge()
}

// renumber returns a keeper for other tags that goes on where this one is.
func (k *keeper) renumber(defs []tag.Definition, ids map[tag.ID]tag.ID) *keeper {
	next := newKeeper(defs)
	for old, id := range ids {
		next.last[id] = k.last[old]
	}
	return next
}

// epoch is the newest of all areas, as this node knows them.
func (s *Server) epoch() (newest uint64) {
	for _, name := range s.areaNames {
		a := s.areas[name]
		a.mu.Lock()
		newest = max(newest, a.epoch)
		a.mu.Unlock()
	}
	return newest
}

// reviseUA tells OPC UA clients what has changed.
func (s *Server) reviseUA() {
	ua := s.ua.Load()
	if ua == nil {
		return
	}
	if _, err := ua.Revise(); err != nil {
		s.log.Error("OPC UA clients do not see the changed configuration", "error", err)
	}
}
