package modbus

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// TestNothingIsSentAfterTheEnd: what the kernel of a node still holds when the node stops polling must not reach the
// device later, when another node writes there. The connection is reset: its unsent bytes are gone with it.
func TestNothingIsSentAfterTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := plainDevice("plc", 1, 1, 0, 1)
	d.Endpoints = []string{"tcp://" + l.Addr().String()}
	d.Timeout = time.Minute
	sources, err := New([]Device{d}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sources[0].Run(ctx, newRecorder(t)) }()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := make([]byte, 12)
	if _, err := io.ReadFull(conn, request); err != nil { // it is on its way, and is not answered
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(request); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v, want a reset", err)
	}
}
