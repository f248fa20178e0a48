package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/simulators/memnet"
)

// rig is two nodes' certificates and a network with a third host in it.
type rig struct {
	t    *testing.T
	net  *memnet.Network
	dirs map[string]string
}

func newRig(t *testing.T) *rig {
	return &rig{t: t, net: memnet.New(), dirs: map[string]string{"a": t.TempDir(), "b": t.TempDir(), "x": t.TempDir()}}
}

func bubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t)) })
}

// open opens a node's certificates; the stranger x claims to be a.
func (r *rig) open(name string) *Link {
	r.t.Helper()
	opts := Options{Dir: r.dirs[name], Project: "works", Node: name, Peer: "b"}
	switch name {
	case "b":
		opts.Peer = "a"
	case "x":
		opts.Node = "a"
	}
	l, err := Open(opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

type result struct {
	info Info
	err  error
}

// invite lets b wait for a on 10.0.0.2:7499.
func (r *rig) invite(p *Pairing) (*Invitation, <-chan result) {
	r.t.Helper()
	v, err := p.Invite()
	if err != nil {
		r.t.Fatal(err)
	}
	listener, err := r.net.Host("b").Listen("tcp", "10.0.0.2:7499")
	if err != nil {
		r.t.Fatal(err)
	}
	out := make(chan result, 1)
	go func() {
		info, err := v.Serve(r.t.Context(), listener)
		out <- result{info, err}
	}()
	return v, out
}

func (r *rig) pairing(l *Link, newKey bool) *Pairing {
	r.t.Helper()
	p, err := l.Pair(newKey)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *rig) dial(from, address string) net.Conn {
	r.t.Helper()
	conn, err := r.net.Host(from).Dial(r.t.Context(), "tcp", address)
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func (r *rig) join(l *Link, from, code string) (Info, error) {
	r.t.Helper()
	return r.pairing(l, false).Join(r.t.Context(), r.dial(from, "10.0.0.2:7499"), code)
}

// pair pins the certificates as a pairing does, without its slow key.
func (r *rig) pair(a, b *Link) {
	r.t.Helper()
	for _, err := range []error{(&Pairing{link: a, id: a.own}).adopt(b.own.leaf), (&Pairing{link: b, id: b.own}).adopt(a.own.leaf)} {
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// handshake makes one TLS connection from one to the other and returns the errors of both ends; both learn from it.
func (r *rig) handshake(from, to *Link) (dialler, listener error) {
	r.t.Helper()
	l, err := r.net.Host("to").Listen("tcp", "10.0.0.9:7401")
	if err != nil {
		r.t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, to.Server())
		err = conn.Handshake()
		if err == nil {
			to.Secured(conn.ConnectionState())
			_, err = conn.Write([]byte("."))
		}
		done <- err
	}()
	raw := r.dial("from", "10.0.0.9:7401")
	defer raw.Close()
	conn := tls.Client(raw, from.Client())
	dialler = conn.Handshake()
	if dialler == nil {
		from.Secured(conn.ConnectionState())
		_, dialler = conn.Read(make([]byte, 1))
	} else {
		raw.Close()
	}
	return dialler, <-done
}

func (r *rig) trust(from, to *Link) {
	r.t.Helper()
	if d, l := r.handshake(from, to); d != nil || l != nil {
		r.t.Fatalf("the dialler says %v, the listener %v", d, l)
	}
}

func TestPairedNodesTrustEachOther(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.open("a"), r.open("b")
		if d, l := r.handshake(a, b); d == nil || l == nil || !strings.Contains(d.Error(), "pair the nodes") {
			t.Errorf("before the pairing: %v, %v", d, l)
		}
		v, out := r.invite(r.pairing(b, false))
		info, err := r.join(a, "a", strings.ToLower(strings.ReplaceAll(v.Code, "-", " ")))
		if err != nil || info.Node != "b" || info.Fingerprint != b.Status().Own.Fingerprint {
			t.Fatalf("%+v, %v", info, err)
		}
		if res := <-out; res.err != nil || res.info.Fingerprint != a.Status().Own.Fingerprint {
			t.Fatalf("%+v", res)
		}
		r.trust(a, b)
		r.trust(b, a)
		a, b = r.open("a"), r.open("b") // as after a restart
		r.trust(a, b)
		for _, dir := range []string{r.dirs["a"], r.dirs["b"]} {
			files, err := os.ReadDir(dir)
			if err != nil || len(files) != 3 { // with the lock
				t.Errorf("%v, %v", files, err)
			}
			for _, f := range files {
				if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
				}
			}
		}
	})
}

func TestStrangerIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b, x := r.open("a"), r.open("b"), r.open("x")
		r.pair(a, b)
		if err := os.WriteFile(filepath.Join(r.dirs["x"], peerFile), encodePins([]*x509.Certificate{b.own.leaf}), 0o600); err != nil {
			t.Fatal(err)
		}
		var refused *Refused
		if _, l := r.handshake(x, b); !errors.As(l, &refused) || refused.Refusal() != "a certificate that is not the one pinned for a" {
			t.Errorf("a stranger who dials: %v", l)
		}
		if d, _ := r.handshake(b, x); !errors.As(d, &refused) || !strings.Contains(d.Error(), x.Status().Own.Fingerprint) {
			t.Errorf("a stranger who listens: %v", d)
		}
		if got := b.Status().Pins; len(got) != 1 || got[0].Fingerprint != a.Status().Own.Fingerprint {
			t.Errorf("a stranger has changed the pins: %+v", got)
		}
	})
}

