package role_test

import (
	"errors"
	"testing"
	"time"

	"scada/redundancy/role"
)

const ms = time.Millisecond

func machine(t *testing.T, primary bool) *role.Machine {
	t.Helper()
	c := role.Config{Self: "b", Peer: "a", Heartbeat: 100 * ms, Misses: 5}
	if primary {
		c.Self, c.Peer, c.Primary = "a", "b", true
	}
	m, err := role.New(c, 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// persisted answers every wish to store an epoch and returns whether there was one.
func persisted(m *role.Machine, now time.Duration, actions []role.Action) bool {
	for _, a := range actions {
		if a.Do == role.Persist {
			for _, b := range m.Persisted(now, a.Epoch, nil) {
				if b.Do == role.Activate {
					m.Activated(now, b.Term.Epoch, nil)
				}
			}
			return true
		}
	}
	return false
}

// silence lets time pass in steps a node is used to.
func silence(m *role.Machine, from, to time.Duration) (took bool) {
	for now := from; now <= to; now += 50 * ms {
		took = persisted(m, now, m.Tick(now)) || took
	}
	return took
}

// TestOldAnswerIsNoInheritance: an answer the peer gave before it became active arrives after a request in which it says
// that it is active. It does not show that the peer's right to write is a lease, so the one that takes over may not write.
func TestOldAnswerIsNoInheritance(t *testing.T) {
	for _, old := range []bool{true, false} {
		m := machine(t, false)
		active := role.View{Role: role.Active, Epoch: 3, Acting: true}
		m.Heard(5*ms, role.Heard{Incarnation: 1, Seq: 3, View: active})
		m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 5, View: active, Echo: 8 * ms, Echoed: true})
		view := active
		if old {
			view = role.View{Role: role.Standby, Epoch: 2}
		}
		m.Heard(20*ms, role.Heard{Incarnation: 1, Seq: 4, Answer: true, View: view})
		if !silence(m, 50*ms, 2*time.Second) {
			t.Fatal("no take-over")
		}
		if m.MayWrite(2*time.Second) != !old {
			t.Errorf("old answer %v: may write %v", old, m.MayWrite(2*time.Second))
		}
	}
}

// TestLeaseNeedsAnAnswerOfThisTerm: the peer echoes an answer that was sent before this node became active; it does not
// know of the term yet.
func TestLeaseNeedsAnAnswerOfThisTerm(t *testing.T) {
	m := machine(t, true)
	standby := role.View{Role: role.Starting}
	m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, Answer: true, View: standby})
	m.Answering(20 * ms)
	actions := m.Heard(30*ms, role.Heard{Incarnation: 1, Seq: 2, View: standby, Echo: 20 * ms, Echoed: true})
	if !persisted(m, 40*ms, actions) || m.MayWrite(41*ms) {
		t.Fatal("it is active, and may not write yet")
	}
	m.Heard(50*ms, role.Heard{Incarnation: 1, Seq: 3, View: standby, Echo: 20 * ms, Echoed: true})
	if m.MayWrite(51 * ms) {
		t.Error("an echo of an answer from before the term gave a lease")
	}
	m.Answering(60 * ms)
	acting := standby
	acting.Acting = true
	m.Heard(70*ms, role.Heard{Incarnation: 1, Seq: 4, View: acting, Echo: 60 * ms, Echoed: true})
	if m.MayWrite(71 * ms) {
		t.Error("a peer that acts itself gave a lease")
	}
	m.Heard(80*ms, role.Heard{Incarnation: 1, Seq: 5, View: standby, Echo: 60 * ms, Echoed: true})
	if !m.MayWrite(81*ms) || !m.MayWrite(60*ms+450*ms-1) || m.MayWrite(60*ms+450*ms) {
		t.Error("the lease runs for 450 ms from the sending of the answer")
	}
}

