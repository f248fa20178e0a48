package svg

import (
	"regexp"
	"strings"
)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

var (
	elements = set(`svg g defs symbol use title desc path rect circle ellipse line polyline polygon text tspan
		linearGradient radialGradient stop clipPath marker`)
	// textual elements may contain text.
	textual = set("text tspan title desc")

	geometry = set(`x y x1 y1 x2 y2 dx dy cx cy r rx ry fx fy width height d points transform viewBox preserveAspectRatio
		gradientUnits gradientTransform spreadMethod offset clipPathUnits markerUnits markerWidth markerHeight refX refY orient
		rotate textLength lengthAdjust pathLength`)
	presentation = set(`fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-dasharray stroke-dashoffset stroke-linecap
		stroke-linejoin stroke-miterlimit opacity stop-color stop-opacity font-family font-size font-style font-weight letter-spacing
		text-anchor dominant-baseline visibility display clip-path clip-rule color marker-start marker-mid marker-end vector-effect`)
	bindings = set("data-tag data-show data-alarms data-height")
	// classes are those of the dashboard's own drawings.
	classes = set("m-label m-name m-pipe m-dose m-reading m-equip m-valve m-tank shell fill")
)

var (
	// plain values: numbers, names, colours, functions such as rotate and rgb, but neither quotes, colons nor backslashes.
	plain = regexp.MustCompile(`^[\w\s.,%()#+\-]*$`)
	// local values refer to something in the drawing itself.
	local = regexp.MustCompile(`^url\(\s*["']?#([\w.\-]{1,64})["']?\s*\)$`)
	name  = regexp.MustCompile(`^[\w.\-]{1,64}$`)
	// bound values name tags.
	bound = regexp.MustCompile(`^[^\x00-\x1f<>"']{0,256}$`)
)

// prefix keeps the names of a drawing apart from those of the page.
const prefix = "u-"

// value returns what may be written of an attribute's value; empty for nothing.
func value(attribute, v string) string {
	switch {
	case attribute == "id" && name.MatchString(v):
		return prefix + v
	case attribute == "class":
		return known(v)
	case bindings[attribute] && bound.MatchString(v):
		return v
	case geometry[attribute] && plain.MatchString(v) && !loads(v):
		return v
	case presentation[attribute]:
		if m := local.FindStringSubmatch(v); m != nil {
			return "url(#" + prefix + m[1] + ")"
		}
		v = strings.NewReplacer(`"`, "", `'`, "").Replace(v) // names of fonts
		if plain.MatchString(v) && !loads(v) {
			return v
		}
	}
	return ""
}

func loads(v string) bool { return strings.Contains(strings.ToLower(v), "url") }

func known(list string) string {
	var keep []string
	for _, c := range strings.Fields(list) {
		if classes[c] {
			keep = append(keep, c)
		}
	}
	return strings.Join(keep, " ")
}

// reference allows references into the drawing itself, from elements that draw what they refer to.
func reference(element, v string) string {
	id, ok := strings.CutPrefix(strings.TrimSpace(v), "#")
	if !ok || !name.MatchString(id) || (element != "use" && element != "linearGradient" && element != "radialGradient") {
		return ""
	}
	return "#" + prefix + id
}
