package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"scada/acquisition/tag"
	"scada/web/api"
)

// anonymousRoutes may be asked without a log-in. A route that is added and not meant for everybody must not be here.
var anonymousRoutes = map[string]bool{
	"GET /health/live": true, "GET /health/ready": true, "GET /health/active": true,
	"POST /api/v1/session": true, "POST /api/v1/session/exchange": true,
	"GET /api/v1/session/oidc": true, "GET /api/v1/session/oidc/start": true, "GET /api/v1/session/oidc/callback": true, // what the log-in page needs
	"GET /api/v1/ws": true, // signs in with its first message; see TestSocketRefusesStrangers
}

// changingRoutes are all that change something, with the lowest role that may. TestEveryRouteIsGuarded holds the table
// against it, so that a permission is not weakened by one edit.
var changingRoutes = map[string]Role{
	"POST /api/v1/node/log-level": Admin,
	"POST /api/v1/config/check":   Engineer, "POST /api/v1/config/diff": Engineer, "POST /api/v1/config/deploy": Engineer, "POST /api/v1/config/rollback": Engineer, "POST /api/v1/config/discard": Engineer,
	"POST /api/v1/session/password": Viewer, "POST /api/v1/users": Admin, "POST /api/v1/users/{name}/{verb}": Admin, "DELETE /api/v1/users/{name}": Admin, "DELETE /api/v1/sessions/{id}": Admin,
	"POST /api/v1/tokens": Admin, "DELETE /api/v1/tokens/{name}": Admin,
	"DELETE /api/v1/session": Viewer, "POST /api/v1/ticket": Viewer, "POST /api/v1/tags/{name...}": Operator,
	"POST /api/v1/role/switch": Admin, "POST /api/v1/role/take": Admin, "POST /api/v1/role/release": Admin, "POST /api/v1/role/drill": Admin, "POST /api/v1/role/maintenance": Admin,
	"POST /api/v1/alarms/ack": Operator, "POST /api/v1/alarms/reset": Operator, "POST /api/v1/alarms/shelve": Operator, "POST /api/v1/alarms/unshelve": Operator,
	"POST /api/v1/alarms/comment": Operator, "POST /api/v1/alarms/preview": Operator, "POST /api/v1/alarms/oos": Engineer, "POST /api/v1/alarms/rts": Engineer,
	"POST /api/v1/devices/{name}/test": Engineer,
	"POST /api/v1/history/import":      Engineer, "POST /api/v1/history/repair": Engineer,
	"POST /api/v1/apps/{name}/check": Engineer, "POST /api/v1/apps/{name}/deploy": Engineer, "POST /api/v1/apps/{name}/rollback": Engineer,
}

// TestEveryRouteIsGuarded asks every route as nobody and as a user of the role just below the one it needs.
func TestEveryRouteIsGuarded(t *testing.T) {
	tokens := map[Role]string{Viewer: "tok-viewer", Operator: "tok-operator", Engineer: "tok-engineer", Admin: "tok-admin"}
	bubble(t, newFake("a", float("a/x")), func(r *rig) {
		for _, rt := range routes() {
			name := rt.method + " " + rt.pattern
			path := strings.NewReplacer("{name...}", "a/x", "{name}", "totals", "{verb}", "lock").Replace(rt.pattern)
			if (rt.permission == Anonymous) != anonymousRoutes[name] {
				t.Errorf("%s has permission %s", name, rt.permission)
			}
			if rt.permission == Anonymous {
				continue
			}
			if least, listed := changingRoutes[name]; listed != (rt.method != "GET") || listed && needs[rt.permission] != least {
				t.Errorf("%s needs %s, want %s", name, needs[rt.permission], least)
			}
			for _, headers := range [][]string{nil, bearer("wrong"), {"Cookie", "scada_session_a=wrong"}, {"Authorization", "Basic YTpi"}} {
				if a := r.do(rt.method, path, "{}", headers...); a.status != 401 || a.code() != api.CodeUnauthorized {
					t.Errorf("%s as nobody (%v): %d %s", name, headers, a.status, a.body)
				}
			}
			least := needs[rt.permission]
			if least == Nobody {
				t.Errorf("%s: permission %s is nobody's or everybody's", name, rt.permission)
			}
			if below, ok := tokens[least-1]; ok {
				if a := r.do(rt.method, path, "{}", bearer(below)...); a.status != 403 {
					t.Errorf("%s as %s: %d %s", name, least-1, a.status, a.body)
				}
			}
			if a := r.do(rt.method, path, "{}", bearer(tokens[least])...); a.status == 401 && rt.method != "DELETE" || a.status == 403 && !strings.HasSuffix(rt.pattern, "/ticket") {
				t.Errorf("%s as %s: %d %s", name, least, a.status, a.body)
			}
		}
		if len(r.f.writes) != 0 {
			t.Errorf("a probe wrote: %v", r.f.writes)
		}
	})
}

