package plant

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"scada/simulators/plc"
	"scada/simulators/process"
)

// Limits of a simulation file.
const (
	maxFileBytes   = 1 << 20
	maxServers     = 10_000
	maxConnections = 1024
	maxLatency     = time.Minute
	maxJournal     = 1 << 20 // requests
	defaultJournal = 1 << 16
)

// Config is sim.yaml.
type Config struct {
	Seed    uint64       `yaml:"seed"`
	Control string       `yaml:"control"` // loopback address of the control port; empty means none
	Journal int          `yaml:"journal"` // requests kept
	Modbus  []ModbusFile `yaml:"modbus"`
	OPCUA   []OPCUAFile  `yaml:"opcua"`
	Many    ManyFile     `yaml:"many"`

	Scenario ScenarioFile `yaml:"scenario"`

	dir    string  // of the file, for the paths in it
	events []event // of the scenario, in order
}

// ModbusFile is one Modbus address.
type ModbusFile struct {
	Name           string              `yaml:"name"`
	Listen         string              `yaml:"listen"`    // host:port, or pty:path for a serial line, the path from the file's own
	Framing        string              `yaml:"framing"`   // tcp | rtu; rtu on a line
	Answering      string              `yaml:"answering"` // serial | parallel
	Latency        time.Duration       `yaml:"latency"`
	MaxConnections int                 `yaml:"max_connections"`
	Units          map[string]UnitFile `yaml:"units"` // by unit id
}

// UnitFile is one unit behind an address.
type UnitFile struct {
	Device    string   `yaml:"device"`
	ByteOrder string   `yaml:"byte_order"` // ABCD | CDAB
	Holes     []string `yaml:"holes"`      // undefined addresses: hr:50 or hr:50..59
}

// OPCUAFile is one OPC UA server.
type OPCUAFile struct {
	Device string `yaml:"device"`
	Listen string `yaml:"listen"`
	PKI    string `yaml:"pki"` // folder of its certificates, from the file's own; empty offers no security
}

// Error is one thing wrong with the file, as file:line:col: path: message.
type Error struct {
	File      string
	Line, Col int
	Path      string
	Message   string
}

// Error formats the error so that editors can jump to it.
func (e Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", e.File, e.Line, e.Col, e.Path, e.Message)
}

// Parse reads sim.yaml. Everything wrong with it is reported at once, as joined errors of type [Error].
func Parse(file string, src []byte) (*Config, error) {
	if len(src) > maxFileBytes {
		return nil, Error{File: file, Line: 1, Col: 1, Message: fmt.Sprintf("%d bytes, the limit is %d", len(src), maxFileBytes)}
	}
	c := &Config{Seed: 1, Journal: defaultJournal, dir: filepath.Dir(file)}
	if err := yaml.UnmarshalWithOptions(src, c, yaml.Strict()); err != nil {
		return nil, located(file, err)
	}
	tree, err := parser.ParseBytes(src, 0)
	if err != nil {
		return nil, located(file, err)
	}
	k := &checker{file: file, tree: tree}
	k.check(c)
	return c, errors.Join(k.errs...)
}

// located takes the position out of the parser's own error.
func located(file string, err error) error {
	e := Error{File: file, Line: 1, Col: 1, Message: err.Error()}
	var y yaml.Error
	if errors.As(err, &y) {
		e.Message = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Col = t.Position.Line, t.Position.Column
		}
	}
	return e
}

// checker applies the rules and finds the line of what breaks one.
type checker struct {
	file string
	tree *ast.File
	errs []error
}

func (k *checker) failf(path, format string, args ...any) {
	e := Error{File: k.file, Line: 1, Col: 1, Path: path, Message: fmt.Sprintf(format, args...)}
	if t := k.find(path); t != nil && t.Position != nil {
		e.Line, e.Col = t.Position.Line, t.Position.Column
	}
	k.errs = append(k.errs, e)
}

var lastPart = regexp.MustCompile(`(\.[^.\[]+|\[\d+\])$`)

// find returns where the value at path, or the nearest one around it, stands.
func (k *checker) find(path string) *token.Token {
	for ; path != ""; path = lastPart.ReplaceAllString("."+path, "") {
		for path[0] == '.' {
			path = path[1:]
		}
		p, err := yaml.PathString("$." + path)
		if err != nil {
			return nil
		}
		if n, err := p.FilterFile(k.tree); err == nil && n != nil {
			return n.GetToken()
		}
	}
	return nil
}

