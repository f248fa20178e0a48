package modbus

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
)

const pathPeriod = time.Second

// twoPaths is a device with two addresses, of which the first may be down or answer nothing.
type twoPaths struct {
	*rig
	mu     sync.Mutex
	down   bool
	silent bool // it can be connected to
	dials  int  // of the first
}

func (p *twoPaths) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if address == "first:502" {
		p.dials++
		if p.down {
			return nil, errReset
		}
		if p.silent {
			a, _ := memPipe()
			return a, nil
		}
	}
	return p.slave.dial(ctx, network, address)
}

func (p *twoPaths) set(down, silent bool) {
	p.mu.Lock()
	p.down, p.silent, p.dials = down, silent, 0
	p.mu.Unlock()
}

func (p *twoPaths) cut() {
	p.set(true, false)
	p.slave.mu.Lock()
	defer p.slave.mu.Unlock()
	for _, c := range p.slave.conns {
		c.reset()
	}
}

func (p *twoPaths) uses(endpoint string) {
	p.t.Helper()
	if got := p.status(0).Endpoint; got != endpoint {
		p.t.Errorf("uses %s, want %s", got, endpoint)
	}
}

func onTwoPaths(t *testing.T, window int, body func(p *twoPaths)) {
	synctest.Test(t, func(t *testing.T) {
		d := plainDevice("plc", 1, window, 0, 4)
		for i := range d.Tags {
			d.Tags[i].ScanPeriod = pathPeriod
		}
		d.Endpoints = []string{"tcp://first:502", "tcp://second:502"}
		p := &twoPaths{rig: newRig(t, d)}
		p.c.opts.Dial = p.dial
		p.start()
		time.Sleep(time.Second)
		p.uses("tcp://first:502")
		p.cut()
		time.Sleep(2 * time.Second)
		p.uses("tcp://second:502")
		p.allGood(2 * pathPeriod)
		body(p)
		p.stop()
	})
}

// TestReturnToTheFirstPath: the channel goes back when the first path is there again, without a slot missed, a request lost
// or a write in doubt.
func TestReturnToTheFirstPath(t *testing.T) {
	for _, window := range []int{1, 16} {
		onTwoPaths(t, window, func(p *twoPaths) {
			time.Sleep(3 * firstReturn)
			p.uses("tcp://second:502")
			before := p.status(0).Counters
			p.set(false, false)
			ctx, cancel := context.WithCancel(p.t.Context())
			writes := make(chan int)
			go func() {
				n := 0
				for ; ctx.Err() == nil; n++ {
					if r := p.c.Write(p.t.Context(), acquisition.Write{Tag: 0, Value: tag.Uint(tag.TypeUint16, uint64(register(1, 0)))}); r.Outcome != acquisition.Confirmed {
						p.t.Errorf("write %d: %+v", n, r)
					}
					time.Sleep(7 * time.Millisecond)
				}
				writes <- n
			}()
			time.Sleep(firstReturn + time.Second)
			cancel()
			if n := <-writes; n != len(p.slave.writes) {
				p.t.Errorf("%d writes were executed %d times", n, len(p.slave.writes))
			}
			p.uses("tcp://first:502")
			p.allGood(2 * pathPeriod)
			n := p.status(0).Counters
			if n.Timeouts != before.Timeouts || n.Overruns != before.Overruns || n.Reconnects != before.Reconnects+1 {
				p.t.Errorf("window %d: %+v, before %+v", window, n, before)
			}
			time.Sleep(lastReturn + time.Minute)
			if p.status(0).Counters.Reconnects != n.Reconnects {
				p.t.Error("it did not stay there")
			}
		})
	}
}

// TestFirstPathThatAnswersNothing: a first path that can be connected to and is of no use is returned to less and less often.
func TestFirstPathThatAnswersNothing(t *testing.T) {
	onTwoPaths(t, 1, func(p *twoPaths) {
		before := p.status(0).Counters.Reconnects
		p.set(false, true)
		time.Sleep(25 * time.Minute)
		tries := p.status(0).Counters.Reconnects - before
		if tries < 4 || tries > 11 { // there and back: after 30 s, 1, 2, 4 and 8 minutes
			p.t.Errorf("%d connections in 25 minutes", tries)
		}
		p.set(false, false)
		time.Sleep(lastReturn + time.Minute)
		p.uses("tcp://first:502")
		p.allGood(2 * pathPeriod)
	})
}
