package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"scada/acquisition/tag"
)

// Limits of the tag list.
const (
	maxTags          = 1_000_000
	maxTagNameBytes  = 256
	maxDescription   = 1024 // bytes
	maxTagFileBytes  = 256 << 20
	maxStates        = 256
	minScanPeriod    = 10 * time.Millisecond
	maxScanPeriod    = 24 * time.Hour
	defaultScanClass = "normal"
)

func (b *builder) scanClasses() {
	if b.config.ScanClasses == nil {
		b.config.ScanClasses = map[string]time.Duration{}
	}
	if _, ok := b.config.ScanClasses[defaultScanClass]; !ok {
		b.config.ScanClasses[defaultScanClass] = time.Second
	}
	for name, period := range b.config.ScanClasses {
		if period < minScanPeriod || period > maxScanPeriod {
			b.failf("scan_classes."+name, "%s is outside %s .. %s", period, minScanPeriod, maxScanPeriod)
		}
	}
}

// tags builds the tag list from the file itself and the CSV files, checks each tag, and numbers them by name.
func (b *builder) tags(devices map[string]*Device) {
	rows := b.file.Tags
	for i := range rows {
		rows[i].path = index("tags", i)
		rows[i].at = b.at(rows[i].path)
	}
	rows = append(rows, b.profileTags()...)
	for i, pattern := range b.file.TagFiles {
		rows = append(rows, b.tagFiles(index("tag_files", i), pattern)...)
	}
	if len(rows) > maxTags {
		b.failf("tags", "%d tags, the limit is %d", len(rows), maxTags)
		return
	}
	seen := map[string]Position{}
	for i := range rows {
		t := &rows[i]
		if at, twice := seen[t.Name]; twice {
			b.tagf(t, "name", "tag %q stands already at %s:%d", t.Name, at.File, at.Line)
			continue
		}
		seen[t.Name] = t.at
		b.config.Tags = append(b.config.Tags, b.tag(t, devices))
	}
	slices.SortFunc(b.config.Tags, func(x, y tag.Definition) int { return strings.Compare(x.Name, y.Name) })
	for i := range b.config.Tags {
		def := &b.config.Tags[i]
		def.ID = tag.ID(i)
		b.config.byName[def.Name] = def.ID
		if d := devices[def.Device]; d != nil {
			switch {
			case d.Modbus != nil:
				d.Modbus.Tags = append(d.Modbus.Tags, *def)
			case d.OPCUA != nil:
				d.OPCUA.Tags = append(d.OPCUA.Tags, *def)
			case d.App != nil:
				d.App.Outputs = append(d.App.Outputs, *def)
			case d.Driver == systemDriver:
				d.System = append(d.System, *def)
			}
		}
	}
}

func (b *builder) tagf(t *tagFile, field, format string, args ...any) {
	at := t.at
	if pos, ok := b.where[join(t.path, field)]; ok && t.path != "" {
		at = pos
	}
	if cell, ok := t.cell(field); ok {
		at = cell
	}
	b.add(join(t.path, field), at, format, args...)
}

func (b *builder) tag(t *tagFile, devices map[string]*Device) tag.Definition {
	def := tag.Definition{
		Name: t.Name, Device: t.Device, Address: t.Address, Unit: t.Unit, Description: t.Description,
		Deadband: t.Deadband, Writable: t.Writable, Bits: t.States, ByteOrder: t.ByteOrder,
	}
	if why := badTagName(t.Name); why != "" {
		b.tagf(t, "name", "%q: %s", t.Name, why)
	}
	device := devices[t.Device]
	switch {
	case t.Expr != "":
		b.expression(t, &def)
	case t.App != "":
		b.output(t, &def, devices)
	case t.Area != "":
		b.tagf(t, "area", "only a calculated tag has an area of its own: this one is in that of its device or application")
	case device == nil:
		b.tagf(t, "device", "no device is named %q", t.Device)
	default:
		def.Area = device.Area
	}
	typeName := t.Type
	switch {
	case t.Expr != "":
		typeName = orDefault(typeName, tag.TypeFloat64.String())
	case device != nil && device.Driver == systemDriver:
		typeName = orDefault(typeName, factType(t.Address))
	}
	wire, special := wireTypes[typeName]
	if special {
		typeName, def.Encoding = wire.as.String(), wire.encoding
	}
	typ, err := tag.ParseType(typeName)
	if err != nil {
		b.tagf(t, "type", "%s; on the wire also %s", err, strings.Join(slices.Sorted(maps.Keys(wireTypes)), ", "))
	}
	def.Type, def.RawType = typ, typ
	def.ScanClass = orDefault(t.Scan, defaultScanClass)
	period, ok := b.config.ScanClasses[def.ScanClass]
	if !ok {
		b.tagf(t, "scan", "no scan class is named %q", def.ScanClass)
	}
	def.ScanPeriod = period
	def.Range = b.interval(t, "range", t.Range, true)
	b.scale(t, &def)
	b.tagLimits(t, &def)
	if device != nil && err == nil && t.Expr == "" && t.App == "" {
		b.checkAddress(t, device, def)
	}
	return def
}

