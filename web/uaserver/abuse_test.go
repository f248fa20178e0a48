package uaserver_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver"
)

// served asks for a value as any client would.
func (f *fixture) served(t testing.TB) {
	t.Helper()
	began := time.Now()
	c := f.connect(t)
	readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDValue)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("another client waited %v", took)
	}
}

// ended waits for the server to end a connection.
func (r *raw) ended(t testing.TB) {
	t.Helper()
	if _, err := io.Copy(io.Discard, r.r); err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			t.Error("the connection stays")
		}
	}
}

func TestIdleAndResetConnectionsHarmNobody(t *testing.T) {
	f := start(t, newPlant(0), nil)
	for range 50 {
		dial(t, f) // sends nothing
		r := dial(t, f)
		if err := r.Conn.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		r.close()
	}
	f.served(t)
}

func TestTheOldestIdleConnectionMakesRoom(t *testing.T) {
	f := start(t, newPlant(0), func(c *uaserver.Config) { c.Limits.Connections = 3 })
	first := dial(t, f)
	for range 5 {
		dial(t, f)
	}
	f.served(t)
	first.ended(t)
}

func TestGarbageEndsOnlyItsConnection(t *testing.T) {
	f := start(t, newPlant(0), nil)
	c := f.connect(t)
	opened := func() *raw { return rawChannel(t, f) }
	for name, send := range map[string]func() *raw{
		"text":         func() *raw { r := dial(t, f); r.write(t, []byte("GET / HTTP/1.1\r\n\r\n")); return r },
		"a huge HELLO": func() *raw { r := dial(t, f); r.write(t, []byte("HELF\xff\xff\xff\x7f")); return r },
		"a tiny HELLO": func() *raw { r := dial(t, f); r.write(t, []byte("HELF\x08\x00\x00\x00")); return r },
		"a message first": func() *raw {
			r := dial(t, f)
			r.write(t, hello())
			r.frame(t)
			r.write(t, r.message([]byte{0}))
			return r
		},
		"empty message":   func() *raw { r := opened(); r.write(t, r.message(nil)); return r },
		"no type":         func() *raw { r := opened(); r.write(t, r.message([]byte{0})); return r },
		"another channel": func() *raw { r := opened(); r.channel++; r.write(t, r.message([]byte{0})); return r },
		"another token":   func() *raw { r := opened(); r.token += 7; r.write(t, r.message([]byte{0})); return r },
		"a gap":           func() *raw { r := opened(); r.seq += 5; r.write(t, r.message([]byte{0})); return r },
		"a bad chunk type": func() *raw {
			r := opened()
			r.write(t, r.chunk("MSGX", binary.LittleEndian.AppendUint32(nil, r.token), []byte{0}))
			return r
		},
		"size 3": func() *raw { r := opened(); r.write(t, []byte("MSGF\x03\x00\x00\x00")); return r },
		"too many bytes before a session": func() *raw {
			r := opened()
			for range 20 {
				if _, err := r.Conn.Write(r.chunk("MSGC", binary.LittleEndian.AppendUint32(nil, r.token), make([]byte, 60_000))); err != nil {
					break // the server has closed already
				}
			}
			return r
		},
	} {
		r := send()
		r.ended(t)
		if v := readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDValue); v == nil {
			t.Errorf("%s: the other client is not served", name)
		}
	}
	f.served(t)
}

// TestDeadlyRequestsAreFaults sends what makes the codec loop or panic, with and without a session.
func TestDeadlyRequestsAreFaults(t *testing.T) {
	f := start(t, newPlant(0), nil)
	r := rawSession(t, f)
	req := &ua.WriteRequest{RequestHeader: r.header(), NodesToWrite: []*ua.WriteValue{{
		NodeID: node("line1/pump1/speed"), AttributeID: ua.AttributeIDValue, Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(true)},
	}}}
	good := encode(t, req)
	loop := append(good[:len(good)-2:len(good)-2], 0xc1, 1, 0, 0, 0, 1, 2, 0, 0, 0)
	loop = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(loop, 641), 6700417)
	negative := append(good[:len(good)-2:len(good)-2], 0x81, 0xfe, 0xff, 0xff, 0xff)
	for name, body := range map[string][]byte{"endless dimensions": loop, "negative length": negative} {
		r.write(t, r.message(body))
		_, v, err := ua.DecodeService(r.frame(t)[24:])
		if fault, ok := v.(*ua.ServiceFault); err != nil || !ok || fault.ResponseHeader.ServiceResult != ua.StatusBadDecodingError {
			t.Errorf("%s: %T %+v, %v", name, v, v, err)
		}
	}
	if got := r.call(t, &ua.CreateSubscriptionRequest{RequestedPublishingInterval: 0}); got != ua.StatusOK {
		t.Errorf("interval 0: %v", got)
	}
	if got := r.call(t, &ua.SetMonitoringModeRequest{SubscriptionID: 99, MonitoredItemIDs: []uint32{99}}); got != ua.StatusBadSubscriptionIDInvalid {
		t.Errorf("unknown subscription: %v", got)
	}
	if got := r.call(t, &ua.HistoryUpdateRequest{HistoryUpdateDetails: []*ua.ExtensionObject{}}); got != ua.StatusBadServiceUnsupported {
		t.Errorf("a service this server does not have: %v", got)
	}
	f.served(t)
}

