// Package calc computes the calculated tags of an area: it is an [acquisition.Source] whose device is the expressions
// of package script and whose address of a tag is its expression.
//
// An expression is evaluated in the slots of its scan class, absolute instants as for devices, when one of its inputs has
// changed since, and after those of its inputs that are calculated themselves. Only the active node computes; the other
// one gets the results as it gets what devices say.
package calc

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"scada/acquisition"
	"scada/acquisition/live"
	"scada/acquisition/script"
	"scada/acquisition/tag"
)

// Options is what a source needs.
type Options struct {
	Device string           // name it is shown under
	Tags   []tag.Definition // Address is the expression
	Live   *live.Table
	Lookup func(name string) (tag.ID, bool)
	Logger *slog.Logger // nil: none
}

// Source computes the calculated tags of an area.
type Source struct {
	device  string
	table   *live.Table
	log     *slog.Logger
	items   []*item // in an order in which each stands after its inputs
	byTag   map[tag.ID]*item
	readers map[tag.ID][]*item // who reads a tag
	periods []time.Duration

	mu    sync.Mutex
	state acquisition.DeviceStatus
}

// item is one calculated tag.
type item struct {
	def    tag.Definition
	expr   *script.Expr
	inputs map[string]tag.ID
	read   func(name string) tag.Sample

	dirty bool // an input has changed since the last evaluation
	last  tag.Sample
	wrong string // what was wrong at the last evaluation
}

// TagError is what is wrong with one calculated tag.
type TagError struct {
	Tag string
	Err error
}

// Error implements error.
func (e *TagError) Error() string { return fmt.Sprintf("tag %s: %s", e.Tag, e.Err) }

// Unwrap returns what is wrong without the name of the tag.
func (e *TagError) Unwrap() error { return e.Err }

// Check returns what is wrong with the expressions: those that cannot be compiled or read a tag that does not exist, and
// else those that depend on themselves.
func Check(tags []tag.Definition, lookup func(name string) (tag.ID, bool)) []*TagError {
	s := &Source{byTag: map[tag.ID]*item{}, readers: map[tag.ID][]*item{}}
	return s.add(tags, lookup)
}

// New compiles the expressions; what Check refuses, it refuses too.
func New(o Options) (*Source, error) {
	s := &Source{device: o.Device, table: o.Live, log: o.Logger, byTag: map[tag.ID]*item{}, readers: map[tag.ID][]*item{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, wrong := range s.add(o.Tags, o.Lookup) {
		return nil, wrong
	}
	s.state = acquisition.DeviceStatus{Device: s.device, Endpoint: "expressions", Tags: len(s.items), Blocks: len(s.periods), Since: time.Now()}
	return s, nil
}

func (s *Source) add(tags []tag.Definition, lookup func(name string) (tag.ID, bool)) (wrong []*TagError) {
	for _, def := range tags {
		x, err := s.item(def, lookup)
		if err != nil {
			wrong = append(wrong, &TagError{def.Name, err})
			continue
		}
		s.items = append(s.items, x)
		s.byTag[def.ID] = x
		if !slices.Contains(s.periods, def.ScanPeriod) {
			s.periods = append(s.periods, def.ScanPeriod)
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	var circular *TagError
	if s.items, circular = inOrder(s.items, s.byTag); circular != nil {
		return []*TagError{circular}
	}
	for _, x := range s.items {
		x.read = s.reader(x)
	}
	return nil
}

// reader returns what reads the inputs of an item: those that are calculated themselves are perhaps of this very pass, and
// not in the table yet. All items are known.
func (s *Source) reader(x *item) func(name string) tag.Sample {
	names := x.expr.Inputs()
	ids, own := make([]tag.ID, len(names)), make([]*item, len(names))
	for i, name := range names {
		ids[i] = x.inputs[name]
		own[i] = s.byTag[ids[i]]
	}
	return func(name string) tag.Sample {
		i := slices.Index(names, name)
		if own[i] != nil {
			return own[i].last
		}
		return s.table.Get(ids[i])
	}
}

func (s *Source) item(def tag.Definition, lookup func(string) (tag.ID, bool)) (*item, error) {
	e, err := script.NewExpr(def.Name, def.Address)
	if err != nil {
		return nil, err
	}
	x := &item{def: def, expr: e, inputs: map[string]tag.ID{}}
	for _, name := range e.Inputs() {
		id, ok := lookup(name)
		if !ok {
			return nil, fmt.Errorf("no tag is named %q", name)
		}
		x.inputs[name] = id
		s.readers[id] = append(s.readers[id], x)
	}
	return x, nil
}

// inOrder sorts items so that each stands after those it reads.
func inOrder(items []*item, byTag map[tag.ID]*item) ([]*item, *TagError) {
	const open, done = 1, 2
	mark := map[*item]int{}
	var sorted, path []*item
	var visit func(x *item) *TagError
	visit = func(x *item) *TagError {
		switch mark[x] {
		case done:
			return nil
		case open:
			return circle(append(path[slices.Index(path, x):], x))
		}
		mark[x] = open
		path = append(path, x)
		for _, name := range x.expr.Inputs() {
			if input := byTag[x.inputs[name]]; input != nil {
				if err := visit(input); err != nil {
					return err
				}
			}
		}
		path = path[:len(path)-1]
		mark[x] = done
		sorted = append(sorted, x)
		return nil
	}
	for _, x := range items {
		if err := visit(x); err != nil {
			return nil, err
		}
	}
	return sorted, nil
}

func circle(path []*item) *TagError {
	names := make([]string, len(path))
	for i, x := range path {
		names[i] = x.def.Name
	}
	return &TagError{names[0], fmt.Errorf("it depends on itself: %s", strings.Join(names, " reads "))}
}

// Devices implements [acquisition.Source].
func (s *Source) Devices() []string { return []string{s.device} }

// Status implements [acquisition.Source].
func (s *Source) Status() []acquisition.DeviceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []acquisition.DeviceStatus{s.state}
}

// Write implements [acquisition.Source]: a calculated tag cannot be written.
func (s *Source) Write(context.Context, acquisition.Write) acquisition.WriteResult {
	return acquisition.WriteResult{Outcome: acquisition.Refused, Err: fmt.Errorf("device %s: a calculated tag cannot be written", s.device)}
}

// Probe implements [acquisition.Source]: there is nothing that could be out of reach.
func (s *Source) Probe(context.Context, string) error { return nil }
