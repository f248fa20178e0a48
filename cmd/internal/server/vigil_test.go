package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestASleeperDoubtsItsRole: whoever looks first after a sleep notices, and nobody trusts the role for a while.
func TestASleeperDoubtsItsRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVigil(450*time.Millisecond, 100*time.Millisecond)
		for range 20 {
			time.Sleep(400 * time.Millisecond)
			if !v.awake() {
				t.Fatal("a pause within the lease is no sleep")
			}
		}
		time.Sleep(451 * time.Millisecond)
		for _, c := range []struct {
			after time.Duration
			want  bool
		}{{0, false}, {0, false}, {199 * time.Millisecond, false}, {time.Millisecond, true}} {
			time.Sleep(c.after)
			if got := v.awake(); got != c.want {
				t.Errorf("awake %v, want %v", got, c.want)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = v.run(ctx) }()
		time.Sleep(time.Hour)
		if !v.awake() {
			t.Error("a quiet hour is no sleep")
		}
		cancel()
	})
}
