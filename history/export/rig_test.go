package export

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"

	"scada/acquisition/tag"
	"scada/simulators/memnet"
)

// shelf is an archive in memory.
type shelf struct {
	mu      sync.Mutex
	samples map[string][]tag.Sample // in order
	gone    int64                   // what is before it was removed
	lacks   string                  // tag of which Latest has nothing
}

func (s *shelf) add(name string, at time.Time, v float64) {
	s.put(name, tag.Sample{Time: at.UnixNano(), Value: tag.Float64(v)})
}

func (s *shelf) put(name string, x tag.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.samples[name]
	i, _ := slices.BinarySearchFunc(list, x, func(a, b tag.Sample) int { return int(a.Time - b.Time) })
	s.samples[name] = slices.Insert(list, i, x)
}

func (s *shelf) drop(before int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = before
	for name, list := range s.samples {
		s.samples[name] = slices.DeleteFunc(list, func(x tag.Sample) bool { return x.Time < before })
	}
}

func (s *shelf) Oldest() (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := int64(math.MaxInt64)
	for _, list := range s.samples {
		if len(list) > 0 {
			oldest = min(oldest, list[0].Time)
		}
	}
	const day = 24 * int64(time.Hour)
	return max(oldest/day*day, s.gone), oldest != math.MaxInt64
}

func (s *shelf) Windows(_ context.Context, from, to int64) ([]WindowState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[int64]*WindowState{}
	for name, list := range s.samples {
		for _, x := range list {
			w := x.Time / windowNanos * windowNanos
			if w < from || w >= to {
				continue
			}
			if all[w] == nil {
				all[w] = &WindowState{Start: w}
			}
			all[w].Samples++
			var h sum
			h.add([]point{{x.Time + int64(len(name)), x.Value.Number()}})
			all[w].Digest += h.hash | 1<<32
		}
	}
	var out []WindowState
	for _, w := range all {
		out = append(out, *w)
	}
	slices.SortFunc(out, func(a, b WindowState) int { return int(a.Start - b.Start) })
	return out, nil
}

func (s *shelf) Each(_ context.Context, name string, from, to int64, visit func([]tag.Sample) (bool, error)) error {
	s.mu.Lock()
	var out []tag.Sample
	for _, x := range s.samples[name] {
		if x.Time >= from && x.Time < to {
			out = append(out, x)
		}
	}
	s.mu.Unlock()
	for len(out) > 0 {
		n := min(len(out), 1+rand.IntN(100))
		if more, err := visit(out[:n]); err != nil || !more {
			return err
		}
		out = out[n:]
	}
	return nil
}

func (s *shelf) Latest(ctx context.Context, name string, from, to int64, visit func([]tag.Sample) (bool, error)) error {
	s.mu.Lock()
	lacks := s.lacks
	s.mu.Unlock()
	if lacks == name {
		return nil
	}
	return s.Each(ctx, name, from, to, visit)
}

type stored struct {
	value float64
	at    time.Time
}

// engine takes remote writes, and says yes before they are durable.
type engine struct {
	t    testing.TB
	net  *memnet.Network
	srv  *http.Server
	idle time.Duration // after which a connection is closed; 0: never

	mu       sync.Mutex
	has      map[string]stored // labels and time -> value
	requests int
	writes   int // samples taken, again or not
	order    bool
	newest   map[string]int64
	say      func(samples []received) (status int, header, text string) // nil: yes
}

type received struct {
	series string
	millis int64
	value  float64
}

const (
	engineAddress = "10.0.0.9:80"
	flushAfter    = 7 * time.Second
)

func (e *engine) start() {
	l, err := e.net.Host("engine").Listen("tcp", engineAddress)
	if err != nil {
		e.t.Fatal(err)
	}
	e.srv = &http.Server{Handler: e, IdleTimeout: e.idle}
	go e.srv.Serve(l)
}

// startAnew ends it in order, and then it closes what is idle for so long.
func (e *engine) startAnew(idle time.Duration) {
	synctest.Wait() // it listens
	e.srv.Close()
	e.idle = idle
	e.start()
}

