//go:build e2e && linux

package e2e

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"scada/web/api"
)

var switchRuns = flag.Int("campaign.switches", 3, "planned switches of TestSwitches, and as many hand-backs")

// TestSwitches moves the plant to the other node and lets it be handed back, again and again: no device may miss a slot
// of its 100 ms scan. A machine with too much to do loses slots at any time: a move is judged only if none was missed in the
// second before it.
func TestSwitches(t *testing.T) {
	needNamespaces(t)
	r := newLabWith(t, defaultSetting, labOptions{replace: []string{"failback: never", "failback: auto", "hold_off: 10s", "hold_off: 500ms"}})
	r.start()
	tags := r.fastCounters()
	moves := map[string][]moved{}
	for range *switchRuns {
		active, _, err := r.settled(time.Minute)
		if err == nil {
			active, _, err = r.onPrimary(active)
		}
		r.lab.must(err)
		time.Sleep(rand.N(500 * time.Millisecond)) // any moment of the cycle
		moves["planned"] = append(moves["planned"], r.move("planned", tags, func() error {
			return r.call(active, http.MethodPost, "/api/v1/role/switch", map[string]string{"area": "main", "reason": "test"}, nil)
		}))
		moves["hand-back"] = append(moves["hand-back"], r.move("hand-back", tags, func() error {
			return r.call("b", http.MethodPost, "/api/v1/role/release", map[string]string{"area": "main"}, nil)
		}))
	}
	for kind, list := range moves {
		report(t, kind, list)
	}
}

// moved is what one planned move cost.
type moved struct {
	record  api.Switch
	before  int           // slots missed in the second before
	missed  int           // slots of all devices, by the samples in the history of the new active
	longest time.Duration // between two samples of a device
}

func report(t *testing.T, kind string, list []moved) {
	t.Helper()
	clean, judged, worst := 0, 0, 0
	var longest, first, act []float64
	for _, m := range list {
		lost := max(m.missed, int(m.record.MissedSlots))
		if lost == 0 {
			clean++
		}
		if m.before == 0 {
			judged++
			if lost > 0 && len(list) > 5 {
				t.Errorf("%s at %s: %d slots missed, %d by the record", kind, m.record.At.Format("15:04:05.000"), m.missed, m.record.MissedSlots)
			}
		}
		worst = max(worst, lost)
		longest, first, act = append(longest, millis(m.longest)), append(first, float64(m.record.FirstValueMs)), append(act, float64(m.record.ActivateMs))
		if m.record.Duplicates != 0 {
			t.Errorf("%s: %d samples twice", kind, m.record.Duplicates)
		}
	}
	t.Logf("%s: %d of %d without a missed slot (%d after a second without one), worst %d; longest time between two samples of a device: median %.0f ms, p99 %.0f ms; activation %.0f / %.0f ms; last device good after %.0f / %.0f ms",
		kind, clean, len(list), judged, worst, quantile(longest, 0.5), quantile(longest, 0.99), quantile(act, 0.5), quantile(act, 0.99), quantile(first, 0.5), quantile(first, 0.99))
	if judged == len(list) && clean == 0 {
		t.Errorf("%s: none of %d without a missed slot", kind, len(list))
	}
}

// onPrimary waits until the designated primary is active.
func (r *labRig) onPrimary(active string) (string, uint64, error) {
	deadline := time.Now().Add(time.Minute)
	for active != "a" {
		if time.Now().After(deadline) {
			return "", 0, fmt.Errorf("%s keeps the plant", active)
		}
		_ = r.call(active, http.MethodPost, "/api/v1/role/release", map[string]string{"area": "main"}, nil) // there may be nothing to release
		time.Sleep(100 * time.Millisecond)
		var err error
		if active, _, err = r.settled(time.Minute); err != nil {
			return "", 0, err
		}
	}
	return r.settled(time.Minute)
}

// fastCounters returns the tags that count the scans of the devices that are polled.
func (r *labRig) fastCounters() (names []string) {
	r.t.Helper()
	var tags api.Tags
	r.lab.must(r.call("a", http.MethodGet, "/api/v1/tags?limit=1000", nil, &tags))
	for _, tag := range tags.Tags {
		if strings.HasSuffix(tag.Name, "/proof/counter") && tag.Device != "mixer" {
			names = append(names, tag.Name)
		}
	}
	if len(names) < 6 {
		r.t.Fatalf("only %v count scans", names)
	}
	return names
}

// move does one planned move and looks at what both nodes recorded around it.
func (r *labRig) move(kind string, tags []string, order func() error) (m moved) {
	r.t.Helper()
	began := time.Now()
	r.eventually(10*time.Second, "the order of a "+kind, func() error { // refused while a node is not ready
		began = time.Now()
		return order()
	})
	r.eventually(30*time.Second, "the record of the "+kind, func() error {
		p, err := r.role("a")
		if err != nil {
			return err
		}
		if sw := p.LastSwitch; sw != nil && sw.Kind == "fault" && (sw.At.After(began) || kind == "hand-back" && sw.To == "a") {
			r.t.Skipf("the machine is too slow for this: %s", sw.Reason)
		}
		if p.LastSwitch == nil || p.LastSwitch.Kind != kind || p.LastSwitch.At.Before(began) || p.LastSwitch.FirstValueMs == 0 {
			return fmt.Errorf("the record is %+v", p.LastSwitch)
		}
		m.record = *p.LastSwitch
		return nil
	})
	at := m.record.At
	time.Sleep(time.Until(at.Add(700 * time.Millisecond)))
	for _, tag := range tags {
		missed, longest := r.missed(m.record.To, tag, at.Add(-500*time.Millisecond), at.Add(500*time.Millisecond))
		m.missed, m.longest = m.missed+missed, max(m.longest, longest)
		missed, _ = r.missed(m.record.From, tag, began.Add(-time.Second), began)
		m.before += missed
	}
	return m
}

// missed counts the slots without a sample of a tag, and returns the longest time between two.
func (r *labRig) missed(node, tag string, from, to time.Time) (slots int, longest time.Duration) {
	r.t.Helper()
	samples := r.samplesOf(node, tag, from, to)
	if len(samples) < 2 {
		return int(to.Sub(from) / (100 * time.Millisecond)), to.Sub(from)
	}
	for i := 1; i < len(samples); i++ {
		gap := samples[i].Time.Sub(*samples[i-1].Time)
		longest = max(longest, gap)
		slots += max(int(math.Round(float64(gap)/float64(100*time.Millisecond)))-1, 0)
	}
	return slots, longest
}
