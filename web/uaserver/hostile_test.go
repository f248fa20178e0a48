package uaserver_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/simulators/memnet"
	"scada/web/uaserver"
)

// The long form: go test -run TestHostile ./web/uaserver/... -args -messages 10000000 (make fuzz-ua).
var hostileMessages = flag.Int("messages", 5_000, "hostile messages to send, a tenth of them in place of the handshake")

const (
	secretBytes  = 32                             // of the id of a session
	headerBytes  = 4 + 39 + 8 + 4 + 4 + 4 + 4 + 3 // of a request: type, session, time, handle, diagnostics, audit, timeout, additional
	hostileBatch = 100                            // messages between two questions whether the server still answers
	hostileHeap  = 256 << 20                      // bytes of live heap of the server and these clients together
	hostileWait  = 20 * time.Second               // for an answer, on a machine that does other things as well
)

// hostile is a server with everything on, reached over a network in memory.
type hostile struct {
	t    *testing.T
	f    *fixture
	host *memnet.Host
	addr string
	sent, reconnected, answered,
	heap atomic.Int64
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	_, s := withAlarms(t)
	_, a := withHistory(t, 1000, nil)
	p := newPlant(20)
	for i := range p.tags[starts:] {
		p.tags[starts:][i].History = tag.HistoryOff // the archive has only what comes before
	}
	srv, err := uaserver.New(uaserver.Config{
		Project: "waterworks", ApplicationURI: "urn:test:a", AllowNone: true, AllowAnonymous: true, AnonymousMayWrite: true, History: a, Alarms: recording{s},
		Limits: uaserver.Limits{MonitoredItems: 20_000, ItemsPerSubscription: 2000, QueueSize: 100, Subscriptions: 20, Sessions: 200, PerAddress: 200}, // all come from one address
	}, p)
	if err != nil {
		t.Fatal(err)
	}
	host := memnet.New().Host("a")
	l, err := host.Listen("tcp", "a:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	h := &hostile{t: t, f: &fixture{plant: p, srv: srv}, host: host, addr: l.Addr().String()}
	s.mu.Lock()
	s.f = h.f
	s.mu.Unlock()
	go func() { // values and alarms change meanwhile
		for i := 0; ctx.Err() == nil; i++ {
			p.set(number0+tag.ID(i%20), tag.Float64(float64(i)))
			s.sample(speed, tag.Float64(float64(i%200)))
			time.Sleep(time.Millisecond)
		}
	}()
	return h
}

func (h *hostile) dial() *raw {
	h.t.Helper()
	nc, err := h.host.Dial(h.t.Context(), "tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.limit(nc)
	return &raw{Conn: nc, r: bufio.NewReader(nc), auth: ua.NewTwoByteNodeID(0)}
}

func (h *hostile) limit(nc net.Conn) {
	if err := nc.SetDeadline(time.Now().Add(hostileWait)); err != nil {
		h.t.Fatal(err)
	}
}

// TestHostileMessages sends mutations of everything a client can say. None may end the server, keep it from answering,
// or make it keep more and more.
func TestHostileMessages(t *testing.T) {
	h := newHostile(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	handshakes := int64(*hostileMessages / 10)
	var all sync.WaitGroup
	for worker := range 2 {
		all.Go(func() { h.services(rand.New(rand.NewPCG(seed, uint64(worker))), int64(*hostileMessages)-handshakes) })
	}
	var greeted atomic.Int64
	all.Go(func() {
		rnd := rand.New(rand.NewPCG(seed, 99))
		for greeted.Load() < handshakes && !t.Failed() {
			greeted.Add(h.greet(rnd))
		}
	})
	all.Wait()
	h.measure()
	t.Logf("%d messages with a session, %d in the handshake; %d answered, %d connections ended by the server, at most %d MiB of live heap",
		h.sent.Load(), greeted.Load(), h.answered.Load(), h.reconnected.Load(), h.heap.Load()>>20)
	if h.answered.Load() == 0 || h.sent.Load() < int64(*hostileMessages)-handshakes {
		t.Error("the messages did not get through")
	}
}

// services sends mutated requests in batches, each followed by a question any server answers.
func (h *hostile) services(rnd *rand.Rand, total int64) {
	var r *raw
	corpus := hostileRequests(h.t, &raw{auth: ua.NewByteStringNodeID(1, make([]byte, secretBytes))})
	for round := 0; h.sent.Load() < total && !h.t.Failed(); round++ {
		if r == nil {
			r = h.logIn()
		}
		h.limit(r.Conn)
		var batch []byte
		for range hostileBatch {
			batch = append(batch, r.message(mutate(rnd, corpus, r.auth))...)
		}
		h.sent.Add(hostileBatch)
		const question = 0xCAFE
		ask := &ua.ReadRequest{RequestHeader: r.header(), NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/text"), AttributeID: 13, DataEncoding: &ua.QualifiedName{}}}}
		ask.RequestHeader.RequestHandle = question
		batch = append(batch, r.message(encode(h.t, ask))...)
		go func(nc net.Conn) { _, _ = nc.Write(batch) }(r.Conn) // if the server ends the connection, reading finds out
		if !h.awaitAnswer(r, question) {
			r.close()
			r = nil
			h.reconnected.Add(1)
		}
		if round%500 == 0 {
			h.measure()
		}
	}
	if r != nil {
		r.close()
	}
}

// logIn opens a session. It can be pushed out by the hostile ones before it is activated.
func (h *hostile) logIn() *raw {
	for try := 0; ; try++ {
		r := openRaw(h.t, h.dial())
		create, ok := r.exchange(h.t, &ua.CreateSessionRequest{ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("raw")}}).(*ua.CreateSessionResponse)
		if ok {
			r.auth = create.AuthenticationToken
			if got := r.call(h.t, activation()); got == ua.StatusOK {
				return r
			}
		}
		r.close()
		if try == 100 {
			h.t.Fatal("no session in 100 attempts")
		}
	}
}

func activation() *ua.ActivateSessionRequest {
	return &ua.ActivateSessionRequest{
		ClientSignature: &ua.SignatureData{}, UserTokenSignature: &ua.SignatureData{}, UserIdentityToken: ua.NewExtensionObject(&ua.AnonymousIdentityToken{PolicyID: "anonymous"}),
	}
}

// awaitAnswer reads until the question is answered; false means that the connection, or its session, has ended.
func (h *hostile) awaitAnswer(r *raw, handle uint32) bool {
	head := make([]byte, 8)
	for {
		if _, err := io.ReadFull(r.r, head); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				h.t.Errorf("no answer within %s", hostileWait)
			}
			return false
		}
		body := make([]byte, binary.LittleEndian.Uint32(head[4:])-8)
		if _, err := io.ReadFull(r.r, body); err != nil || string(head[:3]) != "MSG" {
			return false
		}
		if len(body) < 40 {
			continue
		}
		h.answered.Add(1)
		// channel, token, sequence, request (16 bytes), type id (4), time (8), handle, status
		if binary.LittleEndian.Uint32(body[28:]) == handle {
			return ua.StatusCode(binary.LittleEndian.Uint32(body[32:])) == ua.StatusOK
		}
	}
}

// greet mutates HELLO and OpenSecureChannel, and returns how many messages it sent.
func (h *hostile) greet(rnd *rand.Rand) int64 {
	r := h.dial()
	defer r.close()
	open := encode(h.t, &ua.OpenSecureChannelRequest{RequestHeader: r.header(), SecurityMode: ua.MessageSecurityModeNone, RequestedLifetime: 3600000})
	first, second := hello(), r.chunk("OPNF", none(), open)
	if rnd.IntN(2) == 0 {
		first = flip(rnd, first)
	}
	second = flip(rnd, second)
	_, _ = r.Conn.Write(append(first, second...))
	if rnd.IntN(8) == 0 { // let the server answer; else its answer meets a closed connection
		_ = r.Conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, _ = io.Copy(io.Discard, r.r)
	}
	return 2
}

// measure keeps the largest live heap, and fails the test if it is too large.
func (h *hostile) measure() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for was := h.heap.Load(); int64(m.HeapAlloc) > was && !h.heap.CompareAndSwap(was, int64(m.HeapAlloc)); was = h.heap.Load() {
	}
	if m.HeapAlloc > hostileHeap {
		h.t.Errorf("%d MiB of live heap", m.HeapAlloc>>20)
	}
}