// TestNoWritesInATermThePeerHasOutlived: the node that keeps the area after both were active may hold a lease already,
// and still waits for its new term: a device has seen the newer epoch.
func TestNoWritesInATermThePeerHasOutlived(t *testing.T) {
	m := machine(t, true)
	m.SetSelf(role.Self{Ready: true, Reachable: 4})
	standby := role.View{Role: role.Starting}
	m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, Answer: true, View: standby})
	m.Answering(20 * ms)
	if !persisted(m, 40*ms, m.Heard(30*ms, role.Heard{Incarnation: 1, Seq: 2, View: standby, Echo: 20 * ms, Echoed: true})) {
		t.Fatal("it is not active")
	}
	m.Answering(60 * ms)
	m.Heard(70*ms, role.Heard{Incarnation: 1, Seq: 3, View: standby, Echo: 60 * ms, Echoed: true})
	if !m.MayWrite(71 * ms) {
		t.Fatal("it has a lease")
	}
	m.Heard(80*ms, role.Heard{Incarnation: 1, Seq: 4, View: role.View{Role: role.Active, Acting: true, Epoch: 8, Reachable: 1}})
	if r, _ := m.Role(); r == role.Active && m.MayWrite(81*ms) {
		t.Error("it writes in its old term")
	}
}

// TestLateWordsOfADeadProcess: messages of an older process are ignored.
func TestLateWordsOfADeadProcess(t *testing.T) {
	m := machine(t, false)
	m.Heard(10*ms, role.Heard{Incarnation: 2, Seq: 1, Answer: true, View: role.View{Role: role.Starting}})
	m.Heard(20*ms, role.Heard{Incarnation: 1, Seq: 99, Answer: true, View: role.View{Role: role.Active, Epoch: 9}})
	if r, _ := m.Role(); r != role.Starting {
		t.Errorf("role %s", r)
	}
	if m.Goodbye(30*ms, 1, 100, "x"); m.View().Claiming {
		t.Error("the goodbye of an older process counts")
	}
}

func TestEpochCannotBeStored(t *testing.T) {
	m := machine(t, true)
	for _, a := range m.Gone(10*ms, 5*ms) {
		if a.Do == role.Persist {
			m.Persisted(20*ms, a.Epoch, errors.New("disk full"))
		}
	}
	if r, _ := m.Role(); r == role.Active || !m.View().Unable {
		t.Errorf("role %s, view %+v", r, m.View())
	}
}

func TestSentForgetsOldAnswers(t *testing.T) {
	var s role.Sent
	if _, ok := s.At(0); ok {
		t.Error("answer 0 was never sent")
	}
	for i := range 2000 {
		s.Next(time.Duration(i))
	}
	if at, ok := s.At(2000); !ok || at != 1999 {
		t.Errorf("the newest: %v, %v", at, ok)
	}
	if _, ok := s.At(2001); ok {
		t.Error("an answer that was not sent yet")
	}
	if _, ok := s.At(2000 - 1024); ok {
		t.Error("an answer that was forgotten")
	}
	if at, ok := s.At(2000 - 1023); !ok || at != 976 {
		t.Errorf("the oldest: %v, %v", at, ok)
	}
}

func TestConfigLimits(t *testing.T) {
	good := role.Config{Self: "a", Peer: "b", Heartbeat: 100 * ms, Misses: 5}
	tests := []func(c *role.Config){
		func(c *role.Config) { c.Heartbeat = role.MinHeartbeat - 1 },
		func(c *role.Config) { c.Heartbeat = role.MaxHeartbeat + 1 },
		func(c *role.Config) { c.Misses = role.MinMisses - 1 },
		func(c *role.Config) { c.Misses = role.MaxMisses + 1 },
		func(c *role.Config) { c.HoldOff = role.MaxHoldOff + 1 },
		func(c *role.Config) { c.JoinWait = -1 },
		func(c *role.Config) { c.StepLimit = role.MaxStepLimit + 1 },
		func(c *role.Config) { c.Peer = "a" },
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for i, change := range tests {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("case %d is accepted: %+v", i, c)
		}
	}
}
