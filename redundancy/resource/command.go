package resource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// maxOutput is how much of what a command writes is kept to explain a failure, in bytes.
const maxOutput = 1024

// drain is how long a command's output is waited for after its end: a service it started may keep it open for ever.
const drain = 100 * time.Millisecond

// inherited are the environment variables a command gets; the others may hold secrets of the node.
var inherited = []string{"PATH", "HOME", "LANG", "TZ"}

// Command is a resource that is any program: a mount, a service. Each step is a program and its arguments and never
// goes through a shell; exit code 0 means success. What a program leaves running must be able to live without it.
type Command struct {
	Name                       string // told to the programs as SCADA_RESOURCE
	StartArgs, StopArgs, Check []string
}

// Start implements [Resource].
func (c *Command) Start(ctx context.Context) error { return c.run(ctx, c.StartArgs) }

// Stop implements [Resource].
func (c *Command) Stop(ctx context.Context) error { return c.run(ctx, c.StopArgs) }

// Monitor implements [Resource]. Without a program for it the resource counts as working.
func (c *Command) Monitor(ctx context.Context) error { return c.run(ctx, c.Check) }

func (c *Command) run(ctx context.Context, argv []string) error {
	if len(argv) == 0 {
		return nil
	}
	out := &tail{}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"SCADA_RESOURCE=" + c.Name}
	for _, name := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, drain
	ownGroup(cmd)
	err := cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if text := out.line(); text != "" {
		return fmt.Errorf("%s: %w: %s", argv[0], err, text)
	}
	return fmt.Errorf("%s: %w", argv[0], err)
}

// tail keeps the end of what is written to it.
type tail struct{ buf []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p[max(0, len(p)-maxOutput):]...)
	t.buf = bytes.Clone(t.buf[max(0, len(t.buf)-maxOutput):])
	return len(p), nil
}

// line is the text in one line, without what would disturb a log or a terminal.
func (t *tail) line() string {
	printable := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(t.buf), "?"))
	return strings.Join(strings.Fields(printable), " ")
}