// mutate returns a request with something wrong. The header of nearly all of them is right: the server ends the
// connection of a client it cannot answer.
func mutate(rnd *rand.Rand, corpus [][]byte, auth *ua.NodeID) []byte {
	b := corpus[rnd.IntN(len(corpus))]
	head := min(headerBytes, len(b))
	if rnd.IntN(2000) == 0 {
		head = 0
	}
	head, rest := head, append([]byte(nil), b[head:]...)
	if other := corpus[rnd.IntN(len(corpus))]; rnd.IntN(8) == 0 && len(other) > headerBytes { // the end of another request
		rest = append(rest[:rnd.IntN(len(rest)+1)], other[headerBytes+rnd.IntN(len(other)-headerBytes):]...)
	}
	for range rnd.IntN(4) {
		rest = flip(rnd, rest)
	}
	b = append(append([]byte(nil), b[:head]...), rest[:min(len(rest), 60_000)]...)
	if token, err := auth.Encode(); err == nil && head > 0 && rnd.IntN(50) > 0 {
		copy(b[4:], token)
	}
	return b
}

// flip changes one thing.
func flip(rnd *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return []byte{byte(rnd.Uint32())}
	}
	b = append([]byte(nil), b...)
	at := rnd.IntN(len(b))
	switch rnd.IntN(7) {
	case 0:
		b[at] ^= 1 << rnd.IntN(8)
	case 1:
		b[at] = byte(rnd.Uint32())
	case 2, 3:
		numbers := []uint32{0, 1, 2, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 100_000, rnd.Uint32()}
		if at+4 <= len(b) {
			binary.LittleEndian.PutUint32(b[at:], numbers[rnd.IntN(len(numbers))])
		}
	case 4:
		b = b[:at]
	case 5:
		n := rnd.IntN(min(64, len(b)-at) + 1)
		b = append(b[:at:at], append(append([]byte(nil), b[at:at+n]...), b[at:]...)...)
	case 6:
		n := rnd.IntN(min(16, len(b)-at) + 1)
		b = append(b[:at:at], b[at+n:]...)
	}
	return b
}

