//go:build linux

package web

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// loadJob is what the clients of TestSocketLoad do. They are made to cost as little as can be, so that what is measured on a small
// machine is the server: of a frame they read the head and the first value, which says when it was made, and have the kernel throw the rest
// away without copying it. A frame has come when its last byte has.
type loadJob struct {
	Addr          string
	Clients, Tags int
	Same          bool // all show the same tags
	Stalled, Slow int  // beside them: never read, read slowSpeed
}

const (
	slowSpeed = 60 << 10 // bytes/s
	peekSize  = 64       // bytes: the longest head of a message, the head of a frame and a value
	discarded = 256 << 10
)

// scratch is where the kernel does not write what is thrown away.
var scratch [discarded]byte

// beClients reads a job, tells when all are connected, and then answers the lines begin and report.
func beClients() {
	var job loadJob
	in := bufio.NewReader(os.Stdin)
	text, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(text, &job)
	}
	if err != nil {
		panic(err)
	}
	var fast []*loadClient
	for i := range job.Clients + job.Stalled + job.Slow {
		c, err := job.dial(i)
		if err != nil {
			panic(fmt.Sprintf("client %d: %v", i, err))
		}
		switch {
		case i < job.Clients:
			fast = append(fast, c)
			go c.read(0)
		case i < job.Clients+job.Slow:
			go c.read(slowSpeed)
		}
	}
	fmt.Println("connected")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		var lags []time.Duration
		for _, c := range fast {
			lags = append(lags, c.take()...)
		}
		if strings.TrimSpace(line) == "begin" || len(lags) == 0 {
			fmt.Println("began")
			continue
		}
		slices.Sort(lags)
		at := func(share int) time.Duration {
			return lags[min(len(lags)*share/1000, len(lags)-1)].Round(100 * time.Microsecond)
		}
		fmt.Printf("p50 %v p90 %v p99 %v max %v (%d frames)\n", at(500), at(900), at(990), at(1000), len(lags))
	}
}

// dial connects, signs in and subscribes. The library is not used to read: it has nothing before the server is spoken to.
func (j loadJob) dial(n int) (*loadClient, error) {
	d := websocket.Dialer{Subprotocols: []string{subprotocol}, HandshakeTimeout: 30 * time.Second}
	conn, resp, err := d.Dial("ws://"+j.Addr+"/api/v1/ws", http.Header{"Authorization": {"Bearer load" + strconv.Itoa(n%loadUsers)}})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	sub := map[string]any{"t": "sub", "id": 1, "glob": "**"}
	if j.Tags < loadTags {
		names := make([]string, j.Tags)
		for i := range names {
			first := 97 * n
			if j.Same {
				first = 0
			}
			names[i] = fmt.Sprintf("t%05d", (first+i*loadTags/j.Tags)%loadTags)
		}
		sub = map[string]any{"t": "sub", "id": 1, "tags": names}
	}
	for _, m := range []any{map[string]any{"t": "hello"}, sub} {
		if err := conn.WriteJSON(m); err != nil {
			return nil, err
		}
	}
	tcp := conn.NetConn().(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	return &loadClient{conn: tcp, raw: raw}, err
}

// loadClient is one socket of the load test.
type loadClient struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	peek []byte // read and not used yet

	mu   sync.Mutex
	lags []time.Duration // from the change in the server to the whole frame here
}

func (c *loadClient) take() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	lags := c.lags
	c.lags = nil
	return lags
}

// read takes messages until the connection ends; bytesPerSecond above 0 makes it a slow reader.
func (c *loadClient) read(bytesPerSecond int) {
	buf := make([]byte, peekSize)
	for c.message(buf, bytesPerSecond) == nil {
		continue
	}
}

func (c *loadClient) message(buf []byte, bytesPerSecond int) error {
	if err := c.have(buf, 2); err != nil {
		return err
	}
	head, size := 2, int(c.peek[1])
	switch size {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if err := c.have(buf, head); err != nil {
		return err
	}
	switch head {
	case 4:
		size = int(binary.BigEndian.Uint16(c.peek[2:]))
	case 10:
		size = int(binary.BigEndian.Uint64(c.peek[2:]))
	}
	const first = headerSize + 8
	binaryFrame := c.peek[0] == 1<<7|websocket.BinaryMessage && size >= first
	if !binaryFrame {
		return c.skip(head+size, 0)
	}
	if err := c.have(buf, head+first); err != nil {
		return err
	}
	number := binary.LittleEndian.Uint32(c.peek[head+32:])
	made := time.UnixMicro(int64(math.Float64frombits(binary.LittleEndian.Uint64(c.peek[head+headerSize:]))))
	if err := c.skip(head+size, bytesPerSecond); err != nil {
		return err
	}
	c.mu.Lock()
	c.lags = append(c.lags, time.Since(made))
	c.mu.Unlock()
	return c.ack(number)
}

// have reads until n bytes of the next message are there.
func (c *loadClient) have(buf []byte, n int) error {
	if len(c.peek) >= n {
		return nil
	}
	c.peek = buf[:copy(buf, c.peek)]
	for len(c.peek) < n {
		m, err := c.conn.Read(buf[len(c.peek):])
		if err != nil {
			return err
		}
		c.peek = buf[:len(c.peek)+m]
	}
	return nil
}

// skip throws n bytes away.
func (c *loadClient) skip(n, bytesPerSecond int) error {
	here := min(n, len(c.peek))
	c.peek = c.peek[here:]
	for n -= here; n > 0; {
		want := min(n, discarded)
		if bytesPerSecond > 0 {
			want = min(want, bytesPerSecond/10)
			time.Sleep(time.Second / 10)
		}
		got, err := 0, error(nil)
		readErr := c.raw.Read(func(fd uintptr) bool {
			got, _, err = syscall.Recvfrom(int(fd), scratch[:want], syscall.MSG_TRUNC|syscall.MSG_DONTWAIT)
			return !errors.Is(err, syscall.EAGAIN)
		})
		if readErr != nil || err != nil || got == 0 {
			return io.ErrUnexpectedEOF
		}
		n -= got
	}
	return nil
}

// ack acknowledges a frame, in a message that is masked with zeros.
func (c *loadClient) ack(number uint32) error {
	b := []byte{1<<7 | websocket.TextMessage, 1 << 7, 0, 0, 0, 0}
	b = fmt.Appendf(b, `{"t":"ack","frame":%d}`, number)
	b[1] |= byte(len(b) - 6)
	_, err := c.conn.Write(b)
	return err
}

// headerSize is where the columns of a data frame begin.
const headerSize = 40
