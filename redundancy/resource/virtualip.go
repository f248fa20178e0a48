package resource

import (
	"fmt"
	"net/netip"
)

// announcements is how often a new place of an address is announced at once: one frame may be lost.
const announcements = 3

// repeats is how many of the following monitor steps announce the address once more, for a switch that was not ready.
const repeats = 5

// VirtualIP is an address that moves with the role: clients find the active node at it.
//
// Clean and Stop remove the address from whatever interface has it except loopback, so it must be an address that
// nothing else configures.
type VirtualIP struct {
	prefix netip.Prefix
	device string
	left   int // monitor steps that still announce
}

// NewVirtualIP returns the resource for an address with its prefix length on a network interface.
func NewVirtualIP(address, device string) (*VirtualIP, error) {
	p, err := netip.ParsePrefix(address)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address with a prefix length (10.0.0.10/24)", address)
	}
	if a := p.Addr(); a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return nil, fmt.Errorf("%s cannot be a virtual address", a)
	}
	if len(device) == 0 || len(device) > maxDevice {
		return nil, fmt.Errorf("interface %q: 1 to %d characters", device, maxDevice)
	}
	return &VirtualIP{prefix: p, device: device}, nil
}

// maxDevice is the longest name of a network interface, in bytes.
const maxDevice = 15

// Addr returns the address without its prefix length.
func (v *VirtualIP) Addr() netip.Addr { return v.prefix.Addr() }
