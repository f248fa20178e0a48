package alarms

import (
	"fmt"
	"slices"

	"scada/acquisition/tag"
)

// TagLookup returns the id of a tag; false means there is no such tag.
type TagLookup func(name string) (tag.ID, bool)

// Engine holds the conditions of one area. Its calls must not overlap; `now` must not decrease.
type Engine struct {
	term       uint64
	graceUntil int64
	cfg        Config

	tags   []*follow
	byID   []int32 // tag.ID -> index in tags, -1 for tags no alarm uses
	byName map[string]*follow

	conds   []*condition // in the order of the configuration
	byCond  map[string]*condition
	queue   timers
	orphans []ConditionImage // restored conditions the configuration does not have: closed at the next take-over
	flood   FloodImage

	// What the present call did so far.
	mark      *Mark
	events    []Event
	lastAt    int64 // time and number of the last event
	lastOrder uint16
	until     int64 // up to when timers are being fired
	touched   []*condition
	touchTags []*follow
	release   []*condition // suppression may end when the present instant is complete

	floodTouched bool // the image of the flood changed in this call
}

// follow is a tag that alarms use.
type follow struct {
	TagImage
	id         tag.ID
	conds      []*condition // judged on it and held without it, parents first
	feeds      []*condition // use it as a limit
	suppresses []*condition
	dirty      bool
	prevAt     int64 // roc: the reference before the present sample; 0 when the sample gives no rate
	prevV      float64
}

// condition is a condition with its configuration and its place in the indexes.
type condition struct {
	ConditionImage
	def      *Definition
	index    int
	limits   []limit // parallel to ConditionImage.Limits
	main     *follow
	second   *follow   // setpoint or target
	all      []*follow // bad_quality: every tag
	supTag   *follow
	parents  []*condition
	children []*condition
	group    *[]*condition // first-out
	due      int64         // 0: not in the queue
	heapAt   int
	dirty    bool
}

// limit is the configuration of one limit.
type limit struct {
	level    Level
	value    float64
	from     *follow // the tag that gives the value
	deadband float64
	on, off  int64
	strict   bool
	priority Priority
}

// New returns an engine in term 1 with every condition normal. The configuration must be valid and all its tags known.
func New(cfg Config, tags TagLookup) (*Engine, error) {
	e := &Engine{term: 1}
	if err := e.build(cfg, tags); err != nil {
		return nil, err
	}
	return e, nil
}

// Term returns the term events are recorded under.
func (e *Engine) Term() uint64 { return e.term }

// build replaces the configuration; every condition and tag starts fresh.
func (e *Engine) build(cfg Config, tags TagLookup) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("alarm configuration: %w", err)
	}
	n := Engine{cfg: cfg, byName: map[string]*follow{}, byCond: map[string]*condition{}}
	b := builder{e: &n, lookup: tags, groups: map[string]*[]*condition{}, byAlarm: map[string][]*condition{}}
	for i := range cfg.Alarms {
		if err := b.alarm(&cfg.Alarms[i]); err != nil {
			return fmt.Errorf("alarm configuration: %w", &DefinitionError{Index: i, Field: "tag", Text: cfg.Alarms[i].ID + ": " + err.Error()})
		}
	}
	b.link()
	e.cfg, e.tags, e.byID, e.byName = n.cfg, n.tags, n.byID, n.byName
	e.conds, e.byCond, e.queue = n.conds, n.byCond, timers{}
	e.touched, e.touchTags, e.release = nil, nil, nil
	return nil
}

// builder turns definitions into conditions and indexes.
type builder struct {
	e       *Engine
	lookup  TagLookup
	groups  map[string]*[]*condition
	byAlarm map[string][]*condition
	err     error
}

func (b *builder) follow(name string) *follow {
	if name == "" {
		return nil
	}
	if f, ok := b.e.byName[name]; ok {
		return f
	}
	id, ok := b.lookup(name)
	if !ok {
		b.err = fmt.Errorf("unknown tag %q", name)
		return nil
	}
	f := &follow{TagImage: TagImage{Name: name}, id: id}
	for int(id) >= len(b.e.byID) {
		b.e.byID = append(b.e.byID, -1)
	}
	b.e.byID[id] = int32(len(b.e.tags))
	b.e.tags = append(b.e.tags, f)
	b.e.byName[name] = f
	return f
}

func (b *builder) alarm(d *Definition) error {
	var levels []Level
	for _, l := range d.Type.levels() {
		if _, ok := d.Limits[l]; ok || l == LevelActive {
			levels = append(levels, l)
		}
	}
	if !d.NonExclusive {
		b.condition(d, d.ID, levels)
		return b.err
	}
	for _, l := range levels {
		b.condition(d, d.ID+"/"+l.String(), []Level{l})
	}
	return b.err
}

