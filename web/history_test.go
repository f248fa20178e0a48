package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/web/api"
)

// past is a backend whose history is what a test gives out.
type past struct {
	*fake
	answer func(ctx context.Context, q api.HistoryQuery, give func(api.Series) error) (string, error)
	slow   func() // of previews
}

func (p past) PreviewAlarm(ctx context.Context, r api.PreviewRequest) (api.Preview, error) {
	p.slow()
	return p.fake.PreviewAlarm(ctx, r)
}

func (p past) History(ctx context.Context, q api.HistoryQuery, give func(api.Series) error) (string, error) {
	return p.answer(ctx, q, give)
}

func pastRig(t *testing.T, p past, run func(*rig)) {
	bubble(t, p.fake, func(r *rig) {
		synctest.Wait() // what reads the backend at its start has done so
		r.s.backend = p
		run(r)
	})
}

// pieceOf is a piece of n samples.
func pieceOf(name string, from time.Time, n int) api.Series {
	s := api.Series{Tag: name, Unit: "m³/h <dry>", Samples: make([]api.Sample, n)}
	for i := range s.Samples {
		at := from.Add(time.Duration(i) * time.Second)
		s.Samples[i] = api.Sample{Time: &at, Value: float64(i) / 7, Quality: "Good"}
	}
	return s
}

// TestHistoryIsWrittenAsItComes: what comes in pieces is the JSON of the whole, compressed or not, short or long.
func TestHistoryIsWrittenAsItComes(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, x := range map[string]struct {
		pieces []api.Series
		next   string
	}{
		"nothing":      {},
		"no samples":   {pieces: []api.Series{pieceOf("a/x", at, 0), pieceOf("a/y", at, 0)}},
		"few":          {pieces: []api.Series{pieceOf("a/x", at, 3), pieceOf("a/y", at, 1)}, next: "bmV4dA"},
		"two pieces":   {pieces: []api.Series{pieceOf("a/x", at, 100), pieceOf("a/x", at.Add(time.Hour), 129), pieceOf("a/y", at, 0)}},
		"more than 64": {pieces: []api.Series{pieceOf("a/x", at, 5000), pieceOf("a/x", at, 1), pieceOf("a/y", at, 5000)}, next: "bmV4dA"},
	} {
		want := api.History{From: at, To: at.Add(time.Hour), Series: []api.Series{}, Next: x.next}
		for _, p := range x.pieces {
			if n := len(want.Series); n > 0 && want.Series[n-1].Tag == p.Tag {
				want.Series[n-1].Samples = append(want.Series[n-1].Samples, p.Samples...)
				continue
			}
			want.Series = append(want.Series, p)
		}
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(want); err != nil {
			t.Fatal(err)
		}
		p := past{fake: newFake("a", float("a/x"), float("a/y")), answer: func(_ context.Context, _ api.HistoryQuery, give func(api.Series) error) (string, error) {
			for _, s := range x.pieces {
				if err := give(s); err != nil {
					return "", err
				}
			}
			return x.next, nil
		}}
		pastRig(t, p, func(r *rig) {
			const path = "/api/v1/history?tag=a/x&tag=a/y&from=2026-11-22T12:00:00Z&to=2026-11-22T13:00:00Z"
			a := r.do("GET", path, "", append(bearer("tok-viewer"), "Accept-Encoding", "identity")...)
			if a.status != 200 || a.body != text.String() || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %d %v\n%.300s\nwant\n%.300s", name, a.status, a.header, a.body, text.String())
			}
			a = r.do("GET", path, "", append(bearer("tok-viewer"), "Accept-Encoding", "gzip")...)
			if a.header.Get("Content-Encoding") == "gzip" {
				z, err := gzip.NewReader(bytes.NewReader([]byte(a.body)))
				if err != nil {
					t.Fatal(err)
				}
				plain, err := io.ReadAll(z)
				if a.body = string(plain); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			} else if text.Len() >= gzipFrom {
				t.Errorf("%s: not compressed", name)
			}
			if a.body != text.String() {
				t.Errorf("%s, compressed: %.300s", name, a.body)
			}
		})
	}
}

// drain is a response writer that keeps nothing.
type drain struct {
	header http.Header
	bytes  int64
}

func (d *drain) Header() http.Header { return d.header }
func (d *drain) WriteHeader(int)     {}
func (d *drain) Write(b []byte) (int, error) {
	d.bytes += int64(len(b))
	return len(b), nil
}

// TestHistoryIsNotHeldInMemory gives out the largest answer there is of 64 tags, 45 MB of JSON.
func TestHistoryIsNotHeldInMemory(t *testing.T) {
	defs := make([]tag.Definition, maxHistoryTags)
	query := ""
	for i := range defs {
		defs[i] = float(fmt.Sprintf("a/%02d", i))
		query += "&tag=" + defs[i].Name
	}
	piece := pieceOf("", time.Unix(1e9, 0).UTC(), 10_000)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var before, most int64
	p := past{fake: newFake("a", defs...), answer: func(_ context.Context, q api.HistoryQuery, give func(api.Series) error) (string, error) {
		before = heap()
		for i, name := range q.Tags {
			if piece.Tag = name; i%16 == 15 {
				most = max(most, heap()-before)
			}
			if err := give(piece); err != nil {
				return "", err
			}
		}
		return "", nil
	}}
	pastRig(t, p, func(r *rig) {
		out := &drain{header: http.Header{}}
		req := httptest.NewRequest("GET", "http://a.test/api/v1/history?from=-1h&limit=100000"+query, nil)
		req.Header.Set("Authorization", "Bearer tok-viewer")
		r.s.handler.ServeHTTP(out, req)
		t.Logf("%d bytes sent, %d in memory", out.bytes, most)
		if most > 1<<20 || out.bytes < 40<<20 {
			t.Errorf("%d bytes in memory, %d sent", most, out.bytes)
		}
	})
}

