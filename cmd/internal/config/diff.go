package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"scada/acquisition/tag"
	"scada/alarms"
)

// The kinds of a [Change].
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Change is one difference between two configurations.
type Change struct {
	Section string // devices, tags, alarms, notify, history, or what needs a restart: nodes, redundancy, …
	Name    string // of the device, tag or alarm; "" for a section as a whole
	Kind    string
	Detail  string // the settings that differ
}

// Diff is what lies between two configurations.
type Diff struct {
	Changes []Change
	// Reconnects are the devices whose polling starts anew: theirs, or the tags on them, or what shares their channel, has
	// changed.
	Reconnects []string
	// Restart are the sections a running node cannot change.
	Restart []string
}

// Empty reports whether the two configurations say the same.
func (d Diff) Empty() bool { return len(d.Changes) == 0 }

// hot are the fields of [Config] a running node can change, and those that are only another form of them. Whatever is not
// here needs a restart: a field that is added later is safe.
var hot = map[string]bool{"Path": true, "Digest": true, "Devices": true, "ScanClasses": true, "Tags": true, "Alarms": true, "History": true, "Texts": true, "Users": true, "Tokens": true, "Notify": true}

// Compare returns what differs between the configuration a node runs and another one.
func Compare(from, to *Config) Diff {
	var d Diff
	was, is := reflect.ValueOf(from).Elem(), reflect.ValueOf(to).Elem()
	for i := range was.NumField() {
		f := was.Type().Field(i)
		if !f.IsExported() || hot[f.Name] || reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			continue
		}
		section := strings.ToLower(f.Name)
		d.Restart = append(d.Restart, section)
		d.Changes = append(d.Changes, Change{Section: section, Kind: Changed})
	}
	d.section("devices", named(from.Devices, deviceName), named(to.Devices, deviceName), plainDevice)
	d.section("tags", named(from.Tags, tagName), named(to.Tags, tagName), plainTag)
	d.section("alarms", named(from.Alarms.Alarms, alarmName), named(to.Alarms.Alarms, alarmName), asIs)
	d.people(from, to)
	general := func(c alarms.Config) alarms.Config { c.Alarms = nil; return c }
	if !reflect.DeepEqual(general(from.Alarms), general(to.Alarms)) {
		d.Changes = append(d.Changes, Change{Section: "alarms", Kind: Changed, Detail: differing(general(from.Alarms), general(to.Alarms))})
	}
	kept := func(h History) History { h.Export = nil; return h }
	if !reflect.DeepEqual(kept(from.History), kept(to.History)) {
		d.Changes = append(d.Changes, Change{Section: "history", Kind: Changed, Detail: differing(kept(from.History), kept(to.History))})
	}
	d.exports(from.History.Export, to.History.Export)
	if from.History.StopWhenFull != to.History.StopWhenFull { // the archive is opened with it
		d.Restart = append(d.Restart, "history")
	}
	if !reflect.DeepEqual(from.Texts, to.Texts) {
		d.Changes = append(d.Changes, Change{Section: "texts", Kind: Changed})
	}
	if !reflect.DeepEqual(from.Notify, to.Notify) { // without details: an address may hold a password
		d.Changes = append(d.Changes, Change{Section: "notify", Kind: Changed})
	}
	d.Reconnects = reconnects(from, to)
	return d
}

func deviceName(d Device) string           { return d.Name }
func tagName(t tag.Definition) string      { return t.Name }
func alarmName(a alarms.Definition) string { return a.ID }
func asIs(v any) any                       { return v }

// named lists things by name.
func named[T any](list []T, name func(T) string) map[string]any {
	m := make(map[string]any, len(list))
	for _, v := range list {
		m[name(v)] = v
	}
	return m
}

// plainDevice is a device without its tags, which are compared by themselves.
func plainDevice(v any) any {
	d := v.(Device)
	d.Calculated, d.System = nil, nil
	if d.Modbus != nil {
		m := *d.Modbus
		m.Tags = nil
		d.Modbus = &m
	}
	if d.OPCUA != nil {
		o := *d.OPCUA
		o.Tags = nil
		d.OPCUA = &o
	}
	if d.App != nil {
		a := *d.App
		a.Outputs = nil
		d.App = &a
	}
	return d
}

// plainTag is a tag without its number, which depends on the other tags.
func plainTag(v any) any {
	t := v.(tag.Definition)
	t.ID = 0
	return t
}

