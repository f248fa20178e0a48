package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
)

// TestAPartThatFails is why the node ends, and is not told again as one that did not stop in order: that hid the reason.
func TestAPartThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		l := newLifecycle(slog.New(slog.NewTextHandler(&log, nil)))
		taken, late := errors.New("the address is taken"), errors.New("the disk is gone")
		second := make(chan struct{})
		l.spawn("paths", func(context.Context) error { return taken })
		l.spawn("journal", func(context.Context) error { <-second; return late })
		<-l.ctx.Done()
		if err := context.Cause(l.ctx); !errors.Is(err, taken) || !strings.HasPrefix(err.Error(), "paths: ") {
			t.Errorf("the cause is %v", err)
		}
		close(second) // it fails while the node ends: that is a fault of the ending
		synctest.Wait()
		if err := l.stop(); errors.Is(err, taken) || !errors.Is(err, late) {
			t.Errorf("stopping: %v", err)
		}
		if n := strings.Count(log.String(), taken.Error()); n != 1 {
			t.Errorf("told %d times:\n%s", n, log.String())
		}
	})
}
