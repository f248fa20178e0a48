package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
	"scada/acquisition/schedule"
	"scada/acquisition/tag"
)

// inBuffer is how many bytes one read takes: the longest answers to a full window.
const inBuffer = maxWindow * maxADU

// session is the state of one Run. It belongs to the goroutine of Run.
type session struct {
	c     *Channel
	ctx   context.Context
	sink  acquisition.Sink
	sched *schedule.Schedule[*poll]

	start time.Time // schedule time is base plus what has passed since, by the monotonic clock
	base  int64
	now   int64
	wall  int64 // time of arrival for samples

	conn    stream
	ep      endpoint
	which   int           // endpoint in use
	round   int           // endpoint a round of attempts begins with: the last that was good
	atOnce  bool          // the next attempt does not wait
	backoff time.Duration // before the next attempt to connect

	looks      sync.WaitGroup
	look       *looking // at the first path while another is in use
	leaving    bool     // it is there: nothing more is sent over this one
	returnAt   int64    // when to look
	returnWait time.Duration
	firstGood  int64 // since when the first path is in use and good

	connected uint64 // times
	failedAt  int64  // when attempts to connect began to fail
	useful    bool   // something good came over this connection
	up        bool   // for the log

	txs      [maxWindow]tx
	flying   int
	nextID   uint16
	expired  [64]uint16 // transaction ids that timed out, newest last
	nExpired int

	backlog   bool // polls are due that have no room
	held      [maxWindow]held
	nHeld     int
	op        *op // being executed
	trial     *trial
	out       []byte
	in        [inBuffer]byte
	from, to  int   // what is unread in in
	lastRx    int64 // last byte received
	notBefore int64 // no send earlier: silence between frames on a serial line
	armed     int64 // read deadline in force
	writeBy   int64 // write deadline in force
	staleAt   int64 // next look for stale values
	batch     []tag.Update
}

// tx is one request in flight.
type tx struct {
	busy     bool
	sync     bool // stands for a request that would be taken for an earlier one, RTU only
	id       uint16
	dev      *device
	poll     *poll
	op       *op
	pdu      goburrow.ProtocolDataUnit // what is on the wire
	adu      []byte
	sent     int64
	deadline int64
}

// isTrial reports whether the request is neither a poll nor an operator's.
func (t *tx) isTrial() bool { return t.poll == nil && t.op == nil }

func newSession(c *Channel, ctx context.Context, sink acquisition.Sink) *session {
	s := &session{c: c, ctx: ctx, sink: sink, sched: schedule.New[*poll](), start: time.Now(), nextID: c.firstID}
	s.base = s.start.UnixNano()
	s.tick()
	for _, d := range c.devices {
		d.unit = s.sched.AddUnit(d.cfg.Name, d.cfg.Retries)
		d.polls, d.lost, d.settled, d.reported, d.lastGood, d.shapes = nil, false, false, false, 0, nil
		if c.opts.Last != nil {
			d.last = newLasts(len(d.points))
			for i := range d.points {
				was := c.opts.Last(d.points[i].id)
				d.last.learn(i, was.Value, was.Quality)
			}
		}
		s.rebuild(d)
		s.setState(d, acquisition.Connecting)
		s.settleIfDone(d)
	}
	s.staleAt = s.now + int64(staleEvery)
	s.found()
	return s
}

// tick reads the clock.
func (s *session) tick() {
	t := time.Now()
	s.wall = t.UnixNano()
	s.now = s.base + int64(t.Sub(s.start))
}

// at converts schedule time to a deadline.
func (s *session) at(t int64) time.Time { return s.start.Add(time.Duration(t - s.base)) }

// rebuild makes the polls of a device those of its plan.
func (s *session) rebuild(d *device) {
	old := map[any]*poll{}
	for _, p := range d.polls {
		old[p.block] = p
	}
	polls := make([]*poll, 0, len(d.polls))
	for _, b := range d.plan.Blocks() {
		if p := old[b]; p != nil && p.job.Period() == b.Period {
			delete(old, b)
			polls = append(polls, p)
			continue
		}
		p := &poll{dev: d, block: b, pdu: readRequest(b.Area, b.Address, b.Count)}
		p.adu = d.encode(p.pdu)
		p.job = s.sched.Add(d.unit, b.Period, int(b.Count), p, s.now)
		polls = append(polls, p)
	}
	for _, p := range old {
		s.sched.Remove(p.job)
	}
	d.polls = polls
	s.c.mu.Lock()
	d.status.Blocks, d.status.Unwanted, d.longest = len(polls), d.plan.Unwanted(), longestOf(d.plan.Blocks())
	s.c.mu.Unlock()
}

// encode frames a PDU with goburrow's packager. It fails only for a PDU that is too long, and ours are bounded.
func (d *device) encode(pdu goburrow.ProtocolDataUnit) []byte {
	adu, err := d.pack.Encode(&pdu)
	if err != nil {
		return nil
	}
	return adu
}

