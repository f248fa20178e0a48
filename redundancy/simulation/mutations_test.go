package simulation

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mutation is a deliberate fault of the role machine: one text of one file replaced by another.
type mutation struct {
	what, file, old, new string
	// by is who has to notice.
	by noticer
}

// noticer says which tests have to notice a mutation.
type noticer uint8

const (
	// somebody: a script or table of the machine, or else a seed.
	somebody noticer = iota
	// seed: the simulator itself.
	seed
)

// mutations are mistakes somebody could make in the machine. Not among them are the guards that stand behind others, which
// nothing can notice: that the echo of a peer that claims or withholds renews no lease (whoever echoes an answer of this
// term has heard of the term and gives its claim up, and a peer that withholds has made this node a standby before).
var mutations = []mutation{
	{"the lease is not checked", "machine.go", "m.activated && (m.solo || now < m.lease && m.rival <= m.term.Epoch)", "m.activated", seed},
	{"writes go on in a term the peer has outlived", "machine.go", "now < m.lease && m.rival <= m.term.Epoch", "now < m.lease", somebody},
	{"the lease is longer than the silence", "config.go", "c.Take() - c.Heartbeat/2", "c.Take() + c.Heartbeat", seed},
	{"the lease runs from the echo's arrival", "hear.go", "max(m.lease, h.Echo+m.cfg.Lease())", "max(m.lease, m.last+m.cfg.Lease())", seed},
	{"the echo of an acting peer counts", "hear.go", "m.role != Active || h.View.Acting || h.View.Withhold", "m.role != Active || h.View.Withhold", seed},
	{"a forced take does not stop the active", "hear.go", "if m.role == Active && h.View.Withhold {", "if false {", somebody},
	{"the answer is not of this term", "hear.go", "|| h.Echo <= m.changedAt {", "{", somebody},
	{"an echo from before the role settles who acts", "evaluate.go", "m.leaving || m.echo <= m.changedAt ||", "m.leaving ||", somebody},
	{"the solo right is kept beside a peer that hears", "machine.go", "if m.role == Active && m.solo {\n\t\tm.solo = false", "if false {\n\t\tm.solo = false", seed},
	{"everybody inherits", "evaluate.go", "solo: m.heir, silent: true", "solo: true, silent: true", seed},
	{"an answer of a standby makes an heir", "hear.go", "m.answer(now, h.View.Role == Active)", "m.answer(now, true)", seed},
	{"an overtaken answer is lost", "hear.go", "m.answer(now, heir)\n", "_ = heir\n", somebody},
	{"an answer to an earlier process counts", "hear.go", "h.Answer = h.Answer && !h.Former", "", somebody},
	{"a claim by silence outlives an answer", "hear.go", "m.claim != nil && m.claim.silent && m.peer.Acting", "false", somebody},

	{"the epoch is not stored before use", "become.go", "m.do(Action{Do: Persist, Epoch: c.epoch, Reason: c.reason})", "m.claim = nil\n\tm.becomeActive(c)", seed},
	{"an epoch that cannot be stored is used", "become.go", "if err != nil {\n\t\t\tm.fail(\"the epoch", "if false {\n\t\t\tm.fail(\"the epoch", seed},
	{"both nodes choose the same epochs", "become.go", "odd != (e%2 == 1)", "odd && false", seed},
	{"the peer's epochs are forgotten", "hear.go", "m.maxEpoch = max(m.maxEpoch, h.View.Epoch)", "", somebody},
	{"a term below a newer one goes on", "evaluate.go", "return m.rival > m.term.Epoch && m.activated", "return false && m.activated", somebody},

	{"a stall past the lease goes unnoticed", "machine.go", "m.role == Active && !m.solo && m.lease > before && m.lease <= now", "m.role == Active && before < 0", somebody},
	{"a stall counts as misses of the peer", "machine.go", "m.missBase = now\n\tm.report(WhatStall", "m.report(WhatStall", somebody},
	{"goodbye is ignored", "hear.go", "if incarnation == m.peerInc && m.gone == \"\" {", "if false {", somebody},
	{"an older process's goodbye counts", "hear.go", "if incarnation == m.peerInc && m.gone == \"\" {", "if m.gone == \"\" {", somebody},
	{"a refused connection counts although the peer was heard since", "hear.go", "if m.heardAt < since && m.gone == \"\" {", "if m.gone == \"\" {", somebody},
	{"the join wait is skipped", "become.go", "m.joinUntil = m.last + m.cfg.JoinWait", "m.joinUntil = m.last", somebody},
	{"late words of a dead process count", "hear.go", "case h.Incarnation < m.peerInc:", "case false:", somebody},
	{"late messages count as news", "hear.go", "case h.Seq <= m.peerSeq:", "case false:", somebody},
	{"any restart is proof", "hear.go", "m.restarted = m.role == Standby && m.heir", "m.restarted = m.role == Standby", somebody},
	{"a new process inherits what the old one heard", "hear.go", "m.heir, m.echo = false, never\n\tm.answered = false", "", somebody},
	{"a cut-off node takes over", "evaluate.go", "if m.role != Isolated {\n\t\t\tm.becomeIsolated(\"the witness says that this node is the one cut off\")\n\t\t}\n\t\treturn", "", somebody},
	{"a live peer is taken over", "evaluate.go", "m.wait(\"the witness says that \" + m.cfg.Peer + \" is alive: only the link is cut\")\n\t\treturn", "", somebody},
	{"policy safety takes over", "evaluate.go", "if m.cfg.Policy == Safety {", "if false {", somebody},
	{"a forced take does not wait for the lease", "evaluate.go", "m.last >= m.force.since+m.cfg.Take()", "true", seed},

	{"a switch commits before it freezes", "switch.go", "m.freeze()\n", "m.send(Message{Step: Commit, ID: m.sw.id})\n\t\tm.freeze()\n", seed},
	{"a switch freezes before the peer is prepared", "switch.go", "m.send(Message{Step: Prepare, ID: m.sw.id, Kind: kind, Epoch: m.maxEpoch, Reason: reason})",
		"m.send(Message{Step: Prepare, ID: m.sw.id, Kind: kind, Epoch: m.maxEpoch, Reason: reason})\n\tm.freeze()", somebody},
	{"a commit counts after newer terms", "switch.go", "|| m.maxEpoch > p.epoch ||", "||", somebody},
	{"a late commit is taken back at once", "switch.go", "sw.step, sw.until = aborting, m.last+m.cfg.StepLimit\n\t\tm.send(Message{Step: Abort, ID: sw.id})",
		"m.rolledBack(\"late\")", somebody},
	{"an active node says that the switch is off", "switch.go", "if m.role != Active {\n\t\t\tm.send(Message{Step: Aborted", "if true {\n\t\t\tm.send(Message{Step: Aborted", somebody},
	{"a stopping node does not count as acting", "machine.go", "return m.role == Active || m.leaving || m.stopping", "return m.role == Active", somebody},
	{"a failed activation is tried again at once", "become.go", "m.unableUntil = m.last + m.cfg.JoinWait", "", somebody},
	{"who lost the double goes on", "hear.go", "theirs.Epoch > mine.Epoch", "false", seed},
	{"both lose the double", "hear.go", "theirs.Epoch > mine.Epoch", "true", somebody},

	{"the hold-off is ignored", "evaluate.go", "max(m.cleanSince, m.changedAt)+m.holdOff", "max(m.cleanSince, m.changedAt)", somebody},
	{"a flap does not double the hold-off", "become.go", "m.holdOff = min(2*m.holdOff, MaxHoldOff)", "", somebody},
	{"the automatic ignores the operator's choice", "health.go", "m.activated && !m.pinned &&", "m.activated &&", somebody},
	{"the automatic interrupts writes", "health.go", "&& !m.self.Busy", "", somebody},
	{"the automatic does not wait for a ready peer", "health.go", "m.peer.Ready && m.self.Hold", "m.self.Hold", somebody},
	{"the automatic ignores different configurations", "health.go", "&& m.self.Hold == \"\" &&", "&&", somebody},
	{"any difference of health moves the area", "health.go", "m.self.Score < m.peerScore+m.cfg.margin()", "m.self.Score <= m.peerScore", somebody},
	{"a glitch moves the area", "health.go", "m.last >= m.betterSince+HealthFor &&", "", somebody},
	{"health moves the area again and again", "health.go", "(m.healthAt == never || m.last >= m.healthAt+HealthEvery) && ", "", somebody},
	{"the new active knows nothing of the health switch", "become.go", "if c.kind == Health {\n\t\tm.healthAt", "if false {\n\t\tm.healthAt", somebody},
	{"the hand-back returns to the ill node", "evaluate.go", "!m.cfg.Primary && !m.worse() &&", "!m.cfg.Primary &&", somebody},
	{"the health switch cannot be forbidden", "health.go", "return m.cfg.HealthMargin != NoHealthSwitch && ", "return ", somebody},

	{"two operators take by force at once", "hear.go", "if m.force != nil && h.View.Withhold && !m.cfg.Primary {", "if false {", somebody},
	{"a forced take does not ask whether the peer claims", "evaluate.go", "!m.peer.Acting && !m.peer.Claiming && m.echo > m.force.since", "!m.peer.Acting", somebody},
	{"a forced take believes that a peer which fell silent does not act", "evaluate.go", "sure := m.gone != \"\" || yielded || m.heir || m.force.silent", "sure := true || yielded", somebody},
	{"a forced take is accepted beside another", "operator.go", "case m.Contact(m.last) && m.peer.Withhold:", "case false:", somebody},
}

