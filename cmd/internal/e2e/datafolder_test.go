//go:build e2e

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// checkDataFolders holds docs/data-folder.md against the files the nodes have made.
func (r *rig) checkDataFolders() {
	t := r.t
	t.Helper()
	page, err := os.ReadFile("../../../docs/data-folder.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		listed = append(listed, m[1])
	}
	for _, node := range []string{"a", "b"} {
		root, files := filepath.Join(r.dir, "data", node), 0
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return ignoreGone(err)
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			files++
			for _, pattern := range listed {
				if ok, err := filepath.Match(pattern, filepath.ToSlash(name)); ok || err != nil {
					return err
				}
			}
			if !strings.HasSuffix(name, ".new") && !strings.Contains(filepath.Base(name), ".tmp") { // being written at this moment
				t.Errorf("docs/data-folder.md does not list %s", name)
			}
			return nil
		})
		if err != nil || files < 5 {
			t.Errorf("%d files in the data folder of %s, %v", files, node, err)
		}
	}
}

// ignoreGone forgives files that are removed while they are looked at.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
