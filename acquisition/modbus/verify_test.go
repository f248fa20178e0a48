package modbus

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
)

var (
	verifyRegisters = flag.Int64("registers", 2_000_000, "self-verifying registers to read under random faults")
	verifySeed      = flag.Uint64("seed", 1, "of the random faults")
)

// Self-verifying registers change every verifyTick, and their content tells device, address and tick: a register that is
// wrong, shifted, of another unit or older than the request it answers is seen.
const (
	verifyTick    = 20 * time.Millisecond
	verifyBlocks  = 40  // of 125 registers
	verifyOneIn   = 30  // requests with a fault
	verifyWeather = 300 // requests with the same few faults
)

func selfVerifying(unit byte, a int, tick int64) uint16 {
	x := uint64(a)<<32 ^ uint64(unit)<<56 ^ uint64(tick)
	x *= 0x9E3779B97F4A7C15
	x ^= x >> 29
	x *= 0xBF58476D1CE4E5B9
	return uint16(x >> 40)
}

func tickOf(t time.Time) int64 { return t.UnixNano() / int64(verifyTick) }

// verifier checks what is published against what the device may have said: between the time-out before the arrival and
// the arrival itself.
type verifier struct {
	unit        byte
	read, wrong int64
	worst       string
	written     map[uint16]int // by value, as executed by the device
	sent        int
}

func (v *verifier) Publish(batch []tag.Update) {
	for i := range batch {
		u := &batch[i]
		if !u.Quality.IsGood() || int(u.Tag) >= 125*verifyBlocks {
			continue
		}
		v.read++
		if !v.fits(uint16(u.Value.Bits()), int(u.Tag), u.Time) {
			v.wrong++
			v.worst = fmt.Sprintf("register %d is %v at %v", u.Tag, u.Value, time.Unix(0, u.Time))
		}
	}
}

func (v *verifier) fits(got uint16, a int, at int64) bool {
	now := at / int64(verifyTick)
	for tick := now; tick >= now-int64(testTimeout/verifyTick)-1; tick-- {
		if got == selfVerifying(v.unit, a, tick) {
			return true
		}
	}
	return false
}

func (v *verifier) Settled(string, time.Time, error) {}

// randomFaults are what the answers of a device are spoilt with; gentle ones leave the connection standing.
func randomFaults(rtu bool) (gentle, all []behaviour) {
	if rtu {
		for _, m := range rtuMisbehaviours {
			if m.name != "one register fewer" && m.name != "one register more" && m.name != "another function" { // they name their own register
				all = append(all, m.do)
			}
		}
		return all, all
	}
	for _, m := range misbehaviours {
		if m.long {
			continue
		}
		if all = append(all, m.do); !m.drop {
			gentle = append(gentle, m.do)
		}
	}
	return gentle, all
}

// weather draws the fault of each answer from a few that change with time: where all mix all the time, the connection is
// given up so often that no answer is ever late on it.
func weather(rng *rand.Rand, gentle, all []behaviour) func() behaviour {
	var now []behaviour
	left := 0
	return func() behaviour {
		if left--; left < 0 {
			left, now = verifyWeather, now[:0]
			from := gentle
			if rng.IntN(3) == 0 {
				from = all
			}
			for range 1 + rng.IntN(4) {
				now = append(now, from[rng.IntN(len(from))])
			}
		}
		if rng.IntN(verifyOneIn) > 0 {
			return nil
		}
		return now[rng.IntN(len(now))]
	}
}

// verifyDevice reads verifyBlocks full blocks as fast as it may, beside a word that is written.
func verifyDevice(endpoint string, window int) Device {
	d := Device{Name: "plc", Endpoints: []string{endpoint}, Unit: 1, Timeout: testTimeout, Retries: 1, Window: window}
	for a := range 125 * verifyBlocks {
		d.Tags = append(d.Tags, tag.Definition{ID: tag.ID(a), Name: fmt.Sprint(a), Address: fmt.Sprintf("hr:%d", a), Type: tag.TypeUint16, ScanPeriod: verifyTick})
	}
	d.Tags = append(d.Tags, tag.Definition{ID: 125 * verifyBlocks, Name: "setpoint", Address: "hr:60000", Type: tag.TypeUint16, ScanPeriod: time.Minute, Writable: true})
	return d
}

