package plc

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestProof: what is read is what the tick says, another in the next, and another for each device and address.
func TestProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProof(7, 100, time.Second)
		var words, bits, next [100]uint16
		tick := time.Now().Unix()
		if e := p.Read(HoldingRegisters, 0, words[:]) | p.Read(DiscreteInputs, 0, bits[:]); e != 0 {
			t.Fatal(e)
		}
		time.Sleep(time.Second)
		if e := p.Read(InputRegisters, 0, next[:]); e != 0 {
			t.Fatal(e)
		}
		seen := map[uint16]int{}
		for i := range words {
			want := ProofValue(7, uint16(i), tick)
			if words[i] != want || bits[i] != want&1 || next[i] != ProofValue(7, uint16(i), tick+1) {
				t.Errorf("%d: %d, %d, then %d; want %d", i, words[i], bits[i], next[i], want)
			}
			for _, v := range []uint16{want, next[i], ProofValue(8, uint16(i), tick)} {
				seen[v]++
			}
		}
		if len(seen) < 290 {
			t.Errorf("300 values, %d different ones", len(seen))
		}
		if e := p.Read(HoldingRegisters, 1, words[:]); e != IllegalAddress {
			t.Errorf("behind the end: %d", e)
		}
		if e := p.Write(HoldingRegisters, 0, words[:1]); e != IllegalAddress {
			t.Errorf("writing: %d", e)
		}
	})
}
