package uaserver_test

import (
	"bufio"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/simulators/memnet"
	"scada/web/uaserver"
)

// bubble runs body with a server in memory, where hours pass in no time. A goroutine left behind fails the test.
func bubble(t *testing.T, change func(*uaserver.Config), body func(t *testing.T, f *fixture, dial func() *raw)) {
	synctest.Test(t, func(t *testing.T) {
		cfg := uaserver.Config{Project: "waterworks", ApplicationURI: "urn:test:a", AllowNone: true, AllowAnonymous: true}
		if change != nil {
			change(&cfg)
		}
		p := newPlant(1)
		srv, err := uaserver.New(cfg, p)
		if err != nil {
			t.Fatal(err)
		}
		network := memnet.New()
		l, err := network.Host("server").Listen("tcp", "10.0.0.1:4840")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- srv.Serve(ctx, l) }()
		body(t, &fixture{plant: p}, func() *raw {
			nc, err := network.Host("client").Dial(ctx, "tcp", "10.0.0.1:4840")
			if err != nil {
				t.Fatal(err)
			}
			return &raw{Conn: nc, r: bufio.NewReader(nc), auth: ua.NewTwoByteNodeID(0)}
		})
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// lasted is how long the server keeps a connection that sends nothing more.
func (r *raw) lasted(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		b := make([]byte, 4096)
		if _, err := r.r.Read(b); err != nil {
			r.close()
			return time.Since(began).Round(100 * time.Millisecond)
		}
	}
}

func TestSilentConnectionsEndInTime(t *testing.T) {
	bubble(t, nil, func(t *testing.T, _ *fixture, dial func() *raw) {
		if d := dial().lasted(t); d != 10*time.Second {
			t.Errorf("without HELLO: %v", d)
		}
		r := dial()
		r.write(t, hello())
		r.frame(t)
		if d := r.lasted(t); d != 10*time.Second {
			t.Errorf("without a channel: %v", d)
		}
		if d := openRaw(t, dial()).lasted(t); d < time.Minute || d > 62*time.Second {
			t.Errorf("without a session: %v", d)
		}
		r = openRaw(t, dial())
		r.write(t, []byte("MSGF\x00"))
		if d := r.lasted(t); d != 30*time.Second {
			t.Errorf("in the middle of a message: %v", d)
		}
	})
}

func TestSilentSessionsEndInTime(t *testing.T) {
	bubble(t, func(c *uaserver.Config) { c.Limits.TokenLifetime = 24 * time.Hour }, func(t *testing.T, _ *fixture, dial func() *raw) {
		r := loginRaw(t, openRaw(t, dial()), 20_000)
		read := &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/text"), AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}}}}
		for range 10 { // each request begins the time anew
			time.Sleep(15 * time.Second)
			if s := r.call(t, read); s != ua.StatusOK {
				t.Fatalf("after 15 of 20 s: %v", s)
			}
		}
		time.Sleep(22 * time.Second)
		if s := r.call(t, read); s != ua.StatusBadSessionIDInvalid {
			t.Errorf("after 22 of 20 s: %v", s)
		}
		// A shorter timeout than the least is not granted, and one that is not asked for is the longest.
		r = loginRaw(t, openRaw(t, dial()), 1)
		time.Sleep(8 * time.Second)
		if s := r.call(t, read); s != ua.StatusOK {
			t.Errorf("after 8 of 10 s: %v", s)
		}
		r = loginRaw(t, openRaw(t, dial()), 0)
		time.Sleep(59 * time.Minute)
		if s := r.call(t, read); s != ua.StatusOK {
			t.Errorf("after 59 of 60 min: %v", s)
		}
		r.close()
	})
}

func TestKeysThatAreNotRenewedEndTheConnection(t *testing.T) {
	bubble(t, func(c *uaserver.Config) { c.Limits.TokenLifetime = 20 * time.Second }, func(t *testing.T, _ *fixture, dial func() *raw) {
		if d := loginRaw(t, openRaw(t, dial()), 0).lasted(t); d != 25*time.Second {
			t.Errorf("keys of 20 s: %v", d)
		}
	})
}

// TestPublishRequestTimesOut has a Publish request that the client waits for shorter than there is silence.
func TestPublishRequestTimesOut(t *testing.T) {
	bubble(t, nil, func(t *testing.T, _ *fixture, dial func() *raw) {
		r := loginRaw(t, openRaw(t, dial()), 0)
		r.exchange(t, &ua.CreateSubscriptionRequest{RequestedPublishingInterval: 100, RequestedMaxKeepAliveCount: 1000, RequestedLifetimeCount: 10_000, PublishingEnabled: true})
		r.exchange(t, &ua.PublishRequest{}) // the first keep-alive
		began := time.Now()
		req := &ua.PublishRequest{}
		req.SetHeader(r.header())
		req.RequestHeader.TimeoutHint = 5000
		r.write(t, r.message(encode(t, req)))
		_, v, err := ua.DecodeService(r.frame(t)[24:])
		if fault, ok := v.(*ua.ServiceFault); err != nil || !ok || fault.ResponseHeader.ServiceResult != ua.StatusBadTimeout {
			t.Errorf("%T %+v, %v", v, v, err)
		}
		if d := time.Since(began); d < 5*time.Second || d > 5200*time.Millisecond {
			t.Errorf("answered after %v", d)
		}
		r.close()
	})
}

// TestDeviceThatDoesNotAnswerTimesOut has a device that keeps a write for ever.
func TestDeviceThatDoesNotAnswerTimesOut(t *testing.T) {
	bubble(t, func(c *uaserver.Config) { c.AnonymousMayWrite = true }, func(t *testing.T, f *fixture, dial func() *raw) {
		f.hold = make(chan struct{})
		r := loginRaw(t, openRaw(t, dial()), 0)
		began := time.Now()
		req := &ua.WriteRequest{NodesToWrite: []*ua.WriteValue{{NodeID: node("line1/pump1/speed"), AttributeID: ua.AttributeIDValue, Value: &ua.DataValue{EncodingMask: 1, Value: ua.MustVariant(1.0)}}}}
		resp, ok := r.exchange(t, req).(*ua.WriteResponse)
		if !ok || resp.Results[0] != ua.StatusBadTimeout || time.Since(began) != 30*time.Second {
			t.Errorf("%+v after %v", resp, time.Since(began))
		}
		r.close()
	})
}
