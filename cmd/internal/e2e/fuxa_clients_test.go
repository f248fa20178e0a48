//go:build e2e

package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// watchOurs shows tags over the socket scada.v1 as the dashboard does.
func watchOurs(t *testing.T, base, token string, tags []string) *watcher {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"scada.v1"}}
	c, resp, err := d.DialContext(t.Context(), strings.Replace(base, "http", "ws", 1)+"/api/v1/ws", http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	t.Cleanup(func() { c.Close() })
	for _, m := range []any{map[string]any{"t": "hello"}, map[string]any{"t": "sub", "id": 1, "tags": tags}} {
		if err := c.WriteJSON(m); err != nil {
			t.Fatal(err)
		}
	}
	w := &watcher{}
	go func() {
		first := uint32(math.MaxUint32)
		for {
			kind, b, err := c.ReadMessage()
			if err != nil {
				return
			}
			if kind == websocket.TextMessage {
				var m struct {
					T       string
					Handles [][]any
				}
				if json.Unmarshal(b, &m) == nil && m.T == "subd" && len(m.Handles) > 0 {
					for _, h := range m.Handles {
						if h[1] == tags[0] {
							first = uint32(h[0].(float64))
						}
					}
				}
				continue
			}
			w.frame(b, first)
			if c.WriteJSON(map[string]any{"t": "ack", "frame": binary.LittleEndian.Uint32(b[32:])}) != nil {
				return
			}
		}
	}()
	return w
}

// frame reads a data frame as web/PROTOCOL.md lays it out.
func (w *watcher) frame(b []byte, first uint32) {
	n := int(binary.LittleEndian.Uint32(b[4:]))
	handles := (40 + 12*n + 7) &^ 7
	qualities := (handles + 4*n + 7) &^ 7
	var v uint16
	has, good := false, true
	for i := range n {
		if binary.LittleEndian.Uint32(b[handles+4*i:]) == first {
			x := math.Float64frombits(binary.LittleEndian.Uint64(b[40+8*i:]))
			good = b[qualities+i] < 64
			has, v = !math.IsNaN(x), uint16(x)
		}
	}
	w.got(len(b), n, v, has, good)
}

// watchFUXA shows tags over socket.io as FUXA's page does.
func watchFUXA(t *testing.T, port int, tags []string) *watcher {
	t.Helper()
	c, resp, err := websocket.DefaultDialer.DialContext(t.Context(), fmt.Sprintf("ws://127.0.0.1:%d/socket.io/?EIO=4&transport=websocket", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	t.Cleanup(func() { c.Close() })
	subscribe, err := json.Marshal([]any{"device-tags-subscribe", map[string]any{"tagsId": tags, "sendLastValue": true}})
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{}
	go func() {
		for {
			_, b, err := c.ReadMessage()
			if err != nil {
				return
			}
			answer := ""
			switch text := string(b); {
			case strings.HasPrefix(text, "0"):
				answer = "40"
			case strings.HasPrefix(text, "40"):
				answer = "42" + string(subscribe)
			case text == "2":
				answer = "3"
			case strings.HasPrefix(text, `42["device-values"`):
				w.fuxaValues(b, tags[0])
			}
			if answer != "" && c.WriteMessage(websocket.TextMessage, []byte(answer)) != nil {
				return
			}
		}
	}()
	return w
}

// fuxaValues reads the values of a message of FUXA. They have no quality; a value that is none would be a mark.
func (w *watcher) fuxaValues(b []byte, first string) {
	var m []json.RawMessage
	var body struct {
		Values []struct {
			ID      string
			Value   any
			Quality any
		}
	}
	if json.Unmarshal(b[2:], &m) != nil || len(m) < 2 || json.Unmarshal(m[1], &body) != nil {
		return
	}
	var v uint16
	has, good := false, true
	for _, x := range body.Values {
		if x.ID != first {
			continue
		}
		f, number := x.Value.(float64)
		has, v = true, uint16(f)
		good = number && x.Quality == nil
	}
	w.got(len(b), len(body.Values), v, has, good)
}
