//go:build linux

package web

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
)

// The load test runs the server in a process of its own and up to 500 clients in another (load_clients_test.go), subscribed to some or
// all of 10,000 tags that all change every second. It measures and asserts nothing about speed: make bench-web runs it.
var (
	loadTime    = flag.Duration("load", 0, "time to measure each case of TestSocketLoad for; 0 skips it")
	loadServer  = flag.Bool("load.server", false, "be the server of TestSocketLoad")
	loadClients = flag.Bool("load.clients", false, "be the clients of TestSocketLoad")
	loadProfile = flag.String("load.profile", "", "folder for a profile of the server's processor time in each case of TestSocketLoad")
)

const (
	loadTags   = 10_000
	loadUsers  = 50
	loadSettle = 4 * time.Second // until everybody has connected and what that took is given back
)

func TestMain(m *testing.M) {
	flag.Parse()
	switch {
	case *loadServer:
		serveLoad()
		return
	case *loadClients:
		beClients()
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
		defer cancel()
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() { // the name of a file for a profile from now on
			file, err := os.Create(in.Text())
			if err != nil {
				panic(err)
			}
			if err := pprof.StartCPUProfile(file); err != nil {
				panic(err)
			}
			defer pprof.StopCPUProfile()
		}
	}()
	if err := s.Start(); err != nil {
		panic(err)
	}
	fmt.Println(s.Addr())
	go func() {
		batch := make([]tag.Update, loadTags)
		for {
			now := time.Now()
			for i := range batch {
				batch[i] = tag.Update{Tag: tag.ID(i), Sample: tag.Sample{Time: now.UnixNano(), Value: tag.Float64(float64(now.UnixMicro()))}}
			}
			f.plant.Live.Apply(batch)
			time.Sleep(time.Until(now.Add(time.Second)))
		}
	}()
	if err := s.Run(ctx); err != nil {
		panic(err)
	}
}

func TestSocketLoad(t *testing.T) {
	if *loadTime == 0 {
		t.Skip("a measurement: go test ./web -run TestSocketLoad -load 20s")
	}
	for _, c := range []struct {
		name string
		job  loadJob
	}{
		{"100 clients x 200 tags each of its own", loadJob{Clients: 100, Tags: 200}},
		{"100 clients x 200 tags the same", loadJob{Clients: 100, Tags: 200, Same: true}},
		{"100 clients x 10000 tags", loadJob{Clients: 100, Tags: loadTags}},
		{"500 clients x 10000 tags", loadJob{Clients: 500, Tags: loadTags}},
		{"490 clients x 10000 tags", loadJob{Clients: 490, Tags: loadTags}},
		{"490 clients x 10000 tags with 5 stalled and 5 slow", loadJob{Clients: 490, Tags: loadTags, Stalled: 5, Slow: 5}},
	} {
		t.Run(c.name, func(t *testing.T) { measureLoad(t, c.job) })
	}
}

// helper starts this program in another role; the pipes are its standard input and output.
func helper(t *testing.T, role string) (*exec.Cmd, io.WriteCloser, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
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
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return cmd, in, bufio.NewReader(out)
}

func measureLoad(t *testing.T, job loadJob) {
	server, tell, out := helper(t, "-load.server")
	line := func(from *bufio.Reader) string {
		t.Helper()
		text, err := from.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(text)
	}
	job.Addr = line(out)
	idle := rssOf(t, server.Process.Pid)
	clients, ask, answers := helper(t, "-load.clients")
	if err := json.NewEncoder(ask).Encode(job); err != nil {
		t.Fatal(err)
	}
	line(answers) // all are connected
	time.Sleep(loadSettle)
	if *loadProfile != "" {
		fmt.Fprintln(tell, filepath.Join(*loadProfile, strings.ReplaceAll(filepath.Base(t.Name()), " ", "_")+".pprof"))
	}
	fmt.Fprintln(ask, "begin")
	line(answers)
	began, before, beforeClients := time.Now(), cpuOf(t, server.Process.Pid), cpuOf(t, clients.Process.Pid)
	rss := rssOf(t, server.Process.Pid)
	time.Sleep(*loadTime)
	took := time.Since(began)
	cpu, cpuClients := cpuOf(t, server.Process.Pid)-before, cpuOf(t, clients.Process.Pid)-beforeClients
	fmt.Fprintln(ask, "report")
	t.Logf("server %.1f %% of a core, resident %d MB without clients, %d at the start, %d at the end (most %d); clients %.1f %%; change to client %s; load %s",
		100*cpu.Seconds()/took.Seconds(), idle>>20, rss>>20, rssOf(t, server.Process.Pid)>>20, peakOf(t, server.Process.Pid)>>20,
		100*cpuClients.Seconds()/took.Seconds(), line(answers), loadAverage())
}

// peakOf is the most memory a process has held, in bytes.
func peakOf(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("needs /proc")
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kb, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
	return kb << 10
}

// loadAverage is how many processes want the machine, over the last minute.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(b))[0]
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
