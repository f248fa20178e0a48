package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web"
	"scada/web/api"
)

var rewrite = flag.Bool("rewrite", false, "write what the commands print into testdata")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// plant is a backend with a little of everything, always the same.
type plant struct {
	p       *web.Plant
	role    string
	alarms  *web.Feed[api.AlarmChange]
	journal *web.Feed[api.JournalEntry]
	hang    bool
	machine string // the worst of its checks
}

func newPlant() *plant {
	tags := []tag.Definition{
		{ID: 0, Name: "line1/flow", Area: "main", Device: "plc1", Address: "hr:2", Type: tag.TypeFloat64, Unit: "m3/h", ScanPeriod: time.Second},
		{ID: 1, Name: "line1/pump1/speed", Area: "main", Device: "plc1", Address: "hr:0", Type: tag.TypeFloat32, Unit: "rpm", Writable: true,
			Range: tag.Range{Low: 0, High: 3000}, Description: "Speed of pump 1", ScanPeriod: 100 * time.Millisecond},
		{ID: 2, Name: "line1/text", Area: "main", Device: "plc2", Type: tag.TypeString, ScanPeriod: time.Second},
	}
	t := live.New(len(tags))
	t.Apply([]tag.Update{
		{Tag: 1, Sample: tag.Sample{Time: noon.UnixNano(), Value: tag.Float32(1200.5)}},
		{Tag: 2, Sample: tag.Sample{Time: noon.UnixNano(), Value: tag.String("a\x1b[2Jb,\"c\""), Quality: tag.UncertainLastUsableValue}},
	})
	return &plant{p: &web.Plant{Tags: tags, Live: t}, role: api.RoleActive, alarms: web.NewFeed[api.AlarmChange](16), journal: web.NewFeed[api.JournalEntry](16)}
}

func (p *plant) Node() api.NodeInfo {
	return api.NodeInfo{Node: "a", Project: "waterworks", Version: "v1.2.3", ConfigDigest: "d1", StartedAt: time.Now(), Tags: 3, Devices: 1}
}

func (p *plant) Role() api.Pair {
	return api.Pair{
		Nodes: []api.Node{
			{Node: "a", Designation: "primary", Reachable: true, Version: "v1.2.3", ConfigDigest: "d1", Ready: true,
				Areas: []api.Area{{Area: "main", Role: p.role, Epoch: 7, Confirmed: true, Since: noon, Reason: "designated primary"}},
				Paths: []api.Path{{Name: "lan", Up: true, RTTms: 0.31}, {Name: "ded"}}},
			{Node: "b", Designation: "standby", Reachable: true, Version: "v1.2.3", ConfigDigest: "d2", NotReady: []string{"back-fill has 3 windows to go", "configuration differs"},
				Areas: []api.Area{{Area: "main", Role: api.RoleStandby, Epoch: 7, Since: noon}}, Mirror: api.Mirror{AppliedSeq: 9, DurableSeq: 8, LagMs: 2}, Backfill: api.Backfill{Remaining: 3}},
		},
		LastSwitch: &api.Switch{Area: "main", From: "b", To: "a", At: noon, Kind: "hand-back", Reason: "the primary is back", ActivateMs: 12, FirstValueMs: 40},
	}
}

func (p *plant) RoleCommand(ctx context.Context, by web.Actor, cmd api.RoleCommand) (api.RoleResult, error) {
	if p.hang {
		<-ctx.Done()
		return api.RoleResult{}, ctx.Err()
	}
	if cmd.Verb == api.VerbSwitch {
		return api.RoleResult{}, api.NewProblem(api.CodeNotReady, "b: back-fill has 3 windows to go")
	}
	r := api.RoleResult{Result: "done", Detail: fmt.Sprintf("%s by %s, area %q, reason %q, force %v, on %v", cmd.Verb, by.User, cmd.Area, cmd.Reason, cmd.Force, cmd.On)}
	if cmd.Verb == api.VerbDrill {
		r.Switch = &api.Switch{Area: "main", From: "a", To: "b", Kind: "drill", ActivateMs: 15, FirstValueMs: 33}
	}
	return r, nil
}

func (p *plant) Ready(string) (bool, []string) { return false, nil }
func (p *plant) Plant() *web.Plant             { return p.p }

