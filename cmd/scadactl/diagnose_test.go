package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra/doc"

	"scada/web"
	"scada/web/api"
)

func (p *plant) Checks(context.Context) api.Checks {
	return api.Checks{Node: "a", State: p.machine, Checks: []api.Check{
		{Name: "disk_free", State: p.machine, Value: 2.5, Unit: "%", Text: "3 MiB of 120 MiB", Advice: "a larger disk"}, {Name: "kernel", State: api.CheckOK, Value: 6.01, Unit: "version", Text: "6.1"}}}
}

func (p *plant) LogLevel() api.LogLevel {
	return api.LogLevel{Node: "a", Level: "info", Configured: "info"}
}

func (p *plant) SetLogLevel(by web.Actor, cmd api.LogLevelCommand) (api.LogLevel, error) {
	until := noon.Add(time.Duration(cmd.ForS) * time.Second)
	return api.LogLevel{Node: "a", Level: cmd.Level, Configured: "info", Until: &until, By: by.User}, nil
}

func (p *plant) Bundle(_ context.Context, w io.Writer) error {
	if p.hang {
		return errors.New("broken")
	}
	_, err := io.WriteString(w, "the files")
	return err
}

// call runs a command line against the servers as the admin.
func call(t *testing.T, servers string, args ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, world{in: strings.NewReader(""), out: &stdout, err: &stderr, getenv: env("SCADACTL_SERVER", servers, "SCADACTL_TOKEN", "adm")})
	return code, stdout.String() + stderr.String()
}

func TestMeasuredHasNoExponent(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 2.5: "2.5", 13.4567: "13.46", 999.96: "1000", 16000: "16000", 20480.4: "20480", -123456: "-123456"} {
		if got := measured(v); got != want {
			t.Errorf("%v is shown as %q, want %q", v, got, want)
		}
	}
}

func TestNodeStatusShowsChecks(t *testing.T) {
	for state, want := range map[string]int{api.CheckOK: exitOK, api.CheckWarn: exitOK, api.CheckFail: exitFailed} {
		p := newPlant()
		p.machine = state
		up, _ := serve(t, p)
		code, out := call(t, up, "node", "status")
		if code != want || !strings.Contains(out, "disk_free") || !strings.Contains(out, "2.5 %") || !strings.Contains(out, "-> a larger disk") {
			t.Errorf("%s: exit %d, want %d:\n%s", state, code, want, out)
		}
		if code, out = call(t, up, "node", "status", "-o", "json"); code != want || !strings.Contains(out, `"unit": "%"`) {
			t.Errorf("%s as JSON: exit %d:\n%s", state, code, out)
		}
		// One server that is dead does not hide what the other has found.
		if code, out = call(t, closedPort(t)+","+up, "node", "status"); code != want || !strings.Contains(out, "disk_free") {
			t.Errorf("%s beside a dead server: exit %d:\n%s", state, code, out)
		}
	}
	if code, _ := call(t, closedPort(t), "node", "status"); code != exitUnreachable {
		t.Errorf("nobody there: exit %d", code)
	}
}

func TestLogLevelCommand(t *testing.T) {
	up, _ := serve(t, newPlant())
	if code, out := call(t, up, "node", "log-level"); code != exitOK || !strings.Contains(out, "info") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out := call(t, up, "node", "log-level", "debug", "--for", "1h", "-o", "csv"); code != exitOK || !strings.Contains(out, "a,debug,info,2026-11-22T13:00:00Z,admin") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out := call(t, up, "node", "log-level", "debug", "--for", "25h"); code != exitFailed || !strings.Contains(out, "86400") {
		t.Errorf("too long: exit %d: %s", code, out)
	}
}

