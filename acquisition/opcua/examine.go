package opcua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition"
)

const (
	trialLength  = time.Second
	trialAnswers = 10_000
)

// facts are what a server says of itself: variables every server has.
var facts = []struct {
	name string
	id   uint32
}{{"vendor", 2263}, {"product", 2261}, {"revision", 2264}, {"build", 2265}, {"url", 2262}}

const idMaxNodesPerRead = 11705

// Examine implements [acquisition.Examiner]: reads of the device's tags one after the other, beside what the session does
// anyway.
func (s *Source) Examine(ctx context.Context, _ string) (acquisition.Examination, error) {
	e := acquisition.Examination{Device: s.device.Name}
	c := s.present()
	if c == nil {
		return e, ErrNotConnected
	}
	if err := s.askIdentity(ctx, c, &e); err != nil {
		return e, err
	}
	var part []int
	for _, i := range s.all() {
		if s.items[i].bad == nil && len(part) < s.most(readBatch) {
			part = append(part, i)
		}
	}
	if len(part) == 0 {
		e.Notes = append(e.Notes, "no tag of the device can be read")
		return e, nil
	}
	e.Notes = append(e.Notes, fmt.Sprintf("each request read %d tags", len(part)))
	e.Trials = append(e.Trials, s.try(ctx, c, part))
	e.Best = acquisition.BestWindow(e.Trials)
	return e, ctx.Err()
}

func (s *Source) askIdentity(ctx context.Context, c *channel, e *acquisition.Examination) error {
	req := &ua.ReadRequest{TimestampsToReturn: ua.TimestampsToReturnNeither, NodesToRead: []*ua.ReadValueID{readValue(ua.NewNumericNodeID(0, idMaxNodesPerRead))}}
	for _, f := range facts {
		req.NodesToRead = append(req.NodesToRead, readValue(ua.NewNumericNodeID(0, f.id)))
	}
	res, err := call[*ua.ReadResponse](ctx, c, req)
	if err != nil {
		return fmt.Errorf("asking the server who it is: %w", err)
	}
	if len(res.Results) != len(req.NodesToRead) {
		return fmt.Errorf("%w: %d results for %d nodes", errHostile, len(res.Results), len(req.NodesToRead))
	}
	if most, ok := number(res.Results[0]); ok && most > 0 {
		e.Largest = int(most)
	}
	for i, f := range facts {
		v := variantOf(res.Results[1+i])
		if v == nil {
			continue
		}
		if text, ok := v.Value().(string); ok && text != "" {
			e.Identity = append(e.Identity, acquisition.Fact{Name: f.name, Text: text})
		}
	}
	return nil
}

// try reads the same tags again and again.
func (s *Source) try(ctx context.Context, c *channel, part []int) acquisition.Trial {
	t := acquisition.Trial{Window: 1}
	var times []time.Duration
	began := time.Now()
	for time.Since(began) < trialLength && len(times) < trialAnswers && ctx.Err() == nil {
		asked := time.Now()
		_, err := s.readPart(ctx, c, part)
		switch {
		case err == nil:
			times = append(times, time.Since(asked))
			continue
		case errors.Is(err, ua.StatusBadTimeout):
			t.Timeouts++
		case errors.Is(err, errHostile):
			t.Malformed++
		case isStatus(err):
			t.Exceptions++
		default:
			t.Lost = true
		}
		break
	}
	t.Took, t.Answers = time.Since(began), len(times)
	if slices.Sort(times); len(times) > 0 {
		t.P50, t.P99, t.Max = times[len(times)/2], times[len(times)*99/100], times[len(times)-1]
	}
	return t
}

var _ acquisition.Examiner = (*Source)(nil)
