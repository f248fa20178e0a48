//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"scada/web/api"
)

// pollOverlapBound is how long two nodes may poll the same device at once. A node that was frozen may finish what it was
// sending when it wakes, until it has looked at the clock: reads only, and writes never (the lease).
const pollOverlapBound = 250 * time.Millisecond

// toggled are points of the process model with a discrete alarm each, that the process leaves alone.
var toggled = map[string]string{
	"intake/flooded": "intake-flooded", "treatment/chlorine/leak": "chlorine-leak",
	"wells/well1/door": "well1-door", "wells/well2/door": "well2-door", "wells/well3/door": "well3-door", "wells/well4/door": "well4-door",
}

// TestTruthThroughTakeOvers lets alarms come and go while the active is killed, frozen and switched, and compares the
// journals and histories of both nodes with what the simulated plant knows to have happened.
func TestTruthThroughTakeOvers(t *testing.T) {
	r := newRig(t, replace(t, "hold_off: 10s", "hold_off: 1s"))
	r.start()
	stop, raised := make(chan struct{}), map[string]int{}
	var wg sync.WaitGroup
	for point := range toggled {
		wg.Go(func() { r.toggle(point, stop, raised) })
	}
	for _, fault := range []string{"kill", "freeze", "switch", "kill", "freeze", "kill"} {
		switch fault {
		case "kill":
			r.signal("a", syscall.SIGKILL)
			r.waitSwitch("b", "fault")
			r.startNode("a")
		case "freeze":
			r.signal("a", syscall.SIGSTOP)
			r.waitSwitch("b", "fault")
			r.signal("a", syscall.SIGCONT)
		case "switch":
			if err := r.call("a", http.MethodPost, "/api/v1/role/switch", map[string]string{"area": "main"}, nil); err != nil {
				t.Fatal(err)
			}
			r.waitActive("b", 5*time.Second)
			if err := r.call("b", http.MethodPost, "/api/v1/role/release", map[string]string{"area": "main"}, nil); err != nil {
				t.Fatal(err)
			}
		}
		r.waitReady()
	}
	close(stop)
	wg.Wait()
	r.checkGroundTruth()
	r.checkRaised(raised)
	r.checkHistory()
}

// toggle raises and clears one alarm at random times. Each state lasts longer than any blind window, so that none of
// them can pass unseen.
func (r *rig) toggle(point string, stop <-chan struct{}, raised map[string]int) {
	for on := 1; ; on = 1 - on {
		ended := stop
		if on == 0 {
			ended = nil // a state that has just begun would pass unseen
		}
		select {
		case <-ended:
			return // it is cleared: both nodes end with the same picture
		case <-time.After(2500*time.Millisecond + time.Duration(rand.IntN(2000))*time.Millisecond):
		}
		if err := r.sim(http.MethodPost, "/points", map[string]any{"name": point, "value": on}, nil); err != nil {
			r.t.Errorf("forcing %s: %v", point, err)
			return
		}
		if on == 1 {
			toggleMu.Lock()
			raised[point]++
			toggleMu.Unlock()
		}
	}
}

var toggleMu sync.Mutex

// checkRaised compares the alarms in both journals with what was forced.
func (r *rig) checkRaised(raised map[string]int) {
	r.t.Helper()
	for point, condition := range toggled {
		for _, node := range []string{"a", "b"} {
			r.eventually(10*time.Second, "every "+condition+" is in the journal of "+node, func() error {
				n := map[string]int{}
				for _, e := range r.entries(node, "alarm") {
					if e.Source == condition {
						n[e.Event]++
					}
				}
				if n["RAISE"] != raised[point] || n["CLEAR"] != raised[point] {
					return fmt.Errorf("%d raised and %d cleared, it happened %d times", n["RAISE"], n["CLEAR"], raised[point])
				}
				return nil
			})
		}
		r.t.Logf("%s: %d times, each exactly once in both journals", condition, raised[point])
	}
}

// checkGroundTruth proves that no device was polled by both nodes for longer than the bound, and that both journals hold
// the same alarm transitions, none twice.
func (r *rig) checkGroundTruth() {
	r.t.Helper()
	var polls struct {
		Devices []struct {
			Device         string
			RepeatedWrites uint64     `json:"repeated_writes"`
			HandOvers      []handOver `json:"hand_overs"`
		}
	}
	if err := r.sim(http.MethodGet, "/polls", nil, &polls); err != nil {
		r.t.Fatal(err)
	}
	for _, d := range polls.Devices {
		if overlap := longestOverlap(d.HandOvers); overlap > pollOverlapBound {
			r.t.Errorf("%s was polled by both nodes for %s, the bound is %s: %v", d.Device, overlap, pollOverlapBound, d.HandOvers)
		} else if overlap > 0 {
			r.t.Logf("%s was polled by both nodes for %s", d.Device, overlap)
		}
	}
	for _, d := range polls.Devices {
		if d.RepeatedWrites != 0 {
			r.t.Errorf("%s saw %d writes twice", d.Device, d.RepeatedWrites)
		}
	}
	r.eventually(15*time.Second, "both journals hold the same alarm transitions", func() error {
		a, b := r.entries("a", "alarm"), r.entries("b", "alarm")
		if len(a) == 0 {
			return fmt.Errorf("no alarm at all")
		}
		return equalEntries(a, b)
	})
	r.checkAlternation()
}