func (p *plant) WriteTag(_ context.Context, _ web.Actor, w web.Write) (api.WriteResult, error) {
	r := api.WriteResult{Tag: w.Tag.Name, Result: api.WriteConfirmed, Value: web.JSONValue(w.Value), ReadBack: web.JSONValue(w.Value), Quality: "Good", Node: "a", Epoch: 7, Time: noon}
	if w.Value.Number() == 13 {
		r.Result, r.ReadBack, r.Quality = api.WriteUnknown, nil, ""
	}
	return r, nil
}

func (p *plant) Apps() []api.App { return []api.App{p.app("totals")} }

func (p *plant) App(_ context.Context, by web.Actor, cmd api.AppCommand) (api.App, error) {
	switch {
	case cmd.Name != "totals":
		return api.App{}, api.NewProblem(api.CodeNotFound, "no application is named %q", cmd.Name)
	case strings.Contains(cmd.Source, "broken"):
		return api.App{}, api.NewProblem(api.CodeBadRequest, "totals.star:1:1: undefined: broken")
	}
	v := p.app(cmd.Name)
	if cmd.Source != "" {
		v.Generations[0].By = by.User
	}
	return v, nil
}

func (p *plant) app(name string) api.App {
	return api.App{Name: name, Area: "main", Node: "a", Running: true, Calls: 12, State: []byte(`{"sum":12.5}`), Log: []api.AppLine{{Time: noon, Text: "a new day"}},
		Generations: []api.AppGeneration{{Hash: "0123456789ab", By: "file", Time: noon, Comment: "first", Bytes: 100}}}
}

func (p *plant) TestDevice(_ context.Context, _ web.Actor, device string, cmd api.DeviceTestCommand) (api.DeviceTest, error) {
	if device != "plc1" {
		return api.DeviceTest{}, api.NewProblem(api.CodeNotFound, "no device %q", device)
	}
	t := api.DeviceTest{Name: device, Area: "main", Driver: "modbus", Node: "a", Role: "active", Time: noon}
	if cmd.Here {
		reached := false
		t.Role, t.Reached, t.ReachedMs, t.Notes = "standby", &reached, 12.5, []string{"connecting: refused"}
		return t, nil
	}
	t.Identity = []api.DeviceFact{{Name: "vendor", Text: "Maker\x1b[2J"}}
	t.Trials = []api.DeviceTrial{{Window: 1, PerSecond: 184.2, Answers: 74, P50Ms: 5.4, P99Ms: 6.1, MaxMs: 6.2}, {Window: 2, Answers: 1, Timeouts: 1, Lost: true}}
	t.BestWindow, t.LargestRead, t.Notes = 1, 125, []string{"with 2 in flight something went wrong; more was not tried"}
	return t, nil
}

func (p *plant) DeviceNodes(_ context.Context, _ web.Actor, device string, q api.DeviceBrowse) (api.DeviceNodes, error) {
	if device != "plc1" {
		return api.DeviceNodes{}, api.NewProblem(api.CodeNotFound, "no device %q", device)
	}
	if q.Cursor == "" {
		return api.DeviceNodes{Total: 3, Next: "2", Nodes: []api.DeviceNode{{Address: "ns=2;s=Pump 1", Path: "Line 1/Pump #1", Type: "float64", Writable: true}, {Address: "ns=2;i=7", Path: "Line 1/Recipe"}}}, nil
	}
	return api.DeviceNodes{Total: 3, Nodes: []api.DeviceNode{{Address: "ns=2;s=Pump_1", Path: "Line 1/Pump__1", Type: "bool"}}}, nil
}

func (p *plant) Devices() []api.Device {
	at := noon
	return []api.Device{{Name: "plc1", Area: "main", Driver: "modbus", Endpoint: "tcp://127.0.0.1:5020", Node: "a", State: "connected", Since: &at, Tags: 2, LatencyMs: 1.25,
		Requests: 100, Errors: 2, Timeouts: 1, LastError: "timeout", LastErrorAt: &at}}
}

func (p *plant) Alarms(context.Context, api.AlarmFilter) (api.Alarms, error) {
	at := noon
	return api.Alarms{Total: 1, Alarms: []api.Alarm{{ID: "pump1.high", Tag: "line1/pump1/speed", Area: "main", State: "UNACK", Level: "Hi", Active: true, Priority: 2, Occurrence: 4,
		Time: &at, Value: 2900.5, Unit: "rpm", Message: "Speed high"}}}, nil
}

