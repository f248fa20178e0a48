package plc

import (
	"fmt"
	"sync"
)

// Area is one of the four address spaces of a Modbus unit.
type Area uint8

// The areas.
const (
	Coils Area = iota
	DiscreteInputs
	InputRegisters
	HoldingRegisters
	areas
)

// String returns the short name used in addresses: co, di, ir, hr.
func (a Area) String() string {
	if a < areas {
		return [areas]string{"co", "di", "ir", "hr"}[a]
	}
	return fmt.Sprintf("area(%d)", uint8(a))
}

// ParseArea returns the area with the given short name.
func ParseArea(s string) (Area, error) {
	for a := Coils; a < areas; a++ {
		if a.String() == s {
			return a, nil
		}
	}
	return 0, fmt.Errorf("unknown area %q (one of co, di, ir, hr)", s)
}

// IsBits reports whether the area holds single bits.
func (a Area) IsBits() bool { return a == Coils || a == DiscreteInputs }

// Exception is a Modbus exception code; 0 means none.
type Exception uint8

// The exceptions a unit gives by itself.
const (
	IllegalFunction Exception = 1
	IllegalAddress  Exception = 2
	IllegalValue    Exception = 3
	DeviceFailure   Exception = 4
	DeviceBusy      Exception = 6
	NoGatewayPath   Exception = 10
	NoGatewayAnswer Exception = 11
)

// Bank is the memory of one unit. Bits are carried as 0 and 1. Its methods are called from several goroutines.
type Bank interface {
	// Read fills dst with the values from addr on.
	Read(area Area, addr uint16, dst []uint16) Exception
	// Write stores src from addr on, all or nothing.
	Write(area Area, addr uint16, src []uint16) Exception
}

// Freezer is a bank whose values can be made to stand still while it goes on answering.
type Freezer interface{ Freeze(on bool) }

// Memory is a bank of plain memory: every defined address can be read, those of coils and holding registers written.
type Memory struct {
	mu     sync.Mutex
	values [areas][]uint16
	holes  [areas]map[uint16]bool
}

// NewMemory returns a bank with n addresses, from 0, in each area.
func NewMemory(n int) *Memory {
	m := &Memory{}
	for a := range m.values {
		m.values[a] = make([]uint16, min(n, 1<<16))
		m.holes[a] = map[uint16]bool{}
	}
	return m
}

// Set stores values whatever the area, as the controller's own program would.
func (m *Memory) Set(area Area, addr uint16, values ...uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	copy(m.values[area][addr:], values)
}

// Get returns n values from addr on.
func (m *Memory) Get(area Area, addr uint16, n int) []uint16 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]uint16(nil), m.values[area][addr:int(addr)+n]...)
}

// Hole makes n addresses from addr on undefined: touching one is an illegal address.
func (m *Memory) Hole(area Area, addr uint16, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range n {
		m.holes[area][addr+uint16(i)] = true
	}
}

// Read implements [Bank].
func (m *Memory) Read(area Area, addr uint16, dst []uint16) Exception {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.defined(area, addr, len(dst)) {
		return IllegalAddress
	}
	copy(dst, m.values[area][addr:])
	return 0
}

// Write implements [Bank].
func (m *Memory) Write(area Area, addr uint16, src []uint16) Exception {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.defined(area, addr, len(src)) {
		return IllegalAddress
	}
	copy(m.values[area][addr:], src)
	return 0
}

func (m *Memory) defined(area Area, addr uint16, n int) bool {
	if area >= areas || int(addr)+n > len(m.values[area]) {
		return false
	}
	if len(m.holes[area]) > 0 {
		for i := range n {
			if m.holes[area][addr+uint16(i)] {
				return false
			}
		}
	}
	return true
}

// WithHoles wraps a bank so that touching one of the holes is an illegal address.
func WithHoles(b Bank, holes ...Hole) Bank {
	if len(holes) == 0 {
		return b
	}
	return &holed{Bank: b, holes: holes}
}

// Hole is a stretch of undefined addresses, both ends included.
type Hole struct {
	Area        Area
	First, Last uint16
}

type holed struct {
	Bank
	holes []Hole
}

func (h *holed) touches(area Area, addr uint16, n int) bool {
	for _, x := range h.holes {
		if x.Area == area && int(addr)+n > int(x.First) && addr <= x.Last {
			return true
		}
	}
	return false
}

func (h *holed) Read(area Area, addr uint16, dst []uint16) Exception {
	if h.touches(area, addr, len(dst)) {
		return IllegalAddress
	}
	return h.Bank.Read(area, addr, dst)
}

func (h *holed) Write(area Area, addr uint16, src []uint16) Exception {
	if h.touches(area, addr, len(src)) {
		return IllegalAddress
	}
	return h.Bank.Write(area, addr, src)
}

// Freeze passes on to the bank inside.
func (h *holed) Freeze(on bool) {
	if f, ok := h.Bank.(Freezer); ok {
		f.Freeze(on)
	}
}
