package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a configuration file. A plant of 100,000 tags keeps them in CSV files; these bound the YAML.
const (
	maxFileBytes = 16 << 20
	maxNodes     = 2_000_000 // values after aliases are followed
	maxDepth     = 32
	maxErrors    = 100
)

// Position is a place in a configuration file; lines and columns count from 1.
type Position struct {
	File      string
	Line, Col int
}

// Error is one thing wrong with the configuration.
type Error struct {
	Position
	Path    string // devices[3].modbus.timeout
	Message string
}

// Error formats the error as file:line:col: path: message, which editors can jump to.
func (e Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", e.File, e.Line, e.Col, e.Path, e.Message)
}

// Errors is everything wrong with the configuration, in order of file and line.
type Errors []Error

// Error lists one error a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// document decodes one YAML file into Go values by reflection. It differs from the library's own decoder in that it
// goes on after an error, so that an engineer sees all of them at once, and remembers where each value stood, so that
// the rules that are checked later can name the line too.
type document struct {
	file    string
	where   map[string]Position
	anchors map[string]ast.Node
	nodes   int
	read    bool // the file is YAML
	errs    Errors
}

func parse(file string, src []byte, into any) *document {
	d := &document{file: file, where: map[string]Position{}, anchors: map[string]ast.Node{}}
	if len(src) > maxFileBytes {
		d.add("", Position{file, 1, 1}, "the file has %d bytes, the limit is %d", len(src), maxFileBytes)
		return d
	}
	if line := tooMany(src); line > 0 {
		d.add("", Position{file, line, 1}, "more than %d commas, colons, brackets and lines up to here: lists of so many tags belong in CSV files (tag_files)", maxMarks)
		return d
	}
	tokens := lexer.Tokenize(string(src))
	if t := tooDeep(tokens); t != nil {
		d.add("", Position{file, t.Position.Line, t.Position.Column}, "nested deeper than %d levels", maxNesting)
		return d
	}
	tree, err := parser.Parse(tokens, 0)
	if err != nil {
		d.syntax(err)
		return d
	}
	if len(tree.Docs) > 1 {
		d.add("", Position{file, tree.Docs[1].Start.Position.Line, 1}, "one YAML document is allowed in the file")
		return d
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		d.add("", Position{file, 1, 1}, "the file is empty")
		return d
	}
	d.read = true
	d.decode("", tree.Docs[0].Body, reflect.ValueOf(into).Elem(), 0)
	return d
}

// syntax takes the position out of the parser's own error.
func (d *document) syntax(err error) {
	var line, col int
	msg := err.Error()
	if n, _ := fmt.Sscanf(msg, "[%d:%d]", &line, &col); n == 2 {
		_, msg, _ = strings.Cut(msg, "]")
	}
	msg, _, _ = strings.Cut(strings.TrimSpace(msg), "\n")
	d.add("", Position{d.file, max(line, 1), max(col, 1)}, "not valid YAML: %s", msg)
}

func (d *document) add(path string, at Position, format string, args ...any) {
	e := Error{at, printable(path), printable(fmt.Sprintf(format, args...))}
	if len(d.errs) < maxErrors && !slices.Contains(d.errs, e) { // a tag of a profile is checked for each of its devices
		d.errs = append(d.errs, e)
	}
}

// printable keeps what a file holds from doing something to the terminal it is shown on.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// at returns where the value at path, or the nearest one around it, stands.
func (d *document) at(path string) Position {
	for p := path; p != ""; {
		if pos, ok := d.where[p]; ok {
			return pos
		}
		cut := max(strings.LastIndexByte(p, '.'), strings.LastIndexByte(p, '['))
		if cut < 0 {
			break
		}
		p = p[:cut]
	}
	return Position{d.file, 1, 1}
}

// failf reports that the value at path breaks a rule.
func (d *document) failf(path, format string, args ...any) { d.add(path, d.at(path), format, args...) }

func (d *document) position(tok *token.Token) Position {
	if tok == nil || tok.Position == nil {
		return Position{d.file, 1, 1}
	}
	return Position{d.file, tok.Position.Line, tok.Position.Column}
}

// scalar lets a type read itself from the text of a YAML scalar.
type scalar interface{ parseText(s string) error }

var durationType = reflect.TypeFor[time.Duration]()

func (d *document) decode(path string, n ast.Node, v reflect.Value, depth int) {
	d.nodes++
	if d.nodes > maxNodes || depth > maxDepth {
		if len(d.errs) == 0 || !strings.HasPrefix(d.errs[len(d.errs)-1].Message, "too large") {
			d.add(path, d.position(n.GetToken()), "too large: more than %d values or %d levels", maxNodes, maxDepth)
		}
		return
	}
	n = d.resolve(path, n)
	if n == nil {
		return
	}
	if _, known := d.where[path]; !known {
		d.where[path] = d.position(start(n))
	}
	if _, null := n.(*ast.NullNode); null {
		return
	}
	if s, ok := v.Addr().Interface().(scalar); ok {
		d.text(path, n, s.parseText)
		return
	}
	switch {
	case v.Type() == durationType:
		d.text(path, n, func(s string) (err error) { return parseDuration(s, v.Addr().Interface().(*time.Duration)) })
	case v.Kind() == reflect.Struct:
		d.mapping(path, n, v, depth)
	case v.Kind() == reflect.Map:
		d.dictionary(path, n, v, depth)
	case v.Kind() == reflect.Slice:
		d.sequence(path, n, v, depth)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(path, n, v.Elem(), depth)
	default:
		d.text(path, n, func(s string) error { return setScalar(v, s) })
	}
}

