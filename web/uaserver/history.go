package uaserver

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver/wire"
)

const (
	maxHistoryValues  = 10_000  // values of one node in one response; the rest follows with its continuation point
	maxHistoryTexts   = 64      // the same for a tag whose values are text, each up to tag.MaxText bytes
	maxHistoryTotal   = 50_000  // values in one response
	maxHistoryBytes   = 4 << 20 // of values in one response
	maxHistoryNodes   = 1000    // nodes in one request
	maxAtTimes        = 1000    // instants in one request, over all nodes
	maxHistoryReads   = 4       // requests the archive works on at a time, of all clients
	historyValueBytes = 30      // of one number in an answer; a guess to allocate by
	lastInstant       = 1 << 62 // no sample is later
)

// The information bits of a value from the archive (OPC 10000-4, 7.39.1).
const (
	infoCalculated   tag.Quality = 0x401
	infoInterpolated tag.Quality = 0x402
	infoPartial      tag.Quality = 0x404
)

// historyPart is what one HistoryRead asks of one node.
type historyPart struct {
	status ua.StatusCode // not Good: the answer
	point  *historyPoint // raw and processed reads
	tag    string        // its name
}

// historyRead is the HistoryRead service. The archive is asked outside the connection's goroutine.
func (k *call) historyRead(req *ua.HistoryReadRequest) error {
	n := len(req.NodesToRead)
	if err := k.operations(n); err != nil {
		return err
	}
	if n > maxHistoryNodes {
		return ua.StatusBadTooManyOperations
	}
	if req.ReleaseContinuationPoints {
		return k.releaseHistory(req)
	}
	switch {
	case k.s.cfg.History == nil:
		return ua.StatusBadHistoryOperationUnsupported
	case req.TimestampsToReturn >= ua.TimestampsToReturnNeither:
		return ua.StatusBadTimestampsToReturnInvalid
	}
	parts := make([]historyPart, n)
	var times []int64
	if d, ok := req.HistoryReadDetails.Value.(*ua.ReadEventDetails); ok {
		if k.s.cfg.alarmJournal() == nil {
			return ua.StatusBadHistoryOperationUnsupported
		}
		k.eventParts(req, d, parts)
	} else {
		var err error
		if times, err = k.historyParts(req, parts); err != nil {
			return err
		}
	}
	return k.queue(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, k.timeLimit())
		defer cancel()
		body, err := k.historyBody(ctx, parts, times, req.TimestampsToReturn)
		if err != nil {
			_ = k.fault(statusOf(err)) // an error is a connection that has ended
			return
		}
		_ = k.send(body)
	})
}

// historyParts checks what is asked of each node. It returns the instants of a read at instants.
func (k *call) historyParts(req *ua.HistoryReadRequest, parts []historyPart) (times []int64, err error) {
	body := k.historyDetails()
	var start func(i int, name string) (*historyPoint, ua.StatusCode)
	switch d := req.HistoryReadDetails.Value.(type) {
	case *ua.ReadRawModifiedDetails:
		start = func(_ int, name string) (*historyPoint, ua.StatusCode) {
			return startRaw(d, ticks(body, 1), ticks(body, 9), name)
		}
	case *ua.ReadProcessedDetails:
		if len(d.AggregateType) != len(parts) {
			return nil, ua.StatusBadAggregateListMismatch
		}
		start = func(i int, name string) (*historyPoint, ua.StatusCode) {
			return k.rev.startProcessed(d, d.AggregateType[i], ticks(body, 0), ticks(body, 8), name)
		}
	case *ua.ReadAtTimeDetails:
		switch n := len(d.ReqTimes); {
		case n == 0:
			return nil, ua.StatusBadNothingToDo
		case n*len(parts) > maxAtTimes:
			return nil, ua.StatusBadTooManyOperations
		}
		for i := range d.ReqTimes {
			times = append(times, ticks(body, 4+8*i))
		}
	default:
		return nil, ua.StatusBadHistoryOperationUnsupported
	}
	for i, v := range req.NodesToRead {
		p := &parts[i]
		if p.tag, p.status = k.historyTag(v); p.status != ua.StatusOK || start == nil {
			continue
		}
		if len(v.ContinuationPoint) > 0 {
			p.point, p.status = k.resumeHistory(v.ContinuationPoint, p.tag)
		} else {
			p.point, p.status = start(i, p.tag)
		}
	}
	return times, nil
}