// TestStolenCertificate: the certificate of a is public. Whoever shows it without its key, with an announcement of their
// own behind it, must not get anything pinned.
func TestStolenCertificate(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b, x := r.open("a"), r.open("b"), r.open("x")
		r.pair(a, b)
		fake := x.own.cert
		fake.Certificate = [][]byte{a.own.leaf.Raw, x.own.leaf.Raw}
		l, err := r.net.Host("b").Listen("tcp", "10.0.0.2:7401")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		got := make(chan error, 1)
		go func() {
			raw, err := l.Accept()
			if err != nil {
				got <- err
				return
			}
			defer raw.Close()
			conn := tls.Server(raw, b.Server())
			err = conn.Handshake()
			b.Secured(conn.ConnectionState())
			got <- err
		}()
		raw := r.dial("x", "10.0.0.2:7401")
		defer raw.Close()
		conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &fake, nil }})
		_ = conn.Handshake()
		if err := <-got; err == nil {
			t.Error("somebody else's certificate is accepted without its key")
		}
		if len(b.Status().Pins) != 1 {
			t.Error("an announcement of a stranger was pinned")
		}
	})
}

func TestRenewalWithoutAGap(t *testing.T) {
	for _, renewing := range []string{"a", "b"} {
		bubble(t, func(t *testing.T, r *rig) {
			links := map[string]*Link{"a": r.open("a"), "b": r.open("b")}
			r.pair(links["a"], links["b"])
			one, other := links[renewing], links[map[string]string{"a": "b", "b": "a"}[renewing]]
			old := one.Status().Own.Fingerprint
			if made, err := one.Renew(); err != nil || !made {
				t.Fatal(made, err)
			}
			if made, err := one.Renew(); err != nil || made {
				t.Fatal("a second renewal began", err)
			}
			next := one.Status().Next.Fingerprint
			pins := func() (list []string) {
				for _, pin := range other.Status().Pins {
					list = append(list, pin.Fingerprint)
				}
				return list
			}
			r.trust(other, one) // announces
			if got := pins(); !slices.Equal(got, []string{old, next}) {
				t.Fatalf("after the announcement %q is pinned", got)
			}
			other = r.open(other.opts.Node) // a restart forgets nothing
			if one.Status().Own.Fingerprint != old {
				t.Error("the next certificate is used before the peer is known to have it")
			}
			r.trust(one, other) // is told so, and uses it
			if one.Status().Own.Fingerprint != next || one.Status().Next != nil {
				t.Errorf("not in use: %+v", one.Status())
			}
			if got := pins(); !slices.Equal(got, []string{next}) {
				t.Errorf("in the end %q is pinned", got)
			}
			r.trust(other, one)
			one = r.open(one.opts.Node)
			r.trust(one, other)
			r.trust(other, one)
		})
	}
}

// TestBothRenewAtOnce in any order of handshakes, with restarts in between.
func TestBothRenewAtOnce(t *testing.T) {
	for order := 0; order < 1<<6; order += 5 {
		bubble(t, func(t *testing.T, r *rig) {
			a, b := r.open("a"), r.open("b")
			r.pair(a, b)
			for step := range 6 {
				if step == 1 || step == 2 {
					if _, err := []*Link{a, b}[step-1].Renew(); err != nil {
						t.Fatal(err)
					}
				}
				if order>>step&1 == 0 {
					r.trust(a, b)
				} else {
					r.trust(b, a)
				}
				if step == 3 {
					a, b = r.open("a"), r.open("b")
				}
			}
			for range 2 {
				r.trust(a, b)
				r.trust(b, a)
			}
			if sa, sb := a.Status(), b.Status(); sa.Next != nil || sb.Next != nil || len(sa.Pins) != 1 || len(sb.Pins) != 1 {
				t.Errorf("order %06b does not end: %+v, %+v", order, sa, sb)
			}
		})
	}
}

