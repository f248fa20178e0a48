package redundancy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
)

// certificate returns a self-signed certificate and a pool that trusts it alone.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestTLS runs the pair over addresses that are not loopback: mutual TLS, each node trusting the other's certificate alone.
func TestTLS(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		certs, pools := map[string]tls.Certificate{}, map[string]*x509.CertPool{}
		for _, name := range []string{"a", "b", "x"} {
			certs[name], pools[name] = certificate(t, name)
		}
		p.config = func(name string, c *redundancy.Config) {
			for i := range c.Paths {
				c.Paths[i].Listen = strings.Replace(c.Paths[i].Listen, "127.", "10.", 1)
				c.Paths[i].Peer = strings.Replace(c.Paths[i].Peer, "127.", "10.", 1)
			}
			c.ServerTLS = &tls.Config{Certificates: []tls.Certificate{certs[name]}, ClientCAs: pools[c.Peer], ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
			c.ClientTLS = &tls.Config{Certificates: []tls.Certificate{certs[name]}, RootCAs: pools[c.Peer], ServerName: c.Peer, MinVersion: tls.VersionTLS13}
		}
		p.startBoth()
		p.mirrored("a", "b")
		p.net.Kill("a")
		p.within(time.Second, "take-over", p.hosts["b"].isActive)
		p.stop("a")

		certs["a"], pools["b"] = certs["x"], pools["x"] // somebody else's certificate, who does not know b either
		p.start("a")
		time.Sleep(5 * time.Second)
		p.expect("b", role.Active)
		if st := p.nodes["b"].Status(); st.Peer.Reachable {
			t.Error("a stranger is accepted as the peer")
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		refused := 0
		for _, e := range p.events["b"] {
			if strings.Contains(e, "refused") {
				refused++
			}
		}
		if refused < 1 || refused > 2 {
			t.Errorf("a stranger who calls for 5 s is worth %d events", refused)
		}
	})
}

func TestTLSMustAuthenticate(t *testing.T) {
	c := redundancy.Config{Project: "p", Self: "a", Peer: "b", DataDir: t.TempDir(), Heartbeat: 100 * time.Millisecond, Misses: 5,
		Areas:     []redundancy.Area{{Name: "main", Primary: "a"}},
		Paths:     []redundancy.Path{{Name: "lan", Listen: "10.0.0.1:7401", Peer: "10.0.0.2:7401"}},
		ServerTLS: &tls.Config{}, ClientTLS: &tls.Config{}}
	if _, err := redundancy.New(redundancy.Options{Config: c, Host: newHost("a")}); err == nil || !strings.Contains(err.Error(), "does not verify") {
		t.Errorf("a server that asks for no certificate: %v", err)
	}
	c.ServerTLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}
	c.ClientTLS = &tls.Config{InsecureSkipVerify: true}
	if _, err := redundancy.New(redundancy.Options{Config: c, Host: newHost("a")}); err == nil || !strings.Contains(err.Error(), "does not verify") {
		t.Errorf("a client that verifies nothing: %v", err)
	}
}
