//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/ua"
	"github.com/gorilla/websocket"
)

// guarded is a pair as a plant should run it: TLS for the web, a paired link, OPC UA users only.
type guarded struct {
	*rig
	ca    string // file of the authority
	roots *x509.CertPool
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{rig: newRig(t, replace(t, "web: {pair_key_file: pair.key}", "web: {pair_key_file: pair.key, tls: {dir: pki/web}}", "opcua: {allow_none: true, anonymous: read}", "opcua: {allow_none: true}",
		"policy: availability", "policy: availability\n  tls: {dir: pki/link}"))}
	g.pairLink()
	authority := filepath.Join(g.dir, "authority")
	g.scadactl("cert", "ca", authority, "--name", "a test")
	for _, node := range []string{"a", "b"} {
		g.scadactl("cert", "issue", filepath.Join(g.dir, "data", node, "pki", "web"), "--ca-dir", authority, "--host", "127.0.0.1", "--host", "localhost")
	}
	g.ca = filepath.Join(authority, "ca.pem")
	text, err := os.ReadFile(g.ca)
	if err != nil {
		t.Fatal(err)
	}
	g.roots = x509.NewCertPool()
	g.roots.AppendCertsFromPEM(text)
	g.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.roots, MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, node := range []string{"a", "b"} {
		g.startNode(node)
	}
	g.eventually(30*time.Second, "both nodes serve", func() error {
		for _, node := range []string{"a", "b"} {
			if err := g.http(http.MethodGet, g.secure(node)+"/api/v1/role", g.who.Token, nil, nil); err != nil {
				return err
			}
		}
		return nil
	})
	return g
}

func (g *guarded) scadactl(args ...string) {
	g.t.Helper()
	if out, err := exec.Command(filepath.Join(g.bin, "scadactl"), args...).CombinedOutput(); err != nil {
		g.t.Fatalf("scadactl %v: %v: %s", args, err, out)
	}
}

func (g *guarded) secure(node string) string {
	return strings.Replace(g.url(node), "http:", "https:", 1)
}

// TestNobodySeesAnything goes to every door of a real node without a log-in. What opens shows the status of the health
// paths, the files of the log-in page, and what OPC UA says of its endpoints, and nothing else does.
func TestNobodySeesAnything(t *testing.T) {
	g := newGuarded(t)
	for name, door := range map[string]func(){
		"sockets": g.noOtherDoors, "api": g.everyOperation, "files": g.everyFile, "socket": g.socketOfNobody, "opcua": g.opcuaOfNobody, "link": g.linkOfNobody, "tls": g.tlsOfNobody,
	} {
		t.Run(name, func(inner *testing.T) {
			g.t = inner
			defer func() { g.t = t }()
			door()
		})
	}
}

// noOtherDoors compares the ports the process listens on with those of the plant file.
func (g *guarded) noOtherDoors() {
	pid := g.procs["a"].Process.Pid
	inodes := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			inodes[strings.Trim(to, "socket:[]")] = true
		}
	}
	var open []int
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			g.t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n")[1:] {
			f := strings.Fields(line)
			if len(f) < 10 || !inodes[f[9]] || strings.HasPrefix(table, "tcp") && f[3] != "0A" {
				continue
			}
			port, err := strconv.ParseInt(f[1][strings.LastIndexByte(f[1], ':')+1:], 16, 32)
			if err != nil {
				g.t.Fatal(err)
			}
			open = append(open, int(port))
		}
	}
	slices.Sort(open)
	want := []int{g.ports.LanA, g.ports.DedA, g.ports.HTTPA, g.ports.UAA}
	slices.Sort(want)
	if !slices.Equal(open, want) {
		g.t.Errorf("node a listens on %v, its plant file names %v", open, want)
	}
}

