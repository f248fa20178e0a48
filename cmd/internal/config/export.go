package config

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"scada/history/export"
)

// exportFile is an engine that is sent the history.
type exportFile struct {
	Name         string            `yaml:"name"`
	URL          string            `yaml:"url"`
	BearerFile   string            `yaml:"bearer_file"`
	User         string            `yaml:"user"`
	PasswordFile string            `yaml:"password_file"`
	CAFile       string            `yaml:"ca_file"`
	Headers      map[string]string `yaml:"headers"`
	Tags         []string          `yaml:"tags"`
	Labels       map[string]string `yaml:"labels"`
	Batch        int               `yaml:"batch"`
	Horizon      *time.Duration    `yaml:"horizon"`
	Interval     time.Duration     `yaml:"interval"`
	Timeout      time.Duration     `yaml:"timeout"`
}

const (
	maxExportGlobs = 1000
	maxCABytes     = 256 << 10
)

// exports reads the engines the history is sent to.
func (b *builder) exports() {
	files := b.file.History.Export
	if len(files) > export.MaxTargets {
		b.failf("history.export", "%d targets, the limit is %d", len(files), export.MaxTargets)
		return
	}
	seen := map[string]bool{}
	for i := range files {
		path, f := index("history.export", i), &files[i]
		if !isName(f.Name) || seen[f.Name] {
			b.failf(path+".name", "target name %q is there twice, or not of letters, digits, - and _ (64 at most)", f.Name)
		}
		seen[f.Name] = true
		b.config.History.Export = append(b.config.History.Export, b.export(path, f))
	}
}

func (b *builder) export(path string, f *exportFile) export.Config {
	c := export.Config{
		Name: f.Name, URL: f.URL, Headers: f.Headers, User: f.User, Tags: f.Tags, Labels: f.Labels, Batch: f.Batch, Interval: f.Interval, Timeout: f.Timeout,
		Bearer: b.secret(path+".bearer_file", f.BearerFile), Password: b.secret(path+".password_file", f.PasswordFile), CA: b.authority(path+".ca_file", f.CAFile),
	}
	b.receiverURL(path+".url", f.URL, "http", "https")
	if u, err := url.Parse(f.URL); err == nil && u.User != nil {
		b.failf(path+".url", "a password does not belong into an address: use user and password_file")
	}
	if c.Bearer != "" && c.User != "" {
		b.failf(path+".user", "either bearer_file or user")
	}
	if f.Batch < 0 || f.Batch > export.MaxBatch {
		b.failf(path+".batch", "%d is outside 1 .. %d", f.Batch, export.MaxBatch)
	}
	if f.Horizon != nil {
		if c.Horizon = *f.Horizon; c.Horizon == 0 {
			c.Horizon = -1
		}
		if *f.Horizon < 0 || *f.Horizon > export.MaxHorizon {
			b.failf(path+".horizon", "%s is outside 0 .. %s", *f.Horizon, export.MaxHorizon)
		}
	}
	for name, limit := range map[string]time.Duration{"interval": export.MaxInterval, "timeout": export.MaxTimeout} {
		if d := map[string]time.Duration{"interval": f.Interval, "timeout": f.Timeout}[name]; d != 0 && (d < time.Second || d > limit) {
			b.failf(path+"."+name, "%s is outside 1s .. %s", d, limit)
		}
	}
	if len(f.Tags) > maxExportGlobs {
		b.failf(path+".tags", "%d patterns, the limit is %d", len(f.Tags), maxExportGlobs)
	}
	for i, glob := range f.Tags {
		if glob == "" || len(glob) > export.MaxLabelText {
			b.failf(index(path+".tags", i), "a pattern has 1 to %d bytes", export.MaxLabelText)
		}
	}
	b.exportTexts(path, f)
	return c
}

func (b *builder) exportTexts(path string, f *exportFile) {
	if len(f.Labels) > export.MaxLabels || len(f.Headers) > export.MaxHeaders {
		b.failf(path, "%d labels and %d headers, the limits are %d and %d", len(f.Labels), len(f.Headers), export.MaxLabels, export.MaxHeaders)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		if err := export.CheckLabel(name, f.Labels[name]); err != nil {
			b.failf(path+".labels", "%s", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Headers)) {
		value := f.Headers[name]
		if name == "" || len(name)+len(value) > export.MaxLabelText || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) ||
			strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) || http.CanonicalHeaderKey(name) == "Authorization" {
			b.failf(path+".headers", "%q is no header that can be set here", name)
		}
	}
}

// authority reads the certificates a server is believed by.
func (b *builder) authority(path, name string) string {
	if name == "" {
		return ""
	}
	name = b.resolvePath(name)
	info, err := os.Stat(name)
	if err == nil && (info.IsDir() || info.Size() > maxCABytes) {
		b.failf(path, "%s is a folder or larger than %d bytes", name, maxCABytes)
		return ""
	}
	text, err := os.ReadFile(name)
	switch {
	case err != nil:
		b.failf(path, "%s", err)
	case !strings.Contains(string(text), "-----BEGIN CERTIFICATE-----"):
		b.failf(path, "%s has no certificate in PEM", name)
	}
	return string(text)
}

// exports notes what differs between the engines of two configurations. No secret is told.
func (d *Diff) exports(from, to []export.Config) {
	open := func(c export.Config) export.Config {
		c.Bearer, c.Password, c.CA, c.Headers = "", "", "", nil
		return c
	}
	was := map[string]export.Config{}
	for _, c := range from {
		was[c.Name] = c
	}
	var list []Change
	for _, c := range to {
		old, there := was[c.Name]
		delete(was, c.Name)
		switch {
		case !there:
			list = append(list, Change{Section: "history.export", Name: c.Name, Kind: Added})
		case !reflect.DeepEqual(old, c):
			list = append(list, Change{Section: "history.export", Name: c.Name, Kind: Changed, Detail: differing(open(old), open(c))})
		}
	}
	for name := range was {
		list = append(list, Change{Section: "history.export", Name: name, Kind: Removed})
	}
	slices.SortFunc(list, func(a, b Change) int { return cmp.Compare(a.Name, b.Name) })
	d.Changes = append(d.Changes, list...)
}