// TestHandshakeUnderWay: a connection that began with the old certificate before the peer forgot it still succeeds.
func TestHandshakeUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.open("a"), r.open("b")
		r.pair(a, b)
		old := tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{a.own.leaf}}
		if _, err := a.Renew(); err != nil {
			t.Fatal(err)
		}
		r.trust(b, a)
		r.trust(a, b)
		if err := b.verify(old); err != nil {
			t.Error(err)
		}
		b.Secured(old)
		if len(b.Status().Pins) != 1 {
			t.Error("the old certificate is pinned again")
		}
		time.Sleep(grace)
		if err := b.verify(old); err == nil {
			t.Error("the old certificate is accepted for ever")
		}
	})
}

// TestKeep: a node renews in time and tells its peer without a connection of the link being made.
func TestKeep(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.open("a"), r.open("b")
		r.pair(a, b)
		a.opts.Validity = MinValidity
		first := a.Status().Own
		l, err := r.net.Host("b").Listen("tcp", "10.0.0.2:7401")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{}, 2)
		handshakes := 0
		go func() {
			defer func() { ended <- struct{}{} }()
			for {
				raw, err := l.Accept()
				if err != nil {
					return
				}
				handshakes++
				conn := tls.Server(raw, b.Server())
				if conn.Handshake() == nil {
					b.Secured(conn.ConnectionState())
				}
				_, _ = conn.Read(make([]byte, 1))
				raw.Close()
			}
		}()
		go func() {
			defer func() { ended <- struct{}{} }()
			_ = a.Keep(ctx, r.net.Host("a").Dial, []string{"10.0.0.7:7401", "10.0.0.2:7401"})
		}()
		time.Sleep(10 * time.Minute)
		if handshakes > 0 {
			t.Errorf("%d handshakes without a renewal", handshakes)
		}
		other := r.open("a") // scadad link renew, beside the running node
		if _, err := other.Renew(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookEvery)
		if got := a.Status(); got.Own.Fingerprint == first.Fingerprint || got.Next != nil || handshakes != 2 {
			t.Errorf("after two minutes and %d handshakes: %+v", handshakes, got)
		}
		if got, want := b.Status().Pins, a.Status().Own.Fingerprint; len(got) != 1 || got[0].Fingerprint != want {
			t.Errorf("b has pinned %+v, a uses %s", got, want)
		}
		if a, b := first.Expires, a.Status().Own.Expires; !b.After(time.Now().Add(RenewBefore)) {
			t.Errorf("expired %v, then %v", a, b)
		}
		cancel()
		l.Close()
		<-ended
		<-ended
	})
}

func TestRenewsByItselfInTime(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		l, err := Open(Options{Dir: r.dirs["a"], Node: "a", Peer: "b", Validity: MinValidity})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(MinValidity - RenewBefore - time.Second)
		l.look(t.Context(), nil, nil)
		if l.Status().Next != nil {
			t.Error("renewed early")
		}
		time.Sleep(2 * time.Second)
		l.look(t.Context(), nil, nil)
		if l.Status().Next == nil {
			t.Error("not renewed")
		}
	})
}

// TestTwoProcessesOnTheSameFiles: a node pins what its peer announces while somebody pairs it anew, again and again. Whoever
// comes last read what the other had written: the pin of the pairing is never overwritten by an older one.
func TestTwoProcessesOnTheSameFiles(t *testing.T) {
	dir := t.TempDir()
	open := func() *Link {
		l, err := Open(Options{Dir: dir, Project: "works", Node: "a", Peer: "b"})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	old, next, fresh := identityOf(t, "b"), identityOf(t, "b"), identityOf(t, "b")
	node := open()
	for range 50 {
		pairing := open()
		if err := pairing.adoptPin(old.leaf); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			node.Secured(tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{old.leaf, next.leaf}})
		})
		wg.Go(func() {
			if err := pairing.adoptPin(fresh.leaf); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if pins := open().Status().Pins; len(pins) != 1 || pins[0].Fingerprint != Fingerprint(fresh.leaf) {
			t.Fatalf("pinned %+v, want %s alone", pins, Fingerprint(fresh.leaf))
		}
	}
}

func identityOf(t *testing.T, node string) *identity {
	t.Helper()
	id, err := newIdentity(node, DefaultValidity)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (l *Link) adoptPin(peer *x509.Certificate) error {
	p, err := l.Pair(false)
	if err != nil {
		return err
	}
	return p.adopt(peer)
}