func (b *builder) condition(d *Definition, id string, levels []Level) {
	c := &condition{ConditionImage: ConditionImage{ID: id}, def: d, index: len(b.e.conds), heapAt: -1}
	for _, l := range levels {
		c.limits = append(c.limits, b.limit(d, l))
		c.Limits = append(c.Limits, LimitImage{Level: l})
	}
	c.main, c.supTag = b.follow(d.Tag), b.follow(d.SuppressTag)
	switch d.Type {
	case TypeDeviation:
		c.second = b.follow(d.Setpoint)
	case TypeDiscrepancy:
		c.second = b.follow(d.Target)
	case TypeBadQuality:
		for _, name := range append([]string{d.Tag}, d.Tags...) {
			if f := b.follow(name); f != nil && !slices.Contains(c.all, f) {
				c.all = append(c.all, f)
			}
		}
		if c.main == nil && len(c.all) > 0 {
			c.main = c.all[0]
		}
	}
	if d.FirstOut != "" {
		if b.groups[d.FirstOut] == nil {
			b.groups[d.FirstOut] = &[]*condition{}
		}
		c.group = b.groups[d.FirstOut]
		*c.group = append(*c.group, c)
	}
	b.e.conds = append(b.e.conds, c)
	b.e.byCond[id] = c
	b.byAlarm[d.ID] = append(b.byAlarm[d.ID], c)
	if id != d.ID {
		b.byAlarm[id] = []*condition{c}
	}
}

func (b *builder) limit(d *Definition, l Level) limit {
	on := pick(d.OnDelays, l, d.OnDelay)
	if d.Type == TypeDiscrepancy {
		on += d.ExpectedTime
	}
	p := pick(d.Priorities, l, d.Priority)
	if p == PriorityUnset {
		p = PriorityMedium
	}
	return limit{level: l, value: d.Limits[l].Value, from: b.follow(d.Limits[l].Tag), deadband: pick(d.Deadbands, l, d.Deadband),
		on: int64(on), off: int64(pick(d.OffDelays, l, d.OffDelay)), strict: d.Strict, priority: p}
}

// link fills the indexes from tags to conditions and from parents to children. The conditions of a tag are ordered
// parents first, so that a suppression begins before the alarm it suppresses.
func (b *builder) link() {
	depth := map[*condition]int{}
	for _, c := range b.e.conds {
		c.parents = b.byAlarm[c.def.SuppressedBy]
		for _, p := range c.parents {
			p.children = append(p.children, c)
		}
	}
	for _, c := range b.e.conds {
		for p := c.parents; len(p) > 0; p = p[0].parents {
			depth[c]++
		}
	}
	ordered := slices.Clone(b.e.conds)
	slices.SortStableFunc(ordered, func(x, y *condition) int { return depth[x] - depth[y] })
	for _, c := range ordered {
		inputs := c.all
		if inputs == nil {
			inputs = []*follow{c.main}
			if c.second != nil && c.second != c.main {
				inputs = append(inputs, c.second)
			}
		}
		for _, f := range inputs {
			f.conds = append(f.conds, c)
		}
		for i := range c.limits {
			if f := c.limits[i].from; f != nil && !slices.Contains(f.conds, c) && !slices.Contains(f.feeds, c) {
				f.feeds = append(f.feeds, c)
			}
		}
		if c.supTag != nil {
			c.supTag.suppresses = append(c.supTag.suppresses, c)
		}
	}
}

// touch notes that the image of the condition changed in this call.
func (e *Engine) touch(c *condition) {
	if !c.dirty {
		c.dirty = true
		e.touched = append(e.touched, c)
	}
}

func (e *Engine) touchTag(f *follow) {
	if !f.dirty {
		f.dirty = true
		e.touchTags = append(e.touchTags, f)
	}
}

// take ends a call: it returns what the call did.
func (e *Engine) take() Outcome {
	o := Outcome{Mark: e.mark, Events: e.events, Flood: e.takeFlood()}
	e.mark, e.events = nil, nil
	if len(e.touched) > 0 {
		o.Changed = make([]ConditionImage, 0, len(e.touched))
		for _, c := range e.touched {
			c.dirty = false
			o.Changed = append(o.Changed, c.clone())
		}
		e.touched = e.touched[:0]
	}
	if len(e.touchTags) > 0 {
		o.Tags = make([]TagImage, 0, len(e.touchTags))
		for _, f := range e.touchTags {
			f.dirty = false
			o.Tags = append(o.Tags, f.TagImage)
		}
		e.touchTags = e.touchTags[:0]
	}
	return o
}

// lookup returns the followed tag with the id, or nil.
func (e *Engine) lookup(id tag.ID) *follow {
	if int64(id) >= int64(len(e.byID)) || e.byID[id] < 0 {
		return nil
	}
	return e.tags[e.byID[id]]
}
