package opcua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// Heal is the setting of History with which a device's own record fills gaps.
const Heal = "heal"

// Bounds of a healing. Five requests a second with as many values as these allow are what a device is asked at most.
const (
	healSettle = 3 * time.Second // after a connection, so that what comes by the subscriptions overlaps
	healMargin = 2 * time.Second // before the last sign of life: what was under way
	healSlice  = time.Hour       // asked for at a time, the newest first
	healLimit  = 7 * 24 * time.Hour
	healNodes  = 10  // in one request
	healValues = 500 // of one node in one answer
	healEvery  = 200 * time.Millisecond
	healPages  = 10_000 // of one slice of ten nodes
	healRetry  = time.Minute
	maxGaps    = 100 // that wait; more become one
)

// pace is how fast a device is asked for its history.
type pace struct{ settle, every, retry time.Duration }

// Past is the record of the values, which a device's own record completes.
type Past interface {
	// Known returns up to when values of the device are known before Run begins; zero if there are none.
	Known() time.Time
	// Recover adds samples of one tag's past and returns how many were not known.
	Recover(ctx context.Context, samples []tag.Update) (added int, err error)
	// Recovered is called after each healing.
	Recovered(r Recovery)
}

// Recovery tells what a healing has brought.
type Recovery struct {
	From, To time.Time // of the gap
	Samples  int       // the device had
	Added    int       // of them that were not known
	Without  int       // tags the device keeps no record of
}

// gap is a stretch of time in which the device was not read.
type gap struct{ from, to time.Time }

