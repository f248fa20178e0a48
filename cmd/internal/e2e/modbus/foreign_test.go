//go:build e2e

package modbus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"scada/acquisition"
	driver "scada/acquisition/modbus"
	"scada/acquisition/tag"
	"scada/simulators/plc"
)

// need skips the test, or fails it with CI=true, where something is not installed.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and CI=true", what)
	}
	t.Skipf("%s is not installed", what)
}

// compile builds a C program of testdata with libmodbus.
func compile(t *testing.T, source string) string {
	t.Helper()
	_, noCompiler := exec.LookPath("gcc")
	_, noHeader := os.Stat("/usr/include/modbus/modbus.h")
	need(t, noCompiler == nil && noHeader == nil, "gcc and Debian's libmodbus-dev")
	out := filepath.Join(t.TempDir(), strings.TrimSuffix(source, ".c"))
	if b, err := exec.Command("gcc", "-O1", "-Wall", "-Werror", "-I/usr/include/modbus", "-o", out, filepath.Join("testdata", source), "-lmodbus").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return out
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// server starts a foreign server and waits for it to accept; it ends with the test.
func server(t *testing.T, port int, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	first, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(io.LimitReader(out, 1<<20))
		for n := 0; lines.Scan(); n++ {
			said.WriteString(lines.Text() + "\n")
			if n == 0 {
				close(first)
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has no other way to end
		<-read
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.String())
		}
	})
	select {
	case <-first:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not start", name)
	}
	for range 200 { // the first line may come just before it listens
		if ports, err := os.ReadFile("/proc/net/tcp"); err == nil && strings.Contains(string(ports), fmt.Sprintf("0100007F:%04X 00000000:0000 0A", port)) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s does not listen on %d", name, port)
}

// values is a sink that checks every value it is given.
type values struct {
	mu   sync.Mutex
	want map[tag.ID]tag.Value
	good map[tag.ID]int
	bad  []string
}

func (v *values) Publish(batch []tag.Update) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, u := range batch {
		if want, ok := v.want[u.Tag]; ok && u.Quality.IsGood() {
			if v.good[u.Tag]++; u.Value != want {
				v.bad = append(v.bad, fmt.Sprintf("tag %d is %v, want %v", u.Tag, u.Value, want))
			}
		}
	}
}

func (v *values) Settled(string, time.Time, error) {}

// content is what register or bit a of the foreign servers and of our controller holds.
func content(area string, a int) tag.Value {
	switch area {
	case "co":
		return tag.Bool(a%3 == 0)
	case "di":
		return tag.Bool(a%5 == 0)
	case "ir":
		return tag.Uint(tag.TypeUint16, uint64(uint16(a+1000)))
	}
	return tag.Uint(tag.TypeUint16, uint64(uint16(a*7+3)))
}

// The tags that are written.
const (
	coilTag tag.ID = 10000 + iota
	wordTag
	floatTag
	bitTag
)

// channel polls a server on the port in all four areas until the test ends.
func channel(t *testing.T, port int, timeout time.Duration) (*driver.Channel, *values) {
	t.Helper()
	v := &values{want: map[tag.ID]tag.Value{}, good: map[tag.ID]int{}}
	d := driver.Device{Name: "plc", Endpoints: []string{"tcp://127.0.0.1:" + strconv.Itoa(port)}, Unit: 1, Timeout: timeout, Retries: 1}
	add := func(id tag.ID, address string, typ tag.Type) {
		d.Tags = append(d.Tags, tag.Definition{ID: id, Name: address, Address: address, Type: typ, ScanPeriod: 100 * time.Millisecond, Writable: id >= coilTag})
	}
	for i, area := range []string{"co", "di", "ir", "hr"} {
		for a := range 300 {
			id := tag.ID(i*1000 + a)
			v.want[id] = content(area, a)
			add(id, fmt.Sprintf("%s:%d", area, a), v.want[id].Type())
		}
	}
	add(coilTag, "co:3001", tag.TypeBool)
	add(wordTag, "hr:3001", tag.TypeUint16)
	add(floatTag, "hr:3010", tag.TypeFloat32)
	add(bitTag, "hr:3020.5", tag.TypeBool)
	sources, err := driver.New([]driver.Device{d}, driver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := sources[0].(*driver.Channel)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, v) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if len(v.bad) > 0 {
			t.Errorf("%d WRONG VALUES: %s", len(v.bad), v.bad[0])
		}
	})
	v.wait(t, 3)
	return c, v
}

