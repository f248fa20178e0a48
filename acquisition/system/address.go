package system

import (
	"fmt"
	"slices"
	"strings"

	"scada/acquisition/tag"
)

// maxAddressText is the longest address in characters: an object, a name of a device and a fact.
const maxAddressText = 128

// Address names one fact of the system: `pair:ready`, `path:lan:up`, `node:b:reachable`, `device:plc1:answers`.
type Address struct {
	Object string // pair, node, path, device or app
	Name   string // which; the pair has none
	Fact   string
}

// String returns the address as ParseAddress reads it.
func (a Address) String() string {
	if a.Name == "" {
		return a.Object + ":" + a.Fact
	}
	return a.Object + ":" + a.Name + ":" + a.Fact
}

// facts are the types of all facts of each object.
var facts = map[string]map[string]tag.Type{
	"pair": {
		"ready":         tag.TypeBool,   // the loss of either node would be survived
		"reasons":       tag.TypeString, // why not
		"history_equal": tag.TypeBool,   // the last comparison of the archives found nothing that stays different
		"config_equal":  tag.TypeBool,   // both run the same configuration; true while the other node is not reachable
	},
	"node": {
		"reachable":     tag.TypeBool,    // on at least one path; a node always reaches itself
		"active":        tag.TypeBool,    // acts for the area of the device
		"score":         tag.TypeFloat64, // of its health, 0 is well
		"reasons":       tag.TypeString,  // the faults behind the score
		"mirror_lag_ms": tag.TypeFloat64, // how far it is behind the active
		"uncopied":      tag.TypeFloat64, // windows of history it still has to copy
	},
	"path":   {"up": tag.TypeBool, "rtt_ms": tag.TypeFloat64},
	"device": {"answers": tag.TypeBool, "latency_ms": tag.TypeFloat64, "timeouts": tag.TypeFloat64},
	"app":    {"healthy": tag.TypeBool, "deployed": tag.TypeBool},
}

// ParseAddress reads an address and returns the type of the fact.
func ParseAddress(text string) (Address, tag.Type, error) {
	if len(text) > maxAddressText {
		return Address{}, 0, fmt.Errorf("an address of %d characters, the limit is %d", len(text), maxAddressText)
	}
	parts := strings.Split(text, ":")
	known, ok := facts[parts[0]]
	if !ok {
		return Address{}, 0, fmt.Errorf("%q: an address begins with %s", text, names(facts))
	}
	a := Address{Object: parts[0], Fact: parts[len(parts)-1]}
	switch {
	case a.Object == "pair" && len(parts) == 2:
	case a.Object != "pair" && len(parts) == 3 && parts[1] != "":
		a.Name = parts[1]
	case a.Object == "pair":
		return Address{}, 0, fmt.Errorf("%q: it is pair:FACT", text)
	default:
		return Address{}, 0, fmt.Errorf("%q: it is %s:NAME:FACT", text, a.Object)
	}
	t, ok := known[a.Fact]
	if !ok {
		return Address{}, 0, fmt.Errorf("%q: of a %s it knows %s", text, a.Object, names(known))
	}
	return a, t, nil
}

// names lists the keys for an error.
func names[V any](m map[string]V) string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
