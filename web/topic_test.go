package web

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"scada/web/api"
)

func raise(n int) api.AlarmChange {
	return api.AlarmChange{Event: "RAISE", Annunced: true, Alarm: api.Alarm{ID: fmt.Sprint("al", n), State: "UNACK"}}
}

func TestAlarmsTopicHasNoGaps(t *testing.T) {
	f := newFake("a")
	for i := range maxTopicItems + 2 {
		f.alarms = append(f.alarms, api.Alarm{ID: fmt.Sprint("old", i), State: "ACKED"})
	}
	f.alarmLog.Append(raise(1), raise(2))
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":2,"topic":"alarms"}`)
		s.want("subd")
		first, second := s.want("alarms"), s.want("alarms")
		if first["reset"] != true || first["more"] != true || first["seq"] != 2.0 || len(first["alarms"].([]any)) != maxTopicItems {
			t.Errorf("first page: reset %v more %v seq %v", first["reset"], first["more"], first["seq"])
		}
		if second["reset"] != nil || second["more"] != nil || len(second["alarms"].([]any)) != 2 {
			t.Errorf("second page: %v", second)
		}
		seq := 2.0
		for i := range 20 {
			f.alarmLog.Append(raise(10+i), raise(30+i))
			for got := 0; got < 2; {
				m := s.want("alarms")
				for _, c := range m["changes"].([]any) {
					c := c.(map[string]any)
					if seq++; c["seq"] != seq || c["event"] != "RAISE" || c["ann"] != true {
						t.Fatalf("change %v, want number %v", c, seq)
					}
					got++
				}
			}
		}
		for i := range 50 { // more than the feed remembers, at once
			f.alarmLog.Append(raise(i))
		}
		for {
			m := s.want("alarms")
			if m["reset"] == true {
				if m["seq"].(float64) < seq {
					t.Errorf("reset %v", m["seq"])
				}
				break
			}
		}
	})
}

func TestABurstOfAlarmsComesWhole(t *testing.T) {
	f := newFake("a")
	const burst = 3*maxTopicItems + 7
	f.alarmLog = NewFeed[api.AlarmChange](2 * burst)
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":2,"topic":"alarms"}`)
		s.want("subd")
		s.want("alarms")
		var all []api.AlarmChange
		for i := range burst {
			all = append(all, raise(i))
		}
		f.alarmLog.Append(all...)
		for seq := 0; seq < burst; {
			list := s.want("alarms")["changes"].([]any)
			if len(list) > maxTopicItems {
				t.Errorf("%d changes in a message", len(list))
			}
			for _, c := range list {
				if seq++; c.(map[string]any)["seq"] != float64(seq) {
					t.Fatalf("change %v, want %d", c, seq)
				}
			}
		}
	})
}

func TestAlarmsTopicTriesAgain(t *testing.T) {
	f := newFake("a")
	f.alarmErr = errors.New("disk")
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		s.send(`{"t":"sub","id":2,"topic":"alarms"}`)
		s.want("subd")
		if e := s.want("error"); e["code"] != "internal" || strings.Contains(fmt.Sprint(e), "disk") {
			t.Errorf("error %v", e)
		}
		f.mu.Lock()
		f.alarmErr = nil
		f.mu.Unlock()
		if m := s.want("alarms"); m["reset"] != true {
			t.Errorf("%v", m)
		}
	})
}

func TestJournalRoleAndDevicesTopics(t *testing.T) {
	f := newFake("a")
	f.journal.Append(api.JournalEntry{ID: "before"})
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		defer s.close()
		for i, topic := range []string{"journal", "role", "devices"} {
			s.send(fmt.Sprintf(`{"t":"sub","id":%d,"topic":%q}`, i+1, topic))
			s.want("subd")
			m := s.want(topic)
			if topic == "journal" && (m["reset"] != true || m["seq"] != 1.0) || topic == "devices" && !strings.Contains(fmt.Sprint(m), "plc1") {
				t.Errorf("%v", m)
			}
		}
		f.journal.Append(api.JournalEntry{ID: "e2"}, api.JournalEntry{ID: "e3"})
		m := s.want("journal")
		if e := m["entries"].([]any); m["seq"] != 3.0 || len(e) != 2 || !strings.Contains(fmt.Sprint(e[0]), "e2") {
			t.Errorf("journal %v", m)
		}
		began := time.Now()
		f.setRole(api.RoleStandby, 8)
		for {
			if m := s.want("role"); strings.Contains(fmt.Sprint(m), "epoch:8") {
				break
			}
		}
		if d := time.Since(began); d > watchPeriod {
			t.Errorf("the new role came after %v", d)
		}
	})
}

