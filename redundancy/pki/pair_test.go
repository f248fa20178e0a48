package pki

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestManInTheMiddle: x ends the TLS of both sides and passes every message on. It sees the proofs, and they are
// worth nothing on its other connection.
func TestManInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b, x := r.open("a"), r.open("b"), r.open("x")
		v, out := r.invite(r.pairing(b, false))
		l, err := r.net.Host("x").Listen("tcp", "10.0.0.3:7499")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		passed := make(chan int, 1)
		go func() {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			// Towards a it shows a certificate in the name of b, towards b one in the name of a.
			asB, err := newIdentity("b", MinValidity)
			if err != nil {
				t.Error(err)
			}
			toA := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{asB.cert}, ClientAuth: tls.RequireAnyClientCert})
			toB := tls.Client(r.dial("x", "10.0.0.2:7499"), &tls.Config{Certificates: []tls.Certificate{x.own.cert}, InsecureSkipVerify: true})
			passed <- relay(toA, toB)
		}()
		conn := r.dial("a", "10.0.0.3:7499")
		_, err = r.pairing(a, false).Join(t.Context(), conn, v.Code)
		if err == nil || !strings.Contains(err.Error(), ErrCode.Error()) {
			t.Errorf("a says %v", err)
		}
		if n := <-passed; n < 4 {
			t.Errorf("the attack did not get far enough to mean anything: %d messages", n)
		}
		if a.Paired() || b.Paired() {
			t.Error("somebody was paired with the man in the middle")
		}
		if _, err := r.join(a, "a", v.Code); err != nil { // the code has tries left for the right one
			t.Error(err)
		}
		if res := <-out; res.err != nil {
			t.Error(res.err)
		}
		r.trust(a, b)
	})
}

// relay passes messages both ways and returns how many there were.
func relay(a, b *tls.Conn) int {
	var mu sync.Mutex
	var both sync.WaitGroup
	n := 0
	pass := func(from, to *tls.Conn) {
		for {
			m, err := receive(from)
			if err == nil {
				err = send(to, m)
			}
			if err != nil {
				from.NetConn().Close()
				to.NetConn().Close()
				return
			}
			mu.Lock()
			n++
			mu.Unlock()
		}
	}
	both.Go(func() { pass(a, b) })
	both.Go(func() { pass(b, a) })
	both.Wait()
	return n
}

// TestFalseListener: whoever does not know the code and says the dialler was right is not pinned.
func TestFalseListener(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.open("a")
		l, err := r.net.Host("x").Listen("tcp", "10.0.0.3:7499")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			defer raw.Close()
			asB, err := newIdentity("b", MinValidity)
			if err != nil {
				t.Error(err)
			}
			conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{asB.cert}, ClientAuth: tls.RequireAnyClientCert})
			_ = send(conn, offer{pairingVersion, "works", "b"})
			_, _ = receive(conn)
			m, _ := receive(conn)
			_ = send(conn, m) // the dialler's own proof, reflected
			_ = send(conn, done{})
			_, _ = receive(conn)
		}()
		if _, err := r.pairing(a, false).Join(t.Context(), r.dial("a", "10.0.0.3:7499"), "ABCD-EFGH-JKMN"); !errors.Is(err, ErrCode) {
			t.Error(err)
		}
		if a.Paired() {
			t.Error("a false listener was pinned")
		}
	})
}

func TestCodeExpires(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.open("a"), r.open("b")
		_, out := r.invite(r.pairing(b, false))
		start := time.Now()
		if res := <-out; !errors.Is(res.err, ErrExpired) || time.Since(start) != CodeLife {
			t.Errorf("%v after %v", res.err, time.Since(start))
		}
		// A conversation that began in time and proves too late.
		v, out := r.invite(r.pairing(b, false))
		synctest.Wait()
		v.Expires = time.Now().Add(-time.Nanosecond) // only what judge looks at
		if _, err := r.join(a, "a", v.Code); err == nil || !strings.Contains(err.Error(), ErrExpired.Error()) {
			t.Errorf("an expired code: %v", err)
		}
		<-out
		if a.Paired() || b.Paired() {
			t.Error("paired by an expired code")
		}
	})
}