func (p *plant) AlarmCommand(_ context.Context, _ web.Actor, cmd api.AlarmCommand) ([]api.AlarmResult, error) {
	var out []api.AlarmResult
	for _, r := range cmd.Alarms {
		result := api.AlarmOK
		if r.Occurrence == 3 {
			result = "already_acked"
		}
		out = append(out, api.AlarmResult{ID: r.ID, Result: result, Detail: fmt.Sprintf("%s %d for %d s %q", cmd.Command, r.Occurrence, cmd.ForS, cmd.Comment)})
	}
	return out, nil
}

func (p *plant) Notifications() api.Notifications {
	due := noon.Add(-time.Minute)
	return api.Notifications{Node: "a", Receivers: []api.Receiver{{Name: "duty", Area: "main", Kind: "webhook", Pending: 2, OldestDue: &due, Sent: 7, SentAt: &noon, Failed: 3, Error: "503"}}}
}

func (p *plant) PreviewAlarm(_ context.Context, r api.PreviewRequest) (api.Preview, error) {
	if r.Alarm != "pump1.high" {
		return api.Preview{}, api.NewProblem(api.CodeNotFound, "no alarm is named %q", r.Alarm)
	}
	return api.Preview{Alarm: r.Alarm, From: r.From, To: r.To, Samples: 100, Now: api.PreviewSide{Alarms: 12, Per10MinPeak: 4, Chattering: true},
		Changed: api.PreviewSide{Alarms: len(r.Limits)}}, nil
}

func (p *plant) AlarmFeed() *web.Feed[api.AlarmChange]    { return p.alarms }
func (p *plant) JournalFeed() *web.Feed[api.JournalEntry] { return p.journal }
func (p *plant) Audit(web.AuditEvent)                     {}

func (p *plant) KPI(context.Context, time.Time, time.Time) (api.KPI, error) {
	return api.KPI{From: noon.Add(-time.Hour), To: noon, Alarms: 12, Per10MinAverage: 2, Per10MinPeak: 5, Top: []api.AlarmCount{{ID: "pump1.high", Count: 9}}}, nil
}

func (p *plant) Journal(_ context.Context, q api.JournalQuery) (api.Journal, error) {
	if q.Cursor == "c2" {
		return api.Journal{Entries: []api.JournalEntry{{ID: "e0", Time: noon.Add(-time.Hour), Kind: "alarm", Event: "CLEAR", Source: "pump1.high", State: "NORM", Node: "b", Epoch: 6,
			Occurrence: 3, Priority: 2, Note: "fork"}}}, nil
	}
	if q.Kind == "role" {
		return api.Journal{Entries: []api.JournalEntry{
			{ID: "r2", Time: noon, Kind: "role", Event: "switch-over", Area: "main", Old: "a", New: "b", Result: "fault", Epoch: 8, Message: "a does not run; detected in 40 ms"},
			{ID: "r1", Time: noon, Kind: "role", Event: "switch", Area: "main", User: "olga", Result: "done"},
			{ID: "r0", Time: noon.Add(-time.Minute), Kind: "role", Event: "merge", Area: "main", Message: "3 alarm records of b have been merged"}}}, nil
	}
	return api.Journal{Next: "c2", Entries: []api.JournalEntry{
		{ID: "e2", Time: noon, Kind: "write", Event: "WRITE", Area: "main", Source: "line1/pump1/speed", User: "olga", Old: "1000", New: "1200.5", Result: "confirmed", Node: "a", Epoch: 7},
		{ID: "e1", Time: noon.Add(-time.Minute), Kind: "alarm", Event: "RAISE", Source: "pump1.high", State: "UNACK", Level: "Hi", Message: "Speed high", Node: "a", Epoch: 7}}}, nil
}

func (p *plant) History(_ context.Context, q api.HistoryQuery, give func(api.Series) error) (string, error) {
	at := [3]time.Time{noon, noon.Add(time.Second), noon.Add(2 * time.Second)}
	all := []api.Sample{{Time: &at[0], Value: 1.5, Quality: "Good"}, {Time: &at[1], Quality: "Bad_NoData"}, {Time: &at[2], Value: 2, Quality: "Good"}}
	switch {
	case q.Limit == exportPage && q.Cursor == "":
		return "2", give(api.Series{Tag: q.Tags[0], Samples: all[:2]})
	case q.Limit == exportPage:
		return "", give(api.Series{Tag: q.Tags[0], Samples: all[2:]})
	}
	return "", give(api.Series{Tag: q.Tags[0], Unit: "rpm", Samples: all})
}