// handOver is a moment at which a device was polled by another node than before.
type handOver struct {
	Time     time.Time
	From, To string
}

// longestOverlap returns the longest time in which the polling went back and forth: every device of the demo is polled
// ten times a second, so two nodes that poll it at once take turns within a tenth of a second. It is counted from the
// first request of the node that had to stop to its last.
func longestOverlap(turns []handOver) (longest time.Duration) {
	for first := 0; first < len(turns); first++ {
		last := first
		for last+1 < len(turns) && turns[last+1].Time.Sub(turns[last].Time) < 250*time.Millisecond {
			last++
		}
		for _, turn := range turns[first : last+1] {
			if turn.To == turns[last].From {
				longest = max(longest, turns[last].Time.Sub(turn.Time))
				break
			}
		}
		first = last
	}
	return longest
}

func equalEntries(a, b []api.JournalEntry) error {
	in := map[string]api.JournalEntry{}
	for _, e := range a {
		in[e.ID] = e
	}
	for _, e := range b {
		if _, ok := in[e.ID]; !ok {
			return fmt.Errorf("only on b: %+v", e)
		}
		delete(in, e.ID)
	}
	for _, e := range in {
		return fmt.Errorf("only on a: %+v", e)
	}
	return nil
}

// checkAlternation: of each condition a RAISE follows a CLEAR and the other way round.
func (r *rig) checkAlternation() {
	r.t.Helper()
	active := map[string]bool{}
	for _, e := range r.entries("a", "alarm") {
		switch e.Event {
		case "RAISE":
			if active[e.Source] {
				r.t.Errorf("%s raised twice: %+v", e.Source, e)
			}
			active[e.Source] = true
		case "CLEAR":
			if !active[e.Source] {
				r.t.Errorf("%s cleared without being active: %+v", e.Source, e)
			}
			active[e.Source] = false
		}
	}
}

// entries returns the journal of a node, oldest first.
func (r *rig) entries(node, kind string) []api.JournalEntry {
	r.t.Helper()
	var all []api.JournalEntry
	for cursor := ""; ; {
		var page api.Journal
		if err := r.call(node, http.MethodGet, "/api/v1/journal?limit=1000&kind="+kind+"&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, page.Entries...)
		if cursor = page.Next; cursor == "" {
			slices.Reverse(all)
			return all
		}
	}
}

// checkHistory compares the samples both nodes have recorded since the beginning, tag by tag. The last seconds are left
// out: they are on their way.
func (r *rig) checkHistory() {
	r.t.Helper()
	var tags api.Tags
	if err := r.call("a", http.MethodGet, "/api/v1/tags?limit=1000", nil, &tags); err != nil {
		r.t.Fatal(err)
	}
	to := time.Now().Add(-3 * time.Second)
	samples := 0
	for _, tag := range tags.Tags {
		r.eventually(15*time.Second, "both nodes have the same samples of "+tag.Name, func() error {
			a, b := r.history("a", tag.Name, to), r.history("b", tag.Name, to)
			if len(a) == 0 {
				return fmt.Errorf("no samples")
			}
			if err := equalSamples(a, b); err != nil {
				return err
			}
			samples += len(a)
			return nil
		})
	}
	r.t.Logf("%d samples of %d tags are equal on both nodes", samples, len(tags.Tags))
}

func TestLongestOverlap(t *testing.T) {
	at := func(ms int, from, to string) handOver {
		return handOver{Time: time.UnixMilli(int64(ms)), From: from, To: to}
	}
	for _, c := range []struct {
		turns []handOver
		want  time.Duration
	}{
		{nil, 0},
		{[]handOver{at(0, "a", "b"), at(5000, "b", "a"), at(9000, "a", "b")}, 0},                                     // take-overs
		{[]handOver{at(0, "a", "b"), at(150, "b", "a"), at(190, "a", "b")}, 40 * time.Millisecond},                   // a woke up soon
		{[]handOver{at(0, "b", "a"), at(30, "a", "b"), at(90, "b", "a"), at(130, "a", "b")}, 130 * time.Millisecond}, // a woke up late
	} {
		if got := longestOverlap(c.turns); got != c.want {
			t.Errorf("%v: %s, want %s", c.turns, got, c.want)
		}
	}
}