func TestThreeTries(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.open("a"), r.open("b")
		v, out := r.invite(r.pairing(b, false))
		for try, want := range []string{"tries left: 2", "tries left: 1", "this code is void"} {
			if _, err := r.join(a, "a", "0000-0000-0000"); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("try %d: %v", try, err)
			}
		}
		if res := <-out; !errors.Is(res.err, errTries) {
			t.Error(res.err)
		}
		if _, err := r.net.Host("a").Dial(t.Context(), "tcp", "10.0.0.2:7499"); err == nil {
			t.Errorf("the right code %s could still be tried", v.Code)
		}
	})
}

// TestWrongCompany: nodes that do not belong together say so before any code counts.
func TestWrongCompany(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		b := r.open("b")
		v, out := r.invite(r.pairing(b, false))
		for want, opts := range map[string]Options{
			`project "dam"`: {Project: "dam", Node: "a", Peer: "b"},
			`node "c"`:      {Project: "works", Node: "c", Peer: "b"},
		} {
			opts.Dir = t.TempDir()
			l, err := Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.join(l, "a", v.Code); err == nil || l.Paired() {
				t.Errorf("%s: %v", want, err)
			}
		}
		for range 2 * maxGuests { // silent callers keep nobody out for long
			defer r.dial("x", "10.0.0.2:7499").Close()
		}
		time.Sleep(conversationLimit)
		if _, err := r.join(r.open("a"), "a", v.Code); err != nil {
			t.Error(err)
		}
		<-out
	})
}

// TestNewKey: after a key was lost both nodes know the new one alone.
func TestNewKey(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.open("a"), r.open("b")
		r.pair(a, b)
		stolen := a.own.leaf
		if _, err := a.Renew(); err != nil { // a renewal under way ends too
			t.Fatal(err)
		}
		v, out := r.invite(r.pairing(b, false))
		if _, err := r.pairing(a, true).Join(t.Context(), r.dial("a", "10.0.0.2:7499"), v.Code); err != nil {
			t.Fatal(err)
		}
		if res := <-out; res.err != nil {
			t.Fatal(res.err)
		}
		r.trust(a, b)
		r.trust(b, a)
		if s := a.Status(); s.Next != nil || s.Own.Fingerprint == Fingerprint(stolen) {
			t.Errorf("%+v", s)
		}
		state := tls.ConnectionState{}
		state.PeerCertificates = append(state.PeerCertificates, stolen)
		if b.verify(state) == nil {
			t.Error("the stolen key is still accepted")
		}
	})
}

// TestBreaksOff: a right code is void when the conversation breaks off behind it.
func TestBreaksOff(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.open("a"), r.open("b")
		v, out := r.invite(r.pairing(b, false))
		if err := os.Mkdir(filepath.Join(r.dirs["a"], peerFile), 0o700); err != nil { // a cannot store the pin
			t.Fatal(err)
		}
		if _, err := r.join(a, "a", v.Code); err == nil {
			t.Error("paired without a pin")
		}
		if res := <-out; !errors.Is(res.err, errBroken) || b.Paired() {
			t.Errorf("%v, b is paired: %v", res.err, b.Paired())
		}
	})
}

func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		code, err := newCode()
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := plainCode(code); err != nil || len(code) != 14 || seen[plain] {
			t.Errorf("%q, %v", code, err)
		}
		seen[code] = true
	}
	if got, err := plainCode(" olid-abcd\teFGh\n"); err != nil || got != "011DABCDEFGH" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "ABCD-EFGH-JKM", "ABCD-EFGH-JKMNP", "UUUU-UUUU-UUUU", "ÄBCD-EFGH-JKMN", strings.Repeat("-", 100)} {
		if got, err := plainCode(bad); err == nil {
			t.Errorf("%q is taken for %q", bad, got)
		}
	}
}

