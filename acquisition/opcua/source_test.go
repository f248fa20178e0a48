package opcua

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition"
	"scada/acquisition/tag"
)

func TestValuesArrive(t *testing.T) {
	for _, acquire := range []string{Subscribe, Poll} {
		t.Run(acquire, func(t *testing.T) {
			r := newRig(t, func(d *Device, o *Options) { d.Acquire = acquire; o.LocalAddress = "127.0.0.11" })
			r.run()
			r.sink.waitNumber(t, 0, 10.5)
			r.sink.waitNumber(t, 1, 7)
			r.sink.waitNumber(t, 2, 1)
			r.sink.waitNumber(t, 4, 50)
			r.sink.wait(t, 3, "ready", func(x tag.Sample) bool { return x.Value == tag.String("ready") && x.Quality == tag.Good })
			r.sink.waitQuality(t, 5, tag.BadTypeMismatch)
			r.sink.waitQuality(t, 6, tag.BadConfigurationError)
			r.sink.waitQuality(t, 8, tag.BadTypeMismatch)
			r.sink.waitQuality(t, 9, tag.UncertainEngineeringUnitsExceeded)
			r.sink.waitSettled(t, 1)
			if err := r.sink.settled[0]; err != nil {
				t.Errorf("settled with %v", err)
			}
			r.set("speed", 11.25)
			took := r.sink.waitNumber(t, 0, 11.25)
			t.Logf("a change arrives after %v", took)
			if got := r.proxy.lastRemote(); !strings.HasPrefix(got, "127.0.0.11:") {
				t.Errorf("connected from %s", got)
			}
			if s := r.source.Status()[0]; s.State != acquisition.Good || s.Counters.Answers == 0 || s.Tags != 10 {
				t.Errorf("status %+v", s)
			}
			r.stop()
			if s := r.source.Status()[0]; s.State != acquisition.Stopped {
				t.Errorf("state %s after Run", s.State)
			}
		})
	}
}

func TestADroppedConnectionComesBack(t *testing.T) {
	r := newRig(t, nil)
	r.run()
	r.sink.waitNumber(t, 0, 10.5)
	for range 3 {
		r.set("speed", 10.5)
		r.sink.waitNumber(t, 0, 10.5)
		lost := r.sink.loss(0)
		r.proxy.cut()
		r.sink.wait(t, 0, "lost", lost)
		back := r.sink.waitNumber(t, 0, 10.5)
		r.set("speed", 42.0)
		again := r.sink.waitNumber(t, 0, 42)
		t.Logf("good again %v after the cut was seen, a change after another %v", back, again)
	}
	if n := r.source.Status()[0].Counters.Reconnects; n < 3 {
		t.Errorf("%d reconnects, want 3", n)
	}
}

// TestForgottenSubscriptions: the library's server takes a session back on another connection, and never says anything more
// on its subscriptions. They are made anew without losing the device, and until then changes are found by reading.
func TestForgottenSubscriptions(t *testing.T) {
	r := newRig(t, func(d *Device, _ *Options) { d.Timeout = DefaultTimeout })
	r.run()
	r.sink.waitNumber(t, 0, 10.5)
	heard := func(tag.Sample) bool { // this needs no sample: it is looked at again and again
		defer r.sink.signal()
		time.Sleep(time.Millisecond)
		return len(r.source.unheard([]int{0})) == 0
	}
	r.sink.wait(t, 0, "reported", heard)
	lost := r.sink.loss(0)
	r.proxy.cut()
	r.sink.wait(t, 0, "lost", lost)
	r.sink.waitNumber(t, 0, 10.5)
	r.set("speed", 11.0)
	t.Logf("a change is read after %v", r.sink.waitNumber(t, 0, 11))
	reconnects := r.source.Status()[0].Counters.Reconnects
	r.sink.wait(t, 0, "reported", func(x tag.Sample) bool {
		r.set("speed", float64(time.Now().UnixMilli()%50)) // this server loses the first report to a question that waited too long
		time.Sleep(20 * time.Millisecond)
		return heard(x)
	})
	if n := r.source.Status()[0].Counters.Reconnects; n != reconnects {
		t.Errorf("%d reconnections, %d before", n, reconnects)
	}
}

