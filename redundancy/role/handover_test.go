package role_test

import (
	"testing"
	"time"

	"scada/redundancy/role"
)

// sent returns the steps among the actions.
func sent(actions []role.Action) (steps []role.Step) {
	for _, a := range actions {
		if a.Do == role.Send {
			steps = append(steps, a.Message.Step)
		}
	}
	return steps
}

func has(actions []role.Action, want role.Step) bool {
	for _, s := range sent(actions) {
		if s == want {
			return true
		}
	}
	return false
}

// TestNewProcessHasHeardNothing: what the peer's old process has echoed does not show that the new one knows of this node.
func TestNewProcessHasHeardNothing(t *testing.T) {
	m := machine(t, true)
	claiming := role.View{Role: role.Starting, Claiming: true}
	m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, Answer: true, View: claiming})
	m.Answering(20 * ms)
	m.Heard(30*ms, role.Heard{Incarnation: 1, Seq: 2, Answer: true, View: claiming, Echo: 20 * ms, Echoed: true})
	idle := role.View{Role: role.Starting}
	if persisted(m, 40*ms, m.Heard(40*ms, role.Heard{Incarnation: 2, Seq: 1, View: idle})) ||
		persisted(m, 50*ms, m.Heard(50*ms, role.Heard{Incarnation: 2, Seq: 2, Answer: true, View: idle})) {
		t.Error("it takes the area beside a process that has not heard of it")
	}
	m.Answering(60 * ms)
	if !persisted(m, 70*ms, m.Heard(70*ms, role.Heard{Incarnation: 2, Seq: 3, View: idle, Echo: 60 * ms, Echoed: true})) {
		t.Error("the process has heard of it")
	}
}

// prepared returns a standby that has stored epoch 4 for the switch of term 3.
func prepared(t *testing.T) *role.Machine {
	t.Helper()
	m := machine(t, false)
	m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, Answer: true, View: role.View{Role: role.Active, Epoch: 3, Acting: true}})
	m.Received(20*ms, role.Message{Step: role.Prepare, ID: 3, Kind: role.Planned, Epoch: 3})
	if !has(m.Persisted(30*ms, 4, nil), role.Prepared) {
		t.Fatal("it is not prepared")
	}
	return m
}

// TestCommitAfterANewerTerm: what was prepared is worth nothing once a newer term is known.
func TestCommitAfterANewerTerm(t *testing.T) {
	for _, epoch := range []uint64{3, 5} {
		m := prepared(t)
		m.Heard(40*ms, role.Heard{Incarnation: 1, Seq: 2, Answer: true, View: role.View{Role: role.Active, Epoch: epoch, Acting: true}})
		refused := has(m.Received(50*ms, role.Message{Step: role.Commit, ID: 3}), role.Refuse)
		if r, _ := m.Role(); refused != (epoch == 5) || (r == role.Active) != (epoch == 3) {
			t.Errorf("epoch %d: refused %v, role %s", epoch, refused, r)
		}
	}
}

// TestAbortAfterTheCommit: a node that acts must not say that the switch is off, for the other would take the area back.
func TestAbortAfterTheCommit(t *testing.T) {
	m := prepared(t)
	if !has(m.Received(40*ms, role.Message{Step: role.Abort, ID: 3}), role.Aborted) {
		t.Error("a switch that was only prepared can be called off")
	}
	m = prepared(t)
	m.Received(40*ms, role.Message{Step: role.Commit, ID: 3})
	if has(m.Received(50*ms, role.Message{Step: role.Abort, ID: 3}), role.Aborted) {
		t.Error("an active node says that the switch is off")
	}
}

