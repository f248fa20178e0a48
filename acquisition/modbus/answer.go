package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
	"scada/acquisition/schedule"
	"scada/acquisition/tag"
)

// answerTCP finds the request an answer belongs to.
func (s *session) answerTCP(adu []byte) {
	id := binary.BigEndian.Uint16(adu)
	for i := range s.txs {
		if t := &s.txs[i]; t.busy && t.id == id {
			s.answered(t, adu)
			return
		}
	}
	late := false
	for i := range min(s.nExpired, len(s.expired)) {
		late = late || s.expired[i] == id
	}
	s.c.count(s.unit(adu[6]), func(n *acquisition.Counters) {
		if late {
			n.Late++
		} else {
			n.Malformed++
		}
	})
}

// unit returns the device with a unit id, or the first of the channel.
func (s *session) unit(id byte) *device {
	for _, d := range s.c.devices {
		if d.cfg.Unit == id {
			return d
		}
	}
	return s.c.devices[0]
}

// answered handles the answer to t.
func (s *session) answered(t *tx, adu []byte) {
	pdu, err := decodeAnswer(t, adu)
	s.free(t)
	var exception *Exception
	switch {
	case err == nil:
		s.heard(t)
		s.tried(t)
		if s.c.auto.on && s.c.auto.answered(s.now, s.backlog) {
			s.found()
		}
		s.c.mu.Lock()
		st := &t.dev.status
		st.Counters.Answers++
		st.LastGood = time.Unix(0, s.wall)
		st.Response = time.Duration(s.now - t.sent)
		st.ResponseMax = max(st.ResponseMax, st.Response)
		if st.State != acquisition.Good {
			st.State, st.Since = acquisition.Good, st.LastGood
		}
		s.c.mu.Unlock()
	case errors.As(err, &exception):
		s.c.count(t.dev, func(n *acquisition.Counters) { n.Exceptions[exception.Code]++ })
		s.note(t.dev, err)
		if !noUnit(exception) {
			s.heard(t)
			s.setState(t.dev, acquisition.Good)
		} else {
			s.good()
		}
	default:
		s.c.count(t.dev, func(n *acquisition.Counters) { n.Malformed++ })
		s.note(t.dev, err)
	}
	switch {
	case t.isTrial():
	case t.sync && t.poll != nil: // the way is clear: now the request itself
		s.transmit(t.dev, t.poll, nil, t.poll.pdu, t.poll.adu)
	case t.sync:
		t.op.flying = false
	case t.op != nil:
		s.opAnswered(t.op, pdu, err)
	case err == nil:
		s.arrived(t.poll, pdu.Data[1:])
	case exception != nil:
		s.refused(t, exception)
	default:
		s.silent(t, err)
	}
}

// heard notes that the unit is alive and that nothing older than this answer can come from it.
func (s *session) heard(t *tx) {
	t.dev.lastGood, t.dev.lost = s.now, false
	t.dev.shapes = t.dev.shapes[:0]
	s.good()
}

// decodeAnswer verifies and decodes the answer to t.
func decodeAnswer(t *tx, adu []byte) (*goburrow.ProtocolDataUnit, error) {
	if err := t.dev.pack.Verify(t.adu, adu); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	pdu, err := t.dev.pack.Decode(adu)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return pdu, checkShape(t.pdu.FunctionCode, t.pdu.Data, pdu.FunctionCode, pdu.Data)
}

// arrived gives the poll back. Its values are published later, when the next requests are on their way: the device
// works while we decode.
func (s *session) arrived(p *poll, data []byte) {
	p.lost, p.tooLong, p.good, p.seen = 0, 0, s.now, true
	s.pollDone(p, schedule.Answered)
	if p.dev.plan.Accepted(p.block) {
		s.rebuild(p.dev)
	} else if p.hourly {
		s.reschedule(p, p.block.Period, s.now)
		p.hourly = false
	}
	if s.nHeld == len(s.held) {
		s.publishHeld()
	}
	s.held[s.nHeld] = held{poll: p, data: data, wall: s.wall}
	s.nHeld++
}

