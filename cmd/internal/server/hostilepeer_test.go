package server

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"scada/redundancy"
)

var peerRequests = flag.Int("peer.requests", 400, "senseless requests of the other node")

// operations are all a node asks of the other.
var operations = []string{opWrite, opAlarm, opApp, opConfig, opDevice, opPeople, opMimics, opJournalHead, opAlarmForks, opJournalPull, opJournalPush, opHistoryWindows, opHistoryPull, opHistoryPush, "nothing", ""}

// TestSenselessPeer has the other node, which another version may run, ask for anything with anything: it is answered or
// refused, and both nodes go on.
func TestSenselessPeer(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		r := rand.New(rand.NewPCG(*apiSeed, 2))
		for range *peerRequests {
			req := request{Op: operations[r.IntN(len(operations))]}
			fill(r, reflect.ValueOf(&req).Elem(), 0)
			var body []byte
			if r.IntN(2) == 0 {
				body, _ = json.Marshal(pick[any](r, nil, []any{}, []any{nil, map[string]any{}}, map[string]any{"a": 1}, "x", -1)) // it can be
			} else {
				body = junk(r)
			}
			payload, err := req.encode(body)
			if err != nil {
				continue
			}
			if r.IntN(10) == 0 && len(payload) > 0 {
				payload[r.IntN(len(payload))] = byte(r.Uint32())
			}
			_, _ = host{w.node[pick(r, "a", "b")]}.Command(w.t.Context(), pick(r, "main", "main", "main", "nowhere"), payload)
		}
		w.within(20*time.Second, "the counter moves on a", w.counts("a"))
		w.within(20*time.Second, "and on b", w.counts("b"))
	})
}

func junk(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(200))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// fill puts something into every field that can be set. The operation stays.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if r.IntN(3) > 0 && depth < 6 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); v.Field(i).CanSet() && f.Name != "Op" {
				fill(r, v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		for i := range v.Len() {
			fill(r, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.String:
		v.SetString(pick(r, "", "main", "level", "counter", "plc", "high", "add", "remove", "totals", "deploy", "../x", "a\x00", strings.Repeat("x", r.IntN(3000)), "\xff"))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n := pick(r, 0, 1, -1, r.Int64(), -r.Int64(), time.Now().UnixNano()); !v.OverflowInt(n) {
			v.SetInt(n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n := pick(r, 0, 1, r.Uint64()); !v.OverflowUint(n) {
			v.SetUint(n)
		}
	case reflect.Float32, reflect.Float64:
		v.SetFloat(r.NormFloat64() * 1e9)
	}
}

// FuzzPeer decodes what comes from the other node and from clients as places in lists.
func FuzzPeer(f *testing.F) {
	head, _ := request{Op: opPeople, People: &peopleRequest{Digest: "x"}}.encode([]byte("body")) // plain structs
	f.Add(head)
	rev := (&revision{ID: "x"}).frame()
	f.Add(rev)
	f.Add([]byte(`{"a":{"Time":1,"Set":true}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var req request
		if body, err := req.decode(b); err == nil && len(body) >= len(b) {
			t.Fatalf("a body of %d bytes in a request of %d", len(body), len(b))
		}
		if r, err := readRevision(b); err == nil && (r == nil || int(binary.BigEndian.Uint32(b)) != len(b)-stageLength) {
			t.Fatalf("a revision of %d bytes", len(b))
		}
		_, _ = readCursors(string(b))
		_, _ = readJSON[header](redundancy.Record{Payload: b})
	})
}
