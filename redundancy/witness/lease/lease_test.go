package lease_test

import (
	"testing"
	"time"

	"scada/redundancy/witness/lease"
)

const interval = 200 * time.Millisecond

// cells are what two nodes share, without faults.
type cells [2]struct {
	block lease.Block
	nonce uint32
}

func (c *cells) exchange(index int, r lease.Request) lease.Picture {
	switch r.Do {
	case lease.Mark:
		c[index].nonce = r.Nonce
	case lease.Put:
		c[index].block = r.Block
	case lease.Read:
	}
	return lease.Picture{Own: c[index].block, Peer: c[1-index].block, Nonce: c[index].nonce}
}

func node(t *testing.T, index int) *lease.Core {
	t.Helper()
	c, err := lease.New(lease.Timed(index, interval, uint32(1000*(index+1))))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// play lets both nodes exchange until a time; a nil node is dead.
func play(c *cells, from, until time.Duration, want [2]bool, nodes ...*lease.Core) {
	for now := from; now < until; now += 10 * time.Millisecond {
		for i, n := range nodes {
			if n == nil {
				continue
			}
			if r, due := n.Next(now, want[i]); due {
				n.Answered(now+time.Millisecond, c.exchange(i, r))
			}
		}
	}
}

func TestStory(t *testing.T) {
	var c cells
	a, b := node(t, 0), node(t, 1)
	play(&c, 0, 1100*time.Millisecond, [2]bool{true, false}, a, b)
	if a.Holds(1100*time.Millisecond) || a.Peer(1100*time.Millisecond) != lease.Unknown {
		t.Error("a holds, or judges, before it has watched for as long as another lease may run")
	}
	play(&c, 1100*time.Millisecond, 3*time.Second, [2]bool{true, false}, a, b)
	if now := 3 * time.Second; !a.Holds(now) || b.Holds(now) || b.Peer(now) != lease.Working || a.Peer(now) != lease.Idle || a.Epoch()%2 != 1 {
		t.Fatalf("a %v, b %v, b sees %v", a.Holds(now), b.Holds(now), b.Peer(now))
	}
	// a dies: b waits for Take from the last change it saw.
	play(&c, 3*time.Second, 4*time.Second, [2]bool{true, true}, nil, b)
	if now := 4 * time.Second; b.Holds(now) || a.Holds(now) {
		t.Fatal("somebody holds 1 s after a's death")
	}
	play(&c, 4*time.Second, 5*time.Second, [2]bool{true, true}, nil, b)
	if now := 5 * time.Second; !b.Holds(now) || b.Epoch()%2 != 0 {
		t.Fatal("b does not hold 2 s after a's death")
	}
	// a is back, and wants: it stays without as long as b renews.
	play(&c, 5*time.Second, 9*time.Second, [2]bool{true, true}, a, b)
	if now := 9 * time.Second; !b.Holds(now) || a.Holds(now) || a.Peer(now) != lease.Working {
		t.Fatal("a, returned, took the lease from b that renews it")
	}
	// b lets go at once; a has it after Take.
	play(&c, 9*time.Second, 11*time.Second, [2]bool{true, false}, a, b)
	if now := 11 * time.Second; b.Holds(now) || !a.Holds(now) {
		t.Fatal("b let go and a did not get the lease")
	}
}

func TestWipedCells(t *testing.T) {
	var c cells
	a, b := node(t, 0), node(t, 1)
	play(&c, 0, 3*time.Second, [2]bool{true, true}, a, b)
	if !a.Holds(3 * time.Second) {
		t.Fatal("a does not hold")
	}
	c = cells{}
	play(&c, 3*time.Second, 3400*time.Millisecond, [2]bool{true, true}, a, b)
	if now := 3400 * time.Millisecond; a.Holds(now) || b.Holds(now) {
		t.Fatal("a lease survived the wiping of the cells")
	}
	play(&c, 3400*time.Millisecond, 6*time.Second, [2]bool{true, true}, a, b)
	if now := 6 * time.Second; !a.Holds(now) || b.Holds(now) {
		t.Fatal("the lease is not held again")
	}
}

// TestNoAnswerNoLease: without answers the lease ends by itself, after Hold from the sending of the last one answered.
func TestNoAnswerNoLease(t *testing.T) {
	var c cells
	a := node(t, 0)
	play(&c, 0, 3*time.Second, [2]bool{true}, a)
	left := a.Left(3 * time.Second)
	if left <= 0 || left > 4*interval {
		t.Fatalf("%v left", left)
	}
	if now := 3*time.Second + left; a.Holds(now) || !a.Holds(now-1) {
		t.Errorf("the lease does not end when it says")
	}
	if now := 5 * time.Second; a.Peer(now) != lease.Unknown {
		t.Errorf("a judges by old pictures: %v", a.Peer(now))
	}
}

// TestLateAnswer: the answer to a renewal that was sent in time comes after the lease has ended. The other may have claimed
// meanwhile, so the lease is not revived.
func TestLateAnswer(t *testing.T) {
	var c cells
	a := node(t, 0)
	play(&c, 0, 3*time.Second, [2]bool{true}, a)
	now := a.Deadline()
	r, due := a.Next(now, true)
	if !due || r.Do != lease.Put {
		t.Fatalf("%+v, %v: no renewal is due", r, due)
	}
	now += a.Left(now)
	a.Answered(now, c.exchange(0, r))
	if a.Holds(now) {
		t.Error("a lease that had ended was revived by a late answer")
	}
}

// TestWriteThatDidNotTake: cells that acknowledge a write and keep the old content are no witness.
func TestWriteThatDidNotTake(t *testing.T) {
	var c cells
	a := node(t, 0)
	for now := time.Duration(0); now < 5*time.Second; now += 10 * time.Millisecond {
		if r, due := a.Next(now, true); due {
			p := c.exchange(0, r)
			p.Own = lease.Block{}
			a.Answered(now, p)
		}
		if a.Holds(now) {
			t.Fatal("a holds by a write that is not in the cells")
		}
	}
}

func TestValidate(t *testing.T) {
	good := lease.Timed(1, interval, 7)
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*lease.Config){
		"index":             func(c *lease.Config) { c.Index = 2 },
		"interval too low":  func(c *lease.Config) { c.Interval = lease.MinInterval - 1 },
		"interval too high": func(c *lease.Config) { c.Interval = lease.MaxInterval + 1 },
		"hold":              func(c *lease.Config) { c.Hold = c.Interval },
		"take below hold":   func(c *lease.Config) { c.Take = c.Hold },
		"take just below":   func(c *lease.Config) { c.Take = c.Hold + c.Hold*lease.MinMargin/100 - 1 },
		"nonce":             func(c *lease.Config) { c.Nonce = 0 },
	} {
		c := good
		change(&c)
		if _, err := lease.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCells(t *testing.T) {
	own := lease.Block{Epoch: 3, Counter: 99, Node: 1}
	peer := lease.Block{Epoch: 1 << 31, Counter: 1, Node: 2}
	raw := lease.AppendNonce(peer.Append(lease.AppendNonce(own.Append(nil), 5)), 6)
	p, err := lease.ParseCells(0, raw)
	if err != nil || p != (lease.Picture{Own: own, Peer: peer, Nonce: 5}) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, _ = lease.ParseCells(1, raw); p != (lease.Picture{Own: peer, Peer: own, Nonce: 6}) {
		t.Errorf("%+v", p)
	}
	for i := range lease.BlockSize { // each damaged byte is seen
		bad := append([]byte(nil), raw...)
		bad[i] ^= 0x40
		if p, _ := lease.ParseCells(0, bad); !p.OwnTorn {
			t.Errorf("byte %d damaged: %+v", i, p.Own)
		}
	}
	foreign := lease.AppendNonce(own.Append(lease.AppendNonce(peer.Append(nil), 5)), 6)
	if p, _ := lease.ParseCells(0, foreign); !p.OwnTorn || !p.PeerTorn {
		t.Error("blocks in each other's place count")
	}
	if _, err := lease.ParseCells(0, raw[1:]); err == nil {
		t.Error("cells of the wrong size were read")
	}
	if p, err := lease.ParseCells(0, make([]byte, 2*lease.CellSize)); err != nil || p != (lease.Picture{}) {
		t.Errorf("empty cells: %+v, %v", p, err)
	}
}

func FuzzParseCells(f *testing.F) {
	own := lease.Block{Epoch: 3, Counter: 99, Node: 1}
	f.Add(lease.AppendNonce(own.Append(lease.AppendNonce(own.Append(nil), 5)), 6))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := lease.ParseCells(0, raw)
		if err != nil {
			return
		}
		if !p.OwnTorn && p.Own.Epoch != 0 && string(p.Own.Append(nil)) != string(raw[:lease.BlockSize]) {
			t.Errorf("%+v does not give back its bytes", p.Own)
		}
	})
}
