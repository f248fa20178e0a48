package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"scada/web/api"
)

// hostile are values no client of good faith sends.
var hostile = []string{
	``, `null`, `{}`, `[]`, `{`, `"`, `0`, `-1`, `1e999`, `{"a":{"a":{"a":{}}}}`, `{"user":null}`, `{"name":["x"]}`, `{"role":{"x":1}}`, `{"for_s":-9223372036854775808}`,
	`{"value":"` + strings.Repeat("9", 400) + `"}`, `{"alarms":[{}]}`, `{"alarms":null}`, `{"areas":{"":""}}`, `{"old":"","new":""}`, `{"ticket":"st1.a.b"}`,
	"{\"reason\":\"\u0000\u202e\"}", "\xff\xfe", strings.Repeat("[", 20_000), `{"source":"` + strings.Repeat("x", maxBody) + `"}`, `{"from":"0001-01-01T00:00:00Z","to":"9999-12-31T23:59:59Z"}`,
}

var hostileWords = []string{"", "..", "%2e%2e%2fetc", "a%00b", "%ff", "'; drop table x; --", "<script>alert(1)</script>", strings.Repeat("x", 5000), "-1", "NaN", "9999999999999999999", "0001-01-01T00:00:00Z", "~"}

// TestHostileRequests walks the server's own description and asks every operation with hostile values, as an administrator.
// Whatever comes, it is refused or done: nothing panics, nothing is an internal error, no answer shows a secret.
func TestHostileRequests(t *testing.T) {
	peopled(t, func(r *rig) {
		a := r.do("GET", "/api/v1/openapi.json", "", r.admin()...)
		var doc struct {
			Paths map[string]map[string]struct {
				Parameters []struct{ Name, In string }
			}
		}
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || len(doc.Paths) < 30 {
			t.Fatal(len(doc.Paths), err)
		}
		asked := 0
		ask := func(method, path, body string) {
			asked++
			got, err := r.try(method, path, body)
			switch {
			case err != nil:
				t.Errorf("%s %.80s %.60q: %v", method, path, body, err)
			case got.status >= 500 && got.status != 503 && got.code() != api.CodeUnavailable:
				t.Errorf("%s %.80s %.60q: %d %s", method, path, body, got.status, got.body)
			case strings.Contains(got.body, "argon2"):
				t.Errorf("%s %.80s shows a hash", method, path)
			}
		}
		for path, item := range doc.Paths {
			for method, op := range item {
				method = strings.ToUpper(method)
				if path == "/api/v1/session" && method == "DELETE" || strings.HasSuffix(path, "/ws") {
					continue
				}
				plain := strings.NewReplacer("{name}", "x", "{verb}", "lock").Replace(path)
				for _, word := range hostileWords {
					escaped := strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20", ";", "%3B", "'", "%27").Replace(word)
					ask(method, strings.NewReplacer("{name}", escaped, "{verb}", escaped).Replace(path), "{}")
					for _, p := range op.Parameters {
						if p.In == "query" {
							ask(method, plain+"?"+p.Name+"="+escaped, "{}")
						}
					}
				}
				if method == "POST" {
					for _, body := range hostile {
						ask(method, plain, body)
					}
				}
			}
		}
		if asked < 1000 {
			t.Errorf("only %d requests", asked)
		}
	})
}

// admin are the headers of an administrator who is logged in.
func (r *rig) admin() []string {
	r.t.Helper()
	_, cookie := r.login("adam", "password-a")
	return []string{"Cookie", cookie}
}

// try is do for requests that may not be requests at all.
func (r *rig) try(method, path, body string) (answer, error) {
	req, err := http.NewRequest(method, "http://a.test"+path, strings.NewReader(body)) //nolint:noctx // in a bubble
	if err != nil {
		return answer{}, nil //nolint:nilerr // the client already refuses it
	}
	if r.cookie == "" {
		r.cookie = r.admin()[1]
	}
	req.Header.Set("Cookie", r.cookie)
	resp, err := r.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// raw sends bytes as they are and returns the status lines that come back until the server has nothing more to say.
func (r *rig) raw(text string) []string {
	r.t.Helper()
	conn, err := r.net.dial(context.Background(), "", "")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go func() { _, _ = io.WriteString(conn, text) }()
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	var lines []string
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return lines
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		lines = append(lines, fmt.Sprint(resp.StatusCode))
	}
}

// TestHostileConnections sends what proxies and servers have been tricked with: shapes of smuggled requests, endless and
// oversized headers, hosts and methods that are not what they say.
func TestHostileConnections(t *testing.T) {
	bubble(t, newFake("a", float("a/x")), func(r *rig) {
		body := `{"user":"adam","password":"password-a"}`
		smuggled := "GET /api/v1/users HTTP/1.1\r\nHost: a\r\n\r\n"
		for name, c := range map[string]struct{ text, want string }{
			"two lengths":           {"POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello" + smuggled, "400"},
			"length and chunks":     {"POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "400"},
			"an encoding of sorts":  {"POST /api/v1/session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501"},
			"a space in a header":   {"GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\n", "400"},
			"no host":               {"GET /health/live HTTP/1.1\r\n\r\n", "400"},
			"two hosts":             {"GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
			"a bare line feed":      {"GET /health/live HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "400"},
			"a header too long":     {"GET /health/live HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n", "431"},
			"too many headers":      {"GET /health/live HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", maxHeader) + "\r\n", "431"},
			"a path too long":       {"GET /" + strings.Repeat("x", 2*maxHeader) + " HTTP/1.1\r\nHost: a\r\n\r\n", "431"},
			"another protocol":      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"},
			"a method by a header":  {"POST /api/v1/users HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", "401"},
			"a method that is none": {"TRACE /api/v1/users HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "401"},
			"a proxied address":     {"GET /api/v1/users HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 127.0.0.1\r\nX-Original-URL: /health/live\r\nConnection: close\r\n\r\n", "401"},
			"connect":               {"CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: 10.0.0.1:22\r\nConnection: close\r\n\r\n", "404"},
			"dots in a path":        {"GET /../../../../etc/passwd.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "307"},
			"escaped dots":          {"GET /%2e%2e/%2e%2e/etc/passwd.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "404"},
			"a foreign host":        {"GET /api/v1/users HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n", "401"},
			"a foreign page":        {"POST /api/v1/session HTTP/1.1\r\nHost: a.test\r\nOrigin: http://evil.test\r\nContent-Type: text/plain\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\nConnection: close\r\n\r\n" + body, "403"},
		} {
			got := r.raw(c.text)
			if len(got) != 1 || got[0] != c.want {
				t.Errorf("%s: %v, want %s", name, got, c.want)
			}
		}
		began := time.Now()
		if got := r.raw("GET /health/live HTTP/1.1\r\nHost: a\r\nX: "); len(got) != 0 || time.Since(began) > 2*headerTimeout {
			t.Errorf("a header that never ends: %v after %v", got, time.Since(began))
		}
		began = time.Now()
		if got := r.raw("POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"); time.Since(began) > 2*readTimeout {
			t.Errorf("a body that never ends: %v after %v", got, time.Since(began))
		}
	})
}
