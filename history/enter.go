package history

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"scada/acquisition/tag"
	"scada/history/block"
)

// MaxEntered is the largest number of samples one Enter call takes.
const MaxEntered = 100_000

// Entered is what a person brings of one tag.
type Entered struct {
	Tag     string
	Samples []tag.Sample // in any order
}

// Reasons why a sample can't be entered.
var (
	ErrFuture  = errors.New("it lies in the future")
	ErrTooOld  = errors.New("it is older than what is kept")
	ErrTooLong = errors.New("its text is too long")
	ErrNoTime  = errors.New("its time is before 1970 or beyond 2116")
)

// Enterable says why a sample can't be entered, or nothing.
func (s *Store) Enterable(x tag.Sample) error {
	now := s.now()
	switch {
	case x.Time < 0 || windowOf(x.Time) > maxWindow:
		return ErrNoTime
	case x.Time > now:
		return ErrFuture
	case s.Limits().Retention > 0 && x.Time < now-int64(s.Limits().Retention):
		return ErrTooOld
	case len(x.Value.Text()) > tag.MaxText:
		return ErrTooLong
	}
	return nil
}

// Enter adds samples a person has typed or brought in a file, and returns how many were not in the archive yet. Either
// all samples can be entered, or nothing is. It is durable when it returns; a day at a time, so when it fails half way
// some days may be in the archive, and repeating it completes them.
func (s *Store) Enter(ctx context.Context, what []Entered) (added int, err error) {
	return s.enter(ctx, what, LayerManual)
}

// Recover adds samples a device kept itself while nobody read it. It is as [Store.Enter] in everything else.
func (s *Store) Recover(ctx context.Context, what []Entered) (added int, err error) {
	return s.enter(ctx, what, LayerBackfill)
}

func (s *Store) enter(ctx context.Context, what []Entered, layer Layer) (added int, err error) {
	days := map[int64]map[int64][]imported{}
	total := 0
	for _, e := range what {
		if e.Tag == "" || len(e.Tag) > MaxName {
			return 0, fmt.Errorf("entering samples: the name of a tag has %d bytes (1 to %d)", len(e.Tag), MaxName)
		}
		if total += len(e.Samples); total > MaxEntered {
			return 0, fmt.Errorf("entering samples: more than %d at once: %w", MaxEntered, ErrTooMuch)
		}
		for _, x := range e.Samples {
			if err := s.Enterable(x); err != nil {
				return 0, fmt.Errorf("entering tag %q at %s: %w", e.Tag, time.Unix(0, x.Time).UTC().Format(time.RFC3339Nano), err)
			}
		}
		for w, samples := range byWindow(e.Samples) {
			n := dayOf(w)
			if days[n] == nil {
				days[n] = map[int64][]imported{}
			}
			days[n][w] = append(days[n][w], imported{name: e.Tag, typ: samples[0].Value.Type(), samples: samples})
		}
	}
	for _, n := range slices.Sorted(maps.Keys(days)) {
		var parts []windowPart
		for _, w := range slices.Sorted(maps.Keys(days[n])) {
			parts = append(parts, windowPart{w, days[n][w]})
		}
		more, err := s.importDay(ctx, n, parts, layer)
		if added += more; err != nil {
			return added, fmt.Errorf("entering samples: %w", err)
		}
	}
	return added, nil
}

// byWindow cuts samples into windows, in order within each.
func byWindow(samples []tag.Sample) map[int64][]tag.Sample {
	out := map[int64][]tag.Sample{}
	for _, x := range block.Union(nil, slices.Clone(samples)) {
		out[windowOf(x.Time)] = append(out[windowOf(x.Time)], x)
	}
	return out
}
