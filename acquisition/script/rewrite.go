package script

import (
	"slices"

	"go.starlark.net/syntax"
)

// rewrite has the operations that can make much of little go through the guards. It changes the tree in place.
func rewrite(stmts []syntax.Stmt) error {
	r := &rewriter{}
	r.stmts(stmts)
	return r.err
}

type rewriter struct{ err error }

func (r *rewriter) stmts(list []syntax.Stmt) {
	for _, s := range list {
		r.stmt(s)
	}
}

func (r *rewriter) stmt(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.AssignStmt:
		r.assign(s)
	case *syntax.DefStmt:
		r.exprs(s.Params)
		r.stmts(s.Body)
	case *syntax.ExprStmt:
		s.X = r.expr(s.X)
	case *syntax.ForStmt:
		r.target(s.Vars)
		s.X = r.expr(s.X)
		r.stmts(s.Body)
	case *syntax.WhileStmt:
		s.Cond = r.expr(s.Cond)
		r.stmts(s.Body)
	case *syntax.IfStmt:
		s.Cond = r.expr(s.Cond)
		r.stmts(s.True)
		r.stmts(s.False)
	case *syntax.ReturnStmt:
		if s.Result != nil {
			s.Result = r.expr(s.Result)
		}
	}
}

// assign lets x op= y stay what it is, with a guard that sees both sides around y.
func (r *rewriter) assign(s *syntax.AssignStmt) {
	s.RHS = r.expr(s.RHS)
	op, augmented := operatorOf(s.Op)
	name := operators[op]
	if augmented && name != "" && !number(s.RHS, op) {
		if !plain(s.LHS) {
			start, _ := s.LHS.Span()
			r.fail(start, "the left side of "+s.Op.String()+" calls a function: give its value a name first")
			return
		}
		s.RHS = call(name+"=", s.OpPos, again(s.LHS), s.RHS)
	}
	r.target(s.LHS)
}

// operatorOf is the operation of an assignment.
func operatorOf(t syntax.Token) (syntax.Token, bool) {
	if t < syntax.PLUS_EQ || t > syntax.GTGT_EQ {
		return 0, false
	}
	return t - syntax.PLUS_EQ + syntax.PLUS, true
}

// number reports whether an operation with the operand can only make a number of bounded growth.
func number(y syntax.Expr, op syntax.Token) bool {
	l, is := y.(*syntax.Literal)
	return is && (l.Token == syntax.FLOAT || l.Token == syntax.INT && op == syntax.PLUS)
}

// simple reports whether a value has none in it.
func simple(e syntax.Expr) bool {
	switch e := e.(type) {
	case *syntax.Literal:
		return true
	case *syntax.Ident:
		return e.Name == "None" || e.Name == "True" || e.Name == "False"
	}
	return false
}

// plain reports whether an expression may be evaluated twice.
func plain(e syntax.Expr) bool {
	ok := true
	syntax.Walk(e, func(n syntax.Node) bool {
		switch n.(type) {
		case nil, *syntax.Ident, *syntax.Literal, *syntax.IndexExpr, *syntax.ParenExpr, *syntax.DotExpr, *syntax.UnaryExpr:
		case *syntax.BinaryExpr, *syntax.TupleExpr:
		default:
			ok = false
		}
		return ok
	})
	return ok
}

// again is a copy of a plain expression: the resolver writes into the tree.
func again(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.Ident:
		c := *e
		return &c
	case *syntax.Literal:
		c := *e
		return &c
	case *syntax.IndexExpr:
		c := *e
		c.X, c.Y = again(e.X), again(e.Y)
		return &c
	case *syntax.ParenExpr:
		c := *e
		c.X = again(e.X)
		return &c
	case *syntax.DotExpr:
		c := *e
		c.X = again(e.X)
		return &c
	case *syntax.UnaryExpr:
		c := *e
		c.X = again(e.X)
		return &c
	case *syntax.BinaryExpr:
		c := *e
		c.X, c.Y = again(e.X), again(e.Y)
		return guard(&c)
	case *syntax.TupleExpr:
		c := *e
		c.List = slices.Clone(e.List)
		for i := range c.List {
			c.List[i] = again(c.List[i])
		}
		return &c
	}
	return e
}

