package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

const (
	// MaxMade is how many bytes of texts, lists and the like one call may make with operations that make more than their
	// source says; what is dropped again counts too.
	MaxMade = 8 << 20
	// MaxIntBits bounds a product or a shifted integer.
	MaxIntBits = 1 << 16

	maxNesting = 100 // of values in values that become a text
	slot       = 16  // bytes of an element of a list
	entry      = 64  // bytes of an entry of a dict or a set
	escaped    = 4   // bytes a byte of a text may take in quotes
)

var (
	errMade = fmt.Errorf("the call makes values of more than %d bytes", MaxMade)
	errBits = fmt.Errorf("an integer of more than %d bits", MaxIntBits)
)

// localMeter is where a thread keeps its meter.
const localMeter = "meter"

// meter counts what one call makes. The interpreter counts operations alone, and one operation can make a gigabyte.
type meter struct{ left int }

// meterOf is the meter of a thread, which [budget] has given it.
func meterOf(t *starlark.Thread) *meter {
	m, _ := t.Local(localMeter).(*meter)
	return m
}

func (m *meter) spend(bytes int) error {
	if bytes > m.left {
		return errMade
	}
	m.left -= bytes
	return nil
}

// times multiplies sizes, none of which is negative, and stops above what any meter has.
func times(a, b int) int {
	if a > 0 && b > MaxMade/a {
		return MaxMade + 1
	}
	return a * b
}

// length is the number of elements, 0 for what has none.
func length(v starlark.Value) int { return min(max(starlark.Len(v), 0), MaxMade+1) }

// size is what a copy of the elements of a value takes.
func size(v starlark.Value) int {
	switch x := v.(type) {
	case starlark.String:
		return len(x)
	case starlark.Bytes:
		return len(x)
	case *starlark.Dict, *starlark.Set:
		return times(entry, length(v))
	}
	return times(slot, length(v))
}

// weigh takes the length of a value as a text from left, and stops below nothing: values in values may stand in it many
// times over.
func weigh(v starlark.Value, left *int, depth int) {
	if depth > maxNesting {
		*left = -1
	}
	if *left < 0 {
		return
	}
	switch x := v.(type) {
	case starlark.String:
		*left -= escaped * len(x)
	case starlark.Bytes:
		*left -= escaped * len(x)
	case starlark.Int:
		*left -= bits(x)
	case *starlark.Dict:
		for k, v := range x.Entries() {
			weigh(k, left, depth+1)
			weigh(v, left, depth+1)
		}
	case *starlark.List, starlark.Tuple, *starlark.Set:
		for e := range starlark.Elements(x.(starlark.Iterable)) {
			if weigh(e, left, depth+1); *left < 0 {
				return
			}
		}
	}
	*left -= slot
}

// text is the length of values as texts, at most a little more than any meter has.
func text(values ...starlark.Value) int {
	left := MaxMade
	for _, v := range values {
		weigh(v, &left, 0)
	}
	if left < 0 {
		return MaxMade + 1
	}
	return MaxMade - left
}

// bits is the length of an integer.
func bits(x starlark.Int) int {
	if _, small := x.Int64(); small {
		return 64
	}
	return x.BigInt().BitLen()
}

// charge spends what an operator is about to make.
func charge(t *starlark.Thread, op syntax.Token, x, y starlark.Value) error {
	cost := 0
	switch op {
	case syntax.PLUS:
		switch x.(type) {
		case starlark.Int, starlark.Float:
			return nil
		}
		cost = size(x) + size(y)
	case syntax.STAR:
		a, left := x.(starlark.Int)
		b, right := y.(starlark.Int)
		switch {
		case left && right && bits(a)+bits(b) > MaxIntBits:
			return errBits
		case left && !right:
			cost = repeated(y, a)
		case right && !left:
			cost = repeated(x, b)
		}
	case syntax.PERCENT:
		if s, is := x.(starlark.String); is {
			cost = len(s) + times(strings.Count(string(s), "%"), text(y))
		}
	case syntax.LTLT:
		a, isInt := x.(starlark.Int)
		if n, err := starlark.AsInt32(y); isInt && err == nil && bits(a)+n > MaxIntBits {
			return errBits
		}
	case syntax.PIPE:
		cost = size(x) + size(y)
	}
	if cost == 0 {
		return nil
	}
	return meterOf(t).spend(cost)
}

