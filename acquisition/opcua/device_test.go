package opcua

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/simulators/ua"
)

// counting is a process whose one value counts tenths of a second.
type counting struct{ begun time.Time }

func (c counting) Points() []tag.Definition {
	return []tag.Definition{{Name: "counter", Type: tag.TypeUint32, RawType: tag.TypeUint32}}
}

func (c counting) Values(dst []tag.Value) []tag.Value {
	return append(dst, tag.Uint(tag.TypeUint32, uint64(time.Since(c.begun)/(100*time.Millisecond))))
}

func (c counting) Write(tag.ID, tag.Value) error { return nil }

// secured runs a simulated device that takes one user, and a source for it with the given password.
func secured(t *testing.T, password string, lifetime time.Duration) (*Source, *sink) {
	t.Helper()
	dir := t.TempDir()
	d, err := ua.New(ua.Options{
		Name: "skid", Address: "127.0.0.1:0", PKI: filepath.Join(dir, "device"), Users: map[string]string{"operator": "right"},
	}, counting{time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Listen(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Device{
		Name: "skid", Endpoint: "opc.tcp://" + d.Addr().String(), Security: "Basic256Sha256", Trust: TrustFirstUse, User: "operator", PasswordFile: file,
		Tags: []tag.Definition{{Name: "counter", Address: "ns=2;s=counter", Type: tag.TypeUint32, ScanPeriod: 100 * time.Millisecond}},
	}, Options{Identity: testIdentity(t), TrustDir: filepath.Join(dir, "client")})
	if err != nil {
		t.Fatal(err)
	}
	if lifetime > 0 {
		s.lifetime = lifetime
	}
	got := newSink()
	ctx, cancel := context.WithCancel(context.Background())
	served, ran := make(chan error, 1), make(chan error, 1)
	go func() { served <- d.Run(ctx) }()
	go func() { ran <- s.Run(ctx, got) }()
	t.Cleanup(func() {
		cancel()
		<-ran
		<-served
	})
	return s, got
}

// TestValuesGoOnWhileKeysAreRenewed: the keys of a secure channel change several times and no value is missed.
func TestValuesGoOnWhileKeysAreRenewed(t *testing.T) {
	s, got := secured(t, "right\n", 2*time.Second) // renewed each second: the library counts 75 % of it in whole seconds
	got.wait(t, 0, "good", func(x tag.Sample) bool { return x.Quality == tag.Good && x.Time != 0 })
	first := got.last[0].Value.Number()
	got.wait(t, 0, "3 s further", func(x tag.Sample) bool { return x.Quality == tag.Good && x.Value.Number() >= first+30 })
	got.mu.Lock()
	defer got.mu.Unlock()
	for _, u := range got.all {
		if u.Quality != tag.Good {
			t.Errorf("%v %s while keys were renewed", u.Value, u.Quality)
		}
	}
	if n := s.Status()[0].Counters.Reconnects; n != 0 {
		t.Errorf("%d reconnects", n)
	}
}

func TestAWrongPassword(t *testing.T) {
	s, got := secured(t, "wrong", 0)
	got.waitQuality(t, 0, tag.BadNoCommunication)
	if e := s.Status()[0].LastError; !strings.Contains(e, "logging in") {
		t.Errorf("refused with %q", e)
	}
}

func TestCheck(t *testing.T) {
	good := Device{Name: "x", Endpoint: "opc.tcp://127.0.0.1:4840"}
	if wrong := good.Check(); len(wrong) > 0 {
		t.Fatalf("a plain device is refused: %v", wrong)
	}
	for setting, change := range map[string]func(*Device){
		"endpoint": func(d *Device) { d.Endpoint = "http://127.0.0.1:1" }, "security": func(d *Device) { d.Security = "Basic128" },
		"mode": func(d *Device) { d.Mode = "Sign" }, "acquire": func(d *Device) { d.Acquire = "guess" }, "trust": func(d *Device) { d.Trust = "all" },
		"probe": func(d *Device) { d.Probe = "ping" }, "timeout": func(d *Device) { d.Timeout = MaxTimeout + 1 },
		"password_file": func(d *Device) { d.PasswordFile = "x" },
	} {
		d := good
		change(&d)
		if wrong := d.Check(); len(wrong) != 1 || wrong[setting] == nil {
			t.Errorf("%s: %v", setting, wrong)
		}
		if _, err := New(d, Options{}); err == nil {
			t.Errorf("%s: a source was made", setting)
		}
	}
	secure := good
	secure.Security = "Basic256Sha256"
	if _, err := New(secure, Options{}); err == nil {
		t.Error("a secure source without a certificate was made")
	}
	many := good
	many.Tags = make([]tag.Definition, maxTags+1)
	if _, err := New(many, Options{}); err == nil {
		t.Error("a source with too many tags was made")
	}
}

func TestCheckAddress(t *testing.T) {
	for _, a := range []string{"ns=2;s=Pump1.Speed", "i=2258", "ns=1;i=7", "ns=3;g=09087e75-8e5e-499b-954f-f2a9603db28a", "ns=2;b=YWJj"} {
		if err := CheckAddress(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []string{"", "Pump1", "hr:100", "ns=x;s=a", "ns=70000;i=1", "ns=1;q=1", "i=99999999999", fmt.Sprintf("ns=2;s=%5000s", "x")} {
		if CheckAddress(a) == nil {
			t.Errorf("%.40q is accepted", a)
		}
	}
}

func FuzzCheckAddress(f *testing.F) {
	f.Add("ns=2;s=Pump1.Speed")
	f.Add("ns=3;g=09087e75-8e5e-499b-954f-f2a9603db28a")
	f.Fuzz(func(_ *testing.T, s string) { _ = CheckAddress(s) })
}
