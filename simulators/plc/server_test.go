package plc

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/simulators/memnet"
)

// bench is a server on a network in memory, inside a synctest bubble.
type bench struct {
	t       *testing.T
	net     *memnet.Network
	server  *Server
	bank    *Memory
	journal *Journal
}

// serve runs f against a server; when f returns the server is stopped and must leave nothing behind.
func serve(t *testing.T, change func(o *Options), f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, net: memnet.New(), bank: NewMemory(100), journal: NewJournal(1000)}
		for i := range uint16(100) {
			b.bank.Set(HoldingRegisters, i, 0x1000+i)
			b.bank.Set(InputRegisters, i, 0x2000+i)
			b.bank.Set(Coils, i, i%3%2)
			b.bank.Set(DiscreteInputs, i, i%2)
		}
		o := Options{
			Name: "panel", Address: "plc:502", Journal: b.journal, Listen: b.net.Host("plc").Listen,
			Units: map[uint8]Unit{1: {Device: "plc1", Bank: b.bank, Identity: Identity{"maker", "thing", "1.2"}}, 2: {Device: "plc2", Bank: NewMemory(10)}},
		}
		if change != nil {
			change(&o)
		}
		b.server = New(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.server.Run(ctx) }()
		synctest.Wait()
		f(b)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (b *bench) dial(host string) net.Conn {
	b.t.Helper()
	c, err := b.net.Host(host).Dial(b.t.Context(), "tcp", "plc:502")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

// tcp frames a PDU in hexadecimal for Modbus TCP.
func tcp(tid uint16, unit uint8, pdu string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(pdu, " ", ""))
	if err != nil {
		panic(err)
	}
	return frame{tid: tid, unit: unit, pdu: raw}.bytes(TCP)
}

// ask sends bytes and returns what comes back within a second of virtual time, and how that ended.
func ask(c net.Conn, request []byte) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return listen(c, time.Second)
}

func listen(c net.Conn, d time.Duration) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return nil, err
	}
	out, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return out, nil
	}
	if err == nil {
		err = io.EOF
	}
	return out, err
}

// TestAnswers has the frames of the specification and those at its limits.
func TestAnswers(t *testing.T) {
	serve(t, nil, func(b *bench) {
		c := b.dial("a")
		for _, x := range []struct{ request, answer string }{
			{"01 0000 000A", "01 02 9200"}, // bits 0..9 of the pattern 0 1 0, lowest first
			{"02 0001 0003", "02 01 05"},
			{"03 0002 0002", "03 04 1002 1003"},
			{"04 0000 0001", "04 02 2000"},
			{"05 0005 FF00", "05 0005 FF00"}, {"01 0005 0001", "01 01 01"},
			{"05 0005 0000", "05 0005 0000"}, {"01 0005 0001", "01 01 00"},
			{"05 0005 0001", "85 03"},
			{"06 0003 ABCD", "06 0003 ABCD"}, {"03 0003 0001", "03 02 ABCD"},
			{"0F 0000 000A 02 CD01", "0F 0000 000A"}, {"01 0000 000A", "01 02 CD01"},
			{"0F 0000 000A 01 CD", "8F 03"}, {"0F 0000 0000 00", "8F 03"},
			{"10 0001 0002 04 000A0102", "10 0001 0002"}, {"03 0001 0002", "03 04 000A 0102"},
			{"10 0001 0002 03 000A01", "90 03"}, {"10 0063 0002 04 00000000", "90 02"},
			{"06 0004 0012", "06 0004 0012"}, {"16 0004 00F2 0025", "16 0004 00F2 0025"}, {"03 0004 0001", "03 02 0017"},
			{"16 0004 00F2", "96 03"},
			{"17 0003 0001 000E 0002 04 00FF00AA", "17 02 ABCD"}, {"03 000E 0002", "03 04 00FF 00AA"},
			{"17 0003 0001 000E 0002 03 00FF00", "97 03"},
			{"03 0000 007D", ""}, {"03 0000 007E", "83 03"}, {"03 0000 0000", "83 03"}, {"01 0000 07D1", "81 03"},
			{"03 0063 0001", "03 02 1063"}, {"03 0063 0002", "83 02"}, {"03 FFFF 0002", "83 02"}, {"03 0000", "83 03"},
			{"2B 0E 01 00", "2B 0E 01 81 00 00 03 00 05 6D616B6572 01 05 7468696E67 02 03 312E32"},
			{"2B 0E 04 01", "2B 0E 04 81 00 00 01 01 05 7468696E67"}, {"2B 0E 04 07", "AB 02"}, {"2B 0D 01 00", "AB 01"},
			{"07", "87 01"}, {"63 00", "E3 01"},
		} {
			got, err := ask(c, tcp(0x1234, 1, x.request))
			if want := tcp(0x1234, 1, x.answer); err != nil || x.answer != "" && !bytes.Equal(got, want) || len(got) < 9 {
				t.Errorf("%s: got % X %v, want % X", x.request, got, err, want)
			}
		}
		if got, err := ask(c, tcp(1, 9, "03 0000 0001")); !bytes.Equal(got, tcp(1, 9, "83 0B")) {
			t.Errorf("an absent unit answers % X %v", got, err)
		}
	})
}

