package server

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"

	"scada/acquisition/tag"
	"scada/history/journal"
	"scada/redundancy/role"
)

const exportSection = `history:
  export: [{name: longterm, url: "http://10.0.9.9:80/api/v1/write", labels: {site: north}, tags: [counter, level]}]
`

// slowPlant is a plant in which little happens: minutes of it are cheap.
var slowPlant = strings.NewReplacer("{fast: 100ms}", "{fast: 1s}", "{hold_off: 3s}", "{hold_off: 3s, heartbeat: 500ms}").Replace(bubblePlant)

// columns is an engine that keeps what it is sent, as tag and milliseconds.
type columns struct {
	mu     sync.Mutex
	has    map[string]float64
	down   bool
	poison string // of this tag nothing is taken
	wrong  error
}

func (e *columns) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		body, err = s2.Decode(nil, body)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	got := map[string]float64{}
	fields(body, func(series []byte) {
		var name string
		fields(series, func(b []byte) {
			if _, kind, _ := protowire.ConsumeTag(b); kind == protowire.BytesType { // a label: two texts
				var pair []string
				fields(b, func(text []byte) { pair = append(pair, string(text)) })
				if pair[0] == "tag" {
					name = pair[1]
				}
				return
			}
			bits, n := protowire.ConsumeFixed64(b[1:])
			ms, _ := protowire.ConsumeVarint(b[1+n+1:])
			got[fmt.Sprintf("%s %d", name, ms)] = math.Float64frombits(bits)
		})
	})
	for k, v := range got {
		if e.poison != "" && strings.HasPrefix(k, e.poison) {
			http.Error(w, "a bad sample", http.StatusBadRequest)
			return
		}
		if old, ok := e.has[k]; ok && old != v {
			e.wrong = fmt.Errorf("%s was %v and is %v", k, old, v)
		}
	}
	for k, v := range got {
		e.has[k] = v
	}
	if err != nil {
		e.wrong = err
	}
}

// fields visits the fields of a message that have bytes.
func fields(b []byte, visit func([]byte)) {
	for len(b) > 0 {
		_, _, n := protowire.ConsumeTag(b)
		text, m := protowire.ConsumeBytes(b[n:])
		if n < 0 || m < 0 {
			return
		}
		visit(text)
		b = b[n+m:]
	}
}

func exportBubble(t *testing.T, plant string, f func(w *world, e *columns)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, plant, nil)
		e := &columns{has: map[string]float64{}}
		l, err := w.net.Host("engine").Listen("tcp", "10.0.9.9:80")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: e}
		done := make(chan struct{})
		go func() { defer close(done); _ = srv.Serve(l) }()
		defer func() {
			w.end()
			_ = srv.Close()
			<-done
		}()
		f(w, e)
	})
}

// exported checks that the engine has exactly what the archive of a node has of the tags, up to a moment.
func (w *world) exported(e *columns, node string, to time.Time, tags ...string) func() error {
	return func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		want := map[string]float64{}
		for _, name := range tags {
			if _, err := w.node[node].store.NewReader().Each(w.t.Context(), name, 0, to.UnixNano(), func(list []tag.Sample) (bool, error) {
				for _, x := range list {
					if !x.Quality.IsBad() {
						want[fmt.Sprintf("%s %d", name, x.Time/1e6)] = x.Value.Number()
					}
				}
				return true, nil
			}); err != nil {
				return err
			}
		}
		for k, v := range want {
			if got, ok := e.has[k]; !ok || got != v {
				return fmt.Errorf("the engine has %d, want %d and perhaps the last seconds; of %s it has %v (%v), want %v", len(e.has), len(want), k, got, ok, v)
			}
		}
		for k := range e.has {
			var ms int64
			if _, err := fmt.Sscanf(k[strings.LastIndex(k, " ")+1:], "%d", &ms); err != nil {
				return err
			}
			if _, ok := want[k]; !ok && ms < to.UnixMilli() {
				return fmt.Errorf("the engine has %s, the archive has not", k)
			}
		}
		return e.wrong
	}
}

func (w *world) target(node string) func() (sending bool, countsTo time.Time, sent uint64) {
	return func() (bool, time.Time, uint64) {
		list := w.node[node].historyTargets().Targets
		if len(list) != 1 {
			w.t.Fatalf("%+v", list)
		}
		var to time.Time
		if list[0].CountsTo != nil {
			to = *list[0].CountsTo
		}
		return list[0].Sending, to, list[0].SentSamples
	}
}