// TestCommitWithoutAReply: a node that has given the area up and hears nothing of the switch asks before it takes it back.
func TestCommitWithoutAReply(t *testing.T) {
	m := machine(t, true)
	now, seq := 10*ms, uint64(0)
	hear := func(v role.View) (actions []role.Action) {
		m.Answering(now)
		seq++
		actions = m.Heard(now+ms, role.Heard{Incarnation: 1, Seq: seq, Answer: true, View: v, Echo: now, Echoed: true})
		now += 100 * ms
		return actions
	}
	standby := role.View{Role: role.Standby, Ready: true}
	if !persisted(m, now, hear(standby)) {
		t.Fatal("it is not active")
	}
	hear(standby)
	if _, err := m.Switch(now, role.Planned, "test"); err != nil {
		t.Fatal(err)
	}
	m.Received(now, role.Message{Step: role.Prepared, ID: 1, Epoch: 2})
	if !has(m.Deactivated(now), role.Commit) {
		t.Fatal("it does not commit")
	}
	standby.Claiming = true
	asked := false
	for end := now + 6*time.Second; now < end; {
		actions := hear(standby)
		asked = asked || has(actions, role.Abort)
		if persisted(m, now, actions) {
			t.Fatal("it takes the area back while the peer may act")
		}
	}
	if !asked {
		t.Error("it does not ask the peer to forget the switch")
	}
	if !persisted(m, now, m.Received(now, role.Message{Step: role.Aborted, ID: 1})) {
		t.Error("it does not take the area back")
	}
}

// TestForcedTakeAsks: a node that takes by force waits until the peer has said that it neither acts nor is about to,
// knowing of the take.
func TestForcedTakeAsks(t *testing.T) {
	m := machine(t, false)
	idle := role.View{Role: role.Standby}
	m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, Answer: true, View: idle})
	actions, err := m.Take(20*ms, "test")
	if err != nil || persisted(m, 20*ms, actions) || persisted(m, 30*ms, m.Heard(30*ms, role.Heard{Incarnation: 1, Seq: 2, Answer: true, View: idle})) {
		t.Fatal("it takes the area from a peer that knows nothing of it", err)
	}
	m.Answering(40 * ms)
	claiming := role.View{Role: role.Standby, Claiming: true}
	if persisted(m, 50*ms, m.Heard(50*ms, role.Heard{Incarnation: 1, Seq: 3, Answer: true, View: claiming, Echo: 40 * ms, Echoed: true})) {
		t.Error("it takes the area although the peer is about to")
	}
	if !persisted(m, 60*ms, m.Heard(60*ms, role.Heard{Incarnation: 1, Seq: 4, Answer: true, View: idle, Echo: 40 * ms, Echoed: true})) {
		t.Error("it does not take the area")
	}
}

// TestOneLosesTheDouble: of two active nodes only the one with the older term gives way.
func TestOneLosesTheDouble(t *testing.T) {
	for _, theirs := range []uint64{0, 2} {
		m := machine(t, true)
		if !persisted(m, 10*ms, m.Gone(10*ms, 5*ms)) {
			t.Fatal("it is not active")
		}
		m.Heard(20*ms, role.Heard{Incarnation: 1, Seq: 1, Answer: true, View: role.View{Role: role.Active, Epoch: theirs, Acting: true, Confirmed: true}})
		if r, _ := m.Role(); (r == role.Active) != (theirs == 0) {
			t.Errorf("epoch 1 beside %d: %s", theirs, r)
		}
	}
}

// TestForcedTakeFromASilentPeer: an operator's word that a silent peer does not act counts if it was silent when he gave it.
// One that fell silent after it was heard as a standby may have become active alone since.
func TestForcedTakeFromASilentPeer(t *testing.T) {
	for _, c := range []struct {
		last  role.Role
		at    time.Duration
		write bool
	}{{role.Standby, 100 * ms, false}, {role.Active, 100 * ms, true}, {role.Standby, 700 * ms, true}} {
		m := machine(t, false)
		m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, View: role.View{Role: role.Active, Epoch: 3, Acting: true}})
		m.Heard(20*ms, role.Heard{Incarnation: 1, Seq: 2, Answer: true, View: role.View{Role: c.last, Epoch: 3, Acting: true}, Echo: 15 * ms, Echoed: true})
		for now := 50 * ms; now < c.at; now += 50 * ms {
			m.Tick(now) // the epoch of a take-over is never stored
		}
		actions, err := m.Take(c.at, "test")
		if err != nil || !persisted(m, c.at, actions) && !silence(m, c.at+50*ms, c.at+time.Second) {
			t.Fatal("no take", err)
		}
		if got := m.MayWrite(c.at + time.Second); got != c.write {
			t.Errorf("heard as %s, ordered at %v: may write %v", c.last, c.at, got)
		}
	}
}
