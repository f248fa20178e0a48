package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"scada/acquisition/modbus"
	"scada/acquisition/opcua"
	"scada/acquisition/tag"
)

const (
	maxDevices     = 10_000
	defaultRetries = 2
	defaultWeight  = 10 // two devices of this weight make the default health margin
	maxWeight      = 1000
)

// devices builds the device list and returns the devices by name; those with errors are in it too, so that their tags
// do not cause errors of their own.
func (b *builder) devices() map[string]*Device {
	byName := map[string]*Device{}
	if len(b.file.Devices) > maxDevices {
		b.failf("devices", "%d devices, the limit is %d", len(b.file.Devices), maxDevices)
		return byName
	}
	b.config.Devices = make([]Device, len(b.file.Devices))
	for i := range b.file.Devices {
		f, path := &b.file.Devices[i], index("devices", i)
		d := &b.config.Devices[i]
		*d = Device{Name: f.Name, Area: f.Area, Driver: f.Driver, Probe: orDefault(f.Probe, "none")}
		if d.Area == "" && len(b.config.Areas) == 1 {
			d.Area = b.config.Areas[0].Name
		}
		if !isName(f.Name) {
			b.failf(path, "name %q: letters, digits, - and _ only, 64 at most", f.Name)
		}
		if f.Name == calculatedDevice || strings.HasPrefix(f.Name, calculatedDevice+"-") {
			b.failf(path+".name", "%q: names that begin like this are those of the calculated tags", f.Name)
		}
		if byName[f.Name] != nil {
			b.failf(path+".name", "device %q stands twice", f.Name)
		}
		byName[f.Name] = d
		if !slices.ContainsFunc(b.config.Areas, func(a Area) bool { return a.Name == d.Area }) {
			b.failf(path+".area", "no area is named %q", d.Area)
		}
		if !oneOf(d.Probe, "none", "tcp", "read") {
			b.failf(path+".probe", "%q is none of none, tcp, read", d.Probe)
		}
		d.Weight = defaultWeight
		if f.Weight != nil {
			d.Weight = *f.Weight
		}
		if d.Weight < 0 || d.Weight > maxWeight {
			b.failf(path+".weight", "%d is outside 0 .. %d", d.Weight, maxWeight)
		}
		b.driver(path, f, d)
	}
	return byName
}

func (b *builder) driver(path string, f *deviceFile, d *Device) {
	sections := map[string]bool{"modbus": f.Modbus != nil, "opcua": f.OPCUA != nil}
	if _, known := sections[f.Driver]; !known && f.Driver != systemDriver {
		b.failf(path+".driver", "%q is none of %s, %s", f.Driver, strings.Join(slices.Sorted(maps.Keys(sections)), ", "), systemDriver)
		return
	}
	for name, present := range sections {
		if present && name != f.Driver {
			b.failf(path+"."+name, "the driver is %s", f.Driver)
		}
	}
	switch {
	case f.Driver == systemDriver: // there is nothing to set
	case !sections[f.Driver]:
		b.failf(path, "a section %q is required for this driver", f.Driver)
	case f.Driver == "modbus":
		b.modbus(path, f, d)
	default:
		b.opcua(path, f, d)
	}
}

func (b *builder) modbus(path string, f *deviceFile, d *Device) {
	m := f.Modbus
	d.Modbus = &modbus.Device{
		Name: f.Name, Endpoints: m.Endpoints, Timeout: m.Timeout, Retries: defaultRetries, ByteOrder: m.ByteOrder,
		Window: int(m.Window), Probe: d.Probe, NeverGap: m.NeverGap, MaxBlock: m.MaxBlock, WriteMultiple: m.WriteMultiple,
	}
	if m.Unit < 0 || m.Unit > 255 {
		b.failf(path+".modbus.unit", "%d is outside 0 .. 255", m.Unit)
	}
	d.Modbus.Unit = uint8(m.Unit)
	if m.Retries != nil {
		d.Modbus.Retries = *m.Retries
	}
	if m.MaxGap != nil {
		d.Modbus.MaxGap = *m.MaxGap
		if *m.MaxGap == 0 {
			d.Modbus.MaxGap = -1 // the file says "none", which the driver writes as -1
		}
	}
	if err := d.Modbus.Validate(); err != nil {
		b.failf(path+".modbus", "%s", err)
	}
}

func (b *builder) opcua(path string, f *deviceFile, d *Device) {
	o := f.OPCUA
	d.OPCUA = &opcua.Device{
		Name: f.Name, Endpoint: o.Endpoint, Security: o.Security, Mode: o.Mode, User: o.User, PasswordFile: b.resolvePath(o.PasswordFile),
		Acquire: o.Acquire, Timeout: o.Timeout, Trust: o.Trust, Probe: d.Probe, History: o.History,
	}
	wrong := d.OPCUA.Check()
	for _, setting := range slices.Sorted(maps.Keys(wrong)) {
		b.failf(path+".opcua."+setting, "%s", wrong[setting])
	}
}

// checkAddress asks the driver whether it can read the tag.
func (b *builder) checkAddress(t *tagFile, d *Device, def tag.Definition) {
	var err error
	switch {
	case d.Modbus != nil:
		err = modbus.ValidateTag(def)
	case d.OPCUA != nil:
		if err = opcua.CheckAddress(def.Address); def.Encoding != tag.Plain {
			b.tagf(t, "type", "%q is a form of Modbus registers", t.Type)
		}
	case d.Driver == systemDriver:
		b.fact(t, def)
	}
	if err != nil {
		b.tagf(t, "address", "%s", err)
	}
}

func (b *builder) history() {
	h := b.file.History
	for path, d := range map[string]time.Duration{"history.raw": h.Raw, "history.hourly": h.Hourly, "history.journal": h.Journal} {
		if d != 0 && d < 24*time.Hour {
			b.failf(path, "%s is shorter than a day", d)
		}
	}
	if h.MaxDisk != 0 && h.MaxDisk < 64<<20 {
		b.failf("history.max_disk", "less than 64MiB")
	}
	if h.Backfill != 0 && h.Backfill < leastBackfill {
		b.failf("history.backfill", "less than 64KiB a second")
	}
	if h.WhenFull != "" && h.WhenFull != "drop" && h.WhenFull != "stop" {
		b.failf("history.when_full", "%q is none of drop, stop", h.WhenFull)
	}
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	b.config.History = History{
		Raw: orDefault(h.Raw, 30*day), Hourly: orDefault(h.Hourly, 5*year), Journal: orDefault(h.Journal, 5*year), MaxDisk: int64(h.MaxDisk),
		Backfill:     int64(orDefault(h.Backfill, defaultBackfill)),
		StopWhenFull: h.WhenFull == "stop",
	}
	b.exports()
}

// Bytes a second of history that nodes exchange: the least that can be configured, and otherwise what a link of 100 Mbit/s
// carries.
const (
	leastBackfill   = 64 << 10
	defaultBackfill = 12 << 20
)
