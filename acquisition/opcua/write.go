package opcua

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// A value written is read back until it is there: many devices take it over with their next cycle.
const (
	readBackTries = 5
	readBackEvery = 100 * time.Millisecond
)

var errReadOnly = errors.New("the tag is not writable")

// Write implements [acquisition.Source].
func (s *Source) Write(ctx context.Context, w acquisition.Write) acquisition.WriteResult {
	s.writing.Lock()
	defer s.writing.Unlock()
	i, known := s.byTag[w.Tag]
	s.mu.Lock()
	c := s.live
	s.mu.Unlock()
	switch {
	case !known:
		return refused(fmt.Errorf("tag %d is not of device %s", w.Tag, s.device.Name))
	case !s.items[i].def.Writable:
		return refused(errReadOnly)
	case s.items[i].bad != nil:
		return refused(s.items[i].bad)
	case c == nil:
		return refused(ErrNotConnected)
	}
	raw, v, err := s.encode(i, w.Value)
	if err != nil {
		return refused(err)
	}
	if w.Fence != nil {
		if err := w.Fence(); err != nil {
			return refused(err)
		}
	}
	s.count(func(n *acquisition.Counters) { n.Writes++ })
	res, err := call[*ua.WriteResponse](ctx, c, &ua.WriteRequest{NodesToWrite: []*ua.WriteValue{{
		NodeID: s.items[i].node, AttributeID: ua.AttributeIDValue,
		Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: v},
	}}})
	switch {
	case err == nil && len(res.Results) != 1:
		err = fmt.Errorf("%w: %d results for one write", errHostile, len(res.Results))
	case err == nil && res.Results[0]&0x80000000 != 0:
		err = res.Results[0]
	}
	if isRefusal(err) {
		return acquisition.WriteResult{Outcome: acquisition.Rejected, Err: err}
	}
	return s.readBack(ctx, c, i, raw, err)
}

func refused(err error) acquisition.WriteResult {
	return acquisition.WriteResult{Outcome: acquisition.Refused, Err: err}
}

// isStatus reports whether an error is a code of the protocol, as opposed to one of the connection.
func isStatus(err error) bool {
	var status ua.StatusCode
	return errors.As(err, &status)
}

// isRefusal reports whether the server answered with an error that means it has not written. A server that is itself the
// client of a device does not know that when the device is silent, and of an answer that cannot be read nobody knows.
func isRefusal(err error) bool {
	var status ua.StatusCode
	if !errors.As(err, &status) || errors.Is(err, errHostile) {
		return false
	}
	switch status {
	case ua.StatusBadTimeout, ua.StatusBadRequestTimeout, ua.StatusBadCommunicationError, ua.StatusBadNoCommunication, ua.StatusBadConnectionClosed,
		ua.StatusBadSecureChannelClosed, ua.StatusBadDecodingError, ua.StatusBadSecurityChecksFailed, ua.StatusBadUnexpectedError:
		return false
	}
	return true
}

// encode converts engineering units to what the server's node holds.
func (s *Source) encode(i int, value tag.Value) (raw tag.Value, v *ua.Variant, err error) {
	x := &s.items[i]
	raw = value
	if value.Type() != tag.TypeString && value.Type() != tag.TypeBool {
		f, r := value.Number(), x.def.Range
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return raw, nil, fmt.Errorf("%v is not a number to write", value)
		}
		if !r.IsZero() && (f < r.Low || f > r.High) {
			return raw, nil, fmt.Errorf("%s is outside the range %g to %g", value, r.Low, r.High)
		}
	}
	if !x.def.Scale.IsZero() {
		f := x.def.ToRaw(value.Number())
		if x.def.RawType.IsInteger() {
			f = math.Round(f)
		}
		raw, err = tag.FromNumber(x.def.RawType, f)
	} else if value.Type() != x.def.RawType && value.Type() != tag.TypeString {
		raw, err = tag.FromNumber(x.def.RawType, value.Number())
	}
	if err != nil {
		return raw, nil, err
	}
	if raw.IsNone() || (raw.Type() == tag.TypeString) != (x.def.RawType == tag.TypeString) {
		return raw, nil, fmt.Errorf("a %s cannot be written to a %s", value.Type(), x.def.RawType)
	}
	s.pub.Lock()
	as := x.as
	s.pub.Unlock()
	v, err = variant(as, raw)
	return raw, v, err
}

// readBack looks whether the device has the value. ambiguous is why it is not known whether the write arrived.
func (s *Source) readBack(ctx context.Context, c *channel, i int, want tag.Value, ambiguous error) acquisition.WriteResult {
	x := &s.items[i]
	r := acquisition.WriteResult{Outcome: acquisition.Unknown, Err: ambiguous}
	for try := range readBackTries {
		if try > 0 && !pause(ctx, readBackEvery) {
			break
		}
		batch, err := s.readPart(ctx, c, []int{i})
		if err != nil {
			r.Outcome, r.Err = acquisition.Unknown, errors.Join(ambiguous, fmt.Errorf("reading back: %w", err))
			return r
		}
		s.publish(batch)
		r.ReadBack = batch[0].sample
		if r.ReadBack.Quality.IsBad() {
			r.Err = errors.Join(ambiguous, fmt.Errorf("reading back: quality %s", r.ReadBack.Quality))
			continue
		}
		if equal(r.ReadBack.Value, scaled(&x.def, want)) {
			return acquisition.WriteResult{Outcome: acquisition.Confirmed, ReadBack: r.ReadBack}
		}
		if ambiguous == nil {
			r.Outcome, r.Err = acquisition.Mismatch, fmt.Errorf("the device has %s", r.ReadBack.Value)
		}
	}
	return r
}

// equal compares a value read back with the one written, single precision being what many devices keep.
func equal(a, b tag.Value) bool {
	if a == b {
		return true
	}
	return a.Type() != tag.TypeString && b.Type() != tag.TypeString && float32(a.Number()) == float32(b.Number())
}