func TestAFrozenServerIsFound(t *testing.T) {
	for _, acquire := range []string{Subscribe, Poll} {
		r := newRig(t, func(d *Device, _ *Options) { d.Acquire = acquire; d.Timeout = DefaultTimeout })
		r.run()
		r.sink.waitNumber(t, 0, 10.5)
		r.set("speed", 11.0) // it comes by the subscription: from here on only the watchdog can tell
		r.sink.waitNumber(t, 0, 11)
		r.proxy.frozen.Store(true)
		took := r.sink.waitQuality(t, 0, tag.UncertainNoCommunicationLastUsable)
		t.Logf("%s: found after %v", acquire, took)
		r.proxy.frozen.Store(false)
		r.sink.waitNumber(t, 0, 11)
		r.set("speed", 12.0)
		r.sink.waitNumber(t, 0, 12)
		r.stop()
	}
}

func TestAnAbsentServer(t *testing.T) {
	r := newRig(t, nil)
	r.proxy.refusing.Store(true)
	r.run()
	for id := range tag.ID(10) {
		r.sink.waitQuality(t, id, tag.BadNoCommunication)
	}
	r.sink.waitSettled(t, 1)
	if err := r.sink.settled[0]; err == nil {
		t.Error("settled without a server")
	}
	r.proxy.refusing.Store(false)
	r.sink.waitNumber(t, 0, 10.5)
	r.sink.waitSettled(t, 2)
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	if n := len(r.sink.settled); n != 2 || r.sink.settled[1] != nil {
		t.Errorf("settled %v, want an error and then nil", r.sink.settled)
	}
}

