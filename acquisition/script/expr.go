package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"scada/acquisition/tag"
)

// errBlind ends an expression that needs the value of a tag that has none.
var errBlind = errors.New("an input is bad")

// Expr is the expression of a calculated tag. It is used by one goroutine at a time.
//
// tag('name') is the value of a tag and makes the result depend on its quality: the result has the worst quality of the
// tags read this way, and none at all while one of them is bad. sample('name') gives value, quality, good, uncertain,
// bad and time of a tag without that: who uses it decides about the quality himself.
type Expr struct {
	name   string
	inputs []string
	thread *starlark.Thread
	meter  *meter
	calc   starlark.Value
	direct direct // nil: the interpreter is needed in any case

	// of the evaluation under way
	read    func(name string) tag.Sample
	quality tag.Quality
	newest  int64
}

// NewExpr compiles an expression. The names of the tags must stand in it literally, so that what it depends on is known.
func NewExpr(name, source string) (*Expr, error) {
	if len(source) > MaxExpressionBytes {
		return nil, &Error{File: name, Message: fmt.Sprintf("an expression of %d bytes, the limit is %d", len(source), MaxExpressionBytes)}
	}
	parsed, err := dialect.ParseExpr(name, source, 0)
	if err != nil {
		return nil, located(name, err)
	}
	e := &Expr{name: name, thread: &starlark.Thread{Name: name}}
	if e.inputs, err = inputsOf(name, parsed); err != nil {
		return nil, err
	}
	e.direct = directly(parsed) // before the interpreter's guards are written into it
	if e.calc, err = e.compile(parsed); err != nil {
		return nil, located(name, err)
	}
	return e, nil
}

// compile makes a function of an expression.
func (e *Expr) compile(parsed syntax.Expr) (starlark.Value, error) {
	at, _ := parsed.Span()
	body := []syntax.Stmt{&syntax.ReturnStmt{Return: at, Result: parsed}}
	if err := rewrite(body); err != nil {
		return nil, err
	}
	def := &syntax.DefStmt{Def: at, Name: &syntax.Ident{NamePos: at, Name: fnCalc}, Lparen: at, Rparen: at, Body: body}
	program, err := starlark.FileProgram(&syntax.File{Path: e.name, Stmts: []syntax.Stmt{def}, Options: dialect}, known("math", "tag", "sample"))
	if err != nil {
		return nil, err
	}
	e.thread.SetLocal(localExpr, e)
	budget(e.thread)
	e.meter = meterOf(e.thread)
	globals, err := program.Init(e.thread, exprEnv)
	return globals[fnCalc], err
}

const (
	fnCalc    = "calc"
	localExpr = "expr" // where the thread of an expression keeps it
)

// exprEnv are the names of all expressions: there are many of them. It is not changed after it was made.
var exprEnv = exprNames()

func exprNames() starlark.StringDict {
	env := common()
	env["tag"] = starlark.NewBuiltin("tag", func(t *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return t.Local(localExpr).(*Expr).tag(fn, args, kwargs)
	})
	env["sample"] = starlark.NewBuiltin("sample", func(t *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return t.Local(localExpr).(*Expr).sample(fn, args, kwargs)
	})
	return env
}

// inputsOf lists the tags an expression names, in order.
func inputsOf(file string, e syntax.Expr) (names []string, err error) {
	syntax.Walk(e, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || err != nil {
			return err == nil
		}
		fn, ok := call.Fn.(*syntax.Ident)
		if !ok || (fn.Name != "tag" && fn.Name != "sample") {
			return true
		}
		start, _ := call.Span()
		wrong := &Error{File: file, Line: int(start.Line), Column: int(start.Col), Message: fn.Name + " needs the name of one tag, in quotes"}
		if len(call.Args) != 1 {
			err = wrong
			return false
		}
		literal, ok := call.Args[0].(*syntax.Literal)
		if name, text := literalText(literal); ok && text {
			names = append(names, name)
			return true
		}
		err = wrong
		return false
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

func literalText(l *syntax.Literal) (string, bool) {
	if l == nil {
		return "", false
	}
	s, ok := l.Value.(string)
	return s, ok && l.Token == syntax.STRING
}

// Inputs are the names of the tags the expression reads, in order.
func (e *Expr) Inputs() []string { return e.inputs }

// Eval computes the expression as a value of type t. read returns the present sample of an input. The time of the result
// is that of the newest input, 0 if there is none. An error tells why the result is bad; a bad input is not an error.
func (e *Expr) Eval(t tag.Type, read func(name string) tag.Sample) (tag.Sample, error) {
	e.read = read
	defer func() { e.read = nil }()
	v, err := e.run()
	if errors.Is(err, errBlind) {
		return tag.Sample{Time: e.newest, Quality: e.quality}, nil
	}
	if err != nil {
		return tag.Sample{Time: e.newest, Quality: qualityOf(err)}, located(e.name, err)
	}
	if v == starlark.None {
		return tag.Sample{Time: e.newest, Quality: worse(tag.BadNoData, e.quality)}, nil
	}
	value, err := toTag(v, t)
	if err != nil {
		return tag.Sample{Time: e.newest, Quality: tag.BadOutOfRange}, &Error{File: e.name, Message: err.Error()}
	}
	return tag.Sample{Value: value, Time: e.newest, Quality: e.quality}, nil
}

func (e *Expr) run() (starlark.Value, error) {
	e.quality, e.newest = tag.Good, 0
	if e.direct != nil {
		if o, err := e.direct(e); err == nil {
			return o.value(), nil
		} else if errors.Is(err, errBlind) {
			return nil, err
		}
		e.quality, e.newest = tag.Good, 0
	}
	e.meter.renew(e.thread)
	return starlark.Call(e.thread, e.calc, nil, nil)
}

// qualityOf tells a division by nothing, which passes, from an expression that cannot be right.
func qualityOf(err error) tag.Quality {
	if strings.Contains(err.Error(), "division by zero") || strings.Contains(err.Error(), "modulo by zero") {
		return tag.BadOutOfRange
	}
	return tag.BadConfigurationError
}

func (e *Expr) input(fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (tag.Sample, error) {
	var name string
	if len(args) == 1 && len(kwargs) == 0 {
		name, _ = starlark.AsString(args[0])
	}
	if name == "" {
		if err := starlark.UnpackPositionalArgs(fn.Name(), args, kwargs, 1, &name); err != nil {
			return tag.Sample{}, err
		}
	}
	if e.read == nil || !slices.Contains(e.inputs, name) {
		return tag.Sample{}, fmt.Errorf("tag %q is not an input", name)
	}
	return e.take(name), nil
}

func (e *Expr) take(name string) tag.Sample {
	s := e.read(name)
	e.newest = max(e.newest, s.Time)
	return s
}

func (e *Expr) tag(fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := e.input(fn, args, kwargs)
	if err != nil {
		return nil, err
	}
	v, err := e.depend(s)
	if err != nil {
		return nil, err
	}
	return fromTag(v), nil
}

// value is the value of an input.
func (e *Expr) value(name string) (tag.Value, error) { return e.depend(e.take(name)) }

// depend makes the result depend on the quality of an input.
func (e *Expr) depend(s tag.Sample) (tag.Value, error) {
	e.quality = worse(e.quality, s.Quality)
	if s.Quality.IsBad() || s.Value.IsNone() {
		e.quality = worse(e.quality, tag.BadNoData)
		return tag.Value{}, errBlind
	}
	return s.Value, nil
}

func (e *Expr) sample(fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := e.input(fn, args, kwargs)
	if err != nil {
		return nil, err
	}
	return sampleValue{s}, nil
}