// serve runs the real server in front of the plant and returns its address.
func serve(t *testing.T, p *plant) (url string, stop func()) {
	t.Helper()
	return serveWith(t, p, func(*web.Config) {})
}

func serveWith(t *testing.T, p *plant, more func(*web.Config)) (url string, stop func()) {
	t.Helper()
	_, url, stop = serveServer(t, p, more)
	return url, stop
}

func serveServer(t *testing.T, p *plant, more func(*web.Config)) (s *web.Server, url string, stop func()) {
	t.Helper()
	cfg := web.Config{Node: "a", Address: "127.0.0.1:0", Diagnosis: p, Tokens: []web.Token{
		{Name: "admin", Role: web.Admin, Hash: web.HashToken("adm")}, {Name: "viewer", Role: web.Viewer, Hash: web.HashToken("view")}}}
	more(&cfg)
	s, err := web.New(cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("server: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return s, "http://" + s.Addr().String(), stop
}

// closedPort is an address nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

var word = regexp.MustCompile(`"[^"]*"|\S+`)

// TestScripts runs the command lines of testdata/*.txt ("> …") and compares what they print.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	up, _ := serve(t, newPlant())
	down := closedPort(t)
	hide := strings.NewReplacer(up, "UP", down, "DOWN", strings.TrimPrefix(down, "http://"), "DOWN")
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			script, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, line := range strings.Split(string(script), "\n") {
				if strings.HasPrefix(line, "#") {
					got.WriteString(line + "\n")
				}
				command, ok := strings.CutPrefix(line, "> ")
				if !ok {
					continue
				}
				var args []string
				for _, w := range word.FindAllString(strings.NewReplacer("UP", up, "DOWN", down).Replace(command), -1) {
					args = append(args, strings.Trim(w, `"`))
				}
				var out, errs bytes.Buffer
				code := run(t.Context(), args, world{in: strings.NewReader("correct horse\n"), out: &out, err: &errs,
					getenv: env("SCADACTL_SERVER", down+","+up, "SCADACTL_TOKEN", "adm")})
				fmt.Fprintf(&got, "\n> %s\n%s", command, hide.Replace(out.String()))
				for _, e := range strings.Split(strings.TrimRight(errs.String(), "\n"), "\n") {
					if e != "" {
						fmt.Fprintf(&got, "stderr: %s\n", hide.Replace(e))
					}
				}
				fmt.Fprintf(&got, "exit %d\n", code)
			}
			if *rewrite {
				if err := os.WriteFile(name, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != string(script) {
				t.Errorf("%s (run with -rewrite to accept):\n%s", name, got.String())
			}
		})
	}
}

func TestCredentialsFile(t *testing.T) {
	up, _ := serve(t, newPlant())
	name := filepath.Join(t.TempDir(), "env")
	text := "# demo\nexport SCADACTL_SERVER=\"" + up + "\"\nSCADACTL_TOKEN=adm\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	try := func() (int, string) {
		var out, errs bytes.Buffer
		return run(t.Context(), []string{"config", "digest"}, world{out: &out, err: &errs, getenv: env("SCADACTL_CREDENTIALS", name)}), out.String() + errs.String()
	}
	if code, text := try(); code != exitFailed || !strings.Contains(text, "d2") {
		t.Errorf("%d %s", code, text)
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	if code, text := try(); code != exitUsage || !strings.Contains(text, "others can read it") {
		t.Errorf("readable by others: %d %s", code, text)
	}
}

func TestUserHash(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"user", "hash"}, world{in: strings.NewReader("correct horse\n"), out: &out, err: &errs, getenv: env()}); code != 0 {
		t.Fatal(code, errs.String())
	}
	_, err := web.New(web.Config{Users: []web.User{{Name: "olga", Role: web.Operator, Hash: strings.TrimSpace(out.String())}}}, newPlant())
	if err != nil {
		t.Errorf("the server does not take %q: %v", out.String(), err)
	}
	if code := run(t.Context(), []string{"user", "hash"}, world{in: strings.NewReader("short\n"), out: &out, err: &errs, getenv: env()}); code != exitFailed {
		t.Errorf("a short password: %d", code)
	}
}