// historyDetails returns the body of the request's details. The library reads times it cannot hold, such as the end of
// the year 9999, as others; these bytes do not lie. The guard and the codec have read them before.
func (k *call) historyDetails() []byte {
	r := wire.Reader{B: k.raw}
	r.RequestHeader()
	r.ExpandedNodeID()
	r.Byte()
	return r.Text()
}

// ticks reads an OPC UA time as UTC nanoseconds; 0 is no time, and what is out of reach becomes the first or the last
// instant.
func ticks(b []byte, at int) int64 {
	const epoch = 116444736000000000 // 1970
	if at+8 > len(b) {
		return 0
	}
	t := int64(binary.LittleEndian.Uint64(b[at:]))
	switch {
	case t == 0:
		return 0
	case t <= epoch:
		return 1
	case t >= epoch+lastInstant/100:
		return lastInstant
	}
	return (t - epoch) * 100
}

// historyTag returns the tag of a node that has a history.
func (k *call) historyTag(v *ua.HistoryReadValueID) (string, ua.StatusCode) {
	ref, ok := k.rev.space.Resolve(v.NodeID)
	t, isTag := k.rev.space.Tag(ref)
	switch {
	case !ok:
		return "", ua.StatusBadNodeIDUnknown
	case !isTag || !k.rev.space.Recorded(t):
		return "", ua.StatusBadHistoryOperationUnsupported
	case v.IndexRange != "":
		return "", ua.StatusBadIndexRangeNoData
	case v.DataEncoding.Name != "" && v.DataEncoding.Name != "Default Binary":
		return "", ua.StatusBadDataEncodingInvalid
	}
	return k.rev.space.Definition(t).Name, ua.StatusOK
}

// releaseHistory forgets continuation points.
func (k *call) releaseHistory(req *ua.HistoryReadRequest) error {
	b := wire.ResponseHeader(nil, id.HistoryReadResponse_Encoding_DefaultBinary, k.h.Handle, ua.StatusOK, time.Now().UnixNano())
	b = wire.Uint32(b, uint32(len(req.NodesToRead)))
	for _, v := range req.NodesToRead {
		k.x.mu.Lock()
		_, known := k.x.history[string(v.ContinuationPoint)]
		delete(k.x.history, string(v.ContinuationPoint))
		k.x.mu.Unlock()
		status := ua.StatusOK
		if !known {
			status = ua.StatusBadContinuationPointInvalid
		}
		b = historyResult(b, status, nil, nil, 0)
	}
	return k.send(wire.Null(b))
}

func (k *call) resumeHistory(point []byte, name string) (*historyPoint, ua.StatusCode) {
	k.x.mu.Lock()
	defer k.x.mu.Unlock()
	p := k.x.history[string(point)]
	delete(k.x.history, string(point))
	if p == nil || p.tag != name {
		return nil, ua.StatusBadContinuationPointInvalid
	}
	return p, ua.StatusOK
}

// keepHistory makes a continuation point of what is left to read.
func (k *call) keepHistory(p *historyPoint) ([]byte, ua.StatusCode) {
	k.x.mu.Lock()
	defer k.x.mu.Unlock()
	if len(k.x.history) >= k.s.cfg.Limits.HistoryContinuationPoints {
		return nil, ua.StatusBadNoContinuationPoints
	}
	name := secret()[:16]
	k.x.history[string(name)] = p
	return name, ua.StatusOK
}

