package uaserver

import (
	"crypto/rand"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/alarms"
)

// event is an event as clients see it: its fields by the names of their browse paths, joined by slashes. The field ""
// is the condition's node id.
type event struct {
	typ   uint32
	tag   string
	toAll bool // an event for every item, whatever its filter: the ends of a refresh
	// ofServer is an event of the Server object itself, not of what is below it.
	ofServer bool
	fields   map[string]*ua.Variant
	encoded  map[string][]byte
}

// alarmState is a condition at one moment: as an event left it, or as it is.
type alarmState struct {
	key        alarms.Key
	time       int64
	state      alarms.State
	level      alarms.Level
	active     bool
	priority   alarms.Priority
	value      tag.Value
	quality    tag.Quality
	message    string
	comment    string
	by         string
	oneShot    bool
	until      int64
	suppressed bool
}

// occurred is the condition as an event left it.
func occurred(e *AlarmEvent) alarmState {
	st := alarmState{
		key: e.Key, time: e.Time, state: e.State, level: e.Level, priority: e.Priority, value: e.Value, quality: e.Quality,
		message: e.Message, comment: e.Comment, by: e.By, oneShot: e.OneShot, until: e.Until,
		suppressed: e.State == alarms.StateSuppressed,
	}
	switch {
	case e.Kind == alarms.KindClear, e.Level == alarms.LevelNone:
	case e.State == alarms.StateUnack, e.State == alarms.StateAcked, e.State.Hidden():
		st.active = true
	}
	return st
}

// present is the condition as it is; last is its last event.
func present(c *alarms.Condition, last *alarms.Event) alarmState {
	return alarmState{
		key: last.Key, time: c.ChangedAt, state: c.State, level: c.Level, active: c.Level != alarms.LevelNone, priority: c.Priority,
		value: c.Value, quality: c.Quality, message: c.Message, comment: c.Comment, by: last.By,
		oneShot: c.Shelving == alarms.ShelvedOneShot, until: c.ShelvedUntil, suppressed: c.Suppressed != 0,
	}
}

// conditionType is the type of OPC 10000-9 a condition is of.
func conditionType(c *alarms.Condition) uint32 {
	single := c.ID != c.Alarm // one condition per limit
	switch c.Type {
	case alarms.TypeLevel:
		if single {
			return id.NonExclusiveLevelAlarmType
		}
		return id.ExclusiveLevelAlarmType
	case alarms.TypeDeviation:
		if single {
			return id.NonExclusiveDeviationAlarmType
		}
		return id.ExclusiveDeviationAlarmType
	case alarms.TypeRoc:
		if single {
			return id.NonExclusiveRateOfChangeAlarmType
		}
		return id.ExclusiveRateOfChangeAlarmType
	case alarms.TypeDiscrete:
		return id.OffNormalAlarmType
	case alarms.TypeDiscrepancy:
		return id.DiscrepancyAlarmType
	case alarms.TypeBadQuality:
		return id.SystemOffNormalAlarmType
	}
	return id.AlarmConditionType
}

func instantOf(ns int64) time.Time { return time.Unix(0, ns).UTC() }

func (ev *event) set(name string, v any) { ev.fields[name] = ua.MustVariant(v) }

// twoState sets a TwoStateVariable.
func (ev *event) twoState(name string, on bool, whenOn, whenOff string) {
	text := whenOff
	if on {
		text = whenOn
	}
	ev.set(name, ua.NewLocalizedText(text))
	ev.set(name+"/Id", on)
}

// state sets a state variable of a state machine.
func (ev *event) state(name, text string, node uint32) {
	ev.set(name, ua.NewLocalizedText(text))
	ev.set(name+"/Id", ua.NewNumericNodeID(0, node))
}

// seal encodes the fields, once for all items.
func (ev *event) seal() *event {
	ev.encoded = make(map[string][]byte, len(ev.fields))
	for name, v := range ev.fields {
		if b, err := v.Encode(); err == nil {
			ev.encoded[name] = b
		}
	}
	return ev
}

// baseEvent sets the fields of BaseEventType.
func baseEvent(typ uint32, eventID []byte, at int64, source *ua.NodeID, name, message string, severity int) *event {
	ev := &event{typ: typ, fields: make(map[string]*ua.Variant, 48)}
	ev.set("EventId", eventID)
	ev.set("EventType", ua.NewNumericNodeID(0, typ))
	ev.set("SourceNode", source)
	ev.set("SourceName", name)
	ev.set("Time", instantOf(at))
	ev.set("ReceiveTime", instantOf(at))
	ev.set("Message", ua.NewLocalizedText(message))
	ev.set("Severity", uint16(min(max(severity, 1), 1000)))
	return ev
}