func TestWrite(t *testing.T) {
	r := newRig(t, nil)
	ctx := context.Background()
	write := func(id tag.ID, v tag.Value, fence error) acquisition.WriteResult {
		return r.source.Write(ctx, acquisition.Write{Tag: id, Value: v, Fence: func() error { return fence }})
	}
	if res := write(7, tag.Float64(3), nil); res.Outcome != acquisition.Refused || !errors.Is(res.Err, ErrNotConnected) {
		t.Errorf("before Run: %s %v", res.Outcome, res.Err)
	}
	r.run()
	r.sink.waitNumber(t, 7, 1)
	r.sink.waitNumber(t, 0, 10.5)
	if res := write(7, tag.Float64(3.5), nil); res.Outcome != acquisition.Confirmed || res.ReadBack.Value.Number() != 3.5 {
		t.Errorf("%s %v, read back %v", res.Outcome, res.Err, res.ReadBack)
	}
	r.sink.waitNumber(t, 7, 3.5)
	lost := errors.New("no longer active")
	if res := write(7, tag.Float64(9), lost); res.Outcome != acquisition.Refused || !errors.Is(res.Err, lost) {
		t.Errorf("fenced: %s %v", res.Outcome, res.Err)
	}
	if res := write(0, tag.Float64(3), nil); res.Outcome != acquisition.Refused {
		t.Errorf("read-only: %s %v", res.Outcome, res.Err)
	}
	if res := write(77, tag.Float64(3), nil); res.Outcome != acquisition.Refused {
		t.Errorf("unknown tag: %s %v", res.Outcome, res.Err)
	}
	if res := write(7, tag.String("3"), nil); res.Outcome != acquisition.Refused {
		t.Errorf("a text to a number: %s %v", res.Outcome, res.Err)
	}
	r.proxy.frozen.Store(true)
	begun := time.Now()
	if res := write(7, tag.Float64(4), nil); res.Outcome != acquisition.Unknown || res.Err == nil {
		t.Errorf("without an answer: %s %v", res.Outcome, res.Err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("a write without an answer took %v", took)
	}
	r.proxy.frozen.Store(false)
}

func TestSecureChannel(t *testing.T) {
	dir := t.TempDir()
	id := testIdentity(t)
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	secure := func(trust string) func(d *Device, o *Options) {
		return func(d *Device, o *Options) {
			d.Security, d.Trust, d.User, d.PasswordFile, d.Timeout = "Basic256Sha256", trust, "operator", password, DefaultTimeout
			d.Endpoint, o.Identity, o.TrustDir = "direct", id, dir
		}
	}
	r := newRig(t, secure(TrustList))
	r.run()
	r.sink.waitQuality(t, 0, tag.BadNoCommunication)
	if e := r.source.Status()[0].LastError; !strings.Contains(e, ErrUntrusted.Error()) {
		t.Errorf("refused with %q", e)
	}
	rejected, err := os.ReadDir(filepath.Join(dir, "rejected"))
	if err != nil || len(rejected) != 1 {
		t.Fatalf("rejected folder: %v %v", rejected, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "trusted"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "rejected", rejected[0].Name()), filepath.Join(dir, "trusted", "mixer.der")); err != nil {
		t.Fatal(err)
	}
	r.sink.waitNumber(t, 0, 10.5)
	r.set("speed", 11.0)
	r.sink.waitNumber(t, 0, 11)
	r.stop()

	r = newRig(t, secure(TrustFirstUse))
	r.run()
	r.sink.waitNumber(t, 0, 10.5)
	r.stop()
	pinned := filepath.Join(dir, "trusted", "first-use-mixer.der")
	other, err := NewIdentity("urn:other")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pinned, other.Certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	r = newRig(t, secure(TrustFirstUse))
	r.run()
	r.sink.waitQuality(t, 0, tag.BadNoCommunication)
	if e := r.source.Status()[0].LastError; !strings.Contains(e, "first use") {
		t.Errorf("refused with %q", e)
	}
}

// TestAPasswordIsNotSentInClear: a server may offer user names with any policy on any channel.
func TestAPasswordIsNotSentInClear(t *testing.T) {
	s, err := New(Device{Name: "x", Endpoint: "opc.tcp://127.0.0.1:4840", User: "operator"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	offer := func(policy string, with security) error {
		defer func() { _ = recover() }() // past the check it would encrypt, without a channel
		_, err := s.identityToken(nil, &ua.CreateSessionResponse{ServerEndpoints: []*ua.EndpointDescription{nil, {
			SecurityPolicyURI: with.policy, SecurityMode: with.mode,
			UserIdentityTokens: []*ua.UserTokenPolicy{nil, {PolicyID: "user", TokenType: ua.UserTokenTypeUserName, SecurityPolicyURI: policy}},
		}}}, with)
		return err
	}
	signed := security{policy: ua.SecurityPolicyURIBasic256Sha256, mode: ua.MessageSecurityModeSign}
	for name, err := range map[string]error{
		"open, no policy": offer("", plain), "open, policy None": offer(ua.SecurityPolicyURINone, plain), "signed only": offer(ua.SecurityPolicyURINone, signed),
	} {
		if err == nil || !strings.Contains(err.Error(), "in clear") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := offer(ua.SecurityPolicyURIBasic256Sha256, plain); err != nil {
		t.Errorf("an encrypted password over an open line: %v", err)
	}
}

func TestProbe(t *testing.T) {
	for _, probe := range []string{"none", "tcp", "read"} {
		r := newRig(t, func(d *Device, _ *Options) { d.Probe = probe })
		if err := r.source.Probe(context.Background(), "mixer"); err != nil {
			t.Errorf("probe %s: %v", probe, err)
		}
		for end := time.Now().Add(patience); probe != "none" && r.proxy.lastRemote() == ""; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("probe %s did not connect", probe)
			}
		}
		if probe == "none" && r.proxy.lastRemote() != "" {
			t.Error("no probe was wanted")
		}
		r.proxy.refusing.Store(true)
		if err := r.source.Probe(context.Background(), "mixer"); probe == "read" && err == nil {
			t.Errorf("probe %s of an absent server succeeds", probe)
		}
	}
}

// TestRunInterruptsAProbe: becoming active must not wait for a probe of a device that does not answer.
func TestRunInterruptsAProbe(t *testing.T) {
	r := newRig(t, func(d *Device, _ *Options) { d.Probe, d.Timeout = "read", 30*time.Second })
	r.proxy.frozen.Store(true)
	ended := make(chan error, 1)
	go func() { ended <- r.source.Probe(context.Background(), "mixer") }()
	for r.proxy.lastRemote() == "" {
		time.Sleep(time.Millisecond)
	}
	r.run()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the probe succeeded")
		}
	case <-time.After(patience):
		t.Fatal("the probe goes on")
	}
	r.proxy.frozen.Store(false)
	r.sink.waitNumber(t, 0, 10.5)
}
