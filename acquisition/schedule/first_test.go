package schedule

import (
	"fmt"
	"testing"
	"time"
)

// TestFirstScan: four units behind one slow gateway, as after a take-over. Everything is read once before the fast polls
// have it all their own way, and yet no slot of them is missed, whatever the moment of the start.
func TestFirstScan(t *testing.T) {
	const cost = int64(4400 * time.Microsecond)
	for at := range 100 {
		s := New[string]()
		start := int64(time.Hour) + int64(at)*int64(time.Millisecond)
		var all []*Job[string]
		for u := range 4 {
			unit := s.AddUnit(fmt.Sprintf("well%d", u+1), 1)
			for i, period := range []time.Duration{time.Second, 100 * time.Millisecond, time.Second, 10 * time.Second, 100 * time.Millisecond} {
				all = append(all, s.Add(unit, period, 10, fmt.Sprint(u, i), start))
			}
		}
		s.Refresh(start)
		seen, done := map[*Job[string]]bool{}, int64(0)
		for now := start; now < start+int64(time.Second); {
			j := s.Next(now)
			if j == nil {
				now = max(s.Deadline(), now+1)
				continue
			}
			now += cost
			s.Done(j, now, Answered)
			if !seen[j] {
				j.TakeMissed() // what was due at once is no slot; one that passed meanwhile is kept by this very answer
			}
			if seen[j] = true; len(seen) == len(all) && done == 0 {
				done = now
			}
		}
		if took := time.Duration(done - start); took <= 0 || took > 100*time.Millisecond {
			t.Errorf("started at %d ms: everything was read once after %s; the 20 requests alone take 88 ms", at, took)
		}
		for _, j := range all {
			if n := j.TakeMissed(); n > 0 {
				t.Errorf("started at %d ms: %s missed %d slots", at, j.Data, n)
			}
		}
	}
}
