// Package plan decides which registers are read in which request, and how to cut an answer into values.
//
// The plan starts from the values that are wanted: it sorts them, merges neighbours into one request while the gap
// between them is cheaper than another request, and never divides a value. It then learns from the device: an "illegal
// address" is closed in on by bisection until only the registers that do not exist are left out, an "illegal quantity"
// lowers the size of all requests.
package plan

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// Area is one of the four address spaces of a Modbus device.
type Area uint8

// The areas.
const (
	Coil     Area = iota // read and written bit by bit, function 1
	Discrete             // read only bits, function 2
	Input                // read only registers, function 4
	Holding              // registers, function 3
)

var areaNames = [...]string{"co", "di", "ir", "hr"}

// String returns the prefix of the area in addresses: co, di, ir, hr.
func (a Area) String() string {
	if int(a) < len(areaNames) {
		return areaNames[a]
	}
	return "area(" + strconv.Itoa(int(a)) + ")"
}

// IsBits reports whether the area holds bits, not registers.
func (a Area) IsBits() bool { return a <= Discrete }

// The most values one request may ask for, from the Modbus specification.
const (
	MaxRegisters = 125
	MaxBits      = 2000
	addressSpace = 1 << 16
)

// Item is one value that is wanted: Count registers (or bits) from Address, read every Period.
type Item struct {
	Area    Area
	Address uint16
	Count   uint16
	Period  time.Duration
	Index   int // the caller's own number, kept in the cuts
}

func (i Item) end() int { return int(i.Address) + int(i.Count) }

// Limits bound the merging. Zero fields take the values of the specification; a gap of zero merges only neighbours.
type Limits struct {
	Registers    int // most registers in a request
	Bits         int // most bits in a request
	RegisterGap  int // most unwanted registers between two values of one request
	BitGap       int
	NeverGap     []Span        // nothing in them is read that is not wanted
	RetryRefused time.Duration // how often a value the device refused is asked for again; zero means 10 minutes
}

// Span is a stretch of an area, its ends included.
type Span struct {
	Area        Area
	First, Last uint16
}

// meets reports whether [from, to) of an area has something of the span.
func (s Span) meets(a Area, from, to int) bool {
	return s.Area == a && from <= int(s.Last) && int(s.First) < to
}

const defaultRetryRefused = 10 * time.Minute

func (l Limits) normal() Limits {
	if l.Registers <= 0 || l.Registers > MaxRegisters {
		l.Registers = MaxRegisters
	}
	if l.Bits <= 0 || l.Bits > MaxBits {
		l.Bits = MaxBits
	}
	if l.RetryRefused <= 0 {
		l.RetryRefused = defaultRetryRefused
	}
	return l
}

func (l Limits) gap(a Area) int {
	if a.IsBits() {
		return l.BitGap
	}
	return l.RegisterGap
}

func (l *Limits) size(a Area) *int {
	if a.IsBits() {
		return &l.Bits
	}
	return &l.Registers
}

// Cut says where in an answer a value is.
type Cut struct {
	Index  int    // of the item
	Offset uint16 // registers or bits from the start of the block
	Count  uint16
}

// Block is one read request.
type Block struct {
	Area    Area
	Address uint16
	Count   uint16
	Period  time.Duration
	Cuts    []Cut
	// Refused marks a value the device has refused, asked for on its own and rarely.
	Refused bool

	items []Item
	split *split // the bisection this block belongs to
	half  int
}

// Used returns how many registers or bits of the block are wanted; the rest is gap.
func (b *Block) Used() int {
	used, end := 0, 0
	for _, c := range b.Cuts {
		from, to := max(int(c.Offset), end), int(c.Offset)+int(c.Count)
		if to > from {
			used += to - from
			end = to
		}
	}
	return used
}

func newBlock(items []Item) *Block {
	first := items[0]
	end := 0
	for _, it := range items {
		end = max(end, it.end())
	}
	b := &Block{Area: first.Area, Address: first.Address, Count: uint16(end - int(first.Address)), Period: first.Period, items: items}
	b.Cuts = make([]Cut, len(items))
	for i, it := range items {
		b.Cuts[i] = Cut{Index: it.Index, Offset: it.Address - b.Address, Count: it.Count}
	}
	return b
}

// hole is a stretch no request may cover: registers that do not exist, or, when empty, a border no request may cross.
type hole struct {
	area     Area
	from, to int
}

// in reports whether a request for [from, to) would touch the hole.
func (h hole) in(a Area, from, to int) bool {
	if h.area != a {
		return false
	}
	if h.from == h.to {
		return from < h.from && h.from < to
	}
	return from < h.to && h.from < to
}

// merge makes blocks of items in one pass over the sorted items.
func merge(items []Item, l Limits, holes []hole) []*Block {
	items = slices.Clone(items)
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Area, b.Area), cmp.Compare(a.Period, b.Period), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Count, b.Count))
	})
	var blocks []*Block
	start, end := 0, 0
	for i, it := range items {
		if i > start && fits(items[start], it, end, l, holes) {
			end = max(end, it.end())
			continue
		}
		if i > start {
			blocks = append(blocks, newBlock(items[start:i]))
		}
		start, end = i, it.end()
	}
	if start < len(items) {
		blocks = append(blocks, newBlock(items[start:]))
	}
	return blocks
}

// fits reports whether it may join the block that begins with first and so far ends at end.
func fits(first, it Item, end int, l Limits, holes []hole) bool {
	if it.Area != first.Area || it.Period != first.Period {
		return false
	}
	from, to := int(first.Address), max(end, it.end())
	if to-from > *l.size(it.Area) || int(it.Address)-end > l.gap(it.Area) {
		return false
	}
	for _, h := range holes {
		if h.in(it.Area, from, to) {
			return false
		}
	}
	for _, s := range l.NeverGap {
		if int(it.Address) > end && s.meets(it.Area, end, int(it.Address)) {
			return false
		}
	}
	return true
}