// serve uses the connection until it fails or the run ends.
func (s *session) serve() {
	for s.ctx.Err() == nil {
		s.tick()
		s.takeOp()
		s.takeTrial()
		s.lookAtFirstPath()
		if s.leave() {
			return
		}
		err := s.fill()
		s.publishHeld()
		if err == nil {
			err = s.receive(s.deadline())
		}
		s.tick()
		if err == nil {
			err = s.expire()
		}
		s.lookForStale()
		s.lookAtTrial()
		if err != nil && s.ctx.Err() == nil {
			s.linkLost(err)
			return
		}
	}
}

// deadline returns until when there is nothing to do unless something arrives.
func (s *session) deadline() int64 {
	at := s.staleAt
	for i := range s.txs {
		if s.txs[i].busy {
			at = min(at, s.txs[i].deadline)
		}
	}
	trying := s.trial != nil && s.now < s.trial.until
	if trying {
		at = min(at, s.trial.until)
	}
	if s.which != 0 && s.look == nil && !s.leaving {
		at = min(at, s.returnAt)
	}
	if s.flying < s.window() {
		next := s.sched.Deadline()
		if s.leaving {
			next = at
		}
		if s.op != nil && !s.op.flying || trying {
			next = s.now
		}
		at = min(at, max(next, s.notBefore))
	}
	if len(s.out) > 0 {
		at = min(at, s.notBefore)
	}
	return at
}

// receive waits for bytes until the given time and handles all complete frames.
func (s *session) receive(until int64) error {
	if until < s.armed || s.armed <= s.now {
		if err := s.conn.SetReadDeadline(s.at(until)); err != nil {
			return err
		}
		s.armed = until
	}
	if s.c.kicked.Load() {
		s.c.kicked.Store(false)
		s.armed = 0 // whoever kicked has moved the deadline
		return nil
	}
	if s.from > 0 {
		s.to = copy(s.in[:], s.in[s.from:s.to])
		s.from = 0
	}
	n, err := s.conn.Read(s.in[s.to:])
	if n > 0 {
		s.tick()
		s.lastRx = s.now
		s.to += n
		if s.ep.isRTU() {
			s.notBefore = s.now + s.ep.silence()
		}
		if ferr := s.frames(); ferr != nil {
			return ferr
		}
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		s.armed = 0
		return nil
	}
	return err
}

// frames handles what has arrived.
func (s *session) frames() error {
	if s.ep.isRTU() {
		s.framesRTU()
		return nil
	}
	for {
		n, err := splitTCP(s.in[s.from:s.to])
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		if rest := s.in[s.from+n : s.to]; len(rest) > 0 {
			known, err := s.follows(rest)
			if err != nil || !known {
				return err
			}
		}
		s.answerTCP(s.in[s.from : s.from+n])
		s.from += n
	}
}

// follows looks at what has arrived behind a frame. A frame that was cut short and filled up with the beginning of the
// next one looks sound; what is left of the next one does not. So a frame is used only if what follows it is the
// beginning of an answer, and while too little has come to know that, it waits.
func (s *session) follows(b []byte) (known bool, err error) {
	if _, err := splitTCP(b); err != nil {
		return false, err
	}
	if len(b) <= mbapHeader {
		return false, nil
	}
	for i := range s.txs {
		if t := &s.txs[i]; t.busy && (t.id == binary.BigEndian.Uint16(b) || t.dev.cfg.Unit == b[6]) {
			return true, nil
		}
	}
	if s.unit(b[6]).cfg.Unit == b[6] {
		return true, nil
	}
	return false, fmt.Errorf("%w: what follows an answer is not one", errHeader)
}

func (s *session) framesRTU() {
	t := &s.txs[0]
	if !t.busy {
		if s.to > s.from {
			s.c.count(s.c.devices[0], func(n *acquisition.Counters) { n.Late++ })
		}
		s.from, s.to = 0, 0
		return
	}
	b := s.in[s.from:s.to]
	frame, used := findRTU(b, t.dev.cfg.Unit, t.pdu.FunctionCode, answerSize(t.pdu.FunctionCode, t.pdu.Data))
	if noise := used - len(frame); noise > 0 {
		s.c.count(t.dev, func(n *acquisition.Counters) { n.Malformed++ })
	}
	s.from += used
	if frame != nil {
		s.from, s.to = 0, 0 // what follows belongs to no request
		s.answered(t, frame)
	} else if s.to-s.from > maxRTU {
		s.from = s.to - maxRTU
	}
}

// end closes what is left when the run ends.
func (s *session) end() {
	s.tick()
	s.endLook()
	s.publishHeld()
	if s.trial != nil {
		s.trial.refuse(errStopped)
		s.trial = nil
	}
	s.drop()
	if s.op != nil {
		s.op.interrupted(errStopped)
		s.op = nil
	}
}
