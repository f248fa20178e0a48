package plan

import "slices"

// Plan is the set of requests for one device and what was learned about it.
type Plan struct {
	limits Limits
	holes  []hole
	blocks []*Block
}

// New plans the reading of items.
func New(items []Item, limits Limits) *Plan {
	p := &Plan{limits: limits.normal()}
	p.blocks = p.merge(items)
	return p
}

// Blocks returns the requests of a full scan. The slice and the blocks change only in Accepted, Refused and TooLong.
func (p *Plan) Blocks() []*Block { return p.blocks }

// Unwanted returns how many registers and bits of a full scan nobody wants: the gaps.
func (p *Plan) Unwanted() (n int) {
	for _, b := range p.blocks {
		n += int(b.Count) - b.Used()
	}
	return n
}

// merge plans items and marks those that lie in a known hole.
func (p *Plan) merge(items []Item) []*Block {
	blocks := merge(items, p.limits, p.holes)
	for _, b := range blocks {
		for _, h := range p.holes {
			if h.from < h.to && h.in(b.Area, int(b.Address), int(b.Address)+int(b.Count)) {
				b.Refused, b.Period = true, p.limits.RetryRefused
			}
		}
	}
	return blocks
}

// split is a refused block divided in two. When both halves are known, the holes between and in them are, too.
type split struct {
	parent   *split
	half     int // of the parent
	items    []Item
	done     [2]bool
	good     [2]bool
	from, to int // the gap between the halves
}

// Accepted tells that the device has answered b with values. It returns whether the blocks changed.
func (p *Plan) Accepted(b *Block) bool {
	if b.Refused {
		from, to := int(b.Address), int(b.Address)+int(b.Count)
		p.holes = slices.DeleteFunc(p.holes, func(h hole) bool { return h.in(b.Area, from, to) })
		p.replace(b, p.merge(b.items))
		return true
	}
	if b.split == nil {
		return false
	}
	s := b.split
	b.split = nil
	return p.resolve(b.Area, s, b.half, true)
}

// Refused tells that the device has answered b with "illegal address". It returns whether the blocks changed: the block
// is divided, or, if it is one value, set aside.
func (p *Plan) Refused(b *Block) bool {
	if b.Refused {
		return false
	}
	if i := middle(b.items); i > 0 {
		s := &split{parent: b.split, half: b.half, items: b.items}
		left, right := newBlock(b.items[:i]), newBlock(b.items[i:])
		s.from, s.to = int(left.Address)+int(left.Count), int(right.Address)
		left.split, left.half = s, 0
		right.split, right.half = s, 1
		p.replace(b, []*Block{left, right})
		return true
	}
	p.holes = append(p.holes, hole{area: b.Area, from: int(b.Address), to: int(b.Address) + int(b.Count)})
	if s := b.split; s != nil {
		b.split = nil
		b.Refused, b.Period = true, p.limits.RetryRefused
		p.resolve(b.Area, s, b.half, false)
		return true
	}
	p.replace(b, p.merge(b.items))
	return true
}

// TooLong tells that the device has answered b with "illegal quantity": from now on no request of the area is longer
// than half of it. It returns whether the blocks changed.
func (p *Plan) TooLong(b *Block) bool {
	longest := 0
	for _, it := range b.items {
		longest = max(longest, int(it.Count))
	}
	if int(b.Count) <= longest {
		return p.Refused(b)
	}
	limit := p.limits.size(b.Area)
	*limit = min(*limit, max(int(b.Count)/2, longest))
	for _, other := range slices.Clone(p.blocks) {
		if other.Area == b.Area && int(other.Count) > *limit && !other.Refused {
			s := other.split
			p.replace(other, p.merge(other.items))
			if s != nil {
				p.resolve(other.Area, s, other.half, true)
			}
		}
	}
	return true
}

// resolve records the outcome of one half. When the outermost split is known in all its parts, its items are planned
// anew around the holes.
func (p *Plan) resolve(a Area, s *split, half int, good bool) bool {
	s.done[half], s.good[half] = true, good
	if !s.done[0] || !s.done[1] {
		return false
	}
	if s.good[0] && s.good[1] {
		p.holes = append(p.holes, hole{area: a, from: s.from, to: s.to})
	}
	if s.parent != nil {
		return p.resolve(a, s.parent, s.half, false)
	}
	first := s.items[0]
	wanted := map[int]bool{}
	for _, it := range s.items {
		wanted[it.Index] = true
	}
	p.blocks = slices.DeleteFunc(p.blocks, func(b *Block) bool {
		return b.Area == first.Area && wanted[b.Cuts[0].Index]
	})
	p.blocks = append(p.blocks, p.merge(s.items)...)
	return true
}

func (p *Plan) replace(b *Block, by []*Block) {
	i := slices.Index(p.blocks, b)
	if i < 0 {
		return
	}
	p.blocks = slices.Replace(p.blocks, i, i+1, by...)
}

// middle returns where to divide items so that no value is in both halves, as near to the middle as possible; 0 if
// there is no such place.
func middle(items []Item) int {
	best, end := 0, 0
	target := int(items[0].Address)
	for _, it := range items {
		target = max(target, it.end())
	}
	target = (target + int(items[0].Address)) / 2
	for i, it := range items {
		if i > 0 && int(it.Address) >= end && (best == 0 || distance(int(it.Address), target) < distance(int(items[best].Address), target)) {
			best = i
		}
		end = max(end, it.end())
	}
	return best
}

func distance(a, b int) int { return max(a-b, b-a) }