// TestSelfVerifyingRegisters reads registers that prove their own content while one answer in verifyOneIn is spoilt in a
// way drawn by chance and set-points are written: no wrong value, no write executed twice, and no write called confirmed
// that was not executed. -registers 1000000000 is its long form.
func TestSelfVerifyingRegisters(t *testing.T) {
	for _, c := range []struct {
		endpoint string
		window   int
		part     float64 // of the registers
	}{{"tcp://plc:502", 1, 0.25}, {"tcp://plc:502", 4, 0.25}, {"tcp://plc:502", 16, 0.4}, {"rtuovertcp://plc:502", 1, 0.1}} {
		t.Run(fmt.Sprintf("%s/W%d", c.endpoint, c.window), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				verifyRegistersOf(t, verifyDevice(c.endpoint, c.window), int64(float64(*verifyRegisters)*c.part))
			})
		})
	}
}

func verifyRegistersOf(t *testing.T, d Device, until int64) {
	s := newSlave(t)
	s.rtu = d.Endpoints[0][:3] == "rtu"
	s.latency = time.Millisecond
	v := &verifier{unit: d.Unit, written: map[uint16]int{}}
	s.content = func(unit byte, a int) uint16 { return selfVerifying(unit, a, tickOf(time.Now())) }
	s.wrote = func(pdu []byte) { v.written[binary.BigEndian.Uint16(pdu[3:])]++ }
	rng := rand.New(rand.NewPCG(*verifySeed, uint64(d.Window)))
	gentle, all := randomFaults(s.rtu)
	s.chance = weather(rng, gentle, all)
	sources, err := New([]Device{d}, Options{Dial: s.dial})
	if err != nil {
		t.Fatal(err)
	}
	ch := sources[0].(*Channel)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	gate := &gated{inner: v}
	go func() { done <- ch.Run(ctx, gate) }()
	confirmed := writeSetPoints(t, ch, gate, v, until)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.stop()
	n := ch.Status()[0].Counters
	t.Logf("%d registers, %d requests, %d faults shown (%d time-outs, %d malformed, %d late, %d reconnections); %d writes, %d confirmed",
		v.read, n.Requests, n.Timeouts+n.Malformed+n.Late+n.Reconnects, n.Timeouts, n.Malformed, n.Late, n.Reconnects, v.sent, len(confirmed))
	if v.wrong > 0 {
		t.Errorf("%d WRONG VALUES of %d, the last: %s", v.wrong, v.read, v.worst)
	}
	for value, times := range v.written {
		if times > 1 {
			t.Errorf("write of %d executed %d times", value, times)
		}
	}
	for _, value := range confirmed {
		if v.written[value] != 1 {
			t.Errorf("write of %d confirmed, executed %d times", value, v.written[value])
		}
	}
	if n.Timeouts == 0 || n.Malformed == 0 || n.Reconnects == 0 && !s.rtu || v.sent >= 20 && len(confirmed) < v.sent/2 {
		t.Errorf("the faults did not show, or writes get nowhere: %+v, %d of %d writes confirmed", n, len(confirmed), v.sent)
	}
}

// writeSetPoints writes another value twice a second until enough has been read, and returns those that were confirmed.
func writeSetPoints(t *testing.T, ch *Channel, g *gated, v *verifier, until int64) (confirmed []uint16) {
	for g.count() < until {
		value := uint16(v.sent%60000 + 1)
		if v.sent++; v.sent > 60000 { // every value once
			time.Sleep(time.Second)
			continue
		}
		got := ch.Write(t.Context(), acquisition.Write{Tag: 125 * verifyBlocks, Value: tag.Uint(tag.TypeUint16, uint64(value))})
		if got.Outcome == acquisition.Confirmed {
			confirmed = append(confirmed, value)
		}
		time.Sleep(500 * time.Millisecond)
	}
	return slices.Clip(confirmed)
}

// gated lets the test ask how far the verifier is.
type gated struct {
	mu    sync.Mutex
	inner *verifier
}

func (g *gated) Publish(batch []tag.Update) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inner.Publish(batch)
}

func (g *gated) Settled(string, time.Time, error) {}

func (g *gated) count() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inner.read
}
