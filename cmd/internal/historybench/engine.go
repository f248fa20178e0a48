package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// engine is a program that is compared, running on loopback with a folder of its own.
type engine struct {
	name string
	args func(dir, address string) []string
	path string // of a request that succeeds when it is ready

	dir, address string
	cmd          *exec.Cmd
	cpuBefore    time.Duration // of processes that ended
	written      float64       // KiB, of processes that ended
}

// newEngine prepares a folder and a port; false means that the program is not installed.
func newEngine(e engine) (*engine, bool, error) {
	if _, err := exec.LookPath(e.name); err != nil {
		return nil, false, nil
	}
	dir, err := os.MkdirTemp("", e.name)
	if err != nil {
		return nil, false, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, false, err
	}
	e.dir, e.address = dir, l.Addr().String()
	return &e, true, l.Close()
}

func (e *engine) start() (took time.Duration, err error) {
	begin := time.Now()
	e.cmd = exec.Command(e.name, e.args(e.dir, e.address)...)
	if err := e.cmd.Start(); err != nil {
		return 0, err
	}
	for time.Since(begin) < time.Minute {
		if r, err := http.Get("http://" + e.address + e.path); err == nil {
			r.Body.Close()
			if r.StatusCode < 300 {
				return time.Since(begin), nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, fmt.Errorf("%s does not answer", e.name)
}

// kill ends it without warning.
func (e *engine) kill() {
	if e.cmd == nil {
		return
	}
	e.cpuBefore, e.written = e.cpu(), e.writtenKiB()
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait() // it was killed
	e.cmd = nil
}

func (e *engine) close() {
	e.kill()
	os.RemoveAll(e.dir)
}

func (e *engine) proc(file string) string { return fmt.Sprintf("/proc/%d/%s", e.cmd.Process.Pid, file) }

// cpu is the processor time it took so far.
func (e *engine) cpu() time.Duration {
	if e.cmd == nil {
		return e.cpuBefore
	}
	b, _ := os.ReadFile(e.proc("stat"))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return e.cpuBefore
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return e.cpuBefore + time.Duration(user+system)*10*time.Millisecond // clock ticks are 10 ms for every user of Linux
}

func (e *engine) writtenKiB() float64 {
	if e.cmd == nil {
		return e.written
	}
	return e.written + kib(e.proc("io"), "write_bytes:")/1024
}

func (e *engine) rss() float64 { return kib(e.proc("status"), "VmRSS:") / 1024 }

// call makes a request and returns the number of bytes of the answer, or hands the answer to read.
func (e *engine) call(method, path string, body []byte, read func(io.Reader) error) error {
	req, err := http.NewRequest(method, "http://"+e.address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 500))
		return fmt.Errorf("%s %s: %s: %s", e.name, path, res.Status, text)
	}
	if read != nil {
		if err := read(res.Body); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// count returns a reader's function that adds up how often a text occurs.
func count(n *int, what string) func(io.Reader) error {
	return func(r io.Reader) error {
		buf, rest := make([]byte, 1<<20), 0
		for {
			m, err := r.Read(buf[rest:])
			part := buf[:rest+m]
			*n += bytes.Count(part, []byte(what))
			rest = min(len(what)-1, len(part))
			copy(buf, part[len(part)-rest:])
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}