func TestWhatIsNotInTheTableIsRefused(t *testing.T) {
	bubble(t, newFake("a", float("a/x")), func(r *rig) {
		for _, c := range []struct {
			method, path string
			headers      []string
			status       int
		}{
			{"GET", "/api/v1/secrets", nil, 401}, {"GET", "/api/v1/secrets", bearer("tok-viewer"), 404},
			{"PUT", "/api/v1/role", nil, 401}, {"PUT", "/api/v1/role", bearer("tok-admin"), 405},
			{"POST", "/index.html", nil, 401}, {"GET", "/api/v1/role?nod=a", bearer("tok-viewer"), 400},
			{"GET", "/../etc/passwd", nil, 200}, // cleaned to a page of the dashboard
			{"GET", "/etc/passwd.txt", nil, 404},
		} {
			if a := r.do(c.method, c.path, "", c.headers...); a.status != c.status {
				t.Errorf("%s %s: %d %s, want %d", c.method, c.path, a.status, a.body, c.status)
			}
		}
	})
}

func TestOpenAPINamesEveryRoute(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		a := r.do("GET", "/api/v1/openapi.json", "", bearer("tok-viewer")...)
		var doc struct {
			Paths      map[string]map[string]struct{ Summary string }
			Components struct{ Schemas map[string]any }
		}
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != 200 {
			t.Fatal(a.status, err)
		}
		for _, rt := range routes() {
			op, ok := doc.Paths[strings.ReplaceAll(rt.pattern, "...", "")][strings.ToLower(rt.method)]
			if !ok || op.Summary == "" {
				t.Errorf("%s %s is not described", rt.method, rt.pattern)
			}
		}
		for _, ref := range strings.Split(a.body, `"$ref":"#/components/schemas/`)[1:] {
			name, _, _ := strings.Cut(ref, `"`)
			if _, ok := doc.Components.Schemas[name]; !ok {
				t.Errorf("schema %s is referred to and missing", name)
			}
		}
	})
}

func TestHealth(t *testing.T) {
	f := newFake("a")
	bubble(t, f, func(r *rig) {
		check := func(want ...int) {
			t.Helper()
			for i, path := range []string{"/health/live", "/health/ready", "/health/active", "/health/active?area=main", "/health/active?area=x"} {
				if a := r.do("GET", path, ""); a.status != want[i] {
					t.Errorf("%s: %d, want %d", path, a.status, want[i])
				}
			}
		}
		check(200, 200, 200, 200, 404)
		f.setRole(api.RoleStandby, 7)
		f.ready = false
		check(200, 503, 503, 503, 404)
		if a := r.do("GET", "/health/ready", ""); a.body != `{"status":"unavailable"}`+"\n" {
			t.Errorf("ready says more than the status: %s", a.body)
		}
	})
}

