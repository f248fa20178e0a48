package tag

import "strconv"

// Quality is an OPC UA status code (OPC 10000-4, 7.39). The top two bits are the severity; the low 16 are information
// bits that do not change the meaning.
type Quality uint32

// The qualities this server produces. Names and numbers are those of OPC UA.
const (
	Good                               Quality = 0x00000000
	GoodLocalOverride                  Quality = 0x00960000
	UncertainInitialValue              Quality = 0x40920000
	UncertainNoCommunicationLastUsable Quality = 0x408F0000
	UncertainLastUsableValue           Quality = 0x40900000
	UncertainSubstituteValue           Quality = 0x40910000
	UncertainEngineeringUnitsExceeded  Quality = 0x40940000
	UncertainSubNormal                 Quality = 0x40950000 // made of several sources, fewer of which are good than should be
	BadCommunicationError              Quality = 0x80050000
	BadNoCommunication                 Quality = 0x80310000
	BadWaitingForInitialData           Quality = 0x80320000
	BadConfigurationError              Quality = 0x80890000
	BadNotConnected                    Quality = 0x808A0000
	BadDeviceFailure                   Quality = 0x808B0000
	BadSensorFailure                   Quality = 0x808C0000
	BadOutOfService                    Quality = 0x808D0000
	BadNoData                          Quality = 0x809B0000
	BadTypeMismatch                    Quality = 0x80740000
	BadOutOfRange                      Quality = 0x803C0000
	severityMask                       Quality = 0xC0000000
	codeMask                           Quality = 0xFFFF0000
)

var qualityNames = map[Quality]string{
	Good:                               "Good",
	GoodLocalOverride:                  "Good_LocalOverride",
	UncertainInitialValue:              "Uncertain_InitialValue",
	UncertainNoCommunicationLastUsable: "Uncertain_NoCommunicationLastUsableValue",
	UncertainLastUsableValue:           "Uncertain_LastUsableValue",
	UncertainSubstituteValue:           "Uncertain_SubstituteValue",
	UncertainEngineeringUnitsExceeded:  "Uncertain_EngineeringUnitsExceeded",
	UncertainSubNormal:                 "Uncertain_SubNormal",
	BadCommunicationError:              "Bad_CommunicationError",
	BadNoCommunication:                 "Bad_NoCommunication",
	BadWaitingForInitialData:           "Bad_WaitingForInitialData",
	BadConfigurationError:              "Bad_ConfigurationError",
	BadNotConnected:                    "Bad_NotConnected",
	BadDeviceFailure:                   "Bad_DeviceFailure",
	BadSensorFailure:                   "Bad_SensorFailure",
	BadOutOfService:                    "Bad_OutOfService",
	BadNoData:                          "Bad_NoData",
	BadTypeMismatch:                    "Bad_TypeMismatch",
	BadOutOfRange:                      "Bad_OutOfRange",
}

// IsGood reports whether the value can be used without reservation.
func (q Quality) IsGood() bool { return q&severityMask == 0 }

// IsUncertain reports whether the value may be used with care: stale, substituted or out of its range.
func (q Quality) IsUncertain() bool { return q&severityMask == 0x40000000 }

// IsBad reports whether the value must not be used.
func (q Quality) IsBad() bool { return q&0x80000000 != 0 }

// Code returns the quality without its information bits.
func (q Quality) Code() Quality { return q & codeMask }

// String returns the OPC UA name, or Good/Uncertain/Bad with the number for a code that has no name here.
func (q Quality) String() string {
	if s, ok := qualityNames[q.Code()]; ok {
		return s
	}
	if s, ok := otherNames[q.Code()]; ok {
		return s
	}
	hex := "_0x" + strconv.FormatUint(uint64(q), 16)
	switch {
	case q.IsGood():
		return "Good" + hex
	case q.IsUncertain():
		return "Uncertain" + hex
	}
	return "Bad" + hex
}

// ParseQuality returns the quality with the given OPC UA name.
func ParseQuality(s string) (Quality, bool) {
	for _, names := range []map[Quality]string{qualityNames, otherNames} {
		for q, name := range names {
			if name == s {
				return q, true
			}
		}
	}
	return 0, false
}
