package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"scada/acquisition/modbus"
)

// profileFile is what devices of one kind have in common: settings of their driver, and tags, whose names are put behind
// that of the device.
type profileFile struct {
	Driver string           `yaml:"driver"`
	Modbus *modbusFile      `yaml:"modbus"`
	OPCUA  *opcuaDeviceFile `yaml:"opcua"`
	Tags   []tagFile        `yaml:"tags"`
}

// profiles completes every device: what it does not say itself is taken from its profile.
func (b *builder) profiles() {
	for _, name := range slices.Sorted(maps.Keys(b.file.Profiles)) {
		p := b.file.Profiles[name]
		path := "profiles." + name
		for i, t := range p.Tags {
			if t.Device != "" || t.Expr != "" || t.App != "" {
				b.failf(path+"."+index("tags", i), "a tag of a profile has no device, no expr and no app: it is of the devices that have the profile")
			}
		}
		if p.Modbus != nil && len(p.Modbus.Endpoints) > 0 || p.OPCUA != nil && p.OPCUA.Endpoint != "" {
			b.failf(path, "a profile has no endpoint: where a device is, it says itself")
		}
	}
	for i := range b.file.Devices {
		f, path := &b.file.Devices[i], index("devices", i)
		if f.Profile == "" {
			continue
		}
		p, known := b.file.Profiles[f.Profile]
		if !known {
			b.failf(path+".profile", "no profile is named %q (known: %s)", f.Profile, strings.Join(slices.Sorted(maps.Keys(b.file.Profiles)), ", "))
			continue
		}
		f.Driver = orDefault(f.Driver, p.Driver)
		inheritSection(&f.Modbus, p.Modbus)
		inheritSection(&f.OPCUA, p.OPCUA)
	}
}

// inheritSection sets what the device's section lacks.
func inheritSection[T any](own **T, base *T) {
	switch {
	case base == nil:
	case *own == nil:
		section := *base
		*own = &section
	default:
		fillZero(*own, base)
	}
}

// profileTags makes the tags of the devices that have a profile.
func (b *builder) profileTags() (rows []tagFile) {
	for _, d := range b.file.Devices {
		p, known := b.file.Profiles[d.Profile]
		if d.Profile == "" || !known {
			continue
		}
		for i, t := range p.Tags {
			t.path = "profiles." + d.Profile + "." + index("tags", i)
			t.at = b.at(t.path)
			t.Name, t.Device = d.Name+"/"+t.Name, d.Name
			rows = append(rows, t)
		}
	}
	return rows
}

// fillZero sets the fields that are not given to those of base.
func fillZero(own, base any) {
	to, from := reflect.ValueOf(own).Elem(), reflect.ValueOf(base).Elem()
	for i := range to.NumField() {
		if to.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
}

// windowFile is how many requests a device may have in flight: a number, or auto.
type windowFile int

func (w *windowFile) parseText(s string) error {
	if s == "auto" {
		*w = modbus.WindowAuto
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is neither a number of requests nor auto", s)
	}
	*w = windowFile(n)
	return nil
}