// TestHealthAndMetricsBelowTheBase: what is at the root for probes is found beside the rest, too, and is guarded alike.
func TestHealthAndMetricsBelowTheBase(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		for _, path := range []string{"/health/live", "/health/ready", "/health/active"} {
			if a, b := r.do("GET", path, ""), r.do("GET", base+path, ""); a.status != b.status || a.body != b.body {
				t.Errorf("%s: %d %s below the base, %d %s at the root", path, b.status, b.body, a.status, a.body)
			}
		}
		if a := r.do("GET", base+"/metrics", ""); a.status != 401 {
			t.Errorf("metrics as nobody: %d", a.status)
		}
		if a := r.do("GET", base+"/metrics", "", bearer("tok-viewer")...); a.status != 200 || !strings.HasPrefix(a.body, "#") {
			t.Errorf("metrics: %d %.80s", a.status, a.body)
		}
	})
}

func TestMetrics(t *testing.T) {
	bubble(t, newFake("a", float("a/x")), func(r *rig) {
		s, _ := r.hello("tok-viewer", "")
		s.send(`{"t":"sub","id":1,"glob":"**"}`)
		s.want("subd")
		s.wantFrame()
		r.do("GET", "/api/v1/role", "", bearer("wrong")...)
		a := r.do("GET", "/metrics", "", bearer("tok-viewer")...)
		for _, line := range []string{"scada_socket_connections 1", "scada_socket_values_total 1", "scada_sessions 0",
			`scada_http_requests_total{method="GET",route="/api/v1/role",status="401"} 1`, "go_goroutines "} {
			if !strings.Contains(a.body, line) {
				t.Errorf("%q is missing", line)
			}
		}
		s.close()
	})
}

func TestRoleCommands(t *testing.T) {
	f := newFake("a")
	bubble(t, f, func(r *rig) {
		if a := r.do("POST", "/api/v1/role/take", `{"area":"main","force":true,"reason":"test"}`, bearer("tok-admin")...); a.status != 200 {
			t.Errorf("take: %d %s", a.status, a.body)
		}
		if a := r.do("POST", "/api/v1/role/drill", "", bearer("tok-admin")...); a.status != 200 {
			t.Errorf("drill without a body: %d %s", a.status, a.body)
		}
		for body, want := range map[string]int{`{"forced":true}`: 400, `{"force":true}`: 400, `{"area":"x"}`: 404, `{"verb":"take"}`: 400, `{} {}`: 400,
			`{"reason":"` + strings.Repeat("x", maxText+1) + `"}`: 400, `{"reason":"` + strings.Repeat("x", maxBody) + `"}`: 413} {
			if a := r.do("POST", "/api/v1/role/switch", body, bearer("tok-admin")...); a.status != want {
				t.Errorf("%.40s: %d %s, want %d", body, a.status, a.body, want)
			}
		}
		f.ready = false
		a := r.do("POST", "/api/v1/role/switch", "{}", bearer("tok-admin")...)
		if a.status != 409 || a.code() != api.CodeNotReady || !strings.Contains(a.body, "back-fill has 3 windows to go") {
			t.Errorf("not ready: %d %s", a.status, a.body)
		}
		if len(f.commands) != 3 || !strings.HasPrefix(f.commands[0], "script-admin take") {
			t.Errorf("commands %q", f.commands)
		}
	})
}