// target is what is assigned to: its parts are read, itself it is not.
func (r *rewriter) target(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.IndexExpr:
		e.X, e.Y = r.expr(e.X), r.expr(e.Y)
	case *syntax.DotExpr:
		e.X = r.expr(e.X)
	case *syntax.ParenExpr:
		r.target(e.X)
	case *syntax.TupleExpr:
		for _, x := range e.List {
			r.target(x)
		}
	case *syntax.ListExpr:
		for _, x := range e.List {
			r.target(x)
		}
	}
}

func (r *rewriter) exprs(list []syntax.Expr) {
	for i := range list {
		list[i] = r.expr(list[i])
	}
}

func (r *rewriter) expr(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.BinaryExpr:
		if e.Op == syntax.EQ { // name = value of a parameter or an argument
			e.Y = r.expr(e.Y)
			return e
		}
		e.X, e.Y = r.expr(e.X), r.expr(e.Y)
		return guard(e)
	case *syntax.CallExpr:
		e.Fn = r.expr(e.Fn)
		r.exprs(e.Args)
		for _, a := range e.Args {
			if star, is := a.(*syntax.UnaryExpr); is && star.Op == syntax.STAR && star.X != nil {
				star.X = call(nameSpread, star.OpPos, star.X)
			}
		}
	case *syntax.Comprehension:
		r.clauses(e)
	case *syntax.CondExpr:
		e.Cond, e.True, e.False = r.expr(e.Cond), r.expr(e.True), r.expr(e.False)
	case *syntax.DictEntry:
		e.Key, e.Value = r.expr(e.Key), r.expr(e.Value)
	case *syntax.DictExpr:
		r.exprs(e.List)
	case *syntax.DotExpr:
		e.X = r.expr(e.X)
		if methods[e.Name.Name] != nil {
			return call(nameDot, e.Dot, e.X, &syntax.Literal{Token: syntax.STRING, TokenPos: e.NamePos, Raw: `""`, Value: e.Name.Name})
		}
	case *syntax.IndexExpr:
		e.X, e.Y = r.expr(e.X), r.expr(e.Y)
	case *syntax.LambdaExpr:
		r.exprs(e.Params)
		e.Body = r.expr(e.Body)
	case *syntax.ListExpr:
		r.exprs(e.List)
	case *syntax.ParenExpr:
		e.X = r.expr(e.X)
	case *syntax.SliceExpr:
		r.slice(e)
	case *syntax.TupleExpr:
		r.exprs(e.List)
	case *syntax.UnaryExpr:
		if e.X != nil {
			e.X = r.expr(e.X)
		}
	}
	return e
}

func (r *rewriter) clauses(e *syntax.Comprehension) {
	for _, c := range e.Clauses {
		switch c := c.(type) {
		case *syntax.ForClause:
			r.target(c.Vars)
			c.X = r.expr(c.X)
		case *syntax.IfClause:
			c.Cond = r.expr(c.Cond)
		}
	}
	e.Body = r.expr(e.Body)
}

func (r *rewriter) slice(e *syntax.SliceExpr) {
	e.X = call(nameSpread, e.Lbrack, r.expr(e.X)) // a slice may be as long as what it is taken from
	for _, part := range []*syntax.Expr{&e.Lo, &e.Hi, &e.Step} {
		if *part != nil {
			*part = r.expr(*part)
		}
	}
}

// guard replaces an operation by the call that does it.
func guard(e *syntax.BinaryExpr) syntax.Expr {
	name := operators[e.Op]
	if name == "" || number(e.X, e.Op) || number(e.Y, e.Op) {
		if name = comparisons[e.Op]; name == "" || simple(e.X) || simple(e.Y) {
			return e
		}
	}
	return call(name, e.OpPos, e.X, e.Y)
}

func call(name string, at syntax.Position, args ...syntax.Expr) *syntax.CallExpr {
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: at, Name: name}, Lparen: at, Args: args, Rparen: at}
}

// fail keeps the first thing that is wrong.
func (r *rewriter) fail(at syntax.Position, message string) {
	if r.err == nil {
		r.err = syntax.Error{Pos: at, Msg: message}
	}
}
