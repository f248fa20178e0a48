package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"scada/web"
)

// TestOwnAuthority makes an authority and a certificate, serves with it, and talks to the server in every way.
func TestOwnAuthority(t *testing.T) {
	dir := t.TempDir()
	ca, node := filepath.Join(dir, "ca"), filepath.Join(dir, "a")
	ctl := func(args ...string) (string, int) {
		var out, errs bytes.Buffer
		code := run(t.Context(), args, world{out: &out, err: &errs, getenv: env("SCADACTL_TOKEN", "adm", "HOME", dir)})
		return out.String() + errs.String(), code
	}
	if text, code := ctl("cert", "issue", node, "--ca-dir", ca, "--host", "127.0.0.1"); code != exitFailed {
		t.Errorf("without an authority: %d %s", code, text)
	}
	if text, code := ctl("cert", "ca", ca, "--name", "works"); code != 0 {
		t.Fatal(code, text)
	}
	if text, code := ctl("cert", "ca", ca); code != exitFailed || !strings.Contains(text, "already") {
		t.Errorf("a second authority: %d %s", code, text)
	}
	text, code := ctl("cert", "issue", node, "--ca-dir", ca, "--host", "127.0.0.1", "--host", "node-a")
	if code != 0 {
		t.Fatal(code, text)
	}
	print := regexp.MustCompile(`[0-9a-f]{64}`).FindString(text)
	keys, err := web.OpenKeys(node, nil)
	if err != nil {
		t.Fatal(err)
	}
	url, _ := serveWith(t, newPlant(), func(c *web.Config) { c.TLS = keys.TLS() })
	url = strings.Replace(url, "http://", "https://", 1)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--ca", filepath.Join(ca, caFile)}, 0, "line1"},
		{[]string{"--fingerprint", print}, 0, "line1"},
		{[]string{"--fingerprint", strings.ToUpper(print)}, 0, "line1"},
		{[]string{"--fingerprint", strings.Repeat("00", 32)}, exitUnreachable, print},
		{[]string{"--fingerprint", "12"}, exitUsage, "64 hexadecimal"},
		{nil, exitUnreachable, "unknown authority"},
	} {
		if text, code := ctl(append([]string{"--server", url, "tag", "list"}, c.args...)...); code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%v: exit %d %s", c.args, code, text)
		}
	}
	if text, code := ctl("cert", "issue", node, "--ca-dir", ca, "--host", "127.0.0.1", "--replace"); code != 0 {
		t.Errorf("replace: %d %s", code, text)
	}
}
