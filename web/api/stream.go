package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// The times of a stream.
const (
	streamSilence = 2500 * time.Millisecond // without a heartbeat the server is given up
	streamRetry   = 500 * time.Millisecond  // before the servers are tried again
	streamGrace   = 10 * time.Second        // to connect and be welcomed
)

// TagChange is a new sample of a tag.
type TagChange struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"`
	Sample
}

// streamMessage is any message of the server, with the members the client looks at.
type streamMessage struct {
	T       string               `json:"t"`
	ID      int                  `json:"id"`
	Code    string               `json:"code"`
	Detail  string               `json:"detail"`
	Reset   bool                 `json:"reset"`
	Frame   uint32               `json:"frame"`
	Handles [][4]any             `json:"handles"`
	Unknown []string             `json:"unknown"`
	Values  [][4]json.RawMessage `json:"values"`
	Entries []JournalEntry       `json:"entries"`
}

// Watch calls change for the present sample of every tag named or matched by the glob, and then for each change, until ctx ends or change
// fails. It moves to another server when one is lost. A change may be merged with a later one, never invented.
func (c *Client) Watch(ctx context.Context, tags []string, glob string, change func(TagChange) error) error {
	var defs map[string][2]string
	sub := map[string]any{"t": "sub", "id": 1}
	if len(tags) > 0 {
		sub["tags"] = tags
	}
	if glob != "" {
		sub["glob"] = glob
	}
	return c.stream(ctx, sub, func(m *streamMessage, send func(any) error) error {
		switch m.T {
		case "subd":
			if len(m.Unknown) > 0 {
				return NewProblem(CodeNotFound, "no tag %s", strings.Join(m.Unknown, ", "))
			}
			defs = map[string][2]string{}
			for _, h := range m.Handles {
				defs[fmt.Sprint(h[0])] = [2]string{fmt.Sprint(h[1]), fmt.Sprint(h[2])}
			}
		case "data":
			for _, row := range m.Values {
				d, ok := defs[string(row[0])]
				if !ok {
					continue // of the configuration before
				}
				out := TagChange{Name: d[0], Unit: d[1]}
				if err := decodeRow(row, &out.Sample); err != nil {
					return err
				}
				if err := change(out); err != nil {
					return err
				}
			}
			return send(map[string]any{"t": "ack", "frame": m.Frame})
		}
		return nil
	})
}

func decodeRow(row [4]json.RawMessage, s *Sample) error {
	d := json.NewDecoder(bytes.NewReader(row[1]))
	d.UseNumber()
	if err := errors.Join(d.Decode(&s.Value), json.Unmarshal(row[2], &s.Quality), json.Unmarshal(row[3], &s.Time)); err != nil {
		return fmt.Errorf("data row: %w", err)
	}
	return nil
}

// tailMemory is how many entries Tail remembers, to leave out what it has shown when it starts again at another server.
const tailMemory = 1000

// Tail calls entry for each new entry of the journal, oldest first, until ctx ends or entry fails. What was written while it moved
// to another server is read from the journal there.
func (c *Client) Tail(ctx context.Context, entry func(JournalEntry) error) error {
	seen, order := map[string]bool{}, []string{}
	last := time.Time{}
	show := func(e JournalEntry) error {
		if e.ID != "" && seen[e.ID] {
			return nil
		}
		seen[e.ID] = true
		if order = append(order, e.ID); len(order) > tailMemory {
			delete(seen, order[0])
			order = order[1:]
		}
		if e.Time.After(last) {
			last = e.Time
		}
		return entry(e)
	}
	return c.stream(ctx, map[string]any{"t": "sub", "id": 1, "topic": "journal"}, func(m *streamMessage, _ func(any) error) error {
		if m.T != "journal" {
			return nil
		}
		if m.Reset && !last.IsZero() {
			page, err := c.Journal(ctx, JournalQuery{From: last, Limit: tailMemory})
			if err != nil {
				return nil // the next reset or entry comes all the same
			}
			for i := len(page.Entries) - 1; i >= 0; i-- {
				if err := show(page.Entries[i]); err != nil {
					return err
				}
			}
		}
		for _, e := range m.Entries {
			if err := show(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// errStop marks an error of the caller's function: no other server will do better.
type errStop struct{ err error }

func (e *errStop) Error() string { return e.err.Error() }

// errLost marks an error of the connection.
type errLost struct{ err error }

func (e *errLost) Error() string { return e.err.Error() }

// stream keeps a socket to one of the servers. It ends with ctx, when handle fails, when a server refuses, or when none was reached at
// the first attempt.
func (c *Client) stream(ctx context.Context, sub any, handle func(*streamMessage, func(any) error) error) error {
	connected := false
	for {
		var errs []error
		for _, server := range c.Servers() {
			welcomed, err := c.attend(ctx, server, sub, handle)
			connected = connected || welcomed
			if welcomed {
				c.prefer(server)
			}
			var stop *errStop
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.As(err, &stop):
				return stop.err
			}
			errs = append(errs, fmt.Errorf("%s: %w", server, err))
		}
		if !connected {
			return &Unreachable{Errs: errs}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(streamRetry):
		}
	}
}

// attend runs one connection until it is lost.
func (c *Client) attend(ctx context.Context, server string, sub any, handle func(*streamMessage, func(any) error) error) (welcomed bool, err error) {
	d := websocket.Dialer{Subprotocols: []string{"scada.v1"}, HandshakeTimeout: streamGrace}
	if t, ok := c.http.Transport.(*http.Transport); ok {
		d.NetDialContext, d.TLSClientConfig, d.Proxy = t.DialContext, t.TLSClientConfig, t.Proxy
	}
	conn, resp, err := d.DialContext(ctx, "ws"+strings.TrimPrefix(server, "http")+"/api/v1/ws", nil)
	if resp != nil {
		resp.Body.Close()
	}
	if err != nil {
		return false, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	send := func(m any) error {
		conn.SetWriteDeadline(time.Now().Add(streamGrace))
		if err := conn.WriteJSON(m); err != nil {
			return &errLost{err}
		}
		return nil
	}
	if err := send(map[string]any{"t": "hello", "token": c.token, "enc": "json"}); err != nil {
		return false, err
	}
	limit := streamGrace
	for {
		conn.SetReadDeadline(time.Now().Add(limit))
		var m streamMessage
		if err := conn.ReadJSON(&m); err != nil {
			return welcomed, closed(err)
		}
		switch m.T {
		case "welcome":
			welcomed, limit = true, streamSilence
			if err := send(sub); err != nil {
				return welcomed, err
			}
			continue
		case "error":
			return welcomed, &errStop{NewProblem(m.Code, "%s", m.Detail)}
		}
		if err := handle(&m, send); err != nil {
			var lost *errLost
			if errors.As(err, &lost) {
				return welcomed, err
			}
			return welcomed, &errStop{err}
		}
	}
}

// closed turns the close codes that another server would give as well into a refusal.
func closed(err error) error {
	var ce *websocket.CloseError
	if !errors.As(err, &ce) {
		return err
	}
	switch ce.Code {
	case 4401:
		return &errStop{NewProblem(CodeUnauthorized, "%s", ce.Text)}
	case 4403:
		return &errStop{NewProblem(CodeForbidden, "%s", ce.Text)}
	case 4429:
		return &errStop{NewProblem(CodeTooMany, "%s", ce.Text)}
	}
	return err
}