func (k *checker) check(c *Config) {
	if c.Control != "" && !isLoopback(c.Control) {
		k.failf("control", "%q is not a port of a loopback address: whoever reaches it can stop the plant", c.Control)
	}
	if c.Journal < 1 || c.Journal > maxJournal {
		k.failf("journal", "%d is outside 1..%d", c.Journal, maxJournal)
	}
	if n := len(c.Modbus) + len(c.OPCUA); n == 0 && c.Many == (ManyFile{}) || n > maxServers {
		k.failf("modbus", "%d servers, 1 to %d are possible", n, maxServers)
		return
	}
	taken := map[string]string{}
	for i := range c.Modbus {
		k.modbus(fmt.Sprintf("modbus[%d]", i), &c.Modbus[i], taken)
	}
	for i, u := range c.OPCUA {
		path := fmt.Sprintf("opcua[%d]", i)
		k.listen(path+".listen", u.Listen)
		k.device(path+".device", u.Device, true, taken)
	}
	for i := range c.Modbus {
		taken[c.Modbus[i].Name] = "modbus"
	}
	k.many(c, taken)
	c.events = k.scenario(c, taken)
}

func (k *checker) modbus(path string, m *ModbusFile, taken map[string]string) {
	if m.Name == "" {
		k.failf(path, "a name is required")
	}
	if link, ok := strings.CutPrefix(m.Listen, plc.LinePrefix); ok {
		if link == "" {
			k.failf(path+".listen", "%q has no path (pty:run/line1)", m.Listen)
		}
		k.oneOf(path+".framing", &m.Framing, "rtu")
	} else {
		k.listen(path+".listen", m.Listen)
		k.oneOf(path+".framing", &m.Framing, "tcp", "rtu")
	}
	k.oneOf(path+".answering", &m.Answering, "serial", "parallel")
	if m.Latency < 0 || m.Latency > maxLatency {
		k.failf(path+".latency", "%s is outside 0s..%s", m.Latency, maxLatency)
	}
	if m.MaxConnections < 0 || m.MaxConnections > maxConnections {
		k.failf(path+".max_connections", "%d is outside 0..%d", m.MaxConnections, maxConnections)
	}
	if len(m.Units) == 0 {
		k.failf(path+".units", "at least one unit is required")
	}
	for _, id := range sortedKeys(m.Units) {
		u, at := m.Units[id], path+".units."+id
		if n, err := strconv.Atoi(id); err != nil || n < 0 || n > 255 {
			k.failf(at, "unit id %q is not a number of 0..255", id)
		}
		k.device(at+".device", u.Device, false, taken)
		k.oneOf(at+".byte_order", &u.ByteOrder, "ABCD", "CDAB")
		for j, h := range u.Holes {
			if _, err := parseHole(h); err != nil {
				k.failf(fmt.Sprintf("%s.holes[%d]", at, j), "%s", err)
			}
		}
		m.Units[id] = u
	}
}

func (k *checker) listen(path, address string) {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		k.failf(path, "%q is not an address (127.0.0.1:5020)", address)
	}
}

// oneOf checks a choice and fills in the first one where nothing is given.
func (k *checker) oneOf(path string, s *string, choices ...string) {
	if *s == "" {
		*s = choices[0]
	}
	if !slices.Contains(choices, *s) {
		k.failf(path, "%q is none of %v", *s, choices)
	}
}

func (k *checker) device(path, name string, opcua bool, taken map[string]string) {
	switch {
	case !slices.Contains(process.Devices(), name):
		k.failf(path, "%q is none of %v", name, process.Devices())
	case (name == process.Mixer) != opcua:
		k.failf(path, "%s speaks the other protocol", name)
	case taken[name] != "":
		k.failf(path, "%s is already at %s", name, taken[name])
	}
	taken[name] = path
}

var holeText = regexp.MustCompile(`^(co|di|ir|hr):(\d{1,5})(?:\.\.(\d{1,5}))?$`)

func parseHole(s string) (plc.Hole, error) {
	m := holeText.FindStringSubmatch(s)
	if m == nil {
		return plc.Hole{}, fmt.Errorf("%q is not a hole (hr:50 or hr:50..59)", s)
	}
	area, err := plc.ParseArea(m[1])
	if err != nil {
		return plc.Hole{}, err
	}
	first, err := strconv.ParseUint(m[2], 10, 16)
	if err != nil {
		return plc.Hole{}, fmt.Errorf("%q: %s is outside 0..65535", s, m[2])
	}
	last := first
	if m[3] != "" {
		if last, err = strconv.ParseUint(m[3], 10, 16); err != nil || last < first {
			return plc.Hole{}, fmt.Errorf("%q: it must end after its beginning, at 65535 or before", s)
		}
	}
	return plc.Hole{Area: area, First: uint16(first), Last: uint16(last)}, nil
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