// ask sends a request without any proof of who sends it.
func (g *guarded) ask(method, path string, headers ...string) (*http.Response, []byte) {
	g.t.Helper()
	req, err := http.NewRequest(method, g.secure("a")+path, strings.NewReader("{}")) //nolint:noctx // the client has a limit
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp, body
}

// openTo are the operations nobody has to log in for, and what the answer is to an empty object.
var openTo = map[string]string{
	"GET /health/live": `^{"status":"\w+"}\n$`, "GET /health/ready": `^{"status":"\w+"}\n$`, "GET /health/active": `^{"status":"\w+"}\n$`,
	"GET /api/v1/session/oidc": `^{"name":""}\n$`, "GET /api/v1/session/oidc/start": "there is no OpenID provider", "GET /api/v1/session/oidc/callback": "there is no OpenID provider",
	"POST /api/v1/session": "name or password is wrong", "POST /api/v1/session/exchange": "the ticket is not valid", "GET /api/v1/ws": "this is a WebSocket",
}

func (g *guarded) everyOperation() {
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := g.http(http.MethodGet, g.secure("a")+"/api/v1/openapi.json", g.who.Token, nil, &doc); err != nil || len(doc.Paths) < 40 {
		g.t.Fatal(len(doc.Paths), err)
	}
	asked := 0
	for path, item := range doc.Paths {
		target := strings.NewReplacer("{name}", "x", "{verb}", "lock").Replace(path)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} {
			for _, proof := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", "Basic YWRtaW46YWRtaW4="}, {"Cookie", "scada_session_a=x; scada_session_b=y"}, {"X-Forwarded-For", "127.0.0.1", "X-Original-URL", "/health/live"}} {
				resp, body := g.ask(method, target, proof...)
				asked++
				name := method + " " + path
				if open, ok := openTo[strings.Replace(name, "HEAD", "GET", 1)]; ok && item[strings.ToLower(strings.Replace(method, "HEAD", "GET", 1))] != nil {
					if method != "HEAD" && !regexp.MustCompile(open).Match(body) && resp.StatusCode != http.StatusTooManyRequests {
						g.t.Errorf("%s says %d %s", name, resp.StatusCode, body)
					}
					continue
				}
				if resp.StatusCode == http.StatusTemporaryRedirect && resp.Header.Get("Location") == target+"/" {
					continue // to where names begin; there it is refused
				}
				if strings.HasPrefix(path, "/health/") && resp.StatusCode == http.StatusOK || resp.StatusCode != http.StatusUnauthorized || method != "HEAD" && !bytes.Contains(body, []byte("log in or send a bearer token")) {
					g.t.Errorf("%s (%v) says %d %.200s", name, proof, resp.StatusCode, body)
				}
			}
		}
	}
	if resp, body := g.ask("OPTIONS", "/api/v1/tags", "Origin", "https://evil.test"); resp.StatusCode != http.StatusNoContent || len(body) != 0 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		g.t.Errorf("a preflight of a stranger: %d %v", resp.StatusCode, resp.Header)
	}
	g.t.Logf("%d requests to %d paths", asked, len(doc.Paths))
}