// wireTypes are types a device may send that are none of the types of tags: what users see is another.
var wireTypes = map[string]struct {
	as       tag.Type
	encoding tag.Encoding
}{
	"bcd16": {tag.TypeUint16, tag.BCD}, "bcd32": {tag.TypeUint32, tag.BCD}, "bcd64": {tag.TypeUint64, tag.BCD}, "float16": {tag.TypeFloat32, tag.Float16},
}

func badTagName(name string) string {
	if name == "" {
		return "a name is required"
	}
	if len(name) > maxTagNameBytes {
		return fmt.Sprintf("longer than %d bytes", maxTagNameBytes)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" {
			return "a name is parts separated by single slashes"
		}
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("/_-.", r) {
			return fmt.Sprintf("%q is not allowed: letters of any script, digits, - _ . and / only", r)
		}
	}
	return ""
}

// interval checks the two ends of a range or of one side of a scaling.
func (b *builder) interval(t *tagFile, field string, p Pair, ascending bool) tag.Range {
	if len(p) == 0 {
		return tag.Range{}
	}
	if len(p) != 2 {
		b.tagf(t, field, "two numbers are required: [low, high]")
		return tag.Range{}
	}
	if p[0] == p[1] || (ascending && p[0] > p[1]) {
		b.tagf(t, field, "low %g must be below high %g", p[0], p[1])
	}
	return tag.Range{Low: p[0], High: p[1]}
}

func (b *builder) scale(t *tagFile, def *tag.Definition) {
	if len(t.Scale.Raw) == 0 && len(t.Scale.EU) == 0 {
		return
	}
	raw, eu := b.interval(t, "scale", t.Scale.Raw, true), b.interval(t, "scale", t.Scale.EU, false)
	if raw.IsZero() || eu.IsZero() {
		b.tagf(t, "scale", "both raw and eu are required: {raw: [0, 27648], eu: [0, 100]}")
		return
	}
	if def.RawType == tag.TypeBool || def.RawType == tag.TypeString {
		b.tagf(t, "scale", "a %s cannot be scaled", def.RawType)
		return
	}
	if !oneOf(t.Scale.Curve, "", "linear", "sqrt") {
		b.tagf(t, "scale", "curve %q is none of linear, sqrt", t.Scale.Curve)
	}
	def.Root, def.Clamp = t.Scale.Curve == "sqrt", t.Scale.Clamp
	def.Scale = tag.Linear{RawLow: raw.Low, RawHigh: raw.High, Low: eu.Low, High: eu.High}
	def.Type = tag.TypeFloat64
}

func (b *builder) tagLimits(t *tagFile, def *tag.Definition) {
	if t.Deadband < 0 || math.IsNaN(t.Deadband) {
		b.tagf(t, "deadband", "%g is negative", t.Deadband)
	}
	if len(t.Description) > maxDescription {
		b.tagf(t, "description", "longer than %d bytes", maxDescription)
	}
	if len(t.States) > maxStates {
		b.tagf(t, "states", "%d states, the limit is %d", len(t.States), maxStates)
	}
	switch t.History.Mode {
	case "", "all":
		def.History = tag.HistoryAll
	case "change":
		def.History = tag.HistoryChange
	case "off":
		def.History = tag.HistoryOff
	default:
		b.tagf(t, "history", "mode %q is none of all, change, off", t.History.Mode)
	}
	if !oneOf(t.ByteOrder, "", "ABCD", "CDAB", "BADC", "DCBA") {
		b.tagf(t, "byte_order", "%q is none of ABCD, CDAB, BADC, DCBA", t.ByteOrder)
	}
}

// tagFiles reads the CSV files a pattern matches, in order of name.
func (b *builder) tagFiles(path, pattern string) []tagFile {
	found, err := b.find(b.dir, pattern)
	if err != nil {
		b.failf(path, "%q is not a file pattern: %s", pattern, err)
		return nil
	}
	if len(found) == 0 {
		b.failf(path, "no file matches %q", pattern)
		b.tagsMissing = true
	}
	var rows []tagFile
	for _, f := range found {
		if f.err != nil {
			b.failf(path, "%s", f.err)
			b.tagsMissing = true
			continue
		}
		rows = append(rows, b.tagCSV(b.resolvePath(f.Name), f.Data)...)
	}
	return rows
}
