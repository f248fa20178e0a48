package modbus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// pty opens a pseudo terminal: the file is the device's end of the line, the path ours.
func pty(t *testing.T) (*os.File, string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	var serr error
	if err := raw.Control(func(fd uintptr) {
		if serr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); serr == nil {
			number, serr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || serr != nil {
		t.Skipf("no pseudo terminals here: %v %v", err, serr)
	}
	return master, fmt.Sprintf("/dev/pts/%d", number)
}

// serveLine answers requests on the far end of a line, and calls other for those it shall not answer.
func serveLine(s *slave, line *os.File, mute func(n int) bool) {
	var b []byte
	buf := make([]byte, 512)
	for n := 0; ; {
		k, err := line.Read(buf)
		if errors.Is(err, unix.EIO) { // nobody has the other end open just now
			b = nil
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return
		}
		b = append(b, buf[:k]...)
		for {
			used := s.requestLength(b)
			if used == 0 || len(b) < used {
				break
			}
			adu := b[:used]
			answer := s.execute(adu[0], adu[1:used-2])
			if !mute(n) {
				line.Write(s.frame(adu, adu[0], answer))
			}
			n++
			b = b[used:]
		}
	}
}

// TestSerialLine polls and writes over a real terminal, whose device leaves out an answer now and then.
func TestSerialLine(t *testing.T) {
	line, path := pty(t)
	s := newSlave(t)
	s.rtu = true
	ended := make(chan struct{})
	go func() {
		serveLine(s, line, func(n int) bool { return n == 5 || n == 12 })
		close(ended)
	}()
	d := plainDevice("plc", 1, 1, 0, 3)
	d.Endpoints, d.Timeout = []string{"rtu://" + path + "?baud=115200&parity=N"}, time.Second
	sources, err := New([]Device{d}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := sources[0].(*Channel)
	sink := newRecorder(t)
	sink.expect = func(id tag.ID) (uint64, bool) { return uint64(register(1, int(id/3)*200+int(id%3))), id > 0 }
	for range 2 { // a second run opens the line again
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx, sink) }()
		deadline := time.Now().Add(20 * time.Second)
		answers := c.Status()[0].Counters.Answers
		for c.Status()[0].Counters.Answers < answers+20 && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		got := c.Write(ctx, acquisition.Write{Tag: 0, Value: tag.Float64(5)})
		if got.Outcome != acquisition.Confirmed {
			t.Errorf("write: %+v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := c.Status()[0].Counters; n.Answers < answers+20 || n.Timeouts < 2 {
			t.Errorf("%+v", n)
		}
	}
	line.Close()
	<-ended
}
