package resource

import (
	"encoding/binary"
	"net"
	"net/netip"
)

var (
	broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodes  = [16]byte{0: 0xff, 1: 0x02, 15: 1} // ff02::1, every host on the link
)

// minFrame is the least length of an Ethernet frame without its checksum, in bytes.
const minFrame = 60

// arpFrame is a gratuitous ARP request (RFC 5227, 3): sender and target are the address itself. Hosts that know the
// address take the new hardware address, switches learn the port.
func arpFrame(mac net.HardwareAddr, addr netip.Addr) []byte {
	ip := addr.As4()
	b := make([]byte, 0, minFrame)
	b = append(append(b, broadcast...), mac...)
	b = binary.BigEndian.AppendUint16(b, 0x0806) // ARP
	b = binary.BigEndian.AppendUint16(b, 1)      // Ethernet
	b = binary.BigEndian.AppendUint16(b, 0x0800) // IPv4
	b = append(b, 6, 4, 0, 1)                    // lengths of the addresses, request
	b = append(append(b, mac...), ip[:]...)
	b = append(append(b, 0, 0, 0, 0, 0, 0), ip[:]...)
	return append(b, make([]byte, minFrame-len(b))...)
}

// naMessage is an unsolicited neighbour advertisement (RFC 4861, 7.2.6) with the override flag. The kernel fills in the
// checksum.
func naMessage(mac net.HardwareAddr, addr netip.Addr) []byte {
	ip := addr.As16()
	b := []byte{136, 0, 0, 0, 0x20, 0, 0, 0} // type, code, checksum, override
	b = append(b, ip[:]...)
	b = append(b, 2, 1) // target link-layer address, 8 bytes
	return append(b, mac...)
}
