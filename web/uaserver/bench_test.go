package uaserver_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/server"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver"
)

const (
	benchTags      = 10_000
	benchWarm      = 2 * time.Second
	benchWatch     = 5 * time.Second
	benchReads     = 3 * time.Second
	benchBatch     = 1000
	benchPeriod    = 100 * time.Millisecond
	benchCommand   = "UA_BENCH_SERVER"
	benchVariables = "UA_BENCH_VARIABLES"
)

// TestMain serves instead of testing when the benchmark has started this program as its server.
func TestMain(m *testing.M) {
	switch os.Getenv(benchCommand) {
	case "scada":
		benchScada()
	case "gopcua":
		benchGopcua()
	default:
		os.Exit(m.Run())
	}
}

// benchScada is this server with a generator that sets every tag ten times a second.
func benchScada() {
	p := newPlant(benchCount())
	s, err := uaserver.New(uaserver.Config{Project: "bench", ApplicationURI: "urn:test:a", AllowNone: true, AllowAnonymous: true}, p)
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("opc.tcp://" + l.Addr().String())
	go func() { panic(s.Serve(context.Background(), l)) }()
	batch := make([]tag.Update, benchCount())
	for i, next := 0, time.Now(); ; i++ {
		now := time.Now()
		for n := range batch {
			batch[n] = tag.Update{Tag: number0 + tag.ID(n), Sample: tag.Sample{Time: now.UnixNano(), Value: tag.Float64(float64(i))}}
		}
		p.table.Apply(batch)
		next = next.Add(benchPeriod) // of absolute time: what is generated does not depend on how busy the machine is
		time.Sleep(time.Until(next))
	}
}

// benchGopcua is the server of the library, with the same tags and generator.
func benchGopcua() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close() // the library wants to listen by itself
	s := server.New(server.EndPoint("127.0.0.1", port), server.EnableSecurity("None", ua.MessageSecurityModeNone), server.EnableAuthMode(ua.UserTokenTypeAnonymous))
	nodes := server.NewNodeNameSpace(s, "bench") // the second namespace, as here
	ids := make([]*ua.NodeID, benchCount())
	for i := range ids {
		name := fmt.Sprintf("number/n%05d", i)
		nodes.Objects().AddRef(nodes.AddNewVariableStringNode(name, 0.0), server.RefType(47), true)
		ids[i] = ua.NewStringNodeID(nodes.ID(), name)
	}
	if err := s.Start(context.Background()); err != nil {
		panic(err)
	}
	fmt.Printf("opc.tcp://127.0.0.1:%d %d\n", port, nodes.ID())
	for i, next := 0, time.Now(); ; i++ {
		now := time.Now()
		for _, id := range ids {
			nodes.SetAttribute(id, ua.AttributeIDValue, &ua.DataValue{EncodingMask: ua.DataValueValue | ua.DataValueSourceTimestamp, Value: ua.MustVariant(float64(i)), SourceTimestamp: now})
			nodes.ChangeNotification(id)
		}
		next = next.Add(benchPeriod)
		time.Sleep(time.Until(next))
	}
}

// BenchmarkAgainstOtherServers has one client take 10,000 values ten times a second, and then read them by thousands, from
// this server, from the library's, and from node-opcua's, each in a process of its own that generates the values, too.
func BenchmarkAgainstOtherServers(b *testing.B) {
	for _, which := range []string{"scada", "gopcua", "node-opcua"} {
		b.Run(which, func(b *testing.B) {
			for b.Loop() {
				benchOne(b, which)
			}
		})
	}
}

// BenchmarkMemoryOfVariables compares the memory of the same servers with few and with many variables, all of which
// change ten times a second and which nobody watches.
func BenchmarkMemoryOfVariables(b *testing.B) {
	for _, which := range []string{"scada", "gopcua", "node-opcua"} {
		b.Run(which, func(b *testing.B) {
			for b.Loop() {
				var mb [2]float64
				for i, n := range []int{100, 20_100} {
					_, pid, stop := benchStart(b, which, n)
					time.Sleep(benchWarm)
					mb[i] = resident(b, pid)
					stop()
				}
				b.ReportMetric((mb[1]-mb[0])/2, "MB/10k-variables")
				b.ReportMetric(mb[0], "MB-empty")
			}
		})
	}
}

// benchCount is how many variables this process is to serve.
func benchCount() int {
	n, err := strconv.Atoi(os.Getenv(benchVariables))
	if err != nil {
		panic(err)
	}
	return n
}

// benchStart starts a server with n variables.
func benchStart(b *testing.B, which string, n int) (place benchPlace, pid int, stop func()) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchCommand+"="+which, benchVariables+"="+strconv.Itoa(n))
	place = benchPlace{namespace: 2, name: "number/n%05d"}
	if which == "node-opcua" {
		cmd, place = benchNode(b, n)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	place.await(b, bufio.NewReader(out))
	return place, cmd.Process.Pid, stop
}