func TestSessionsAreBounded(t *testing.T) {
	f := start(t, newPlant(0), func(c *uaserver.Config) { c.Limits.Sessions = 10 })
	r := rawChannel(t, f)
	create := func() ua.StatusCode {
		return r.call(t, createSession("flood"))
	}
	for i := range 500 {
		if got := create(); got != ua.StatusOK {
			t.Fatalf("session %d: %v", i, got)
		}
	}
	// Sessions nobody logged in to make room for those of others, and active ones do not.
	for range 10 {
		f.served(t)
	}
	if got := create(); got != ua.StatusBadTooManySessions {
		t.Errorf("one session more than the limit: %v", got)
	}
}

// TestStalledSubscriberIsDroppedAlone subscribes to much, asks for all of it, and reads nothing.
func TestStalledSubscriberIsDroppedAlone(t *testing.T) {
	f := start(t, newPlant(2000), nil)
	r := rawSession(t, f)
	if err := r.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	sub := r.exchange(t, &ua.CreateSubscriptionRequest{RequestedPublishingInterval: 50, RequestedLifetimeCount: 1000, RequestedMaxKeepAliveCount: 10, PublishingEnabled: true}).(*ua.CreateSubscriptionResponse)
	req := &ua.CreateMonitoredItemsRequest{SubscriptionID: sub.SubscriptionID, TimestampsToReturn: ua.TimestampsToReturnBoth, ItemsToCreate: items(1000, 0, 10)}
	r.exchange(t, req)
	other := f.watch(t, f.connect(t), 50*time.Millisecond, items(10, 0, 10)...)
	publish := &ua.PublishRequest{}
	dropped := false
	for round := 0; round < 2000 && !dropped; round++ {
		publish.SetHeader(r.header())
		if err := r.Conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err := r.Conn.Write(r.message(encode(t, publish)))
		dropped = err != nil
		batch := []tag.Update{}
		for i := range 1000 {
			batch = append(batch, tag.Update{Tag: number0 + tag.ID(i), Sample: tag.Sample{Time: time.Now().UnixNano(), Value: tag.Float64(float64(round))}})
		}
		began := time.Now()
		f.table.Apply(batch)
		if took := time.Since(began); took > 5*time.Second { // a blocked writer waits for good
			t.Fatalf("the writer of the table waited %v", took)
		}
		if round%10 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if round == 200 {
			other.until(t, func() bool { return other.last(9) >= 100 })
		}
	}
	f.set(number0, tag.Float64(1e6))
	other.until(t, func() bool { return other.last(0) == 1e6 })
	f.served(t)
}

