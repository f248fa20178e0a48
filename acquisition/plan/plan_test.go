package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func regs(pairs ...int) []Item {
	var items []Item
	for i := 0; i < len(pairs); i += 2 {
		items = append(items, Item{Area: Holding, Address: uint16(pairs[i]), Count: uint16(pairs[i+1]), Period: time.Second, Index: i / 2})
	}
	return items
}

func show(blocks []*Block) string {
	var parts []string
	for _, b := range blocks {
		s := fmt.Sprintf("%s:%d+%d", b.Area, b.Address, b.Count)
		if b.Refused {
			s += "!"
		}
		parts = append(parts, s)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func TestMerge(t *testing.T) {
	for _, c := range []struct {
		name   string
		items  []Item
		limits Limits
		want   string
	}{
		{"nothing", nil, Limits{}, ""},
		{"neighbours in any order", regs(12, 1, 10, 2), Limits{}, "hr:10+3"},
		{"gap at the limit", regs(10, 1, 19, 1), Limits{RegisterGap: 8}, "hr:10+10"},
		{"gap over the limit", regs(10, 1, 20, 1), Limits{RegisterGap: 8}, "hr:10+1 hr:20+1"},
		{"gap that is never read", regs(10, 1, 14, 1), Limits{RegisterGap: 8, NeverGap: []Span{{Holding, 13, 13}}}, "hr:10+1 hr:14+1"},
		{"gap beside one that is never read", regs(10, 1, 14, 2), Limits{RegisterGap: 8, NeverGap: []Span{{Holding, 14, 15}, {Holding, 0, 10}, {Input, 11, 13}}}, "hr:10+6"},
		{"neighbours where no gap is read", regs(10, 1, 11, 1, 13, 1), Limits{RegisterGap: 8, NeverGap: []Span{{Holding, 0, 65535}}}, "hr:10+2 hr:13+1"},
		{"full request", regs(0, 124, 124, 1), Limits{}, "hr:0+125"},
		{"one over", regs(0, 124, 124, 2), Limits{}, "hr:0+124 hr:124+2"},
		{"a value is not divided", regs(0, 123, 123, 4), Limits{}, "hr:0+123 hr:123+4"},
		{"bits of one register", regs(5, 1, 5, 1, 5, 1), Limits{}, "hr:5+1"},
		{"a value inside another", regs(5, 8, 6, 1, 13, 1), Limits{}, "hr:5+9"},
		{"smaller device", regs(0, 10, 10, 10), Limits{Registers: 16}, "hr:0+10 hr:10+10"},
		{"a value longer than the device takes is asked for all the same", regs(0, 20), Limits{Registers: 16}, "hr:0+20"},
		{"last register", regs(65534, 2), Limits{}, "hr:65534+2"},
		{"bits", []Item{{Area: Coil, Address: 0, Count: 1}, {Area: Coil, Address: 1999, Count: 1}}, Limits{BitGap: 2000}, "co:0+2000"},
		{"bits, one over", []Item{{Area: Coil, Address: 0, Count: 1}, {Area: Coil, Address: 2000, Count: 1}}, Limits{BitGap: 2000}, "co:0+1 co:2000+1"},
		{"areas apart", []Item{{Area: Input, Address: 1, Count: 1}, {Area: Holding, Address: 2, Count: 1}}, Limits{}, "hr:2+1 ir:1+1"},
		{"periods apart", []Item{{Area: Input, Address: 1, Count: 1, Period: 1}, {Area: Input, Address: 2, Count: 1, Period: 2}}, Limits{}, "ir:1+1 ir:2+1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := show(New(c.items, c.limits).Blocks()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestUsed(t *testing.T) {
	p := New(regs(10, 4, 12, 4, 12, 1, 20, 1, 100, 1, 102, 1), Limits{RegisterGap: 8})
	b := p.Blocks()[0]
	if b.Count != 11 || b.Used() != 7 {
		t.Errorf("%d of %d registers used, want 7 of 11", b.Used(), b.Count)
	}
	if n := p.Unwanted(); n != 5 {
		t.Errorf("%d registers nobody wants, want 5", n)
	}
}

// TestMergeModel compares the planner with the fewest requests found by trying everything, and checks each promise on
// random plans.
func TestMergeModel(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		limits := Limits{Registers: 8 + r.IntN(40), RegisterGap: r.IntN(10)}
		items, at := []Item(nil), 0
		for i := range 1 + r.IntN(30) {
			n := 1 + r.IntN(4)
			items = append(items, Item{Area: Holding, Address: uint16(at), Count: uint16(n), Period: time.Second, Index: i})
			at += n + r.IntN(12)*r.IntN(2)
		}
		want := fewest(items, limits)
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		blocks := New(items, limits).Blocks()
		if len(blocks) != want {
			t.Fatalf("seed %d: %d requests, %d would do: %s", seed, len(blocks), want, show(blocks))
		}
		checkPlan(t, seed, items, blocks, limits)
	}
}

// fewest tries every division of sorted items into runs.
func fewest(items []Item, l Limits) int {
	best := make([]int, len(items)+1)
	for i := len(items) - 1; i >= 0; i-- {
		best[i] = 1 << 30
		for j := i; j < len(items); j++ {
			if j > i && (int(items[j].Address)-items[j-1].end() > l.RegisterGap || items[j].end()-int(items[i].Address) > l.Registers) {
				break
			}
			best[i] = min(best[i], 1+best[j+1])
		}
	}
	return best[0]
}

func checkPlan(t *testing.T, seed uint64, items []Item, blocks []*Block, l Limits) {
	t.Helper()
	byIndex := map[int]Item{}
	for _, it := range items {
		byIndex[it.Index] = it
	}
	for _, b := range blocks {
		if int(b.Count) > l.Registers {
			t.Fatalf("seed %d: request of %d registers, limit %d", seed, b.Count, l.Registers)
		}
		for _, c := range b.Cuts {
			it, ok := byIndex[c.Index]
			if !ok || b.Address+c.Offset != it.Address || c.Count != it.Count || int(c.Offset+c.Count) > int(b.Count) {
				t.Fatalf("seed %d: cut %+v of %s+%d does not fit item %+v (once: %v)", seed, c, b.Area, b.Address, it, ok)
			}
			delete(byIndex, c.Index)
		}
	}
	if len(byIndex) != 0 {
		t.Fatalf("seed %d: items nobody reads: %v", seed, byIndex)
	}
}

// device answers requests as one with holes, a largest request and borders no request may cross.
type device struct {
	holes   map[int]bool
	borders []int
	most    int
}

func (d device) ok(b *Block) string {
	if d.most > 0 && int(b.Count) > d.most {
		return "long"
	}
	from, to := int(b.Address), int(b.Address)+int(b.Count)
	for a := from; a < to; a++ {
		if d.holes[a] {
			return "refused"
		}
	}
	for _, border := range d.borders {
		if from < border && border < to {
			return "refused"
		}
	}
	return "good"
}

// scan asks for every block once and returns how often the plan changed.
func scan(p *Plan, d device) (changes int) {
	for _, b := range slices.Clone(p.Blocks()) {
		changed := false
		switch d.ok(b) {
		case "good":
			changed = p.Accepted(b)
		case "long":
			changed = p.TooLong(b)
		case "refused":
			changed = p.Refused(b)
		}
		if changed {
			changes++
		}
	}
	return changes
}

func TestLearn(t *testing.T) {
	hundred := make([]int, 0, 200)
	for i := range 100 {
		hundred = append(hundred, i, 1)
	}
	for _, c := range []struct {
		name  string
		items []Item
		l     Limits
		d     device
		want  string
	}{
		{"one missing register costs only itself", regs(hundred...), Limits{}, device{holes: map[int]bool{37: true}}, "hr:0+37 hr:37+1! hr:38+62"},
		{"two", regs(hundred...), Limits{}, device{holes: map[int]bool{0: true, 99: true}}, "hr:0+1! hr:1+98 hr:99+1!"},
		{"a hole in a gap costs nothing", regs(10, 1, 20, 1, 21, 1), Limits{RegisterGap: 20}, device{holes: map[int]bool{15: true}}, "hr:10+1 hr:20+2"},
		{"a border", regs(hundred...), Limits{}, device{borders: []int{50}}, "hr:0+50 hr:50+50"},
		{"a smaller request", regs(hundred...), Limits{}, device{most: 30}, "hr:0+25 hr:25+25 hr:50+25 hr:75+25"},
		{"a whole value is missing", regs(0, 2, 2, 4, 6, 2), Limits{}, device{holes: map[int]bool{4: true}}, "hr:0+2 hr:2+4! hr:6+2"},
		{"bits of a missing register", regs(5, 1, 6, 1, 6, 1, 7, 1), Limits{}, device{holes: map[int]bool{6: true}}, "hr:5+1 hr:6+1! hr:6+1! hr:7+1"},
		{"a value longer than the device takes", regs(0, 20), Limits{}, device{most: 10}, "hr:0+20!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := New(c.items, c.l)
			scans := 0
			for scan(p, c.d) > 0 {
				if scans++; scans > 20 {
					t.Fatalf("not learned after 20 scans: %s", show(p.Blocks()))
				}
			}
			if got := show(p.Blocks()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestRefusedValueComesBack(t *testing.T) {
	p := New(regs(0, 1, 1, 1, 2, 1), Limits{RetryRefused: time.Minute})
	for scan(p, device{holes: map[int]bool{1: true}}) > 0 {
	}
	if got := show(p.Blocks()); got != "hr:0+1 hr:1+1! hr:2+1" {
		t.Fatal(got)
	}
	for _, b := range p.Blocks() {
		if b.Refused && b.Period != time.Minute {
			t.Errorf("the refused value is asked for every %v", b.Period)
		}
	}
	scan(p, device{})
	for _, b := range p.Blocks() {
		if b.Refused || b.Period != time.Second {
			t.Errorf("after it came back: %s, every %v", show(p.Blocks()), b.Period)
		}
	}
}

// TestLearnModel: whatever the device, learning ends, every value is in exactly one request, and only values that
// touch a hole are set aside.
func TestLearnModel(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 2))
		limits := Limits{RegisterGap: r.IntN(20)}
		var items []Item
		for i := range 1 + r.IntN(60) {
			items = append(items, Item{Area: Holding, Address: uint16(r.IntN(200)), Count: uint16(1 + r.IntN(4)), Index: i})
		}
		d := device{holes: map[int]bool{}, most: 4 + r.IntN(120)}
		for range r.IntN(12) {
			d.holes[r.IntN(204)] = true
		}
		p := New(items, limits)
		for scans := 0; scan(p, d) > 0; scans++ {
			if scans > 300 {
				t.Fatalf("seed %d: not learned: %s", seed, show(p.Blocks()))
			}
		}
		checkPlan(t, seed, items, p.Blocks(), Limits{Registers: 125})
		for _, b := range p.Blocks() {
			if touches := d.ok(b) != "good"; touches != b.Refused {
				t.Fatalf("seed %d: %s+%d refused=%v, device says %s", seed, b.Area, b.Address, b.Refused, d.ok(b))
			}
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	var items []Item
	for i := range 10000 {
		items = append(items, Item{Area: Holding, Address: uint16(i * 6), Count: 2, Index: i})
	}
	for b.Loop() {
		New(items, Limits{RegisterGap: 8})
	}
}
