package modbus

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
	"scada/acquisition/tag"
)

var (
	tableFlag = flag.Bool("table", false, "measure us beside goburrow, libmodbus and modbus-serial, in a network namespace of its own; needs root")
	tableTime = flag.Duration("table.time", 2*time.Second, "for each measurement of the table")
)

// The processes of a measurement are this test binary again, told by the environment what to be.
const roleVariable = "SCADA_MODBUS_BENCH"

func TestMain(m *testing.M) {
	role, arguments, _ := strings.Cut(os.Getenv(roleVariable), " ")
	args := strings.Fields(arguments)
	var err error
	switch role {
	case "":
		os.Exit(m.Run())
	case "slave":
		err = slaveProcess(args[0], serveLater)
	case "exact":
		err = slaveProcess(args[0], serveExactly)
	case "ours":
		err = oursProcess(args)
	case "goburrow":
		err = goburrowProcess(args)
	case "awake":
		err = awakeProcess()
	default:
		err = fmt.Errorf("unknown role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// measured is what one process did.
type measured struct {
	Requests int64   `json:"requests"`
	Seconds  float64 `json:"seconds"`
	CPU      float64 `json:"cpu"` // seconds
	Wrong    int64   `json:"wrong"`

	LateP50 float64 `json:"late_p50"` // milliseconds
	LateP99 float64 `json:"late_p99"`
	Missed  uint64  `json:"missed"` // slots
	Tags    float64 `json:"tags"`   // KiB for the tags of one slave
	Rest    float64 `json:"rest"`   // KiB for the rest of one slave: channel, connection, plan, schedule
}

func (m measured) rate() float64 { return float64(m.Requests) / m.Seconds }

// perMillion is CPU seconds for a million registers.
func (m measured) perMillion() float64 { return m.CPU / (float64(m.Requests) * 125) * 1e6 }

const benchPort = "5502"

// slaveProcess answers reads on every address of the loopback, each after the same latency and as many at a time as are
// asked, until its standard input ends.
func slaveProcess(latency string, later func(net.Conn, time.Duration)) error {
	wait, err := time.ParseDuration(latency)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "0.0.0.0:"+benchPort)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if wait == 0 {
				go serveFast(c)
			} else {
				go later(c, wait)
			}
		}
	}()
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// serveLater answers each request after a latency, however many wait. Timers of the runtime end up to a millisecond late.
func serveLater(c net.Conn, wait time.Duration) {
	answerLater(c, wait, func(at time.Time) { time.Sleep(time.Until(at)) })
}

// serveExactly is serveLater with sleeps that end when they should, at the price of a thread a connection.
func serveExactly(c net.Conn, wait time.Duration) { answerLater(c, wait, sleepUntil) }

func answerLater(c net.Conn, wait time.Duration, sleep func(time.Time)) {
	type owed struct {
		at  time.Time
		req [12]byte
	}
	queue := make(chan owed, 64)
	defer close(queue)
	go func() {
		defer c.Close()
		out := make([]byte, 9+250)
		for o := range queue {
			sleep(o.at)
			if _, err := c.Write(fastAnswer(out, o.req[:])); err != nil {
				return
			}
		}
	}()
	r := bufio.NewReader(c)
	for {
		var o owed
		if _, err := io.ReadFull(r, o.req[:]); err != nil {
			return
		}
		o.at = time.Now().Add(wait)
		queue <- o
	}
}

// fastAnswer makes the answer to a read in out.
func fastAnswer(out, req []byte) []byte {
	n, a := int(binary.BigEndian.Uint16(req[10:])), int(binary.BigEndian.Uint16(req[8:]))
	copy(out, req[:8])
	binary.BigEndian.PutUint16(out[4:], uint16(3+2*n))
	out[8] = byte(2 * n)
	for i := range n {
		binary.BigEndian.PutUint16(out[9+2*i:], register(1, a+i))
	}
	return out[:9+2*n]
}

func slaveAddress(i int) string { return fmt.Sprintf("127.1.%d.%d:%s", i/250, i%250+1, benchPort) }

// oursProcess polls: slaves, blocks of 125 registers each, window, period (0: as fast as it goes), seconds.
func oursProcess(args []string) error {
	slaves, blocks, window := atoi(args[0]), atoi(args[1]), atoi(args[2])
	period, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	length, err := time.ParseDuration(args[4])
	if err != nil {
		return err
	}
	configured := max(period, minPeriod)
	var devices []Device
	for i := range slaves {
		d := fullDevice(slaveAddress(i), window, blocks, configured)
		d.Name = fmt.Sprint("plc", i)
		for j := range d.Tags {
			d.Tags[j].ID += tag.ID(i * len(d.Tags))
		}
		devices = append(devices, d)
	}
	empty := residentSet()
	sources, err := New(devices, Options{})
	if err != nil {
		return err
	}
	built := residentSet()
	if period == 0 {
		for _, s := range sources {
			for _, b := range s.(*Channel).devices[0].plan.Blocks() {
				b.Period = time.Millisecond // shorter than may be configured, so that the channel never rests
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	sink := &tally{words: 125 * blocks}
	ended := make(chan error, len(sources))
	for _, s := range sources {
		go func() { ended <- s.Run(ctx, sink) }()
	}
	time.Sleep(min(length/2, time.Second) + min(configured, time.Second))
	m := observe(sources, sink, length)
	m.Tags, m.Rest = (built-empty)/float64(slaves), (residentSet()-built)/float64(slaves)
	cancel()
	for range sources {
		if err := <-ended; err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// residentSet is the memory of this process in KiB, after a collection.
func residentSet() float64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc+s.StackInuse) / 1024
}

// tally is a sink that counts and checks.
type tally struct {
	words          int
	batches, wrong atomic.Int64
}

func (c *tally) Publish(batch []tag.Update) {
	wrong := 0
	for i := range batch {
		if u := &batch[i]; u.Quality.IsGood() && u.Value.Bits() != uint64(register(1, int(u.Tag)%c.words)) {
			wrong++
		}
	}
	if wrong > 0 {
		c.wrong.Add(int64(wrong))
	}
	if batch[0].Quality.IsGood() { // an answer, not word of values grown old
		c.batches.Add(1)
	}
}
func (c *tally) Settled(string, time.Time, error) {}

// observe measures for a while, looking at how late the requests start.
func observe(sources []acquisition.Source, sink *tally, length time.Duration) measured {
	status := func() (missed uint64) {
		for _, s := range sources {
			missed += s.Status()[0].Counters.Overruns
		}
		return missed
	}
	missed, requests, cpu, from := status(), sink.batches.Load(), cpuTime(), time.Now()
	var late []float64
	for time.Since(from) < length {
		time.Sleep(min(length/20, 200*time.Millisecond))
		for _, s := range sources {
			late = append(late, float64(s.Status()[0].Lateness)/1e6)
		}
	}
	m := measured{Requests: sink.batches.Load() - requests, Seconds: time.Since(from).Seconds(), CPU: float64(cpuTime()-cpu) / 1e9, Wrong: sink.wrong.Load()}
	m.Missed = status() - missed
	slices.Sort(late)
	m.LateP50, m.LateP99 = late[len(late)/2], late[len(late)*99/100]
	return m
}

// goburrowProcess reads with goburrow's own handler, one goroutine a slave: slaves, seconds.
func goburrowProcess(args []string) error {
	length, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	var requests, wrong atomic.Int64
	from, cpu := time.Now(), cpuTime()
	ended := make(chan error)
	for i := range atoi(args[0]) {
		go func() { ended <- goburrowReads(slaveAddress(i), from.Add(length), &requests, &wrong) }()
	}
	for range atoi(args[0]) {
		if err := <-ended; err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(measured{Requests: requests.Load(), Seconds: time.Since(from).Seconds(), CPU: float64(cpuTime()-cpu) / 1e9, Wrong: wrong.Load()})
}

func goburrowReads(address string, until time.Time, requests, wrong *atomic.Int64) error {
	h := goburrow.NewTCPClientHandler(address)
	h.SlaveId = 1
	if err := h.Connect(); err != nil {
		return err
	}
	defer h.Close()
	c := goburrow.NewClient(h)
	for i := 0; time.Now().Before(until); i++ {
		a := i % benchBlocks * 125
		b, err := c.ReadHoldingRegisters(uint16(a), 125)
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint16(b) != register(1, a) || binary.BigEndian.Uint16(b[248:]) != register(1, a+124) {
			wrong.Add(1)
		}
		requests.Add(1)
	}
	return nil
}

// TestTable measures; it is no test of anything but that no value is wrong. make bench runs it.
func TestTable(t *testing.T) {
	if !*tableFlag {
		t.Skip("only with -table")
	}
	if os.Getenv("SCADA_MODBUS_NAMESPACE") == "" { // again, in a network of our own
		args := append([]string{"-n", "sh", "-c", `ip link set lo up && exec "$0" "$@"`, os.Args[0]}, os.Args[1:]...)
		cmd := exec.Command("unshare", args...)
		cmd.Env = append(os.Environ(), "SCADA_MODBUS_NAMESPACE=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return
	}
	b := &bench{t: t, libmodbus: filepath.Join(t.TempDir(), "libmodbus")}
	if out, err := exec.Command("gcc", "-O2", "-I/usr/include/modbus", "-o", b.libmodbus, "testdata/peers/bench.c", "-lmodbus").CombinedOutput(); err != nil {
		t.Logf("no libmodbus: %v %s", err, out)
		b.libmodbus = ""
	}
	for _, latency := range []string{"0s", "5ms", "20ms"} {
		b.oneConnection(latency)
	}
	for _, latency := range []string{"0s", "5ms", "20ms"} {
		b.manySlaves(latency)
	}
	b.plant("1s", 5)
	b.plant("100ms", 5)
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nload at the end: %s\n", strings.TrimSpace(string(load)))
}

type bench struct {
	t         *testing.T
	libmodbus string
}

// process starts this binary again in a role, waits until it is ready and returns what ends it.
func (b *bench) process(role string) (stop func()) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.t.Fatal(err)
	}
	return func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.t.Error(err)
		}
	}
}

func (b *bench) client(role string, name string, args ...string) measured {
	b.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), roleVariable+"="+role), os.Stderr
	out, err := cmd.Output()
	var m measured
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err != nil {
		b.t.Fatalf("%s %s: %v", role, name, err)
	}
	if m.Wrong > 0 {
		b.t.Errorf("%s %s %v: %d WRONG VALUES", role, name, args, m.Wrong)
	}
	return m
}