// hostileRequests has at least one request of each service, filled as far as can be.
func hostileRequests(t testing.TB, r *raw) [][]byte {
	speedNode, server := node("line1/pump1/speed"), standard(id.Server)
	call := func(object *ua.NodeID, method uint32, args ...any) *ua.CallMethodRequest {
		m := &ua.CallMethodRequest{ObjectID: object, MethodID: standard(method)}
		for _, a := range args {
			m.InputArguments = append(m.InputArguments, ua.MustVariant(a))
		}
		return m
	}
	past := func(details any) ua.Request {
		return &ua.HistoryReadRequest{
			HistoryReadDetails: ua.NewExtensionObject(details), TimestampsToReturn: ua.TimestampsToReturnBoth,
			NodesToRead: []*ua.HistoryReadValueID{{NodeID: speedNode, DataEncoding: &ua.QualifiedName{}}},
		}
	}
	where := []*ua.ContentFilterElement{
		element(ua.FilterOperatorAnd, &ua.ElementOperand{Index: 1}, &ua.ElementOperand{Index: 2}),
		element(ua.FilterOperatorOfType, literal(standard(id.AlarmConditionType))),
		element(ua.FilterOperatorGreaterThan, field("Severity"), literal(uint16(1))),
	}
	watched := eventItem(server, 10, fields("EventId", "Message", "ActiveState/Id", ""), where...)
	deadband := item(speedNode, 1, 0, 10, &ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue, DeadbandType: uint32(ua.DeadbandTypePercent), DeadbandValue: 10})
	pastEvents := &ua.HistoryReadRequest{
		HistoryReadDetails: ua.NewExtensionObject(&ua.ReadEventDetails{StartTime: origin, EndTime: second(100), NumValuesPerNode: 3, Filter: &ua.EventFilter{SelectClauses: fields("EventId", "Message"), WhereClause: &ua.ContentFilter{Elements: where}}}),
		NodesToRead:        []*ua.HistoryReadValueID{{NodeID: server, DataEncoding: &ua.QualifiedName{}}},
	}
	sub := uint32(1)
	condition := ua.NewStringNodeID(2, "alarm:speed")
	requests := []ua.Request{
		&ua.GetEndpointsRequest{EndpointURL: "opc.tcp://a:1"}, &ua.FindServersRequest{EndpointURL: "opc.tcp://a:1"},
		&ua.CreateSessionRequest{ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("x")}},
		activation(),
		&ua.CancelRequest{RequestHandle: 1},
		&ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: speedNode, AttributeID: 13, DataEncoding: &ua.QualifiedName{}}, {NodeID: server, AttributeID: 1, IndexRange: "0:1", DataEncoding: &ua.QualifiedName{}}}},
		&ua.WriteRequest{NodesToWrite: []*ua.WriteValue{{NodeID: speedNode, AttributeID: 13, Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(1.5)}}}},
		&ua.BrowseRequest{View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)}, RequestedMaxReferencesPerNode: 3, NodesToBrowse: []*ua.BrowseDescription{{NodeID: ua.NewTwoByteNodeID(id.ObjectsFolder), ReferenceTypeID: ua.NewTwoByteNodeID(id.HierarchicalReferences), IncludeSubtypes: true, ResultMask: 63}}},
		&ua.BrowseNextRequest{ContinuationPoints: [][]byte{make([]byte, 8)}},
		&ua.TranslateBrowsePathsToNodeIDsRequest{BrowsePaths: []*ua.BrowsePath{{StartingNode: server, RelativePath: &ua.RelativePath{Elements: []*ua.RelativePathElement{{ReferenceTypeID: ua.NewTwoByteNodeID(33), IncludeSubtypes: true, TargetName: &ua.QualifiedName{Name: "ServiceLevel"}}}}}}},
		&ua.RegisterNodesRequest{NodesToRegister: []*ua.NodeID{speedNode}}, &ua.UnregisterNodesRequest{NodesToUnregister: []*ua.NodeID{speedNode}},
		&ua.CreateSubscriptionRequest{RequestedPublishingInterval: 1, RequestedLifetimeCount: 20, RequestedMaxKeepAliveCount: 2, PublishingEnabled: true},
		&ua.ModifySubscriptionRequest{SubscriptionID: sub, RequestedPublishingInterval: 60}, &ua.SetPublishingModeRequest{SubscriptionIDs: []uint32{sub}, PublishingEnabled: true},
		&ua.CreateMonitoredItemsRequest{SubscriptionID: sub, ItemsToCreate: []*ua.MonitoredItemCreateRequest{deadband, watched}},
		&ua.CreateMonitoredItemsRequest{SubscriptionID: sub, ItemsToCreate: []*ua.MonitoredItemCreateRequest{watched}},
		&ua.ModifyMonitoredItemsRequest{SubscriptionID: sub, ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: 1, RequestedParameters: deadband.RequestedParameters}, {MonitoredItemID: 2, RequestedParameters: watched.RequestedParameters}}},
		&ua.SetMonitoringModeRequest{SubscriptionID: sub, MonitoredItemIDs: []uint32{1, 2}}, &ua.SetTriggeringRequest{SubscriptionID: sub, TriggeringItemID: 1, LinksToAdd: []uint32{2}},
		&ua.PublishRequest{SubscriptionAcknowledgements: []*ua.SubscriptionAcknowledgement{{SubscriptionID: sub, SequenceNumber: 1}}},
		&ua.RepublishRequest{SubscriptionID: sub, RetransmitSequenceNumber: 1}, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub}, SendInitialValues: true},
		&ua.CallRequest{MethodsToCall: []*ua.CallMethodRequest{
			call(server, id.Server_GetMonitoredItems, sub), call(condition, id.AcknowledgeableConditionType_Acknowledge, make([]byte, 16), ua.NewLocalizedText("x")),
			call(standard(id.ConditionType), id.ConditionType_ConditionRefresh, sub), call(condition, id.AlarmConditionType_ShelvingState_TimedShelve, 1000.0),
		}},
		&ua.CallRequest{MethodsToCall: []*ua.CallMethodRequest{call(standard(id.ConditionType), id.ConditionType_ConditionRefresh2, sub, uint32(1))}},
		past(&ua.ReadRawModifiedDetails{StartTime: origin, EndTime: second(100), NumValuesPerNode: 10, ReturnBounds: true}),
		past(&ua.ReadProcessedDetails{StartTime: origin, EndTime: second(100), ProcessingInterval: 1000, AggregateType: []*ua.NodeID{standard(id.AggregateFunction_Average)}, AggregateConfiguration: &ua.AggregateConfiguration{UseServerCapabilitiesDefaults: true}}),
		past(&ua.ReadAtTimeDetails{ReqTimes: []time.Time{origin, second(3)}}),
		pastEvents,
		&ua.DeleteMonitoredItemsRequest{SubscriptionID: sub, MonitoredItemIDs: []uint32{1}}, &ua.DeleteSubscriptionsRequest{SubscriptionIDs: []uint32{sub}},
	}
	out := make([][]byte, len(requests))
	for i, req := range requests {
		req.SetHeader(r.header())
		out[i] = encode(t, req)
	}
	return out
}