func write(id, nonce, more string) string {
	return fmt.Sprintf(`{"t":"write","id":%q,"tag":"a/x","value":5,"deadline":%q,"nonce":%q%s}`, id, time.Now().Add(5*time.Second).Format(time.RFC3339Nano), nonce, more)
}

func TestSocketWrites(t *testing.T) {
	f := newFake("a", float("a/x"))
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-operator", "")
		defer s.close()
		s.send(write("w1", "nonce-0123456789", `,"epoch":7,"expect_role":"active"`))
		s.want("accepted")
		if m := s.want("done"); m["id"] != "w1" || !strings.Contains(fmt.Sprint(m["result"]), "confirmed") {
			t.Errorf("%v", m)
		}
		late := strings.Replace(write("w2", "nonce-late-45678", ""), "2000-01-01T00:00:05", "1999-12-31T23:59:59", 1)
		for message, code := range map[string]string{
			write("again", "nonce-0123456789", ""): api.CodeRepeated, late: api.CodeLate,
			write("w3", "nonce-epoch-5678", `,"epoch":6`): api.CodeWrongEpoch, write("w4", "nonce-role-45678", `,"expect_role":"standby"`): api.CodeRoleChanged,
			`{"t":"write","id":"w5","tag":"a/x","value":5}`:                                        api.CodeBadRequest,
			strings.Replace(write("w6", "nonce-value-5678", ""), `"value":5`, `"value":500`, 1):    api.CodeBadValue,
			strings.Replace(write("w7", "nonce-tag-345678", ""), `"a/x"`, `"a/z"`, 1):              api.CodeNotFound,
			strings.Replace(write("w8", "nonce-id-2345678", ""), "w8", strings.Repeat("w", 65), 1): api.CodeBadRequest,
			strings.Replace(write("w9", "nonce-far-345678", ""), "2000-01-01", "2000-01-02", 1):    api.CodeBadRequest,
		} {
			s.send(message)
			if m := s.want("refused"); m["code"] != code {
				t.Errorf("%s: %v, want %s", message, m, code)
			}
		}
		f.write = func(context.Context, Write) (api.WriteResult, error) {
			return api.WriteResult{}, api.NewProblem(api.CodeNoLease, "the other node was not heard")
		}
		s.send(write("w10", "nonce-lease-5678", ""))
		s.want("accepted")
		if m := s.want("refused"); m["code"] != api.CodeNoLease {
			t.Errorf("%v", m)
		}
		if n := len(f.written()); n != 2 {
			t.Errorf("%d writes reached the backend", n)
		}
		viewer, _ := r.hello("tok-viewer", "")
		defer viewer.close()
		viewer.send(write("w11", "nonce-viewer-678", ""))
		if m := viewer.want("refused"); m["code"] != api.CodeForbidden {
			t.Errorf("%v", m)
		}
	})
}

func TestAWriteUnderWayOutlivesItsSocket(t *testing.T) {
	f := newFake("a", float("a/x"))
	bubble(t, f, func(r *rig) {
		ended := make(chan error, 1)
		f.write = func(ctx context.Context, w Write) (api.WriteResult, error) {
			select {
			case <-ctx.Done():
				ended <- ctx.Err()
			case <-time.After(2 * time.Second):
				ended <- nil
			}
			return api.WriteResult{}, nil
		}
		s, _ := r.hello("tok-operator", "")
		s.send(write("w1", "nonce-0123456789", ""))
		s.want("accepted")
		s.close()
		if err := <-ended; err != nil {
			t.Errorf("the write was cut off: %v", err)
		}
	})
}

