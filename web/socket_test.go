package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"scada/acquisition/tag"
	"scada/web/api"
)

func TestSocketRefusesStrangers(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		for text, code := range map[string]int{
			`{"t":"hello"}`: closeUnauthorized, `{"t":"hello","token":"wrong"}`: closeUnauthorized, `{"t":"hello","ticket":"st1.x.y"}`: closeUnauthorized,
			`{"t":"sub","id":1,"glob":"**"}`: closeBadRequest, `hello`: closeBadRequest, `{"t":"hello","enc":"xml","token":"tok-viewer"}`: closeBadRequest,
			`{"t":"steal"}`: closeBadRequest, strings.Repeat(" ", maxControl+1): closeTooBig,
		} {
			s := r.socket()
			s.send(text)
			if got := s.wantClose(); got != code {
				t.Errorf("%.40s: closed with %d, want %d", text, got, code)
			}
		}
		s, began := r.socket(), time.Now()
		if got := s.wantClose(); got != closeTooSlow || time.Since(began) != helloTime {
			t.Errorf("a silent one: %d after %v", got, time.Since(began))
		}
		for _, c := range []struct{ origin, protocol string }{{"http://evil.test", subprotocol}, {"", "chat"}} {
			d := websocket.Dialer{NetDialContext: r.net.dial, Subprotocols: []string{c.protocol}}
			h := http.Header{}
			if c.origin != "" {
				h.Set("Origin", c.origin)
			}
			if _, resp, err := d.Dial("ws://a.test/api/v1/ws", h); !errors.Is(err, websocket.ErrBadHandshake) || resp.StatusCode < 400 {
				t.Errorf("%+v: %v", c, err)
			}
		}
	})
}

func TestSocketSignsInByCookieTicketAndToken(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		_, cookie := r.login("olga", "password-o")
		text, _ := ticket{User: "vera", Node: "b"}.issue(testKey, time.Now())
		for hello, user := range map[string]string{`{"t":"hello"}`: "olga", fmt.Sprintf(`{"t":"hello","ticket":%q}`, text): "vera", `{"t":"hello","token":"tok-admin"}`: "script-admin"} {
			s := r.socket("Origin", "http://b.test")
			if user == "olga" {
				s.close()
				s = r.socket("Cookie", cookie, "Origin", "http://a.test")
			}
			s.send(hello)
			w := s.want("welcome")
			if w["user"] != user || w["server"] != "a" || w["epoch"] != 7.0 || w["hb_ms"] != 1000.0 {
				t.Errorf("%s: %v", hello, w)
			}
			s.close()
		}
	})
}

func TestLogOutEndsTheSocket(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		_, cookie := r.login("olga", "password-o")
		s := r.socket("Cookie", cookie)
		s.send(`{"t":"hello"}`)
		s.want("welcome")
		text, _ := ticket{User: "olga", Node: "b"}.issue(testKey, time.Now())
		byTicket := r.socket()
		byTicket.send(fmt.Sprintf(`{"t":"hello","ticket":%q}`, text))
		byTicket.want("welcome")
		r.do("DELETE", "/api/v1/session", "", "Cookie", cookie)
		if code := s.wantClose(); code != closeUnauthorized {
			t.Errorf("closed with %d", code)
		}
		if err := r.s.SetAccounts(nil, nil); err != nil {
			t.Fatal(err)
		}
		if code := byTicket.wantClose(); code != closeUnauthorized {
			t.Errorf("a user removed: closed with %d", code)
		}
	})
}

