package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Limits of the supervisor.
const (
	restartAfter = 15 * time.Second // a node that died stays away long enough for the take-over and hand-back to be watched
	stopWithin   = 6 * time.Second  // a node promises to end within 5 s of SIGTERM
)

// Process is one program of the demo and what to do when it ends.
type Process struct {
	Name    string // also of its log file
	Program string
	Args    []string
	Restart bool
	Ready   func(ctx context.Context) error // waits until it serves; nil does not wait
}

// Supervise starts the processes in order, writes their output to dir/NAME.log, restarts those that should be, and
// ends all in reverse order when ctx ends. It returns when the last one is gone.
func Supervise(ctx context.Context, dir string, processes []Process, events io.Writer) error {
	// The kernel ends the children with the thread that started them (Pdeathsig): even a supervisor that is killed
	// leaves nothing behind. All are therefore started from this one thread, which lives as long as the supervisor.
	starts := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range starts {
			f()
		}
	}()
	defer close(starts)

	var stops []func()
	defer func() {
		for i := len(stops) - 1; i >= 0; i-- {
			stops[i]()
		}
	}()
	for _, p := range processes {
		k := &keeper{Process: p, dir: dir, starts: starts, events: events, ended: make(chan struct{})}
		keepCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		if err := k.start(); err != nil {
			cancel()
			return err
		}
		go k.keep(keepCtx)
		stops = append(stops, func() { cancel(); <-k.ended })
		if p.Ready == nil {
			continue
		}
		if err := p.Ready(ctx); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return fmt.Errorf("waiting for %s (see %s): %w", p.Name, k.logName(), err)
		}
	}
	<-ctx.Done()
	return nil
}

// keeper keeps one process alive.
type keeper struct {
	Process
	dir    string
	starts chan<- func()
	events io.Writer
	ended  chan struct{}

	mu  sync.Mutex
	cmd *exec.Cmd
	log *os.File
}

func (k *keeper) logName() string { return filepath.Join(k.dir, k.Name+".log") }

func (k *keeper) start() error {
	log, err := os.OpenFile(k.logName(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", k.Name, err)
	}
	cmd := exec.Command(k.Program, k.Args...)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own: Ctrl-C in a terminal goes to the supervisor alone, which ends the rest in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	done := make(chan error)
	k.starts <- func() { done <- cmd.Start() }
	if err := <-done; err != nil {
		log.Close()
		return fmt.Errorf("starting %s: %w", k.Name, err)
	}
	k.mu.Lock()
	k.cmd, k.log = cmd, log
	k.mu.Unlock()
	if err := os.WriteFile(filepath.Join(k.dir, k.Name+".pid"), fmt.Appendf(nil, "%d\n", cmd.Process.Pid), 0o600); err != nil {
		return fmt.Errorf("starting %s: %w", k.Name, err)
	}
	return nil
}

// keep waits for the process to end and starts it again, until ctx ends; then it ends the process.
func (k *keeper) keep(ctx context.Context) {
	defer close(k.ended)
	for {
		gone := make(chan error, 1)
		go func() { gone <- k.cmd.Wait() }()
		select {
		case <-ctx.Done():
			k.end(gone)
			return
		case err := <-gone:
			k.log.Close()
			k.say("%s ended: %s", k.Name, describe(err))
		}
		if !k.Restart {
			return
		}
		k.say("%s will be started again in %s", k.Name, restartAfter)
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartAfter):
		}
		if err := k.start(); err != nil {
			k.say("%s", err)
			return
		}
		k.say("%s started again", k.Name)
	}
}

func (k *keeper) end(gone <-chan error) {
	defer k.log.Close()
	_ = k.cmd.Process.Signal(syscall.SIGCONT) // one that was stopped for a test must hear the next signal
	_ = k.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case err := <-gone:
		if err != nil {
			k.say("%s ended: %s", k.Name, describe(err))
		}
	case <-time.After(stopWithin):
		k.say("%s did not end within %s and is killed", k.Name, stopWithin)
		_ = k.cmd.Process.Kill()
		k.say("%s ended: %s", k.Name, describe(<-gone))
	}
}

func (k *keeper) say(format string, args ...any) {
	fmt.Fprintf(k.events, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

func describe(err error) string {
	if err == nil {
		return "exit code 0"
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.String()
	}
	return err.Error()
}
