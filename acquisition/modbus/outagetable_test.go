package modbus

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition/tag"
)

// outageNamespace tells this test binary that it is in a network of its own.
const outageNamespace = "SCADA_MODBUS_OUTAGE"

// TestOutageTable measures how soon after a device is there again its values are good: its process is killed and started
// again, and its cable is pulled and put back. Like TestTable it tests nothing but the values.
func TestOutageTable(t *testing.T) {
	if !*tableFlag {
		t.Skip("only with -table")
	}
	if os.Getenv(outageNamespace) == "" {
		cmd := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up && exec "$0" "$@"`, os.Args[0], "-test.run=TestOutageTable$", "-table", "-test.v")
		cmd.Env = append(os.Environ(), outageNamespace+"=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return
	}
	b := &bench{t: t}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n1,000 registers, from the return of the device to the last of them good again, load %s\n", strings.TrimSpace(string(load)))
	for _, period := range []time.Duration{100 * time.Millisecond, time.Second} {
		stop := b.process("slave 0s")
		ours, theirs := outageOurs(t, period), outageGoburrow(t, period)
		for _, away := range []time.Duration{2 * time.Second, 20 * time.Second} {
			stop()
			time.Sleep(away)
			back := time.Now()
			stop = b.process("slave 0s")
			outageLine(fmt.Sprintf("killed, away %v", away), period, ours.since(back, 15*time.Second), theirs.since(time.Now(), 5*time.Second))
			cable(t, "add table inet pulled; add chain inet pulled in { type filter hook input priority 0; }; add rule inet pulled in tcp dport 5502 drop")
			time.Sleep(away)
			back = time.Now()
			cable(t, "delete table inet pulled")
			outageLine(fmt.Sprintf("cable pulled, away %v", away), period, ours.since(back, 15*time.Second), theirs.since(time.Now(), 5*time.Second))
		}
		ours.stop()
		theirs.stop()
		if n := ours.wrong.Load(); n > 0 {
			t.Errorf("%d WRONG VALUES", n)
		}
		stop()
	}
}

func outageLine(what string, period time.Duration, ours, theirs string) {
	fmt.Printf("%-26s each %-6v ours %-12s goburrow's %s\n", what, period, ours, theirs)
}

func cable(t *testing.T, rules string) {
	t.Helper()
	if out, err := exec.Command("nft", rules).CombinedOutput(); err != nil {
		t.Fatalf("nft %s: %v %s", rules, err, out)
	}
}

// outage watches a poller of 1,000 registers.
type outage struct {
	tally
	stop func()

	mu   sync.Mutex
	good map[int]time.Time // by block of 125 registers, when it was read last
}

// since returns how long after an instant the last block was read for the first time, as far as that is within a limit.
func (o *outage) since(back time.Time, limit time.Duration) string {
	const blocks = 8
	seen := map[int]time.Time{}
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		last := back
		o.mu.Lock()
		for block, at := range o.good {
			if at.After(back) && seen[block].IsZero() {
				seen[block] = at
			}
		}
		o.mu.Unlock()
		for _, at := range seen {
			if at.After(last) {
				last = at
			}
		}
		if len(seen) == blocks {
			return last.Sub(back).Round(time.Millisecond).String()
		}
	}
	return fmt.Sprintf("not within %v", limit)
}

func (o *outage) note(block int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.good[block] = time.Now()
}

// Publish implements [acquisition.Publisher].
func (o *outage) Publish(batch []tag.Update) {
	o.tally.Publish(batch)
	if batch[0].Quality.IsGood() {
		o.note(int(batch[0].Tag) / 125)
	}
}

func outageOurs(t *testing.T, period time.Duration) *outage {
	t.Helper()
	sources, err := New([]Device{fullDevice(slaveAddress(0), 8, 8, period)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := &outage{tally: tally{words: 1000}, good: map[int]time.Time{}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sources[0].Run(ctx, o) }()
	o.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	return o
}

// outageGoburrow polls with goburrow's own handler, which is used as it comes: the next read after an error is the next
// slot's.
func outageGoburrow(t *testing.T, period time.Duration) *outage {
	t.Helper()
	h := goburrow.NewTCPClientHandler(slaveAddress(0))
	h.SlaveId, h.Timeout = 1, time.Second
	o := &outage{good: map[int]time.Time{}}
	c := goburrow.NewClient(h)
	ended, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer h.Close()
		slots := time.NewTicker(period)
		defer slots.Stop()
		for {
			select {
			case <-end:
				return
			case <-slots.C:
			}
			for block := range 8 {
				if b, err := c.ReadHoldingRegisters(uint16(125*block), 125); err == nil && binary.BigEndian.Uint16(b) == register(1, 125*block) {
					o.note(block)
				}
			}
		}
	}()
	o.stop = func() { close(end); <-ended }
	return o
}