func TestTags(t *testing.T) {
	text := tag.Definition{Name: "a/text", Type: tag.TypeString, Description: "Recipe name"}
	big := tag.Definition{Name: "b/big", Type: tag.TypeUint64}
	f := newFake("a", text, float("a/x"), big, float("b/c/y"))
	set(f.plant, "a/text", tag.String("水"), tag.Good)
	set(f.plant, "a/x", tag.Float64(0.1), tag.UncertainLastUsableValue)
	set(f.plant, "b/big", tag.Uint(tag.TypeUint64, 18446744073709551615), tag.Good)
	bubble(t, f, func(r *rig) {
		names := func(query string) string {
			var got api.Tags
			a := r.do("GET", "/api/v1/tags?"+query, "", bearer("tok-viewer")...)
			if err := json.Unmarshal([]byte(a.body), &got); err != nil {
				t.Fatalf("%s: %s", query, a.body)
			}
			list := []string{}
			for _, tg := range got.Tags {
				list = append(list, tg.Name)
			}
			return fmt.Sprintf("%s of %d, next %q", strings.Join(list, " "), got.Total, got.Next)
		}
		for query, want := range map[string]string{
			"": `a/text a/x b/big b/c/y of 4, next ""`, "glob=b/*": `b/big of 1, next ""`, "glob=**y": `b/c/y of 1, next ""`,
			"text=RECIPE": `a/text of 1, next ""`, "limit=2": `a/text a/x of 4, next "a/x"`, "limit=2&cursor=a/x": `b/big b/c/y of 4, next ""`,
			"area=none": ` of 0, next ""`,
		} {
			if got := names(query); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
		for path, want := range map[string]string{
			"a%2Fx": `"value":0.1,"quality":"Uncertain_LastUsableValue"`, "a/text": `"value":"水"`, "b/big": `"value":18446744073709551615`,
			"b/c/y": `"time":null,"value":null,"quality":"Bad_WaitingForInitialData"`, "a/z": `"code":"not_found"`,
		} {
			if a := r.do("GET", "/api/v1/tags/"+path, "", bearer("tok-viewer")...); !strings.Contains(a.body, want) {
				t.Errorf("%s: %s, want %s in it", path, a.body, want)
			}
		}
		if a := r.do("GET", fmt.Sprintf("/api/v1/tags?limit=%d", maxPage+1), "", bearer("tok-viewer")...); a.status != 400 {
			t.Errorf("a page over the limit: %d", a.status)
		}
	})
}

func TestWritesOverHTTP(t *testing.T) {
	fixed := float("a/fixed")
	fixed.Writable = false
	f := newFake("a", tag.Definition{Name: "a/bit", Type: tag.TypeBool, Writable: true}, fixed,
		tag.Definition{Name: "a/text", Type: tag.TypeString, Writable: true}, float("a/x"))
	bubble(t, f, func(r *rig) {
		for _, c := range []struct{ name, body, code string }{
			{"a/x", `{"value":12.5,"reason":"why"}`, ""}, {"a%2Fx", `{"value":"13"}`, ""}, {"a/bit", `{"value":true}`, ""}, {"a/bit", `{"value":0}`, ""}, {"a/text", `{"value":"x"}`, ""},
			{"a/x", `{"value":100.5}`, "bad_value"}, {"a/x", `{"value":true}`, "bad_value"}, {"a/x", `{"value":null}`, "bad_value"}, {"a/x", `{"value":[1]}`, "bad_value"},
			{"a/bit", `{"value":2}`, "bad_value"}, {"a/text", `{"value":1}`, "bad_value"}, {"a/fixed", `{"value":1}`, "not_writable"},
			{"a/none", `{"value":1}`, "not_found"}, {"a/x", `{"value":1,"epoch":6}`, "wrong_epoch"}, {"a/x", `{"value":1,"expect_role":"standby"}`, "role_changed"},
			{"a/x", `{"value":1,"deadline":"1999-12-31T23:59:59Z"}`, "late"}, {"a/x", `{"value":1,"deadline":"2000-01-01T00:00:31Z"}`, "bad_request"},
			{"a/x", `{"value":1,"nonce":"short"}`, "bad_request"},
			{"a/x", `{"value":1,"nonce":"0123456789abcdef","epoch":7,"expect_role":"active"}`, ""}, {"a/x", `{"value":1,"nonce":"0123456789abcdef"}`, "repeated"},
		} {
			a := r.do("POST", "/api/v1/tags/"+c.name+"/value", c.body, bearer("tok-operator")...)
			if a.code() != c.code || (a.status == 200) != (c.code == "") {
				t.Errorf("%s %s: %d %s, want %q", c.name, c.body, a.status, a.body, c.code)
			}
		}
		if got := f.written(); len(got) != 6 || got[0].Value != tag.Float64(12.5) || got[0].Reason != "why" || got[0].Deadline.IsZero() {
			t.Errorf("written: %+v", got)
		}
	})
}

func TestWritesAreLimitedPerUser(t *testing.T) {
	bubble(t, newFake("a", float("a/x")), func(r *rig) {
		for range writeBurst {
			if a := r.do("POST", "/api/v1/tags/a/x/value", `{"value":1}`, bearer("tok-operator")...); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		if a := r.do("POST", "/api/v1/tags/a/x/value", `{"value":1}`, bearer("tok-operator")...); a.status != 429 {
			t.Errorf("one too many: %d", a.status)
		}
		if a := r.do("POST", "/api/v1/tags/a/x/value", `{"value":1}`, bearer("tok-admin")...); a.status != 200 {
			t.Errorf("somebody else: %d", a.status)
		}
	})
}

func TestAlarmCommands(t *testing.T) {
	f := newFake("a")
	refs := strings.Repeat(`{"id":"x"},`, maxAlarmRefs+1)
	bubble(t, f, func(r *rig) {
		for _, c := range []struct {
			command, body string
			status        int
		}{
			{"ack", `{"alarms":[{"id":"x","occurrence":3}],"comment":"seen"}`, 200}, {"ack", `{"alarms":[]}`, 400}, {"ack", `{"alarms":[{"id":""}]}`, 400},
			{"ack", `{"alarms":[` + refs[:len(refs)-1] + `]}`, 400}, {"ack", `{"alarms":[{"id":"x"}],"for_s":1}`, 400}, {"comment", `{"alarms":[{"id":"x"}]}`, 400},
			{"shelve", `{"alarms":[{"id":"x"}]}`, 400}, {"shelve", `{"alarms":[{"id":"x"}],"for_s":60}`, 200}, {"shelve", `{"alarms":[{"id":"x"}],"one_shot":true}`, 200},
			{"shelve", fmt.Sprintf(`{"alarms":[{"id":"x"}],"for_s":%d}`, maxShelve+1), 400}, {"oos", `{"alarms":[{"id":"x"}]}`, 403},
		} {
			if a := r.do("POST", "/api/v1/alarms/"+c.command, c.body, bearer("tok-operator")...); a.status != c.status {
				t.Errorf("%s %.60s: %d %s, want %d", c.command, c.body, a.status, a.body, c.status)
			}
		}
		if len(f.commands) != 3 {
			t.Errorf("commands %q", f.commands)
		}
	})
}

func TestHistoryQuery(t *testing.T) {
	f := newFake("a", float("a/x"))
	bubble(t, f, func(r *rig) {
		for query, want := range map[string]int{
			"tag=a/x&from=-1h": 200, "tag=a/x&from=1999-12-31T00:00:00%2B08:00&aggregate=Average&step=1m": 200, "tag=a/x&points=100": 200,
			"tag=a/x&aggregate=Count&step=48h&zone=Europe/Berlin": 200, "tag=a/x&aggregate=Count&step=25h&zone=Europe/Berlin": 400, "tag=a/x&zone=Europe/Berlin": 400,
			"tag=a/x&aggregate=Count&step=24h&zone=Atlantis": 400, "tag=a/x&aggregate=Count&step=24h&zone=UTC&from=-90000h": 400,
			"": 400, "tag=none": 404, "tag=a/x&from=yesterday": 400, "tag=a/x&from=now": 400, "tag=a/x&points=5&aggregate=Average": 400, "tag=a/x&step=1s": 400,
			"tag=a/x&aggregate=Average&step=0s": 400, "tag=a/x&aggregate=Average&from=-24h&step=1ms": 400, "tag=a/x&points=10001": 400,
		} {
			if a := r.do("GET", "/api/v1/history?"+query, "", bearer("tok-viewer")...); a.status != want {
				t.Errorf("%s: %d %s, want %d", query, a.status, a.body, want)
			}
		}
	})
}

func TestAPanicEndsTheRequestOnly(t *testing.T) {
	f := newFake("a")
	bubble(t, f, func(r *rig) {
		f.panics = true
		if a := r.do("GET", "/api/v1/role", "", bearer("tok-viewer")...); a.status != 500 || strings.Contains(a.body, "goroutine") {
			t.Errorf("%d %s", a.status, a.body)
		}
		f.panics = false
		if a := r.do("GET", "/api/v1/role", "", bearer("tok-viewer")...); a.status != 200 {
			t.Errorf("after it: %d", a.status)
		}
	})
}

func TestHeadersAndOrigins(t *testing.T) {
	bubble(t, newFake("a", float("a/x")), func(r *rig) {
		a := r.do("GET", "/", "")
		csp := a.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "ws://b.test") {
			t.Errorf("CSP %s", csp)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(a.body, "make build") {
			t.Errorf("%v %s", a.header, a.body)
		}
		const path, body = "/api/v1/tags/a/x/value", `{"value":1}`
		op := bearer("tok-operator")
		for origin, want := range map[string]int{"http://a.test": 200, "http://b.test": 200, "http://evil.test": 403, "null": 403} {
			a := r.do("POST", path, body, append(op, "Origin", origin, "Sec-Fetch-Site", "cross-site")...)
			if a.status != want {
				t.Errorf("from %s: %d %s, want %d", origin, a.status, a.body, want)
			}
			if got := a.header.Get("Access-Control-Allow-Origin"); (got == origin) != (want == 200) {
				t.Errorf("from %s: allowed origin %q", origin, got)
			}
		}
		pre := r.do("OPTIONS", path, "", "Origin", "http://evil.test", "Access-Control-Request-Method", "POST")
		if pre.header.Get("Access-Control-Allow-Methods") != "" {
			t.Error("a stranger's preflight is granted")
		}
		pre = r.do("OPTIONS", path, "", "Origin", "http://b.test", "Access-Control-Request-Method", "POST")
		if pre.status != 204 || !strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "Authorization") || pre.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("the peer's preflight: %d %v", pre.status, pre.header)
		}
	})
}

