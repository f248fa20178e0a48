package server

import (
	"io/fs"
	"os"
	"path/filepath"
)

// mimicsFolder is where the users' drawings lie, beside plant.yaml: the same on both nodes, like the tag files.
const mimicsFolder = "mimics"

func (s *Server) mimics() fs.FS {
	return os.DirFS(filepath.Join(filepath.Dir(s.cfg.Path), mimicsFolder))
}