func start(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		return m.Values[0].Key.GetToken()
	}
	return n.GetToken()
}

// resolve follows anchors and aliases.
func (d *document) resolve(path string, n ast.Node) ast.Node {
	for range maxDepth {
		switch x := n.(type) {
		case *ast.AnchorNode:
			d.anchors[x.Name.GetToken().Value] = x.Value
			n = x.Value
		case *ast.AliasNode:
			target, ok := d.anchors[x.Value.GetToken().Value]
			if !ok {
				d.add(path, d.position(x.GetToken()), "no anchor &%s stands above this alias", x.Value.GetToken().Value)
				return nil
			}
			n = target
		case *ast.TagNode:
			d.add(path, d.position(x.GetToken()), "YAML tags (%s) are not used here", x.GetToken().Value)
			return nil
		default:
			return n
		}
	}
	d.add(path, d.position(n.GetToken()), "aliases nested too deep")
	return nil
}

func (d *document) text(path string, n ast.Node, set func(string) error) {
	var s string
	switch x := n.(type) {
	case *ast.StringNode:
		s = x.Value
	case *ast.LiteralNode:
		s = x.Value.Value
	case ast.ScalarNode:
		s = x.GetToken().Value
	default:
		d.add(path, d.position(start(n)), "one value expected, found a %s", kindName(n))
		return
	}
	if err := set(s); err != nil {
		d.add(path, d.position(n.GetToken()), "%s", err)
	}
}

func kindName(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "mapping"
	case *ast.SequenceNode:
		return "list"
	}
	return "single value"
}

func entries(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch x := n.(type) {
	case *ast.MappingNode:
		return x.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{x}, true
	}
	return nil, false
}

func (d *document) mapping(path string, n ast.Node, v reflect.Value, depth int) {
	values, ok := entries(n)
	if !ok {
		d.add(path, d.position(start(n)), "a mapping expected, found a %s", kindName(n))
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for _, e := range values {
		key := e.Key.GetToken().Value
		at := d.position(e.Key.GetToken())
		index, known := fields[key]
		switch {
		case !known:
			d.add(join(path, key), at, "unknown field%s", suggest(key, fields))
			continue
		case seen[key]:
			d.add(join(path, key), at, "stands twice")
			continue
		}
		seen[key] = true
		d.where[join(path, key)] = at
		d.decode(join(path, key), e.Value, v.Field(index), depth+1)
	}
}

func (d *document) dictionary(path string, n ast.Node, v reflect.Value, depth int) {
	values, ok := entries(n)
	if !ok {
		d.add(path, d.position(start(n)), "a mapping expected, found a %s", kindName(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range values {
		key := e.Key.GetToken().Value
		p := join(path, key)
		d.where[p] = d.position(e.Key.GetToken())
		k := reflect.ValueOf(key).Convert(v.Type().Key())
		if v.MapIndex(k).IsValid() {
			d.add(p, d.where[p], "stands twice")
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(p, e.Value, item, depth+1)
		v.SetMapIndex(k, item)
	}
}

func (d *document) sequence(path string, n ast.Node, v reflect.Value, depth int) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.add(path, d.position(start(n)), "a list expected, found a %s", kindName(n))
		return
	}
	for i, item := range seq.Values {
		p := path + "[" + strconv.Itoa(i) + "]"
		e := reflect.New(v.Type().Elem()).Elem()
		d.decode(p, item, e, depth+1)
		v.Set(reflect.Append(v, e))
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			fields[name] = i
		}
	}
	return fields
}

// suggest names the fields that a wrong one may have meant.
func suggest(key string, fields map[string]int) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		if distance(key, name) <= 1+len(name)/4 {
			return fmt.Sprintf(" (did you mean %q?)", name)
		}
		names = append(names, name)
	}
	sort.Strings(names)
	return " (known: " + strings.Join(names, ", ") + ")"
}

// distance is the number of single letter edits between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func setScalar(v reflect.Value, s string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, ok := map[string]bool{"true": true, "false": false, "on": true, "off": false, "yes": true, "no": false}[s]
		if !ok {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(s, 0, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%q is not a number", s)
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("cannot hold %q", s)
	}
	return nil
}

// parseDuration reads Go's notation and, beyond it, days (d) and years of 365 days (y).
func parseDuration(s string, into *time.Duration) error {
	for unit, hours := range map[string]float64{"d": 24, "y": 24 * 365} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			f, err := strconv.ParseFloat(number, 64)
			if err != nil || f < 0 || f*hours > 24*365*200 {
				return fmt.Errorf("%q is not a duration", s)
			}
			*into = time.Duration(f * hours * float64(time.Hour))
			return nil
		}
	}
	dur, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration (100ms, 1s, 10m, 24h, 30d, 5y)", s)
	}
	*into = dur
	return nil
}

// Size is a number of bytes, written as 20GiB, 512MiB, 64KiB, 10GB or a plain number.
type Size int64

func (b *Size) parseText(s string) error {
	units := []struct {
		name string
		size float64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}, {"", 1}}
	for _, u := range units {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err != nil || f < 0 || f*u.size > 1<<60 {
				break
			}
			*b = Size(f * u.size)
			return nil
		}
	}
	return fmt.Errorf("%q is not a size (20GiB, 512MiB)", s)
}

// Pair is two numbers: the ends of an interval.
type Pair []float64

func sortErrors(errs Errors) Errors {
	slices.SortStableFunc(errs, func(a, b Error) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	return errs
}
