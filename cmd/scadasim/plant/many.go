package plant

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"scada/simulators/plc"
)

// ManyFile is as many controllers as a large plant has, each with a port of its own. They are no part of the waterworks:
// their registers prove themselves ([plc.ProofValue]).
type ManyFile struct {
	Listen    string        `yaml:"listen"`    // of many1; the others have the ports that follow
	Count     int           `yaml:"count"`     // many1, many2 …
	Registers int           `yaml:"registers"` // in each area; 1000 unless said
	Tick      time.Duration `yaml:"tick"`      // how long a register keeps its content; 1s unless said
	Latency   time.Duration `yaml:"latency"`
}

// What a file that does not say gets.
const (
	manyRegisters = 1000
	manyTick      = time.Second
	maxPort       = 65535
	maxAddresses  = 1 << 16 // registers of an area
)

func manyName(i int) string { return "many" + strconv.Itoa(i+1) }

// address is where one of them listens. A free port, 0, is one for each.
func (m *ManyFile) address(i int) (string, error) {
	host, port, err := net.SplitHostPort(m.Listen)
	if err != nil {
		return "", fmt.Errorf("address of %s: %w", manyName(i), err)
	}
	first, err := strconv.Atoi(port)
	if err != nil || first < 0 || first+i > maxPort {
		return "", fmt.Errorf("address of %s: no port %s and %d", manyName(i), port, i)
	}
	if first > 0 {
		first += i
	}
	return net.JoinHostPort(host, strconv.Itoa(first)), nil
}

// many checks the section and fills in what it does not say.
func (k *checker) many(c *Config, taken map[string]string) {
	m := &c.Many
	if *m == (ManyFile{}) {
		return
	}
	if m.Count < 1 || m.Count > maxServers {
		k.failf("many.count", "%d is outside 1..%d", m.Count, maxServers)
		return
	}
	if _, err := m.address(m.Count - 1); err != nil {
		k.failf("many.listen", "%q is not an address with %d ports from it on (127.0.0.1:20000)", m.Listen, m.Count)
	}
	if m.Registers == 0 {
		m.Registers = manyRegisters
	}
	if m.Registers < 0 || m.Registers > maxAddresses {
		k.failf("many.registers", "%d is outside 1..%d", m.Registers, maxAddresses)
	}
	if m.Tick == 0 {
		m.Tick = manyTick
	}
	if m.Tick < time.Millisecond {
		k.failf("many.tick", "%s is less than 1ms", m.Tick)
	}
	if m.Latency < 0 || m.Latency > maxLatency {
		k.failf("many.latency", "%s is outside 0s..%s", m.Latency, maxLatency)
	}
	for i := range m.Count {
		if name := manyName(i); taken[name] != "" {
			k.failf("many", "%s is already at %s", name, taken[name])
		}
		taken[manyName(i)] = "many"
	}
}

func (p *Plant) addMany(m *ManyFile) error {
	for i := range m.Count {
		address, err := m.address(i)
		if err != nil {
			return err
		}
		name := manyName(i)
		s := plc.New(plc.Options{
			Name: name, Address: address, Latency: m.Latency, Journal: p.journal, Listen: p.listen, Log: p.log,
			Units: map[uint8]plc.Unit{1: {
				Device: name, Bank: plc.NewProof(uint32(i+1), m.Registers, m.Tick),
				Identity: plc.Identity{Vendor: "scada", Product: "simulated " + name, Revision: "1.0"},
			}},
		})
		p.servers = append(p.servers, s)
		p.places[name] = place{server: s}
	}
	return nil
}
