// Package script runs the plant engineers' own logic: calculated tags ([Expr]) and applications ([Program], [Instance]),
// both written in Starlark, a small deterministic dialect of Python.
//
// A script sees nothing but what it is given: the samples of its inputs, the instant of the call and its own state.
// There is no clock, file, network or random source, globals are frozen after loading, and what it wants (outputs,
// device writes, log lines) is returned as [Effects] for the caller to carry out. The same call with the same inputs
// therefore gives the same result on either node.
//
// The limits guard the server against mistakes, not against attackers: Starlark counts steps and can be cancelled, but
// it cannot cap the memory of one operation. Who may deploy a script is trusted as who may change the configuration.
package script

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.starlark.net/lib/math"
	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// The limits of a script and of one call of it.
const (
	MaxSourceBytes     = 48 << 10
	MaxExpressionBytes = 4 << 10
	MaxSteps           = 100_000  // Starlark's own count, about one for each operation
	MaxTextBytes       = 64 << 10 // of one text value
	MaxStateBytes      = 64 << 10 // as JSON
	MaxOutputs         = 1_000    // set in one call
	MaxWrites          = 16       // to devices in one call
	MaxLogs            = 20       // lines in one call
	MaxLogBytes        = 1 << 10  // of one line
)

// dialect is Starlark without its optional parts, except sets and control flow at the top level of a file.
var dialect = &syntax.FileOptions{Set: true, TopLevelControl: true, GlobalReassign: true}

// Error is what is wrong with a script: where, and what. Line and Column are 0 when there is no place to point at.
type Error struct {
	File         string
	Line, Column int
	Message      string
}

// Error implements error in the form file:line:column: message.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// located turns an error of the interpreter into one with the place in file it points at.
func located(file string, err error) error {
	at := func(pos syntax.Position, message string) error {
		return &Error{File: file, Line: int(pos.Line), Column: int(pos.Col), Message: message}
	}
	var parse syntax.Error
	if errors.As(err, &parse) {
		return at(parse.Pos, parse.Msg)
	}
	var names resolve.ErrorList
	if errors.As(err, &names) {
		return at(names[0].Pos, names[0].Msg)
	}
	var eval *starlark.EvalError
	if errors.As(err, &eval) {
		for i := range eval.CallStack {
			if pos := eval.CallStack.At(i).Pos; pos.Filename() == file {
				return at(pos, eval.Msg)
			}
		}
	}
	return &Error{File: file, Message: err.Error()}
}

// budget makes the thread ready for one more call.
func budget(t *starlark.Thread) {
	m := meterOf(t)
	if m == nil {
		m = &meter{}
		t.SetLocal(localMeter, m)
	}
	m.renew(t)
}

// renew makes the thread of the meter ready for one more call.
func (m *meter) renew(t *starlark.Thread) {
	t.Uncancel()
	t.SetMaxExecutionSteps(t.ExecutionSteps() + MaxSteps)
	m.left = MaxMade
}

// common are the names every script knows beside the dialect's own.
func common() starlark.StringDict {
	env := maps.Clone(guarded)
	env["math"] = math.Module
	return env
}

// known reports whether a name is one of the given, or one of the guards.
func known(given ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(given, name) || guarded.Has(name) }
}
