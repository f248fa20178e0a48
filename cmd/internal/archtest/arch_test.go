// Package archtest keeps the shape of the house: who may import whom, one package comment each, no clock in a pure
// package, no function longer than a screen without a reason.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module = "scada/"

// allowed lists, for each room, the other rooms it may import. A room missing here may import none. The rooms under
// cmd may import everything but each other's mains.
var allowed = map[string][]string{
	"acquisition/tag":       {},
	"acquisition/live":      {"acquisition/tag"},
	"acquisition/plan":      {"acquisition/tag"},
	"acquisition/schedule":  {"acquisition/tag"},
	"acquisition/script":    {"acquisition/tag"},
	"acquisition/calc":      {"acquisition", "acquisition/tag", "acquisition/live", "acquisition/script"}, // implements acquisition.Source
	"acquisition/app":       {"acquisition", "acquisition/tag", "acquisition/live", "acquisition/script"}, // implements acquisition.Source
	"acquisition/system":    {"acquisition", "acquisition/tag"},                                           // implements acquisition.Source
	"acquisition":           {"acquisition/tag", "acquisition/live"},
	"acquisition/modbus":    {"acquisition", "acquisition/tag", "acquisition/plan", "acquisition/schedule"}, // implements acquisition.Source
	"acquisition/opcua":     {"acquisition", "acquisition/tag", "web/uaserver/guard"},                       // implements acquisition.Source; guard stands before the codec on both sides
	"alarms":                {"acquisition/tag"},
	"alarms/vectors":        {"alarms"}, // for tests: the published stories
	"history/block":         {"acquisition/tag"},
	"history/journal":       {"acquisition/tag", "alarms"}, // journals alarm events
	"history":               {"acquisition/tag", "history/block"},
	"history/export":        {"acquisition/tag"},
	"redundancy/role":       {},
	"redundancy/resource":   {},
	"redundancy/wire":       {"acquisition/tag", "redundancy/role"},
	"redundancy/simulation": {"redundancy/role", "redundancy/wire"},
	"redundancy/pki":        {},
	"redundancy":            {"acquisition/tag", "redundancy/role", "redundancy/wire"},
	"web/api":               {},
	"web/ui":                {},
	"web/svg":               {},
	"web/people":            {},
	"web/oidc":              {},
	"web/parquet":           {"web/api"},
	"web":                   {"web/api", "web/ui", "web/svg", "web/oidc", "web/parquet", "acquisition/tag", "acquisition/live"},
	"web/uaserver":          {"acquisition/tag", "acquisition/live", "alarms"},
	"simulators/process":    {"acquisition/tag"},
	"simulators/memnet":     {},
	"simulators/mill":       {"acquisition/tag"}, // what a plant sends, for measurements of the history
	"simulators/plc":        {"acquisition/tag", "simulators/process"},
	"simulators/ua":         {"acquisition/tag", "simulators/process", "acquisition/live", "web/uaserver"}, // the simulated device speaks through our own server
	"cmd/scadactl":          {"web/api", "web/parquet", "cmd/internal/config"},                             // files are written, read and checked where they are

	"redundancy/witness":       {"redundancy/role", "redundancy/witness/lease"}, // implements redundancy.Witness
	"redundancy/witness/lease": {},
}

// pure packages hold no clock, goroutine, lock, log or random source.
var pure = []string{"acquisition/tag", "acquisition/plan", "acquisition/schedule", "acquisition/script", "alarms", "history/block", "web/people", "redundancy/role", "redundancy/wire", "redundancy/witness/lease"}

var impureImports = map[string]string{
	"log": "return events instead", "log/slog": "return events instead", "sync": "the owner serialises calls",
	"sync/atomic": "the owner serialises calls", "net": "shells do I/O", "os": "shells do I/O", "math/rand": "pass the choice in",
	"math/rand/v2": "pass the choice in", "crypto/rand": "pass the choice in", "context": "a pure call ends by itself",
}

