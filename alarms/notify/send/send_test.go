package send_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"scada/alarms"
	"scada/alarms/notify"
	"scada/alarms/notify/send"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()

// batch is an alarm that came and another that went.
func batch() notify.Batch {
	came := notify.Notice{Kind: alarms.KindRaise, Condition: "pump1-trip", Occurrence: 3, Area: "main", Tag: "pump1/trip", Level: alarms.LevelActive, State: alarms.StateUnack,
		Priority: alarms.PriorityCritical, Message: "Pump 1 tripped\r\nBcc: everybody@example.org", Guidance: "Look at it", Value: "true", Time: began}
	went := notify.Notice{Kind: alarms.KindClear, Condition: "level/tank+1#", Occurrence: 1, Area: "main", Level: alarms.LevelHi, State: alarms.StateRtnUnack,
		Priority: alarms.PriorityLow, Message: "Tank 1 is full", Value: "81.5", Unit: "%", Time: began - 1e9, Ended: began}
	return notify.Batch{Receiver: "duty", Items: []notify.Item{{ID: "pump1-trip#3/RAISE@duty", Receiver: "duty", Notice: came}, {ID: "level#1/CLEAR@duty", Receiver: "duty", Notice: went}}}
}

func sender(t *testing.T, r send.Receiver) send.Sender {
	t.Helper()
	r.Name = "duty"
	s, err := send.New(r, send.Options{Project: "works", Node: "a", ExternalURL: "http://works"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestWebhookForm(t *testing.T) {
	var ids []string
	var got map[string]any
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &got); err != nil || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%v %s %v", err, b, r.Header)
		}
		ids = append(ids, r.Header.Get("Idempotency-Key"))
	}))
	defer srv.Close()
	for _, node := range []string{"a", "b"} { // the same from either node
		s, err := send.New(send.Receiver{Name: "duty", Webhook: &send.Webhook{URL: srv.URL, Bearer: "secret"}}, send.Options{Project: "works", Node: node})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(t.Context(), batch()); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if len(ids) != 2 || ids[0] == "" || ids[0] != ids[1] {
		t.Errorf("ids %v", ids)
	}
	first, ok := got["alerts"].([]any)[0].(map[string]any)
	labels, _ := first["labels"].(map[string]any)
	notes, _ := first["annotations"].(map[string]any)
	if !ok || got["version"] != "4" || got["status"] != "firing" || first["status"] != "firing" || labels["alertname"] != "pump1-trip" || labels["severity"] != "critical" ||
		notes["id"] != "pump1-trip#3/RAISE@duty" || notes["occurrence"] != "3" || first["startsAt"] != "2026-03-01T12:00:00Z" {
		t.Errorf("%+v", got)
	}
	second, _ := got["alerts"].([]any)[1].(map[string]any)
	if second["status"] != "resolved" || second["endsAt"] != "2026-03-01T12:00:00Z" {
		t.Errorf("%+v", second)
	}
}

// TestReceiversThatFailStallAndLie: only a whole answer of success is a receipt.
func TestReceiversThatFailStallAndLie(t *testing.T) {
	for _, c := range []struct {
		name    string
		handle  http.HandlerFunc
		want    string // part of the error; "" is success
		refused bool
	}{
		{"takes it", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "", false},
		{"talks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, "", false},
		{"fails", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no room", http.StatusInsufficientStorage) }, "507", false},
		{"is busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "429", false},
		{"knows nobody", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "401", false},
		{"refuses", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not json", http.StatusBadRequest) }, "400", true},
		{"sends elsewhere", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/login")
			w.WriteHeader(http.StatusFound)
		}, "302", false},
		{"breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("hal"))
		}, "breaks off", false},
		{"stalls", func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}, "deadline", false},
		{"stalls in its answer", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "deadline", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does a server notice that its client has gone
				c.handle(w, r)
			}))
			defer srv.Close()
			s := sender(t, send.Receiver{Timeout: 300 * time.Millisecond, Webhook: &send.Webhook{URL: srv.URL}})
			if c.want != "deadline" {
				s = sender(t, send.Receiver{Webhook: &send.Webhook{URL: srv.URL}})
			}
			err := s.Send(t.Context(), batch())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, send.ErrRefused) != c.refused {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestAlertmanagerCluster(t *testing.T) {
	var mu sync.Mutex
	var got []map[string]any
	live := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.URL.Path != "/am/api/v2/alerts" {
			t.Errorf("%v %s", err, r.URL.Path)
		}
	}))
	defer live.Close()
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	s := sender(t, send.Receiver{Alertmanager: &send.Alertmanager{URLs: []string{live.URL + "/am/", dead.URL}}})
	if err := s.Send(t.Context(), batch()); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0]["endsAt"] != "2026-03-08T12:00:00Z" || got[1]["endsAt"] != "2026-03-01T12:00:00Z" || got[0]["status"] != nil {
		t.Errorf("%+v", got)
	}
	s = sender(t, send.Receiver{Alertmanager: &send.Alertmanager{URLs: []string{dead.URL}}})
	if err := s.Send(t.Context(), batch()); err == nil {
		t.Error("a dead one has taken it")
	}
}

