package server

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// redacted stands where a secret was.
const redacted = "REDACTED"

const (
	maxSecretFile = 64 << 10 // bytes of a file that holds a secret
	minSecret     = 4        // bytes: what is shorter is replaced only where it stands in the configuration
)

var (
	secretKey  = regexp.MustCompile(`(?i)(hash|passw(or)?d|secret|token|passphrase|credentials?|api_?key|private_?key|pair_?key|bearer|authorization|headers)$`)
	secretFile = regexp.MustCompile(`(?i)(password|secret|token|passphrase|pair_?key|bearer|key)_file$`)
	userinfo   = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@"']*@`)
	webPath    = regexp.MustCompile(`(https?://[^/\s"'?#]+)[/?#][^\s"']*`)
)

// redaction is a plant file without its secrets, and what removes the same secrets from other texts.
type redaction struct {
	text     string
	secrets  []string
	replacer *strings.Replacer
}

// redact reads a plant file and takes out of it what lets somebody in somewhere: hashes, passwords, tokens, the user part of
// addresses and the path of web addresses, which is the secret of most webhooks. The texts of the files it names secrets in
// are secrets too.
func redact(path string) (*redaction, error) {
	r := &redaction{}
	b, err := os.ReadFile(path)
	if err != nil {
		return r.done(), err
	}
	var tree any
	if err := yaml.UnmarshalWithOptions(b, &tree, yaml.UseOrderedMap()); err != nil {
		return r.done(), fmt.Errorf("%s is left out, it cannot be read without risk: %s", filepath.Base(path), yaml.FormatError(err, false, false))
	}
	clean := r.walk(tree, "", filepath.Dir(path))
	out, err := yaml.Marshal(clean)
	if err != nil {
		return r.done(), fmt.Errorf("writing the configuration: %w", err)
	}
	r.done()
	r.text = r.clean(string(out))
	return r, nil
}

func (r *redaction) done() *redaction {
	// The longest first: one that begins like another must not leave its end behind.
	slices.SortFunc(r.secrets, func(x, y string) int { return len(y) - len(x) })
	var pairs []string
	for _, s := range r.secrets {
		if len(s) >= minSecret {
			pairs = append(pairs, s, redacted)
		}
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

// clean takes the secrets out of any text.
func (r *redaction) clean(s string) string {
	return userinfo.ReplaceAllString(r.replacer.Replace(s), "${1}"+redacted+"@")
}

// walk copies a tree; key is the name of what it is below.
func (r *redaction) walk(v any, key, dir string) any {
	switch v := v.(type) {
	case yaml.MapSlice:
		out := make(yaml.MapSlice, 0, len(v))
		for _, item := range v {
			name := fmt.Sprint(item.Key)
			if secretKey.MatchString(key) {
				name = key // everything below a secret is one
			}
			out = append(out, yaml.MapItem{Key: item.Key, Value: r.walk(item.Value, name, dir)})
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			out = append(out, r.walk(e, key, dir))
		}
		return out
	case nil:
		return nil
	}
	text := fmt.Sprint(v)
	switch {
	case secretKey.MatchString(key):
		r.keep(text)
		return redacted
	case secretFile.MatchString(key):
		r.file(dir, text)
	}
	if s, ok := v.(string); ok {
		return r.address(s)
	}
	return v
}

// address takes the secret parts out of an address and remembers it whole: the log may name it.
func (r *redaction) address(s string) string {
	clean := webPath.ReplaceAllString(userinfo.ReplaceAllString(s, "${1}"+redacted+"@"), "${1}/"+redacted)
	if clean != s {
		r.keep(s)
	}
	if u, err := url.Parse(s); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			r.keep(password)
		}
	}
	return clean
}

// keep remembers a secret, and each of its lines.
func (r *redaction) keep(s string) {
	for _, line := range append(strings.Split(s, "\n"), s) {
		if line = strings.TrimSpace(line); line != "" {
			r.secrets = append(r.secrets, line)
		}
	}
}

// file remembers the content of a file as a secret. One that cannot be read cannot be in any text either.
func (r *redaction) file(dir, name string) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSecretFile {
		return
	}
	if b, err := os.ReadFile(name); err == nil {
		r.keep(string(b))
	}
}
