package config

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"scada/redundancy/witness"
)

// witnessFile is one witness: exactly one of its sections.
type witnessFile struct {
	TCP    *tcpWitnessFile    `yaml:"tcp"`
	File   *fileWitnessFile   `yaml:"file"`
	Modbus *modbusWitnessFile `yaml:"modbus"`
}

type tcpWitnessFile struct {
	Targets []string      `yaml:"targets"`
	Timeout time.Duration `yaml:"timeout"`
}

type fileWitnessFile struct {
	Folder   string        `yaml:"folder"`
	Interval time.Duration `yaml:"interval"`
}

type modbusWitnessFile struct {
	Area     string        `yaml:"area"`
	Endpoint string        `yaml:"endpoint"`
	Unit     int           `yaml:"unit"`
	Register *int          `yaml:"register"`
	Interval time.Duration `yaml:"interval"`
	Separate bool          `yaml:"separate"`
}

// witnesses checks who is asked why the peer is silent. It needs the areas.
func (b *builder) witnesses() {
	list := b.file.Redundancy.Witnesses
	if len(list) > witness.MaxWitnesses {
		b.failf("redundancy.witnesses", "%d witnesses, the limit is %d", len(list), witness.MaxWitnesses)
		return
	}
	out, leases := &b.config.Redundancy.Witnesses, map[string]string{}
	for i, w := range list {
		path := index("redundancy.witnesses", i)
		switch {
		case w.TCP != nil && w.File == nil && w.Modbus == nil:
			t := witness.TCP(*w.TCP)
			b.wrong(path+".tcp", t.Check())
			out.TCP = append(out.TCP, t)
		case w.File != nil && w.TCP == nil && w.Modbus == nil:
			f := witness.File(*w.File)
			b.wrong(path+".file", f.Check())
			b.leaseOnce(path+".file.folder", f.Folder, leases)
			out.Files = append(out.Files, f)
		case w.Modbus != nil && w.TCP == nil && w.File == nil:
			out.Modbus = append(out.Modbus, b.modbusWitness(path+".modbus", w.Modbus, leases))
		default:
			b.failf(path, "exactly one of tcp, file, modbus is required")
		}
	}
}

// wrong reports what a part says is wrong with its settings.
func (b *builder) wrong(path string, wrong map[string]string) {
	for _, setting := range slices.Sorted(maps.Keys(wrong)) {
		b.failf(path+"."+setting, "%s", wrong[setting])
	}
}

func (b *builder) modbusWitness(path string, w *modbusWitnessFile, leases map[string]string) witness.Modbus {
	m := witness.Modbus{Area: w.Area, Endpoint: w.Endpoint, Unit: w.Unit, Interval: w.Interval, Separate: w.Separate}
	if len(b.config.Areas) == 1 {
		m.Area = cmp.Or(m.Area, b.config.Areas[0].Name)
	}
	if !slices.ContainsFunc(b.config.Areas, func(a Area) bool { return a.Name == m.Area }) {
		b.failf(path+".area", "no area is named %q", m.Area)
	}
	if w.Register == nil {
		b.failf(path, "register: the first of %d registers that belong to nothing else is required", witness.Registers)
		return m
	}
	m.Register = *w.Register
	b.wrong(path, m.Check())
	b.leaseOnce(path+".area", "area "+m.Area, leases)
	b.apart(path+".register", m)
	return m
}

// leaseOnce reports a lease that stands twice: both would have to be held.
func (b *builder) leaseOnce(path, name string, leases map[string]string) {
	if other, twice := leases[name]; twice {
		b.failf(path, "%s has its lease already at %s", name, other)
		return
	}
	leases[name] = path
}

// apart reports two leases in the same registers of one device.
func (b *builder) apart(path string, m witness.Modbus) {
	for _, other := range b.config.Redundancy.Witnesses.Modbus {
		distance := m.Register - other.Register
		if other.Endpoint == m.Endpoint && other.Unit == m.Unit && distance < witness.Registers && -distance < witness.Registers {
			b.failf(path, "registers %d to %d overlap those of area %s", m.Register, m.Register+witness.Registers-1, other.Area)
		}
	}
}
