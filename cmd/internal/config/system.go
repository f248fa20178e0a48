package config

import (
	"fmt"

	"scada/acquisition/system"
	"scada/acquisition/tag"
)

// systemDriver is the driver of devices whose tags are facts of the pair itself.
const systemDriver = "system"

// factType is the type of a tag of the system that names none.
func factType(address string) string {
	_, typ, err := system.ParseAddress(address)
	if err != nil {
		return tag.TypeBool.String() // what is wrong is said of the address
	}
	return typ.String()
}

// fact checks a tag of the system: the address, what it names, and the type.
func (b *builder) fact(t *tagFile, def tag.Definition) {
	a, typ, err := system.ParseAddress(def.Address)
	if err == nil {
		err = b.named(a)
	}
	switch {
	case err != nil:
		b.tagf(t, "address", "%s", err)
	case def.RawType != typ:
		b.tagf(t, "type", "%s is a %s", a, typ)
	case def.Writable:
		b.tagf(t, "writable", "the system tells, it takes no values")
	}
}

// named reports a node, path, device or application that does not exist.
func (b *builder) named(a system.Address) error {
	known := true
	switch a.Object {
	case "node":
		_, known = b.config.Nodes[a.Name]
	case "path":
		known = false
		for _, n := range b.config.Nodes {
			_, there := n.Links[a.Name]
			known = known || there
		}
	case "device":
		known = false
		for i := range b.file.Devices {
			known = known || b.file.Devices[i].Name == a.Name && b.file.Devices[i].Driver != systemDriver
		}
	case "app":
		_, known = b.appDevices[a.Name]
	}
	if !known {
		return fmt.Errorf("no %s is named %q", a.Object, a.Name)
	}
	return nil
}
