package alarms_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mutation is a deliberate fault: one text of one file replaced by another.
type mutation struct {
	what, file, old, new string
}

// mutations are mistakes somebody could make in the engine, many of them found in other products. Every one must be
// noticed by a test.
var mutations = []mutation{
	{"limits are strict", "judge.go", "x > v || (x == v && !l.strict)", "x > v"},
	{"strict is ignored", "judge.go", "(x == v && !l.strict)", "x == v"},
	{"the deadband is ignored", "judge.go", "x < v-l.deadband", "x < v"},
	{"the deadband's edge clears", "judge.go", "x < v-l.deadband", "x <= v-l.deadband"},
	{"the deadband applies to a pending on-delay", "judge.go", "case !s.Active && !violates:", "case !s.Active && !violates && out:"},
	{"low limits are judged as high ones", "judge.go", "if !l.level.high() {\n\t\tx, v = -x, -v", "if false {\n\t\tx, v = -x, -v"},
	{"an interruption does not restart the on-delay", "judge.go", "case !s.Active && !violates:\n\t\t\ts.Onset = 0", "case !s.Active && !violates:"},
	{"a re-entry does not stop the off-delay", "judge.go", "case s.Active && !out:\n\t\t\ts.Offset = 0", "case s.Active && !out:"},
	{"the on-delay is one sample too long", "judge.go", "at >= s.Onset+l.on", "at > s.Onset+l.on"},
	{"the off-delay is ignored", "judge.go", "at >= s.Offset+l.off", "at >= s.Offset"},
	{"lower limits wait for their own delay", "judge.go", "changed = c.intermediate() || changed", ""},
	{"both sides stay active", "judge.go", "changed = c.oneSide(at) || changed", ""},
	{"the least severe limit wins", "judge.go", "c.Limits[i].Level.rank() > c.Limits[best].Level.rank()", "c.Limits[i].Level.rank() < c.Limits[best].Level.rank()"},
	{"a gap is forgotten", "judge.go", "g := gap{held: true, from: c.GapFrom}", "g := gap{}"},
	{"quality is reported every time", "judge.go", "if c.BadReported || c.base() == StateNorm {", "if c.base() == StateNorm {"},
	{"normal conditions report their quality", "judge.go", "if c.BadReported || c.base() == StateNorm {", "if c.BadReported {"},
	{"good quality is not reported", "judge.go", "if c.base() != StateNorm {\n\t\t\te.emit", "if false {\n\t\t\te.emit"},
	{"a new target does not restart the expected time", "judge.go", "if !c.Limits[i].Active {\n\t\t\t\t\tc.Limits[i].Onset = 0", "if false {\n\t\t\t\t\tc.Limits[i].Onset = 0"},
	{"the rate ignores the longest gap", "judge.go", "f.prevAt == 0 || f.RefAt-f.prevAt > int64(c.def.MaxGap)", "f.prevAt == 0"},
	{"the rate assumes a second", "judge.go", "(float64(f.RefAt-f.prevAt) / 1e9)", "1"},
	{"reports of devices are uncertain too", "judge.go", "e.ripenBefore(c, at)\n\t\tg = gap{}", "e.ripenBefore(c, at)"},
	{"a delay that ended in the gap ends when it is seen", "judge.go", "e.ripenBefore(c, at)\n\t\tg = gap{}", "g = gap{}"},
	{"the tolerance is exclusive", "judge.go", "violates = x > c.def.Tolerance", "violates = x >= c.def.Tolerance"},
	{"one bad tag is a lost device", "judge.go", "return bad == len(c.all), bad == len(c.all)", "return bad > 0, bad > 0"},

	{"bad quality clears", "sample.go", "if c.def.Type != TypeBadQuality {\n\t\t\te.hold(c)\n\t\t}", "_ = c"},
	{"a late sample is evaluated", "sample.go", "if at < last {", "if at < last && false {"},
	{"NaN is a value", "sample.go", "&& !math.IsNaN(n) && !math.IsInf(n, 0)", "&& (!math.IsNaN(n) || true)"},
	{"the first bad sample is believed", "sample.go", "if f.Blind && now < e.graceUntil {", "if false {"},
	{"the grace never ends", "sample.go", "if f.Blind && now < e.graceUntil {", "if f.Blind {"},
	{"timers fire before a sample of the same instant", "sample.go", "e.advance(min(batch[i].Time, now) - 1)", "e.advance(min(batch[i].Time, now))"},
	{"uncertain is never held", "sample.go", "&& !(c.def.HoldUncertain && f.Quality.IsUncertain())", ""},
	{"two samples of one time make a rate", "sample.go", "if at > f.RefAt {", "{"},
	{"a clock ahead deafens the tag", "sample.go", "at = now\n\t\te.touchTag(f)", "e.touchTag(f)"},
	{"our bad mark outranks the device's time", "sample.go", "last = f.GoodAt", "last = f.Time"},
	{"suppression waits for the end of the instant", "sample.go", "e.suppress(c, SuppressedByTag, at)\n", "_ = 0\n"},

	{"a new occurrence keeps the number", "transition.go", "c.Occurrence++", "c.Occurrence = max(c.Occurrence, 1)"},
	{"earlier occurrences are forgotten", "transition.go", "c.Earlier = append(c.Earlier, Occurrence{Term: c.OccurrenceTerm, Number: c.Occurrence})", ""},
	{"acknowledgement is always required", "transition.go", "c.Unacked = !hidden && !c.def.NoAck", "c.Unacked = !hidden"},
	{"hidden alarms annunciate", "transition.go", "return !c.hidden() && c.Priority != PriorityJournal", "return c.Priority != PriorityJournal"},
	{"every activation is the first out", "transition.go", "if c.base() != StateNorm {\n\t\t\treturn false", "if c.Idle {\n\t\t\treturn false"},
	{"escalation keeps the acknowledgement", "transition.go", "if up && !c.hidden() && !c.def.NoAck {", "if false {"},
	{"de-escalation annunciates", "transition.go", "Annunciate: up && c.announces()", "Annunciate: c.announces()"},
	{"the re-alarm is silent about acknowledgement", "transition.go", "if !c.def.NoAck {\n\t\tc.Unacked, c.AckedAt, c.AckedBy = true, 0, \"\"\n\t}\n\te.emit(c, Event{Kind: KindRealarm", "e.emit(c, Event{Kind: KindRealarm"},
	{"shelving is no acknowledgement", "transition.go", "func (c *condition) conceal() { c.Unacked, c.Earlier = false, nil }", "func (c *condition) conceal() {}"},
	{"the first overlay to end brings the alarm back", "transition.go", "if !c.hidden() && c.Level != LevelNone {\n\t\tc.Unacked", "if c.Level != LevelNone {\n\t\tc.Unacked"},
	{"an alarm off the shelf is acknowledged", "transition.go", "c.Unacked = !c.def.NoAck\n\t\tc.rearm", "c.rearm"},
	{"one-shot shelving never ends", "transition.go", "if c.Shelving == ShelvedOneShot {", "if false {"},
	{"a blind suppression input releases", "transition.go", "f == nil || (!f.Bad && !f.Blind && f.GoodAt != 0 && f.number() != 0)", "f == nil || f.Bad || f.Blind || f.number() != 0"},
	{"a parent does not suppress", "transition.go", "e.suppress(child, SuppressedByParent, at)", "_ = child"},
	{"what was uncertain is certain", "transition.go", "if !g.held || g.from == 0 {", "if true {"},
	{"the gap outranks the delay", "transition.go", "earliest = max(earliest, since+delay)", ""},
	{"a removed latch", "transition.go", "c.Latched = c.def.Latch", ""},

	{"an acknowledgement hits the newer occurrence", "command.go", "case occ != 0 && occ < c.Occurrence:\n\t\treturn e.ackEarlier(c, occ, ev)", ""},
	{"an acknowledgement leaves the earlier ones", "command.go", "c.Unacked, c.Earlier = false, nil\n\tc.acknowledged", "c.Unacked = false\n\tc.acknowledged"},
	{"a latch resets while active", "command.go", "if !c.Latched || c.Level != LevelNone || c.Unacked {", "if !c.Latched || c.Unacked {"},
	{"a latch resets unacknowledged", "command.go", "if !c.Latched || c.Level != LevelNone || c.Unacked {", "if !c.Latched || c.Level != LevelNone {"},
	{"the longest shelving time is ignored", "command.go", "|| (c.def.ShelveMax > 0 && d > c.def.ShelveMax)", ""},
	{"one-shot shelving has no limit", "command.go", "until = ev.Time + int64(c.def.ShelveMax)", ""},
	{"shelving twice prolongs", "command.go", "case c.Shelving != NotShelved:\n\t\treturn ResultAlreadyShelved", ""},
	{"back in service is silent", "command.go", "ev.Kind = KindRTS\n\te.reveal(c, ev)", "ev.Kind = KindRTS\n\te.emit(c, ev)"},

	{"operator timers wait for a sample", "timer.go", "due := earliest(c.operatorDue(), 0)\n\tif c.Held {\n\t\treturn due", "due := earliest(c.operatorDue(), 0)\n\tif c.Held {\n\t\treturn 0"},
	{"process timers fire in the dark", "timer.go", "if c.Held {\n\t\treturn due\n\t}", ""},
	{"a rate never falls idle", "timer.go", "if c.def.Type != TypeRoc || c.Idle || c.main.RefAt == 0 {", "if true {"},

	{"a take-over is not blind", "takeover.go", "f.Blind, f.Bad = true, false", "f.Bad = false"},
	{"a take-over does not hold", "takeover.go", "if !c.Held {\n\t\t\tc.Held, c.GapFrom = true, c.lastKnown()\n\t\t}", ""},
	{"a take-over forgets what fell due", "takeover.go", "if due := c.operatorDue(); due != 0 && due <= now {", "if false {"},
	{"a take-over keeps the term", "takeover.go", "e.term, e.graceUntil = m.Term,", "e.graceUntil ="},
	{"removed alarms vanish", "takeover.go", "e.closeRemoved(&removed[i], now)", "_ = i"},
	{"a reload forgets", "takeover.go", "e.adopt(now, &c.ConditionImage)", "_ = now"},
	{"a reload waits for the next sample", "takeover.go", "e.judge(c, now, false)", "_ = now"},

	{"the merge drops acknowledgements", "merge.go", "m.acknowledge(c, fork, same)", ""},
	{"the merge honours what nobody was promised", "merge.go", "|| !f.Confirmed ||", "||"},
	{"the merge annunciates the fork", "merge.go", "ev.Annunciate, ev.Note = false, NoteFork", "ev.Note = NoteFork"},
	{"the merge hides what only the loser saw", "merge.go", "m.adopt(c, s)", "_ = s"},
	{"the merge adopts what was acknowledged", "merge.go", "case !s.acked:", "default:"},
	{"the merge does not find duplicates", "merge.go", "o.from <= s.to && s.from <= o.to", "false"},
	{"every alarm of the loser is a duplicate", "merge.go", "o.from <= s.to && s.from <= o.to", "true"},
	{"numbers are used again after a merge", "merge.go", "c.Occurrence = s.Number // numbers", "_ = s.Number // numbers"},
	{"the merge forgets the shelf", "merge.go", "m.shelving(c, fork)", ""},
	{"the loser's shelf always wins", "merge.go", "&& ev.Time >= last.Time", "&& false"},

	{"the image lacks the onset", "codec.go", "dst = appendTime(appendTime(dst, l.Onset), l.Offset)", "dst = appendTime(appendTime(dst, 0), l.Offset)"},
	{"the image lacks the shelf's end", "codec.go", "&c.Onset, &c.NotBefore, &c.ShelvedUntil} {\n\t\t*t = r.time()", "&c.Onset, &c.NotBefore, new(int64)} {\n\t\t*t = r.time()"},
	{"the standby does not follow the samples", "sample.go", "f.accept(u.Time, n, u)", "_ = n"},
	{"the key depends on nothing but the condition", "event.go", "b = binary.AppendUvarint(b, e.Occurrence)", ""},

	{"years of re-alarms are worked off", "transition.go", "behind > maxCatchUp*int64(c.def.Realarm) && c.RealarmAt != 0", "behind > 1<<62"},

	{"a flood ends at five", "kpi.go", "flood != nil && n < FloodLeave", "flood != nil && n <= FloodLeave"},
	{"ten alarms are a flood", "kpi.go", "if n > FloodEnter {", "if n >= FloodEnter {"},
	{"chattering needs less than a minute", "kpi.go", "<= int64(ChatterWindow)", "< int64(ChatterWindow)"},
	{"stale needs more than a day", "kpi.go", "stale || e.to-e.from >= int64(StaleDuration)", "stale || e.to-e.from > int64(StaleDuration)"},
}

