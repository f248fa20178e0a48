package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// stopTimeout bounds an orderly stop; a node promises to end within 5 s of SIGTERM.
const stopTimeout = 4500 * time.Millisecond

// lifecycle runs the named tasks of a server and tears it down in the reverse order in which it was built.
type lifecycle struct {
	log      *slog.Logger
	ctx      context.Context
	cancel   context.CancelCauseFunc
	tasks    sync.WaitGroup
	mu       sync.Mutex
	cleanups []cleanup
}

type cleanup struct {
	name string
	stop func(context.Context) error
}

func newLifecycle(log *slog.Logger) *lifecycle {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &lifecycle{log: log, ctx: ctx, cancel: cancel}
}

// onStop registers a teardown step the moment the thing exists.
func (l *lifecycle) onStop(name string, stop func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleanups = append(l.cleanups, cleanup{name, stop})
}

// spawn runs a task until its teardown step; the first task to fail ends the server with its name as the cause.
func (l *lifecycle) spawn(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.ctx))
	done := make(chan error, 1)
	l.onStop(name, func(within context.Context) error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-within.Done():
			return fmt.Errorf("did not end in time: %w", within.Err())
		}
	})
	l.tasks.Go(func() {
		err := run(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			l.log.Error("A part of the node failed", "part", name, "error", err)
			cause := fmt.Errorf("%s: %w", name, err)
			if l.cancel(cause); errors.Is(context.Cause(l.ctx), cause) {
				err = nil // it is told as why the node ends, and no fault of its ending
			}
		case ctx.Err() != nil && errors.Is(err, context.Canceled):
			err = nil
		}
		done <- err
	})
}

// stop runs the teardown steps, last first, and reports those that failed. It may be called more than once.
func (l *lifecycle) stop() error {
	l.cancel(nil)
	l.mu.Lock()
	steps := l.cleanups
	l.cleanups = nil
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for _, c := range slices.Backward(steps) {
		began := time.Now()
		if err := c.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", c.name, err))
			l.log.Error("A part of the node did not stop in order", "part", c.name, "error", err)
		}
		l.log.Debug("A part of the node has stopped", "part", c.name, "took", time.Since(began))
	}
	return errors.Join(errs...)
}
