package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"scada/acquisition/tag"
)

func TestSubscriptionsToTheSameTagsShareASet(t *testing.T) {
	var h sets
	of := func(ids ...tag.ID) bitset {
		b := newBitset(130)
		for _, id := range ids {
			b.add(id)
		}
		return b
	}
	one, two, other, later := h.take(1, of(0, 64, 129)), h.take(1, of(0, 64, 129)), h.take(1, of(0, 64)), h.take(2, of(0, 64, 129))
	if one != two || one == other || one == later || !one.common() || other.common() {
		t.Fatal("a set is the same for the same tags of the same plant alone")
	}
	if !slices.Equal(one.ids, []tag.ID{0, 64, 129}) {
		t.Errorf("ids %v", one.ids)
	}
	one.shared.encoded = []byte("frame")
	h.release(two)
	if one.common() || one.shared.encoded != nil {
		t.Error("a frame is kept that nobody shares any more")
	}
	for _, s := range []*tagSet{one, other, later, nil} {
		h.release(s)
	}
	if len(h.byKey) != 0 {
		t.Errorf("%d sets are left", len(h.byKey))
	}
}

// TestSetsEndWithTheirSubscriptions: whatever way a subscription ends, its set goes with it.
func TestSetsEndWithTheirSubscriptions(t *testing.T) {
	f := newFake("a", float("a/x"), float("a/y"))
	bubble(t, f, func(r *rig) {
		left := func() int {
			synctest.Wait()
			h := &r.s.hub.sets
			h.mu.Lock()
			defer h.mu.Unlock()
			return len(h.byKey)
		}
		s, _ := r.hello("tok-viewer", "")
		s.send(`{"t":"sub","id":1,"tags":["a/x"]}`)
		s.send(`{"t":"sub","id":2,"glob":"**"}`)
		s.send(`{"t":"sub","id":3,"glob":"a/*"}`)
		for answered := 0; answered < 3; {
			if m, _ := s.next(); m["t"] == "subd" {
				answered++
			}
		}
		if n := left(); n != 2 {
			t.Errorf("%d sets for three subscriptions to two", n)
		}
		s.send(`{"t":"unsub","id":1}`)
		if n := left(); n != 1 {
			t.Errorf("%d sets after an unsub, want 1", n)
		}
		s.close()
		if n := left(); n != 0 {
			t.Errorf("%d sets after the connection", n)
		}
	})
}

func TestHandlesAreJSON(t *testing.T) {
	p := newPlant(float("a/x"), tag.Definition{Name: `q"\` + "\x01\u00e9", Unit: "°C", Type: tag.TypeString}, float("a/z"))
	set := newBitset(3)
	set.add(1)
	set.add(2)
	var got [][4]any
	if err := json.Unmarshal(appendHandles(nil, &tagSet{tags: set}, p), &got); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprint([][4]any{{1.0, p.Tags[1].Name, "°C", "string"}, {2.0, "a/z", "%", "float64"}}); fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
	if b := appendHandles(nil, &tagSet{tags: newBitset(3)}, p); string(b) != "[]" {
		t.Errorf("no handles are %s", b)
	}
}

// TestMessagesInPieces: messages of every form of length arrive whole, as one frame each.
func TestMessagesInPieces(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		synctest.Wait()
		var c *client
		for c = range r.s.hub.clients {
			break
		}
		sizes := []int{0, 1, 125, 126, 127, 1<<16 - 1, 1 << 16, 200_000}
		go func() {
			w := &writer{client: c}
			for _, n := range sizes {
				body := bytes.Repeat([]byte{byte(n)}, n)
				w.pieces(websocket.BinaryMessage, body[:n/3], body[n/3:n/2], body[n/2:])
			}
		}()
		for _, n := range sizes {
			for {
				kind, data, err := s.conn.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				if kind != websocket.BinaryMessage {
					continue
				}
				if len(data) != n || bytes.Count(data, []byte{byte(n)}) != n {
					t.Errorf("a message of %d bytes came as %d", n, len(data))
				}
				break
			}
		}
	})
}

// TestPingsAreAnswered although the writer alone may write.
func TestPingsAreAnswered(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		answer := errors.New("the answer")
		s.conn.SetPongHandler(func(data string) error {
			if data != "are you there" {
				t.Errorf("pong %q", data)
			}
			return answer
		})
		if err := s.conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		for {
			if _, _, err := s.conn.ReadMessage(); err != nil {
				if !errors.Is(err, answer) {
					t.Error(err)
				}
				return
			}
		}
	})
}

func TestAcksAreReadLikeJSON(t *testing.T) {
	for _, text := range []string{`{"t":"ack","frame":7}`, `{"t":"ack","frame":0}`, `{"t":"ack","frame":4294967295}`, `{"t":"ack","frame":4294967296}`, `{"t":"ack","frame":07}`,
		`{"t":"ack","frame":}`, `{"t":"ack","frame":-1}`, `{"t":"ack","frame":+1}`, `{"t":"ack","frame":1_0}`, `{"t":"ack","frame":1}}`, `{"t":"ack","frame":1`, `7}`, `{"frame":9,"t":"ack"}`} {
		var want ackMessage
		valid := json.Unmarshal([]byte(text), &want) == nil
		m, _, ce := parseControl([]byte(text))
		got, ok := m.(*ackMessage)
		if ok != valid || (ce == nil) != valid || valid && *got != want {
			t.Errorf("%s: %v %v, want %v %v", text, m, ce, want, valid)
		}
	}
}

func TestHeartbeatIsJSON(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 120_000_000, time.UTC)
	v := view{plant: newPlant(float("a/x")), epoch: 1<<64 - 1, lagMs: -3, ready: true, rolesText: `{"ma\"in":{"role":"active","epoch":7,"confirmed":true}}`}
	var got struct {
		T     string
		Time  time.Time
		Seq   uint64
		Epoch uint64
		Roles map[string]areaRole
		LagMs int64 `json:"lag_ms"`
		Ready bool
	}
	if err := json.Unmarshal(appendHeartbeat(nil, &v, now), &got); err != nil {
		t.Fatal(err)
	}
	if got.T != "hb" || !got.Time.Equal(now) || got.Seq != 1 || got.Epoch != v.epoch || got.Roles[`ma"in`].Epoch != 7 || got.LagMs != -3 || !got.Ready {
		t.Errorf("%+v", got)
	}
}
