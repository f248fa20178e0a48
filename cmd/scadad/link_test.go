package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const linkPlant = `
project: works
nodes:
  a: {links: {lan: "10.0.0.1:7401"}, http: "127.0.0.1:8081", data: a}
  b: {links: {lan: "10.0.0.2:7401"}, http: "127.0.0.1:8082", data: b}
redundancy: {tls: {dir: pki/link}}
areas: [{name: main, primary: a}]
devices: [{name: plc, driver: modbus, modbus: {endpoints: ["tcp://127.0.0.1:5020"], unit: 1}}]
scan_classes: {fast: 100ms}
tags: [{name: x, device: plc, address: "hr:0", type: uint16, scan: fast}]
`

// screen is standard output that another goroutine may look at.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestLinkCommands pairs two nodes over loopback as two people do, with one wrong code first, and renews.
func TestLinkCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plant.yaml")
	if err := os.WriteFile(file, []byte(linkPlant), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(args ...string) (int, string) {
		var out, problems bytes.Buffer
		code := run(append([]string{"link", "--config", file}, args...), &out, &problems)
		return code, out.String() + problems.String()
	}
	if code, text := link("show", "--node", "a"); code != exitOK || !strings.Contains(text, "attention: no link certificate of b is pinned") {
		t.Errorf("before the pairing %d: %s", code, text)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	var out screen
	ended := make(chan int, 1)
	go func() {
		ended <- run([]string{"link", "pair", "--config", file, "--node", "b", "--listen", address}, &out, io.Discard)
	}()
	printed := regexp.MustCompile(`code: (\S+)`)
	for limit := time.Now().Add(30 * time.Second); printed.FindString(out.String()) == ""; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("no code was printed: %s", out.String())
		}
	}
	if code, text := link("pair", "--node", "a", "--connect", address, "--code", "0000-0000-0000"); code != exitFailed || !strings.Contains(text, "tries left: 2") {
		t.Errorf("a wrong code %d: %s", code, text)
	}
	if code, text := link("pair", "--node", "a", "--connect", address, "--code", printed.FindStringSubmatch(out.String())[1]); code != exitOK || !strings.Contains(text, "paired with b") {
		t.Fatalf("%d: %s", code, text)
	}
	if code := <-ended; code != exitOK || !strings.Contains(out.String(), "paired with a") {
		t.Fatalf("%d: %s", code, out.String())
	}
	if code, text := link("renew", "--node", "a"); code != exitOK || !strings.Contains(text, "a next") || strings.Contains(text, "attention") {
		t.Errorf("%d: %s", code, text)
	}
	for want, args := range map[string][]string{
		"--node is required": {"show"},
		"one node listens":   {"pair", "--node", "a"},
	} {
		if code, text := link(args...); code != exitUsage || !strings.Contains(text, want) {
			t.Errorf("%v: %d: %s", args, code, text)
		}
	}
}