// kill ends the engine, and what it took lately is lost.
func (e *engine) kill() {
	e.srv.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, v := range e.has {
		if time.Since(v.at) < flushAfter {
			delete(e.has, k)
		}
	}
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	plain, bad := s2.Decode(nil, body)
	if err != nil || bad != nil || r.Header.Get("Content-Encoding") != "snappy" || r.Header.Get("X-Prometheus-Remote-Write-Version") != "0.1.0" {
		e.t.Errorf("a request that can't be read: %v, %v", err, bad)
	}
	samples, err := decodeRequest(plain)
	if err != nil {
		e.t.Errorf("a request that can't be decoded: %v", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests++
	if e.say != nil {
		if status, header, text := e.say(samples); status != 0 {
			if name, value, ok := strings.Cut(header, ": "); ok {
				w.Header().Set(name, value)
			}
			http.Error(w, text, status)
			return
		}
	}
	for _, x := range samples {
		k := fmt.Sprintf("%s %d", x.series, x.millis)
		if old, ok := e.has[k]; ok && old.value != x.value {
			e.t.Errorf("%s was %v and is %v", k, old.value, x.value)
		} else if !ok {
			e.has[k] = stored{x.value, time.Now()}
		}
		if e.order && x.millis < e.newest[x.series] {
			e.t.Errorf("%s comes after one of %d", k, e.newest[x.series])
		}
		e.newest[x.series] = x.millis
		e.writes++
	}
	w.WriteHeader(http.StatusNoContent)
}

// decodeRequest reads a write request as the protocol describes it.
func decodeRequest(b []byte) (out []received, err error) {
	return out, eachField(b, func(series []byte) error {
		var labels []string
		var samples []received
		err := eachMessage(series, func(field protowire.Number, b []byte) error {
			switch field {
			case 1:
				var pair [2]string
				if err := eachMessage(b, func(n protowire.Number, b []byte) error { pair[n-1] = string(b); return nil }); err != nil {
					return err
				}
				if len(labels) > 0 && labels[len(labels)-1] >= pair[0]+"=" {
					return fmt.Errorf("label %s comes after %s", pair[0], labels[len(labels)-1])
				}
				labels = append(labels, pair[0]+"="+pair[1])
			case 2:
				x, err := decodeSample(b)
				if err != nil {
					return err
				}
				samples = append(samples, x)
			}
			return nil
		})
		for _, x := range samples {
			x.series = strings.Join(labels, ",")
			out = append(out, x)
		}
		return err
	})
}

func decodeSample(b []byte) (x received, err error) {
	_, _, n := protowire.ConsumeTag(b)
	v, m := protowire.ConsumeFixed64(b[n:])
	b = b[n+m:]
	_, _, n = protowire.ConsumeTag(b)
	ms, m := protowire.ConsumeVarint(b[n:])
	if n+m != len(b) {
		return x, fmt.Errorf("%d bytes behind a sample", len(b)-n-m)
	}
	return received{millis: int64(ms), value: math.Float64frombits(v)}, nil
}

func eachField(b []byte, visit func([]byte) error) error {
	return eachMessage(b, func(_ protowire.Number, b []byte) error { return visit(b) })
}

func eachMessage(b []byte, visit func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 || kind != protowire.BytesType {
			return fmt.Errorf("tag of kind %d: %w", kind, protowire.ParseError(n))
		}
		text, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		if err := visit(field, text); err != nil {
			return err
		}
		b = b[n+m:]
	}
	return nil
}

// world is an archive, an engine, and the pair's knowledge of what the engine has.
type world struct {
	t       *testing.T
	archive *shelf
	engine  *engine
	tags    []tag.Definition

	mu     sync.Mutex
	state  State
	events []Event
	target *Target
	stop   func()
}

// inBubble runs a test with its own time.
func inBubble(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, archive: &shelf{samples: map[string][]tag.Sample{}}}
		w.engine = &engine{t: t, net: memnet.New(), has: map[string]stored{}, newest: map[string]int64{}}
		for i := range 4 {
			w.tags = append(w.tags, tag.Definition{Name: fmt.Sprintf("line/tag%d", i), Type: tag.TypeFloat64})
		}
		w.engine.start()
		f(w)
		if w.stop != nil {
			w.stop()
		}
		w.engine.srv.Close()
	})
}

// run starts sending, from what counts.
func (w *world) run(change func(*Config)) {
	w.t.Helper()
	c := Config{Name: "long-term", URL: "http://" + engineAddress + "/api/v1/write"}
	if change != nil {
		change(&c)
	}
	target, err := New(Options{
		Config: c, Project: "works", Tags: w.tags, Archive: w.archive, Dial: w.engine.net.Host("node").Dial,
		Load:   func() State { w.mu.Lock(); defer w.mu.Unlock(); return w.state },
		Commit: func(p Step) { w.mu.Lock(); defer w.mu.Unlock(); w.state = w.state.Clone(); w.state.Apply(p) },
		Tell:   func(e Event) { w.mu.Lock(); defer w.mu.Unlock(); w.events = append(w.events, e) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.target = target
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- target.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
		w.stop = nil
	}
}

// record adds a sample a second to each tag for a while.
func (w *world) record(d time.Duration) { w.recordEach(time.Second, d) }

func (w *world) recordEach(period, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(period) {
		for i, def := range w.tags {
			w.archive.add(def.Name, time.Now(), float64(time.Now().Unix()%1000)+float64(i))
		}
	}
}

// complete says whether the engine has exactly what the archive has, but for the last seconds and what is left out.
func (w *world) complete(without int) {
	w.t.Helper()
	w.archive.mu.Lock()
	defer w.archive.mu.Unlock()
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	want, lacking := 0, 0
	for name, list := range w.archive.samples {
		for _, x := range list {
			got, ok := w.engine.has[fmt.Sprintf("__name__=%s,project=works,tag=%s %d", Metric, name, x.Time/1e6)]
			if want++; !ok {
				lacking++
			} else if got.value != x.Value.Number() {
				w.t.Errorf("%s at %d: %v, want %v", name, x.Time, got.value, x.Value.Number())
			}
		}
	}
	if lacking != without || len(w.engine.has) != want-without {
		w.t.Errorf("the engine has %d of %d samples, %d are lacking, want %d", len(w.engine.has), want, lacking, without)
	}
}

// written returns how many samples the engine has taken, again or not.
func (w *world) written() int {
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	return w.engine.writes
}

func (w *world) counted() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}