func (b *bench) ours(slaves, blocks, window int, period string) measured {
	return b.client(fmt.Sprintf("ours %d %d %d %s %s", slaves, blocks, window, period, tableTime), os.Args[0])
}

func (b *bench) goburrow(slaves int) measured {
	return b.client(fmt.Sprintf("goburrow %d %s", slaves, tableTime), os.Args[0])
}

// oneConnection compares everybody, one after the other, against the same slave.
func (b *bench) oneConnection(latency string) {
	defer b.process("awake")()
	defer b.process("exact " + latency)()
	host, port, _ := strings.Cut(slaveAddress(0), ":")
	seconds := fmt.Sprint(tableTime.Seconds())
	type row struct {
		name string
		measured
	}
	var rows []row
	if b.libmodbus != "" {
		rows = append(rows, row{"libmodbus", b.client("", b.libmodbus, host, port, seconds)})
	}
	for _, flight := range []string{"1", "16"} {
		if _, err := os.Stat("testdata/peers/node_modules/modbus-serial"); err == nil {
			rows = append(rows, row{"modbus-serial W" + flight, b.client("", "node", "testdata/peers/bench.mjs", host, port, seconds, flight)})
		}
	}
	base := b.goburrow(1)
	rows = append(rows, row{"goburrow's handler", base})
	for _, window := range []int{1, 4, 16} {
		rows = append(rows, row{fmt.Sprint("ours W", window), b.ours(1, benchBlocks, window, "0s")})
	}
	fmt.Printf("\none connection, 125 registers a request, a slave of %s latency\n%-20s %10s %10s %14s\n", latency, "", "requests/s", "x goburrow", "CPU s/M regs")
	for _, r := range rows {
		fmt.Printf("%-20s %10.0f %10.2f %14.4f\n", r.name, r.rate(), r.rate()/base.rate(), r.perMillion())
	}
}

