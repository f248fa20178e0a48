package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patient is a node that may stand still.
type patient struct{ stuck atomic.Bool }

func (p *patient) Summary() string { return "node a, main active" }
func (p *patient) Alive() error {
	if p.stuck.Load() {
		return errors.New("nothing moves")
	}
	return nil
}

// TestTheManagerHearsOnlyOfProgress plays the service manager.
func TestTheManagerHearsOnlyOfProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "30000") // 30 ms: it is told every 10 ms
	hear := func() string {
		t.Helper()
		b := make([]byte, 4096)
		if err := l.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	until := func(want string) {
		t.Helper()
		for range 1000 {
			if text := hear(); strings.Contains(text, want) {
				return
			}
		}
		t.Fatalf("%q was never said", want)
	}
	var p patient
	ctx, cancel := context.WithCancel(t.Context())
	wait := tellManager(ctx, &p, slog.New(slog.DiscardHandler))
	if text := hear(); text != "READY=1" {
		t.Errorf("first it says %q", text)
	}
	until("STATUS=node a, main active\nWATCHDOG=1")
	p.stuck.Store(true)
	until("STATUS=stuck: nothing moves")
	for range 5 {
		if text := hear(); strings.Contains(text, "WATCHDOG") {
			t.Errorf("a node that is stuck says %q", text)
		}
	}
	p.stuck.Store(false)
	until("WATCHDOG=1")
	cancel()
	until("STOPPING=1")
	wait()
	t.Setenv("NOTIFY_SOCKET", "")
	tellManager(t.Context(), &p, slog.New(slog.DiscardHandler))() // without a manager it ends at once
}
