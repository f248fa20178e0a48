package config

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Limits of a bundle on its way between programs.
const (
	// MaxPacked is the longest packed bundle in bytes: one command of the link carries it.
	MaxPacked = 900 << 10
	// MaxUnpacked is how many bytes a packed bundle may have when it is unpacked.
	MaxUnpacked = 64 << 20
	maxFiles    = 1000 // files of a bundle
)

// File is one file of a bundle. Its name is relative to the folder of plant.yaml, unless the pattern that found it was not.
type File struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// Bundle is a configuration as text: plant.yaml first, then the tag and text files it names, in order of name. What differs between
// machines or is secret (keys, passwords, the sources of applications) is not in it.
type Bundle []File

// Hash names the text of the bundle, comments included. The name of the first file does not count.
func (b Bundle) Hash() string {
	h := sha256.New()
	for i, f := range b {
		name := f.Name
		if i == 0 {
			name = ""
		}
		fmt.Fprintf(h, "%d %s %d\n", len(name), name, len(f.Data))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// Pack returns the bundle compressed.
func (b Bundle) Pack() ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if err := errors.Join(json.NewEncoder(z).Encode(b), z.Close()); err != nil {
		return nil, fmt.Errorf("packing the configuration: %w", err)
	}
	if out.Len() > MaxPacked {
		return nil, fmt.Errorf("the configuration has %d bytes when it is packed, the limit is %d", out.Len(), MaxPacked)
	}
	return out.Bytes(), nil
}

// Unpack is the inverse of [Bundle.Pack].
func Unpack(packed []byte) (Bundle, error) {
	if len(packed) > MaxPacked {
		return nil, fmt.Errorf("unpacking a configuration: %d bytes, the limit is %d", len(packed), MaxPacked)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking a configuration: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, MaxUnpacked+1))
	if err != nil {
		return nil, fmt.Errorf("unpacking a configuration: %w", err)
	}
	if len(text) > MaxUnpacked {
		return nil, fmt.Errorf("unpacking a configuration: more than %d bytes", MaxUnpacked)
	}
	var b Bundle
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("unpacking a configuration: %w", err)
	}
	if len(b) == 0 || len(b) > maxFiles {
		return nil, fmt.Errorf("unpacking a configuration: %d files, 1 to %d are allowed", len(b), maxFiles)
	}
	return b, nil
}

// Load reads and checks plant.yaml and the files it names. On failure the error is of type [Errors], except when the
// file cannot be read at all.
func Load(path string) (*Config, error) {
	src, err := readLimited(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := load(path, src, readDisk)
	return c, err
}

// Read returns the text of plant.yaml and of the files it names, however wrong they are.
func Read(path string) (Bundle, error) {
	src, err := readLimited(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	b := Bundle{{Name: filepath.Base(path), Data: src}}
	var f file
	parse(path, src, &f)
	dir := filepath.Dir(path)
	for _, pattern := range slices.Concat(f.TagFiles, f.TextFiles) {
		found, _ := readDisk(dir, pattern) // what cannot be read is told when the bundle is loaded
		for _, one := range found {
			if one.err == nil && !slices.ContainsFunc(b[1:], func(f File) bool { return f.Name == one.Name }) {
				b = append(b, one.File)
			}
		}
	}
	slices.SortFunc(b[1:], func(x, y File) int { return strings.Compare(x.Name, y.Name) })
	return b, nil
}

// Load checks the bundle as if it lay at path: errors name files of that folder, and what is not in the bundle (keys,
// data folders) is looked for from there.
func (b Bundle) Load(path string) (*Config, error) {
	if len(b) == 0 {
		return nil, errors.New("the configuration has no file")
	}
	c, err := load(path, b[0].Data, b.match)
	return c, err
}

// foundFile is a tag file, or why it cannot be read.
type foundFile struct {
	File
	err error
}

// finder returns the tag files a pattern means, in order of name.
type finder func(dir, pattern string) ([]foundFile, error)

// match finds tag files in the bundle.
func (b Bundle) match(_, pattern string) ([]foundFile, error) {
	var found []foundFile
	for _, f := range b[1:] {
		ok, err := filepath.Match(filepath.Clean(pattern), f.Name)
		if err != nil {
			return nil, fmt.Errorf("matching %q: %w", pattern, err)
		}
		if ok {
			found = append(found, foundFile{File: f})
		}
	}
	slices.SortFunc(found, func(x, y foundFile) int { return strings.Compare(x.Name, y.Name) })
	return found, nil
}

// readDisk finds tag files on disk.
func readDisk(dir, pattern string) ([]foundFile, error) {
	full := pattern
	if !filepath.IsAbs(pattern) {
		full = filepath.Join(dir, pattern)
	}
	names, err := filepath.Glob(full)
	if err != nil {
		return nil, fmt.Errorf("matching %q: %w", pattern, err)
	}
	slices.Sort(names)
	var found []foundFile
	for _, name := range names {
		f := foundFile{File: File{Name: name}}
		if !filepath.IsAbs(pattern) {
			if f.Name, err = filepath.Rel(dir, name); err != nil {
				return nil, fmt.Errorf("matching %q: %w", pattern, err)
			}
		}
		f.Data, f.err = readTagFile(name)
		found = append(found, f)
	}
	return found, nil
}

func readTagFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > maxTagFileBytes {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxTagFileBytes)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}