func TestClientThatComesBackKeepsItsSubscription(t *testing.T) {
	f := start(t, newPlant(1), func(cfg *uaserver.Config) { cfg.Identity = nil }) // passwords come in the clear
	user := func() *ua.ActivateSessionRequest {
		a := activation()
		a.UserIdentityToken = ua.NewExtensionObject(&ua.UserNameIdentityToken{PolicyID: "username", UserName: "operator", Password: []byte("right")})
		return a
	}
	asUser := func() *raw {
		r := rawSession(t, f)
		if got := r.call(t, user()); got != ua.StatusOK {
			t.Fatalf("log in: %v", got)
		}
		return r
	}
	r := asUser()
	sub := r.exchange(t, &ua.CreateSubscriptionRequest{RequestedPublishingInterval: 50, RequestedLifetimeCount: 1000, RequestedMaxKeepAliveCount: 10, PublishingEnabled: true}).(*ua.CreateSubscriptionResponse)
	r.exchange(t, &ua.CreateMonitoredItemsRequest{SubscriptionID: sub.SubscriptionID, ItemsToCreate: items(1, 0, 10)})
	first := r.exchange(t, &ua.PublishRequest{}).(*ua.PublishResponse)
	r.close()
	// The same session on a new channel, and what was sent before can be asked for again.
	again := rawChannel(t, f)
	again.auth = r.auth
	if got := again.call(t, &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/text"), AttributeID: 13, DataEncoding: &ua.QualifiedName{}}}}); got != ua.StatusBadSecureChannelIDInvalid {
		t.Errorf("a session used on another channel: %v", got)
	}
	if got := again.call(t, user()); got != ua.StatusOK {
		t.Fatalf("activate: %v", got)
	}
	resp, ok := again.exchange(t, &ua.RepublishRequest{SubscriptionID: sub.SubscriptionID, RetransmitSequenceNumber: first.NotificationMessage.SequenceNumber}).(*ua.RepublishResponse)
	if !ok || fmt.Sprint(resp.NotificationMessage.SequenceNumber) != fmt.Sprint(first.NotificationMessage.SequenceNumber) {
		t.Errorf("republish: %+v", resp)
	}
	// Another session of the same user takes the subscription over.
	stranger, ok := rawSession(t, f).exchange(t, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub.SubscriptionID}}).(*ua.TransferSubscriptionsResponse)
	if !ok || stranger.Results[0].StatusCode != ua.StatusBadUserAccessDenied {
		t.Errorf("a client without a user takes it: %+v", stranger)
	}
	third := asUser()
	transfer, ok := third.exchange(t, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub.SubscriptionID, 999}, SendInitialValues: true}).(*ua.TransferSubscriptionsResponse)
	if !ok || transfer.Results[0].StatusCode != ua.StatusOK || transfer.Results[1].StatusCode != ua.StatusBadSubscriptionIDInvalid {
		t.Fatalf("transfer: %+v", transfer)
	}
	if got := third.exchange(t, &ua.PublishRequest{}).(*ua.PublishResponse); len(got.NotificationMessage.NotificationData) != 1 {
		t.Errorf("no initial value: %+v", got.NotificationMessage)
	}
	status, ok := again.exchange(t, &ua.PublishRequest{}).(*ua.PublishResponse)
	if !ok || len(status.NotificationMessage.NotificationData) != 1 {
		t.Fatalf("the old session is not told: %+v", status)
	}
	if n := status.NotificationMessage.NotificationData[0].Value.(*ua.StatusChangeNotification); n.Status != ua.StatusGoodSubscriptionTransferred {
		t.Errorf("the old session is told %v", n.Status)
	}
}

// FuzzConnection sends bytes to a connection with a session. Whatever they are, the next client is served.
func FuzzConnection(f *testing.F) {
	fx := start(f, newPlant(3), nil)
	seed := &raw{auth: ua.NewByteStringNodeID(1, make([]byte, 32))}
	for _, req := range []ua.Request{
		&ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/text"), AttributeID: 13, DataEncoding: &ua.QualifiedName{}}}},
		&ua.BrowseRequest{View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)}, NodesToBrowse: []*ua.BrowseDescription{{NodeID: ua.NewTwoByteNodeID(id.ObjectsFolder), ReferenceTypeID: ua.NewTwoByteNodeID(0)}}},
		&ua.CreateSubscriptionRequest{RequestedPublishingInterval: 1, PublishingEnabled: true},
		&ua.CreateMonitoredItemsRequest{SubscriptionID: 1, ItemsToCreate: items(1, 0, 1)}, &ua.PublishRequest{},
		&ua.CallRequest{MethodsToCall: []*ua.CallMethodRequest{{ObjectID: ua.NewFourByteNodeID(0, id.Server), MethodID: ua.NewFourByteNodeID(0, id.Server_ResendData), InputArguments: []*ua.Variant{ua.MustVariant(uint32(1))}}}},
	} {
		req.SetHeader(seed.header())
		f.Add(encode(f, req), false)
	}
	f.Add(none(), true)
	f.Fuzz(func(t *testing.T, body []byte, plain bool) {
		r := rawSession(t, fx)
		defer r.close()
		if plain {
			_, _ = r.Conn.Write(body) // the server may have closed already
		} else {
			// Put the session's token where the header has it, so that mutations get past the check of the session.
			token, err := r.auth.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if typ := 4; len(body) > typ+len(token) {
				body = append([]byte(nil), body...)
				copy(body[typ:], token)
			}
			_, _ = r.Conn.Write(r.message(body))
		}
		other := rawSession(t, fx)
		defer other.close()
		if got := other.call(t, &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/text"), AttributeID: 13, DataEncoding: &ua.QualifiedName{}}}}); got != ua.StatusOK {
			t.Fatalf("the next client: %v", got)
		}
	})
}
