package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned writes a certificate for loopback and its key.
func selfSigned(t *testing.T, dir string, serial int64, until time.Time) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprint("node ", serial)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{KeyFile: {Type: "PRIVATE KEY", Bytes: pkcs8}, CertificateFile: {Type: "CERTIFICATE", Bytes: der}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// secured runs a server with TLS on loopback.
func secured(t *testing.T, dir string) (addr string, keys *Keys) {
	t.Helper()
	keys, err := OpenKeys(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig("a")
	cfg.Address, cfg.TLS = "127.0.0.1:0", keys.TLS()
	s, err := New(cfg, newFake("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String(), keys
}

func trusting(roots ...*x509.Certificate) *http.Client {
	pool := x509.NewCertPool()
	for _, c := range roots {
		pool.AddCert(c)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

func TestTLSVersions(t *testing.T) {
	dir := t.TempDir()
	root := selfSigned(t, dir, 1, time.Now().Add(time.Hour))
	addr, _ := secured(t, dir)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
		if (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			if p := conn.ConnectionState().NegotiatedProtocol; p == "h2" {
				t.Errorf("protocol %s", p)
			}
			_ = conn.Close()
		}
	}
	for _, suite := range tls.InsecureCipherSuites() {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
		if err == nil {
			t.Errorf("the suite %s is taken", suite.Name)
			_ = conn.Close()
		}
	}
	plain, err := http.Get("http://" + addr + "/health/live") //nolint:noctx // a client that takes no care
	if err == nil {
		_ = plain.Body.Close()
		if plain.StatusCode == http.StatusOK {
			t.Error("plain HTTP is answered on the secured port")
		}
	}
	resp, err := trusting(root).Post("https://"+addr+"/api/v1/session", "application/json", strings.NewReader(`{"user":"olga","password":"password-o"}`)) //nolint:noctx // as above
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if h := resp.Header.Get("Strict-Transport-Security"); !strings.HasPrefix(h, "max-age=") {
		t.Errorf("Strict-Transport-Security %q", h)
	}
	if c := resp.Header.Get("Set-Cookie"); !strings.Contains(c, "; Secure") || !strings.Contains(c, "; HttpOnly") || !strings.Contains(c, "; SameSite=Strict") {
		t.Errorf("cookie %q", c)
	}
}

// TestANewCertificateWithoutARestart: connections that stand go on, new ones get the new certificate, a broken one changes nothing.
func TestANewCertificateWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	first := selfSigned(t, dir, 1, time.Now().Add(time.Hour))
	addr, keys := secured(t, dir)
	at := time.Now()
	keys.mu.Lock()
	keys.now = func() time.Time { return at }
	keys.mu.Unlock()
	later := func() { keys.mu.Lock(); at = at.Add(2 * keysEvery); keys.mu.Unlock() }
	old := trusting(first)
	get := func(c *http.Client) (string, error) {
		resp, err := c.Get("https://" + addr + "/health/live") //nolint:noctx // as above
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		_, err = io.ReadAll(resp.Body)
		return resp.TLS.PeerCertificates[0].Subject.CommonName, err
	}
	if name, err := get(old); err != nil || name != "node 1" {
		t.Fatal(name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, CertificateFile), []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	if name, err := get(trusting(first)); err != nil || name != "node 1" {
		t.Errorf("a broken file took the certificate away: %s %v", name, err)
	}
	if p := strings.Join(keys.Problems(time.Now()), ";"); !strings.Contains(p, "cannot be used") {
		t.Errorf("problems: %s", p)
	}
	second := selfSigned(t, dir, 2, time.Now().Add(10*24*time.Hour))
	later()
	if name, err := get(old); err != nil || name != "node 1" { // the connection that stands
		t.Errorf("the old connection: %s %v", name, err)
	}
	if name, err := get(trusting(second)); err != nil || name != "node 2" {
		t.Errorf("a new connection: %s %v", name, err)
	}
	p := keys.Problems(time.Now())
	if len(p) != 1 || !strings.Contains(p[0], "in 9 days") && !strings.Contains(p[0], "in 10 days") {
		t.Errorf("problems: %v", p)
	}
	if p := keys.Problems(time.Now().Add(11 * 24 * time.Hour)); len(p) != 1 || !strings.Contains(p[0], "has expired") {
		t.Errorf("problems: %v", p)
	}
}

func TestKeysAreRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenKeys(dir, nil); err == nil || !strings.Contains(err.Error(), "scadactl cert issue") {
		t.Errorf("no files: %v", err)
	}
	selfSigned(t, dir, 1, time.Now().Add(time.Hour))
	if err := os.Chmod(filepath.Join(dir, KeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(dir, nil); err == nil || !strings.Contains(err.Error(), "others can read it") {
		t.Errorf("a key for everybody: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, KeyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	selfSigned(t, other, 2, time.Now().Add(time.Hour))
	text, err := os.ReadFile(filepath.Join(other, CertificateFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, CertificateFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(dir, nil); err == nil {
		t.Error("a certificate with the key of another was taken")
	}
	if err := os.WriteFile(filepath.Join(dir, CertificateFile), make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(dir, nil); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a file too large: %v", err)
	}
}
