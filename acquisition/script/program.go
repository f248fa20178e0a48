package script

import (
	"bytes"
	"fmt"
	"strings"

	"go.starlark.net/lib/json"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"scada/acquisition/tag"
)

// The functions an application may define; it needs on_change or on_timer.
const (
	fnInit    = "init"      // init(state): a generation starts, its state is there
	fnChange  = "on_change" // on_change(tags, state): an input has changed
	fnTimer   = "on_timer"  // on_timer(tags, state): the period is over
	fnMigrate = "migrate"   // migrate(state): returns the state for this generation, made from that of the one before
	fnClose   = "close"     // close(state): the generation ends
)

// The names an application knows beside the dialect's own and the module math.
var provided = []string{"math", "tag", "sample", "output", "write", "log", "now", "first_scan"}

// Program is a compiled application. It is immutable and may be shared.
type Program struct {
	name     string
	compiled *starlark.Program
	defined  map[string]bool
}

// Compile checks an application. name is the file shown in errors.
func Compile(name string, source []byte) (*Program, error) {
	if len(source) > MaxSourceBytes {
		return nil, &Error{File: name, Message: fmt.Sprintf("%d bytes, the limit is %d", len(source), MaxSourceBytes)}
	}
	if at := bytes.IndexByte(source, 0); at >= 0 { // the parser takes it for the end: what a crash of an editor left would run cut short
		before := source[:at]
		return nil, &Error{File: name, Line: 1 + bytes.Count(before, []byte("\n")), Column: at - bytes.LastIndexByte(before, '\n'), Message: "a zero byte: the file is not text"}
	}
	file, err := dialect.Parse(name, source, 0)
	if err == nil {
		err = rewrite(file.Stmts)
	}
	if err != nil {
		return nil, located(name, err)
	}
	compiled, err := starlark.FileProgram(file, known(provided...))
	if err != nil {
		return nil, located(name, err)
	}
	if n := compiled.NumLoads(); n > 0 {
		return nil, &Error{File: name, Message: "load is not available: an application is one file"}
	}
	p := &Program{name: name, compiled: compiled, defined: map[string]bool{}}
	for _, s := range file.Stmts {
		if def, ok := s.(*syntax.DefStmt); ok {
			if err := p.define(def); err != nil {
				return nil, err
			}
		}
	}
	if !p.defined[fnChange] && !p.defined[fnTimer] {
		return nil, &Error{File: name, Message: "neither on_change(tags, state) nor on_timer(tags, state) is defined"}
	}
	return p, nil
}

// define notes one of the functions the server calls, and that it takes what it will be given.
func (p *Program) define(def *syntax.DefStmt) error {
	want := map[string]int{fnInit: 1, fnChange: 2, fnTimer: 2, fnMigrate: 1, fnClose: 1}[def.Name.Name]
	if want == 0 {
		return nil
	}
	plain := len(def.Params) == want
	for _, param := range def.Params {
		if _, ok := param.(*syntax.Ident); !ok {
			plain = false
		}
	}
	if !plain {
		at := def.Name.NamePos
		return &Error{File: p.name, Line: int(at.Line), Column: int(at.Col), Message: fmt.Sprintf("%s takes %d parameter(s)", def.Name.Name, want)}
	}
	p.defined[def.Name.Name] = true
	return nil
}

// OnChange reports whether the application is called when an input changes.
func (p *Program) OnChange() bool { return p.defined[fnChange] }

// OnTimer reports whether the application has a periodic call.
func (p *Program) OnTimer() bool { return p.defined[fnTimer] }

// Env is what one application may touch.
type Env struct {
	Inputs   []string            // tags it may read
	Outputs  map[string]tag.Type // tags that are its own
	Writable map[string]tag.Type // tags of devices it may write
}

// Instance is one generation of an application at work. It is used by one goroutine at a time, except for Cancel.
type Instance struct {
	program *Program
	env     Env
	thread  *starlark.Thread
	globals starlark.StringDict
	state   *starlark.Dict
	saved   []byte // the state as it was after the last call that succeeded
	call    *Call  // under way
	effects Effects
}

// New starts a generation with a state, which may be nil. With migrate the state is that of another generation and goes
// through the application's migrate function, if it has one. The functions init and on_… are not called yet.
func (p *Program) New(env Env, state []byte, migrate bool) (*Instance, error) {
	i := &Instance{program: p, env: env, thread: &starlark.Thread{Name: p.name}, call: &Call{}}
	i.thread.Print = func(_ *starlark.Thread, text string) { i.effects.log(text) }
	budget(i.thread)
	var err error
	if i.globals, err = p.compiled.Init(i.thread, i.names()); err != nil {
		return nil, located(p.name, err)
	}
	i.globals.Freeze()
	if i.state, err = decodeState(i.thread, state); err != nil {
		return nil, &Error{File: p.name, Message: err.Error()}
	}
	if fn := i.globals[fnMigrate]; fn != nil && migrate && len(state) > 0 {
		budget(i.thread)
		v, err := starlark.Call(i.thread, fn, starlark.Tuple{i.state}, nil)
		if err != nil {
			return nil, located(p.name, err)
		}
		d, ok := v.(*starlark.Dict)
		if !ok {
			return nil, &Error{File: p.name, Message: "migrate must return a dict, not a " + v.Type()}
		}
		i.state = d
	}
	if i.saved, err = encodeState(i.thread, i.state); err != nil {
		return nil, &Error{File: p.name, Message: err.Error()}
	}
	return i, nil
}