func TestFramesAreCutAndJoinedAnyhow(t *testing.T) {
	serve(t, nil, func(b *bench) {
		c := b.dial("a")
		request := append(tcp(1, 1, "03 0000 0001"), tcp(2, 1, "03 0001 0001")...)
		want := append(tcp(1, 1, "03 02 1000"), tcp(2, 1, "03 02 1001")...)
		if got, _ := ask(c, request); !bytes.Equal(got, want) {
			t.Errorf("two requests in one segment: % X", got)
		}
		for _, x := range request {
			if _, err := c.Write([]byte{x}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if got, _ := listen(c, time.Second); !bytes.Equal(got, want) {
			t.Errorf("byte by byte: % X", got)
		}
	})
}

func TestBadHeadersEndTheConnection(t *testing.T) {
	for name, raw := range map[string]string{"protocol": "0001 0001 0006 01 03 0000 0001", "empty": "0001 0000 0001 01", "too long": "0001 0000 00FF 01 03 0000 0001"} {
		serve(t, nil, func(b *bench) {
			c := b.dial("a")
			bytes, err := hex.DecodeString(strings.ReplaceAll(raw, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ask(c, bytes); err == nil || len(got) != 0 {
				t.Errorf("%s: % X %v", name, got, err)
			}
			if got, _ := ask(b.dial("a"), tcp(1, 1, "03 0000 0001")); len(got) == 0 {
				t.Errorf("%s: the next connection is not served", name)
			}
		})
	}
}

func TestRTU(t *testing.T) {
	serve(t, func(o *Options) { o.Framing = RTU }, func(b *bench) {
		c := b.dial("a")
		for _, x := range []struct{ request, answer string }{
			{"03 0000 0002", "03 04 1000 1001"}, {"10 0001 0001 02 000A", "10 0001 0001"}, {"0F 0000 0001 01 01", "0F 0000 0001"},
			{"16 0004 00F2 0025", "16 0004 00F2 0025"}, {"17 0001 0001 000E 0001 02 00FF", "17 02 000A"}, {"2B 0E 04 01", "2B 0E 04 81 00 00 01 01 05 7468696E67"},
		} {
			rtu := func(pdu string) []byte {
				raw, err := hex.DecodeString(strings.ReplaceAll(pdu, " ", ""))
				if err != nil {
					t.Fatal(err)
				}
				return frame{unit: 1, pdu: raw}.bytes(RTU)
			}
			if got, err := ask(c, rtu(x.request)); !bytes.Equal(got, rtu(x.answer)) {
				t.Errorf("%s: % X %v", x.request, got, err)
			}
		}
		// The example of the serial line specification: 0x03 to unit 1 has CRC 84 0A.
		if got := (frame{unit: 1, pdu: []byte{3, 0, 0, 0, 1}}).bytes(RTU); !bytes.Equal(got[6:], []byte{0x84, 0x0A}) {
			t.Errorf("CRC % X", got[6:])
		}
		bad := (frame{unit: 1, pdu: []byte{3, 0, 0, 0, 1}}).bytes(RTU)
		bad[7]++
		if got, err := ask(c, bad); err == nil {
			t.Errorf("a bad CRC is answered with % X", got)
		}
	})
}

// TestOneAfterAnotherOrTogether: how long four requests take tells how the device answers.
func TestOneAfterAnotherOrTogether(t *testing.T) {
	for parallel, want := range map[bool]time.Duration{false: 40 * time.Millisecond, true: 10 * time.Millisecond} {
		serve(t, func(o *Options) { o.Latency, o.Parallel = 10*time.Millisecond, parallel }, func(b *bench) {
			x, y := b.dial("a"), b.dial("b")
			begun := time.Now()
			for _, c := range []net.Conn{x, x, y, y} {
				if _, err := c.Write(tcp(1, 1, "03 0000 0001")); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range []net.Conn{x, y} {
				if _, err := io.ReadFull(c, make([]byte, 22)); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(begun); took != want {
				t.Errorf("parallel %v: four requests took %v, want %v", parallel, took, want)
			}
		})
	}
}

func TestMaxConnections(t *testing.T) {
	serve(t, func(o *Options) { o.MaxConnections = 2 }, func(b *bench) {
		x, _ := b.dial("a"), b.dial("b")
		if got, err := ask(b.dial("c"), tcp(1, 1, "03 0000 0001")); err == nil {
			t.Errorf("the third connection is answered with % X", got)
		}
		x.Close()
		synctest.Wait()
		if got, err := ask(b.dial("c"), tcp(1, 1, "03 0000 0001")); err != nil || len(got) == 0 {
			t.Errorf("after one left: % X %v", got, err)
		}
	})
}

func TestHoles(t *testing.T) {
	serve(t, func(o *Options) {
		u := o.Units[1]
		u.Bank = WithHoles(u.Bank, Hole{HoldingRegisters, 10, 12})
		o.Units[1] = u
	}, func(b *bench) {
		c := b.dial("a")
		for request, refused := range map[string]bool{
			"03 0009 0001": false, "03 0009 0002": true, "03 000C 0001": true, "03 000D 0001": false, "06 000B 0001": true, "04 000B 0001": false,
		} {
			got, err := ask(c, tcp(1, 1, request))
			if err != nil || len(got) < 9 || (got[7]&0x80 != 0) != refused || refused && got[8] != byte(IllegalAddress) {
				t.Errorf("%s: % X %v", request, got, err)
			}
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, pdu := range []string{"0300000002", "0f0000000a02cd01", "1700030001000e00020400ff00aa", "2b0e0100", "10000100020400000000", "1600040000ffff"} {
		raw, err := hex.DecodeString(pdu)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, pdu []byte) {
		if len(pdu) == 0 || len(pdu) > maxPDU {
			return
		}
		out, c := answer(NewMemory(1<<16), Identity{"a", "b", "c"}, pdu)
		if len(out) < 2 || len(out) > maxPDU {
			t.Fatalf("% X is answered with %d bytes", pdu, len(out))
		}
		if refused := c.exception != 0; pdu[0] < 0x80 && refused != (out[0] == pdu[0]|0x80) {
			t.Fatalf("% X: exception %d in % X", pdu, c.exception, out)
		}
	})
}

func FuzzReadRTU(f *testing.F) {
	f.Add((frame{unit: 1, pdu: []byte{3, 0, 0, 0, 1}}).bytes(RTU))
	f.Add((frame{unit: 1, pdu: []byte{16, 0, 0, 0, 1, 2, 0, 1}}).bytes(RTU))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := readFrame(newReader(b), RTU)
		if err == nil && !bytes.HasPrefix(b, x.bytes(RTU)) {
			t.Fatalf("% X read as % X", b, x.bytes(RTU))
		}
	})
}
