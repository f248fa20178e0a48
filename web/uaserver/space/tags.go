package space

import (
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// properties describes the property variables a tag can have.
var properties = [propEnd]struct {
	name     string
	dataType uint32
	rank     int32
}{
	propRange:       {"EURange", id.Range, scalar},
	propUnits:       {"EngineeringUnits", id.EUInformation, scalar},
	propFalseState:  {"FalseState", id.LocalizedText, scalar},
	propTrueState:   {"TrueState", id.LocalizedText, scalar},
	propEnumStrings: {"EnumStrings", id.LocalizedText, oneDimension},
}

// The value ranks of Part 3.
const (
	scalar       = -1
	oneDimension = 1
)

// has reports whether a tag has a property.
func has(def *tag.Definition, p property) bool {
	switch p {
	case propRange:
		return analog(def) && !def.Range.IsZero()
	case propUnits:
		return analog(def) && def.Unit != ""
	case propFalseState, propTrueState:
		return def.Type == tag.TypeBool
	case propEnumStrings:
		return def.Type.IsInteger() && len(def.Bits) > 0
	}
	return false
}

func analog(def *tag.Definition) bool {
	return def.Type.IsNumeric() && def.Type != tag.TypeBool && len(def.Bits) == 0
}

// variableType chooses the type of OPC 10000-8 that promises what the definition can keep: AnalogItemType requires an
// EURange, AnalogUnitType a unit, TwoStateDiscreteType two names.
func variableType(def *tag.Definition) uint32 {
	switch {
	case has(def, propTrueState):
		return id.TwoStateDiscreteType
	case has(def, propEnumStrings):
		return id.MultiStateDiscreteType
	case has(def, propRange):
		return id.AnalogItemType
	case has(def, propUnits):
		return id.AnalogUnitType
	}
	return id.BaseDataVariableType
}

// DataType returns the built-in type of a tag's value; for these the id of the type is the id of its node.
func DataType(t tag.Type) ua.TypeID {
	switch t {
	case tag.TypeBool:
		return ua.TypeIDBoolean
	case tag.TypeInt8:
		return ua.TypeIDSByte
	case tag.TypeUint8:
		return ua.TypeIDByte
	case tag.TypeInt16:
		return ua.TypeIDInt16
	case tag.TypeUint16:
		return ua.TypeIDUint16
	case tag.TypeInt32:
		return ua.TypeIDInt32
	case tag.TypeUint32:
		return ua.TypeIDUint32
	case tag.TypeInt64:
		return ua.TypeIDInt64
	case tag.TypeUint64:
		return ua.TypeIDUint64
	case tag.TypeFloat32:
		return ua.TypeIDFloat
	case tag.TypeFloat64:
		return ua.TypeIDDouble
	case tag.TypeString:
		return ua.TypeIDString
	}
	return ua.TypeIDNull
}

// propertyValue returns the value of a property of a tag.
func propertyValue(def *tag.Definition, p property) *ua.Variant {
	switch p {
	case propRange:
		return ua.MustVariant(ua.NewExtensionObject(&ua.Range{Low: def.Range.Low, High: def.Range.High}))
	case propUnits:
		return ua.MustVariant(ua.NewExtensionObject(units(def.Unit)))
	case propFalseState:
		return ua.MustVariant(ua.NewLocalizedText(state(def, 0, "false")))
	case propTrueState:
		return ua.MustVariant(ua.NewLocalizedText(state(def, 1, "true")))
	case propEnumStrings:
		texts := make([]*ua.LocalizedText, len(def.Bits))
		for i, name := range def.Bits {
			texts[i] = ua.NewLocalizedText(name)
		}
		return ua.MustVariant(texts)
	}
	return nil
}

func state(def *tag.Definition, i int, otherwise string) string {
	if i < len(def.Bits) && def.Bits[i] != "" {
		return def.Bits[i]
	}
	return otherwise
}

const unitsNamespace = "http://www.opcfoundation.org/UA/units/un/cefact"

// commonCodes are the UNECE recommendation 20 codes of units plants use.
var commonCodes = map[string]string{
	"%": "P1", "ppm": "59", "rpm": "RPM", "1/min": "RPM", "Hz": "HTZ", "kHz": "KHZ",
	"°C": "CEL", "Cel": "CEL", "degC": "CEL", "°F": "FAH", "K": "KEL",
	"Pa": "PAL", "kPa": "KPA", "MPa": "MPA", "bar": "BAR", "mbar": "MBR",
	"m": "MTR", "mm": "MMT", "cm": "CMT", "km": "KMT", "m2": "MTK", "m²": "MTK", "m3": "MTQ", "m³": "MTQ", "l": "LTR", "L": "LTR",
	"m3/h": "MQH", "m³/h": "MQH", "m3/s": "MQS", "m³/s": "MQS", "l/min": "L2", "L/min": "L2", "l/s": "G51", "L/s": "G51",
	"m/s": "MTS", "km/h": "KMH", "g": "GRM", "kg": "KGM", "t": "TNE", "kg/h": "E93",
	"s": "SEC", "min": "MIN", "h": "HUR", "d": "DAY",
	"A": "AMP", "mA": "4K", "V": "VLT", "kV": "KVT", "mV": "2Z", "W": "WTT", "kW": "KWT", "MW": "MAW", "kWh": "KWH", "Ohm": "OHM", "N": "NEW", "J": "JOU",
}

// units describes a unit; the id of a UNECE code is its letters as a number, and -1 says there is none.
func units(unit string) *ua.EUInformation {
	info := &ua.EUInformation{UnitID: -1, DisplayName: ua.NewLocalizedText(unit), Description: ua.NewLocalizedText(unit)}
	if code, ok := commonCodes[unit]; ok {
		info.NamespaceURI, info.UnitID = unitsNamespace, 0
		for _, c := range []byte(code) {
			info.UnitID = info.UnitID<<8 | int32(c)
		}
	}
	return info
}
