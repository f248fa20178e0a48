package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/web"
	"scada/web/api"
)

func TestChecksOfARunningNode(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.ready()
		state := func(name string) string {
			t.Helper()
			for _, c := range w.node["a"].Checks(t.Context()).Checks {
				if c.Name == name {
					return c.State
				}
			}
			t.Errorf("no check %s", name)
			return ""
		}
		for _, name := range []string{"clock_offset", "path lan", "path ded", "port http", "turn_late", "health", "data_folder"} {
			if s := state(name); s != api.CheckOK && name != "data_folder" {
				t.Errorf("%s is %s on a node that is well", name, s)
			}
		}
		_ = w.stopDead("b")
		w.within(5*time.Second, "b is missed", func() error {
			if st := w.node["a"].pair.Status(); st.Peer.Reachable {
				return errors.New("it is still reachable")
			}
			return nil
		})
		for name, want := range map[string]string{"clock_offset": api.CheckWarn, "path lan": api.CheckFail} {
			if s := state(name); s != want {
				t.Errorf("without the peer %s is %s, want %s", name, s, want)
			}
		}
		all := w.node["a"].Checks(t.Context())
		if all.State != api.CheckFail || all.Checks[0].State != api.CheckFail || all.Node != "a" {
			t.Errorf("the worst is not first: %+v", all)
		}
		w.net.Power("b", true)
		w.start("b")
		w.ready()
	})
}

// TestAliveIsAboutProgress: what the watchdog goes by fails when nobody assesses the node any more.
func TestAliveIsAboutProgress(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.ready()
		a := w.node["a"]
		if err := a.Alive(); err != nil {
			t.Error(err)
		}
		if s := a.Summary(); s != "node a, main active" {
			t.Errorf("summary %q", s)
		}
		a.health.Store(&assessment{at: time.Now().Add(-stuckAfter - time.Second)})
		if err := a.Alive(); err == nil {
			t.Error("a node that has not looked at itself is alive")
		}
	})
}

func TestLogLevelReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v slog.LevelVar
		v.Set(slog.LevelWarn)
		l := newLogLevel(&v, slog.New(slog.DiscardHandler))
		l.change(slog.LevelDebug, 10*time.Minute, "emil")
		time.Sleep(5 * time.Minute)
		l.change(slog.LevelInfo, 10*time.Minute, "olga")
		time.Sleep(10*time.Minute - time.Second)
		if s := l.state("a"); s.Level != "info" || s.Configured != "warn" || s.By != "olga" || s.Until == nil {
			t.Errorf("the end of the first change ended the second: %+v", s)
		}
		time.Sleep(2 * time.Second)
		if s := l.state("a"); s.Level != "warn" || s.By != "" || s.Until != nil {
			t.Errorf("it has not returned: %+v", s)
		}
		l.change(slog.LevelDebug, time.Hour, "emil")
		l.change(slog.LevelWarn, time.Hour, "emil")
		if s := l.state("a"); s.Until != nil {
			t.Errorf("the configured level needs no end: %+v", s)
		}
		l.change(slog.LevelDebug, time.Hour, "emil")
		l.stop()
		if v.Level() != slog.LevelWarn {
			t.Errorf("the level is %s after the stop", v.Level())
		}
	})
}

func TestSetLogLevelIsChecked(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.ready()
		a := w.node["a"]
		by := web.Actor{User: "emil"}
		var p *api.Problem
		if _, err := a.SetLogLevel(by, api.LogLevelCommand{Level: "debug"}); !errors.As(err, &p) || p.Code != api.CodeNotFound {
			t.Errorf("without a level to change: %v", err)
		}
		a.level.v = new(slog.LevelVar)
		if _, err := a.SetLogLevel(by, api.LogLevelCommand{Level: "loud"}); !errors.As(err, &p) || p.Code != api.CodeBadRequest {
			t.Errorf("an unknown level: %v", err)
		}
		if l, err := a.SetLogLevel(by, api.LogLevelCommand{Level: "debug", ForS: 60}); err != nil || l.Level != "debug" || l.By != "emil" {
			t.Errorf("%+v, %v", l, err)
		}
		time.Sleep(2 * time.Second)
		j, err := backend{a}.Journal(t.Context(), api.JournalQuery{User: "emil", Limit: 10})
		if err != nil || len(j.Entries) != 1 || j.Entries[0].Event != eventLogLevel || j.Entries[0].Old != "info" || j.Entries[0].New != "debug" {
			t.Errorf("%+v, %v", j.Entries, err)
		}
	})
}