func TestWritesOfOneSocketAreLimited(t *testing.T) {
	f := newFake("a", float("a/x"))
	f.write = func(ctx context.Context, w Write) (api.WriteResult, error) {
		<-ctx.Done()
		return api.WriteResult{}, ctx.Err()
	}
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-operator", "")
		defer s.close()
		for i := range maxCommands {
			s.send(write(fmt.Sprint("w", i), fmt.Sprint("nonce-0123456789-", i), ""))
			s.want("accepted")
		}
		s.send(write("more", "nonce-more-45678", ""))
		if m := s.want("refused"); m["id"] != "more" || m["code"] != api.CodeTooMany {
			t.Errorf("%v", m)
		}
		if m := s.want("refused"); m["code"] != api.CodeUnavailable { // the deadline has passed
			t.Errorf("%v", m)
		}
	})
}

func TestSocketLimits(t *testing.T) {
	f := newFake("a", float("a/x"))
	bubble(t, f, func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		for i := range maxSubscriptions {
			s.send(fmt.Sprintf(`{"t":"sub","id":%d,"topic":"journal"}`, i+1))
			s.want("subd")
			s.want("journal")
			time.Sleep(time.Second / controlPerSecond)
		}
		for text, code := range map[string]string{
			`{"t":"sub","id":900,"glob":"**"}`: api.CodeTooMany, `{"t":"sub","id":1,"glob":"**"}`: api.CodeBadRequest, `{"t":"sub","id":0,"glob":"**"}`: api.CodeBadRequest,
			`{"t":"sub","id":65536,"glob":"**"}`: api.CodeBadRequest, `{"t":"sub","id":901}`: api.CodeBadRequest, `{"t":"sub","id":901,"topic":"x"}`: api.CodeNotFound,
			`{"t":"sub","id":901,"topic":"role","glob":"**"}`: api.CodeBadRequest, `{"t":"sub","id":901,"glob":"` + strings.Repeat("*", maxGlob+1) + `"}`: api.CodeBadRequest,
			`{"t":"sub","id":901,"glob":"**","min_ms":60001}`:                            api.CodeBadRequest,
			`{"t":"sub","id":901,"tags":["` + strings.Repeat(`","`, maxSubNames) + `"]}`: api.CodeTooMany,
		} {
			s.send(text)
			if m := s.want("error"); m["code"] != code {
				t.Errorf("%.50s: %v, want %s", text, m, code)
			}
			time.Sleep(time.Second / controlPerSecond)
		}
		s.send(`{"t":"unsub","id":64}`)
		s.send(`{"t":"sub","id":900,"glob":"**"}`)
		s.want("subd")
		for range controlBurst + 2 {
			if s.conn.WriteMessage(1, []byte(`{"t":"unsub","id":1}`)) != nil {
				break
			}
		}
		if code := s.wantClose(); code != closeTooMany {
			t.Errorf("a flood of messages: closed with %d", code)
		}
		var all []*sock
		for range maxUserConns {
			s, _ := r.hello("tok-operator", "")
			all = append(all, s)
		}
		extra := r.socket()
		extra.send(`{"t":"hello","token":"tok-operator"}`)
		if code := extra.wantClose(); code != closeTooMany {
			t.Errorf("one socket of a user too many: closed with %d", code)
		}
		for _, s := range all {
			s.close()
		}
	})
}

