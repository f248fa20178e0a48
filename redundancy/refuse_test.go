package redundancy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
)

func TestStrangersAndGarbage(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x05\x00\x00\x00hello", ""} {
			c, err := p.net.Host("x").Dial(t.Context(), "tcp", "127.0.0.1:7401")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write([]byte(garbage))
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			start := time.Now()
			if n, err := c.Read(make([]byte, 100)); n > 0 || err == nil {
				t.Errorf("%q was answered", garbage)
			}
			if time.Since(start) > 5*time.Second {
				t.Errorf("%q was borne for %v", garbage, time.Since(start))
			}
			_ = c.Close()
		}
		for range 3 * redundancy.MaxStrangers { // silent callers must not keep the peer out
			c, err := p.net.Host("x").Dial(t.Context(), "tcp", "127.0.0.1:7401")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
		}
		time.Sleep(5 * time.Second)
		p.expect("a", role.Active)
		if st := p.nodes["b"].Status(); !st.FailoverReady {
			t.Error(st.NotReady)
		}
	})
}

func TestRefusesToStart(t *testing.T) {
	good := redundancy.Config{Project: "p", Digest: "d", Self: "a", Peer: "b", DataDir: t.TempDir(),
		Areas:     []redundancy.Area{{Name: "main", Primary: "a"}},
		Paths:     []redundancy.Path{{Name: "lan", Listen: "127.0.0.1:7401", Peer: "127.0.0.1:7402"}},
		Heartbeat: 100 * time.Millisecond, Misses: 5}
	if _, err := redundancy.New(redundancy.Options{Config: good, Host: newHost("a")}); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(c *redundancy.Config){
		"not a loopback address": func(c *redundancy.Config) {
			c.Paths = []redundancy.Path{{Name: "lan", Listen: "10.0.0.1:7401", Peer: "127.0.0.1:7402"}}
		},
		"heartbeat 19ms":          func(c *redundancy.Config) { c.Heartbeat = 19 * time.Millisecond },
		"heartbeat 11s":           func(c *redundancy.Config) { c.Heartbeat = 11 * time.Second },
		"misses 21":               func(c *redundancy.Config) { c.Misses = 21 },
		"0 paths":                 func(c *redundancy.Config) { c.Paths = nil },
		"9 paths":                 func(c *redundancy.Config) { c.Paths = make([]redundancy.Path, redundancy.MaxPaths+1) },
		"65 areas":                func(c *redundancy.Config) { c.Areas = make([]redundancy.Area, redundancy.MaxAreas+1) },
		"no project":              func(c *redundancy.Config) { c.Project = "" },
		"not a node of the pair":  func(c *redundancy.Config) { c.Areas = []redundancy.Area{{Name: "main", Primary: "c"}} },
		"two nodes with differ":   func(c *redundancy.Config) { c.Peer = "a"; c.Areas[0].Primary = "a" },
		"nameless or there twice": func(c *redundancy.Config) { c.Areas = append(c.Areas, c.Areas[0]) },
	}
	for want, change := range tests {
		c := good
		c.Areas = slices.Clone(good.Areas)
		change(&c)
		if _, err := redundancy.New(redundancy.Options{Config: c, Host: newHost("a")}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
