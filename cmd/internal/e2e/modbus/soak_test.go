//go:build e2e

package modbus

import (
	"flag"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	driver "scada/acquisition/modbus"
	"scada/simulators/plc"
)

var soakFor = flag.Duration("soak", 0, "how long channels and controllers are put through faults")

// footprint is what a process holds.
type footprint struct {
	goroutines, descriptors int
	heap                    uint64
}

func measure(t *testing.T) footprint {
	t.Helper()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return footprint{runtime.NumGoroutine(), len(fds), m.HeapAlloc}
}

// TestSoak: ten controllers misbehave in ways drawn by chance, again and again, over real connections. When they behave,
// everything is good again, and goroutines, descriptors and memory are what they were after the first tenth of the time.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("only with -soak")
	}
	const controllers = 10
	var servers []*plc.Server
	var channels []*driver.Channel
	var sinks []*values
	for range controllers {
		s, port := simulated(t)
		c, v := channel(t, port, 300*time.Millisecond)
		servers, channels, sinks = append(servers, s), append(channels, c), append(sinks, v)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	kinds := plc.Kinds()
	calm := func() footprint {
		for i, s := range servers {
			s.Clear(0)
			sinks[i].wait(t, 3)
		}
		time.Sleep(time.Second) // what ends by itself: answers that are late
		return measure(t)
	}
	storm := func(length time.Duration) {
		for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			s := servers[rng.IntN(controllers)]
			if rng.IntN(4) == 0 {
				s.Clear(0)
			}
			kind := kinds[rng.IntN(len(kinds))]
			if kind == plc.Freeze || kind == plc.BadCRC {
				continue // the values stand still anyhow, and nothing in Modbus TCP tells a changed byte
			}
			if err := s.Inject(plc.Fault{Kind: kind, Delay: time.Duration(rng.IntN(400)) * time.Millisecond, Count: 1 + rng.IntN(5), After: rng.IntN(20)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	storm(*soakFor / 10)
	first := calm()
	storm(*soakFor * 9 / 10)
	last := calm()
	var n struct{ requests, timeouts, malformed, late, reconnects uint64 }
	for _, c := range channels {
		k := c.Status()[0].Counters
		n.requests, n.timeouts, n.malformed, n.late, n.reconnects = n.requests+k.Requests, n.timeouts+k.Timeouts, n.malformed+k.Malformed, n.late+k.Late, n.reconnects+k.Reconnects
	}
	t.Logf("%v: %+v; from %+v to %+v", *soakFor, n, first, last)
	if last.goroutines > first.goroutines+2 || last.descriptors > first.descriptors+2 || last.heap > first.heap*5/4+1<<20 {
		t.Errorf("from %+v to %+v", first, last)
	}
	if n.timeouts == 0 || n.reconnects == 0 {
		t.Errorf("the faults did not show: %+v", n)
	}
}
