//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"scada/simulators/plc"
	"scada/web/api"
)

var latencyRaises = flag.Int("alarms.latency", 0, "alarms of each part of TestAlarmLatency; 0 leaves it out")

// bankAlarms is how many contacts the bank has, each with an alarm of its own.
const bankAlarms = 10_000

// bankRig is the demo plant with one more controller: ten thousand contacts that are read ten times a second.
type bankRig struct {
	*rig
	bank *plc.Memory
}

func newBankRig(t *testing.T) *bankRig {
	t.Helper()
	b := &bankRig{bank: plc.NewMemory(bankAlarms)}
	device := plc.New(plc.Options{Name: "bank", Address: "127.0.0.1:0", Units: map[uint8]plc.Unit{1: {Device: "bank", Bank: b.bank}}})
	if err := device.Listen(); err != nil {
		t.Fatal(err)
	}
	address := device.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- device.Run(ctx) }()
	var list, tags strings.Builder
	tags.WriteString("name,device,address,type,scan,unit,range,scale,deadband,writable,history,states,description\n")
	for i := range bankAlarms {
		fmt.Fprintf(&list, "    - {id: contact-%d, tag: bank/contact%d, type: discrete, normal: [0], priority: 3}\n", i, i)
		fmt.Fprintf(&tags, "bank/contact%d,bank,co:%d,bool,fast,,,,,,change,,\n", i, i)
	}
	b.rig = newRig(t, func(plant string) string {
		return replace(t, "  list:\n", "  list:\n"+list.String(), "devices:\n",
			fmt.Sprintf("devices:\n  - {name: bank, driver: modbus, modbus: {endpoints: [\"tcp://%s\"], unit: 1, timeout: 1s}}\n", address))(plant)
	})
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(b.dir, "tags", "9-bank.csv"), []byte(tags.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	return b
}

// set opens or closes n contacts from first on.
func (b *bankRig) set(first, n int, value uint16) {
	values := make([]uint16, n)
	for i := range values {
		values[i] = value
	}
	b.bank.Set(plc.Coils, uint16(first), values...)
}

// counts returns how often each contact was raised, by the journal of a node.
func (b *bankRig) counts(node string) map[string]int {
	n := map[string]int{}
	for _, e := range b.entries(node, "alarm") {
		if e.Event == "RAISE" && strings.HasPrefix(e.Source, "contact-") {
			n[e.Source]++
		}
	}
	return n
}

// TestAvalanche closes ten thousand contacts at once: every alarm is in both journals, once, and in the list, which goes
// on answering meanwhile.
func TestAvalanche(t *testing.T) {
	b := newBankRig(t)
	b.set(0, bankAlarms, 1)
	began := time.Now()
	slowest, listed := time.Duration(0), time.Duration(0)
	b.eventually(60*time.Second, "the list has all of them", func() error {
		asked := time.Now()
		var page api.Alarms
		if err := b.call("a", http.MethodGet, "/api/v1/alarms?limit=200", nil, &page); err != nil {
			return err
		}
		slowest = max(slowest, time.Since(asked))
		listed = time.Since(began)
		if page.Total < bankAlarms {
			return fmt.Errorf("%d alarms", page.Total)
		}
		return nil
	})
	for _, node := range []string{"a", "b"} {
		b.eventually(60*time.Second, "all are in the journal of "+node, func() error {
			n := b.counts(node)
			if len(n) != bankAlarms {
				return fmt.Errorf("%d of %d", len(n), bankAlarms)
			}
			for source, times := range n {
				if times != 1 {
					t.Errorf("%s is %d times in the journal of %s", source, times, node)
				}
			}
			return nil
		})
		t.Logf("all in the journal of %s after %s at most", node, time.Since(began).Round(time.Millisecond))
	}
	first, last := time.Time{}, time.Time{}
	for _, e := range b.entries("b", "alarm") {
		if e.Event != "RAISE" || !strings.HasPrefix(e.Source, "contact-") {
			continue
		}
		if first.IsZero() || e.Time.Before(first) {
			first = e.Time
		}
		if e.Time.After(last) {
			last = e.Time
		}
	}
	t.Logf("%d raised within %s, all in the list after %s; the slowest of the questions meanwhile took %s", bankAlarms,
		last.Sub(first).Round(time.Millisecond), listed.Round(time.Millisecond), slowest.Round(time.Millisecond))
}

// TestAlarmLatency measures how long a client of the active waits for an alarm from the moment the value was read: with
// a standby, with one that hardly gets to run, and with none.
func TestAlarmLatency(t *testing.T) {
	if *latencyRaises == 0 {
		t.Skip("a measurement: -alarms.latency 300")
	}
	b := newBankRig(t)
	c, err := api.NewClient([]string{b.url("a")}, b.who.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var took []time.Duration
	ended := make(chan error, 1)
	go func() {
		ended <- c.Tail(ctx, func(e api.JournalEntry) error {
			if e.Event == "RAISE" && strings.HasPrefix(e.Source, "contact-") {
				mu.Lock()
				took = append(took, time.Since(e.Time))
				mu.Unlock()
			}
			return nil
		})
	}()
	time.Sleep(time.Second) // the subscription stands
	next := 0
	measure := func(what string) {
		mu.Lock()
		took = nil
		mu.Unlock()
		for range *latencyRaises {
			b.set(next, 1, 1)
			next++
			time.Sleep(40*time.Millisecond + rand.N(40*time.Millisecond))
		}
		b.eventually(20*time.Second, "all have arrived", func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(took) < *latencyRaises {
				return fmt.Errorf("%d of %d", len(took), *latencyRaises)
			}
			return nil
		})
		slices.Sort(took)
		n := len(took)
		t.Logf("%s: %d alarms, p50 %s, p99 %s, most %s", what, n, took[n/2], took[n*99/100], took[n-1])
	}
	measure("standby present")
	stutter := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // it runs a quarter of the time, and is never silent for long enough to count as lost
		for p := b.procs["b"].Process; ; {
			_ = p.Signal(syscall.SIGSTOP)
			time.Sleep(300 * time.Millisecond)
			_ = p.Signal(syscall.SIGCONT)
			select {
			case <-stutter:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	measure("standby slow (runs 100 ms of 400)")
	close(stutter)
	wg.Wait()
	b.waitReady()
	b.signal("b", syscall.SIGKILL)
	measure("standby gone")
	cancel()
	<-ended
}
