package modbus

import (
	"errors"
	"testing"
	"time"

	"scada/acquisition/tag"
)

// sequence is a sink that keeps everything in order.
type sequence struct {
	all     []tag.Update
	settled int // how many samples there were when the device was reported
}

func (s *sequence) Publish(batch []tag.Update)       { s.all = append(s.all, batch...) }
func (s *sequence) Settled(string, time.Time, error) { s.settled = len(s.all) }
func (s *sequence) last() tag.Update                 { return s.all[len(s.all)-1] }
func (s *sequence) has(id tag.ID, q tag.Quality) (at int) {
	for i, u := range s.all {
		if u.Tag == id && u.Quality == q {
			return i
		}
	}
	return -1
}

// TestHeldAnswersComeFirst: answers that wait for the next requests are published before anything that happened after
// them: the loss of the device, a refusal, the report that it has settled.
func TestHeldAnswersComeFirst(t *testing.T) {
	begin := func() (*session, *sequence) {
		sources, err := New([]Device{plainDevice("plc", 1, 16, 0, 2)}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		sink := &sequence{}
		s := newSession(sources[0].(*Channel), t.Context(), sink)
		for range s.c.devices[0].polls {
			s.sched.Next(s.now)
		}
		s.arrived(s.c.devices[0].polls[0], []byte{0, 1, 0, 2, 0, 3})
		if len(sink.all) != 0 {
			t.Fatal("an answer was not held")
		}
		return s, sink
	}
	s, sink := begin()
	s.deviceLost(s.c.devices[0], errors.New("gone"))
	if good, lost := sink.has(0, tag.Good), sink.has(0, tag.UncertainNoCommunicationLastUsable); good < 0 || lost < good {
		t.Errorf("lost at %d, the value before it at %d", lost, good)
	}
	s, sink = begin()
	p := s.c.devices[0].polls[1]
	s.refused(&tx{dev: p.dev, poll: p}, &Exception{Function: fcReadHolding, Code: 4})
	if good, bad := sink.has(0, tag.Good), sink.has(3, tag.BadDeviceFailure); good < 0 || bad < good || sink.settled != len(sink.all) {
		t.Errorf("refused at %d, the value before it at %d, settled at %d of %d", bad, good, sink.settled, len(sink.all))
	}
	s, sink = begin()
	s.arrived(s.c.devices[0].polls[1], []byte{0, 4, 0, 5, 0, 6})
	s.publishHeld()
	if len(sink.all) != 6 || sink.last().Tag != 5 || sink.settled != 6 {
		t.Errorf("%d samples, settled at %d", len(sink.all), sink.settled)
	}
}
