//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scada/web/api"
)

const (
	writtenTag  = "treatment/message" // nothing in the process depends on it
	writeEvery  = 120 * time.Millisecond
	writeWithin = time.Second
)

// load lets alarms come and go, and writes a tag by way of both nodes, all the time.
type load struct {
	r    *labRig
	stop chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	paused   bool
	next     map[string]time.Time
	on       map[string]bool
	raised   map[string]int // since the last check
	cleared  map[string]int
	accepted map[string]int    // writes, by the node that executed them
	epochs   map[string]uint64 // of the written values
	failed   error
}

func (r *labRig) startLoad() *load {
	l := &load{r: r, stop: make(chan struct{}), next: map[string]time.Time{}, on: map[string]bool{}, raised: map[string]int{}, cleared: map[string]int{}, accepted: map[string]int{}, epochs: map[string]uint64{}}
	for point := range toggled { // from now on nobody else moves them: the plant has incidents of its own
		r.lab.must(r.sim(http.MethodPost, "/points", map[string]any{"name": point, "value": 0}, nil))
	}
	l.wg.Go(l.toggle)
	for _, node := range []string{"a", "b"} {
		l.wg.Go(func() { l.write(node) })
	}
	return l
}

func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}

// toggle changes the alarm points at random times. Each state lasts longer than a take-over with its reading of all
// devices, so that none of them can pass unseen.
func (l *load) toggle() {
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		for point := range toggled {
			if l.paused || time.Now().Before(l.next[point]) {
				continue
			}
			l.change(point)
			l.next[point] = time.Now().Add(l.r.take + 2*time.Second + rand.N(2*time.Second))
		}
		l.mu.Unlock()
	}
}

func (l *load) change(point string) {
	on, value := !l.on[point], 1
	if !on {
		value = 0
	}
	if err := l.r.sim(http.MethodPost, "/points", map[string]any{"name": point, "value": value}, nil); err != nil {
		l.failed = err
		return
	}
	l.on[point] = on
	if on {
		l.raised[point]++
	} else {
		l.cleared[point]++
	}
}

// pause stops the alarms where they are, or lets them go on.
func (l *load) pause(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = yes
	for point := range toggled {
		l.next[point] = time.Now().Add(rand.N(l.r.take + 3*time.Second))
	}
}

func (l *load) write(node string) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		value := fmt.Sprintf("%s%d", node, i)
		res, err := l.r.writeTag(node, value)
		if err != nil {
			continue // refused or unanswered: that is what is tested
		}
		l.mu.Lock()
		l.accepted[res.Node]++
		if res.Epoch != 0 { // the answer of an unknown outcome was lost, and the term with it
			l.epochs[value] = res.Epoch
		}
		l.mu.Unlock()
	}
}

func (r *labRig) writeTag(node, value string) (res api.WriteResult, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeWithin)
	defer cancel()
	body, err := json.Marshal(api.Write{Value: value})
	if err != nil {
		return res, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url(node)+"/api/v1/tags/"+writtenTag+"/value", bytes.NewReader(body))
	if err != nil {
		return res, err
	}
	req.Header.Set("Authorization", "Bearer "+r.who.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return res, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return res, fmt.Errorf("writing through %s: %s", node, resp.Status)
	}
	return res, json.NewDecoder(resp.Body).Decode(&res)
}

