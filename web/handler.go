package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"scada/web/api"
)

// buildHandler turns the table into a handler behind the checks every request goes through.
func (s *Server) buildHandler() (http.Handler, error) {
	guard := http.NewCrossOriginProtection()
	hosts := []string{}
	for _, o := range s.cfg.Origins {
		if err := guard.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("web: origin %q: %w", o, err)
		}
		u, err := url.Parse(o)
		if err != nil {
			return nil, fmt.Errorf("web: origin %q: %w", o, err)
		}
		ws := "ws://"
		if u.Scheme == "https" {
			ws = "wss://"
		}
		hosts = append(hosts, o, ws+u.Host)
	}
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, api.NewProblem(api.CodeForbidden, "a page of another origin may not do this"))
	}))
	mux := http.NewServeMux()
	for _, rt := range routes() {
		mux.Handle(rt.method+" "+rt.pattern, s.serveRoute(rt))
		if !strings.HasPrefix(rt.pattern, base+"/") { // health and metrics are where probes look for them, and with the rest
			mux.Handle(rt.method+" "+base+rt.pattern, s.serveRoute(rt))
		}
	}
	s.mux = mux
	mux.HandleFunc("/", s.serveRest)
	policy := contentPolicy(hosts)
	return s.tracked(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header(), policy, s.cfg.TLS != nil)
		if len(r.TransferEncoding) > 0 {
			// A proxy that believed a Content-Length beside it may have put somebody else's request behind this one.
			w.Header().Set("Connection", "close")
		}
		if s.crossOrigin(w, r) {
			return
		}
		guard.Handler(mux).ServeHTTP(w, r)
	})), nil
}

// contentPolicy allows the page nothing but its own files and connections to the pair.
func contentPolicy(connect []string) string {
	return "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " +
		strings.Join(append([]string{"'self'"}, connect...), " ") +
		"; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

func setHeaders(h http.Header, policy string, secure bool) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// crossOrigin lets pages of the pair's other node read the answers, without cookies, and answers their preflights.
func (s *Server) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin != "" && slices.Contains(s.cfg.Origins, origin) {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	}
	if r.Method != http.MethodOptions {
		return false
	}
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		w.Header().Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// serveRoute is one row of the table as a handler: permission first, then parameters, then the endpoint.
func (s *Server) serveRoute(rt route) http.Handler {
	known := map[string]bool{}
	for _, p := range rt.params {
		known[p.name] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.now()
		rec := &recorder{ResponseWriter: w}
		defer func() { s.metrics.request(rt, rec.status(), s.now().Sub(began)) }()
		who, ok := s.identify(r)
		if p := authorise(who, ok, rt.permission); p != nil {
			s.fail(rec, r, p)
			return
		}
		for name := range r.URL.Query() {
			if !known[name] && !rt.extra {
				s.fail(rec, r, api.NewProblem(api.CodeBadRequest, "unknown parameter %q", name))
				return
			}
		}
		v, err := rt.handle(s, &call{w: rec, r: r, who: who})
		switch {
		case err != nil:
			s.fail(rec, r, err)
		case v != nil:
			if err := sendJSON(rec, r, http.StatusOK, jsonType, v); err != nil && !rec.wrote {
				s.fail(rec, r, fmt.Errorf("answer: %w", err))
			}
		}
	})
}

// serveRest answers what is not in the table: the dashboard's files, and refusals.
func (s *Server) serveRest(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/api/") && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		s.static.ServeHTTP(w, r)
		return
	}
	if _, ok := s.identify(r); !ok {
		s.fail(w, r, authorise(principal{}, false, View))
		return
	}
	if allowed := s.methodsFor(r); len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.fail(w, r, &api.Problem{Type: "about:blank", Title: "Method Not Allowed", Status: http.StatusMethodNotAllowed, Code: api.CodeBadRequest, Detail: "use " + strings.Join(allowed, " or ")})
		return
	}
	s.fail(w, r, api.NewProblem(api.CodeNotFound, "no such resource"))
}

func (s *Server) methodsFor(r *http.Request) []string {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := s.mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, m)
		}
	}
	return allowed
}

// tracked counts the requests that run, so that Run can wait for them, and turns a panic into a refusal: one bad request must
// not end the node.
func (s *Server) tracked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.running.begin() {
			s.fail(w, r, api.NewProblem(api.CodeUnavailable, "the server stops"))
			return
		}
		defer s.running.end()
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				s.log.Error("request panicked", "request", r.Method+" "+r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				s.fail(w, r, api.NewProblem(api.CodeInternal, "see the log of node %s", s.cfg.Node))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// tracker counts what runs and refuses more once it is closed.
type tracker struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func (t *tracker) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.wg.Add(1)
	return true
}

// another counts what a request that runs leaves behind.
func (t *tracker) another() { t.wg.Add(1) }

func (t *tracker) end() { t.wg.Done() }

func (t *tracker) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wg.Wait()
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	code  int
	wrote bool
}

func (r *recorder) WriteHeader(code int) {
	if !r.wrote {
		r.code, r.wrote = code, true
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(b)
}

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}

// Unwrap gives http.ResponseController the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

type baseKey struct{}

// commandContext ends with the server or the time, but not with the request: a command whose client hangs up half-way is carried
// through, or its outcome would be unknown for no reason.
func commandContext(r context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if b, ok := r.Value(baseKey{}).(context.Context); ok {
		return context.WithTimeout(b, limit)
	}
	return context.WithTimeout(r, limit)
}