// TestABrokenAnswerIsSeen: an error after a part was sent must not pass for the whole; one before is told as one.
func TestABrokenAnswerIsSeen(t *testing.T) {
	for rows, broken := range map[int]bool{10: false, 5000: true} {
		p := past{fake: newFake("a", float("a/x")), answer: func(_ context.Context, q api.HistoryQuery, give func(api.Series) error) (string, error) {
			return "", errors.Join(give(pieceOf("a/x", q.From, rows)), errors.New("the disk"))
		}}
		pastRig(t, p, func(r *rig) {
			req, err := http.NewRequest("GET", "http://a.test/api/v1/history?tag=a/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer tok-viewer")
			resp, err := r.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			if want := map[bool]int{false: 500, true: 200}[broken]; resp.StatusCode != want || (err != nil) != broken {
				t.Errorf("%d samples, then an error: %d, %v", rows, resp.StatusCode, err)
			}
		})
	}
}

// TestAnswersAreBoundedTogether: what all answers of all users take together is bounded, one user leaves half of it to the
// others, and who waits gets what is given back.
func TestAnswersAreBoundedTogether(t *testing.T) {
	var begun, let chan struct{}
	p := past{fake: newFake("a", float("a/x")), answer: func(context.Context, api.HistoryQuery, func(api.Series) error) (string, error) {
		begun <- struct{}{}
		<-let
		return "", nil
	}}
	pastRig(t, p, func(r *rig) {
		begun, let = make(chan struct{}), make(chan struct{}) // of the bubble: time goes on while they are waited for
		const path = "/api/v1/history?tag=a/x"
		done := make(chan answer, 100)
		ask := func(token string) { go func() { done <- r.do("GET", path, "", bearer(token)...) }() }
		for _, token := range []string{"tok-viewer", "tok-operator"} {
			for range maxAnswers / pieceSize / 2 {
				ask(token)
				<-begun
			}
			if a := r.do("GET", path, "", bearer(token)...); a.status != 429 {
				t.Errorf("%s has half of it and asks for more: %d", token, a.status)
			}
		}
		if a := r.do("GET", path, "", bearer("tok-engineer")...); a.status != 429 {
			t.Errorf("one too many: %d %s", a.status, a.body)
		}
		ask("tok-engineer")
		synctest.Wait()
		let <- struct{}{}
		<-begun // the engineer's
		for range maxAnswers / pieceSize {
			let <- struct{}{}
		}
		for range maxAnswers/pieceSize + 1 {
			if a := <-done; a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
		r.s.answers.mu.Lock()
		defer r.s.answers.mu.Unlock()
		if a := r.s.answers; a.left != maxAnswers || len(a.taken) != 0 {
			t.Errorf("left %d, taken %v", a.left, a.taken)
		}
	})
}

// TestPreviewsAreBounded: each has all its samples in memory, so there are two at a time, of two users.
func TestPreviewsAreBounded(t *testing.T) {
	var begun, let chan struct{}
	p := past{fake: newFake("a", float("a/x")), slow: func() { begun <- struct{}{}; <-let }}
	pastRig(t, p, func(r *rig) {
		begun, let = make(chan struct{}), make(chan struct{})
		done := make(chan answer, 2)
		ask := func(token string) answer {
			return r.do("POST", "/api/v1/alarms/preview", `{"alarm":"high","from":"2026-11-22T12:00:00Z","to":"2026-11-22T13:00:00Z"}`, bearer(token)...)
		}
		for _, token := range []string{"tok-operator", "tok-engineer"} {
			go func() { done <- ask(token) }()
			<-begun
		}
		for _, token := range []string{"tok-operator", "tok-admin"} {
			if a := ask(token); a.status != 429 {
				t.Errorf("a third one by %s: %d %s", token, a.status, a.body)
			}
		}
		for range 2 {
			let <- struct{}{}
			if a := <-done; a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
	})
}

// TestEveryAnswerHasItsShare: the largest request there may be fits into what one user may take, and is counted for what it is.
func TestEveryAnswerHasItsShare(t *testing.T) {
	from := time.Unix(1e9, 0)
	for _, x := range []struct {
		q           api.HistoryQuery
		least, most int64
	}{
		{api.HistoryQuery{Limit: maxHistoryRows}, pieceSize, pieceSize},
		{api.HistoryQuery{Points: 1000}, 1 << 20, 2 << 20},
		{api.HistoryQuery{Points: maxPoints}, 8 << 20, 10 << 20},
		{api.HistoryQuery{Aggregate: "Average", Step: time.Second, From: from, To: from.Add(maxIntervals * time.Second)}, 60 << 20, maxAnswers / 2},
		{api.HistoryQuery{Aggregate: "Average", From: from, To: from.Add(time.Hour)}, pieceSize, pieceSize},
	} {
		if n := answerSize(x.q); n < x.least || n > x.most {
			t.Errorf("%+v: %d bytes", x.q, n)
		}
	}
}