// eventOf makes the event of a condition in some state.
func (s *Server) eventOf(k *knownCondition, st alarmState) *event {
	c := &k.static
	space := s.now().space
	source := space.TagNode(c.Tag)
	ev := baseEvent(k.typ, st.key[:], st.time, source, c.Tag, st.message, st.priority.Severity())
	ev.tag = c.Tag
	if ref, ok := space.ConditionRef(c.ID); ok {
		ev.set("", space.NodeID(ref))
	}
	ev.set("ConditionClassId", ua.NewNumericNodeID(0, id.ProcessConditionClassType))
	ev.set("ConditionClassName", ua.NewLocalizedText("Process"))
	ev.set("ConditionName", c.ID)
	ev.set("BranchId", ua.NewTwoByteNodeID(0))
	ev.set("Retain", st.state != alarms.StateNorm)
	ev.twoState("EnabledState", true, "Enabled", "Disabled")
	ev.set("Quality", ua.StatusCode(st.quality))
	ev.set("Quality/SourceTimestamp", instantOf(st.time))
	ev.set("Comment", ua.NewLocalizedText(st.comment))
	ev.set("Comment/SourceTimestamp", instantOf(st.time))
	ev.set("ClientUserId", st.by)
	ev.twoState("AckedState", !st.state.Unacknowledged(), "Acknowledged", "Unacknowledged")
	ev.twoState("ActiveState", st.active, "Active", "Inactive")
	ev.set("InputNode", source)
	ev.twoState("SuppressedState", st.suppressed, "Suppressed", "Unsuppressed")
	ev.twoState("OutOfServiceState", st.state == alarms.StateOOS, "Out of service", "In service")
	ev.set("SuppressedOrShelved", st.state.Hidden())
	ev.shelving(st)
	ev.limits(k.typ, st)
	if k.typ == id.OffNormalAlarmType || k.typ == id.SystemOffNormalAlarmType {
		ev.set("NormalState", ua.NewTwoByteNodeID(0))
	}
	return ev.seal()
}

func (ev *event) shelving(st alarmState) {
	switch {
	case st.state != alarms.StateShelved:
		ev.state("ShelvingState/CurrentState", "Unshelved", id.ShelvedStateMachineType_Unshelved)
		return
	case st.oneShot:
		ev.state("ShelvingState/CurrentState", "One Shot Shelved", id.ShelvedStateMachineType_OneShotShelved)
	default:
		ev.state("ShelvingState/CurrentState", "Timed Shelved", id.ShelvedStateMachineType_TimedShelved)
	}
	if st.until > st.time {
		ev.set("ShelvingState/UnshelveTime", float64(st.until-st.time)/1e6)
	}
}

// limits sets the states of limit alarms.
func (ev *event) limits(typ uint32, st alarmState) {
	name, node := "", uint32(0)
	switch st.level {
	case alarms.LevelHiHi:
		name, node = "HighHigh", id.ExclusiveLimitStateMachineType_HighHigh
	case alarms.LevelHi, alarms.LevelRocHi:
		name, node = "High", id.ExclusiveLimitStateMachineType_High
	case alarms.LevelLo, alarms.LevelRocLo:
		name, node = "Low", id.ExclusiveLimitStateMachineType_Low
	case alarms.LevelLoLo:
		name, node = "LowLow", id.ExclusiveLimitStateMachineType_LowLow
	default:
		return
	}
	switch typ {
	case id.ExclusiveLevelAlarmType, id.ExclusiveDeviationAlarmType, id.ExclusiveRateOfChangeAlarmType:
		if st.active {
			ev.state("LimitState/CurrentState", name, node)
		}
	case id.NonExclusiveLevelAlarmType, id.NonExclusiveDeviationAlarmType, id.NonExclusiveRateOfChangeAlarmType:
		ev.twoState(name+"State", st.active, name+" active", name+" inactive")
	}
}

// The events that are about the delivery of events.
type aboutEvents struct {
	typ     uint32
	message string
	toAll   bool
}

var (
	refreshStart    = aboutEvents{id.RefreshStartEventType, "refresh begins", true}
	refreshEnd      = aboutEvents{id.RefreshEndEventType, "refresh is complete", true}
	refreshRequired = aboutEvents{id.RefreshRequiredEventType, "events were lost: refresh", true}
	queueOverflow   = aboutEvents{id.EventQueueOverflowEventType, "events were lost: the queue is full", true}
)

const aboutSeverity = 100

func (s *Server) refreshEvent(what aboutEvents) *event {
	eventID := make([]byte, 16)
	_, _ = rand.Read(eventID) // never fails: crypto/rand aborts instead
	ev := baseEvent(what.typ, eventID, time.Now().UnixNano(), ua.NewNumericNodeID(0, id.Server), "Server", what.message, aboutSeverity)
	ev.toAll = what.toAll
	return ev.seal()
}