// TestMutationsStillApply keeps the list honest when the machine changes: each fault has exactly one place.
func TestMutationsStillApply(t *testing.T) {
	for _, m := range mutations {
		if n := strings.Count(read(t, m.file), m.old); n != 1 {
			t.Errorf("%s: its text occurs %d times in %s", m.what, n, m.file)
		}
	}
}

// TestMutations makes each fault in turn and wants a test of the machine or a seed of the simulator to fail: a proof
// that cannot fail proves nothing. It takes minutes and runs when ROLE_MUTATIONS is set to how many seeds a fault gets.
func TestMutations(t *testing.T) {
	count := os.Getenv("ROLE_MUTATIONS")
	if count == "" {
		t.Skip("set ROLE_MUTATIONS=3000 to make the faults (several minutes)")
	}
	for _, m := range mutations {
		t.Run(strings.ReplaceAll(m.what, " ", "_"), func(t *testing.T) {
			overlay := faulty(t, m)
			if m.by == somebody {
				if test := noticed(t, overlay, "../role", failedTest); test != "" {
					t.Logf("%s: noticed by %s", m.what, test)
					return
				}
			}
			found := noticed(t, overlay, ".", failedSeed, "-run", "TestSeeds", "-seeds", count, "-shrink=false")
			if found == "" {
				t.Fatalf("%s: nobody noticed who has to", m.what)
			}
			t.Logf("%s: noticed by seed %s", m.what, found)
		})
	}
}