// TestMutationsStillApply keeps the list honest when the engine changes: each fault has exactly one place.
func TestMutationsStillApply(t *testing.T) {
	for _, m := range mutations {
		if n := strings.Count(read(t, m.file), m.old); n != 1 {
			t.Errorf("%s: its text occurs %d times in %s", m.what, n, m.file)
		}
	}
}

// TestMutations makes each fault in turn and wants another test to fail. It takes minutes and runs when
// ALARM_MUTATIONS=1; the report says who noticed.
func TestMutations(t *testing.T) {
	if os.Getenv("ALARM_MUTATIONS") == "" {
		t.Skip("set ALARM_MUTATIONS=1 to make the faults (several minutes)")
	}
	for _, m := range mutations {
		t.Run(strings.ReplaceAll(m.what, " ", "_"), func(t *testing.T) {
			t.Logf("noticed by %s", noticed(t, m))
		})
	}
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// noticed runs the tests against a faulty copy of one file and returns the first test that failed.
func noticed(t *testing.T, m mutation) string {
	t.Helper()
	dir := t.TempDir()
	faulty, overlay := filepath.Join(dir, m.file), filepath.Join(dir, "overlay.json")
	source, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: faulty}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{faulty: strings.Replace(read(t, m.file), m.old, m.new, 1), overlay: string(replace)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-count=1", "-timeout=60s", "-vet=off", "-overlay", overlay, "-skip", "Mutations", ".")
	cmd.Env = append(os.Environ(), "ALARM_MUTATIONS=", "ALARM_SEEDS=40")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("nobody noticed")
		return "nobody"
	}
	if strings.Contains(string(out), "[build failed]") {
		t.Fatalf("the fault does not compile: %s", out)
	}
	if list := failed.FindAllStringSubmatch(string(out), -1); len(list) > 0 {
		return list[min(1, len(list)-1)][1]
	}
	return "a panic or the time limit"
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
