package script

import (
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// guarded are the names scripts find instead of the interpreter's own, and those a source is rewritten to; the latter are no
// identifiers: a script cannot say them. It is not changed after it was made.
var guarded = guards()

func guards() starlark.StringDict {
	env := starlark.StringDict{}
	for op, name := range operators {
		env[name] = starlark.NewBuiltin(name, operator(op))
		env[name+"="] = starlark.NewBuiltin(name+"=", operand(op))
	}
	for op, name := range comparisons {
		env[name] = starlark.NewBuiltin(name, comparison(op))
	}
	env[nameSpread] = starlark.NewBuiltin(nameSpread, spread)
	env[nameDot] = starlark.NewBuiltin("getattr", attribute)
	env["getattr"] = env[nameDot]
	for name, price := range functions {
		f := starlark.Universe[name].(*starlark.Builtin)
		env[name] = charged(f, func(args starlark.Tuple, kwargs []starlark.Tuple) int {
			return price(append(args[:len(args):len(args)], values(kwargs)...))
		})
	}
	return env
}

// operators are those of two operands that can make much of little, by token.
var operators = map[syntax.Token]string{
	syntax.PLUS: "operator +", syntax.STAR: "operator *", syntax.PERCENT: "operator %", syntax.LTLT: "operator <<", syntax.PIPE: "operator |",
}

// comparisons go through values in values.
var comparisons = map[syntax.Token]string{
	syntax.EQL: "operator ==", syntax.NEQ: "operator !=", syntax.LT: "operator <", syntax.LE: "operator <=", syntax.GT: "operator >", syntax.GE: "operator >=",
	syntax.IN: "operator in", syntax.NOT_IN: "operator not in",
}

const (
	nameSpread = "operator spread"
	nameDot    = "operator ."
)

// functions are the prices of the interpreter's functions that go through all their arguments in one step.
var functions = map[string]func(args starlark.Tuple) int{
	"all": lengths, "any": lengths, "max": compared, "min": compared, "sorted": compared,
	"list": copies(slot), "tuple": copies(slot), "reversed": copies(slot),
	"dict": copies(entry), "set": copies(entry), "enumerate": copies(entry), "bytes": copies(slot),
	"zip": func(args starlark.Tuple) int {
		most := 0
		for _, a := range args {
			most = max(most, length(a))
		}
		return times(most, slot*(len(args)+2))
	},
	"str":   func(args starlark.Tuple) int { return text(args...) },
	"repr":  func(args starlark.Tuple) int { return text(args...) },
	"print": func(args starlark.Tuple) int { return text(args...) },
	"fail":  func(args starlark.Tuple) int { return text(args...) },
	"int": func(args starlark.Tuple) int { // the digits of a long text take long to convert
		return times(64, texts(args))
	},
}

// compared are the prices of what compares elements with each other: those of a list in lists may stand in it many times over.
func compared(args starlark.Tuple) int {
	for _, a := range args {
		if _, is := a.(starlark.Iterable); is && deep(a) && text(a) > MaxMade {
			return MaxMade + 1
		}
	}
	return copies(slot)(args)
}

func lengths(args starlark.Tuple) int { return copies(1)(args) }

func copies(bytes int) func(args starlark.Tuple) int {
	return func(args starlark.Tuple) int {
		n := 0
		for _, a := range args {
			n += times(bytes, max(length(a), texts(starlark.Tuple{a})))
		}
		return n
	}
}

// texts is how long the texts among values are.
func texts(args starlark.Tuple) (n int) {
	for _, a := range args {
		switch s := a.(type) {
		case starlark.String:
			n += len(s)
		case starlark.Bytes:
			n += len(s)
		}
	}
	return n
}

// methods are the prices of methods by name, whatever the receiver is.
var methods = map[string]func(recv starlark.Value, args starlark.Tuple) int{
	"join": func(recv starlark.Value, args starlark.Tuple) int {
		return text(args...) + times(size(recv), lengths(args))
	},
	"replace": func(recv starlark.Value, args starlark.Tuple) int {
		if len(args) < 2 {
			return 0
		}
		found := texts(starlark.Tuple{recv})/max(texts(args[:1]), 1) + 1
		return size(recv) + times(found, size(args[1]))
	},
	"format": func(recv starlark.Value, args starlark.Tuple) int {
		s, _ := starlark.AsString(recv)
		return len(s) + times(strings.Count(s, "{"), text(args...))
	},
	"split": pieces, "rsplit": pieces, "splitlines": pieces, "elems": pieces, "elem_ords": pieces, "codepoints": pieces, "codepoint_ords": pieces,
	"capitalize": letters, "lower": letters, "title": letters, "upper": letters,
	"items": all, "keys": all, "values": all,
	"extend": all, "update": all, "union": all, "difference": all, "intersection": all, "symmetric_difference": all,
}

func pieces(recv starlark.Value, _ starlark.Tuple) int { return times(size(recv), 2*slot) }

func letters(recv starlark.Value, _ starlark.Tuple) int { return times(size(recv), escaped) }

func all(recv starlark.Value, args starlark.Tuple) int {
	if _, is := recv.(*starlark.List); is {
		return copies(slot)(args)
	}
	return times(entry, length(recv)) + copies(entry)(args)
}
