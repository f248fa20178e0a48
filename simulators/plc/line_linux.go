package plc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lineQuiet is the silence after which a unit on a line takes what follows for a new frame.
const lineQuiet = 20 * time.Millisecond

// line is the units' end of a serial line: a pseudo terminal whose other end a client opens by a path. It is a listener
// with one connection at a time. When that ends, over a frame that was no frame or a fault, the next begins after a
// silence, as units on a line find each other's frames.
type line struct {
	master *os.File
	held   *os.File // the client's end, so that it stays open when no client has it
	link   string
	device string
	turn   chan struct{} // holds a token while no connection is open
	over   chan struct{}
	once   sync.Once
	first  bool
}

// listenLine opens a pseudo terminal and links a path to it.
func listenLine(link string) (net.Listener, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a pseudo terminal: %w", err)
	}
	device, held, err := farEnd(master)
	if err == nil {
		err = linkLine(device, link)
	}
	if err != nil {
		master.Close()
		if held != nil {
			held.Close()
		}
		return nil, fmt.Errorf("opening the line %s: %w", link, err)
	}
	l := &line{master: master, held: held, link: link, device: device, turn: make(chan struct{}, 1), over: make(chan struct{}), first: true}
	l.turn <- struct{}{}
	return l, nil
}

// farEnd opens the client's end, without a terminal's habits.
func farEnd(master *os.File) (device string, held *os.File, err error) {
	raw, err := master.SyscallConn()
	if err != nil {
		return "", nil, err
	}
	var number int
	var serr error
	err = raw.Control(func(fd uintptr) {
		if serr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); serr == nil {
			number, serr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err = errors.Join(err, serr); err != nil {
		return "", nil, err
	}
	device = fmt.Sprintf("/dev/pts/%d", number)
	if held, err = os.OpenFile(device, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0); err != nil {
		return device, nil, err
	}
	if raw, err = held.SyscallConn(); err != nil {
		return device, held, err
	}
	err = raw.Control(func(fd uintptr) {
		t := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B19200, Ispeed: unix.B19200, Ospeed: unix.B19200}
		t.Cc[unix.VMIN] = 1
		serr = unix.IoctlSetTermios(int(fd), unix.TCSETS, &t)
	})
	return device, held, errors.Join(err, serr)
}

// linkLine makes the path; one that a simulation left behind which was killed is replaced.
func linkLine(device, link string) error {
	if old, err := os.Readlink(link); err == nil && strings.HasPrefix(old, "/dev/pts/") {
		if err := os.Remove(link); err != nil {
			return err
		}
	}
	return os.Symlink(device, link)
}

// Accept implements [net.Listener].
func (l *line) Accept() (net.Conn, error) {
	select {
	case <-l.turn:
	case <-l.over:
		return nil, net.ErrClosed
	}
	if !l.first {
		l.settle()
	}
	l.first = false
	if err := l.master.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	select {
	case <-l.over:
		return nil, net.ErrClosed
	default:
	}
	return &lineConn{line: l}, nil
}

// settle waits for a silence.
func (l *line) settle() {
	var waste [512]byte
	for {
		if l.master.SetDeadline(time.Now().Add(lineQuiet)) != nil {
			return
		}
		if _, err := l.master.Read(waste[:]); err != nil {
			return
		}
	}
}

// Close implements [net.Listener]: the path is gone, as an adapter that is unplugged.
func (l *line) Close() error {
	l.once.Do(func() {
		close(l.over)
		if to, err := os.Readlink(l.link); err == nil && to == l.device {
			_ = os.Remove(l.link) // at worst the next one replaces it
		}
		_ = l.held.Close()
		_ = l.master.Close()
	})
	return nil
}

// Addr implements [net.Listener].
func (l *line) Addr() net.Addr { return lineAddr(l.link) }

type lineAddr string

func (lineAddr) Network() string  { return "pty" }
func (a lineAddr) String() string { return string(a) }

// lineConn is the line from one silence to the next.
type lineConn struct {
	*line
	ended sync.Once
}

func (c *lineConn) Read(b []byte) (int, error)  { return c.master.Read(b) }
func (c *lineConn) Write(b []byte) (int, error) { return c.master.Write(b) }

// Close ends the connection and leaves the line open.
func (c *lineConn) Close() error {
	c.ended.Do(func() {
		_ = c.master.SetDeadline(time.Now()) // wakes whoever reads; a line that is closed is awake
		c.turn <- struct{}{}
	})
	return nil
}

func (c *lineConn) LocalAddr() net.Addr                { return c.Addr() }
func (c *lineConn) RemoteAddr() net.Addr               { return c.Addr() }
func (c *lineConn) SetDeadline(t time.Time) error      { return c.master.SetDeadline(t) }
func (c *lineConn) SetReadDeadline(t time.Time) error  { return c.master.SetReadDeadline(t) }
func (c *lineConn) SetWriteDeadline(t time.Time) error { return c.master.SetWriteDeadline(t) }
