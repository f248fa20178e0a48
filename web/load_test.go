package web

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"scada/acquisition/tag"
)

// The load test runs the server in a process of its own and up to 500 clients in this one, each subscribed to 10,000 tags that all
// change every second. It measures and asserts nothing about speed: make bench-web runs it.
var (
	loadTime   = flag.Duration("load", 0, "time to measure each case of TestSocketLoad for; 0 skips it")
	loadServer = flag.Bool("load.server", false, "be the server of TestSocketLoad")
)

const (
	loadTags  = 10_000
	loadUsers = 50
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *loadServer {
		serveLoad()
		return
	}
	os.Exit(m.Run())
}

// serveLoad serves 10,000 tags, all of them changing once a second, until its standard input ends.
func serveLoad() {
	tags := make([]tag.Definition, loadTags)
	for i := range tags {
		tags[i] = float(fmt.Sprintf("t%05d", i))
	}
	f := newFake("a", tags...)
	cfg := testConfig("a")
	for i := range loadUsers {
		cfg.Tokens = append(cfg.Tokens, Token{Name: fmt.Sprint("load", i), Role: Viewer, Hash: HashToken(fmt.Sprint("load", i))})
	}
	cfg.Listen = func(string, string) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
	s, err := New(cfg, f)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		cancel()
	}()
	if err := s.Start(); err != nil {
		panic(err)
	}
	fmt.Println(s.Addr())
	go func() {
		batch := make([]tag.Update, loadTags)
		for n := 0; ; n++ {
			now := time.Now()
			for i := range batch {
				batch[i] = tag.Update{Tag: tag.ID(i), Sample: tag.Sample{Time: now.UnixNano(), Value: tag.Float64(float64(n))}}
			}
			f.plant.Live.Apply(batch)
			time.Sleep(time.Until(now.Add(time.Second)))
		}
	}()
	if err := s.Run(ctx); err != nil {
		panic(err)
	}
}

// loadClient is one socket of the load test.
type loadClient struct {
	conn *websocket.Conn
	mu   sync.Mutex
	lags []time.Duration // from the change in the server to the frame here
}

func dialLoad(addr string, n int) (*loadClient, error) {
	d := websocket.Dialer{Subprotocols: []string{subprotocol}, HandshakeTimeout: 30 * time.Second}
	conn, resp, err := d.Dial("ws://"+addr+"/api/v1/ws", http.Header{"Authorization": {"Bearer load" + strconv.Itoa(n%loadUsers)}})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	c := &loadClient{conn: conn}
	return c, c.say(`{"t":"hello"}`, `{"t":"sub","id":1,"glob":"**"}`)
}

func (c *loadClient) say(texts ...string) error {
	for _, t := range texts {
		if err := c.conn.WriteMessage(websocket.TextMessage, []byte(t)); err != nil {
			return err
		}
	}
	return nil
}

// read takes frames until the connection ends; bytesPerSecond above 0 makes it a slow reader.
func (c *loadClient) read(bytesPerSecond int) {
	for {
		kind, data, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		if kind != websocket.BinaryMessage || len(data) < headerSize {
			continue
		}
		if bytesPerSecond > 0 {
			time.Sleep(time.Duration(len(data)) * time.Second / time.Duration(bytesPerSecond))
		}
		n := int(binary.LittleEndian.Uint32(data[4:]))
		if n > 0 {
			at := time.UnixMicro(int64(binary.LittleEndian.Uint64(data[16:])))
			age := time.Duration(int32(binary.LittleEndian.Uint32(data[headerSize+8*n:]))) * time.Millisecond
			c.mu.Lock()
			c.lags = append(c.lags, time.Since(at.Add(-age)))
			c.mu.Unlock()
		}
		if c.say(fmt.Sprintf(`{"t":"ack","frame":%d}`, binary.LittleEndian.Uint32(data[32:]))) != nil {
			return
		}
	}
}

func (c *loadClient) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lags = c.lags[:0]
}

// headerSize is where the columns of a data frame begin.
const headerSize = 40

func TestSocketLoad(t *testing.T) {
	if *loadTime == 0 {
		t.Skip("a measurement: go test ./web -run TestSocketLoad -load 20s")
	}
	for _, c := range []struct {
		name                   string
		clients, stalled, slow int
	}{{"100 clients", 100, 0, 0}, {"490 clients", 490, 0, 0}, {"490 clients, 5 stalled, 5 slow", 490, 5, 5}} {
		t.Run(c.name, func(t *testing.T) { measureLoad(t, c.clients, c.stalled, c.slow) })
	}
}

func measureLoad(t *testing.T, clients, stalled, slow int) {
	cmd := exec.Command(os.Args[0], "-load.server")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stdin.Close(); _ = cmd.Wait() }()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr = strings.TrimSpace(addr)
	var fast, odd []*loadClient
	for i := range clients + stalled + slow {
		c, err := dialLoad(addr, i)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		defer c.conn.Close()
		switch {
		case i < clients:
			fast = append(fast, c)
			go c.read(0)
		case i < clients+stalled:
			odd = append(odd, c) // never reads
		default:
			odd = append(odd, c)
			go c.read(60 << 10)
		}
	}
	time.Sleep(3 * time.Second)
	before, began := cpuOf(t, cmd.Process.Pid), time.Now()
	rss := rssOf(t, cmd.Process.Pid)
	for _, c := range fast {
		c.reset()
	}
	time.Sleep(*loadTime)
	var lags []time.Duration
	frames := 0
	for _, c := range fast {
		c.mu.Lock()
		lags = append(lags, c.lags...)
		frames += len(c.lags)
		c.mu.Unlock()
	}
	slices.Sort(lags)
	if len(lags) == 0 {
		t.Fatal("no frames")
	}
	cpu := 100 * float64(cpuOf(t, cmd.Process.Pid)-before) / float64(time.Since(began))
	t.Logf("server CPU %.1f %% of a core, RSS %d MB at the start and %d MB at the end, %.0f frames/s of %d values, change to client p50 %s p99 %s max %s; %d odd ones",
		cpu, rss>>20, rssOf(t, cmd.Process.Pid)>>20, float64(frames)/loadTime.Seconds(), loadTags, lags[len(lags)/2].Round(100*time.Microsecond),
		lags[len(lags)*99/100].Round(100*time.Microsecond), lags[len(lags)-1].Round(100*time.Microsecond), len(odd))
}

// cpuOf is the processor time a process has used.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skip("needs /proc")
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')'):]))
	user, _ := strconv.ParseInt(fields[12], 10, 64)
	system, _ := strconv.ParseInt(fields[13], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rssOf is the memory a process holds, in bytes.
func rssOf(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Skip("needs /proc")
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
