package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxAnswer bounds what the client reads of one answer, in bytes.
const maxAnswer = 256 << 20

// Unreachable means that no server could be asked: nothing was done.
type Unreachable struct{ Errs []error }

// Error lists why each server was not reached.
func (e *Unreachable) Error() string {
	return "no server reachable: " + errors.Join(e.Errs...).Error()
}

// Unwrap returns the reasons.
func (e *Unreachable) Unwrap() []error { return e.Errs }

// ErrUnknownOutcome means that a command was sent and the connection lost before the answer: it may have been done.
var ErrUnknownOutcome = errors.New("the connection was lost before the answer, the command may have been carried out")

// Client talks to the nodes of a pair. It is safe for concurrent use.
type Client struct {
	token string
	http  *http.Client

	mu      sync.Mutex
	servers []string // the one that answered last comes first
	heard   time.Time
}

const (
	frozenAfter = time.Second     // a server that does not say in that time that it lives is asked last
	heardWithin = 2 * time.Second // one that has just answered is not asked whether it lives
)

// NewClient returns a client for the servers, which are tried in order. A server without a scheme is taken for http.
// transport may be nil.
func NewClient(servers []string, token string, transport *http.Transport) (*Client, error) {
	c := &Client{token: token, http: &http.Client{}}
	if transport != nil {
		c.http.Transport = transport
	}
	for _, s := range servers {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if !strings.Contains(s, "://") {
			s = "http://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("server %q is not http(s)://host:port", s)
		}
		c.servers = append(c.servers, strings.TrimRight(s, "/"))
	}
	if len(c.servers) == 0 {
		return nil, errors.New("no server given")
	}
	return c, nil
}

// Servers returns the servers, the one that answered last first.
func (c *Client) Servers() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.servers...)
}

// prefer puts a server that answered to the front.
func (c *Client) prefer(server string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
	for i, s := range c.servers {
		if s == server {
			copy(c.servers[1:i+1], c.servers[:i])
			c.servers[0] = server
		}
	}
}

// avoidFrozen puts a server that lives in front. The machine of a process that has stopped still takes connections and
// requests: a question would wait until the time is over, and the outcome of a command would never be known.
func (c *Client) avoidFrozen(ctx context.Context) {
	c.mu.Lock()
	servers, known := slices.Clone(c.servers), time.Since(c.heard) < heardWithin
	c.mu.Unlock()
	if len(servers) < 2 || known {
		return
	}
	for _, server := range servers {
		if c.lives(ctx, server) {
			c.prefer(server)
			return
		}
	}
}

// lives reports whether the server answers at all, whatever it says.
func (c *Client) lives(ctx context.Context, server string) bool {
	ctx, cancel := context.WithTimeout(ctx, frozenAfter)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/health/live", nil)
	if err != nil {
		return false
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<10))
	_ = resp.Body.Close()
	return true
}

// Only returns a client for one of the servers.
func (c *Client) Only(server string) *Client {
	return &Client{token: c.token, http: c.http, servers: []string{server}}
}

// call sends a request to the first server that can be reached and decodes the answer into out. A question is put to the next
// server when one fails; a command only when it cannot have left.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	c.avoidFrozen(ctx)
	var errs []error
	for _, server := range c.Servers() {
		err := c.send(ctx, method, server+path, body, out)
		var p *Problem
		var refused *unsent
		switch {
		case err == nil || errors.As(err, &p):
			c.prefer(server)
			return err
		case errors.As(err, &refused):
		case method != http.MethodGet:
			return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return &Unreachable{Errs: errs}
}

// unsent marks an error from before anything was sent.
type unsent struct{ err error }

func (e *unsent) Error() string { return e.err.Error() }
func (e *unsent) Unwrap() error { return e.err }

func (c *Client) send(ctx context.Context, method, target string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return &unsent{fmt.Errorf("request: %w", err)}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	resp, err := c.http.Do(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		if !connected.Load() {
			return &unsent{err}
		}
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", target, err)
	}
	if len(data) > maxAnswer {
		return &Problem{Status: resp.StatusCode, Code: CodeTooLarge, Detail: fmt.Sprintf("the answer has more than %d bytes", maxAnswer)}
	}
	if resp.StatusCode >= 300 {
		return problemOf(resp, data)
	}
	if out == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(out); err != nil {
		return &Problem{Status: resp.StatusCode, Code: CodeInternal, Detail: fmt.Sprintf("answer of %s: %v", target, err)}
	}
	return nil
}

func problemOf(resp *http.Response, data []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(data, p) != nil || p.Status == 0 {
		p = &Problem{Title: http.StatusText(resp.StatusCode), Status: resp.StatusCode}
	}
	return p
}

func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.call(ctx, http.MethodGet, "/api/v1"+path, query, nil, out)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, "/api/v1"+path, nil, in, out)
}

// values builds a query from pairs of name and value, leaving out the empty ones.
func values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func escapeName(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
