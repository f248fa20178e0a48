package witness

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"scada/redundancy/witness/lease"
)

func TestCheck(t *testing.T) {
	tcp := TCP{Targets: []string{"10.0.0.1:80"}, Timeout: minTimeout}
	file := File{Folder: "/mnt/pair", Interval: lease.MinInterval}
	device := Modbus{Area: "main", Endpoint: "tcp://10.0.0.1:502", Unit: 255, Register: 1<<16 - Registers, Interval: lease.MaxInterval}
	for _, wrong := range []map[string]string{tcp.Check(), file.Check(), device.Check()} {
		if len(wrong) > 0 {
			t.Errorf("%v", wrong)
		}
	}
	for _, c := range []struct {
		setting string
		wrong   map[string]string
	}{
		{"targets", TCP{}.Check()},
		{"targets", TCP{Targets: make([]string, MaxTargets+1)}.Check()},
		{"targets", TCP{Targets: []string{"10.0.0.1"}}.Check()},
		{"timeout", TCP{Targets: tcp.Targets, Timeout: minTimeout - 1}.Check()},
		{"timeout", TCP{Targets: tcp.Targets, Timeout: maxTimeout + 1}.Check()},
		{"folder", File{Folder: "pair"}.Check()},
		{"interval", File{Folder: "/mnt", Interval: lease.MinInterval - 1}.Check()},
		{"endpoint", Modbus{Endpoint: "rtu:///dev/ttyS0"}.Check()},
		{"unit", Modbus{Endpoint: device.Endpoint, Unit: 256}.Check()},
		{"unit", Modbus{Endpoint: device.Endpoint, Unit: -1}.Check()},
		{"register", Modbus{Endpoint: device.Endpoint, Register: device.Register + 1}.Check()},
		{"register", Modbus{Endpoint: device.Endpoint, Register: -1}.Check()},
		{"interval", Modbus{Endpoint: device.Endpoint, Interval: lease.MaxInterval + 1}.Check()},
	} {
		if c.wrong[c.setting] == "" || len(c.wrong) != 1 {
			t.Errorf("%s: %v", c.setting, c.wrong)
		}
	}
}

// frame returns an answer with a length field and so many bytes after it.
func frame(length, n int) []byte {
	return append([]byte{0, 1, 0, 0, byte(length >> 8), byte(length)}, make([]byte, n)...)
}

func TestReadFrame(t *testing.T) {
	for _, c := range []struct {
		name        string
		in          []byte
		wantSize    int
		wantFailure bool
	}{
		{"smallest", frame(lowLength, lowLength), 6 + lowLength, false},
		{"largest", frame(highLength, highLength), 6 + highLength, false},
		{"too short", frame(lowLength-1, lowLength), 0, true},
		{"too long", frame(highLength+1, highLength+1), 0, true},
		{"cut in the header", frame(lowLength, 0), 0, true},
		{"cut in the body", frame(40, 39), 0, true},
	} {
		b, err := readFrame(bytes.NewReader(c.in))
		if (err != nil) != c.wantFailure || len(b) != c.wantSize {
			t.Errorf("%s: %d bytes, %v", c.name, len(b), err)
		}
	}
}

// FuzzAnswer gives a device's answer to a request for the lease.
func FuzzAnswer(f *testing.F) {
	f.Add(append([]byte{0, 1, 0, 0, 0, 39, 1, 3, 36}, make([]byte, 36)...))
	f.Add([]byte{0, 1, 0, 0, 0, 3, 1, 0x83, 2})
	f.Add([]byte{0, 1, 0, 0, 0, 3, 1, 3, 0})
	f.Fuzz(func(t *testing.T, answer []byte) {
		d := newDevice(Modbus{Endpoint: "tcp://x:1", Unit: 1}, 0, func(context.Context, string, string) (net.Conn, error) {
			return &canned{Reader: bytes.NewReader(answer)}, nil
		})
		p, err := d.exchange(context.Background(), lease.Request{})
		if err == nil && len(answer) < 6+3+2*Registers {
			t.Errorf("%d bytes were taken for an answer: %+v", len(answer), p)
		}
		d.close()
	})
}

// canned is a connection whose answer is known.
type canned struct {
	net.Conn
	io.Reader
}

func (c *canned) Read(b []byte) (int, error)  { return c.Reader.Read(b) }
func (c *canned) Write(b []byte) (int, error) { return len(b), nil }
func (c *canned) SetDeadline(time.Time) error { return nil }
func (c *canned) Close() error                { return nil }

// TestFolderHangs: a file system that does not return is asked no more, and nobody waits for it for longer than his time.
func TestFolderHangs(t *testing.T) {
	f := newFolder(t.TempDir(), "works", "main", "a", "b")
	f.busy <- struct{}{}
	if _, err := f.exchange(t.Context(), lease.Request{}); !errors.Is(err, errHangs) {
		t.Errorf("%v", err)
	}
	<-f.busy
}