func TestFiles(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.open("a"), r.open("b")
		r.pair(a, b)
		open := func() error {
			_, err := Open(a.opts)
			return err
		}
		for name, change := range map[string]func(file string) error{
			"readable by others": func(file string) error { return os.Chmod(file, 0o640) },
			"garbage":            func(file string) error { return os.WriteFile(file, []byte("garbage"), 0o600) },
			"too large":          func(file string) error { return os.WriteFile(file, make([]byte, MaxFile+1), 0o600) },
		} {
			for _, file := range []string{nodeFile, peerFile} {
				path := filepath.Join(r.dirs["a"], file)
				good, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := change(path); err != nil {
					t.Fatal(err)
				}
				if open() == nil {
					t.Errorf("%s: %s is taken", name, file)
				}
				if got := strings.Join(a.Problems(time.Now()), "; "); !strings.Contains(got, file) {
					t.Errorf("%s: %s: problems %q", name, file, got)
				}
				r.trust(a, b) // the running node goes on with what it has
				if err := errors.Join(os.Remove(path), os.WriteFile(path, good, 0o600)); err != nil {
					t.Fatal(err)
				}
				if got := a.Problems(time.Now()); len(got) > 0 || open() != nil {
					t.Errorf("%s: %s restored: %q", name, file, got)
				}
			}
		}
		if err := os.Remove(filepath.Join(r.dirs["a"], peerFile)); err != nil {
			t.Fatal(err)
		}
		if d, l := r.handshake(a, b); d == nil || l == nil {
			t.Error("a node whose pins were removed still trusts")
		}
	})
}

func TestExpiryIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.open("a"), r.open("b")
		r.pair(a, b)
		end := a.own.leaf.NotAfter
		for left, want := range map[time.Duration]string{
			WarnBefore + time.Second: "",
			WarnBefore - time.Second: "the link certificate of a expires on 2009-12-31, in 29 days",
			-time.Second:             "the link certificate of a has expired on 2009-12-31",
		} {
			got := strings.Join(a.Problems(end.Add(-left)), "; ")
			if want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("%v before: %q", left, got)
			}
		}
		time.Sleep(time.Until(end) + 24*time.Hour)
		r.trust(a, b) // a date does not part the pair
	})
}

func TestValidityIsBounded(t *testing.T) {
	for _, v := range []time.Duration{MinValidity - 1, MaxValidity + 1, -1} {
		if _, err := Open(Options{Dir: t.TempDir(), Node: "a", Peer: "b", Validity: v}); err == nil {
			t.Errorf("a validity of %v is taken", v)
		}
	}
}

func messages() []message {
	return []message{offer{1, "works", "a"}, offer{}, proof{sha256.Sum256(nil)}, done{}, refusal{"no"}, refusal{strings.Repeat("x", maxReason)}}
}

func TestMessageLimits(t *testing.T) {
	for _, m := range messages() {
		if got, err := decode(m.append(nil)); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v: %+v, %v", m, got, err)
		}
	}
	name := strings.Repeat("n", maxName+1)
	for what, b := range map[string][]byte{
		"a long name":         offer{1, name, "a"}.append(nil),
		"a long reason":       append([]byte{typeRefusal, 1, 1}, make([]byte, maxReason+1)...),
		"an escape sequence":  refusal{"\x1b[2J"}.append(nil),
		"a C1 control":        refusal{"\u009b2J"}.append(nil),
		"not UTF-8":           refusal{"\xff"}.append(nil),
		"a short proof":       proof{}.append(nil)[:sha256.Size],
		"a byte too many":     append(done{}.append(nil), 0),
		"an unknown type":     {9},
		"an offer of nothing": {typeOffer},
	} {
		if m, err := decode(b); !errors.Is(err, errMessage) {
			t.Errorf("%s is taken: %+v, %v", what, m, err)
		}
	}
	for _, head := range []string{"\x00\x00", "\x04\x01" + strings.Repeat("x", maxMessage+1)} {
		if _, err := receive(strings.NewReader(head)); !errors.Is(err, errMessage) {
			t.Errorf("%q: %v", head[:2], err)
		}
	}
	if _, err := receive(strings.NewReader("\x00\x05abc")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func FuzzMessage(f *testing.F) {
	for _, m := range messages() {
		f.Add(m.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		m, err := decode(b)
		if err != nil {
			return
		}
		if again, err := decode(m.append(nil)); err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v becomes %+v, %v", m, again, err)
		}
	})
}

func FuzzFiles(f *testing.F) {
	id, err := newIdentity("a", MinValidity)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(id.pem())
	f.Add(append(encodePins(nil), "x"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if pins, err := parsePins(b); err == nil && len(pins) > MaxPins {
			t.Fatal("too many pins")
		}
		if id, err := parseIdentity(b, "a"); err == nil && id.leaf.Subject.CommonName != "a" {
			t.Fatal("somebody else's certificate")
		}
	})
}
