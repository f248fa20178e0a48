package plant

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// start runs the demo's simulation on free ports.
func start(t *testing.T) *Plant {
	t.Helper()
	src, err := os.ReadFile("../demo/sim.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("sim.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	c.Control = "127.0.0.1:0"
	for i := range c.Modbus {
		c.Modbus[i].Listen, c.Modbus[i].Latency = "127.0.0.1:0", 0
	}
	for i := range c.OPCUA {
		c.OPCUA[i].Listen = "127.0.0.1:0"
	}
	p, err := New(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		begun := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("the plant took %v to stop", took)
		}
	})
	return p
}

// http sends a request to the control port and decodes the answer into v, which may be nil.
func (p *Plant) http(t *testing.T, method, path, in string, v any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.ControlAddr().String()+path, strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	if in != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if v != nil {
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(v); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return res.StatusCode
}
