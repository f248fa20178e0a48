package server

import (
	"reflect"
	"slices"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/alarms"
	"scada/cmd/internal/config"
	"scada/web"
)

// generation is one revision of what a running node can change: devices, tags, alarms, history settings. The numbers of
// tags are those of its configuration; a number of another generation means another tag. It does not change: a new
// revision is a new generation, and whoever does two things with one number does both with one generation.
type generation struct {
	cfg      *config.Config
	live     *live.Table
	plant    *web.Plant
	drivers  map[string]string // device -> driver
	alarmsOf map[string]string // condition -> area
	plans    map[string]*areaPlan
}

// areaPlan is what a generation says of an area.
type areaPlan struct {
	own       []tag.Definition
	ids       []tag.ID // of own
	inputs    []tag.ID // those that alarms use
	alarms    alarms.Config
	engine    *alarms.Engine  // fresh, for a node that starts
	weights   map[string]int  // of the devices
	polled    map[string]bool // devices that are asked again and again, and do not only tell changes
	permitted map[string]bool // devices a standby may look at
	pulse     time.Duration   // the shortest period of that, 0 when there is none
	beats     map[tag.ID]bool // tags of those: their samples show that the engine is at work
}

// newGeneration makes a generation of a configuration. The table of the one before is used again when the tags are the
// same.
func newGeneration(cfg *config.Config, before *generation) (*generation, error) {
	g := &generation{cfg: cfg, drivers: map[string]string{}, alarmsOf: map[string]string{}, plans: map[string]*areaPlan{}}
	if before != nil && !retagged(before.cfg, cfg) {
		g.live = before.live
	} else {
		g.live = live.New(len(cfg.Tags))
	}
	g.plant = &web.Plant{Tags: cfg.Tags, Live: g.live, Pages: pages(cfg), Texts: cfg.Texts}
	for _, d := range cfg.Devices {
		g.drivers[d.Name] = d.Driver
	}
	for _, a := range cfg.Areas {
		p, err := g.plan(a.Name)
		if err != nil {
			return nil, err
		}
		g.plans[a.Name] = p
		for _, c := range p.engine.Conditions(alarms.Filter{}) {
			g.alarmsOf[c.ID] = a.Name
		}
	}
	return g, nil
}

// retagged reports whether the tags of two configurations differ: then their numbers mean something else.
func retagged(from, to *config.Config) bool { return !reflect.DeepEqual(from.Tags, to.Tags) }

func (g *generation) plan(area string) (*areaPlan, error) {
	p := &areaPlan{weights: map[string]int{}, polled: map[string]bool{}, permitted: map[string]bool{}, beats: map[tag.ID]bool{}}
	p.alarms = g.cfg.Alarms
	p.alarms.Alarms = nil
	for _, d := range g.cfg.Devices {
		p.permitted[d.Name] = d.Probe != "none" && !serial(d)
		p.weights[d.Name] = d.Weight
		p.polled[d.Name] = d.Modbus != nil
	}
	for _, t := range g.cfg.Tags {
		if t.Area != area {
			continue
		}
		p.own = append(p.own, t)
		p.ids = append(p.ids, t.ID)
		if !p.polled[t.Device] {
			continue
		}
		p.beats[t.ID] = true
		if p.pulse == 0 || t.ScanPeriod < p.pulse {
			p.pulse = t.ScanPeriod
		}
	}
	for _, def := range g.cfg.Alarms.Alarms {
		if def.Area == area {
			p.alarms.Alarms = append(p.alarms.Alarms, def)
			p.inputs = append(p.inputs, g.inputsOf(def)...)
		}
	}
	slices.Sort(p.inputs)
	p.inputs = slices.Compact(p.inputs)
	var err error
	p.engine, err = alarms.New(p.alarms, g.cfg.Lookup)
	return p, err
}

// inputsOf returns the tags an alarm is judged on.
func (g *generation) inputsOf(def alarms.Definition) []tag.ID {
	names := append([]string{def.Tag, def.Setpoint, def.Target, def.SuppressTag}, def.Tags...)
	for _, l := range def.Limits {
		names = append(names, l.Tag)
	}
	var ids []tag.ID
	for _, name := range names {
		if id, ok := g.cfg.Lookup(name); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// definition returns a tag by name.
func (g *generation) definition(name string) (tag.Definition, bool) {
	id, ok := g.cfg.Lookup(name)
	if !ok {
		return tag.Definition{}, false
	}
	return g.cfg.Tags[id], true
}

// last returns the latest sample of a tag by name.
func (g *generation) last(name string) tag.Sample {
	id, ok := g.cfg.Lookup(name)
	if !ok {
		return tag.Sample{Quality: tag.BadConfigurationError}
	}
	return g.live.Get(id)
}

// renumber returns what the tags of one configuration are in another: by old number, and only those that are the same.
func renumber(from, to *config.Config, same func(x, y tag.Definition) bool) map[tag.ID]tag.ID {
	m := make(map[tag.ID]tag.ID, len(from.Tags))
	for _, t := range from.Tags {
		if id, ok := to.Lookup(t.Name); ok && same(t, to.Tags[id]) {
			m[t.ID] = id
		}
	}
	return m
}

// translate gives samples the numbers of another generation and leaves out those of tags it does not have.
func translate(batch []tag.Update, ids map[tag.ID]tag.ID) []tag.Update {
	if ids == nil {
		return batch
	}
	out := make([]tag.Update, 0, len(batch))
	for _, u := range batch {
		if id, ok := ids[u.Tag]; ok {
			u.Tag = id
			out = append(out, u)
		}
	}
	return out
}