// postOffice is a mail server of a few lines; script says what it answers to a command, or "stall".
type postOffice struct {
	net.Listener
	script map[string]string
	mu     sync.Mutex
	mails  []string
	lines  []string
}

func newPostOffice(t *testing.T, script map[string]string) *postOffice {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postOffice{Listener: l, script: script}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p
}

func (p *postOffice) serve(conn net.Conn) {
	defer conn.Close()
	_, _ = conn.Write([]byte("220 post\r\n"))
	var text strings.Builder
	inMail := false
	buf := make([]byte, 0, 4096)
	chunk := make([]byte, 4096)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		buf = append(buf, chunk[:n]...)
		for {
			line, rest, ok := strings.Cut(string(buf), "\r\n")
			if !ok {
				break
			}
			buf = []byte(rest)
			answer := "250 ok"
			verb, _, _ := strings.Cut(line, " ")
			switch {
			case inMail && line == ".":
				inMail, verb = false, "."
				p.mu.Lock()
				p.mails = append(p.mails, text.String())
				p.mu.Unlock()
			case inMail:
				text.WriteString(line + "\n")
				continue
			case verb == "DATA":
				answer = "354 go on"
			case verb == "QUIT":
				answer = "221 bye"
			case verb == "EHLO":
				answer = "250-post\r\n250 AUTH PLAIN"
			case verb == "AUTH":
				answer = "235 you are"
			}
			p.mu.Lock()
			p.lines = append(p.lines, line)
			p.mu.Unlock()
			if s := p.script[verb]; s != "" {
				answer = s
			}
			if answer == "stall" {
				continue
			}
			inMail = verb == "DATA" && answer == "354 go on"
			_, _ = conn.Write([]byte(answer + "\r\n"))
		}
	}
}

func (p *postOffice) receiver() send.Receiver {
	addr, _ := p.Addr().(*net.TCPAddr)
	return send.Receiver{Timeout: 5 * time.Second, SMTP: &send.SMTP{Host: "127.0.0.1", Port: addr.Port, TLS: send.TLSNone, From: "works@example.org",
		To: []string{"duty@example.org", "boss@example.org"}, User: "u", Password: "p"}}
}

func TestMail(t *testing.T) {
	p := newPostOffice(t, nil)
	for range 2 {
		if err := sender(t, p.receiver()).Send(t.Context(), batch()); err != nil {
			t.Fatal(err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mails) != 2 {
		t.Fatalf("%d mails", len(p.mails))
	}
	mail := p.mails[0]
	for _, want := range []string{"Subject: [works] CRITICAL Pump 1 tripped Bcc: everybody@example.org, and 1 more", "duty@example.org", "GONE Tank 1 is full", "pump1-trip #3", "81.5 %", "Look at it"} {
		if !strings.Contains(strings.ReplaceAll(mail, "\n ", " "), want) {
			t.Errorf("the mail has no %q:\n%s", want, mail)
		}
	}
	if strings.Contains(mail, "\nBcc:") {
		t.Errorf("a message became a header:\n%s", mail)
	}
	id := func(mail string) string {
		_, rest, _ := strings.Cut(mail, "Message-ID: ")
		line, _, _ := strings.Cut(rest, "\n")
		return line
	}
	if id(p.mails[0]) == "" || id(p.mails[0]) != id(p.mails[1]) {
		t.Errorf("ids %q and %q", id(p.mails[0]), id(p.mails[1]))
	}
	if joined := strings.Join(p.lines, "\n"); !strings.Contains(joined, "AUTH PLAIN") {
		t.Errorf("no log-in:\n%s", joined)
	}
}

func TestMailServersThatFail(t *testing.T) {
	for verb, c := range map[string]struct {
		answer  string
		refused bool
	}{"RCPT": {"550 nobody here", true}, "DATA": {"451 later", false}, ".": {"452 no room", false}, "MAIL": {"stall", false}} {
		p := newPostOffice(t, map[string]string{verb: c.answer})
		r := p.receiver()
		if c.answer == "stall" {
			r.Timeout = 300 * time.Millisecond
		}
		if err := sender(t, r).Send(t.Context(), batch()); err == nil || errors.Is(err, send.ErrRefused) != c.refused {
			t.Errorf("%s %s: %v", verb, c.answer, err)
		}
	}
	p := newPostOffice(t, nil)
	r := p.receiver()
	r.SMTP.TLS = send.TLSStart
	if err := sender(t, r).Send(t.Context(), batch()); err == nil {
		t.Error("a server without TLS was given the mail in spite of starttls")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sender(t, p.receiver()).Send(ctx, batch()); err == nil {
		t.Error("sent after its end")
	}
}
