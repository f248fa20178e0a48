package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"scada/simulators/memnet"
)

// connect returns both ends of a connection from a to b over the link 10.0.0.2.
func connect(t *testing.T, n *memnet.Network) (client, server net.Conn) {
	t.Helper()
	l, err := n.Host("b").Listen("tcp", "10.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	client, err = n.Host("a").Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return client, server
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, c net.Conn, within time.Duration) (string, error) {
	t.Helper()
	b := make([]byte, 100)
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	return string(b[:n]), err
}

func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, memnet.New())
		send(t, client, "hello")
		if got, err := receive(t, server, time.Second); got != "hello" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		send(t, server, "bye")
		_ = server.Close()
		if got, err := receive(t, client, time.Second); got != "bye" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		if _, err := receive(t, client, time.Second); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v, want EOF", err)
		}
		if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write after the peer closed: %v", err)
		}
	})
}

func TestCutHoldsBackAndHealDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := connect(t, n)
		n.CutWay("a", "b", "10.0.0.2")
		send(t, client, "lost?")
		if _, err := receive(t, server, time.Minute); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read through a cut: %v", err)
		}
		send(t, server, "back")
		if got, err := receive(t, client, time.Second); got != "back" {
			t.Errorf("the other direction: %q, %v", got, err)
		}
		n.Heal("a", "b", "")
		if got, err := receive(t, server, time.Second); got != "lost?" {
			t.Errorf("after healing: %q, %v", got, err)
		}
	})
}

func TestDialWaitsForACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Host("b").Listen("tcp", "10.0.0.2:502")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		n.CutWay("b", "a", "10.0.0.2")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Host("a").Dial(ctx, "tcp", "10.0.0.2:502"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial through a cut: %v", err)
		}
		if c, err := n.Host("c").Dial(t.Context(), "tcp", "10.0.0.2:502"); err != nil {
			t.Errorf("another host is not cut: %v", err)
		} else {
			_ = c.Close()
		}
	})
}

func TestDelayKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := connect(t, n)
		n.Delay("a", "b", "10.0.0.2", 50*time.Millisecond)
		start := time.Now()
		send(t, client, "1")
		n.Delay("a", "b", "10.0.0.2", time.Millisecond)
		send(t, client, "2")
		for _, want := range []string{"1", "2"} {
			if got, err := receive(t, server, time.Second); got != want {
				t.Errorf("read %q, %v, want %q", got, err, want)
			}
		}
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestProcessDeathResetsAndRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := connect(t, n)
		n.Kill("b")
		if _, err := receive(t, client, time.Second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v, want a reset", err)
		}
		if _, err := n.Host("a").Dial(t.Context(), "tcp", server.LocalAddr().String()); !memnet.IsRefused(err) {
			t.Errorf("dial: %v, want refused", err)
		}
	})
}

func TestResetDoesNotPassACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, _ := connect(t, n)
		n.Cut("a", "b", "")
		n.Kill("b")
		if _, err := receive(t, client, time.Minute); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("during the cut: %v", err)
		}
		n.Heal("a", "b", "")
		if _, err := receive(t, client, time.Second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after it: %v, want a reset", err)
		}
	})
}

func TestPowerLossIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := connect(t, n)
		n.Power("b", false)
		send(t, client, "hello?")
		if _, err := receive(t, client, time.Hour); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read from a dead host: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Host("a").Dial(ctx, "tcp", server.LocalAddr().String()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial a dead host: %v", err)
		}
		n.Power("b", true)
		if _, err := receive(t, client, time.Second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after the return of the power: %v, want a reset", err)
		}
	})
}

func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		_, server := connect(t, n)
		n.HalfOpen("b", true)
		c, err := n.Host("a").Dial(t.Context(), "tcp", server.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		send(t, c, "anybody?")
		if _, err := receive(t, c, time.Minute); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
	})
}

func TestBufferFillsAndDeadlineEndsWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, memnet.New())
		_ = client.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := client.Write(make([]byte, memnet.Buffer+1))
		if n != memnet.Buffer || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", n, err)
		}
		_ = client.SetWriteDeadline(time.Time{})
		go func() { _, _ = io.Copy(io.Discard, server) }()
		if _, err := client.Write(make([]byte, 3*memnet.Buffer)); err != nil {
			t.Error(err)
		}
		_ = client.Close()
	})
}

func TestAddressInUseAndPortZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Host("a").Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Host("b").Listen("tcp", l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second listener: %v", err)
		}
		if _, ok := l.Addr().(*net.TCPAddr); !ok {
			t.Errorf("address %T, want *net.TCPAddr", l.Addr())
		}
		_ = l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: %v", err)
		}
	})
}

func TestHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Host("b").Listen("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })}
		go func() { _ = srv.Serve(l) }()
		tr := &http.Transport{DialContext: n.Host("a").Dial}
		resp, err := (&http.Client{Transport: tr}).Post("http://10.0.0.2:80/", "text/plain", strings.NewReader("echo"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(body) != "echo" {
			t.Errorf("body %q", body)
		}
		tr.CloseIdleConnections()
		_ = srv.Close()
		if left := n.Connections("a", "b"); left != 0 {
			t.Errorf("%d connections left", left)
		}
	})
}