func TestSnapshotThenDeltas(t *testing.T) {
	f := newFake("a", tag.Definition{Name: "a/text", Type: tag.TypeString}, float("a/x"), float("a/y"), float("b/z"))
	set(f.plant, "a/x", tag.Float64(1.5), tag.Good)
	set(f.plant, "a/text", tag.String("水"), tag.Good)
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":5,"tags":["a/x","no/such"],"glob":"a/*","page":"overview"}`)
		d := s.want("subd")
		if fmt.Sprint(d["handles"]) != "[[0 a/text  string] [1 a/x % float64] [2 a/y % float64]]" || fmt.Sprint(d["unknown"]) != "[no/such gone]" {
			t.Errorf("subd %v", d)
		}
		if text := s.want("text"); fmt.Sprint(text["values"]) != "[[0 水]]" || text["frame"] != 1.0 {
			t.Errorf("text %v", text)
		}
		snap := s.wantFrame()
		if snap.kind != kindSnapshot || snap.sub != 5 || len(snap.values) != 3 || snap.epoch != 7 || snap.number != 1 || snap.more {
			t.Errorf("snapshot %+v", snap)
		}
		set(f.plant, "b/z", tag.Float64(9), tag.Good)
		set(f.plant, "a/y", tag.Float64(2), tag.BadCommunicationError)
		delta := s.wantFrame()
		if delta.kind != kindDelta || fmt.Sprint(delta.handles, delta.values) != "[2] [2]" || qualityTable()[delta.quals[0]] != "Bad_CommunicationError" {
			t.Errorf("delta %+v", delta)
		}
	})
}

// TestCreditAndCoalescing: two frames in flight, then nothing until an ack, then one frame with the newest of everything.
func TestCreditAndCoalescing(t *testing.T) {
	f := newFake("a", float("a/x"), float("a/y"))
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":1,"glob":"**","min_ms":50}`)
		s.want("subd")
		s.wantFrame()
		set(f.plant, "a/x", tag.Float64(1), tag.Good)
		s.wantFrame()
		beats := 0
		for i := range 50 { // five seconds without credit
			set(f.plant, "a/x", tag.Float64(float64(i)), tag.Good)
			set(f.plant, "a/y", tag.Float64(float64(-i)), tag.Good)
			time.Sleep(100 * time.Millisecond)
		}
		s.send(`{"t":"ack","frame":2}`)
		for {
			kind, data, err := s.conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			if kind == websocket.TextMessage {
				beats++
				continue
			}
			got, err := decodeFrame(data)
			if err != nil || fmt.Sprint(got.handles, got.values) != "[0 1] [49 -49]" || got.number != 3 {
				t.Errorf("merged frame %+v %v", got, err)
			}
			break
		}
		if beats == 0 {
			t.Error("no heartbeat while there was no credit")
		}
		s.send(`{"t":"ack","frame":99}`)
		if code := s.wantClose(); code != closeBadRequest {
			t.Errorf("an ack from the future: %d", code)
		}
	})
}

func TestFramesKeepTheirDistance(t *testing.T) {
	f := newFake("a", float("a/x"))
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":1,"glob":"**","min_ms":700}`)
		s.want("subd")
		s.wantFrame()
		s.send(`{"t":"ack","frame":1}`)
		first := time.Now()
		set(f.plant, "a/x", tag.Float64(1), tag.Good)
		s.wantFrame()
		if got := time.Since(first); got != 700*time.Millisecond {
			t.Errorf("the next frame came after %v", got)
		}
	})
}

func TestALargeSnapshotComesInSeveralFrames(t *testing.T) {
	tags := make([]tag.Definition, maxFrameValues*2+1)
	for i := range tags {
		tags[i] = tag.Definition{Name: fmt.Sprintf("t%06d", i), Type: tag.TypeBool}
	}
	bubble(t, newFake("a", tags...), func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":1,"glob":"**"}`)
		s.want("subd")
		seen := map[uint32]bool{}
		for i, want := range []int{maxFrameValues, maxFrameValues, 1} {
			f := s.wantFrame()
			if len(f.handles) != want || f.more != (i < 2) || f.kind != kindSnapshot {
				t.Fatalf("frame %d: %d values, more %v", i, len(f.handles), f.more)
			}
			for _, h := range f.handles {
				seen[h] = true
			}
			s.send(fmt.Sprintf(`{"t":"ack","frame":%d}`, f.number))
		}
		if len(seen) != len(tags) {
			t.Errorf("%d of %d tags", len(seen), len(tags))
		}
	})
}

func TestLongTextsAreSplit(t *testing.T) {
	var tags []tag.Definition
	for i := range 6 {
		tags = append(tags, tag.Definition{Name: fmt.Sprint("t", i), Type: tag.TypeString})
	}
	f := newFake("a", tags...)
	for i := range tags {
		set(f.plant, tags[i].Name, tag.String(strings.Repeat("x", tag.MaxText)), tag.Good)
	}
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":1,"glob":"**"}`)
		s.want("subd")
		for _, want := range []int{maxFrameText / tag.MaxText, 6 - maxFrameText/tag.MaxText} {
			s.want("text")
			if f := s.wantFrame(); len(f.handles) != want {
				t.Errorf("%d texts in a frame, want %d", len(f.handles), want)
			}
		}
	})
}

func TestJSONData(t *testing.T) {
	f := newFake("a", float("a/x"))
	bubble(t, f, func(r *rig) {
		set(f.plant, "a/x", tag.Float64(0.1), tag.Good)
		s, _ := r.hello("tok-viewer", `,"enc":"json"`)
		defer s.close()
		s.send(`{"t":"sub","id":1,"tags":["a/x"]}`)
		s.want("subd")
		if d := s.want("data"); d["kind"] != "snapshot" || fmt.Sprint(d["values"]) != "[[0 0.1 Good 2000-01-01T00:00:00Z]]" {
			t.Errorf("data %v", d)
		}
	})
}

func TestResume(t *testing.T) {
	f := newFake("a", float("a/x"), float("a/y"))
	bubble(t, f, func(r *rig) {
		s, w := r.hello("tok-viewer", "")
		s.send(`{"t":"sub","id":1,"glob":"**"}`)
		s.want("subd")
		snap := s.wantFrame()
		s.close()
		set(f.plant, "a/y", tag.Float64(5), tag.Good)
		again := func(instance any, epoch uint64) (bool, decoded) {
			s, w := r.hello("tok-viewer", fmt.Sprintf(`,"resume":{"instance":%q,"epoch":%d}`, instance, epoch))
			defer s.close()
			s.send(fmt.Sprintf(`{"t":"sub","id":1,"glob":"**","after":%d}`, snap.seq))
			s.want("subd")
			return w["recovered"] == true, s.wantFrame()
		}
		if ok, d := again(w["instance"], 7); !ok || d.kind != kindDelta || fmt.Sprint(d.handles, d.values) != "[1] [5]" {
			t.Errorf("recovered %v, %+v", ok, d)
		}
		if ok, d := again("another", 7); ok || d.kind != kindSnapshot {
			t.Errorf("another instance: recovered %v, %+v", ok, d)
		}
		f.setRole(api.RoleActive, 8)
		if ok, d := again(w["instance"], 7); ok || d.kind != kindSnapshot || d.epoch != 8 {
			t.Errorf("another epoch: recovered %v, %+v", ok, d)
		}
	})
}

func TestReloadResolvesSubscriptionsAgain(t *testing.T) {
	f := newFake("a", float("a/x"), float("a/y"))
	bubble(t, f, func(r *rig) {
		s, w := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":1,"glob":"a/y"}`)
		s.want("subd")
		s.wantFrame()
		s.send(`{"t":"ack","frame":1}`)
		f.mu.Lock()
		f.plant = newPlant(float("a/a"), float("a/b"), float("a/y"))
		f.mu.Unlock()
		p := s.want("plant")
		if p["plant"] == w["plant"] || p["instance"] == w["instance"] {
			t.Errorf("plant %v after %v", p, w)
		}
		if d := s.want("subd"); fmt.Sprint(d["handles"]) != "[[2 a/y % float64]]" {
			t.Errorf("subd %v", d)
		}
		if f := s.wantFrame(); f.kind != kindSnapshot || fmt.Sprint(f.handles) != "[2]" {
			t.Errorf("snapshot %+v", f)
		}
	})
}

func TestHeartbeat(t *testing.T) {
	f := newFake("a")
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		last := time.Now()
		for range 100 { // longer than the silence allowed: the pong of the library keeps it alive
			_, data, err := s.conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(last); d != heartbeat {
				t.Fatalf("heartbeat after %v", d)
			}
			last = time.Now()
			if text := string(data); !strings.Contains(text, `"roles":{"main":{"role":"active","epoch":7,"confirmed":true}},"lag_ms":3,"ready":true`) {
				t.Fatalf("heartbeat %s", text)
			}
		}
	})
}

// TestAChangeOfRoleDoesNotWaitForTheHeartbeat: a page that has just come over from a dead node shows who is active at once.
func TestAChangeOfRoleDoesNotWaitForTheHeartbeat(t *testing.T) {
	f := newFake("a")
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		began := time.Now()
		f.setRole("standby", 8)
		_, data, err := s.conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took >= heartbeat/2 || !strings.Contains(string(data), `"role":"standby","epoch":8`) {
			t.Fatalf("after %v: %s", took, data)
		}
	})
}

func TestAClientThatDoesNotReadIsGivenUp(t *testing.T) {
	f := newFake("a")
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		other, _ := r.hello("tok-admin", "")
		defer other.close()
		last := time.Now()
		for range 12 { // the other one is not held up
			if _, _, err := other.conn.ReadMessage(); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(last); d > heartbeat {
				t.Errorf("the other one waited %v", d)
			}
			last = time.Now()
		}
		synctest.Wait()
		if n := r.s.hub.count(); n != 1 {
			t.Errorf("%d sockets after %v of not reading", n, stuckTime+heartbeat)
		}
	})
}

func TestServerStopTellsTheSockets(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		silent := r.socket()
		codes := make(chan int, 2)
		for _, s := range []*sock{s, silent} {
			go func() { codes <- s.wantClose() }()
		}
		began := time.Now()
		r.stop()
		if a, b := <-codes, <-codes; a != closeGoingAway || b != closeGoingAway || time.Since(began) > closeTime {
			t.Errorf("closed with %d %d after %v", a, b, time.Since(began))
		}
	})
}
