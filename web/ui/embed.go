// Package ui holds the dashboard: its TypeScript sources (src), the program that bundles them (build) and, embedded
// into the binary, the bundle (dist). The bundle is built, not committed: without it the package still compiles and
// Built reports false.
package ui

import (
	"embed"
	"io/fs"
)

// all: takes in .gitkeep, so that the pattern matches before the bundle was built.
//
//go:embed all:dist
var dist embed.FS

// Files returns the bundle: index.html, app.js, app.css and favicon.svg. app.js and app.css also stand there as
// app.js.gz and app.css.gz. The names are fixed; index.html asks for the two with ?v=<hash of the content>, so an answer to such
// a request may be cached for ever, and index.html itself may not be cached at all.
func Files() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		return dist // unreachable: the embed pattern names the directory
	}
	return sub
}

// Built reports whether the bundle is in this binary.
func Built() bool {
	_, err := fs.Stat(dist, "dist/index.html")
	return err == nil
}