func TestStaticFiles(t *testing.T) {
	cfg := testConfig("a")
	cfg.UI = fstest.MapFS{"index.html": {Data: []byte("<html>")}, "app.js": {Data: []byte("plain")}, "app.js.gz": {Data: []byte("packed")}, ".gitkeep": {}}
	s, err := newStatic(cfg.UI)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, headers ...string) answer {
		req, _ := http.NewRequest("GET", "http://a.test"+path, nil)
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		rec := newRecorded()
		s.ServeHTTP(rec, req)
		return answer{rec.code, rec.header, rec.body.String()}
	}
	if a := get("/app.js"); a.body != "plain" || a.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("%+v", a)
	}
	a := get("/app.js?v=1", "Accept-Encoding", "br, gzip")
	if a.body != "packed" || a.header.Get("Content-Encoding") != "gzip" || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%+v", a)
	}
	if b := get("/app.js", "Accept-Encoding", "gzip", "If-None-Match", `"x", `+a.header.Get("ETag")); b.status != 304 || b.body != "" {
		t.Errorf("%+v", b)
	}
	if a := get("/app.js", "Accept-Encoding", "gzip;q=0"); a.body != "plain" {
		t.Errorf("%+v", a)
	}
	if a := get("/tags/deep"); a.body != "<html>" {
		t.Errorf("a page: %+v", a)
	}
	for _, p := range []string{"/missing.js", "/.gitkeep", "/app.js.gz"} {
		if a := get(p); a.status != 404 {
			t.Errorf("%s: %+v", p, a)
		}
	}
}
