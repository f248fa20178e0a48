package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"scada/web"
)

var (
	apiRequests = flag.Int("api.requests", 1200, "hostile requests to the API")
	apiSeed     = flag.Uint64("api.seed", 1, "seed of the hostile requests; 0: by the clock")
)

// slowest is how long a request may take: what waits for the other node, a device or a log-in has limits of its own below.
const slowest = 45 * time.Second

// TestHostileAPI asks a running pair, for every operation its own description names, things nobody of good faith asks, as
// nobody and in every role. Whatever comes is refused or done: no internal error, no panic, not more than the role may, no
// secret, in bounded time, and every answer is what the description says it is.
func TestHostileAPI(t *testing.T) {
	seed := *apiSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-api.seed %d -api.requests %d", seed, *apiRequests)
	plant := bubblePlant + "tokens:\n"
	for _, role := range hostileRoles[2:] {
		plant += fmt.Sprintf("  - {name: %s, role: %s, hash: %q}\n", role, role, web.HashToken("the token of "+role))
	}
	bubbleOf(t, plant, func(w *world) {
		w.ready()
		h := &hostile{w: w, t: w.t, Rand: rand.New(rand.NewPCG(seed, 1)), client: &http.Client{
			Transport:     &http.Transport{DialContext: w.net.Host("desk").Dial, DisableCompression: true}, //nolint:gosec // no address is secret here
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		defer h.client.CloseIdleConnections()
		h.describe()
		for range *apiRequests {
			h.ask(h.next())
			if t.Failed() {
				return
			}
		}
		h.balance()
	})
}

// hostileRoles are who asks: nobody, somebody with a wrong token, and the roles in order.
var hostileRoles = []string{"", "wrong", "viewer", "operator", "engineer", "admin"}

// hostile asks.
type hostile struct {
	*rand.Rand
	w      *world
	t      *testing.T
	client *http.Client
	doc    apiDocument
	ops    []string       // method and path, in order
	tally  map[string]int // answers by kind
}

// request is one of them.
type hostileRequest struct {
	role, method, path string // path as described
	target             string // as asked
	elsewhere          bool   // a name in it makes another path of it
	contentType        string
	body               []byte
}

func (h *hostile) describe() {
	status, _, body := h.send(hostileRequest{role: "viewer", method: "GET", target: "/api/v1/openapi.json"})
	if err := json.Unmarshal(body, &h.doc); err != nil || status != 200 {
		h.t.Fatal(status, err)
	}
	for path, item := range h.doc.Paths {
		for method, op := range item {
			h.ops = append(h.ops, strings.ToUpper(method)+" "+path)
			named := 0
			for _, p := range op.Parameters {
				if p.In == "path" {
					named++
				}
				if p.In == "path" && !strings.Contains(path, "{"+p.Name+"}") {
					h.t.Errorf("%s %s describes the parameter %q, which is not in the path", method, path, p.Name)
				}
			}
			if n := strings.Count(path, "{"); n != named {
				h.t.Errorf("%s %s has %d parameters in the path, %d are described", method, path, n, named)
			}
		}
	}
	slices.Sort(h.ops)
	h.tally = map[string]int{}
}

// balance checks that the requests were not all refused at the door.
func (h *hostile) balance() {
	h.t.Logf("%d operations; answers: %v", len(h.ops), h.tally)
	for _, kind := range []string{"2xx", "400", "401", "403", "404"} {
		if h.tally[kind] == 0 {
			h.t.Errorf("no answer was %s", kind)
		}
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// words are what hostile clients put where a word is expected; the later ones are known to the plant.
func (h *hostile) word() string {
	if h.IntN(3) == 0 {
		return pick(h.Rand, "counter", "level", "trip", "plc", "main", "a", "b", "high", "tripped", "viewer", "admin", "lock", "role", "password", "value", "level/value", "Average", "1m", "-1h", "now", "UNACK", "100", "true", "csv", "Europe/Berlin")
	}
	return pick(h.Rand, "", ".", "..", "../../../../etc/passwd", "..\\..\\x", "%2e%2e/", "/", "//", "a\x00b", "\xff\xfe", "\u202e\u2066", "a\r\nSet-Cookie: x=y", "'; drop table x; --", "<script>alert(1)</script>", "${jndi:ldap://x}", "{{7*7}}",
		"-1", "0", "NaN", "Inf", "1e400", "0x10", "9223372036854775808", "-9223372036854775809", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "-9999999h", "1ns", "*", "**/**", strings.Repeat("*", 200), "[", "(a+)+$",
		strings.Repeat("x", h.IntN(9000)), strings.Repeat("/", 300), "名字", "é́́", string(rune(0x10ffff)), fmt.Sprint(h.Uint64()), "null", "undefined", "true")
}

// value makes a value for a schema, mostly of its type.
func (h *hostile) value(s *apiSchema, depth int) any {
	if s == nil || depth > 6 || h.IntN(12) == 0 {
		return pick[any](h.Rand, nil, true, -1, 1e308, json.Number("1e999"), json.Number("99999999999999999999999"), h.word(), []any{}, []any{nil, []any{nil}}, map[string]any{}, map[string]any{h.word(): h.word()})
	}
	switch {
	case s.Ref != "":
		return h.value(h.doc.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")], depth+1)
	case len(s.AnyOf) > 0:
		return h.value(pick(h.Rand, s.AnyOf...), depth+1)
	}
	switch s.Type {
	case "boolean":
		return h.IntN(2) == 0
	case "string":
		if s.Format == "date-time" && h.IntN(3) > 0 {
			return time.Now().Add(time.Duration(h.Int64N(int64(2*time.Hour))) - time.Hour).UTC().Format(time.RFC3339Nano)
		}
		return h.word()
	case "number", "integer":
		return pick[any](h.Rand, 0, 1, -1, 7, 1.5, int64(1)<<62, h.Int64(), h.NormFloat64()*1e6)
	case "array":
		list := []any{}
		for range h.IntN(4) {
			list = append(list, h.value(s.Items, depth+1))
		}
		return list
	case "object":
		return h.object(s, depth)
	}
	return h.word()
}

func (h *hostile) object(s *apiSchema, depth int) any {
	m := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if h.IntN(3) > 0 {
			m[name] = h.value(s.Properties[name], depth+1)
		}
	}
	if s.AdditionalProperties != nil {
		for range h.IntN(3) {
			m[h.word()] = h.value(s.AdditionalProperties, depth+1)
		}
	}
	if h.IntN(15) == 0 {
		m[h.word()] = h.word()
	}
	return m
}

func (h *hostile) bodyOf(op apiOperation) []byte {
	if op.RequestBody == nil || h.IntN(10) == 0 {
		return pick(h.Rand, nil, []byte("{}"), []byte("{"), []byte("null"), []byte(strings.Repeat("[", 20_000)), []byte(strings.Repeat(`{"a":`, 9_000)), []byte("\xff\xfe"), []byte(`{}{}`),
			[]byte(`{"x":"`+strings.Repeat("x", 70<<10)+`"}`), []byte(`{"name":"a","name":"b"}`), []byte("a=b&c=d"), []byte("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>"))
	}
	body, err := json.Marshal(h.value(op.RequestBody.Content["application/json"].Schema, 0))
	if err != nil {
		return []byte(`{"value":1e999}`)
	}
	if h.IntN(20) == 0 && len(body) > 0 { // a byte of it is another
		body[h.IntN(len(body))] = byte(h.Uint32())
	}
	return body
}

func (h *hostile) next() hostileRequest {
	r := hostileRequest{role: pick(h.Rand, hostileRoles...), contentType: pick(h.Rand, "application/json", "application/json", "text/plain", "multipart/form-data", "")}
	r.method, r.path, _ = strings.Cut(pick(h.Rand, h.ops...), " ")
	op := h.doc.Paths[r.path][strings.ToLower(r.method)]
	target := r.path
	for strings.Contains(target, "{") {
		before, rest, _ := strings.Cut(target, "{")
		_, after, _ := strings.Cut(rest, "}")
		word := h.word()
		r.elsewhere = r.elsewhere || strings.Trim(word, "./") == ""
		target = before + url.PathEscape(word) + after
	}
	q := url.Values{}
	for _, p := range op.Parameters {
		if p.In == "query" && h.IntN(2) == 0 {
			for range 1 + h.IntN(8)/7 {
				q.Add(p.Name, h.word())
			}
		}
	}
	if h.IntN(20) == 0 {
		q.Add(h.word(), h.word())
	}
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	r.target = target
	if r.method != http.MethodGet || h.IntN(20) == 0 {
		r.body = h.bodyOf(op)
	}
	return r
}

// send asks one of the nodes.
func (h *hostile) send(r hostileRequest) (int, http.Header, []byte) {
	node := pick(h.Rand, "a", "b")
	req, err := http.NewRequestWithContext(h.t.Context(), r.method, "http://"+h.w.cfg.Nodes[node].HTTP+r.target, bytes.NewReader(r.body))
	if err != nil {
		return 0, nil, nil // the client already refuses it
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.role != "" {
		req.Header.Set("Authorization", "Bearer the token of "+r.role)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		h.t.Fatalf("%+.300v: %v", r, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatalf("%+.300v: %v", r, err)
	}
	return resp.StatusCode, resp.Header, body
}

// ask asks and judges the answer.
func (h *hostile) ask(r hostileRequest) {
	began := time.Now()
	status, header, body := h.send(r)
	took := time.Since(began)
	if status == 0 {
		return
	}
	h.tally[kindOf(status)]++
	wrong := func(format string, args ...any) {
		h.t.Helper()
		h.t.Errorf("as %q: %s %.300s %.300q: %d %.300q: %s", r.role, r.method, r.target, r.body, status, body, fmt.Sprintf(format, args...))
	}
	if status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect || status == http.StatusMovedPermanently {
		if to, err := url.Parse(header.Get("Location")); err != nil || to.Host != "" {
			wrong("sent on to %s", header.Get("Location"))
		}
		return
	}
	if status >= 500 && status != http.StatusServiceUnavailable && status != http.StatusBadGateway {
		wrong("an internal error")
	}
	if took > slowest {
		wrong("took %v", took)
	}
	for _, secret := range []string{"argon2", web.HashToken("the token of admin"), "the token of", "goroutine "} {
		if bytes.Contains(body, []byte(secret)) {
			wrong("shows %q", secret)
		}
	}
	op := h.doc.Paths[r.path][strings.ToLower(r.method)]
	if r.elsewhere {
		return
	}
	if want := h.refusal(r.role, op); want != 0 && status != want {
		wrong("want %d", want)
	}
	if err := h.doc.checkAnswer(op, status, header.Get("Content-Type"), body); err != nil {
		wrong("%v", err)
	}
}

func kindOf(status int) string {
	if status < 300 {
		return "2xx"
	}
	return fmt.Sprint(status)
}

func (h *hostile) may(role string, op apiOperation) bool {
	if len(op.Security) == 0 {
		return true
	}
	r, err := web.ParseRole(role)
	return err == nil && r.May(web.Permission(op.Permission))
}

// refusal is how an operation is refused to who may not, whatever else is wrong with the request.
func (h *hostile) refusal(role string, op apiOperation) int {
	switch {
	case h.may(role, op):
		return 0
	case role == "" || role == "wrong":
		return http.StatusUnauthorized
	}
	return http.StatusForbidden
}