// manySlaves reads 200 slaves of 1,000 registers as fast as it goes.
func (b *bench) manySlaves(latency string) {
	defer b.process("slave " + latency)()
	base, ours := b.goburrow(200), b.ours(200, 8, 8, "0s")
	scans := func(m measured) float64 { return m.rate() / (200 * 8) }
	fmt.Printf("\n200 slaves of 1,000 registers, latency %s: goburrow's handler %.1f scans/s, ours W8 %.1f scans/s (x %.1f), CPU s/M regs %.4f and %.4f\n",
		latency, scans(base), scans(ours), scans(ours)/scans(base), base.perMillion(), ours.perMillion())
}

// plant polls 1,000 slaves of 1,000 registers in a period.
func (b *bench) plant(period string, times int) {
	defer b.process("awake")()
	defer b.process("slave 0s")()
	m := b.client(fmt.Sprintf("ours 1000 8 8 %s %s", period, time.Duration(times)*(*tableTime)), os.Args[0])
	slots := float64(m.Requests) + float64(m.Missed)
	fmt.Printf("\n1,000 slaves of 1,000 registers each %s: %.0f requests/s, %.3f %% on time (%d of %.0f slots missed), start lateness p50 %.2f ms, p99 %.2f ms, %.1f %% of a core, CPU s/M regs %.4f, KiB per slave: %.1f and %.1f for its 1,000 tags\n",
		period, m.rate(), 100*float64(m.Requests)/slots, m.Missed, slots, m.LateP50, m.LateP99, 100*m.CPU/m.Seconds, m.perMillion(), m.Rest, m.Tags)
}
