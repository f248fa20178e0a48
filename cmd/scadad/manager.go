package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// statusEvery is how often the service manager is told what the node does when it does not watch over it.
const statusEvery = 5 * time.Second

// subject is what the service manager is told of.
type subject interface {
	Alive() error
	Summary() string
}

// tellManager tells the service manager that the node has started, what it does, and that it makes progress. The last is
// said only when it is true: a process that merely runs is no node, and is started again. The function that is returned
// waits until nothing more is said. Without a manager nothing happens.
func tellManager(ctx context.Context, s subject, log *slog.Logger) (wait func()) {
	every := statusEvery
	watched, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("The service manager's watchdog is set in a way that cannot be understood", "error", err)
	}
	if watched > 0 {
		every = watched / 3
	}
	if there, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil || !there {
		if err != nil {
			log.Warn("The service manager cannot be told", "error", err)
		}
		return func() {}
	}
	var telling sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	telling.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		stuck := ""
		for {
			stuck = report(s, watched > 0, stuck, log)
			select {
			case <-ctx.Done():
				_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) // it sees the end by itself, too
				return
			case <-tick.C:
			}
		}
	})
	return func() { cancel(); telling.Wait() }
}

// report tells the manager once and returns why the node is stuck, "" when it is not.
func report(s subject, watched bool, before string, log *slog.Logger) string {
	why, text := s.Alive(), ""
	state := "STATUS=" + s.Summary()
	switch {
	case why != nil:
		text = why.Error()
		state = "STATUS=stuck: " + text
		if before == "" {
			log.Error("The node makes no progress: the service manager will start it again", "reason", text)
		}
	case watched:
		state += "\n" + daemon.SdNotifyWatchdog
	}
	if _, err := daemon.SdNotify(false, state); err != nil && before == "" {
		log.Warn("The service manager cannot be told", "error", err)
	}
	return text
}
