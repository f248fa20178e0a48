package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	goburrow "github.com/goburrow/modbus"
	"golang.org/x/sys/unix"

	"scada/acquisition/tag"
)

// fifo is how many characters a UART gathers before it hands them on.
const fifo = 16

// timedLine answers reads of holding registers on the far end of a pseudo terminal at the pace of a line: nothing is
// taken or handed on before the last of its characters would have arrived. The unit itself answers at once.
func timedLine(line *os.File, baud int) {
	char := time.Duration(charBits) * time.Second / time.Duration(baud)
	req, got := make([]byte, 8), 0
	var free time.Time // when the line is
	for {
		k, err := line.Read(req[got:])
		if errors.Is(err, unix.EIO) { // nobody has the other end open just now
			got = 0
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return
		}
		if got == 0 {
			free = time.Now()
		}
		free = free.Add(time.Duration(k) * char)
		if got += k; got < len(req) {
			continue
		}
		got = 0
		time.Sleep(time.Until(free))
		n, a := int(binary.BigEndian.Uint16(req[4:])), int(binary.BigEndian.Uint16(req[2:]))
		out := append(make([]byte, 0, 5+2*n), req[0], req[1], byte(2*n))
		for i := range n {
			out = binary.BigEndian.AppendUint16(out, register(1, a+i))
		}
		out = binary.LittleEndian.AppendUint16(out, crc16(out))
		for len(out) > 0 {
			part := out[:min(fifo, len(out))]
			free = free.Add(time.Duration(len(part)) * char)
			time.Sleep(time.Until(free))
			if _, err := line.Write(part); err != nil {
				return
			}
			out = out[len(part):]
		}
	}
}

// crc16 is the checksum of the line, written for this slave alone.
func crc16(b []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, x := range b {
		sum ^= uint16(x)
		for range 8 {
			carry := sum & 1
			if sum >>= 1; carry != 0 {
				sum ^= 0xA001
			}
		}
	}
	return sum
}

// TestLineTable reads 125 registers a request at the pace of a line, with goburrow's handler and with our channel. Like
// TestTable it tests nothing but the values.
func TestLineTable(t *testing.T) {
	if !*tableFlag {
		t.Skip("only with -table")
	}
	const characters = 8 + 5 + 2*125
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n125 registers a request on a line, load %s\n%-8s %22s %14s %20s %14s\n", strings.TrimSpace(string(load)), "baud", "line+t3.5+1 ms: req/s", "ours, req/s", "longer than goal, ms", "goburrow's")
	for _, baud := range []int{9600, 19200, 115200} {
		ep := endpoint{kind: kindRTU, baud: baud}
		goal := time.Duration(ep.lineTime(characters)+ep.silence()) + time.Millisecond
		length := max(*tableTime, 10*goal)
		ours, theirs := onLine(t, baud, length, lineOurs), onLine(t, baud, length, lineGoburrow)
		fmt.Printf("%-8d %22.2f %14.2f %20.2f %14.2f\n", baud, 1/goal.Seconds(), ours, 1e3/ours-goal.Seconds()*1e3, theirs)
	}
}

// onLine gives a client a line of its own: what is still under way when it ends belongs to nobody else.
func onLine(t *testing.T, baud int, length time.Duration, client func(*testing.T, string, int, time.Duration) float64) float64 {
	t.Helper()
	line, path := pty(t)
	ended := make(chan struct{})
	go func() {
		timedLine(line, baud)
		close(ended)
	}()
	defer func() {
		line.Close()
		<-ended
	}()
	return client(t, path, baud, length)
}

// lineOurs returns our answers a second.
func lineOurs(t *testing.T, path string, baud int, length time.Duration) float64 {
	t.Helper()
	d := fullDevice("", 1, 1, minPeriod)
	d.Endpoints, d.Timeout = []string{fmt.Sprintf("rtu://%s?baud=%d&parity=N", path, baud)}, 2*time.Second
	sources, err := New([]Device{d}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range sources[0].(*Channel).devices[0].plan.Blocks() {
		b.Period = time.Millisecond // shorter than may be configured, so that the line never rests
	}
	sink := &answers{tally: tally{words: 125}}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	if err := sources[0].Run(ctx, sink); err != nil {
		t.Fatal(err)
	}
	if n := sink.wrong.Load(); n > 0 {
		t.Errorf("%d WRONG VALUES", n)
	}
	return sink.rate()
}

// lineGoburrow returns the answers a second of goburrow's own handler.
func lineGoburrow(t *testing.T, path string, baud int, length time.Duration) float64 {
	t.Helper()
	h := goburrow.NewRTUClientHandler(path)
	h.BaudRate, h.DataBits, h.Parity, h.StopBits, h.SlaveId, h.Timeout = baud, 8, "N", 1, 1, 2*time.Second
	if err := h.Connect(); err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	c := goburrow.NewClient(h)
	var at answers
	for end := time.Now().Add(length); time.Now().Before(end); {
		b, err := c.ReadHoldingRegisters(0, 125)
		if err != nil {
			t.Fatal(err)
		}
		if binary.BigEndian.Uint16(b[248:]) != register(1, 124) {
			t.Error("goburrow: a wrong value")
		}
		at.note()
	}
	return at.rate()
}

// answers notes when the first and the last answer came.
type answers struct {
	tally
	mu          sync.Mutex
	n           int
	first, last time.Time
}

func (a *answers) note() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = time.Now()
	if a.n++; a.n == 1 {
		a.first = a.last
	}
}

func (a *answers) rate() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return float64(a.n-1) / a.last.Sub(a.first).Seconds()
}

// Publish implements [acquisition.Publisher].
func (a *answers) Publish(batch []tag.Update) {
	a.tally.Publish(batch)
	if batch[0].Quality.IsGood() {
		a.note()
	}
}