// Takes reports whether the application has a function for the kind of call.
func (i *Instance) Takes(k Kind) bool {
	fn, _ := i.target(k)
	return fn != nil
}

// Cancel ends the call under way, from any goroutine.
func (i *Instance) Cancel(reason string) { i.thread.Cancel(reason) }

// State is the state after the last call that succeeded, as JSON.
func (i *Instance) State() []byte { return i.saved }

// Kind is why an application is called.
type Kind uint8

// The kinds of calls.
const (
	Init Kind = iota
	Change
	Timer
	Close
)

// Call is one call of an application.
type Call struct {
	Kind  Kind
	At    int64 // the instant of the call, ns since 1970
	First bool  // the first call after a start, a take-over or a deployment
	Read  func(name string) tag.Sample
}

// Do carries out a call. On an error there are no effects but the log lines, and the state is as it was before.
func (i *Instance) Do(c Call) (Effects, error) {
	fn, args := i.target(c.Kind)
	if fn == nil {
		return Effects{}, nil
	}
	i.call, i.effects = &c, Effects{}
	defer func() { i.call = &Call{} }()
	budget(i.thread)
	before := i.thread.ExecutionSteps()
	_, err := starlark.Call(i.thread, fn, args, nil)
	steps := i.thread.ExecutionSteps() - before
	var state []byte
	if err == nil {
		state, err = encodeState(i.thread, i.state)
	}
	if err != nil {
		return i.undo(steps, err)
	}
	out := i.effects
	out.Steps = steps
	if string(state) != string(i.saved) {
		out.State, i.saved = state, state
	}
	return out, nil
}

// undo restores the state after a failed call.
func (i *Instance) undo(steps uint64, err error) (Effects, error) {
	err = located(i.program.name, err)
	budget(i.thread)
	state, broken := decodeState(i.thread, i.saved)
	if broken != nil { // it was encoded here: cannot fail
		err = fmt.Errorf("%w (and the state was lost: %w)", err, broken)
		state = starlark.NewDict(0)
	}
	i.state = state
	return Effects{Logs: i.effects.Logs, Steps: steps}, err
}

func (i *Instance) target(k Kind) (starlark.Value, starlark.Tuple) {
	switch k {
	case Init:
		return i.globals[fnInit], starlark.Tuple{i.state}
	case Change:
		return i.globals[fnChange], starlark.Tuple{tagsValue{i}, i.state}
	case Timer:
		return i.globals[fnTimer], starlark.Tuple{tagsValue{i}, i.state}
	}
	return i.globals[fnClose], starlark.Tuple{i.state}
}

// encodeState turns the state into JSON with sorted keys: equal states are equal bytes.
func encodeState(t *starlark.Thread, d *starlark.Dict) ([]byte, error) {
	if text(d) > MaxMade {
		return nil, fmt.Errorf("the state cannot be stored: it has more than %d bytes, or contains itself", MaxMade)
	}
	v, err := starlark.Call(t, json.Module.Members["encode"], starlark.Tuple{d}, nil)
	if err != nil {
		return nil, fmt.Errorf("the state cannot be stored: %w", err)
	}
	s := mendDelete(string(v.(starlark.String)))
	if len(s) > MaxStateBytes {
		return nil, fmt.Errorf("the state has %d bytes as JSON, the limit is %d", len(s), MaxStateBytes)
	}
	return []byte(s), nil
}

// mendDelete writes the delete character as JSON does. The library writes it as Go does, \x7f, which it cannot read again.
func mendDelete(s string) string {
	const wrong, right = `\x7f`, `\u007f`
	if !strings.Contains(s, wrong) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		switch {
		case strings.HasPrefix(s, wrong):
			b.WriteString(right)
			s = s[len(wrong):]
		case s[0] == '\\' && len(s) > 1: // an escape, which may be that of a backslash
			b.WriteString(s[:2])
			s = s[2:]
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	return b.String()
}

func decodeState(t *starlark.Thread, b []byte) (*starlark.Dict, error) {
	if len(b) == 0 {
		return starlark.NewDict(0), nil
	}
	if len(b) > MaxStateBytes {
		return nil, fmt.Errorf("a state of %d bytes, the limit is %d", len(b), MaxStateBytes)
	}
	v, err := starlark.Call(t, json.Module.Members["decode"], starlark.Tuple{starlark.String(mendDelete(string(b)))}, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	d, ok := v.(*starlark.Dict)
	if !ok {
		return nil, fmt.Errorf("the state is a %s, not a dict", v.Type())
	}
	return d, nil
}