// wait returns when every polled value was good n times more.
func (v *values) wait(t *testing.T, n int) {
	t.Helper()
	v.mu.Lock()
	clear(v.good)
	v.mu.Unlock()
	least := 0
	for range 1400 { // 70 s: a device that was silent for long is asked once a minute
		v.mu.Lock()
		least = n
		for id := range v.want {
			least = min(least, v.good[id])
		}
		v.mu.Unlock()
		if least >= n {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("a value was good %d times, want %d", least, n)
}

// everyFunction uses each function against a server: 1 to 4 were polled by channel.
func everyFunction(t *testing.T, c *driver.Channel) {
	t.Helper()
	for id, v := range map[tag.ID]tag.Value{coilTag: tag.Bool(false), wordTag: tag.Uint(tag.TypeUint16, 4711), floatTag: tag.Float32(-1.5), bitTag: tag.Bool(true)} {
		if got := c.Write(t.Context(), acquisition.Write{Tag: id, Value: v}); got.Outcome != acquisition.Confirmed || got.ReadBack.Value != v {
			t.Errorf("functions 5, 6, 16, 22: %+v", got)
		}
	}
	client, err := c.Client(t.Context(), "plc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.WriteMultipleCoils(3100, 10, []byte{0xA5, 1}); err != nil {
		t.Errorf("function 15: %v", err)
	}
	if b, err := client.ReadCoils(3100, 10); err != nil || b[0] != 0xA5 || b[1] != 1 {
		t.Errorf("function 1 after 15: % x, %v", b, err)
	}
	if b, err := client.ReadWriteMultipleRegisters(100, 2, 3200, 2, []byte{1, 2, 3, 4}); err != nil || string(b) != string([]byte{700 >> 8 & 0xFF, 703 & 0xFF, 710 >> 8, 710 & 0xFF}) {
		t.Errorf("function 23: % x, %v", b, err)
	}
	if b, err := client.ReadHoldingRegisters(3200, 2); err != nil || string(b) != "\x01\x02\x03\x04" {
		t.Errorf("function 3 after 23: % x, %v", b, err)
	}
}

// everyException reads the registers that raise one.
func everyException(t *testing.T, c *driver.Channel) {
	t.Helper()
	client, err := c.Client(t.Context(), "plc")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []byte{1, 2, 3, 4, 6, 10, 11} {
		_, err := client.ReadHoldingRegisters(40000+uint16(code), 1)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("exception '%d'", code)) {
			t.Errorf("exception %d: %v", code, err)
		}
	}
	if n := c.Status()[0].Counters; n.Timeouts+n.Malformed+n.Reconnects > 0 {
		t.Errorf("exceptions are answers: %+v", n)
	}
}

func TestLibmodbusServer(t *testing.T) {
	port := freePort(t)
	server(t, port, compile(t, "server.c"), strconv.Itoa(port))
	c, v := channel(t, port, 400*time.Millisecond)
	everyFunction(t, c)
	everyException(t, c)
	client, err := c.Client(t.Context(), "plc")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := client.ReadHoldingRegisters(41000, 5); err != nil || len(b) != 10 || b[9] != byte((41004*7+3)&0xFF) {
		t.Errorf("byte by byte: % x, %v", b, err)
	}
	for address, what := range map[uint16]string{42000: "late", 43000: "one register fewer", 44000: "another transaction id"} {
		if b, err := client.ReadHoldingRegisters(address, 5); err == nil {
			t.Errorf("%s: % x was taken for an answer", what, b)
		}
		v.wait(t, 3)
	}
	if n := c.Status()[0].Counters; n.Late == 0 || n.Timeouts < 2 || n.Malformed < 2 || n.Reconnects > 2 {
		t.Errorf("%+v", n)
	}
}

func TestPymodbusServer(t *testing.T) {
	need(t, exec.Command("/usr/bin/python3", "-c", "import pymodbus.server").Run() == nil, "Debian's python3-pymodbus with python3-serial")
	port := freePort(t)
	server(t, port, "/usr/bin/python3", filepath.Join("testdata", "server.py"), strconv.Itoa(port))
	c, v := channel(t, port, 2*time.Second)
	everyFunction(t, c)
	everyException(t, c)
	id, err := c.Identity(t.Context(), "plc")
	if err != nil || id.Vendor != "Other" || id.Product != "PM" || id.Revision != "3.0" {
		t.Errorf("function 43/14: %+v, %v", id, err)
	}
	v.wait(t, 3)
}

// simulated runs our controller with the content of the foreign servers.
func simulated(t *testing.T) (*plc.Server, int) {
	t.Helper()
	bank := plc.NewMemory(10000)
	for a := range 10000 {
		for i, area := range []string{"co", "di", "ir", "hr"} {
			bank.Set([]plc.Area{plc.Coils, plc.DiscreteInputs, plc.InputRegisters, plc.HoldingRegisters}[i], uint16(a), uint16(content(area, a).Bits()))
		}
	}
	s := plc.New(plc.Options{Address: "127.0.0.1:0", Units: map[uint8]plc.Unit{1: {Device: "plc", Bank: bank}}})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, s.Addr().(*net.TCPAddr).Port
}

func TestLibmodbusClient(t *testing.T) {
	s, port := simulated(t)
	client := compile(t, "client.c")
	for what, fault := range map[string]plc.Fault{
		"all":  {},
		"busy": {Kind: plc.ExceptionAnswer, Code: plc.DeviceBusy, Count: 1},
		"drip": {Kind: plc.Drip, Delay: 3 * time.Millisecond, Count: 1},
		"late": {Kind: plc.Late, Delay: 450 * time.Millisecond, Count: 1},
	} {
		t.Run(what, func(t *testing.T) {
			if fault.Kind != "" {
				if err := s.Inject(fault); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.Command(client, strconv.Itoa(port), what).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "ok ") {
				t.Errorf("%v\n%s", err, out)
			}
			s.Clear(0)
		})
	}
}

// TestMbpoll: reads and writes of each kind, and the exceptions as mbpoll calls them.
func TestMbpoll(t *testing.T) {
	_, err := exec.LookPath("mbpoll")
	need(t, err == nil, "mbpoll")
	s, port := simulated(t)
	run := func(args ...string) (string, error) {
		out, err := exec.Command("mbpoll", append([]string{"-m", "tcp", "-p", strconv.Itoa(port), "-a", "1", "-0", "-1", "-o", "1"}, args...)...).CombinedOutput()
		return string(out), err
	}
	for _, c := range []struct {
		args []string
		want string // in the output
		bad  bool
	}{
		{[]string{"-t", "0", "-r", "6", "-c", "1", "127.0.0.1"}, "[6]: \t1", false},
		{[]string{"-t", "1", "-r", "10", "-c", "1", "127.0.0.1"}, "[10]: \t1", false},
		{[]string{"-t", "3", "-r", "7", "-c", "1", "127.0.0.1"}, "[7]: \t1007", false},
		{[]string{"-t", "4", "-r", "100", "-c", "100", "127.0.0.1"}, "[199]: \t1396", false},
		{[]string{"-t", "0", "-r", "3001", "127.0.0.1", "1"}, "Written 1", false},
		{[]string{"-t", "0", "-r", "3002", "127.0.0.1", "1", "0", "1"}, "Written 3", false},
		{[]string{"-t", "4", "-r", "3001", "127.0.0.1", "77"}, "Written 1", false},
		{[]string{"-t", "4", "-r", "3002", "127.0.0.1", "78", "79"}, "Written 2", false},
		{[]string{"-t", "4", "-r", "3001", "-c", "3", "127.0.0.1"}, "[3003]: \t79", false},
		{[]string{"-t", "4", "-r", "9999", "-c", "2", "127.0.0.1"}, "Illegal data address", true},
	} {
		out, err := run(c.args...)
		if !strings.Contains(out, c.want) || (err != nil) != c.bad {
			t.Errorf("mbpoll %v: %v, want %q\n%s", c.args, err, c.want, out)
		}
	}
	for code, want := range map[plc.Exception]string{plc.IllegalFunction: "Illegal function", plc.IllegalValue: "Illegal data value", plc.DeviceBusy: "Slave device or server is busy"} {
		if err := s.Inject(plc.Fault{Kind: plc.ExceptionAnswer, Code: code}); err != nil {
			t.Fatal(err)
		}
		if out, err := run("-t", "4", "-r", "1", "-c", "1", "127.0.0.1"); err == nil || !strings.Contains(out, want) {
			t.Errorf("exception %d: %v, want %q\n%s", code, err, want, out)
		}
		s.Clear(0)
	}
	for kind, good := range map[plc.Kind]bool{plc.Drip: true, plc.Late: false} {
		if err := s.Inject(plc.Fault{Kind: kind, Delay: map[bool]time.Duration{true: 3 * time.Millisecond, false: 1500 * time.Millisecond}[good]}); err != nil {
			t.Fatal(err)
		}
		out, err := run("-t", "4", "-r", "1", "-c", "1", "127.0.0.1")
		if good != strings.Contains(out, "[1]: \t10") {
			t.Errorf("%s: %v\n%s", kind, err, out)
		}
		s.Clear(0)
	}
	var exit *exec.ExitError
	if _, err := run("-t", "4", "-r", "1", "-c", "1", "127.0.0.1"); errors.As(err, &exit) {
		t.Errorf("after all that: %v", err)
	}
}