func repeated(v starlark.Value, n starlark.Int) int {
	count, fits := n.Int64()
	if !fits {
		count = int64(n.Sign()) * (MaxMade + 1)
	}
	return times(size(v), int(min(max(count, 0), MaxMade+1)))
}

type native = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// operator is a binary operation that is charged for first.
func operator(op syntax.Token) native {
	return func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		if err := charge(t, op, args[0], args[1]); err != nil {
			return nil, err
		}
		return starlark.Binary(op, args[0], args[1])
	}
}

// comparison is a comparison that takes no longer than the values are long, however often they stand in themselves.
func comparison(op syntax.Token) native {
	return func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		x, y := args[0], args[1]
		if op == syntax.IN || op == syntax.NOT_IN {
			if _, hashed := y.(*starlark.Dict); !hashed && deep(x) && deep(y) && text(x, y) > MaxMade {
				return nil, errMade
			}
			return starlark.Binary(op, x, y)
		}
		if deep(x) && deep(y) && text(x, y) > MaxMade {
			return nil, errMade
		}
		ok, err := starlark.Compare(op, x, y)
		return starlark.Bool(ok), err
	}
}

// deep reports whether a value may have others in it.
func deep(v starlark.Value) bool {
	switch v.(type) {
	case *starlark.List, starlark.Tuple, *starlark.Dict:
		return true
	}
	return false
}

// operand is the right side of an assignment with operation, which is charged for before the interpreter does it: it may
// change a list in place.
func operand(op syntax.Token) native {
	return func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return args[1], charge(t, op, args[0], args[1])
	}
}

// spread is what an argument list is made of with a star.
func spread(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	return args[0], meterOf(t).spend(size(args[0]))
}

// attribute is x.name: a method that makes more than its arguments is charged for when it is called.
func attribute(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	var x, missing starlark.Value
	if err := starlark.UnpackPositionalArgs("getattr", args, kwargs, 2, &x, &name, &missing); err != nil {
		return nil, err
	}
	v, err := attr(x, name)
	switch {
	case missing != nil && (v == nil || err != nil):
		return missing, nil
	case err != nil:
		return nil, err
	case v == nil:
		return nil, fmt.Errorf("%s has no .%s field or method", x.Type(), name)
	}
	method, is := v.(*starlark.Builtin)
	price := methods[name]
	if !is || price == nil || method.Receiver() == nil {
		return v, nil
	}
	return charged(method, func(args starlark.Tuple, kwargs []starlark.Tuple) int {
		return price(method.Receiver(), append(slices.Clone(args), values(kwargs)...))
	}), nil
}

func attr(x starlark.Value, name string) (starlark.Value, error) {
	has, ok := x.(starlark.HasAttrs)
	if !ok {
		return nil, nil
	}
	v, err := has.Attr(name)
	var unknown starlark.NoSuchAttrError
	if errors.As(err, &unknown) {
		return nil, nil
	}
	return v, err
}

func values(kwargs []starlark.Tuple) (out []starlark.Value) {
	for _, pair := range kwargs {
		out = append(out, pair[1])
	}
	return out
}

// charged is a function that is charged for before it is called.
func charged(f *starlark.Builtin, price func(args starlark.Tuple, kwargs []starlark.Tuple) int) *starlark.Builtin {
	return starlark.NewBuiltin(f.Name(), func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := meterOf(t).spend(price(args, kwargs)); err != nil {
			return nil, err
		}
		return f.CallInternal(t, args, kwargs)
	})
}
