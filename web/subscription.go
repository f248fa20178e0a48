package web

import (
	"slices"
	"strconv"
	"time"

	"scada/web/api"
)

// subscription is what a client asked for under one id: tags, or a topic.
type subscription struct {
	id    uint16
	ask   subMessage
	topic string
	// announce is the subd to send before anything else of this subscription.
	announce *subdMessage

	// Tags:
	revision int // of the plant that set holds ids of
	set      *tagSet
	period   time.Duration
	cursor   uint64    // changes up to here were sent
	snapshot bool      // until the first complete pass over the table
	due      time.Time // no frame before
	earned   time.Time // when the frames sent so far were a period apart each

	// Topics:
	seq     uint64 // of the feed
	gen     uint64 // of roles or devices
	fresh   bool   // a reset is to be sent
	retryAt time.Time
}

// topics are the subscriptions that are not tags, and how they begin.
var topics = []string{"alarms", "journal", "role", "devices"}

// subscribe checks and registers a subscription, or answers why not.
func (c *client) subscribe(m *subMessage) {
	if p := checkSub(m); p != nil {
		c.send(errorMessage{T: "error", ID: m.ID, Code: p.Code, Detail: p.Detail})
		return
	}
	c.mu.Lock()
	_, used := c.subs[uint16(m.ID)]
	full := len(c.subs) >= maxSubscriptions
	c.mu.Unlock()
	switch {
	case used:
		c.send(errorMessage{T: "error", ID: m.ID, Code: api.CodeBadRequest, Detail: "the id is in use"})
	case full:
		c.send(errorMessage{T: "error", ID: m.ID, Code: api.CodeTooMany, Detail: "at most " + strconv.Itoa(maxSubscriptions) + " subscriptions"})
	case m.Topic != "":
		c.add(&subscription{id: uint16(m.ID), ask: *m, topic: m.Topic, fresh: true, announce: &subdMessage{T: "subd", ID: m.ID}})
	default:
		c.subscribeTags(m)
	}
}

func checkSub(m *subMessage) *api.Problem {
	switch {
	case m.ID < 1 || m.ID > 65535:
		return api.NewProblem(api.CodeBadRequest, "an id is 1 to 65535")
	case m.Topic != "" && !slices.Contains(topics, m.Topic):
		return api.NewProblem(api.CodeNotFound, "topics: %v", topics)
	case m.Topic != "" && (len(m.Tags) > 0 || m.Glob != "" || m.Page != ""):
		return api.NewProblem(api.CodeBadRequest, "a topic or tags, not both")
	case m.Topic == "" && len(m.Tags) == 0 && m.Glob == "" && m.Page == "":
		return api.NewProblem(api.CodeBadRequest, "name tags, a glob, a page or a topic")
	case len(m.Tags) > maxSubNames:
		return api.NewProblem(api.CodeTooMany, "at most %d names", maxSubNames)
	case len(m.Glob) > maxGlob:
		return api.NewProblem(api.CodeBadRequest, "a glob has at most %d bytes", maxGlob)
	case m.MinMs < 0 || m.MinMs > maxPeriod.Milliseconds():
		return api.NewProblem(api.CodeBadRequest, "min_ms is %d to %d", minPeriod.Milliseconds(), maxPeriod.Milliseconds())
	}
	return nil
}

func (c *client) subscribeTags(m *subMessage) {
	v := c.h.now()
	sub := &subscription{id: uint16(m.ID), ask: *m, period: defaultPeriod}
	if m.MinMs > 0 {
		sub.period = max(time.Duration(m.MinMs)*time.Millisecond, minPeriod)
	}
	sub.resolve(c.h, &v)
	c.mu.Lock()
	tooMany := c.handles+sub.count() > maxHandles
	if c.recovered && c.instance == c.h.instance(v.revision) && m.After > 0 && m.After <= v.plant.Live.Seq() {
		sub.cursor, sub.snapshot = m.After, false
	}
	c.mu.Unlock()
	if tooMany {
		c.h.sets.release(sub.set)
		c.send(errorMessage{T: "error", ID: m.ID, Code: api.CodeTooMany, Detail: "at most " + strconv.Itoa(maxHandles) + " handles"})
		return
	}
	c.add(sub)
}

// resolve finds the tags of the subscription in the plant and starts it afresh.
func (s *subscription) resolve(h *hub, v *view) {
	p := v.plant
	answer := &subdMessage{T: "subd", ID: int(s.id), Plant: strconv.Itoa(v.revision), Unknown: []string{}}
	tags := newBitset(len(p.Tags))
	for _, list := range [][]string{s.ask.Tags, p.Pages[s.ask.Page]} {
		for _, name := range list {
			if d, ok := p.find(name); ok {
				tags.add(d.ID)
			} else {
				answer.Unknown = append(answer.Unknown, name)
			}
		}
	}
	if _, ok := p.Pages[s.ask.Page]; s.ask.Page != "" && !ok {
		answer.Unknown = append(answer.Unknown, s.ask.Page)
	}
	if s.ask.Glob != "" {
		for _, d := range p.Tags {
			if matchGlob(s.ask.Glob, d.Name) {
				tags.add(d.ID)
			}
		}
	}
	h.sets.release(s.set)
	s.set = h.sets.take(v.revision, tags)
	answer.set = s.set
	s.cursor, s.snapshot, s.due, s.earned = 0, true, time.Time{}, time.Time{}
	s.revision, s.announce = v.revision, answer
}

// sent notes that a frame was sent, and from when on the next may be. The answers of a device come one after the other within some
// ten milliseconds: what comes right after the first does not wait for the whole period.
func (s *subscription) sent(now time.Time) {
	burst := time.Duration(0)
	if s.period <= defaultPeriod {
		burst = (burstFrames - 1) * s.period
	}
	if s.earned.Before(now) {
		s.earned = now
	}
	s.earned = s.earned.Add(s.period)
	s.due = s.earned.Add(-burst)
	if soon := now.Add(burstGap); s.due.Before(soon) {
		s.due = soon
	}
}

// count is how many tags the subscription has; a topic has none.
func (s *subscription) count() int {
	if s.set == nil {
		return 0
	}
	return len(s.set.ids)
}

func (c *client) add(s *subscription) {
	c.mu.Lock()
	c.subs[s.id] = s
	c.handles += s.count()
	c.mu.Unlock()
	c.wake()
}

func (c *client) unsubscribe(m *unsubMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.ID < 1 || m.ID > 65535 {
		return
	}
	if s, ok := c.subs[uint16(m.ID)]; ok {
		c.handles -= s.count()
		delete(c.subs, s.id)
		c.h.sets.release(s.set)
	}
}
