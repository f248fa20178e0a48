package role_test

import (
	"testing"

	"scada/redundancy/role"
)

// deafStandby returns an active node in term 1 and its standby, which heard nothing, took over in term 2, had the right to write,
// and gave way to the first answer that reached it: before the active heard anything of its term.
func deafStandby(t *testing.T) (active, standby *role.Machine) {
	t.Helper()
	a, b := machine(t, true), machine(t, false)
	a.SetSelf(role.Self{Ready: true, Reachable: 4})
	b.SetSelf(role.Self{Ready: true})
	if !persisted(a, 10*ms, a.Gone(10*ms, 5*ms)) {
		t.Fatal("a is not active")
	}
	b.Heard(20*ms, role.Heard{Incarnation: 1, Seq: 1, Answer: true, View: a.Answering(20 * ms)})
	b.Answering(25 * ms)
	b.Heard(30*ms, role.Heard{Incarnation: 1, Seq: 2, Answer: true, View: a.Answering(30 * ms), Echo: 25 * ms, Echoed: true})
	a.Heard(40*ms, role.Heard{Incarnation: 1, Seq: 1, View: b.View(), Echo: 30 * ms, Echoed: true})
	if !a.MayWrite(41 * ms) {
		t.Fatal("a has no lease")
	}
	silence(a, 50*ms, 600*ms)
	if !silence(b, 50*ms, 600*ms) || !b.MayWrite(600*ms) || b.Term().Epoch != 2 {
		t.Fatal("b has not taken over, or may not write")
	}
	b.Heard(610*ms, role.Heard{Incarnation: 1, Seq: 3, Answer: true, View: a.Answering(605 * ms)})
	b.Deactivated(620 * ms)
	if r, _ := b.Role(); r != role.Standby {
		t.Fatalf("b is %s", r)
	}
	return a, b
}

// TestDeafStandbyActedUnheard: the active has never heard that its standby acted for a moment in a newer term, and may not write
// in its old one: the devices have seen the newer.
func TestDeafStandbyActedUnheard(t *testing.T) {
	a, b := deafStandby(t)
	a.Heard(640*ms, role.Heard{Incarnation: 1, Seq: 2, Answer: true, View: b.Answering(630 * ms), Echo: 605 * ms, Echoed: true})
	if a.MayWrite(641 * ms) {
		t.Errorf("a writes in term %d after b could in term 2", a.Term().Epoch)
	}
	took := persisted(a, 650*ms, a.Deactivated(650*ms))
	if r, _ := a.Role(); !took || r != role.Active || a.Term().Epoch != 3 {
		t.Fatalf("a does not begin a new term: %s, epoch %d", r, a.Term().Epoch)
	}
	a.Answering(660 * ms)
	a.Heard(670*ms, role.Heard{Incarnation: 1, Seq: 3, View: b.View(), Echo: 660 * ms, Echoed: true})
	if !a.MayWrite(671 * ms) {
		t.Error("a may not write in its new term")
	}
}

// TestActed: an epoch that is only known, or being stored, was not in the field; one in which the node acts was, and one an earlier
// process had stored may have been.
func TestActed(t *testing.T) {
	m := machine(t, true)
	m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, View: role.View{Role: role.Standby, Epoch: 8}})
	actions := m.Gone(20*ms, 15*ms)
	if v := m.View(); v.Acted != 0 || v.Epoch != 9 {
		t.Errorf("an epoch that was reserved: %+v", v)
	}
	if !persisted(m, 30*ms, actions) || m.View().Acted != 9 {
		t.Errorf("while it acts: %+v", m.View())
	}
	m.Stop(40*ms, "test")
	if m.View().Acted != 9 {
		t.Errorf("after it acted: %+v", m.View())
	}
	m, err := role.New(role.Config{Self: "a", Peer: "b", Heartbeat: 100 * ms, Misses: 5, Epoch: 7}, 0)
	if err != nil || m.View().Acted != 7 {
		t.Errorf("a new process: %+v, %v", m.View(), err)
	}
}

// TestPreparedIsNotActed: an epoch that was prepared for a switch which was called off makes no term of the peer outdated.
func TestPreparedIsNotActed(t *testing.T) {
	m := prepared(t)
	m.Received(40*ms, role.Message{Step: role.Abort, ID: 3})
	if v := m.View(); v.Acted != 0 || v.Epoch != 4 {
		t.Errorf("a prepared epoch: %+v", v)
	}
}
