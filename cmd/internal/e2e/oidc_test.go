//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"scada/web/ui/uitest"
)

const oidcSecret = "a secret of the plant at the provider"

// openIDProvider starts a real provider for the nodes of a plant file and returns its issuer.
func openIDProvider(t *testing.T, plant string) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	if _, err := os.Stat("oidcprovider/node_modules/oidc-provider"); err != nil {
		t.Fatalf("the provider is not installed (make e2e): %v", err)
	}
	args := []string{"oidcprovider/server.mjs", oidcSecret}
	for _, m := range regexp.MustCompile(`http: "(127\.0\.0\.1:\d+)"`).FindAllStringSubmatch(plant, -1) {
		args = append(args, "http://"+m[1])
	}
	cmd := exec.Command("node", args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "http://") {
			go func() { // what else it says is not waited for
				for lines.Scan() {
				}
			}()
			return lines.Text()
		}
	}
	t.Fatalf("the provider did not start: %v", lines.Err())
	return ""
}

// arrive waits for a page the browser is on its way to: asking one that is just left fails, and means nothing.
func arrive(b *uitest.Tab, what, expression string) {
	for until := time.Now().Add(uitest.Patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if there, err := chromedp.Run(b.Ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); err == nil && there {
			return
		}
	}
	b.Wait(what, expression)
}

// TestOpenIDLogIn goes through a log-in with a real provider in a real browser, on either node: the button, the provider's
// own pages, the dashboard with the role of the user there, the log-out at both, and somebody without a role.
func TestOpenIDLogIn(t *testing.T) {
	uitest.Need(t)
	issuer := ""
	r := newRig(t, func(plant string) string {
		issuer = openIDProvider(t, plant)
		return replace(t, "web: {pair_key_file: pair.key}", fmt.Sprintf(`web:
  pair_key_file: pair.key
  oidc:
    name: The works
    issuer: %q
    client_id: scada
    client_secret_file: oidc.secret
    scopes: [profile, groups]
    roles: [{value: plant-operators, role: operator}]`, issuer))(plant)
	})
	if err := os.WriteFile(filepath.Join(r.dir, "oidc.secret"), []byte(oidcSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.startNode("a")
	r.startNode("b")
	for _, node := range []string{"a", "b"} {
		r.eventually(20*time.Second, "node "+node+" serves", func() error {
			resp, err := http.Get(r.url(node) + "/health/live")
			if err == nil {
				_ = resp.Body.Close()
			}
			return err
		})
	}
	b := uitest.Open(t, 1280, 800)
	b.Shots = shotsDir
	for _, node := range []string{"a", "b"} {
		b.Script(fmt.Sprintf("location.assign(%q)", r.url(node)))
		arrive(b, "the button", "document.querySelector('#sign-in-provider')?.textContent === 'Sign in with The works'")
		if node == "a" {
			b.Shot("openid-1-button")
			if found := b.Axe(axePath); found != "" {
				t.Errorf("the log-in page is not accessible: %s", found)
			}
		}
		b.Click("#sign-in-provider")
		arrive(b, "the page of the provider", fmt.Sprintf("location.origin === %q && document.querySelector('input[name=login]')", issuer))
		b.Type("input[name=login]", "otto")
		b.Type("input[name=password]", "any\r")
		arrive(b, "what the plant asks for", "document.querySelector('form') && !document.querySelector('input[name=login]')")
		b.Script("document.querySelector('form').requestSubmit()")
		arrive(b, "the dashboard", fmt.Sprintf("location.origin === %q && window.scada && scada.state().connected && scada.state().server === %q", r.url(node), node))
		if user := uitest.Eval[string](b, "fetch('/api/v1/session').then(r => r.json()).then(s => `${s.user} ${s.role} ${s.external}`)"); user != "oidc:otto operator true" {
			t.Errorf("signed in as %s", user)
		}
		b.Click("#sign-out")
		arrive(b, "the provider asks", fmt.Sprintf("location.origin === %q && document.querySelector('button[value=yes]')", issuer))
		b.Click("button[value=yes]")
		arrive(b, "back at the log-in page", fmt.Sprintf("location.origin === %q && document.querySelector('#sign-in-provider')", r.url(node)))
		if status := uitest.Eval[int](b, "fetch('/api/v1/session').then(r => r.status)"); status != http.StatusUnauthorized {
			t.Errorf("after the log-out the session answers %d", status)
		}
	}
	b.Click("#sign-in-provider")
	arrive(b, "the page of the provider", "document.querySelector('input[name=login]')")
	b.Type("input[name=login]", "nora")
	b.Type("input[name=password]", "any\r")
	arrive(b, "what the plant asks for", "document.querySelector('form') && !document.querySelector('input[name=login]')")
	b.Script("document.querySelector('form').requestSubmit()")
	arrive(b, "why nora may not", "document.querySelector('.signin .error')?.textContent.includes('no role in this plant') && location.search === ''")
	b.Shot("openid-2-no-role")
	for _, node := range []string{"a", "b"} {
		entries := fmt.Sprintf("%+v", r.entries(node, "session"))
		for _, want := range []string{"by " + issuer + `, subject "otto"`, "none of the roles there"} {
			if !strings.Contains(entries, want) {
				t.Errorf("the journal of %s does not say %q: %s", node, want, entries)
			}
		}
	}
}