var (
	failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (Test\w+/\S+|Test[^S]\S*)`)
	failedSeed = regexp.MustCompile(`(?m)^\s*\S+ seed (\d+: [^\n]*)`)
)

// faulty writes the faulty copy and returns the overlay that puts it in place of the file.
func faulty(t *testing.T, m mutation) string {
	t.Helper()
	dir := t.TempDir()
	fault, overlay := filepath.Join(dir, m.file), filepath.Join(dir, "overlay.json")
	source, err := filepath.Abs(filepath.Join("../role", m.file))
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: fault}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{fault: strings.Replace(read(t, m.file), m.old, m.new, 1), overlay: string(replace)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}

// noticed runs the tests of a package over the fault and returns what failed first, or "".
func noticed(t *testing.T, overlay, dir string, failed *regexp.Regexp, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"test", "-count=1", "-timeout=120s", "-vet=off", "-overlay", overlay, dir}, args...)...)
	cmd.Env = append(os.Environ(), "ROLE_MUTATIONS=")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	if strings.Contains(string(out), "[build failed]") {
		t.Fatalf("the fault does not compile: %s", out)
	}
	if found := failed.FindStringSubmatch(string(out)); found != nil {
		return found[1]
	}
	return "(a panic or the time limit)"
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../role", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
