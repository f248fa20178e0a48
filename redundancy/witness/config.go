package witness

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"scada/redundancy/witness/lease"
)

// Limits and defaults of a [Config].
const (
	// MaxWitnesses is how many witnesses of each kind a pair may have.
	MaxWitnesses = 64
	// MaxTargets is how many targets are tried.
	MaxTargets = 16
	// DefaultTimeout is how long a target has to answer.
	DefaultTimeout = 500 * time.Millisecond
	minTimeout     = 10 * time.Millisecond
	maxTimeout     = 10 * time.Second
	// DefaultInterval is how often a lease is renewed; it is over after four, and taken after six.
	DefaultInterval = 200 * time.Millisecond
	// Registers is how many holding registers a lease takes in a device.
	Registers = 2 * lease.CellSize / 2
)

// Config says whom to ask. The zero value asks nobody.
type Config struct {
	TCP    []TCP
	Files  []File
	Modbus []Modbus
}

// Empty reports whether there is nobody to ask.
func (c Config) Empty() bool { return len(c.TCP)+len(c.Files)+len(c.Modbus) == 0 }

// TCP are addresses that a node which is not cut off can reach: a switch, a printer, a domain controller.
type TCP struct {
	Targets []string // host:port; a refused connection is an answer too
	Timeout time.Duration
}

// File is a folder that both nodes mount. Each area has a lease in it.
type File struct {
	Folder   string
	Interval time.Duration // 0: the default
}

// Modbus is a lease in a device of an area.
type Modbus struct {
	Area     string
	Endpoint string // tcp://host:port
	Unit     int
	// Register is the first of [Registers] holding registers, counted from 0. They must lie in RAM and belong to nothing
	// else.
	Register int
	Interval time.Duration // 0: the default
	// Separate writes and reads in two requests, for devices without function 23.
	Separate bool
}

// Check returns what is wrong, by setting.
func (t TCP) Check() map[string]string {
	wrong := map[string]string{}
	if len(t.Targets) == 0 || len(t.Targets) > MaxTargets {
		wrong["targets"] = fmt.Sprintf("%d targets, 1 to %d are required", len(t.Targets), MaxTargets)
	}
	for _, target := range t.Targets {
		if !isAddress(target) {
			wrong["targets"] = fmt.Sprintf("%q is not host:port", target)
		}
	}
	if t.Timeout != 0 && (t.Timeout < minTimeout || t.Timeout > maxTimeout) {
		wrong["timeout"] = fmt.Sprintf("%s is outside %s .. %s", t.Timeout, minTimeout, maxTimeout)
	}
	return wrong
}

// Check returns what is wrong, by setting.
func (f File) Check() map[string]string {
	wrong := map[string]string{}
	if !filepath.IsAbs(f.Folder) {
		wrong["folder"] = fmt.Sprintf("%q is not an absolute path: both nodes must mean the same shared folder", f.Folder)
	}
	checkInterval(wrong, f.Interval)
	return wrong
}

// Check returns what is wrong, by setting.
func (m Modbus) Check() map[string]string {
	wrong := map[string]string{}
	if address, ok := strings.CutPrefix(m.Endpoint, "tcp://"); !ok || !isAddress(address) {
		wrong["endpoint"] = fmt.Sprintf("%q is not tcp://host:port", m.Endpoint)
	}
	if m.Unit < 0 || m.Unit > 255 {
		wrong["unit"] = fmt.Sprintf("%d is outside 0 .. 255", m.Unit)
	}
	if m.Register < 0 || m.Register+Registers > 1<<16 {
		wrong["register"] = fmt.Sprintf("%d: %d registers from 0 to 65535 are required", m.Register, Registers)
	}
	checkInterval(wrong, m.Interval)
	return wrong
}

func checkInterval(wrong map[string]string, d time.Duration) {
	if d != 0 && (d < lease.MinInterval || d > lease.MaxInterval) {
		wrong["interval"] = fmt.Sprintf("%s is outside %s .. %s", d, lease.MinInterval, lease.MaxInterval)
	}
}

func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	p, perr := strconv.Atoi(port)
	return err == nil && perr == nil && host != "" && p >= 1 && p <= 65535
}
