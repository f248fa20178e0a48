package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"scada/redundancy/resource"
)

// Bounds and defaults of the resources of an area.
const (
	maxResources     = 16
	maxArguments     = 64
	maxArgumentBytes = 4096
	minLimit         = 10 * time.Millisecond
	maxLimit         = time.Minute
	minInterval      = 100 * time.Millisecond
	maxInterval      = 10 * time.Minute
	// maxStops is what the stop limits of an area may add up to: a planned switch is rolled back when the old node has
	// not let go within 5 s, and a node promises to end within 5 s.
	maxStops = 4 * time.Second
)

// The types of resources.
const (
	ResourceVirtualIP = "virtual_ip"
	ResourceCommand   = "command"
)

var (
	defaultAddressLimits = resource.Limits{Start: time.Second, Stop: time.Second, Monitor: time.Second}
	defaultCommandLimits = resource.Limits{Start: 5 * time.Second, Stop: time.Second, Monitor: 2 * time.Second}
)

const (
	defaultAddressInterval = time.Second
	defaultCommandInterval = 10 * time.Second
)

// Resource is something that only the node that is active for the area has.
type Resource struct {
	Name     string
	Type     string // [ResourceVirtualIP] or [ResourceCommand]
	Critical bool
	Interval time.Duration // between two looks at it
	Limits   resource.Limits

	Address   string // of a virtual_ip, with prefix length
	Interface string
	Start     []string // of a command: program and arguments
	Stop      []string
	Monitor   []string
}

type resourceFile struct {
	Name     string        `yaml:"name"`
	Type     string        `yaml:"type"`
	Critical bool          `yaml:"critical"`
	Interval time.Duration `yaml:"interval"`
	Limits   limitsFile    `yaml:"limits"`

	Address   string   `yaml:"address"`
	Interface string   `yaml:"interface"`
	Start     []string `yaml:"start"`
	Stop      []string `yaml:"stop"`
	Monitor   []string `yaml:"monitor"`
}

type limitsFile struct {
	Start   time.Duration `yaml:"start"`
	Stop    time.Duration `yaml:"stop"`
	Monitor time.Duration `yaml:"monitor"`
}

// resources checks the resources of one area; virtual holds the virtual addresses of the areas before it.
func (b *builder) resources(path string, list []resourceFile, virtual map[netip.Addr]string) []Resource {
	if len(list) > maxResources {
		b.failf(path, "%d resources, the limit is %d", len(list), maxResources)
		return nil
	}
	var out []Resource
	var stops time.Duration
	seen := map[string]bool{}
	for i, f := range list {
		at := index(path, i)
		if !isName(f.Name) {
			b.failf(at, "name %q: letters, digits, - and _ only, 64 at most", f.Name)
		}
		if seen[f.Name] {
			b.failf(at+".name", "resource %q stands twice", f.Name)
		}
		seen[f.Name] = true
		r := Resource{Name: f.Name, Type: f.Type, Critical: f.Critical}
		switch f.Type {
		case ResourceVirtualIP:
			b.virtualIP(at, f, &r, virtual)
		case ResourceCommand:
			b.command(at, f, &r)
		default:
			b.failf(at, "type %q is none of %s, %s", f.Type, ResourceVirtualIP, ResourceCommand)
			continue
		}
		b.span(at+".interval", r.Interval, minInterval, maxInterval)
		b.span(at+".limits.start", r.Limits.Start, minLimit, maxLimit)
		b.span(at+".limits.stop", r.Limits.Stop, minLimit, maxLimit)
		b.span(at+".limits.monitor", r.Limits.Monitor, minLimit, maxLimit)
		stops += r.Limits.Stop
		out = append(out, r)
	}
	if stops > maxStops {
		b.failf(path, "the stop limits add up to %s, more than the %s a switch-over may wait for", stops, maxStops)
	}
	return out
}

func (b *builder) span(path string, d, least, most time.Duration) {
	if d < least || d > most {
		b.failf(path, "%s is outside %s .. %s", d, least, most)
	}
}

func (r *Resource) timing(f resourceFile, interval time.Duration, limits resource.Limits) {
	r.Interval = orDefault(f.Interval, interval)
	r.Limits = resource.Limits{
		Start: orDefault(f.Limits.Start, limits.Start), Stop: orDefault(f.Limits.Stop, limits.Stop), Monitor: orDefault(f.Limits.Monitor, limits.Monitor),
	}
}

func (b *builder) virtualIP(path string, f resourceFile, r *Resource, virtual map[netip.Addr]string) {
	r.timing(f, defaultAddressInterval, defaultAddressLimits)
	r.Address, r.Interface = f.Address, f.Interface
	for field, argv := range map[string][]string{"start": f.Start, "stop": f.Stop, "monitor": f.Monitor} {
		if argv != nil {
			b.failf(path+"."+field, "the type is %s", f.Type)
		}
	}
	ip, err := resource.NewVirtualIP(f.Address, f.Interface)
	if err != nil {
		b.failf(path+".address", "%s", err)
		return
	}
	if other, taken := virtual[ip.Addr()]; taken {
		b.failf(path+".address", "%s is already used by %s", ip.Addr(), other)
	}
	virtual[ip.Addr()] = path
	if other := b.ownedBy(ip.Addr()); other != "" {
		b.failf(path+".address", "%s is an address of %s itself: a virtual address is removed from a node that starts", ip.Addr(), other)
	}
}

// ownedBy returns where in the file a node uses the address as its own.
func (b *builder) ownedBy(addr netip.Addr) string {
	for name, n := range b.file.Nodes {
		if same(addr, n.Field) {
			return "nodes." + name + ".field"
		}
		for link, a := range n.Links {
			if host, _, err := net.SplitHostPort(a); err == nil && same(addr, host) {
				return "nodes." + name + ".links." + link
			}
		}
	}
	return ""
}

func same(addr netip.Addr, text string) bool {
	other, err := netip.ParseAddr(text)
	return err == nil && other.Unmap().WithZone("") == addr
}

func (b *builder) command(path string, f resourceFile, r *Resource) {
	r.timing(f, defaultCommandInterval, defaultCommandLimits)
	r.Start, r.Stop, r.Monitor = f.Start, f.Stop, f.Monitor
	if f.Address != "" {
		b.failf(path+".address", "the type is %s", f.Type)
	}
	if f.Interface != "" {
		b.failf(path+".interface", "the type is %s", f.Type)
	}
	if f.Start == nil || f.Stop == nil {
		b.failf(path, "start and stop are required: a program and its arguments ([/bin/systemctl, start, export])")
	}
	b.argv(path+".start", f.Start)
	b.argv(path+".stop", f.Stop)
	b.argv(path+".monitor", f.Monitor)
}

// argv checks a program with its arguments. The path is absolute: what runs must not depend on the folder the node was
// started in.
func (b *builder) argv(path string, argv []string) {
	if argv == nil {
		return
	}
	if len(argv) == 0 || len(argv) > maxArguments {
		b.failf(path, "%d words: a program and at most %d arguments", len(argv), maxArguments-1)
		return
	}
	if !filepath.IsAbs(argv[0]) {
		b.failf(path, "%q is not an absolute path", argv[0])
	}
	for i, a := range argv {
		if len(a) > maxArgumentBytes || strings.ContainsRune(a, 0) {
			b.failf(index(path, i), "longer than %d bytes, or with a zero byte", maxArgumentBytes)
		}
	}
}
