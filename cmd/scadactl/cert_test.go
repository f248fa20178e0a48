package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCertificatesAreMoved: what the server rejected is trusted by its fingerprint, and can be rejected again.
func TestCertificatesAreMoved(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"trusted", "rejected", "users/trusted", "users/rejected"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "panel 7"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rejected/seen.der", "users/rejected/seen.der", "new.der"} {
		if err := os.WriteFile(filepath.Join(dir, name), der, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "rejected/junk.der"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctl := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"cert", "--pki", dir}, args...), world{out: &out, err: &errs})
		if code != want {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, want, errs.String())
		}
		return out.String()
	}
	fingerprint := strings.Fields(strings.Split(strings.TrimSpace(ctl(exitOK, "list", "-o", "csv")), "\n")[1])[0]
	fingerprint = strings.Split(fingerprint, ",")[1]
	ctl(exitFailed, "reject", fingerprint)
	ctl(exitFailed, "trust", "")
	if out := ctl(exitOK, "trust", strings.ToUpper(fingerprint[:8])); !strings.Contains(out, "panel 7 is now trusted") {
		t.Errorf("answer %q", out)
	}
	if out := ctl(exitOK, "list", "-o", "csv"); !strings.Contains(out, "trusted,"+fingerprint) || strings.Contains(out, "rejected,") {
		t.Errorf("list\n%s", out)
	}
	if out := ctl(exitOK, "list", "--users", "-o", "csv"); !strings.Contains(out, "rejected,"+fingerprint) {
		t.Errorf("the users' list\n%s", out)
	}
	ctl(exitOK, "reject", fingerprint)
	ctl(exitOK, "add", filepath.Join(dir, "new.der"))
	if _, err := os.Stat(filepath.Join(dir, "rejected", fingerprint+".der")); !os.IsNotExist(err) {
		t.Errorf("what was added is still rejected: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "long.der"), make([]byte, maxCertificateBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	ctl(exitFailed, "add", filepath.Join(dir, "long.der"))
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"cert", "list"}, world{out: &bytes.Buffer{}, err: &errs}); code != exitUsage {
		t.Errorf("without a directory: exit code %d, %s", code, errs.String())
	}
}