// The secrets of secretPlant: none may be in a bundle, wherever it stood.
var plantSecrets = []string{"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ", "0123456789abcdef0123456789abcdef", "folded-secret-of-two-lines", "webhook/T000/B000/XXXX", "hunter2", "pass-in-a-file", "pair-key-in-a-file", "headervalue"}

const secretPlant = `
project: bubble # a comment
users:
  - {name: emil, role: engineer, password_hash: "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ"}
tokens: [{name: script, role: viewer, hash: 0123456789abcdef0123456789abcdef}]
web: {pair_key_file: key, origins: ["https://a.example"]}
extra:
  password: |
    folded-secret-of-two-lines
  headers: {X-Key: headervalue}
notify:
  receivers:
    - {name: chat, webhook: {url: "https://chat.example/webhook/T000/B000/XXXX"}}
    - {name: mail, smtp: {server: "smtp://ops:hunter2@mail.example:587", password_file: mail.pass}}
devices: [{name: plc, modbus: {endpoints: ["tcp://10.0.3.3:502"]}}]
`

func TestRedactionTakesEverySecret(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"plant.yaml": secretPlant, "mail.pass": "pass-in-a-file\n", "key": "pair-key-in-a-file\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := redact(filepath.Join(dir, "plant.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	log := r.clean("msg=x secret=" + strings.Join(plantSecrets, " ") + " https://chat.example/webhook/T000/B000/XXXX")
	for _, s := range plantSecrets {
		if strings.Contains(r.text, s) || s != "webhook/T000/B000/XXXX" && strings.Contains(log, s) {
			t.Errorf("%s is left", s)
		}
	}
	if strings.Contains(log, "https://chat.example/webhook") {
		t.Errorf("the address of the webhook is left: %s", log)
	}
	for _, keep := range []string{"emil", "script", "tcp://10.0.3.3:502", "https://chat.example/", "mail.pass", "mail.example:587", "project: bubble"} {
		if !strings.Contains(r.text, keep) {
			t.Errorf("%s is gone:\n%s", keep, r.text)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "plant.yaml"), []byte("a: [\npassword: hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := redact(filepath.Join(dir, "plant.yaml")); err == nil || strings.Contains(err.Error(), "hunter2") || r.clean("x") != "x" {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

func TestBundleOfARunningNode(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const users = `
tokens: [{name: emil, role: engineer, hash: "` + hash + `"}]
`
	bubbleOf(t, bubblePlant+users, func(w *world) {
		t := w.t
		w.ready()
		a := w.node["a"]
		a.logTail = new(LogTail)
		if _, err := a.logTail.Write([]byte("msg=careless hash=" + a.cfg.Tokens[0].Hash + "\n")); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := a.Bundle(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		files := unpack(t, &out)
		want := []string{"alarms.json", "apps.json", "checks.json", "devices.json", "goroutines.txt", "journal.json", "log.txt", "metrics.txt", "node.json",
			"notifications.json", "plant.yaml", "role.json"}
		var names []string
		for name, text := range files {
			names = append(names, name)
			if strings.Contains(text, hash) {
				t.Errorf("%s holds the hash of a password", name)
			}
			if text == "" {
				t.Errorf("%s is empty", name)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("it holds %v, want %v", names, want)
		}
		for name, part := range map[string]string{"plant.yaml": "hash: REDACTED", "log.txt": "msg=careless hash=REDACTED", "metrics.txt": "scada_role{", "role.json": `"active"`, "goroutines.txt": "goroutine profile"} {
			if !strings.Contains(files[name], part) {
				t.Errorf("%s lacks %s:\n%.300s", name, part, files[name])
			}
		}
	})
}

func unpack(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "scada-bundle/")] = string(b)
	}
}

func TestLogTailKeepsTheEnd(t *testing.T) {
	var l LogTail
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 3 * logTailSize / len(line) {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	b := l.Bytes()
	if len(b) > logTailSize || len(b) < logTailSize-len(line) || b[len(b)-1] != '\n' || len(l.buf) > 2*logTailSize {
		t.Errorf("%d bytes, %d kept", len(b), len(l.buf))
	}
}
