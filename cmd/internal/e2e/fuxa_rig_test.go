//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"scada/simulators/plc"
)

// The device both servers poll: peerTags holding registers that all hold the low 16 bits of the Unix second, so that every
// register changes once a second and a value says when it was made.
const (
	peerTags   = 10_000
	peerUnit   = 1
	peerTarget = 9_999 // the register that is written
)

type secondsBank struct {
	mu     sync.Mutex
	cycles int                  // reads of register 0
	served map[uint16]time.Time // when register 0 was first read with a value
	wrote  time.Time
}

func (b *secondsBank) Read(_ plc.Area, addr uint16, dst []uint16) plc.Exception {
	if int(addr)+len(dst) > peerTags {
		return plc.IllegalAddress
	}
	at := time.Now()
	now := uint16(at.Unix())
	if addr == 0 {
		b.mu.Lock()
		b.cycles++
		if _, known := b.served[now]; !known {
			b.served[now] = at
		}
		b.mu.Unlock()
	}
	for i := range dst {
		dst[i] = now
	}
	return 0
}

func (b *secondsBank) Write(_ plc.Area, addr uint16, _ []uint16) plc.Exception {
	b.mu.Lock()
	defer b.mu.Unlock()
	if addr == peerTarget {
		b.wrote = time.Now()
	}
	return 0
}

func (b *secondsBank) polled() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cycles
}

// servedAt is when register 0 was first read with a value.
func (b *secondsBank) servedAt(v uint16) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.served[v]
	return at, ok
}

func (b *secondsBank) writtenAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wrote
}

// ageOf is how long ago the register took the value.
func ageOf(v uint16, now time.Time) time.Duration {
	second := now.Unix() - int64(uint16(now.Unix())-v)
	return now.Sub(time.Unix(second, 0))
}

// newPeerDevice starts the device.
func newPeerDevice(t *testing.T) (*plc.Server, *secondsBank) {
	t.Helper()
	bank := &secondsBank{served: map[uint16]time.Time{}}
	s := plc.New(plc.Options{Name: "peer", Address: "127.0.0.1:0", Units: map[uint8]plc.Unit{peerUnit: {Device: "peer", Bank: bank}}})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Run(t.Context()) }()
	return s, bank
}

// freshValue is a value of register 0 and when a client had it.
type freshValue struct {
	value uint16
	at    time.Time
}

// after is how long after the answer of the device that had them first the values came.
func (b *secondsBank) after(list []freshValue) (out []time.Duration) {
	for _, x := range list {
		if served, ok := b.servedAt(x.value); ok {
			out = append(out, x.at.Sub(served))
		}
	}
	return out
}

// watcher is a client that shows some tags and notes what comes.
type watcher struct {
	mu       sync.Mutex
	bytes    int
	values   int
	late     []time.Duration // of every new value of the first tag: from the register's change to here
	fresh    []freshValue    // those values
	last     uint16
	doubtful time.Time // since when the first tag is marked
}

// got notes a message of n values; v is the first tag's among them.
func (w *watcher) got(size, n int, v uint16, has, good bool) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += size
	w.values += n
	if has && good && v != w.last {
		w.late = append(w.late, ageOf(v, now))
		w.fresh = append(w.fresh, freshValue{v, now})
		w.last = v
	}
	if has && !good && w.doubtful.IsZero() {
		w.doubtful = now
	}
}

func (w *watcher) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes, w.values, w.late, w.fresh, w.doubtful = 0, 0, nil, nil, time.Time{}
}

func (w *watcher) perValue() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.values == 0 {
		return "no values"
	}
	return fmt.Sprintf("%.1f", float64(w.bytes)/float64(w.values))
}

func (w *watcher) delays() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Duration(nil), w.late...)
}

func (w *watcher) freshValues() []freshValue {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]freshValue(nil), w.fresh...)
}

func (w *watcher) marked() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.doubtful
}

// shown are the tags of a watcher: n of them, from all over the device.
func shown(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = peerTag(i * peerTags / n)
	}
	return out
}

func peerTag(i int) string { return fmt.Sprintf("t%05d", i) }

// usage is the processor time of a process and its resident memory in MB.
func usage(t *testing.T, pid int) (time.Duration, int) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	pages, _ := strconv.Atoi(fields[21])
	return time.Duration(user+system) * 10 * time.Millisecond, pages * os.Getpagesize() >> 20
}
