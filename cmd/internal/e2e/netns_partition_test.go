//go:build e2e && linux

package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"scada/web/api"
)

var partitionFor = flag.Duration("campaign.partition", 3*time.Second, "how long TestPartition keeps the nodes apart")

// TestPartition cuts both paths for a long time while alarms come and go, operators acknowledge, comment and shelve on
// both nodes and both record values, and proves that after the healing both nodes have every record of both sides once.
func TestPartition(t *testing.T) {
	needNamespaces(t)
	r := newLabRig(t, defaultSetting, false)
	r.start()
	active, _, err := r.settled(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	load := r.startLoad()
	cut := time.Now()
	r.lab.must(r.lab.cable(active, false, lan, ded))
	r.waitActive(other(active), 20*time.Second)
	acts := r.operate(time.Now().Add(*partitionFor))
	load.pause(true)
	load.end()
	time.Sleep(3 * time.Second) // the last alarms are in both journals
	apart := time.Now()
	before := map[string]*records{"a": r.records("a", cut, apart), "b": r.records("b", cut, apart)}
	began := time.Now()
	r.lab.must(r.lab.cable(active, true, lan, ded))
	kept := r.healed(began)
	healed := time.Since(began) - quiet
	after := map[string]*records{"a": r.records("a", cut, apart), "b": r.records("b", cut, apart)}
	for _, node := range []string{"a", "b"} {
		for side, had := range before {
			had.within(t, after[node], side, node)
		}
		after[node].once(t, node)
	}
	if a, b := after["a"].digest(), after["b"].digest(); a != b {
		t.Errorf("the digests differ: %x and %x\n%s", a, b, after["a"].difference(after["b"]))
	}
	merged := after["a"]
	t.Logf("apart for %s; %d commands on a, %d on b; journal: %d entries on a, %d on b, %d together; samples: %d on a, %d on b, %d together; whole again after %s, active is %s",
		apart.Sub(cut).Round(time.Second), acts["a"], acts["b"], len(before["a"].entries), len(before["b"].entries), len(merged.entries),
		before["a"].samples, before["b"].samples, merged.samples, healed.Round(time.Millisecond), kept)
	for _, node := range []string{"a", "b"} {
		if acts[node] == 0 {
			t.Errorf("no operator did anything on %s: it proves nothing", node)
		}
	}
}

// quiet is how long the pair must have been whole: a node says that it is ready from what it found out up to a second ago,
// and roles may move once more while half an hour of samples is being copied.
const quiet = 3 * time.Second

// healed waits until the pair has been whole for a while and nothing is left to be copied, and returns the active node.
func (r *labRig) healed(since time.Time) string {
	r.t.Helper()
	whole, kept := time.Time{}, ""
	for time.Since(since) < 10*time.Minute {
		active, _, err := r.agreed()
		if err == nil {
			n, _, selfErr := r.self(other(active)) // it is the standby that compares
			if selfErr != nil || n.Backfill.Remaining > 0 || n.Backfill.VerifiedAt == nil || n.Backfill.VerifiedAt.Before(since) {
				err = errors.Join(selfErr, errNotSeen)
			}
		}
		switch {
		case err != nil || active != kept:
			whole, kept = time.Now(), active
		case time.Since(whole) > quiet:
			return kept
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.t.Fatal("the pair did not become whole again")
	return ""
}

// operate acknowledges, comments and shelves on both nodes by turns, as either sees the alarms, until a moment and something
// was done on both, and returns how many commands took effect on each.
func (r *labRig) operate(until time.Time) map[string]int {
	did := map[string]int{}
	for i := 0; time.Now().Before(until) || min(did["a"], did["b"]) == 0 && time.Now().Before(until.Add(watchWithin)); i++ {
		time.Sleep(200*time.Millisecond + rand.N(800*time.Millisecond))
		node := []string{"a", "b"}[i%2]
		var list api.Alarms
		if err := r.call(node, http.MethodGet, "/api/v1/alarms?limit=1000", nil, &list); err != nil {
			r.t.Errorf("the alarms of %s: %v", node, err)
			return did
		}
		if len(list.Alarms) == 0 {
			continue
		}
		alarm := list.Alarms[rand.N(len(list.Alarms))]
		command := api.AlarmAck
		cmd := api.AlarmCommand{Alarms: []api.AlarmRef{{ID: alarm.ID}}, Comment: fmt.Sprintf("seen on %s at %s", node, time.Now().Format("15:04:05.000"))}
		switch rand.N(10) {
		case 0, 1, 2:
			command = api.AlarmComment
		case 3:
			command, cmd.ForS = api.AlarmShelve, 5
		}
		var res api.AlarmResults
		if err := r.call(node, http.MethodPost, "/api/v1/alarms/"+command, cmd, &res); err == nil && len(res.Results) == 1 && res.Results[0].Done() {
			did[node]++
		}
	}
	return did
}

// records are what a node has of a stretch of time: the entries of its journal by id, and of each tag how often it has
// which sample.
type records struct {
	entries map[string][]string // id to the entries with it
	tags    map[string]map[uint64]int
	samples int
}

// hashSeed makes the samples of both nodes comparable.
var hashSeed = maphash.MakeSeed()

func (r *labRig) records(node string, from, to time.Time) *records {
	r.t.Helper()
	rec := &records{entries: map[string][]string{}, tags: map[string]map[uint64]int{}}
	q := url.Values{"limit": {"1000"}, "from": {from.Format(time.RFC3339Nano)}, "to": {to.Format(time.RFC3339Nano)}}
	for {
		var page api.Journal
		if err := r.call(node, http.MethodGet, "/api/v1/journal?"+q.Encode(), nil, &page); err != nil {
			r.t.Fatal(err)
		}
		for _, e := range page.Entries {
			b, err := json.Marshal(e)
			r.lab.must(err)
			rec.entries[e.ID] = append(rec.entries[e.ID], string(b))
		}
		if page.Next == "" {
			break
		}
		q.Set("cursor", page.Next)
	}
	var tags api.Tags
	if err := r.call(node, http.MethodGet, "/api/v1/tags?limit=1000", nil, &tags); err != nil {
		r.t.Fatal(err)
	}
	for _, tag := range tags.Tags {
		set := map[uint64]int{}
		for _, s := range r.samplesOf(node, tag.Name, from, to) {
			set[maphash.String(hashSeed, sampleText(s))]++
			rec.samples++
		}
		rec.tags[tag.Name] = set
	}
	return rec
}

// within checks that another set of records has all of these.
func (rec *records) within(t *testing.T, all *records, side, node string) {
	t.Helper()
	missing, lost := 0, 0
	for id, list := range rec.entries {
		if len(all.entries[id]) == 0 {
			if missing++; missing <= 5 {
				t.Errorf("%s has lost an entry of %s: %s", node, side, list[0])
			}
		}
	}
	for tag, set := range rec.tags {
		for sample := range set {
			if all.tags[tag][sample] == 0 {
				lost++
			}
		}
	}
	if missing+lost > 0 {
		t.Errorf("%s lacks %d entries and %d samples that %s had", node, missing, lost, side)
	}
}

// once checks that no record is there twice.
func (rec *records) once(t *testing.T, node string) {
	t.Helper()
	for id, list := range rec.entries {
		if len(list) > 1 {
			t.Errorf("%s has entry %s %d times: %v", node, id, len(list), list)
		}
	}
	twice := 0
	for _, set := range rec.tags {
		for _, n := range set {
			twice += n - 1
		}
	}
	if twice > 0 {
		t.Errorf("%s has %d samples twice", node, twice)
	}
}

// digest is one number for everything there is.
func (rec *records) digest() [sha256.Size]byte {
	var lines []string
	for _, list := range rec.entries {
		lines = append(lines, list...)
	}
	for tag, set := range rec.tags {
		for sample, n := range set {
			lines = append(lines, fmt.Sprint(tag, sample, n))
		}
	}
	slices.Sort(lines)
	return sha256.Sum256([]byte(strings.Join(lines, "\n")))
}

// difference tells where two sets of records differ, for people.
func (rec *records) difference(o *records) string {
	var b strings.Builder
	for id, list := range rec.entries {
		if !slices.Equal(list, o.entries[id]) {
			fmt.Fprintf(&b, "entry %v against %v\n", list, o.entries[id])
		}
	}
	for id, list := range o.entries {
		if len(rec.entries[id]) == 0 {
			fmt.Fprintf(&b, "no entry against %v\n", list)
		}
	}
	for tag, set := range rec.tags {
		if len(set) != len(o.tags[tag]) {
			fmt.Fprintf(&b, "%s: %d and %d samples\n", tag, len(set), len(o.tags[tag]))
		}
	}
	const most = 4000
	return b.String()[:min(b.Len(), most)]
}
