package resource

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Start implements [Resource]: the address is put on the interface and announced. It fails on an interface without a
// carrier, where no client would find it.
func (v *VirtualIP) Start(context.Context) error {
	return withNetlink(func(h *netlink.Handle) error {
		link, err := v.link(h)
		if err != nil {
			return err
		}
		addr := &netlink.Addr{IPNet: v.ipNet()}
		if !v.Addr().Is4() {
			// The check for duplicates would keep the address unusable for a second, and the old owner may still be heard.
			// A preferred lifetime of 0 keeps it from becoming the source of this node's own connections.
			addr.Flags = unix.IFA_F_NODAD
			addr.ValidLft = math.MaxInt32 // seconds; 68 years
		}
		if err := h.AddrReplace(link, addr); err != nil {
			return fmt.Errorf("adding %s to %s: %w", v.prefix, v.device, err)
		}
		v.left = repeats
		for range announcements {
			if err := v.announce(link.Attrs()); err != nil {
				return fmt.Errorf("announcing %s on %s: %w", v.Addr(), v.device, err)
			}
		}
		return nil
	})
}

// Stop implements [Resource].
func (v *VirtualIP) Stop(ctx context.Context) error {
	_, err := v.Clean(ctx)
	return err
}

// Monitor implements [Resource]: the address is there and the interface has a carrier.
func (v *VirtualIP) Monitor(context.Context) error {
	return withNetlink(func(h *netlink.Handle) error {
		link, err := v.link(h)
		if err != nil {
			return err
		}
		found, err := v.find(h)
		if err != nil {
			return err
		}
		for _, a := range found {
			if a.LinkIndex != link.Attrs().Index {
				continue
			}
			if v.left == 0 {
				return nil
			}
			v.left--
			return v.announce(link.Attrs())
		}
		return fmt.Errorf("%s is not on %s any more", v.prefix, v.device)
	})
}

// Clean implements [Cleaner].
func (v *VirtualIP) Clean(context.Context) (bool, error) {
	removed := false
	err := withNetlink(func(h *netlink.Handle) error {
		found, err := v.find(h)
		if err != nil {
			return err
		}
		for _, a := range found {
			link, err := h.LinkByIndex(a.LinkIndex)
			if err != nil {
				return fmt.Errorf("looking up interface %d: %w", a.LinkIndex, err)
			}
			if link.Attrs().Flags&net.FlagLoopback != 0 {
				continue
			}
			if err := h.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return fmt.Errorf("removing %s from %s: %w", v.prefix, link.Attrs().Name, err)
			}
			removed = true
		}
		return nil
	})
	return removed, err
}

// withNetlink lends a socket of its own: one that is kept would stay in the network namespace it was made in.
func withNetlink(f func(h *netlink.Handle) error) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	defer h.Close()
	return f(h)
}

// link returns the interface if packets can leave by it.
func (v *VirtualIP) link(h *netlink.Handle) (netlink.Link, error) {
	link, err := h.LinkByName(v.device)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", v.device, err)
	}
	a := link.Attrs()
	if a.Flags&net.FlagUp == 0 {
		return nil, fmt.Errorf("interface %s is down", v.device)
	}
	if a.OperState == netlink.OperDown || a.OperState == netlink.OperLowerLayerDown {
		return nil, fmt.Errorf("interface %s has no carrier", v.device)
	}
	return link, nil
}

// find returns the address on whatever interfaces have it, with whatever prefix length.
func (v *VirtualIP) find(h *netlink.Handle) ([]netlink.Addr, error) {
	family := netlink.FAMILY_V6
	if v.Addr().Is4() {
		family = netlink.FAMILY_V4
	}
	all, err := h.AddrList(nil, family)
	if err != nil {
		return nil, fmt.Errorf("listing the addresses: %w", err)
	}
	var found []netlink.Addr
	for _, a := range all {
		if a.IP.Equal(v.Addr().AsSlice()) {
			found = append(found, a)
		}
	}
	return found, nil
}

func (v *VirtualIP) ipNet() *net.IPNet {
	return &net.IPNet{IP: v.Addr().AsSlice(), Mask: net.CIDRMask(v.prefix.Bits(), v.Addr().BitLen())}
}

// announce tells the neighbours which hardware address the address has now. An interface without Ethernet addresses
// has no neighbours that could remember a wrong one.
func (v *VirtualIP) announce(link *netlink.LinkAttrs) error {
	if len(link.HardwareAddr) != 6 {
		return nil
	}
	if v.Addr().Is4() {
		return v.gratuitousARP(link)
	}
	return v.neighborAdvertisement(link)
}

func (v *VirtualIP) gratuitousARP(link *netlink.LinkAttrs) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{0x08, 0x06}), Ifindex: link.Index, Halen: 6}
	copy(to.Addr[:], broadcast)
	return os.NewSyscallError("sendto", unix.Sendto(fd, arpFrame(link.HardwareAddr, v.Addr()), 0, to))
}

func (v *VirtualIP) neighborAdvertisement(link *netlink.LinkAttrs) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	// Neighbours ignore what may have crossed a router: the hop limit must be 255.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet6{Addr: v.Addr().As16()}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	to := &unix.SockaddrInet6{Addr: allNodes, ZoneId: uint32(link.Index)}
	return os.NewSyscallError("sendto", unix.Sendto(fd, naMessage(link.HardwareAddr, v.Addr()), 0, to))
}
