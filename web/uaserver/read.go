package uaserver

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver/guard"
	"scada/web/uaserver/space"
	"scada/web/uaserver/wire"
)

const (
	maxArray       = guard.MaxElements
	readValueBytes = 40 // of an answer, for one number with its times; a guess to allocate by
)

// read is the Read service. It works on the bytes of request and response: clients read thousands of values at once.
func (k *call) read(r *wire.Reader) error {
	age, stamps := r.Float64(), ua.TimestampsToReturn(r.Uint32())
	n := r.ReadItems()
	if r.Err != nil {
		return k.fault(ua.StatusBadDecodingError)
	}
	if err := k.operations(n); err != nil {
		return k.fault(statusOf(err))
	}
	switch {
	case !(age >= 0):
		return k.fault(ua.StatusBadMaxAgeInvalid)
	case stamps > ua.TimestampsToReturnNeither:
		return k.fault(ua.StatusBadTimestampsToReturnInvalid)
	}
	now := time.Now().UnixNano()
	b := make([]byte, 0, 64+n*readValueBytes)
	b = wire.ResponseHeader(b, id.ReadResponse_Encoding_DefaultBinary, k.h.Handle, ua.StatusOK, now)
	b = wire.Uint32(b, uint32(n))
	for range n {
		it := r.ReadItem()
		if r.Err != nil {
			return k.fault(ua.StatusBadDecodingError)
		}
		b = wire.DataValue(b, k.readItem(&it), stamps, now)
		if len(b) > k.c.ch.Room() {
			return k.fault(ua.StatusBadResponseTooLarge)
		}
	}
	return k.send(wire.Null(b)) // no diagnostics
}

func bad(status ua.StatusCode) wire.Value {
	return wire.Value{Sample: tag.Sample{Quality: tag.Quality(status)}}
}

func (k *call) readItem(it *wire.ReadItem) wire.Value {
	ref, ok := k.rev.resolve(&it.Node)
	if !ok {
		return bad(ua.StatusBadNodeIDUnknown)
	}
	k.s.observe(ref, k.rev)
	if name := string(it.Encoding); name != "" && (it.Attribute != ua.AttributeIDValue || name != "Default Binary") {
		return bad(ua.StatusBadDataEncodingInvalid)
	}
	if len(it.IndexRange) > 0 {
		return k.rev.readRange(ref, it.Attribute, string(it.IndexRange), k.user)
	}
	return k.rev.readAttribute(ref, it.Attribute, k.user)
}

// resolve finds the node with an id as it stands in a message.
func (v *revision) resolve(n *wire.NodeID) (space.Ref, bool) {
	switch {
	case n.Kind == ua.NodeIDTypeNumeric && n.Namespace == space.NamespaceUA:
		return v.space.Standard(n.Number)
	case n.Kind == ua.NodeIDTypeString && n.Namespace == space.NamespaceTags:
		return v.space.Text(n.Text)
	}
	return space.Ref{}, false
}

// readAttribute returns the present value of an attribute.
func (v *revision) readAttribute(ref space.Ref, attr ua.AttributeID, user User) wire.Value {
	if t, ok := v.space.Tag(ref); ok && attr == ua.AttributeIDValue {
		return wire.Value{Sample: v.table.Get(t)}
	}
	if restricted(v.space.Numeric(ref)) && !user.MayDiagnose {
		switch attr {
		case ua.AttributeIDValue:
			return bad(ua.StatusBadUserAccessDenied)
		case ua.AttributeIDUserAccessLevel:
			return v.s.encodeValue(ua.MustVariant(byte(0)), ua.StatusOK)
		}
	}
	value, status := v.space.Attribute(ref, attr, user.MayWrite)
	return v.s.encodeValue(value, status)
}

func (s *Server) encodeValue(v *ua.Variant, status ua.StatusCode) wire.Value {
	if status != ua.StatusOK {
		return bad(status)
	}
	raw, err := v.Encode()
	if err != nil {
		s.log.Error("cannot encode an OPC UA value", "error", err)
		return bad(ua.StatusBadEncodingError)
	}
	return wire.Value{Raw: raw}
}

// readRange returns part of an array; the only arrays are those of namespace 0.
func (v *revision) readRange(ref space.Ref, attr ua.AttributeID, text string, user User) wire.Value {
	from, to, ok := parseRange(text)
	if !ok {
		return bad(ua.StatusBadIndexRangeInvalid)
	}
	if _, isTag := v.space.Tag(ref); isTag || attr != ua.AttributeIDValue {
		return bad(ua.StatusBadIndexRangeNoData)
	}
	if restricted(v.space.Numeric(ref)) && !user.MayDiagnose {
		return bad(ua.StatusBadUserAccessDenied)
	}
	whole, status := v.space.Attribute(ref, attr, false)
	if status != ua.StatusOK {
		return bad(status)
	}
	array := reflect.ValueOf(whole.Value())
	if array.Kind() != reflect.Slice || from >= array.Len() {
		return bad(ua.StatusBadIndexRangeNoData)
	}
	part, err := ua.NewVariant(array.Slice(from, min(to+1, array.Len())).Interface())
	if err != nil {
		return bad(ua.StatusBadIndexRangeInvalid)
	}
	return v.s.encodeValue(part, ua.StatusOK)
}

// parseRange parses "n" or "n:m", n < m.
func parseRange(text string) (from, to int, ok bool) {
	low, high, pair := strings.Cut(text, ":")
	a, err := strconv.ParseUint(low, 10, 31)
	if err != nil {
		return 0, 0, false
	}
	if !pair {
		return int(a), int(a), true
	}
	b, err := strconv.ParseUint(high, 10, 31)
	return int(a), int(b), err == nil && a < b
}

// finite reports whether a number from a client is one.
func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
