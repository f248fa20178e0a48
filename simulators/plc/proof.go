package plc

import "time"

// Proof is a bank whose registers prove what they are: the content of each follows from the device, the address and the
// time, in ticks, so that a value that is wrong, shifted, of another device or stale is seen. Nothing can be written.
type Proof struct {
	device uint32
	size   int
	tick   time.Duration
}

// NewProof returns the bank of a device with so many addresses in each area, which change every tick.
func NewProof(device uint32, size int, tick time.Duration) *Proof {
	return &Proof{device: device, size: min(size, 1<<16), tick: tick}
}

// ProofValue is what the register of a device holds in a tick, which is counted since 1970. A bit holds its lowest bit.
func ProofValue(device uint32, addr uint16, tick int64) uint16 {
	x := uint64(device)<<32 ^ uint64(addr)<<16 ^ uint64(tick)
	x *= 0x9E3779B97F4A7C15
	x ^= x >> 29
	x *= 0xBF58476D1CE4E5B9
	return uint16(x >> 40)
}

// Read implements [Bank]. All values of one answer are of one tick.
func (p *Proof) Read(area Area, addr uint16, dst []uint16) Exception {
	if int(addr)+len(dst) > p.size {
		return IllegalAddress
	}
	tick := time.Now().UnixNano() / int64(p.tick)
	for i := range dst {
		dst[i] = ProofValue(p.device, addr+uint16(i), tick)
		if area.IsBits() {
			dst[i] &= 1
		}
	}
	return 0
}

// Write implements [Bank].
func (p *Proof) Write(Area, uint16, []uint16) Exception { return IllegalAddress }