func TestHandlesOfASocketAreLimited(t *testing.T) {
	f := newFake("a", float("a/x"))
	h := &hub{s: &Server{backend: f}, start: "x"}
	h.view = view{plant: f.plant, revision: 1}
	c := newClient(h, nil, principal{Actor: Actor{Role: Viewer}})
	c.handles = maxHandles
	c.subscribe(&subMessage{ID: 1, Glob: "**"})
	if len(c.subs) != 0 || len(c.outbox) != 1 || !strings.Contains(string(c.outbox[0]), api.CodeTooMany) {
		t.Errorf("%d subscriptions, answer %s", len(c.subs), c.outbox)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	h := newHub(&Server{})
	for i := range maxConnections {
		if err := h.join(&client{}); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := h.join(&client{}); err == nil || err.code != closeTooMany {
		t.Errorf("one more: %v", err)
	}
}

// FuzzControl feeds a signed-in client's side of the hub with anything.
func FuzzControl(f *testing.F) {
	for _, s := range []string{`{"t":"sub","id":1,"glob":"a/*","tags":["a/x"],"page":"overview","after":3}`, `{"t":"sub","id":2,"topic":"alarms"}`, `{"t":"unsub","id":1}`,
		`{"t":"ack","frame":0}`, `{"t":"hello","token":"x"}`, `{"t":"write","id":"w","tag":"a/x","value":1e999,"deadline":"2026-01-01T00:00:00Z","nonce":"0123456789abcdef"}`, `{"t":null}`, `[]`} {
		f.Add([]byte(s))
	}
	back := newFake("a", float("a/x"), float("a/y"))
	s, err := New(testConfig("a"), back)
	if err != nil {
		f.Fatal(err)
	}
	s.hub.refresh()
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newClient(s.hub, nil, principal{Actor: Actor{User: "u", Role: Operator}})
		c.server = t.Context()
		for range 2 {
			if ce := c.handle(data); ce != nil && ce.code < 4400 {
				t.Fatalf("%q: %v", data, ce)
			}
		}
		c.commands.Wait()
		if len(c.subs) > 1 || c.handles > 2 {
			t.Fatalf("%q: %d subscriptions, %d handles", data, len(c.subs), c.handles)
		}
		for _, w := range back.written() {
			if w.Value.Number() < 0 || w.Value.Number() > 100 || w.Deadline.IsZero() {
				t.Fatalf("%q wrote %+v", data, w)
			}
		}
	})
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/*", "a/b", true}, {"a/*", "a/b/c", false}, {"a/**", "a/b/c", true}, {"**", "", true}, {"*", "", true}, {"*", "a/b", false},
		{"**/speed", "a/b/speed", true}, {"**/speed", "speed", false}, {"*x/*y", "axx/byy", true}, {"a**z*c", "a/b/z/zc", true}, {"?/b", "泵/b", true}, {"?", "/", false}, {"", "", true}, {"", "a", false},
	} {
		if matchGlob(c.pattern, c.name) != c.want {
			t.Errorf("%q matches %q: want %v", c.pattern, c.name, c.want)
		}
	}
}

// FuzzGlob compares with a regular expression of the same meaning.
func FuzzGlob(f *testing.F) {
	f.Add("a*b/**c?", "axb/y/zcd")
	f.Add("**a*/b**", "x/a/ab/b")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 40 || len(name) > 40 {
			return
		}
		var re strings.Builder
		runes := []rune(pattern)
		for i := 0; i < len(runes); i++ {
			switch {
			case runes[i] == '*' && i+1 < len(runes) && runes[i+1] == '*':
				for i+1 < len(runes) && runes[i+1] == '*' {
					i++
				}
				re.WriteString(`(?s:.*)`)
			case runes[i] == '*':
				re.WriteString(`[^/]*`)
			case runes[i] == '?':
				re.WriteString(`[^/]`)
			default:
				re.WriteString(regexp.QuoteMeta(string(runes[i])))
			}
		}
		want := regexp.MustCompile(`\A` + re.String() + `\z`).MatchString(string([]rune(name)))
		if matchGlob(pattern, name) != want {
			t.Fatalf("%q on %q: want %v", pattern, name, want)
		}
	})
}

func TestFeed(t *testing.T) {
	f := NewFeed[int](4)
	c, stop := f.Watch()
	defer stop()
	f.Append(1, 2, 3)
	f.Append()
	<-c
	got, ok := f.Since(nil, 1, 10)
	if !ok || fmt.Sprint(got) != "[{2 2} {3 3}]" {
		t.Errorf("%v %v", got, ok)
	}
	if got, ok := f.Since(nil, 0, 2); !ok || fmt.Sprint(got) != "[{1 1} {2 2}]" {
		t.Errorf("limited: %v %v", got, ok)
	}
	f.Append(4, 5)
	for seq, want := range map[uint64]bool{0: false, 1: true, 5: true, 6: false} {
		if _, ok := f.Since(nil, seq, 10); ok != want {
			t.Errorf("since %d: %v", seq, ok)
		}
	}
}
