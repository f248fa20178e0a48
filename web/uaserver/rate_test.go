package uaserver_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

var abuseFor = flag.Duration("abuse", 0, "measure another client's notifications for so long, in calm and under abuse (soak)")

const (
	abuseItems = 500
	abuseShare = 0.05 // of another client's notifications that abuse may cost
	abuseCalls = 20_000
)

// TestAbuseLeavesTheRateOfOthers counts what one client is told of 500 tags that change ten times a second, in calm and
// while others idle, reset, stall, flood, and send nonsense.
func TestAbuseLeavesTheRateOfOthers(t *testing.T) {
	if *abuseFor == 0 {
		t.Skip("a measurement: run it with -args -abuse 20s on a machine that does nothing else")
	}
	f := start(t, newPlant(2000), nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() { generate(ctx, f) })
	w := f.watch(t, f.connect(t), 100*time.Millisecond, items(abuseItems, 0, 10)...)
	rate := func() float64 {
		before, began := w.total(), time.Now()
		time.Sleep(*abuseFor)
		return float64(w.total()-before) / time.Since(began).Seconds()
	}
	time.Sleep(2 * time.Second)
	calm := rate()
	var done atomic.Int64
	for name, abuse := range abuses(intruding{t}, f) {
		all.Go(func() {
			for ctx.Err() == nil {
				attempt(ctx, abuse)
				done.Add(1)
			}
		})
		t.Logf("abuse: %s", name)
	}
	abused := rate()
	t.Logf("%.0f notifications/s in calm, %.0f under abuse (%+.1f %%), %d rounds of it", calm, abused, 100*(abused/calm-1), done.Load())
	if abused < calm*(1-abuseShare) {
		t.Errorf("abuse costs another client more than %.0f %%", 100*abuseShare)
	}
	cancel()
	all.Wait()
	f.served(t)
}

// intruding is a test to which it is no failure that the server ends a connection.
type intruding struct{ testing.TB }

type gaveUp struct{}

func (intruding) Fatal(...any)          { panic(gaveUp{}) }
func (intruding) Fatalf(string, ...any) { panic(gaveUp{}) }

// attempt is one round of abuse, to its end or to that of the connection.
func attempt(ctx context.Context, abuse func(context.Context)) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(gaveUp); !ok {
				panic(p)
			}
		}
	}()
	abuse(ctx)
}

// generate changes every watched tag ten times a second.
func generate(ctx context.Context, f *fixture) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 1; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		batch := make([]tag.Update, 2000)
		for n := range batch {
			batch[n] = tag.Update{Tag: number0 + tag.ID(n), Sample: tag.Sample{Time: time.Now().UnixNano(), Value: tag.Float64(float64(i))}}
		}
		f.table.Apply(batch)
	}
}

func (w *watcher) total() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.values {
		n += len(v)
	}
	return n
}

// intruder logs in; nil means that the flood of sessions pushed it out first.
func intruder(t testing.TB, f *fixture) *raw {
	r := rawChannel(t, f)
	create, ok := r.exchange(t, &ua.CreateSessionRequest{ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("raw")}}).(*ua.CreateSessionResponse)
	if ok {
		r.auth = create.AuthenticationToken
		if r.call(t, activation()) == ua.StatusOK {
			return r
		}
	}
	r.close()
	return nil
}

// abuses are the things clients do; each is repeated, one at a time, until the end.
func abuses(t testing.TB, f *fixture) map[string]func(context.Context) {
	unread := func(n int) *raw {
		r := intruder(t, f)
		if r == nil {
			return nil
		}
		sub, ok := r.exchange(t, &ua.CreateSubscriptionRequest{RequestedPublishingInterval: 0, RequestedLifetimeCount: 100, RequestedMaxKeepAliveCount: 1, PublishingEnabled: true}).(*ua.CreateSubscriptionResponse)
		if !ok {
			r.close()
			return nil
		}
		r.exchange(t, &ua.CreateMonitoredItemsRequest{SubscriptionID: sub.SubscriptionID, TimestampsToReturn: ua.TimestampsToReturnBoth, ItemsToCreate: items(n, 0, 100)})
		return r
	}
	return map[string]func(context.Context){
		"idle connections and resets before HELLO": func(context.Context) {
			idle, reset := dial(t, f), dial(t, f)
			_ = reset.Conn.(*net.TCPConn).SetLinger(0)
			reset.close()
			idle.close()
		},
		"a subscriber that does not read": func(ctx context.Context) {
			r := unread(abuseItems)
			if r == nil {
				return
			}
			defer r.close()
			for range 200 {
				req := &ua.PublishRequest{}
				req.SetHeader(r.header())
				_ = r.Conn.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := r.Conn.Write(r.message(encode(t, req))); err != nil || ctx.Err() != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		},
		"a flood of sessions": func(ctx context.Context) {
			r := rawChannel(t, f)
			defer r.close()
			for range abuseCalls {
				if ctx.Err() != nil {
					return
				}
				r.call(t, &ua.CreateSessionRequest{ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("flood")}})
			}
		},
		"unknown ids, interval 0, null tokens": func(context.Context) {
			r := intruder(t, f)
			if r == nil {
				return
			}
			defer r.close()
			r.call(t, &ua.CreateSubscriptionRequest{RequestedPublishingInterval: 0})
			r.call(t, &ua.SetMonitoringModeRequest{SubscriptionID: 99, MonitoredItemIDs: []uint32{99}})
			r.call(t, &ua.DeleteMonitoredItemsRequest{SubscriptionID: 99, MonitoredItemIDs: []uint32{99}})
			r.auth = ua.NewTwoByteNodeID(0)
			r.call(t, &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/text"), AttributeID: 13, DataEncoding: &ua.QualifiedName{}}}})
		},
		"mutated messages": func(ctx context.Context) {
			rnd := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
			r := intruder(t, f)
			if r == nil {
				return
			}
			defer r.close()
			corpus := hostileRequests(t, &raw{auth: r.auth})
			go func() { // take the answers
				buf := make([]byte, 64<<10)
				for {
					if _, err := r.Conn.Read(buf); err != nil {
						return
					}
				}
			}()
			for range 1000 {
				if _, err := r.Conn.Write(r.message(mutate(rnd, corpus, r.auth))); err != nil || ctx.Err() != nil {
					return
				}
			}
		},
	}
}