// heal fills the gaps, the newest first, while the session lasts.
func (s *Source) heal(ctx context.Context, c *channel) error {
	if !pause(ctx, s.pace.settle) {
		return ctx.Err()
	}
	s.blindUntil(time.Now())
	for len(s.gaps) > 0 && ctx.Err() == nil {
		err := s.fill(ctx, c)
		switch {
		case err == nil || ctx.Err() != nil:
		case givesNone(err):
			s.log.Warn("device gives no history; it is not asked again before the next start", "err", err)
			s.gaps, s.mute = nil, true
		case errors.Is(err, errHostile):
			s.log.Warn("history of a device makes no sense; the gap stays", "err", err)
			s.gaps = s.gaps[:len(s.gaps)-1]
		default:
			s.log.Warn("history of a device could not be read; it is tried again", "err", err)
			pause(ctx, s.pace.retry)
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// givesNone reports whether the server has no history to give, as opposed to an accident.
func givesNone(err error) bool {
	for _, status := range []ua.StatusCode{
		ua.StatusBadServiceUnsupported, ua.StatusBadHistoryOperationUnsupported, ua.StatusBadHistoryOperationInvalid, ua.StatusBadUserAccessDenied, ua.StatusBadNotImplemented,
	} {
		if errors.Is(err, status) {
			return true
		}
	}
	return false
}

// blindSince begins a run. What the run before has left unfilled is still to be filled.
func (s *Source) blindSince() {
	if s.device.History != Heal {
		return
	}
	if known := s.o.Past.Known(); s.blind.IsZero() || known.Before(s.blind) && !known.IsZero() {
		s.blind = known
	}
}

// blindUntil ends the time in which the device was not read.
func (s *Source) blindUntil(now time.Time) {
	from := s.blind
	s.blind = time.Time{}
	if from.IsZero() || s.mute {
		return
	}
	if oldest := now.Add(-healLimit); from.Before(oldest) {
		from = oldest
	}
	if len(s.gaps) >= maxGaps {
		from = s.gaps[0].from
		s.gaps = nil
	}
	s.gaps = append(s.gaps, gap{from.Add(-healMargin), now})
}

// fill heals the newest gap a slice at a time, the newest first, and takes it off the list when it is done.
func (s *Source) fill(ctx context.Context, c *channel) error {
	last := len(s.gaps) - 1
	g := &s.gaps[last]
	done := Recovery{From: g.from, To: g.to}
	for g.to.After(g.from) {
		from := g.to.Add(-healSlice)
		if from.Before(g.from) {
			from = g.from
		}
		if err := s.slice(ctx, c, gap{from, g.to}, &done); err != nil {
			return err
		}
		g.to = from
	}
	s.gaps = s.gaps[:last]
	s.o.Past.Recovered(done)
	return nil
}

func (s *Source) slice(ctx context.Context, c *channel, g gap, done *Recovery) error {
	var rest []int
	for i := range s.items {
		if x := &s.items[i]; x.bad == nil && !x.past && x.def.History != tag.HistoryOff {
			rest = append(rest, i)
		}
	}
	for len(rest) > 0 {
		part := rest[:min(len(rest), s.most(healNodes))]
		err := s.pages(ctx, c, g, part, done)
		if s.tooMany(len(part), err) {
			continue
		}
		if err != nil {
			return err
		}
		rest = rest[len(part):]
	}
	done.Without = 0
	for i := range s.items {
		if s.items[i].past {
			done.Without++
		}
	}
	return nil
}

// wanted is a node whose record is read, and where its last page ended.
type wanted struct {
	item int
	next []byte
	last time.Time
}

var errNoProgress = fmt.Errorf("%w: it gives the same page of its history again", errHostile)

// pages reads the record of some nodes to its end.
func (s *Source) pages(ctx context.Context, c *channel, g gap, part []int, done *Recovery) error {
	nodes := make([]wanted, len(part))
	for k, i := range part {
		nodes[k] = wanted{item: i, last: g.from.Add(-1)}
	}
	for range healPages {
		if !pause(ctx, s.pace.every) {
			return ctx.Err()
		}
		res, err := call[*ua.HistoryReadResponse](ctx, c, s.rawRequest(g, nodes))
		if err != nil {
			return fmt.Errorf("reading history: %w", err)
		}
		if len(res.Results) != len(nodes) {
			return fmt.Errorf("%w: %d results for the history of %d nodes", errHostile, len(res.Results), len(nodes))
		}
		for k, r := range res.Results {
			if err := s.page(ctx, g, &nodes[k], r, done); err != nil {
				return err
			}
		}
		nodes = slices.DeleteFunc(nodes, func(w wanted) bool { return len(w.next) == 0 })
		if len(nodes) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%w: more than %d pages", errHostile, healPages)
}

func (s *Source) rawRequest(g gap, nodes []wanted) *ua.HistoryReadRequest {
	req := &ua.HistoryReadRequest{
		HistoryReadDetails: ua.NewExtensionObject(&ua.ReadRawModifiedDetails{StartTime: g.from, EndTime: g.to, NumValuesPerNode: healValues}),
		TimestampsToReturn: ua.TimestampsToReturnBoth,
	}
	for _, w := range nodes {
		req.NodesToRead = append(req.NodesToRead, &ua.HistoryReadValueID{NodeID: s.items[w.item].node, DataEncoding: &ua.QualifiedName{}, ContinuationPoint: w.next})
	}
	return req
}

// page takes over one answer for one node.
func (s *Source) page(ctx context.Context, g gap, w *wanted, r *ua.HistoryReadResult, done *Recovery) error {
	w.next = w.next[:0:0]
	if r == nil {
		return nil
	}
	switch r.StatusCode {
	case ua.StatusOK, ua.StatusGoodNoData, ua.StatusBadNoData:
	case ua.StatusBadContinuationPointInvalid:
		return fmt.Errorf("reading history: %w: %w", errNoProgress, r.StatusCode)
	default:
		if r.StatusCode&0x80000000 != 0 {
			s.items[w.item].past = true // it keeps no record of this one
			return nil
		}
	}
	samples, last := s.recorded(g, w, r.HistoryData)
	if len(r.ContinuationPoint) > 0 {
		if !last.After(w.last) {
			return errNoProgress
		}
		w.next, w.last = r.ContinuationPoint, last
	}
	if len(samples) == 0 {
		return nil
	}
	added, err := s.o.Past.Recover(ctx, samples)
	done.Samples, done.Added = done.Samples+len(samples), done.Added+added
	if err != nil {
		return fmt.Errorf("keeping history: %w", err)
	}
	return nil
}

// recorded returns the samples of an answer that lie in the gap, and the time of the last value.
func (s *Source) recorded(g gap, w *wanted, data *ua.ExtensionObject) (list []tag.Update, last time.Time) {
	if data == nil {
		return nil, last
	}
	values, ok := data.Value.(*ua.HistoryData)
	if !ok {
		return nil, last
	}
	def := &s.items[w.item].def
	for _, dv := range values.DataValues {
		if dv == nil {
			continue
		}
		at := dv.SourceTimestamp
		if at.IsZero() {
			at = dv.ServerTimestamp
		}
		if at.After(last) {
			last = at
		}
		if at.IsZero() || at.Before(g.from) || at.After(g.to) {
			continue
		}
		x := sample(def, dv, at)
		x.Time = at.UnixNano()
		if x.Quality != tag.BadNoData {
			list = append(list, tag.Update{Tag: def.ID, Sample: x})
		}
	}
	return list, last
}
