package web

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"

	"scada/web/api"
	"scada/web/svg"
)

// Limits of the drawings of users.
const (
	// MaxMimics is how many there may be.
	MaxMimics    = 200
	maxMimicName = 64 // bytes
)

// getMimics lists the drawings.
func (s *Server) getMimics(*call) (any, error) {
	list := api.Mimics{Mimics: []string{}}
	if s.cfg.Mimics == nil {
		return list, nil
	}
	files, err := fs.Glob(s.cfg.Mimics, "*.svg")
	if err != nil {
		return nil, fmt.Errorf("list of drawings: %w", err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f, path.Ext(f))
		if MimicName(name) && len(list.Mimics) < MaxMimics {
			list.Mimics = append(list.Mimics, name)
		}
	}
	slices.Sort(list.Mimics)
	return list, nil
}

// getMimic sends a drawing, with nothing in it but what the list of package svg allows.
func (s *Server) getMimic(c *call) (any, error) {
	name := c.r.PathValue("name")
	if !MimicName(name) || s.cfg.Mimics == nil {
		return nil, api.NewProblem(api.CodeNotFound, "no drawing %q", name)
	}
	f, err := s.cfg.Mimics.Open(name + ".svg")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, api.NewProblem(api.CodeNotFound, "no drawing %q", name)
	case err != nil:
		return nil, fmt.Errorf("drawing %s: %w", name, err)
	}
	defer f.Close()
	clean, err := svg.Clean(f)
	if err != nil {
		return nil, api.NewProblem(api.CodeUnavailable, "drawing %s: %v", name, err)
	}
	h := c.w.Header()
	h.Set("Content-Type", "image/svg+xml; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusOK)
	_, err = c.w.Write(clean)
	return nil, err
}

// MimicName reports whether a drawing may have the name: letters, digits and a few signs, so that no path leads out of the folder.
func MimicName(name string) bool {
	if name == "" || len(name) > maxMimicName {
		return false
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return true
}