func benchOne(b *testing.B, which string) {
	place, pid, stop := benchStart(b, which, benchTags)
	defer stop()
	f := &fixture{url: place.url}
	c := f.connect(b)
	list := items(benchTags, 100, 1)
	reads := make([]*ua.ReadValueID, benchBatch)
	for i, it := range list {
		it.ItemToMonitor.NodeID = ua.NewStringNodeID(place.namespace, fmt.Sprintf(place.name, i))
		if i < len(reads) {
			reads[i] = &ua.ReadValueID{NodeID: it.ItemToMonitor.NodeID, AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}}
		}
	}
	readRate, readCPU := benchRead(b, c, pid, reads)
	b.ReportMetric(readRate, "values-read/s")
	b.ReportMetric(readCPU, "cpu-s/100k-read")
	delivered, cpu := benchWatchAll(b, c, pid, list)
	b.ReportMetric(delivered, "delivered/s")
	b.ReportMetric(cpu, "cpu-s/100k-delivered")
	b.ReportMetric(resident(b, pid), "MB")
}

// benchPlace is where a server has its variables.
type benchPlace struct {
	url       string
	namespace uint16
	name      string // format of their numbers
}

// await waits until the server says that it listens, and where if that is not known.
func (p *benchPlace) await(b *testing.B, out *bufio.Reader) {
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			b.Fatalf("the server does not start: %v", err)
		}
		parts := strings.Fields(line)
		switch {
		case p.url != "" && strings.TrimSpace(line) == "ready":
			return
		case p.url != "" || len(parts) == 0:
			continue
		}
		p.url = parts[0]
		if len(parts) > 1 {
			n, err := strconv.ParseUint(parts[1], 10, 16)
			if err != nil {
				b.Fatal(err)
			}
			p.namespace = uint16(n)
		}
		return
	}
}

// benchNode is node-opcua's server as the end-to-end tests have it, with as many variables that change as often.
func benchNode(b *testing.B, n int) (*exec.Cmd, benchPlace) {
	const dir = "../../cmd/internal/e2e/opcua/server"
	if _, err := os.Stat(dir + "/node_modules"); err != nil {
		b.Skip("node-opcua is not installed: make cmd/internal/e2e/opcua/server/node_modules/.stamp")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close() // node-opcua wants a number
	cmd := exec.Command("node", "device.mjs", strconv.Itoa(port), b.TempDir(), strconv.Itoa(n), strconv.FormatInt(benchPeriod.Milliseconds(), 10))
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	return cmd, benchPlace{url: fmt.Sprintf("opc.tcp://127.0.0.1:%d", port), namespace: 1, name: "v%d"}
}

func benchWatchAll(b *testing.B, c *opcua.Client, pid int, list []*ua.MonitoredItemCreateRequest) (perSecond, cpuPer100k float64) {
	notify := make(chan *opcua.PublishNotificationData, 1000)
	sub, err := c.Subscribe(limited(b), &opcua.SubscriptionParameters{Interval: benchPeriod}, notify)
	if err != nil {
		b.Fatal(err)
	}
	var count atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case n := <-notify:
				if d, ok := n.Value.(*ua.DataChangeNotification); ok {
					count.Add(int64(len(d.MonitoredItems)))
				}
			}
		}
	}()
	for len(list) > 0 {
		resp, err := sub.Monitor(limited(b), ua.TimestampsToReturnBoth, list[:benchBatch]...)
		if err != nil || resp.Results[0].StatusCode != ua.StatusOK {
			b.Fatalf("monitor: %v", err)
		}
		list = list[benchBatch:]
	}
	time.Sleep(benchWarm)
	n, used, began := count.Load(), cpuTime(b, pid), time.Now()
	time.Sleep(benchWatch)
	got, seconds := float64(count.Load()-n), time.Since(began).Seconds()
	return got / seconds, (cpuTime(b, pid) - used) / got * 1e5
}

func benchRead(b *testing.B, c *opcua.Client, pid int, reads []*ua.ReadValueID) (perSecond, cpuPer100k float64) {
	n, used, began := 0, cpuTime(b, pid), time.Now()
	for time.Since(began) < benchReads {
		resp, err := c.Read(limited(b), &ua.ReadRequest{NodesToRead: reads, TimestampsToReturn: ua.TimestampsToReturnBoth})
		if err != nil || resp.Results[len(reads)-1].Status != ua.StatusOK {
			b.Fatalf("read: %v", err)
		}
		n += len(reads)
	}
	return float64(n) / time.Since(began).Seconds(), (cpuTime(b, pid) - used) / float64(n) * 1e5
}

// cpuTime returns the seconds of processor time a process has used.
func cpuTime(b *testing.B, pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skipf("no /proc here: %v", err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err1 != nil || err2 != nil {
		b.Fatalf("/proc/%d/stat: %s", pid, stat)
	}
	const ticks = 100 // per second, on every Linux
	return (user + system) / ticks
}

// resident returns the memory of a process in MB.
func resident(b *testing.B, pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}
