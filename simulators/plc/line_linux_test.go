package plc

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLine: a client on the path of the line is answered with RTU frames; after noise and after a frame that was spoilt
// the unit finds the next one, faults are seen, and an adapter that is unplugged comes back under its path.
func TestLine(t *testing.T) {
	if _, err := os.Stat("/dev/ptmx"); err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	path := filepath.Join(t.TempDir(), "plc1")
	bank := NewMemory(10)
	bank.Set(HoldingRegisters, 0, 0x1000, 0x1001)
	s := New(Options{Name: "panel", Address: LinePrefix + path, Framing: RTU, Units: map[uint8]Unit{1: {Device: "plc1", Bank: bank}}})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if got := s.Addr().String(); got != path {
		t.Errorf("it is at %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	request := (frame{unit: 1, pdu: []byte{3, 0, 0, 0, 2}}).bytes(RTU)
	answer := (frame{unit: 1, pdu: []byte{3, 4, 0x10, 0, 0x10, 1}}).bytes(RTU)
	spoilt := bytes.Clone(answer)
	spoilt[len(spoilt)-1]++
	good := func(what string) {
		t.Helper()
		for range 3 { // a unit may need a silence before it listens again
			if got := askLine(t, path, request, len(answer)); bytes.Equal(got, answer) {
				return
			}
			time.Sleep(5 * lineQuiet)
		}
		t.Errorf("%s: no answer", what)
	}
	good("at first")
	askLine(t, path, bytes.Repeat([]byte{0xA5}, 40), 0)
	good("after noise")
	bad := bytes.Clone(request)
	bad[7]++
	askLine(t, path, bad, 0)
	good("after a frame that was spoilt")
	other := bytes.Clone(answer)
	copy(other, (frame{unit: 2, pdu: answer[1 : len(answer)-2]}).bytes(RTU))
	for kind, want := range map[Kind][]byte{
		BadCRC: spoilt, WrongUnit: other, Echo: append(bytes.Clone(request), answer...), GarbageFirst: append([]byte{0xDE, 0xAD, 0xBE, 0xEF, 0}, answer...),
		SplitException: (frame{unit: 1, pdu: []byte{0x83, 4}}).bytes(RTU), Late: answer, Silent: {}, Close: {},
	} {
		if err := s.Inject(Fault{Kind: kind, Delay: 30 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		if got := askLine(t, path, request, len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s: %s, want %s", kind, hex.EncodeToString(got), hex.EncodeToString(want))
		}
		s.Clear(0)
		good("after " + string(kind))
	}
	if err := s.Inject(Fault{Kind: Refuse}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the path is still there")
	}
	s.Clear(0)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	good("plugged in again")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the path is left behind")
	}
}

// askLine sends bytes on the line and returns what comes: as many as are wanted and what follows them within a moment.
func askLine(t *testing.T, path string, request []byte, want int) []byte {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(request); err != nil {
		t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, 512)
	limit := 2 * time.Second
	if want == 0 {
		limit = 200 * time.Millisecond
	}
	for {
		if err := f.SetReadDeadline(time.Now().Add(limit)); err != nil {
			t.Fatal(err)
		}
		n, err := f.Read(buf)
		if err != nil {
			return got
		}
		if got = append(got, buf[:n]...); len(got) >= want {
			limit = 100 * time.Millisecond
		}
	}
}

// TestLineTakesNoOtherFile: only what a simulation left behind is replaced.
func TestLineTakesNoOtherFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := New(Options{Name: "panel", Address: LinePrefix + path, Framing: RTU}).Listen()
	if err == nil || !strings.Contains(err.Error(), "precious") {
		t.Errorf("%v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "x" {
		t.Errorf("the file holds %q", b)
	}
}
