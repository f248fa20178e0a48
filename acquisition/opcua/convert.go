package opcua

import (
	"fmt"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// How far the server's clock may be from ours before its time stamps are not used.
const (
	maxAhead  = 2 * time.Second
	maxBehind = 10 * time.Minute
)

// sample turns what a server reported into a sample of the tag.
func sample(def *tag.Definition, dv *ua.DataValue, now time.Time) tag.Sample {
	s := tag.Sample{Time: stamp(dv, now)}
	if dv == nil {
		s.Quality = tag.BadNoData
		return s
	}
	if dv.Status != ua.StatusOK {
		s.Quality = quality(dv.Status)
	}
	if s.Quality.IsBad() {
		return s
	}
	if dv.Value == nil || dv.Value.Value() == nil {
		s.Quality = tag.BadNoData
		return s
	}
	raw, err := scalar(def.RawType, dv.Value)
	if err != nil {
		s.Quality = tag.BadTypeMismatch
		if f, ok := float(dv.Value); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			s.Quality = tag.BadSensorFailure
		}
		return s
	}
	s.Value = scaled(def, raw)
	if f := s.Value.Number(); s.Quality == tag.Good && !def.Range.IsZero() && (f < def.Range.Low || f > def.Range.High) {
		s.Quality = tag.UncertainEngineeringUnitsExceeded
	}
	return s
}

// stamp is the server's time of the value where it is believable, else the present.
func stamp(dv *ua.DataValue, now time.Time) int64 {
	if dv != nil {
		for _, t := range []time.Time{dv.SourceTimestamp, dv.ServerTimestamp} {
			if !t.IsZero() && t.Before(now.Add(maxAhead)) && t.After(now.Add(-maxBehind)) {
				return t.UnixNano()
			}
		}
	}
	return now.UnixNano()
}

// quality passes the server's status on; what it says of an address is a fault of the configuration.
func quality(status ua.StatusCode) tag.Quality {
	switch status {
	case ua.StatusBadNodeIDUnknown, ua.StatusBadNodeIDInvalid, ua.StatusBadAttributeIDInvalid, ua.StatusBadNotReadable, ua.StatusBadUserAccessDenied:
		return tag.BadConfigurationError
	}
	return tag.Quality(status)
}

// scaled converts from the number on the wire to the one users see.
func scaled(def *tag.Definition, raw tag.Value) tag.Value {
	if def.Scale.IsZero() {
		return raw
	}
	return tag.Float64(def.ToUnits(raw.Number()))
}

// scalar converts a variant to type t, refusing what t cannot hold.
func scalar(t tag.Type, v *ua.Variant) (tag.Value, error) {
	if v.ArrayLength() > 0 || len(v.ArrayDimensions()) > 0 {
		return tag.Value{}, fmt.Errorf("an array cannot become a %s", t)
	}
	switch x := v.Value().(type) {
	case string:
		return text(t, x)
	case *ua.LocalizedText:
		if x == nil {
			return text(t, "")
		}
		return text(t, x.Text)
	case int64:
		if t == tag.TypeInt64 || t == tag.TypeUint64 && x >= 0 {
			return tag.FromBits(t, uint64(x), ""), nil
		}
	case uint64:
		if t == tag.TypeUint64 || t == tag.TypeInt64 && x <= math.MaxInt64 {
			return tag.FromBits(t, x, ""), nil
		}
	}
	f, ok := float(v)
	if !ok {
		return tag.Value{}, fmt.Errorf("a %T cannot become a %s", v.Value(), t)
	}
	return tag.FromNumber(t, f)
}

func text(t tag.Type, s string) (tag.Value, error) {
	if t != tag.TypeString || len(s) > tag.MaxText {
		return tag.Value{}, fmt.Errorf("a text of %d bytes cannot become a %s", len(s), t)
	}
	return tag.String(s), nil
}

func float(v *ua.Variant) (float64, bool) {
	switch x := v.Value().(type) {
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case int8:
		return float64(x), true
	case uint8:
		return float64(x), true
	case int16:
		return float64(x), true
	case uint16:
		return float64(x), true
	case int32:
		return float64(x), true
	case uint32:
		return float64(x), true
	case int64:
		return float64(x), true
	case uint64:
		return float64(x), true
	case float32:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

// variant converts a value on the wire to the type the server's node has.
func variant(as ua.TypeID, v tag.Value) (*ua.Variant, error) {
	if t, ok := types[as]; ok && t != v.Type() && as != ua.TypeIDLocalizedText {
		if t == tag.TypeString || v.Type() == tag.TypeString {
			return nil, fmt.Errorf("a %s cannot be written to a %s", v.Type(), t)
		}
		var err error
		if v, err = tag.FromNumber(t, v.Number()); err != nil {
			return nil, err
		}
	}
	return ua.NewVariant(plainValue(v))
}

// plainValue returns the value as the Go type the codec knows.
func plainValue(v tag.Value) any {
	switch v.Type() {
	case tag.TypeBool:
		return v.Truth()
	case tag.TypeInt8:
		return int8(v.Int())
	case tag.TypeUint8:
		return uint8(v.Bits())
	case tag.TypeInt16:
		return int16(v.Int())
	case tag.TypeUint16:
		return uint16(v.Bits())
	case tag.TypeInt32:
		return int32(v.Int())
	case tag.TypeUint32:
		return uint32(v.Bits())
	case tag.TypeInt64:
		return v.Int()
	case tag.TypeUint64:
		return v.Bits()
	case tag.TypeFloat32:
		return float32(v.Number())
	case tag.TypeString:
		return v.Text()
	}
	return v.Number()
}
