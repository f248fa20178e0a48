//go:build e2e

package opcua

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	client "scada/acquisition/opcua"
	"scada/acquisition/tag"
)

// past keeps what a device's own history brought.
type past struct {
	mu     sync.Mutex
	known  time.Time
	got    map[tag.ID]map[int64]tag.Value // by time
	healed chan client.Recovery
}

func (p *past) Known() time.Time { return p.known }

func (p *past) Recover(_ context.Context, samples []tag.Update) (added int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range samples {
		if p.got[u.Tag] == nil {
			p.got[u.Tag] = map[int64]tag.Value{}
		}
		if _, ok := p.got[u.Tag][u.Time]; !ok {
			added++
		}
		p.got[u.Tag][u.Time] = u.Value
	}
	return added, nil
}

func (p *past) Recovered(r client.Recovery) { p.healed <- r }

// TestForeignDeviceHasAMemory: while a device of another maker cannot be reached it goes on changing. Afterwards all it
// recorded is brought, of many pages each, also from before the client began, and what it does not record is told.
func TestForeignDeviceHasAMemory(t *testing.T) {
	if *items < 1000 {
		t.Skip("only in make soak (-items 10000): the pair meets such a device in TestHistoryHealsFromTheDevice")
	}
	const variables, gap = 12, 8 * time.Second
	d := newDevice(t, variables, 10*time.Millisecond)
	d.history = 20_000
	d.start()
	time.Sleep(2 * time.Second) // of a past before the client
	began := time.Now()
	p := &past{known: began.Add(-time.Second), got: map[tag.ID]map[int64]tag.Value{}, healed: make(chan client.Recovery, 10)}
	var conns connections
	var away atomic.Bool
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if away.Load() {
			return nil, errors.New("the cable is pulled")
		}
		return conns.dial(ctx, network, address)
	}
	r := newRig(t, d, dial, func(cfg *client.Device, o *client.Options) { cfg.History, o.Past = client.Heal, p })
	r.allFresh(60 * time.Second)
	heal := func(what string) client.Recovery {
		t.Helper()
		select {
		case h := <-p.healed:
			t.Logf("%s: %+v", what, h)
			if h.Without != 1 {
				t.Errorf("%d tags without a history, want 1", h.Without)
			}
			return h
		case <-time.After(120 * time.Second):
			t.Fatalf("%s: nothing was healed", what)
			return client.Recovery{}
		}
	}
	if h := heal("before the start"); !h.From.Before(p.known) {
		t.Errorf("from %v, want before %v", h.From, p.known)
	}
	lost := time.Now()
	away.Store(true)
	conns.drop()
	time.Sleep(gap)
	away.Store(false)
	back := time.Now()
	heal("after the gap")
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range tag.ID(variables) {
		n, wrong := 0, 0
		for at, v := range p.got[id] {
			if at >= lost.UnixNano() && at < back.UnixNano() {
				n++
			}
			if d := time.Unix(0, at).UnixMilli() - int64(v.Number()); d < -500 || d > 500 { // the variable holds the time of its change
				wrong++
			}
		}
		if last := id == variables-1; last != (n == 0) || !last && n <= 500 || wrong > 0 {
			t.Errorf("variable %d: %d values of the gap, %d at another time than theirs", id, n, wrong)
		}
		if id == 0 {
			t.Logf("variable 0 changed %d times in the gap", n)
		}
	}
}