var clockCalls = map[string]bool{"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true}

// long lists functions that may be longer than the limit, with the reason.
var long = map[string]string{}

const maxFunctionLines = 80

func TestShape(t *testing.T) {
	root := "../../.."
	docs := map[string][]string{}
	walk(t, root, func(room, path string, file *ast.File, fset *token.FileSet) {
		if file.Doc != nil {
			docs[room] = append(docs[room], path)
		} else if _, ok := docs[room]; !ok {
			docs[room] = nil
		}
		checkImports(t, room, path, file)
		checkPure(t, room, path, file, fset)
		checkLength(t, path, file, fset)
	})
	for room, files := range docs {
		if len(files) != 1 {
			t.Errorf("%s: %d package comments, want one: %v", room, len(files), files)
		}
	}
}

func walk(t *testing.T, root string, visit func(room, path string, file *ast.File, fset *token.FileSet)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "node_modules" || name == "testdata" || name == ".git" || name == "bin" || name == "run") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, src, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(filepath.Dir(rel)), filepath.ToSlash(rel), file, fset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkImports(t *testing.T, room, path string, file *ast.File) {
	list, known := allowed[room]
	if !known && !strings.HasPrefix(room, "cmd/") && !under(room) {
		t.Errorf("%s: room %s is not in the plan (archtest.allowed)", path, room)
	}
	for _, imp := range file.Imports {
		name := strings.Trim(imp.Path.Value, `"`)
		target, ours := strings.CutPrefix(name, module)
		if !ours {
			continue
		}
		if strings.HasPrefix(room, "cmd/") && room != "cmd/scadactl" {
			if strings.HasPrefix(target, "simulators/") && !strings.HasPrefix(room, "cmd/scadasim") && !strings.HasPrefix(room, "cmd/internal/historybench") {
				t.Errorf("%s imports %s: only scadasim, measurements and tests use simulators", path, target)
			}
			continue
		}
		if !permits(list, room, target) {
			t.Errorf("%s imports %s: %s may import %v (archtest.allowed)", path, target, room, list)
		}
	}
}

// under reports whether the room is an internal sub-room of a listed one (web/uaserver/session): those follow their parent.
func under(room string) bool { return parent(room) != "" }

func parent(room string) string {
	for r := filepath.ToSlash(filepath.Dir(room)); r != "."; r = filepath.ToSlash(filepath.Dir(r)) {
		if _, ok := allowed[r]; ok && r != "acquisition" && r != "redundancy" && r != "history" && r != "web" {
			return r
		}
	}
	return ""
}

func permits(list []string, room, target string) bool {
	if p := parent(room); p != "" {
		list = append([]string{p}, allowed[p]...)
		if strings.HasPrefix(target, p+"/") {
			return true
		}
	}
	for _, a := range list {
		if target == a {
			return true
		}
	}
	return strings.HasPrefix(target, room+"/") && under(target)
}

func checkPure(t *testing.T, room, path string, file *ast.File, fset *token.FileSet) {
	isPure := false
	for _, p := range pure {
		isPure = isPure || room == p
	}
	if !isPure {
		return
	}
	for _, imp := range file.Imports {
		if why, bad := impureImports[strings.Trim(imp.Path.Value, `"`)]; bad {
			t.Errorf("%s imports %s: %s", path, imp.Path.Value, why)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s: a goroutine in a pure package", fset.Position(n.Pos()))
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && clockCalls[n.Sel.Name] {
				t.Errorf("%s: time.%s in a pure package: take the time as an argument", fset.Position(n.Pos()), n.Sel.Name)
			}
		}
		return true
	})
}

func checkLength(t *testing.T, path string, file *ast.File, fset *token.FileSet) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1
		key := path + ":" + f.Name.Name
		if lines > maxFunctionLines && long[key] == "" {
			t.Errorf("%s: %s has %d lines, the limit is %d (or name the reason in archtest.long)", path, f.Name.Name, lines, maxFunctionLines)
		}
	}
}
