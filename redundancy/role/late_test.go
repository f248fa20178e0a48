package role_test

import (
	"testing"
	"time"

	"scada/redundancy/role"
)

// TestGoodbyeOfADeadProcess: the goodbye of an older process says nothing of the one that is active.
func TestGoodbyeOfADeadProcess(t *testing.T) {
	for _, incarnation := range []uint64{1, 2} {
		m := machine(t, false)
		m.Heard(10*ms, role.Heard{Incarnation: 2, Seq: 1, Answer: true, View: role.View{Role: role.Active, Epoch: 3, Acting: true}})
		took := persisted(m, 20*ms, m.Goodbye(20*ms, incarnation, 9, "stopped"))
		if took != (incarnation == 2) {
			t.Errorf("goodbye of process %d while process 2 is active: taken over %v", incarnation, took)
		}
	}
}

// TestOvertakenRequest: what a message says of its sender that was overtaken by a newer one is over. Here the peer was a
// standby when it sent the message, and is active.
func TestOvertakenRequest(t *testing.T) {
	for _, seq := range []uint64{2, 9} {
		m := machine(t, true)
		active := role.View{Role: role.Active, Epoch: 4, Acting: true}
		m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, Answer: true, View: active})
		m.Answering(20 * ms)
		m.Heard(30*ms, role.Heard{Incarnation: 1, Seq: 5, Answer: true, View: active, Echo: 20 * ms, Echoed: true})
		took := persisted(m, 40*ms, m.Heard(40*ms, role.Heard{Incarnation: 1, Seq: seq, View: role.View{Role: role.Standby, Epoch: 4}, Echo: 20 * ms, Echoed: true}))
		if took != (seq == 9) {
			t.Errorf("message %d after message 5: taken over %v", seq, took)
		}
	}
}

// TestRestartOfAStandby: a new process of the peer shows that the old one acts no more, which matters only if it did.
func TestRestartOfAStandby(t *testing.T) {
	for _, last := range []role.Role{role.Standby, role.Active} {
		m := machine(t, false)
		m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, View: role.View{Role: role.Active, Epoch: 3, Acting: true}})
		m.Heard(20*ms, role.Heard{Incarnation: 1, Seq: 2, Answer: true, View: role.View{Role: last, Epoch: 3, Acting: last == role.Active}})
		took := persisted(m, 30*ms, m.Heard(30*ms, role.Heard{Incarnation: 2, Seq: 1, Answer: true, View: role.View{Role: role.Starting}}))
		if took != (last == role.Active) {
			t.Errorf("the process that restarted was %s: taken over %v", last, took)
		}
	}
}

// TestAnswerToAnEarlierProcess: a node inherits the right to write only from an active that knows of its process. Another,
// which stood still, may read the goodbye of the earlier process next and believe that nobody else acts.
func TestAnswerToAnEarlierProcess(t *testing.T) {
	for _, former := range []bool{false, true} {
		m := machine(t, false)
		active := role.View{Role: role.Active, Epoch: 3, Acting: true}
		m.Heard(10*ms, role.Heard{Incarnation: 1, Seq: 1, View: active})
		m.Heard(20*ms, role.Heard{Incarnation: 1, Seq: 2, Answer: true, Former: former, View: active, Echo: 15 * ms, Echoed: true})
		if !silence(m, 50*ms, 2*time.Second) {
			t.Fatal("it does not take over")
		}
		if m.MayWrite(2*time.Second) == former {
			t.Errorf("the answer was for an earlier process: %v, may write: %v", former, former)
		}
	}
}

// TestTwoHeirs: two nodes that were both active and have both given way must not both inherit when the link is cut then. A
// node inherits only once the peer has echoed an answer it gave as a standby, and so is no heir any more.
func TestTwoHeirs(t *testing.T) {
	for _, echoed := range []bool{false, true} {
		m := machine(t, true)
		if !persisted(m, 10*ms, m.Gone(10*ms, 5*ms)) {
			t.Fatal("it is not active")
		}
		m.Answering(20 * ms)
		peer := role.Heard{Incarnation: 1, Seq: 1, Answer: true, View: role.View{Role: role.Active, Epoch: 2, Acting: true, Confirmed: true}}
		m.Heard(30*ms, peer)
		m.Deactivated(40 * ms)
		m.Answering(50 * ms)
		peer.Seq, peer.Echo, peer.Echoed = 2, 20*ms, true // of an answer it gave as the active
		if echoed {
			peer.Echo = 50 * ms
		}
		m.Heard(60*ms, peer)
		if !silence(m, 100*ms, 2*time.Second) {
			t.Fatal("it does not take over")
		}
		if m.MayWrite(2*time.Second) != echoed {
			t.Errorf("the peer knows that it gave way: %v, it may write: %v", echoed, !echoed)
		}
	}
}