// TestExportThroughATakeOver: the engine has the whole archive, whoever was active, and the other node knows what it has.
func TestExportThroughATakeOver(t *testing.T) {
	exportBubble(t, slowPlant+exportSection, func(w *world, e *columns) {
		w.ready()
		time.Sleep(2 * time.Minute)
		if err := w.exported(e, "a", time.Now().Add(-10*time.Second), "counter", "level")(); err != nil {
			t.Error(err)
		}
		sendingA, toA, _ := w.target("a")()
		sendingB, toB, sentB := w.target("b")()
		if !sendingA || sendingB || toA.IsZero() || toA != toB || sentB == 0 || time.Since(toA) < time.Minute || time.Since(toA) > 80*time.Second {
			t.Errorf("a sends %v, counts to %s; b sends %v, counts to %s; now it is %s", sendingA, toA, sendingB, toB, time.Now())
		}
		e.mu.Lock()
		e.down = true
		e.mu.Unlock()
		time.Sleep(70 * time.Second)
		if h := w.node["a"].assess(); !strings.Contains(strings.Join(h.Reasons, "; "), "export target longterm takes no samples since") || h.Score != 0 {
			t.Errorf("%+v", h)
		}
		if err := w.stopDead("a"); err != nil {
			t.Fatal(err)
		}
		w.within(5*time.Second, "b is active", w.roleIs("b", role.Active))
		e.mu.Lock()
		e.down = false
		e.mu.Unlock()
		time.Sleep(30 * time.Second)
		w.net.Power("a", true)
		w.start("a")
		time.Sleep(time.Until(time.Now().Truncate(10 * time.Minute).Add(13*time.Minute + 30*time.Second))) // the window is over and looked at
		w.sameArchives()
		for _, node := range []string{"a", "b"} {
			w.within(2*time.Minute, "the engine has all "+node+" has", w.exported(e, node, time.Now().Add(-10*time.Second), "counter", "level"))
		}
	})
}

// TestExportChangesWhileItRuns: a target comes with a deployment, another one restarts nothing, and what is gone is forgotten.
func TestExportChangesWhileItRuns(t *testing.T) {
	exportBubble(t, slowPlant, func(w *world, e *columns) {
		w.ready()
		if n := len(w.node["a"].historyTargets().Targets); n != 0 {
			t.Errorf("%d targets", n)
		}
		w.deploy("a", slowPlant+exportSection)
		time.Sleep(20 * time.Second)
		if err := w.exported(e, "a", time.Now().Add(-10*time.Second), "counter", "level")(); err != nil {
			t.Error(err)
		}
		second := strings.Replace(exportSection, "]}]", `]}, {name: second, url: "http://10.0.9.10:80"}]`, 1)
		w.deploy("a", slowPlant+second)
		time.Sleep(20 * time.Second)
		for _, x := range w.node["a"].historyTargets().Targets {
			if failing := x.Name == "second"; !x.Sending || (x.Failed > 0) != failing || x.Rewinds != 0 {
				t.Errorf("%+v", x)
			}
		}
		w.deploy("a", slowPlant+strings.Replace(exportSection, "[counter, level]", "[trip]", 1))
		w.deploy("a", slowPlant)
		e.mu.Lock()
		n := len(e.has)
		e.mu.Unlock()
		time.Sleep(20 * time.Second)
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.has) != n || len(w.node["b"].exporter().states) != 0 {
			t.Errorf("%d samples came to an engine that is not configured, %d targets are left", len(e.has)-n, len(w.node["b"].exporter().states))
		}
	})
}

// TestExportThatIsRefused: what an engine calls wrong is left out, counted on both nodes and told.
func TestExportThatIsRefused(t *testing.T) {
	exportBubble(t, slowPlant+exportSection, func(w *world, e *columns) {
		e.mu.Lock()
		e.poison = "level"
		e.mu.Unlock()
		w.ready()
		time.Sleep(130 * time.Second)
		if err := w.exported(e, "a", time.Now().Add(-10*time.Second), "counter")(); err != nil {
			t.Error(err)
		}
		for _, node := range []string{"a", "b"} {
			x := w.node[node].historyTargets().Targets[0]
			if x.ParkedSamples == 0 || len(x.Parked) == 0 || x.Parked[0].Reason != "a bad sample" || x.Parked[0].Tag != "level" {
				t.Errorf("%s: %+v", node, x)
			}
			if h := w.node[node].assess(); !strings.Contains(strings.Join(h.Reasons, "; "), "export target longterm has called samples wrong") {
				t.Errorf("%s: %v", node, h.Reasons)
			}
			page, err := w.node[node].journal.Query(journal.Query{Limit: journal.MaxPage})
			if err != nil {
				t.Fatal(err)
			}
			told := 0
			for _, x := range page.Entries {
				if x.Kind == "history-export-parked" {
					told++
				}
			}
			if told < 2 || told > 3 {
				t.Errorf("the journal of %s tells it %d times", node, told)
			}
		}
	})
}
