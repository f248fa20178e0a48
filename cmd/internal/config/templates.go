package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"scada/alarms"
)

// Margin is a deadband: in the unit of the tag, or in percent of its range.
type Margin struct {
	Value   float64
	Percent bool
}

func (m *Margin) parseText(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || percent && (v < 0 || v > 100) {
		return fmt.Errorf("%q is not a number, nor a percentage of the range", text)
	}
	*m = Margin{Value: v, Percent: percent}
	return nil
}

// builtIn are the templates that are there without being written: what is usually taken to begin with.
func builtIn() map[string]alarmFile {
	seconds := func(n int) Seconds { return Seconds(time.Duration(n) * time.Second) }
	return map[string]alarmFile{
		"temperature": {Type: "level", Deadband: Margin{1, true}, OffDelay: seconds(60)},
		"flow":        {Type: "level", Deadband: Margin{5, true}, OffDelay: seconds(15)},
		"level":       {Type: "level", Deadband: Margin{5, true}, OffDelay: seconds(60)},
		"pressure":    {Type: "level", Deadband: Margin{2, true}, OffDelay: seconds(15)},
		"trip":        {Type: "discrete", Normal: []float64{0}, Latch: true, Priority: Priority(alarms.PriorityHigh)},
	}
}

// templates completes every alarm: what it does not say itself is taken from its template, and then from the defaults.
func (b *builder) templates() {
	f := &b.file.Alarms
	for i := range f.List {
		path := index("alarms.list", i)
		own := &f.List[i]
		if own.Use != "" {
			if t, ok := f.Templates[own.Use]; ok {
				b.inherit(path, own, "alarms.templates."+own.Use, &t)
			} else if t, ok := builtIn()[own.Use]; ok {
				b.inherit(path, own, "", &t)
			} else {
				known := slices.Sorted(maps.Keys(f.Templates))
				b.failf(path+".use", "no template is named %q (known: %s)", own.Use, strings.Join(append(known, slices.Sorted(maps.Keys(builtIn()))...), ", "))
			}
		}
		b.inherit(path, own, "alarms.defaults", &f.Defaults)
	}
	for name, t := range f.Templates {
		if t.ID != "" || t.Tag != "" || t.Use != "" {
			b.failf("alarms.templates."+name, "a template has no id, no tag and no template of its own")
		}
	}
	if d := f.Defaults; d.ID != "" || d.Tag != "" || d.Use != "" {
		b.failf("alarms.defaults", "the defaults have no id, no tag and no template")
	}
}

// inherit sets the fields that are not written at path to those that are written at from; an empty from is a template
// that is not written anywhere, whose fields count when they are not zero.
func (b *builder) inherit(path string, own *alarmFile, from string, base *alarmFile) {
	to, src := reflect.ValueOf(own).Elem(), reflect.ValueOf(base).Elem()
	for name, i := range fieldsOf(to.Type()) {
		if _, given := b.where[path+"."+name]; given || !to.Field(i).IsZero() {
			continue
		}
		_, written := b.where[from+"."+name]
		if written || from == "" && !src.Field(i).IsZero() {
			to.Field(i).Set(src.Field(i))
		}
	}
}

// groupFile is a first-out group, or a parent whose alarm suppresses others.
type groupFile struct {
	FirstOut   string   `yaml:"first_out"`
	Members    []string `yaml:"members"`
	Parent     string   `yaml:"parent"`
	Suppresses []string `yaml:"suppresses"`
}

// groups puts alarms into groups, by id; * stands for any part of one.
func (b *builder) groups() {
	for i, g := range b.file.Alarms.Groups {
		path := index("alarms.groups", i)
		switch {
		case g.FirstOut != "" && g.Parent == "" && len(g.Suppresses) == 0:
			b.group(path+".members", g.Members, g.FirstOut, "first-out group", "", func(f *alarmFile) *string { return &f.FirstOutGroup })
		case g.Parent != "" && g.FirstOut == "" && len(g.Members) == 0:
			b.group(path+".suppresses", g.Suppresses, g.Parent, "parent", g.Parent, func(f *alarmFile) *string { return &f.SuppressedBy })
		default:
			b.failf(path, "a group is first_out with members, or parent with suppresses")
		}
	}
}

func (b *builder) group(path string, patterns []string, value, what, but string, field func(*alarmFile) *string) {
	if len(patterns) == 0 {
		b.failf(path, "no alarm is named")
	}
	for j, p := range patterns {
		found := false
		for i := range b.file.Alarms.List {
			f := &b.file.Alarms.List[i]
			if !like(p, f.ID) || f.ID == but {
				continue
			}
			found = true
			if at := field(f); *at != "" && *at != value {
				b.failf(index(path, j), "alarm %q has the %s %q already", f.ID, what, *at)
			} else {
				*at = value
			}
		}
		if !found {
			b.failf(index(path, j), "no alarm is like %q", p)
		}
	}
}

// like reports whether a name is like a pattern, in which * stands for any part of one.
func like(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, last)
}

// margin returns a deadband in the unit of the alarm's tag.
func (b *builder) margin(path string, m Margin, tagName string) float64 {
	if !m.Percent {
		return m.Value
	}
	id, ok := b.config.Lookup(tagName)
	if !ok {
		return 0 // that the tag is unknown is told elsewhere
	}
	r := b.config.Tags[id].Range
	if r.High <= r.Low {
		b.failf(path, "a deadband in percent needs the range of tag %q", tagName)
		return 0
	}
	return m.Value / 100 * (r.High - r.Low)
}