func TestBundleCommand(t *testing.T) {
	p := newPlant()
	up, _ := serve(t, p)
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	if code, out := call(t, up, "node", "bundle"); code != exitUsage {
		t.Errorf("without a file: exit %d: %s", code, out)
	}
	if code, out := call(t, up, "node", "bundle", "-f", file); code != exitOK || !strings.Contains(out, "9") {
		t.Errorf("exit %d: %s", code, out)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "the files" {
		t.Errorf("%q, %v", b, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
	p.hang = true
	other := filepath.Join(t.TempDir(), "c.tar.gz")
	if code, out := call(t, up, "node", "bundle", "-f", other); code != exitFailed {
		t.Errorf("one that fails: exit %d: %s", code, out)
	}
	if left, _ := filepath.Glob(other + "*"); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

// TestTopWithoutATerminal prints one picture, also when one of the servers is dead.
func TestTopWithoutATerminal(t *testing.T) {
	up, _ := serve(t, newPlant())
	dead := closedPort(t)
	code, out := call(t, dead+","+up, "top")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, out)
	}
	for _, want := range []string{"waterworks", "NOT READY: b: back-fill has 3 windows to go", "does not answer", "main ACTIVE", "lan 0.3 ms, ded DOWN", "plc1", "connected", "pump1.high", "Speed high"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("it moves the cursor of a file: %q", out)
	}
	if code, out := call(t, up, "top", "-o", "json"); code != exitOK || !strings.Contains(out, `"requests_per_s"`) {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, _ := call(t, dead, "top"); code != exitUnreachable {
		t.Errorf("nobody there: exit %d", code)
	}
}

// TestTopFitsTheScreen: whatever the size and whatever devices and alarms are called, nothing is wider or higher.
func TestTopFitsTheScreen(t *testing.T) {
	long := strings.Repeat("水泵", 100) + "\x1b[2J"
	r := reading{Server: "http://a", Node: api.NodeInfo{Node: "a", Project: long}, Pair: newPlant().Role()}
	for range 50 {
		r.Devices = append(r.Devices, api.Device{Name: long, State: "connected"})
		r.Alarms.Alarms = append(r.Alarms.Alarms, api.Alarm{ID: long, Message: long})
	}
	r.Devices = append(r.Devices, api.Device{Name: "broken", State: "disconnected"})
	p := picture{At: noon, Readings: []reading{{Server: "http://b", Error: "refused"}, r}}
	for _, size := range []screenSize{{80, 24}, {200, 60}, {20, 5}, {1, 1}} {
		out := p.view(size)
		lines := strings.Split(out, "\n")
		if len(lines) > max(size.height, 2) {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, l := range lines {
			if ansi.StringWidth(l) > size.width && l != "q quits" {
				t.Errorf("%v: %d cells: %q", size, ansi.StringWidth(l), l)
			}
		}
		if strings.Contains(out, "\x1b[2J") {
			t.Errorf("%v: a name moves the cursor", size)
		}
		if size.height >= 24 && (!strings.Contains(out, "broken") || !strings.Contains(out, "PRI")) {
			t.Errorf("%v: what is wrong is not shown:\n%s", size, out)
		}
	}
}

func TestTopRatesNeedTwoPicturesOfOneStart(t *testing.T) {
	at := func(sec int, requests uint64, started time.Time) picture {
		pair := newPlant().Role()
		pair.Nodes[0].Mirror.AppliedSeq = requests * 10
		return picture{Readings: []reading{{Server: "x", At: noon.Add(time.Duration(sec) * time.Second), Node: api.NodeInfo{Node: "a", StartedAt: started}, Pair: pair,
			Devices: []api.Device{{Name: "plc1", Requests: requests}}}}}
	}
	p := at(2, 140, noon)
	p.rates(at(0, 100, noon))
	if p.Requests["plc1"] != 20 || p.Records != 200 {
		t.Errorf("%v, %v records/s", p.Requests, p.Records)
	}
	for _, before := range []picture{at(0, 100, noon.Add(-time.Hour)), at(0, 150, noon), {}} {
		p := at(2, 140, noon)
		p.rates(before)
		if len(p.Requests) != 0 || p.Records != 0 {
			t.Errorf("%v, %v records/s from nothing to compare with", p.Requests, p.Records)
		}
	}
}

func TestTopKeys(t *testing.T) {
	s := screen{ctx: t.Context(), servers: []string{"http://a"}}
	if m, cmd := s.Update(tea.WindowSizeMsg{Width: 10, Height: 4}); cmd != nil || m.(screen).size != (screenSize{10, 4}) {
		t.Errorf("%+v", m)
	}
	for key, quits := range map[string]bool{"q": true, "x": false} {
		if _, cmd := s.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(key)}); (cmd != nil) != quits {
			t.Errorf("%s quits: %v", key, cmd != nil)
		}
	}
}

var manDir = flag.String("man", "", "write the manual pages into this folder")

// TestManualPages makes the manual pages of every command; make man keeps them.
func TestManualPages(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	at := time.Unix(0, 0).UTC()
	root := (&app{}).root()
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "SCADACTL", Section: "1", Source: "scada", Date: &at}, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"scadactl.1", "scadactl-top.1", "scadactl-node-status.1"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Contains(b, []byte(".SH SYNOPSIS")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
