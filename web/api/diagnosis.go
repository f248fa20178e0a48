package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// The states of a check.
const (
	CheckOK   = "ok"
	CheckWarn = "warn"
	CheckFail = "fail"
)

// Check is one thing a node has looked at on its own machine.
type Check struct {
	Name   string  `json:"name"`
	State  string  `json:"state"` // ok, warn or fail
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Text   string  `json:"text,omitempty"`   // what was found, in words
	Advice string  `json:"advice,omitempty"` // what to do when the state is not ok
}

// Checks is the answer of GET /api/v1/node/checks.
type Checks struct {
	Node   string    `json:"node"`
	Time   time.Time `json:"time"`
	State  string    `json:"state"` // the worst of the checks
	Checks []Check   `json:"checks"`
}

// Worst returns the worst state of the checks.
func Worst(checks []Check) string {
	worst := CheckOK
	for _, c := range checks {
		if c.State == CheckFail || worst == CheckOK {
			worst = c.State
		}
	}
	return worst
}

// LogLevel is what a node writes into its log.
type LogLevel struct {
	Node       string     `json:"node"`
	Level      string     `json:"level"`           // debug, info, warn or error
	Configured string     `json:"configured"`      // what it returns to
	Until      *time.Time `json:"until,omitempty"` // when it returns
	By         string     `json:"by,omitempty"`    // who changed it
}

// LogLevelCommand changes the level for a time.
type LogLevelCommand struct {
	Level string `json:"level"`
	ForS  int    `json:"for_s,omitempty"` // seconds; 0: a quarter of an hour
}

// Checks has the node that answers look at its machine.
func (c *Client) Checks(ctx context.Context) (Checks, error) {
	var out Checks
	return out, c.get(ctx, "/node/checks", nil, &out)
}

// LogLevel returns what the node that answers writes into its log.
func (c *Client) LogLevel(ctx context.Context) (LogLevel, error) {
	var out LogLevel
	return out, c.get(ctx, "/node/log-level", nil, &out)
}

// SetLogLevel changes it for a time.
func (c *Client) SetLogLevel(ctx context.Context, cmd LogLevelCommand) (LogLevel, error) {
	var out LogLevel
	return out, c.post(ctx, "/node/log-level", cmd, &out)
}

// maxBundle bounds a support bundle, in bytes.
const maxBundle = 256 << 20

// Bundle writes the support bundle of the first node that can be reached. An error may come after a part was written.
func (c *Client) Bundle(ctx context.Context, w io.Writer) error {
	c.avoidFrozen(ctx)
	var errs []error
	for _, server := range c.Servers() {
		resp, err := c.open(ctx, server+"/api/v1/node/bundle")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		defer resp.Body.Close()
		body := io.LimitReader(resp.Body, maxBundle)
		if resp.StatusCode != http.StatusOK {
			data, err := io.ReadAll(io.LimitReader(body, maxAnswer))
			if err != nil {
				return fmt.Errorf("answer: %w", err)
			}
			return problemOf(resp, data)
		}
		n, err := io.Copy(w, body)
		if err == nil && n == maxBundle {
			err = errors.New("it is larger than any bundle")
		}
		if err != nil {
			return fmt.Errorf("the bundle broke off: %w", err)
		}
		return nil
	}
	return &Unreachable{Errs: errs}
}