func (g *guarded) everyFile() {
	resp, page := g.ask("GET", "/")
	if resp.StatusCode != http.StatusOK {
		g.t.Fatal(resp.Status)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'self'; script-src 'self'", "X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000",
		"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "Permissions-Policy": "camera=()",
	} {
		if !strings.HasPrefix(resp.Header.Get(name), want) {
			g.t.Errorf("%s: %q", name, resp.Header.Get(name))
		}
	}
	for _, name := range []string{"Server", "X-Powered-By", "Set-Cookie"} {
		if resp.Header.Get(name) != "" {
			g.t.Errorf("%s: %q", name, resp.Header.Get(name))
		}
	}
	if csp := resp.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || !strings.Contains(csp, "frame-ancestors 'none'") {
		g.t.Errorf("the policy is %s", csp)
	}
	known := [][]byte{page}
	for _, name := range []string{"/app.js", "/app.css", "/favicon.svg"} {
		resp, body := g.ask("GET", name)
		if resp.StatusCode != http.StatusOK {
			g.t.Errorf("%s: %s", name, resp.Status)
		}
		known = append(known, body)
	}
	plant, err := os.ReadFile(filepath.Join(g.dir, "plant.yaml"))
	if err != nil {
		g.t.Fatal(err)
	}
	devices := regexp.MustCompile(`(?m)^  - \{?name: (\w{6,})`).FindAllSubmatch(plant, -1)
	for _, body := range known {
		for _, d := range devices {
			if role := string(d[1]); role != "viewer" && role != "operator" && bytes.Contains(body, d[1]) {
				g.t.Errorf("a file of the page tells of %s", d[1])
			}
		}
	}
	for _, path := range []string{
		"/metrics", "/metrics/", "/debug/pprof/", "/debug/pprof/goroutine?debug=2", "/debug/vars", "/api", "/api/", "/api/v1", "/api/v2/tags", "/API/v1/tags", "//api/v1/tags", "/./api/v1/tags", "/x/../api/v1/tags", "/%61pi/v1/tags", "/api%2fv1%2ftags",
		"/plant.yaml", "/pair.key", "/people.json", "/data/a/people.json", "/../plant.yaml", "/%2e%2e/plant.yaml", "/..%2fplant.yaml", "/..%5cplant.yaml", "/static/../../../etc/passwd", "/etc/passwd", "/.git/config", "/.env", "/app.js.gz", "/app.js.map", "/index.html.gz", "/server-status", "/robots.txt", "/swagger.json", "/openapi.json", "/health", "/health/", "/health/all", "/session", "/ws", "/admin", "/app.js%00.html",
	} {
		resp, body := g.ask("GET", path)
		to := resp.Header.Get("Location")
		switch {
		case resp.StatusCode == http.StatusOK && slices.ContainsFunc(known, func(k []byte) bool { return bytes.Equal(k, body) }):
		case resp.StatusCode == http.StatusUnauthorized && bytes.Contains(body, []byte("log in or send a bearer token")):
		case resp.StatusCode == http.StatusNotFound && string(body) == "no such file\n":
		case resp.StatusCode/100 == 3 && strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//"):
		case resp.StatusCode == http.StatusBadRequest && len(body) < 40:
		default:
			g.t.Errorf("%s: %d %q %.200q", path, resp.StatusCode, to, body)
		}
	}
}

func (g *guarded) socketOfNobody() {
	d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: g.roots, MinVersion: tls.VersionTLS12}, Subprotocols: []string{"scada.v1"}, HandshakeTimeout: 10 * time.Second}
	address := strings.Replace(g.secure("a"), "https:", "wss:", 1) + "/api/v1/ws"
	if _, resp, err := d.Dial(address, http.Header{"Origin": {"https://evil.test"}}); err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		g.t.Errorf("a page of another origin: %v", err)
	}
	for what, message := range map[string]string{
		"nothing": "", "a hello without proof": `{"t":"hello"}`, "a wrong token": `{"t":"hello","token":"wrong"}`, "a wrong ticket": `{"t":"hello","ticket":"st1.e30.AAAA"}`,
		"a sub before hello": `{"t":"sub","id":1,"glob":"**"}`, "no JSON": "{", "a write": `{"t":"write","id":1,"tag":"x","value":1}`,
	} {
		conn, _, err := d.Dial(address, nil)
		if err != nil {
			g.t.Errorf("%s: %v", what, err)
			continue
		}
		if message != "" {
			if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
				g.t.Error(err)
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, got, err := conn.ReadMessage()
		var end *websocket.CloseError
		if !errors.As(err, &end) || !slices.Contains([]int{4400, 4401, 4408}, end.Code) {
			g.t.Errorf("%s is answered with %.200q, %v", what, got, err)
		}
		_ = conn.Close()
	}
}

