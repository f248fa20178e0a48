package uaserver_test

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua"

	"scada/web/uaserver"
)

// TestWhoComesAndGoes: a client that closes its session has left, one whose connection ends is lost, and that a server
// stops says nothing about its clients.
func TestWhoComesAndGoes(t *testing.T) {
	var mu sync.Mutex
	var told []string
	f := start(t, newPlant(0), func(c *uaserver.Config) {
		c.Clients = func(p uaserver.Presence) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, p.What+" "+p.User+" "+p.Name+" "+p.Address)
		}
	})
	await := func(want ...string) {
		t.Helper()
		var got []string
		for range 500 {
			mu.Lock()
			got = slices.Clone(told)
			mu.Unlock()
			if slices.Equal(got, want) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("told %q, want %q", got, want)
	}
	c := f.connect(t, append(f.as(t, "operator", "right"), opcua.SessionName("panel"))...)
	await("client-connected operator panel 127.0.0.1")
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	left := []string{"client-connected operator panel 127.0.0.1", "client-left operator panel 127.0.0.1"}
	await(left...)

	through, cut := cable(t, f.addr)
	c2, err := opcua.NewClient("opc.tcp://"+through, opcua.AutoReconnect(false), opcua.SessionName("logger"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c2.Connect(limited(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c2.Close(context.Background()) })
	left = append(left, "client-connected  logger 127.0.0.1")
	await(left...)
	cut()
	left = append(left, "client-lost  logger 127.0.0.1")
	await(left...)

	f.connect(t, opcua.SessionName("panel"))
	left = append(left, "client-connected  panel 127.0.0.1")
	await(left...)
	f.stop()
	await(left...)
}

// cable leads connections to an address until it is cut.
func cable(t *testing.T, to string) (through string, cut func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var work sync.WaitGroup
	ends := []io.Closer{l}
	work.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				t.Error(err)
				in.Close()
				return
			}
			mu.Lock()
			ends = append(ends, in, out)
			mu.Unlock()
			work.Go(func() { _, _ = io.Copy(out, in) })
			work.Go(func() { _, _ = io.Copy(in, out) })
		}
	})
	cut = sync.OnceFunc(func() {
		mu.Lock()
		for _, c := range ends {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	t.Cleanup(cut)
	return l.Addr().String(), cut
}