// held is an answer that is not published yet. Its data lies in session.in: it is published before more is read, and
// before anything else is.
type held struct {
	poll *poll
	data []byte
	wall int64
}

func (s *session) publishHeld() {
	if s.nHeld == 0 {
		return
	}
	n := s.nHeld
	s.nHeld = 0 // whoever is reached from here has nothing to publish first
	for i := range s.held[:n] {
		s.values(s.held[i].poll, s.held[i].data, s.held[i].wall)
	}
	for i := range s.held[:n] {
		s.settleIfDone(s.held[i].poll.dev)
		s.held[i] = held{}
	}
}

// values publishes the samples of a block that arrived at wall.
func (s *session) values(p *poll, data []byte, wall int64) {
	d := p.dev
	batch := slices.Grow(s.batch[:0], len(p.block.Cuts))[:len(p.block.Cuts)]
	for i := range p.block.Cuts {
		cut, u := &p.block.Cuts[i], &batch[i]
		pt := &d.points[cut.Index]
		v, q := pt.decode(data, int(cut.Offset), d.last.text(cut.Index))
		// Field by field: a sample put together first and copied then would be read back before its parts are written.
		u.Tag, u.Time, u.Quality = pt.id, wall, q
		u.Value = d.last.learn(cut.Index, v, q)
	}
	s.batch = batch
	s.sink.Publish(batch)
}

// unsupportedRetry is how often a block is asked for whose function the device does not know.
const unsupportedRetry = time.Hour

// reschedule changes the period of a poll, which is due at from.
func (s *session) reschedule(p *poll, period time.Duration, from int64) {
	s.sched.Remove(p.job)
	p.job = s.sched.Add(p.dev.unit, period, int(p.block.Count), p, from)
}

// tooLongTwice is how often in a row a request must be answered with "illegal value" before all requests become shorter:
// that is for good, and a device out of sorts says it once.
const tooLongTwice = 2

// noUnit reports whether an exception is a gateway's word that the unit behind it does not answer.
func noUnit(e *Exception) bool { return e.Code == exGatewayPath || e.Code == exGatewayTarget }

// refused handles an exception to a poll.
func (s *session) refused(t *tx, e *Exception) {
	s.publishHeld()
	p, d := t.poll, t.dev
	p.lost = 0
	changed := false
	switch e.Code {
	case exGatewayPath, exGatewayTarget:
		s.silent(t, e)
		return
	case exAcknowledge, exBusy:
		s.trouble()
		s.pollDone(p, schedule.Busy)
		return
	case exIllegalAddress:
		changed = d.plan.Refused(p.block)
	case exIllegalValue:
		if p.tooLong++; p.tooLong < tooLongTwice {
			s.pollDone(p, schedule.Busy)
			return
		}
		changed = d.plan.TooLong(p.block)
	}
	p.seen = true
	s.pollDone(p, schedule.Answered)
	switch e.Code {
	case exIllegalFunction:
		s.mark(p, tag.BadConfigurationError)
		if !p.hourly {
			p.hourly = true
			s.reschedule(p, unsupportedRetry, s.now+int64(unsupportedRetry))
		}
	case exIllegalAddress, exIllegalValue:
		if changed {
			s.rebuild(d)
		}
		if !changed || p.block.Refused {
			s.mark(p, tag.BadConfigurationError)
		}
		s.markRefused(d)
	default:
		s.mark(p, tag.BadDeviceFailure)
	}
	s.settleIfDone(d)
}

// settleIfDone reports the device once each of its blocks has been answered.
func (s *session) settleIfDone(d *device) {
	if d.settled {
		return
	}
	for _, p := range d.polls {
		if !p.seen {
			return
		}
	}
	d.settled, d.reported = true, true
	s.sink.Settled(d.cfg.Name, time.Unix(0, s.wall), nil)
}
