package role_test

import (
	"testing"

	"scada/redundancy/role"
)

// TestAlone: a solo right that becomes a lease rests on the peer's not acting until the peer has echoed an answer that
// was sent to it later.
func TestAlone(t *testing.T) {
	m := machine(t, true)
	if !persisted(m, 10*ms, m.Gone(10*ms, 5*ms)) || !m.MayWrite(11*ms) || !m.Alone() {
		t.Fatal("the node is active and alone")
	}
	m.Answering(20 * ms)
	if _, solo := m.Lease(21 * ms); solo || !m.MayWrite(21*ms) || !m.Alone() {
		t.Error("the right is a lease now, and nothing was echoed")
	}
	standby := role.View{Role: role.Starting}
	m.Heard(30*ms, role.Heard{Incarnation: 1, Seq: 1, View: standby, Echo: 20 * ms, Echoed: true})
	if !m.Alone() {
		t.Error("the echo of the first answer adds nothing to what the node gave itself")
	}
	m.Answering(120 * ms)
	m.Heard(130*ms, role.Heard{Incarnation: 1, Seq: 2, View: standby, Echo: 120 * ms, Echoed: true})
	if m.Alone() || !m.MayWrite(131*ms) {
		t.Error("the peer echoes: the node is not alone")
	}
}