// historyBody asks the archive and writes the response.
func (k *call) historyBody(ctx context.Context, parts []historyPart, times []int64, stamps ua.TimestampsToReturn) ([]byte, error) {
	select {
	case k.s.reads <- struct{}{}:
		defer func() { <-k.s.reads }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b := wire.ResponseHeader(nil, id.HistoryReadResponse_Encoding_DefaultBinary, k.h.Handle, ua.StatusOK, time.Now().UnixNano())
	b = wire.Uint32(b, uint32(len(parts)))
	room := budget{values: maxHistoryTotal, bytes: min(maxHistoryBytes, k.c.ch.Room()/2)}
	for i := range parts {
		p := &parts[i]
		switch {
		case p.status != ua.StatusOK:
			b = historyResult(b, p.status, nil, nil, 0)
		case p.point != nil && p.point.events != nil:
			b = k.eventPage(ctx, b, p.point, &room)
		case p.point != nil:
			b = k.historyPage(ctx, b, p.point, stamps, &room)
		default:
			samples, status := k.s.atTimes(ctx, p.tag, times)
			values, n := k.s.encodeHistory(samples, stamps, false, k.c.ch.Room())
			if n < len(samples) {
				return nil, ua.StatusBadResponseTooLarge
			}
			b = historyResult(b, status, nil, values, n)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return wire.Null(b), nil // no diagnostics
}

// budget is what is left of a response.
type budget struct{ values, bytes int }

// historyPage appends the next values of one node.
func (k *call) historyPage(ctx context.Context, b []byte, p *historyPoint, stamps ua.TimestampsToReturn, room *budget) []byte {
	limit := min(maxHistoryValues, room.values)
	if k.rev.space.IsText(p.tag) {
		limit = min(limit, maxHistoryTexts)
	}
	var samples []tag.Sample
	more := true
	if limit > 0 && room.bytes > 0 { // else the node has to wait for the next request
		var err error
		if samples, more, err = p.read(ctx, k.s.cfg.History, limit); err != nil {
			return historyResult(b, k.historyFailure(err), nil, nil, 0)
		}
	}
	values, n := k.s.encodeHistory(samples, stamps, p.status, room.bytes)
	more = p.advance(samples[:n]) && (more || n < len(samples))
	room.values, room.bytes = room.values-n, room.bytes-len(values)
	status := ua.StatusOK
	var name []byte
	if more {
		if name, status = k.keepHistory(p); status != ua.StatusOK {
			return historyResult(b, status, nil, nil, 0)
		}
	} else if n == 0 {
		status = ua.StatusGoodNoData
	}
	return historyResult(b, status, name, values, n)
}

// historyFailure is the status of a read the archive refused.
func (k *call) historyFailure(err error) ua.StatusCode {
	status := statusOf(err)
	if status == ua.StatusBadInternalError {
		k.s.log.Warn("the history cannot be read", "error", err)
	}
	return status
}

// encodeHistory writes samples, as many as fit. The archive has the time of the source only, which is that of the
// server, too, where a client asks for both.
func (s *Server) encodeHistory(samples []tag.Sample, stamps ua.TimestampsToReturn, statusCodes bool, room int) ([]byte, int) {
	b := make([]byte, 0, min(len(samples)*historyValueBytes, room))
	for i, x := range samples {
		if i > 0 && len(b) >= room {
			return b, i
		}
		v := wire.Value{Sample: x}
		if statusCodes && !x.Value.IsNone() {
			v.Raw = wire.Uint32([]byte{byte(ua.TypeIDStatusCode)}, uint32(x.Value.Bits()))
		}
		b = wire.DataValue(b, v, stamps, x.Time)
	}
	return b, len(samples)
}

// historyResult appends a HistoryReadResult with count values.
func historyResult(b []byte, status ua.StatusCode, point, values []byte, count int) []byte {
	b = wire.Uint32(b, uint32(status))
	b = wire.Text(b, string(point))
	if values == nil {
		return append(b, 0, 0, ua.ExtensionObjectEmpty)
	}
	b = append(wire.TypeID(b, id.HistoryData_Encoding_DefaultBinary), ua.ExtensionObjectBinary)
	b = wire.Uint32(b, uint32(min(len(values)+4, math.MaxInt32)))
	return append(wire.Uint32(b, uint32(count)), values...)
}
