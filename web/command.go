package web

import (
	"context"
	"time"

	"scada/web/api"
)

// handle does what one control message asks. What it returns ends the connection.
func (c *client) handle(data []byte) (ce *closeError) {
	if _, ack := parseAck(data); ack {
		return c.obey(data)
	}
	apart(func() { ce = c.obey(data) })
	return ce
}

func (c *client) obey(data []byte) *closeError {
	m, verb, ce := parseControl(data)
	if ce != nil {
		return ce
	}
	limit := c.control
	if verb == "ack" {
		limit = c.acks
	}
	if !limit.AllowN(c.h.s.now(), 1) {
		return &closeError{closeTooMany, "too many messages"}
	}
	if !c.who.somewhere(verbs[verb]) {
		c.forbid(m, verb)
		return nil
	}
	switch m := m.(type) {
	case *helloMessage:
		return &closeError{closeBadRequest, "a second hello"}
	case *subMessage:
		c.subscribe(m)
	case *unsubMessage:
		c.unsubscribe(m)
	case *ackMessage:
		return c.ack(m.Frame)
	case *writeMessage:
		c.command(m)
	}
	return nil
}

func (c *client) forbid(m any, verb string) {
	if w, ok := m.(*writeMessage); ok {
		c.refuse(clip(w.ID), api.NewProblem(api.CodeForbidden, "the role %s may not write", c.who.Role))
		return
	}
	c.send(errorMessage{T: "error", Code: api.CodeForbidden, Detail: verb + " is not for the role " + c.who.Role.String()})
}

// ack gives back the credit of all frames up to the number.
func (c *client) ack(number uint32) *closeError {
	c.mu.Lock()
	if number > c.sent {
		c.mu.Unlock()
		return &closeError{closeBadRequest, "ack of a frame that was not sent"}
	}
	c.acked = max(c.acked, number)
	c.mu.Unlock()
	c.wake()
	return nil
}

const maxCommandID = 64 // bytes

func clip(id string) string { return id[:min(len(id), maxCommandID)] }

// command checks a write and lets it run beside the reader.
func (c *client) command(m *writeMessage) {
	s := c.h.s
	switch {
	case m.ID == "" || len(m.ID) > maxCommandID:
		c.refuse(clip(m.ID), api.NewProblem(api.CodeBadRequest, "an id has 1 to %d bytes", maxCommandID))
		return
	case m.Deadline == nil || m.Nonce == "":
		c.refuse(m.ID, api.NewProblem(api.CodeBadRequest, "a write here needs a deadline and a nonce"))
		return
	}
	select {
	case c.slots <- struct{}{}:
	default:
		c.refuse(m.ID, api.NewProblem(api.CodeTooMany, "%d writes are running", maxCommands))
		return
	}
	w, err := s.checkWrite(c.who.Actor, m.Tag, m.Write)
	if err != nil {
		<-c.slots
		c.refuse(m.ID, s.problem(err, "socket write"))
		return
	}
	c.send(commandMessage{T: "accepted", ID: m.ID})
	c.commands.Add(1)
	go func() {
		defer c.commands.Done()
		defer func() { <-c.slots }()
		c.execute(m.ID, w)
	}()
}

// execute carries the write out. It ends with the server, not with the socket: a write under way is finished.
func (c *client) execute(id string, w Write) {
	s := c.h.s
	ctx, cancel := context.WithTimeout(c.server, time.Until(w.Deadline)+answerGrace)
	defer cancel()
	result, err := s.backend.WriteTag(ctx, c.who.Actor, w)
	if err != nil {
		c.refuse(id, s.problem(err, "socket write"))
		return
	}
	s.metrics.commands.WithLabelValues("done").Inc()
	c.send(commandMessage{T: "done", ID: id, Result: &result})
}

func (c *client) refuse(id string, p *api.Problem) {
	c.h.s.metrics.commands.WithLabelValues("refused").Inc()
	c.send(commandMessage{T: "refused", ID: id, Code: p.Code, Detail: p.Detail})
}
