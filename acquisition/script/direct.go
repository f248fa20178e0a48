package script

import (
	"errors"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// errIndirect ends a direct evaluation of what only the interpreter can compute.
var errIndirect = errors.New("not numbers")

// direct computes an expression of numbers, comparisons and conditions without the interpreter, with the operations the
// interpreter itself uses and in its order. Most calculated tags are of this kind, and it takes a ninth of the time. Whatever
// error there is, the interpreter is asked: it knows the place.
type direct func(*Expr) (term, error)

// term is a value under way. Floats and small whole numbers need no memory of their own.
type term struct {
	v starlark.Value // nil: the float f
	f float64        // if exact, the value as a float

	exact bool
}

// mostExact is the largest whole number up to which all have a float of their own.
const mostExact = 1 << 53

func termOf(v starlark.Value) term {
	switch x := v.(type) {
	case starlark.Float:
		return term{f: float64(x), exact: true}
	case starlark.Int:
		if i, ok := x.Int64(); ok && -mostExact <= i && i <= mostExact {
			return term{v: v, f: float64(i), exact: true}
		}
	}
	return term{v: v}
}

func (o term) value() starlark.Value {
	if o.v == nil {
		return starlark.Float(o.f)
	}
	return o.v
}

func (o term) truth() bool {
	if o.v == nil {
		return o.f != 0
	}
	return bool(o.v.Truth())
}

func (o term) isNumber() bool {
	if o.v == nil {
		return true
	}
	_, ok := o.v.(starlark.Int)
	return ok
}

// directly returns nil for what only the interpreter can do.
func directly(x syntax.Expr) direct {
	switch x := x.(type) {
	case *syntax.ParenExpr:
		return directly(x.X)
	case *syntax.Literal:
		return directLiteral(x)
	case *syntax.Ident:
		switch x.Name {
		case "True", "False":
			o := term{v: starlark.Bool(x.Name == "True")}
			return func(*Expr) (term, error) { return o, nil }
		}
	case *syntax.CallExpr:
		return directInput(x)
	case *syntax.UnaryExpr:
		return directUnary(x)
	case *syntax.BinaryExpr:
		return directBinary(x)
	case *syntax.CondExpr:
		return directCondition(x)
	}
	return nil
}

func directLiteral(x *syntax.Literal) direct {
	var o term
	switch v := x.Value.(type) {
	case int64:
		o = termOf(starlark.MakeInt64(v))
	case float64:
		o = termOf(starlark.Float(v))
	default:
		return nil
	}
	return func(*Expr) (term, error) { return o, nil }
}

func directInput(x *syntax.CallExpr) direct {
	fn, ok := x.Fn.(*syntax.Ident)
	if !ok || fn.Name != "tag" || len(x.Args) != 1 {
		return nil
	}
	literal, _ := x.Args[0].(*syntax.Literal)
	name, ok := literalText(literal)
	if !ok {
		return nil
	}
	return func(e *Expr) (term, error) {
		v, err := e.value(name)
		if err != nil {
			return term{}, err
		}
		if v.Type().IsFloat() {
			return term{f: v.Number(), exact: true}, nil
		}
		return termOf(fromTag(v)), nil
	}
}

func directUnary(x *syntax.UnaryExpr) direct {
	inner, op := directly(x.X), x.Op // the guards are written into x later
	if inner == nil {
		return nil
	}
	return func(e *Expr) (term, error) {
		o, err := inner(e)
		switch {
		case err != nil:
			return term{}, err
		case op == syntax.NOT:
			return term{v: starlark.Bool(!o.truth())}, nil
		case !o.isNumber():
			return term{}, errIndirect
		}
		v, err := starlark.Unary(op, o.value())
		return termOf(v), err
	}
}

func directBinary(x *syntax.BinaryExpr) direct {
	left, right, op := directly(x.X), directly(x.Y), x.Op
	if left == nil || right == nil {
		return nil
	}
	switch op {
	case syntax.AND, syntax.OR:
		return func(e *Expr) (term, error) {
			if o, err := left(e); err != nil || o.truth() == (op == syntax.OR) {
				return o, err
			}
			return right(e)
		}
	case syntax.PLUS, syntax.MINUS, syntax.STAR, syntax.SLASH, syntax.SLASHSLASH, syntax.PERCENT,
		syntax.EQL, syntax.NEQ, syntax.LT, syntax.GT, syntax.LE, syntax.GE:
		return func(e *Expr) (term, error) {
			a, err := left(e)
			if err != nil {
				return term{}, err
			}
			b, err := right(e)
			if err != nil {
				return term{}, err
			}
			return combine(op, a, b)
		}
	}
	return nil
}

// combine is the operation of the interpreter; that of floats is done here, without taking memory.
func combine(op syntax.Token, a, b term) (term, error) {
	if a.exact && b.exact && (a.v == nil || b.v == nil) {
		switch {
		case op == syntax.PLUS:
			return term{f: a.f + b.f, exact: true}, nil
		case op == syntax.MINUS:
			return term{f: a.f - b.f, exact: true}, nil
		case op == syntax.STAR:
			return term{f: a.f * b.f, exact: true}, nil
		case op == syntax.SLASH && b.f != 0:
			return term{f: a.f / b.f, exact: true}, nil
		}
	}
	if !a.isNumber() || !b.isNumber() {
		return term{}, errIndirect
	}
	switch op {
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.GT, syntax.LE, syntax.GE:
		ok, err := starlark.Compare(op, a.value(), b.value())
		return term{v: starlark.Bool(ok)}, err
	}
	v, err := starlark.Binary(op, a.value(), b.value())
	return termOf(v), err
}

func directCondition(x *syntax.CondExpr) direct {
	cond, yes, no := directly(x.Cond), directly(x.True), directly(x.False)
	if cond == nil || yes == nil || no == nil {
		return nil
	}
	return func(e *Expr) (term, error) {
		o, err := cond(e)
		switch {
		case err != nil:
			return term{}, err
		case o.truth():
			return yes(e)
		}
		return no(e)
	}
}
