package config

import (
	"slices"

	"scada/acquisition/calc"
	"scada/acquisition/script"
	"scada/acquisition/tag"
)

// calculatedDevice is the name under which the calculated tags of the only area are shown; with several areas the name
// of the area follows.
const calculatedDevice = "calculated"

// expression fills in what a calculated tag has instead of a device and an address. Its type is float64 unless it says
// something else.
func (b *builder) expression(t *tagFile, def *tag.Definition) {
	b.none(t, "a calculated tag has none")
	if t.App != "" {
		b.tagf(t, "app", "a calculated tag has none")
	}
	def.Area = t.Area
	if def.Area == "" && len(b.config.Areas) == 1 {
		def.Area = b.config.Areas[0].Name
	}
	if !slices.ContainsFunc(b.config.Areas, func(a Area) bool { return a.Name == def.Area }) {
		b.tagf(t, "area", "no area is named %q", def.Area)
	}
	if b.expressions == nil {
		b.expressions = map[string]*tagFile{}
	}
	b.expressions[t.Name] = t
	def.Device, def.Address = b.calculatedIn(def.Area), t.Expr
	if _, err := script.NewExpr(t.Name, t.Expr); err != nil {
		b.tagf(t, "expr", "%s", err)
	}
}

func (b *builder) calculatedIn(area string) string {
	if len(b.config.Areas) > 1 {
		return calculatedDevice + "-" + area
	}
	return calculatedDevice
}

// calculated makes a device of the calculated tags of each area and checks what they read.
func (b *builder) calculated() {
	var all []tag.Definition
	for _, a := range b.config.Areas {
		d := Device{Name: b.calculatedIn(a.Name), Area: a.Name, Driver: "expression", Probe: "none"}
		for _, def := range b.config.Tags {
			if def.Device == d.Name {
				d.Calculated = append(d.Calculated, def)
			}
		}
		if len(d.Calculated) == 0 {
			continue
		}
		all = append(all, d.Calculated...)
		b.config.Devices = append(b.config.Devices, d)
	}
	if b.tagsMissing || len(b.errs) > 0 {
		return // what they read may be among what is missing
	}
	for _, wrong := range calc.Check(all, b.config.Lookup) {
		b.tagf(b.expressions[wrong.Tag], "expr", "%s", wrong.Err)
	}
}
