package modbus

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

var baudFlags = map[int]uint32{
	1200: unix.B1200, 2400: unix.B2400, 4800: unix.B4800, 9600: unix.B9600, 19200: unix.B19200, 38400: unix.B38400,
	57600: unix.B57600, 115200: unix.B115200,
}

// openSerial opens a serial line in raw mode. Non-blocking, it is waited for by the runtime's poller like a socket, so
// it has deadlines and costs no thread.
func openSerial(ep endpoint) (stream, error) {
	f, err := os.OpenFile(ep.address, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the serial line: %w", err)
	}
	raw, err := f.SyscallConn()
	if err == nil {
		var serr error
		err = raw.Control(func(fd uintptr) { serr = configure(int(fd), ep) })
		if err == nil {
			err = serr
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("setting up the serial line %s: %w", ep.address, err)
	}
	return f, nil
}

func configure(fd int, ep endpoint) error {
	speed := baudFlags[ep.baud]
	t := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | speed, Ispeed: speed, Ospeed: speed}
	switch ep.parity {
	case 'E':
		t.Cflag |= unix.PARENB
		t.Iflag |= unix.INPCK
	case 'O':
		t.Cflag |= unix.PARENB | unix.PARODD
		t.Iflag |= unix.INPCK
	}
	if ep.stop == 2 {
		t.Cflag |= unix.CSTOPB
	}
	t.Cc[unix.VMIN] = 1
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &t); err != nil {
		return err
	}
	return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH)
}
