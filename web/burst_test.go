package web

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
)

// TestBurst: values that come one after the other do not wait for the period between them, while those that keep coming do.
func TestBurst(t *testing.T) {
	start := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	frames := func(period time.Duration, from time.Time, s *subscription) (at []int64) {
		for now := from; now.Before(from.Add(time.Second)); now = now.Add(time.Millisecond) {
			if !now.Before(s.due) {
				s.sent(now)
				at = append(at, now.Sub(from).Milliseconds())
			}
		}
		return at
	}
	for _, c := range []struct {
		period time.Duration
		first  string
		count  int
	}{
		{defaultPeriod, "[0 15 30 100 200]", 12}, {minPeriod, "[0 15 30 50 100]", 22}, {defaultPeriod + time.Millisecond, "[0 101 202 303 404]", 10},
	} {
		s := &subscription{period: c.period}
		at := frames(c.period, start, s)
		if got := fmt.Sprint(at[:5]); got != c.first || len(at) != c.count {
			t.Errorf("period %v: frames at %s ms, %d in a second; want %s, %d", c.period, got, len(at), c.first, c.count)
		}
		if again := frames(c.period, start.Add(time.Minute), s); fmt.Sprint(again[:5]) != c.first {
			t.Errorf("period %v: after a pause frames at %v ms, want %s", c.period, again[:5], c.first)
		}
	}
}

// TestTheAnswersOfADeviceComeTogether: a change of another tag just before does not hold a value up.
func TestTheAnswersOfADeviceComeTogether(t *testing.T) {
	f := newFake("a", float("a/x"), float("a/y"))
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":1,"tags":["a/y"]}`)
		s.want("subd")
		s.wantFrame()
		s.send(`{"t":"ack","frame":1}`)
		time.Sleep(time.Second)
		set(f.plant, "a/x", tag.Float64(1), tag.Good)
		synctest.Wait()
		began := time.Now()
		set(f.plant, "a/y", tag.Float64(2), tag.Good)
		if d := s.wantFrame(); len(d.values) != 1 || d.values[0] != 2 {
			t.Fatalf("frame %+v", d)
		}
		if late := time.Since(began); late > burstGap {
			t.Errorf("the value came after %v", late)
		}
	})
}