// checkAlarms compares the alarm transitions in both journals since a moment with what the plant was made to do, and
// starts counting anew. The alarms must be paused. What is on its way gets a few seconds. base, if there is one, is what
// was counted around that moment before: then the times of the entries do not matter.
func (l *load) checkAlarms(since time.Time, base counts) (lost, doubled int, err error) {
	l.mu.Lock()
	raised, cleared := l.raised, l.cleared
	l.raised, l.cleared = map[string]int{}, map[string]int{}
	err, l.failed = l.failed, nil
	l.mu.Unlock()
	if err != nil {
		return 0, 0, err
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		lost, doubled = 0, 0
		for _, node := range []string{"a", "b"} {
			from := since
			if len(base) > 0 {
				from = since.Add(-askewBy)
			}
			counts, err := l.r.alarmCounts(node, from)
			if err != nil {
				return 0, 0, err
			}
			nodeLost, nodeDoubled := 0, 0
			for point, condition := range toggled {
				for _, want := range []struct {
					event string
					n     int
				}{{"RAISE", raised[point]}, {"CLEAR", cleared[point]}} {
					got := counts[condition+" "+want.event] - base[node][condition+" "+want.event]
					nodeLost += max(want.n-got, 0)
					nodeDoubled += max(got-want.n, 0)
				}
			}
			lost, doubled = max(lost, nodeLost), max(doubled, nodeDoubled)
		}
		if lost == 0 && doubled == 0 || time.Now().After(deadline) {
			if lost+doubled > 0 {
				l.explain(since)
			}
			return lost, doubled, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// askewBy is how wrong a wall clock may be for countsAround.
const askewBy = 2 * time.Hour

// counts says how often each condition and event is in the journal of each node.
type counts map[string]map[string]int

// countsAround counts what is in the journals around a moment, as far as a clock may be wrong.
func (r *labRig) countsAround(at time.Time) (counts, error) {
	c := counts{}
	for _, node := range []string{"a", "b"} {
		var err error
		if c[node], err = r.alarmCounts(node, at.Add(-askewBy)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// explain shows what both journals tell of the alarms that were changed.
func (l *load) explain(since time.Time) {
	for _, node := range []string{"a", "b"} {
		list, err := l.r.alarmRecords(node, since)
		if err != nil {
			l.r.t.Log(err)
		}
		slices.SortFunc(list, func(x, y api.JournalEntry) int { return x.Time.Compare(y.Time) })
		for _, e := range list {
			if slices.ContainsFunc(slices.Collect(maps.Values(toggled)), func(id string) bool { return id == e.Source }) {
				l.r.t.Logf("%s: %s %-12s %s#%d term %d %s %q", node, e.Time.UTC().Format("15:04:05.000"), e.Source, e.Event, e.Occurrence, e.Epoch, e.State, e.Note)
			}
		}
	}
}

// alarmCounts returns how often each condition and event is in the journal of a node since a moment. What a side that lost has
// recorded of an occurrence the other has as well is linked to it by the merge, and is no second transition.
func (r *labRig) alarmCounts(node string, since time.Time) (map[string]int, error) {
	list, err := r.alarmRecords(node, since)
	return transitions(list), err
}

// alarmRecords returns what the journal of a node has of alarms since a moment.
func (r *labRig) alarmRecords(node string, since time.Time) ([]api.JournalEntry, error) {
	var list []api.JournalEntry
	q := url.Values{"kind": {"alarm"}, "limit": {"1000"}, "from": {since.Format(time.RFC3339Nano)}, "to": {time.Now().Add(askewBy).Format(time.RFC3339Nano)}}
	for {
		var page api.Journal
		if err := r.call(node, http.MethodGet, "/api/v1/journal?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		list = append(list, page.Entries...)
		if page.Next == "" {
			return list, nil
		}
		q.Set("cursor", page.Next)
	}
}

// request is one request as the simulated devices saw it.
type request struct {
	Seq    uint64
	Time   time.Time
	Device string
	Remote string
	Write  bool
	Values []uint16
}

// text returns the written text.
func (q request) text() string {
	var b strings.Builder
	for _, v := range q.Values {
		for _, c := range []byte{byte(v >> 8), byte(v)} {
			if c != 0 {
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

// node returns who sent it, by its address in the field.
func (q request) node() string {
	switch {
	case strings.HasPrefix(q.Remote, prefixes[field]+"1:"):
		return "a"
	case strings.HasPrefix(q.Remote, prefixes[field]+"2:"):
		return "b"
	}
	return q.Remote
}

// requests returns what the devices were asked since a request, oldest first.
func (r *labRig) requests(after uint64) (list []request, err error) {
	for {
		var page struct{ Requests []request }
		if err := r.sim(http.MethodGet, fmt.Sprintf("/journal?limit=20000&after_request=%d&after_change=1000000000", after), nil, &page); err != nil {
			return nil, err
		}
		if len(page.Requests) == 0 {
			return list, nil
		}
		list = append(list, page.Requests...)
		after = list[len(list)-1].Seq
	}
}

// truth is what the devices say about one run.
type truth struct {
	silence time.Duration // the longest any Modbus device was not asked
	pollers time.Duration // how long two nodes polled by turns
	writes  int           // that reached a device
	stale   int           // of them, those of a term older than one that had written before
	both    int           // times a term wrote on after an older one had written: two wrote at once
}

// judge goes through the requests of a run. epochs are the terms in which the values were written, where an answer told.
func judge(list []request, epochs map[string]uint64) truth {
	var tr truth
	last := map[string]request{}
	polls := map[string][]handOver{}
	newest, previous := uint64(0), uint64(0)
	for _, q := range list {
		p, known := last[q.Device]
		if known && q.Device != "mixer" {
			tr.silence = max(tr.silence, q.Time.Sub(p.Time))
		}
		if known && p.node() != q.node() {
			polls[q.Device] = append(polls[q.Device], handOver{q.Time, p.node(), q.node()})
		}
		last[q.Device] = q
		if !q.Write {
			continue
		}
		tr.writes++
		if epoch, known := epochs[q.text()]; known {
			switch {
			case epoch < newest:
				tr.stale++
			case epoch == newest && previous < newest:
				tr.both++
			}
			newest, previous = max(newest, epoch), epoch
		}
	}
	for _, turns := range polls {
		tr.pollers = max(tr.pollers, longestOverlap(turns))
	}
	return tr
}

// story tells who wrote when and in which term.
func story(list []request, epochs map[string]uint64) string {
	var b strings.Builder
	for _, q := range list {
		if q.Write {
			fmt.Fprintf(&b, " %s %s/%d", q.Time.Format("05.000"), q.node(), epochs[q.text()])
		}
	}
	return b.String()
}

// quantile returns the value below or at which the part p of the values lies (nearest rank), 0 of none.
func quantile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(p*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func TestJudge(t *testing.T) {
	at := func(ms int, node, value string) request {
		last := map[string]string{"a": "1", "b": "2"}[node]
		q := request{Time: time.UnixMilli(int64(ms)), Device: "plc1", Remote: prefixes[field] + last + ":4711", Write: value != ""}
		for i := 0; i+1 < len(value); i += 2 {
			q.Values = append(q.Values, uint16(value[i])<<8|uint16(value[i+1]))
		}
		return q
	}
	epochs := map[string]uint64{"a001": 1, "a002": 1, "b001": 2, "b002": 2, "a003": 3}
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		list []request
		want truth
	}{
		{"nothing", nil, truth{}},
		{"a take-over", []request{at(0, "a", "a001"), at(100, "a", ""), at(700, "b", ""), at(800, "b", "b001")}, truth{silence: 600 * ms, writes: 2}},
		{"both read, one writes", []request{at(0, "a", ""), at(50, "b", "b001"), at(100, "a", ""), at(150, "b", "b002")}, truth{silence: 50 * ms, pollers: 50 * ms, writes: 2}},
		{"there and back", []request{at(0, "a", "a001"), at(300, "b", "b001"), at(600, "a", "a003")}, truth{silence: 300 * ms, writes: 3}},
		{"both write", []request{at(0, "a", "a001"), at(300, "b", "b001"), at(600, "a", "a002"), at(900, "b", "b002")}, truth{silence: 300 * ms, writes: 4, stale: 1, both: 1}},
		{"an old term goes on", []request{at(0, "a", "a001"), at(300, "b", "b001"), at(600, "a", "a002")}, truth{silence: 300 * ms, writes: 3, stale: 1}},
	} {
		if got := judge(c.list, epochs); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