// TestACommandWithoutAnswerIsNotUnreachable: what was sent may have been done, and is not sent to the other server.
func TestACommandWithoutAnswerIsNotUnreachable(t *testing.T) {
	p := newPlant()
	p.hang = true
	up, _ := serve(t, p)
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"role", "take", "--timeout", "1s"}, world{out: &out, err: &errs, getenv: env("SCADACTL_SERVER", up+","+up, "SCADACTL_TOKEN", "adm")})
	if code != exitFailed || !strings.Contains(errs.String(), "may have been carried out") {
		t.Errorf("%d %s", code, errs.String())
	}
}

// lines passes on what is written, line by line.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

func TestWatchFollowsAChange(t *testing.T) {
	p := newPlant()
	up, _ := serve(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, code := make(lines, 16), make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		code <- run(ctx, []string{"tag", "watch", "line1/pump1/speed"}, world{out: out, err: &errs, getenv: env("SCADACTL_SERVER", up, "SCADACTL_TOKEN", "view")})
	}()
	if got := <-out; got != "2026-11-22T12:00:00Z  line1/pump1/speed  1200.5  rpm  Good\n" {
		t.Errorf("first %q", got)
	}
	p.p.Live.Apply([]tag.Update{{Tag: 1, Sample: tag.Sample{Time: noon.UnixNano(), Value: tag.Float32(7), Quality: tag.BadCommunicationError}}})
	if got := <-out; got != "2026-11-22T12:00:00Z  line1/pump1/speed  7  rpm  Bad_CommunicationError\n" {
		t.Errorf("then %q", got)
	}
	cancel()
	if c := <-code; c != exitOK {
		t.Errorf("interrupted: %d %s", c, errs.String())
	}
}

// TestTailMovesToTheOtherServer: entries written meanwhile are shown, none twice.
func TestTailMovesToTheOtherServer(t *testing.T) {
	p, q := newPlant(), newPlant()
	first, stopFirst := serve(t, p)
	second, _ := serve(t, q)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, code := make(lines, 16), make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		code <- run(ctx, []string{"journal", "tail", "-o", "csv"}, world{out: out, err: &errs, getenv: env("SCADACTL_SERVER", first+","+second, "SCADACTL_TOKEN", "view")})
	}()
	old := api.JournalEntry{ID: "e1", Time: noon.Add(-time.Minute), Event: "RAISE"}
	tick := time.NewTicker(20 * time.Millisecond) // until the tail is there nobody hears an entry
	defer tick.Stop()
	got := ""
	for got == "" {
		select {
		case got = <-out:
		case <-tick.C:
			p.journal.Append(old)
		}
	}
	if !strings.HasSuffix(got, ",e1\n") {
		t.Errorf("first %q", got)
	}
	stopFirst()
	if got := <-out; !strings.HasSuffix(got, ",e2\n") { // from the journal of the other; e1 is known
		t.Errorf("then %q", got)
	}
	q.journal.Append(api.JournalEntry{ID: "e3", Time: noon})
	if got := <-out; !strings.HasSuffix(got, ",e3\n") {
		t.Errorf("last %q", got)
	}
	cancel()
	if c := <-code; c != exitOK {
		t.Errorf("interrupted: %d %s", c, errs.String())
	}
}

// TestASilentNodeIsNotShownAsActive: the other node keeps what it last heard; after a kill both would read "active".
func TestASilentNodeIsNotShownAsActive(t *testing.T) {
	p := api.Pair{Nodes: []api.Node{
		{Node: "a", Areas: []api.Area{{Area: "main", Role: api.RoleUnknown, Was: api.RoleActive}}},
		{Node: "b", Reachable: true, Areas: []api.Area{{Area: "main", Role: api.RoleActive, Confirmed: true}}},
	}, LastSwitch: &api.Switch{Area: "main", To: "b"}}
	got := roleTable(p)
	if r := got.rows[0]; r[4] != "unknown, was active" || r[6] != "?" {
		t.Errorf("the silent node: %q", r)
	}
	if r := got.rows[1]; r[4] != "active" || r[6] != "yes" {
		t.Errorf("the other: %q", r)
	}
	if last := got.foot[len(got.foot)-1]; !strings.HasPrefix(last, "last switch: main to b at") {
		t.Error(last)
	}
}