func (g *guarded) opcuaOfNobody() {
	ctx, cancel := context.WithTimeout(context.Background(), uaPatience)
	defer cancel()
	address := fmt.Sprintf("opc.tcp://127.0.0.1:%d", g.ports.UAA)
	endpoints, err := opcua.GetEndpoints(ctx, address)
	if err != nil || len(endpoints) == 0 {
		g.t.Fatalf("GetEndpoints: %v", err)
	}
	for _, e := range endpoints {
		for _, token := range e.UserIdentityTokens {
			if token.TokenType == ua.UserTokenTypeAnonymous {
				g.t.Errorf("the endpoint %s %s offers a log-in to nobody", e.SecurityPolicyURI, e.SecurityMode)
			}
		}
	}
	open := func() *opcua.Client {
		c, err := opcua.NewClient(address, opcua.SecurityMode(ua.MessageSecurityModeNone), opcua.AuthAnonymous(), opcua.AutoReconnect(false))
		if err != nil {
			g.t.Fatal(err)
		}
		return c
	}
	if err := open().Connect(ctx); err == nil {
		g.t.Error("nobody has a session")
	}
	c := open()
	if err := c.Dial(ctx); err != nil {
		g.t.Fatal(err)
	}
	defer c.Close(ctx)
	for _, req := range []ua.Request{
		&ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: ua.NewNumericNodeID(0, 2256), AttributeID: ua.AttributeIDValue}}},
		&ua.BrowseRequest{View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)}, NodesToBrowse: []*ua.BrowseDescription{{NodeID: ua.NewNumericNodeID(0, 85), ReferenceTypeID: ua.NewTwoByteNodeID(0)}}},
		&ua.CallRequest{}, &ua.WriteRequest{}, &ua.CreateSubscriptionRequest{RequestedPublishingInterval: 100}, &ua.PublishRequest{}, &ua.HistoryReadRequest{},
	} {
		if err := c.Send(ctx, req, func(resp ua.Response) error {
			if resp.Header().ServiceResult == ua.StatusOK {
				g.t.Errorf("%T without a session: %+v", req, resp)
			}
			return nil
		}); err == nil {
			g.t.Errorf("%T without a session is served", req)
		}
	}
}

func (g *guarded) linkOfNobody() {
	for _, port := range []int{g.ports.LanA, g.ports.DedA} {
		for what, talk := range map[string]func(net.Conn) (net.Conn, error){
			"without TLS": func(c net.Conn) (net.Conn, error) {
				_, err := c.Write(bytes.Repeat([]byte{0, 0, 0, 8, 1, 1}, 20))
				return c, err
			},
			"without a certificate": func(c net.Conn) (net.Conn, error) {
				t := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // a stranger does not care
				return t, t.Handshake()
			},
		} {
			host := "127.0.0.1"
			if port == g.ports.DedA {
				host = g.dedicated()
			}
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), 5*time.Second)
			if err != nil {
				g.t.Errorf("%d: %v", port, err)
				continue
			}
			_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
			end, err := talk(conn)
			if err == nil {
				var got []byte
				got, err = io.ReadAll(io.LimitReader(end, 1<<10))
				if len(got) > 0 && !(what == "without TLS" && got[0] == 21) { // 21: an alert of TLS, which says nothing but no
					g.t.Errorf("%d, %s: %q %v", port, what, got, err)
				}
			}
			_ = conn.Close()
		}
	}
}

// dedicated is the address of the second path of node a.
func (g *guarded) dedicated() string {
	plant, err := os.ReadFile(filepath.Join(g.dir, "plant.yaml"))
	if err != nil {
		g.t.Fatal(err)
	}
	m := regexp.MustCompile(`"([0-9.]+):` + strconv.Itoa(g.ports.DedA) + `"`).FindSubmatch(plant)
	if m == nil {
		g.t.Fatal("the plant has no second path")
	}
	return string(m[1])
}
