package uaserver_test

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver"
)

// dialFrom connects from another address of this machine.
func dialFrom(t testing.TB, f *fixture, host string) *raw {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
	nc, err := d.Dial("tcp", f.addr)
	if err != nil {
		t.Skipf("no address %s here: %v", host, err)
	}
	if err := nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &raw{Conn: nc, r: bufio.NewReader(nc), auth: ua.NewTwoByteNodeID(0)}
}

func createSession(name string) *ua.CreateSessionRequest {
	return &ua.CreateSessionRequest{ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText(name)}}
}

// TestFloodFromOneAddressLeavesRoomForOthers has one address take every connection and session it can, step by step
// while a client from another address connects.
func TestFloodFromOneAddressLeavesRoomForOthers(t *testing.T) {
	for name, limits := range map[string]uaserver.Limits{
		"less for one address than for all": {Connections: 20, Sessions: 10, PerAddress: 5},
		"as much for one address":           {Connections: 20, Sessions: 10, PerAddress: 20},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, newPlant(0), func(c *uaserver.Config) { c.Limits = limits })
			flood := func() {
				for range 30 {
					dialFrom(t, f, "127.0.0.2")
				}
				r := openRaw(t, dialFrom(t, f, "127.0.0.2"))
				for range 30 {
					r.call(t, createSession("flood"))
				}
			}
			flood()
			honest := dialFrom(t, f, "127.0.0.3") // connected, and then it takes its time
			flood()
			openRaw(t, honest)
			flood()
			create, ok := honest.exchange(t, createSession("honest")).(*ua.CreateSessionResponse)
			if !ok {
				t.Fatal("no session for the honest client")
			}
			honest.auth = create.AuthenticationToken
			flood()
			if got := honest.call(t, activation()); got != ua.StatusOK {
				t.Fatalf("the honest client logs in: %v", got)
			}
			flood()
			read := &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/text"), AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}}}}
			if got := honest.call(t, read); got != ua.StatusOK {
				t.Errorf("the honest client reads: %v", got)
			}
			f.served(t) // from a third address
		})
	}
}

// TestOneAddressHasItsShare opens one connection more than an address may have before it logs in.
func TestOneAddressHasItsShare(t *testing.T) {
	f := start(t, newPlant(0), func(c *uaserver.Config) { c.Limits.PerAddress = 3 })
	var known []*raw
	for range 5 { // who has logged in does not count
		known = append(known, rawSession(t, f))
	}
	first := dial(t, f)
	second := dial(t, f)
	dial(t, f)
	dial(t, f)
	first.ended(t)
	openRaw(t, second)
	for _, r := range known {
		if got := r.call(t, createSession("again")); got != ua.StatusOK {
			t.Errorf("a client that has logged in: %v", got)
		}
	}
}