func (d *Diff) section(section string, from, to map[string]any, plain func(any) any) {
	var list []Change
	for name, was := range from {
		is, there := to[name]
		switch {
		case !there:
			list = append(list, Change{Section: section, Name: name, Kind: Removed})
		case !reflect.DeepEqual(plain(was), plain(is)):
			list = append(list, Change{Section: section, Name: name, Kind: Changed, Detail: differing(plain(was), plain(is))})
		}
	}
	for name := range to {
		if _, there := from[name]; !there {
			list = append(list, Change{Section: section, Name: name, Kind: Added})
		}
	}
	slices.SortFunc(list, func(a, b Change) int { return cmp.Compare(a.Name, b.Name) })
	d.Changes = append(d.Changes, list...)
}

// maxDetail bounds what is told of one change, in bytes.
const maxDetail = 300

// differing names the fields in which two structs of the same type differ, with both values.
func differing(was, is any) string {
	x, y := fields("", reflect.ValueOf(was)), fields("", reflect.ValueOf(is))
	names := map[string]bool{}
	for name := range x {
		names[name] = true
	}
	for name := range y {
		names[name] = true
	}
	var parts []string
	for name := range names {
		if x[name] != y[name] {
			parts = append(parts, fmt.Sprintf("%s %s -> %s", name, cmp.Or(x[name], "-"), cmp.Or(y[name], "-")))
		}
	}
	slices.Sort(parts)
	text := strings.Join(parts, ", ")
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + " …"
	}
	return text
}

// fields flattens a struct into name -> value.
func fields(prefix string, v reflect.Value) map[string]string {
	out := map[string]string{}
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		if v.IsValid() && !v.IsZero() {
			out[prefix] = fmt.Sprint(v.Interface())
		}
		return out
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name := strings.ToLower(f.Name)
		if prefix != "" {
			name = prefix + "." + name
		}
		for k, text := range fields(name, v.Field(i)) {
			out[k] = text
		}
	}
	return out
}

// Channel is what is polled by one source: devices that share a connection stop and start together.
type Channel struct {
	Key     string
	Devices []Device
	// Print is the same for two channels that poll the same tags of the same devices with the same settings. The numbers of
	// the tags do not count.
	Print string
}

// Channels returns the channels of an area, in the order of their first devices. Each application is one of its own.
func (c *Config) Channels(area string) []Channel {
	var list []Channel
	at := map[string]int{}
	for _, d := range c.Devices {
		if d.Area != area {
			continue
		}
		key := channelKey(d)
		i, known := at[key]
		if !known {
			i = len(list)
			at[key] = i
			list = append(list, Channel{Key: key})
		}
		list[i].Devices = append(list[i].Devices, d)
	}
	for i := range list {
		list[i].Print = c.print(list[i].Devices)
	}
	return list
}

func channelKey(d Device) string {
	switch {
	case d.Modbus != nil && len(d.Modbus.Endpoints) > 0:
		return "modbus " + d.Modbus.Endpoints[0]
	}
	return d.Driver + " " + d.Name
}

func (c *Config) print(devices []Device) string {
	plain := make([]Device, len(devices))
	for i, d := range devices {
		plain[i] = plainDevice(d).(Device)
		plain[i].Weight = 0 // of the node's health, not of the polling
		var tags []tag.Definition
		for _, t := range append(c.touched(d.App), d.Tags()...) {
			tags = append(tags, plainTag(t).(tag.Definition))
		}
		plain[i].Calculated = tags
	}
	// Plain structs of strings and numbers; a NaN was refused when it was read.
	b, _ := json.Marshal(plain)
	return string(b)
}

// touched are the tags of others that an application reads or writes: it is what they are.
func (c *Config) touched(a *App) (tags []tag.Definition) {
	if a == nil {
		return nil
	}
	for _, name := range slices.Concat(a.Inputs, a.Writes) {
		if id, ok := c.Lookup(name); ok {
			tags = append(tags, c.Tags[id])
		}
	}
	return tags
}

// Tags returns the tags of the device.
func (d Device) Tags() []tag.Definition {
	switch {
	case d.Modbus != nil:
		return d.Modbus.Tags
	case d.OPCUA != nil:
		return d.OPCUA.Tags
	case d.App != nil:
		return d.App.Outputs
	case d.Driver == systemDriver:
		return d.System
	}
	return d.Calculated
}

// reconnects are the devices of the new configuration whose channel is not one of the old.
func reconnects(from, to *Config) []string {
	var names []string
	for _, a := range to.Areas {
		old := map[string]string{}
		for _, c := range from.Channels(a.Name) {
			old[c.Key] = c.Print
		}
		for _, c := range to.Channels(a.Name) {
			if print, known := old[c.Key]; known && print == c.Print {
				continue
			}
			for _, d := range c.Devices {
				names = append(names, d.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}
