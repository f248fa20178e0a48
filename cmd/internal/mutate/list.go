package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// listFile is where a room keeps its faults.
const listFile = "mutations.txt"

// list are the faults of one room, and who is asked whether he notices.
//
// In the file each block of lines is a fault: what it is after "# ", then lines "file NAME" and perhaps "by NAME", then the
// text in the file after "< " and what takes its place after "> ". The first blocks say who is asked, in this order unless
// a fault names one of them: "noticer NAME: arguments of go test", and perhaps "env NAME=VALUE".
type list struct {
	root, room string
	noticers   []noticer
	env        []string
	mutations  []mutation
}

// noticer is a run of tests.
type noticer struct {
	name string
	args []string
}

// mutation is a deliberate fault: one text of one file replaced by another.
type mutation struct {
	what, file, by string
	old, new       string
}

// load reads every room's list below root.
func load(root string) ([]list, error) {
	var lists []list
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == ".tools") {
			return filepath.SkipDir
		}
		name = filepath.ToSlash(name)
		if d.IsDir() || !strings.HasSuffix(name, "/"+listFile) {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		room, err := filepath.Rel(root, strings.TrimSuffix(name, "/"+listFile))
		if err != nil {
			return err
		}
		l, err := parse(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		l.root, l.room = root, filepath.ToSlash(room)
		lists = append(lists, l)
		return nil
	})
	if err == nil && len(lists) == 0 {
		err = errors.New("no list of faults found: run it in the root of the repository")
	}
	return lists, err
}

func parse(text string) (list, error) {
	var l list
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var m mutation
		var old, replacement []string
		for line := range strings.SplitSeq(block, "\n") {
			key, rest, _ := strings.Cut(line, " ")
			switch key {
			case "#":
				m.what = strings.TrimSpace(m.what + " " + rest)
			case "noticer":
				name, args, _ := strings.Cut(rest, ":")
				l.noticers = append(l.noticers, noticer{name, strings.Fields(args)})
			case "env":
				l.env = append(l.env, rest)
			case "file":
				m.file = rest
			case "by":
				m.by = rest
			case "<":
				old = append(old, rest)
			case ">":
				replacement = append(replacement, rest)
			default:
				return l, fmt.Errorf("unknown line %q", line)
			}
		}
		m.old, m.new = strings.Join(old, "\n"), strings.Join(replacement, "\n")
		if m.file == "" && len(old) == 0 {
			continue // says who is asked
		}
		if m.what == "" || m.file == "" || m.old == "" || m.old == m.new {
			return l, fmt.Errorf("a fault needs a text, a file, and what is replaced: %q", block)
		}
		if m.by != "" && !slices.ContainsFunc(l.noticers, func(n noticer) bool { return n.name == m.by }) {
			return l, fmt.Errorf("%s: unknown noticer %q", m.what, m.by)
		}
		l.mutations = append(l.mutations, m)
	}
	if len(l.noticers) == 0 {
		return l, errors.New("nobody is asked")
	}
	return l, nil
}

// faulty returns the file's path and its text with the fault. A text that occurs twice, or no more, is not one place.
func (l list) faulty(m mutation) (file, text string, err error) {
	file = path.Join(l.root, l.room, m.file)
	b, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		return "", "", fmt.Errorf("its text occurs %d times in %s", n, m.file)
	}
	return file, strings.Replace(string(b), m.old, m.new, 1), nil
}
