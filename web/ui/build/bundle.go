package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/evanw/esbuild/pkg/api"
)

// hashDigits is how much of a file's SHA-256 stands behind ?v= in index.html.
const hashDigits = 16

// target is what the script may use: browsers of 2022 and later.
const target = api.ES2022

// bundle writes dist: script and style with their compressed copies, the page that asks for them, and the icon.
func bundle(dir string) error {
	dist := filepath.Join(dir, "dist")
	files := map[string][]byte{}
	for _, entry := range []string{"app.ts", "app.css"} {
		name, content, err := build(dir, entry)
		if err != nil {
			return err
		}
		files[name] = content
	}
	page, err := os.ReadFile(filepath.Join(dir, "src", "index.html"))
	if err != nil {
		return err
	}
	for _, name := range []string{"app.js", "app.css"} {
		sum := sha256.Sum256(files[name])
		page = bytes.ReplaceAll(page, []byte(name+`"`), []byte(name+"?v="+hex.EncodeToString(sum[:])[:hashDigits]+`"`))
	}
	files["index.html"] = page
	if files["favicon.svg"], err = os.ReadFile(filepath.Join(dir, "src", "favicon.svg")); err != nil {
		return err
	}
	total := 0
	for _, name := range []string{"app.js", "app.css"} {
		packed, err := pack(files[name])
		if err != nil {
			return fmt.Errorf("compressing %s: %w", name, err)
		}
		files[name+".gz"] = packed
		total += len(packed)
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dist, name), files[name], 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("dashboard: app.js %d B, app.css %d B, together %d B compressed\n", len(files["app.js"]), len(files["app.css"]), total)
	return nil
}

func build(dir, entry string) (name string, content []byte, err error) {
	out, err := compile(api.BuildOptions{
		EntryPoints:       []string{filepath.Join(dir, "src", entry)},
		Outdir:            filepath.Join(dir, "dist"),
		Platform:          api.PlatformBrowser,
		Format:            api.FormatESModule,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		LegalComments:     api.LegalCommentsEndOfFile,
	})
	if err != nil {
		return "", nil, err
	}
	if len(out) != 1 {
		return "", nil, fmt.Errorf("%s: %d output files, want one: a page that must outlive its server loads nothing later", entry, len(out))
	}
	return filepath.Base(out[0].Path), out[0].Contents, nil
}

func compile(options api.BuildOptions) ([]api.OutputFile, error) {
	options.Bundle = true
	options.Target = target
	options.Charset = api.CharsetUTF8
	options.LogLevel = api.LogLevelWarning
	result := api.Build(options)
	if len(result.Errors) > 0 {
		return nil, errors.New("bundling failed, see above")
	}
	return result.OutputFiles, nil
}

func pack(b []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
