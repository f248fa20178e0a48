package modbus

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"
)

// The kinds of endpoint are their URL schemes.
const (
	kindTCP    = "tcp"
	kindRTUTCP = "rtuovertcp"
	kindRTU    = "rtu"
)

const maxEndpoint = 256 // characters

// endpoint is where a channel connects to.
type endpoint struct {
	kind    string
	address string // host:port, or the path of the serial device
	baud    int
	parity  byte // N, E, O
	stop    int
}

func (e endpoint) isRTU() bool { return e.kind != kindTCP }

var bauds = []int{1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200}

// parseEndpoint reads tcp://host:port, rtuovertcp://host:port and rtu:///dev/ttyS0?baud=9600&parity=E&stop=1.
func parseEndpoint(s string) (endpoint, error) {
	if len(s) > maxEndpoint {
		return endpoint{}, fmt.Errorf("endpoint of %d characters, the limit is %d", len(s), maxEndpoint)
	}
	u, err := url.Parse(s)
	if err != nil {
		return endpoint{}, fmt.Errorf("endpoint %q: %w", s, err)
	}
	switch u.Scheme {
	case kindTCP, kindRTUTCP:
		host, port, err := net.SplitHostPort(u.Host)
		if n, perr := strconv.Atoi(port); err != nil || host == "" || perr != nil || n < 1 || n > 65535 || u.Path != "" || u.RawQuery != "" {
			return endpoint{}, fmt.Errorf("endpoint %q: want %s://host:port", s, u.Scheme)
		}
		return endpoint{kind: u.Scheme, address: u.Host}, nil
	case kindRTU:
		return parseSerial(s, u)
	}
	return endpoint{}, fmt.Errorf("endpoint %q: want tcp://host:port, rtuovertcp://host:port or rtu:///dev/tty…?baud=…", s)
}

func parseSerial(s string, u *url.URL) (endpoint, error) {
	e := endpoint{kind: kindRTU, address: u.Path, baud: 19200, parity: 'E', stop: 1}
	if u.Host != "" || len(u.Path) < 2 {
		return e, fmt.Errorf("endpoint %q: want rtu:/// and the path of the serial device", s)
	}
	for key, values := range u.Query() {
		v := values[0]
		switch key {
		case "baud":
			n, err := strconv.Atoi(v)
			known := false
			for _, b := range bauds {
				known = known || b == n
			}
			if err != nil || !known {
				return e, fmt.Errorf("endpoint %q: baud %q is not one of %v", s, v, bauds)
			}
			e.baud = n
		case "parity":
			if v != "N" && v != "E" && v != "O" {
				return e, fmt.Errorf("endpoint %q: parity %q is not one of N, E, O", s, v)
			}
			e.parity = v[0]
		case "stop":
			if v != "1" && v != "2" {
				return e, fmt.Errorf("endpoint %q: stop %q is not 1 or 2", s, v)
			}
			e.stop = int(v[0] - '0')
		default:
			return e, fmt.Errorf("endpoint %q: unknown setting %q (baud, parity, stop)", s, key)
		}
	}
	return e, nil
}

// charBits is what a character takes on the line: start, eight data, parity or a second stop, stop.
const charBits = 11

// lineTime returns how long n bytes take on a serial line, in nanoseconds; 0 elsewhere.
func (e endpoint) lineTime(n int) int64 {
	if e.kind != kindRTU {
		return 0
	}
	return int64(n) * charBits * 1e9 / int64(e.baud)
}

// quietTCP is the silence before a request where RTU frames travel in a TCP connection: time for what a gateway still
// has to deliver, which is then thrown away instead of being taken for the next answer.
const quietTCP = time.Millisecond

// silence returns the pause between frames: on a serial line 3.5 characters, and 1.75 ms above 19200 baud.
func (e endpoint) silence() int64 {
	switch {
	case e.kind == kindRTUTCP:
		return int64(quietTCP)
	case e.baud > 19200:
		return 1_750_000
	}
	return 7 * charBits * 1e9 / int64(2*e.baud)
}
