package modbus

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition/tag"
)

// fastSlave answers reads of holding registers over a real loopback connection, as fast as it can.
func fastSlave(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveFast(c)
		}
	}()
	return l.Addr().String()
}

func serveFast(c net.Conn) {
	defer c.Close()
	r, w := bufio.NewReaderSize(c, 4096), bufio.NewWriterSize(c, 8192)
	req, out := make([]byte, 12), make([]byte, 9+250)
	for {
		if _, err := io.ReadFull(r, req); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(req[10:]))
		a := int(binary.BigEndian.Uint16(req[8:]))
		copy(out, req[:8])
		binary.BigEndian.PutUint16(out[4:], uint16(3+2*n))
		out[8] = byte(2 * n)
		for i := range n {
			binary.BigEndian.PutUint16(out[9+2*i:], register(1, a+i))
		}
		w.Write(out[:9+2*n])
		if r.Buffered() < len(req) {
			if w.Flush() != nil {
				return
			}
		}
	}
}

// counter is a sink that counts.
type counter struct {
	batches, samples, wrong atomic.Int64
	done                    chan struct{}
	until                   int64
}

func (c *counter) Publish(batch []tag.Update) {
	for _, u := range batch {
		if u.Value.Bits() != uint64(register(1, int(u.Tag))) {
			c.wrong.Add(1)
		}
	}
	c.samples.Add(int64(len(batch)))
	if c.batches.Add(1) == c.until {
		close(c.done)
	}
}
func (c *counter) Settled(string, time.Time, error) {}

// benchBlocks is enough that a millisecond, the shortest period of the schedule, does not limit the rate.
const benchBlocks = 300

// fullDevice has blocks of 125 words each, every word a tag; the period is so short that the channel never rests.
func fullDevice(address string, window, blocks int, period time.Duration) Device {
	d := Device{Name: "plc", Endpoints: []string{"tcp://" + address}, Unit: 1, Window: window}
	for i := range 125 * blocks {
		d.Tags = append(d.Tags, tag.Definition{ID: tag.ID(i), Name: fmt.Sprint(i), Address: fmt.Sprintf("hr:%d", i), Type: tag.TypeUint16, ScanPeriod: period})
	}
	return d
}

// BenchmarkPoll is requests of 125 registers over loopback, decoded, judged and published; one operation is one request.
func BenchmarkPoll(b *testing.B) {
	for _, window := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("W%d", window), func(b *testing.B) {
			sources, err := New([]Device{fullDevice(fastSlave(b), window, benchBlocks, minPeriod)}, Options{})
			if err != nil {
				b.Fatal(err)
			}
			for _, block := range sources[0].(*Channel).devices[0].plan.Blocks() {
				block.Period = time.Millisecond // shorter than may be configured, so that the channel never rests
			}
			sink := &counter{done: make(chan struct{}), until: int64(b.N)}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error)
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			go func() { ended <- sources[0].Run(ctx, sink) }()
			<-sink.done
			b.StopTimer()
			cancel()
			<-ended
			if n := sink.wrong.Load(); n > 0 {
				b.Errorf("%d wrong values", n)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/req")
		})
	}
}

// BenchmarkGoburrow is the same requests through goburrow's own handler, without decoding.
func BenchmarkGoburrow(b *testing.B) {
	h := goburrow.NewTCPClientHandler(fastSlave(b))
	h.SlaveId = 1
	if err := h.Connect(); err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	c := goburrow.NewClient(h)
	b.ReportAllocs()
	cpu := cpuTime()
	for i := 0; b.Loop(); i++ {
		if _, err := c.ReadHoldingRegisters(uint16(i%benchBlocks*125), 125); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/req")
}

// cpuTime is what this process, slave included, has used: on a shared machine it says more than the clock.
func cpuTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkDecode is one answer of 125 registers decoded and published.
func BenchmarkDecode(b *testing.B) {
	sources, err := New([]Device{fullDevice("127.0.0.1:1", 1, 1, time.Second)}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	s := newSession(sources[0].(*Channel), b.Context(), &counter{})
	p := s.c.devices[0].polls[0]
	s.sched.Next(s.now)
	data := make([]byte, 250)
	for i := range 125 {
		binary.BigEndian.PutUint16(data[2*i:], register(1, i))
	}
	b.ReportAllocs()
	for b.Loop() {
		s.arrived(p, data)
		s.publishHeld()
		s.now = s.sched.Deadline()
		s.sched.Next(s.now)
	}
	b.ReportMetric(float64(b.N)*125/b.Elapsed().Seconds(), "registers/s")
}
