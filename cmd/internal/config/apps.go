package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"scada/acquisition/script"
	"scada/acquisition/tag"
)

// Limits of the applications.
const (
	maxApps      = 1_000
	maxAppTags   = 1_000 // inputs, or writes, of one application
	minAppPeriod = 10 * time.Millisecond
	maxAppPeriod = 24 * time.Hour
	defaultStale = 10 * time.Second
)

// apps adds the applications to the devices: an application is a device whose tags are its outputs.
func (b *builder) apps(devices map[string]*Device) {
	if len(b.file.Apps) > maxApps {
		b.failf("apps", "%d applications, the limit is %d", len(b.file.Apps), maxApps)
		return
	}
	for i := range b.file.Apps {
		f, path := &b.file.Apps[i], index("apps", i)
		d := &Device{Name: f.Name, Area: f.Area, Driver: "application", Probe: "none"}
		if d.Area == "" && len(b.config.Areas) == 1 {
			d.Area = b.config.Areas[0].Name
		}
		d.App = &App{
			File: b.resolvePath(orDefault(f.File, filepath.Join("apps", f.Name+".star"))), Inputs: f.Inputs, Writes: f.Writes, Every: f.Every,
			StaleAfter: orDefault(f.StaleAfter, defaultStale),
		}
		if !isName(f.Name) {
			b.failf(path, "name %q: letters, digits, - and _ only, 64 at most", f.Name)
		}
		if devices[f.Name] != nil {
			b.failf(path+".name", "a device or an application %q stands already", f.Name)
			continue
		}
		if !slices.ContainsFunc(b.config.Areas, func(a Area) bool { return a.Name == d.Area }) {
			b.failf(path+".area", "no area is named %q", d.Area)
		}
		if f.Every != 0 && (f.Every < minAppPeriod || f.Every > maxAppPeriod) {
			b.failf(path+".every", "%s is outside %s .. %s", f.Every, minAppPeriod, maxAppPeriod)
		}
		if f.StaleAfter < 0 {
			b.failf(path+".stale_after", "%s is negative", f.StaleAfter)
		}
		devices[f.Name] = d
		if b.appDevices == nil {
			b.appDevices = map[string]*Device{}
		}
		b.appDevices[f.Name] = d
	}
}

// output fills in what a tag of an application has instead of a device and an address.
func (b *builder) output(t *tagFile, def *tag.Definition, devices map[string]*Device) {
	b.none(t, "a tag of an application has none")
	d := devices[t.App]
	if d == nil || d.App == nil {
		b.tagf(t, "app", "no application is named %q", t.App)
		return
	}
	def.Device, def.Area = t.App, d.Area
}

// none refuses the settings that only a tag of a device has.
func (b *builder) none(t *tagFile, why string) {
	for field, given := range map[string]bool{
		"device": t.Device != "", "address": t.Address != "", "writable": t.Writable, "scale": len(t.Scale.Raw)+len(t.Scale.EU) > 0, "byte_order": t.ByteOrder != "",
		"deadband": t.Deadband != 0,
	} {
		if given {
			b.tagf(t, field, "%s", why)
		}
	}
}

// checkApps checks what the applications may read and write, and adds them to the devices.
func (b *builder) checkApps() {
	for i := range b.file.Apps {
		f, path := &b.file.Apps[i], index("apps", i)
		d := b.appDevices[f.Name]
		if d == nil {
			continue
		}
		b.appTags(path+".inputs", f.Inputs, func(tag.Definition) string { return "" })
		b.appTags(path+".writes", f.Writes, func(def tag.Definition) string {
			switch {
			case !def.Writable:
				return "is not writable"
			case def.Area != d.Area:
				return "is in area " + def.Area + ": an application writes in its own"
			}
			return ""
		})
		b.config.Devices = append(b.config.Devices, *d)
	}
}

func (b *builder) appTags(path string, names []string, wrong func(tag.Definition) string) {
	if len(names) > maxAppTags {
		b.failf(path, "%d tags, the limit is %d", len(names), maxAppTags)
		return
	}
	for i, name := range names {
		id, ok := b.config.Lookup(name)
		switch {
		case !ok && !b.tagsMissing:
			b.failf(index(path, i), "no tag is named %q", name)
		case ok:
			if why := wrong(b.config.Tags[id]); why != "" {
				b.failf(index(path, i), "tag %q %s", name, why)
			}
		}
	}
}

// CheckSources compiles the sources of the applications as they lie in their files. A node starts without: it may have a
// newer generation of its own, and an application that does not run must not keep the plant from being polled.
func (c *Config) CheckSources() error {
	var errs []error
	for _, d := range c.Devices {
		if d.App == nil {
			continue
		}
		source, err := os.ReadFile(d.App.File)
		if err == nil {
			_, err = script.Compile(d.App.File, source)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("application %s: %w", d.Name, err))
		}
	}
	return errors.Join(errs...)
}
