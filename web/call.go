package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scada/web/api"
)

// call is one request on its way through a route.
type call struct {
	w   http.ResponseWriter
	r   *http.Request
	who principal
}

// endpoint answers a call with a value to send as JSON; nil when it wrote the answer itself.
type endpoint func(s *Server, c *call) (any, error)

// decode reads the body into v: one JSON value, no unknown members (a misspelt "force" must not mean false).
func (c *call) decode(v any) error { return c.decodeUpTo(v, maxBody) }

// decodeUpTo is decode for a body of another limit.
func (c *call) decodeUpTo(v any, limit int64) error {
	d := json.NewDecoder(http.MaxBytesReader(c.w, c.r.Body, limit))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return bodyProblem(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return bodyProblem(err)
	}
	return nil
}

// decodeOptional is decode for a request whose body may be missing.
func (c *call) decodeOptional(v any) error {
	err := c.decode(v)
	var p *api.Problem
	if errors.As(err, &p) && p.Detail == emptyBody {
		return nil
	}
	return err
}

const emptyBody = "the body is empty"

func bodyProblem(err error) error {
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return api.NewProblem(api.CodeTooLarge, "the body has at most %d bytes", big.Limit)
	case errors.Is(err, io.EOF):
		return api.NewProblem(api.CodeBadRequest, emptyBody)
	case err == nil:
		return api.NewProblem(api.CodeBadRequest, "the body has more than one JSON value")
	}
	return api.NewProblem(api.CodeBadRequest, "body: %v", err)
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// number returns a query parameter between 0 and most, or the default when it is absent.
func (c *call) number(name string, byDefault, most int) (int, error) {
	text := c.query(name)
	if text == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, api.NewProblem(api.CodeBadRequest, "%s=%s: want a whole number from 1 to %d", name, text, most)
	}
	return n, nil
}

func (c *call) boolean(name string) (bool, error) {
	text := c.query(name)
	if text == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, api.NewProblem(api.CodeBadRequest, "%s=%s: want true or false", name, text)
	}
	return b, nil
}

// Years whose instants all have a number of nanoseconds.
const (
	firstYear = 1678
	lastYear  = 2261
)

// instant returns a time parameter: RFC 3339, or a duration before now such as -1h; zero when absent.
func (c *call) instant(name string, now time.Time) (time.Time, error) {
	text := c.query(name)
	switch {
	case text == "":
		return time.Time{}, nil
	case text == "now":
		return now.UTC(), nil
	case strings.HasPrefix(text, "-"):
		if d, err := time.ParseDuration(text); err == nil {
			return now.Add(d).UTC(), nil
		}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, api.NewProblem(api.CodeBadRequest, "%s=%s: want RFC 3339 with a zone, now, or a duration before now like -90m", name, text)
	}
	if t.Year() < firstYear || t.Year() > lastYear {
		return time.Time{}, api.NewProblem(api.CodeBadRequest, "%s=%s: want a year from %d to %d", name, text, firstYear, lastYear)
	}
	return t.UTC(), nil
}

// span returns the parameters from and to. A missing to is now, a missing from is byDefault before to.
func (c *call) span(now time.Time, byDefault time.Duration) (from, to time.Time, err error) {
	if to, err = c.instant("to", now); err != nil {
		return from, to, err
	}
	if to.IsZero() {
		to = now.UTC()
	}
	if from, err = c.instant("from", now); err != nil {
		return from, to, err
	}
	if from.IsZero() {
		from = to.Add(-byDefault)
	}
	if !from.Before(to) {
		return from, to, api.NewProblem(api.CodeBadRequest, "from is not before to")
	}
	return from, to, nil
}

// jsonType is the media type of answers.
const jsonType = "application/json"

const gzipFrom = 1400 // bytes: below, the answer is one packet anyway

// sendJSON writes v, compressed when that is worth it and the client takes it.
func sendJSON(w http.ResponseWriter, r *http.Request, status int, contentType string, v any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return sendBody(w, r, status, contentType, body.Bytes())
}

// setType sets the header fields of an answer that may be compressed.
func setType(h http.Header, contentType string) {
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Encoding")
}

func sendBody(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) error {
	h := w.Header()
	setType(h, contentType)
	if len(body) >= gzipFrom && acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		if _, err := z.Write(body); err != nil {
			return err
		}
		return z.Close()
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

func acceptsGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

// fail answers with the problem behind an error. What is not a problem on purpose is logged and told as "internal".
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(err, r.Method+" "+r.URL.Path)
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="scada"`)
	}
	if err := sendJSON(w, r, p.Status, "application/problem+json", p); err != nil {
		s.log.Debug("answer not delivered", "error", err)
	}
}

func (s *Server) problem(err error, what string) *api.Problem {
	var p *api.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return api.NewProblem(api.CodeUnavailable, "not done in time")
	}
	s.log.Error("request failed", "request", what, "error", err)
	return api.NewProblem(api.CodeInternal, "see the log of node %s", s.cfg.Node)
}
