package server

import (
	"context"
	"fmt"

	"scada/acquisition"
	"scada/acquisition/tag"
	"scada/cmd/internal/config"
)

// feed is a source of an area, which may outlive the generation it was made in: it goes on publishing samples under the
// numbers its tags had then.
type feed struct {
	acquisition.Source
	area  *area
	key   string
	print string            // of the settings it was made with
	bound bool              // it reads the table of its generation: it cannot outlive it
	names map[tag.ID]string // of its tags, by its own numbers
	own   map[string]tag.ID // the inverse
	ids   map[tag.ID]tag.ID // its own numbers -> the present ones; nil: the same. Guarded by the area's mutex.
}

func newFeed(a *area, c config.Channel) *feed {
	f := &feed{area: a, key: c.Key, print: c.Print, names: map[tag.ID]string{}, own: map[string]tag.ID{}}
	for _, d := range c.Devices {
		f.bound = f.bound || d.Modbus == nil && d.OPCUA == nil && d.App == nil
		for _, t := range d.Tags() {
			f.names[t.ID], f.own[t.Name] = t.Name, t.ID
		}
	}
	return f
}

// Run implements [acquisition.Source].
func (f *feed) Run(ctx context.Context, sink acquisition.Sink) error {
	return f.Source.Run(ctx, feedSink{sink, f})
}

// feedSink translates under the area's mutex: a batch is never seen with the numbers of one generation and applied to
// another.
type feedSink struct {
	acquisition.Sink
	from *feed
}

// Publish implements [acquisition.Sink].
func (s feedSink) Publish(batch []tag.Update) { s.from.area.take(batch, effects{from: s.from}) }

// Write implements [acquisition.Source]: the tag is found by its name.
func (f *feed) Write(ctx context.Context, w acquisition.Write) acquisition.WriteResult {
	id, ok := f.own[w.Name]
	if !ok {
		return acquisition.WriteResult{Outcome: acquisition.Refused, Err: fmt.Errorf("tag %q: %w", w.Name, acquisition.ErrNoDevice)}
	}
	w.Tag = id
	return f.Source.Write(ctx, w)
}

// moved says that the tags have other numbers from now on. The caller holds the area's mutex.
func (f *feed) moved(to *config.Config) {
	f.ids = nil
	ids := make(map[tag.ID]tag.ID, len(f.names))
	same := true
	for own, name := range f.names {
		if id, ok := to.Lookup(name); ok {
			ids[own] = id
			same = same && id == own
		}
	}
	if !same || len(ids) != len(f.names) {
		f.ids = ids
	}
}

// Examine implements [acquisition.Examiner].
func (f *feed) Examine(ctx context.Context, device string) (acquisition.Examination, error) {
	e, ok := f.Source.(acquisition.Examiner)
	if !ok {
		return acquisition.Examination{}, fmt.Errorf("device %q: %w", device, acquisition.ErrNotExaminable)
	}
	return e.Examine(ctx, device)
}

// Browse implements [acquisition.Browser].
func (f *feed) Browse(ctx context.Context, node string, skip, most int) ([]acquisition.Node, int, error) {
	b, ok := f.Source.(acquisition.Browser)
	if !ok {
		return nil, 0, fmt.Errorf("device %q: %w", f.Devices()[0], acquisition.ErrNotBrowsable)
	}
	return b.Browse(ctx, node, skip, most)
}
