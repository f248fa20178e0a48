package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "sim.yaml")
	if err := os.WriteFile(bad, []byte("seed: 1\nmodbu: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string // on stderr
	}{
		{[]string{"--version"}, 0, ""}, {[]string{"plant", "--help"}, 0, ""},
		{[]string{"plant", "--nonsense"}, 2, "unknown flag"},
		{[]string{"plant", "--config", bad}, 1, bad + ":2:1: "},
		{[]string{"plant", "--config", bad + "x"}, 1, "reading the simulation"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: exit %d, %q", c.args, code, errs.String())
		}
	}
}

// TestPlantAnnouncesAndEnds: it says where everything is, serves, and ends cleanly when told.
func TestPlantAnnouncesAndEnds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sim.yaml")
	text := `
control: "127.0.0.1:0"
modbus:
  - {name: a, listen: "127.0.0.1:0", units: {1: {device: plc1}}}
opcua:
  - {device: mixer, listen: "127.0.0.1:0"}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"plant", "--config", file}, w, io.Discard)
		w.Close()
	}()
	lines := make(chan string, 10)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			if err != nil {
				close(lines)
				return
			}
			lines <- string(b[:n])
		}
	}()
	said := ""
	for !strings.Contains(said, "control") {
		line, ok := <-lines
		if !ok {
			t.Fatalf("ended after %q", said)
		}
		said += line
	}
	fields := strings.Fields(said[strings.Index(said, "control"):])
	res, err := http.Get("http://" + fields[1] + "/health")
	if err != nil || res.StatusCode != 200 {
		t.Errorf("%v %v", res, err)
	}
	if err == nil {
		res.Body.Close()
	}
	cancel()
	select {
	case got := <-code:
		if got != 0 {
			t.Errorf("exit %d", got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it does not end")
	}
}
