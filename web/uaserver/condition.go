package uaserver

import (
	"context"
	"math"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/alarms"
)

const (
	callTime    = 10 * time.Second // one command on an alarm, its record on the other node included
	refreshTime = 30 * time.Second
)

// alarmMethods are the methods of conditions and of their type that can be called.
func alarmMethods() []uint32 {
	return []uint32{
		id.AcknowledgeableConditionType_Acknowledge, id.ConditionType_AddComment, id.ConditionType_ConditionRefresh, id.ConditionType_ConditionRefresh2,
		id.ShelvedStateMachineType_TimedShelve, id.ShelvedStateMachineType_OneShotShelve, id.ShelvedStateMachineType_Unshelve,
		id.AlarmConditionType_ShelvingState_TimedShelve, id.AlarmConditionType_ShelvingState_OneShotShelve, id.AlarmConditionType_ShelvingState_Unshelve,
	}
}

// commandOf is the command behind a method.
func commandOf(method uint32) alarms.CommandKind {
	switch method {
	case id.AcknowledgeableConditionType_Acknowledge:
		return alarms.CommandAck
	case id.ConditionType_AddComment:
		return alarms.CommandComment
	case id.ShelvedStateMachineType_TimedShelve, id.AlarmConditionType_ShelvingState_TimedShelve:
		return alarms.CommandShelve
	case id.ShelvedStateMachineType_OneShotShelve, id.AlarmConditionType_ShelvingState_OneShotShelve:
		return alarms.CommandShelveOneShot
	case id.ShelvedStateMachineType_Unshelve, id.AlarmConditionType_ShelvingState_Unshelve:
		return alarms.CommandUnshelve
	}
	return alarms.CommandNone
}

// arguments gives the types of the arguments of the methods about alarms.
func arguments(method uint32) []ua.TypeID {
	switch commandOf(method) {
	case alarms.CommandAck, alarms.CommandComment:
		return []ua.TypeID{ua.TypeIDByteString, ua.TypeIDLocalizedText}
	case alarms.CommandShelve:
		return []ua.TypeID{ua.TypeIDDouble}
	case alarms.CommandShelveOneShot, alarms.CommandUnshelve:
		return nil
	}
	if method == id.ConditionType_ConditionRefresh2 {
		return []ua.TypeID{ua.TypeIDUint32, ua.TypeIDUint32}
	}
	return []ua.TypeID{ua.TypeIDUint32}
}

// checkArguments checks the arguments of a call; a refusal is in the result.
func checkArguments(m *ua.CallMethodRequest, want []ua.TypeID, result *ua.CallMethodResult) bool {
	switch n := len(m.InputArguments); {
	case n < len(want):
		result.StatusCode = ua.StatusBadArgumentsMissing
		return false
	case n > len(want):
		result.StatusCode = ua.StatusBadTooManyArguments
		return false
	}
	for i, v := range m.InputArguments {
		status := ua.StatusOK
		if v.Type() != want[i] || v.Has(ua.VariantArrayValues) {
			status, result.StatusCode = ua.StatusBadTypeMismatch, ua.StatusBadInvalidArgument
		}
		result.InputArgumentResults = append(result.InputArgumentResults, status)
	}
	if result.StatusCode != ua.StatusOK {
		return false
	}
	result.InputArgumentResults = []ua.StatusCode{}
	return true
}

// callAlarm calls a method of a condition, or of the type of conditions.
func (k *call) callAlarm(ctx context.Context, m *ua.CallMethodRequest, result *ua.CallMethodResult) {
	object, _ := k.rev.space.Resolve(m.ObjectID)
	methodRef, _ := k.rev.space.Resolve(m.MethodID)
	method := k.rev.space.Numeric(methodRef)
	condition, isCondition := k.rev.space.Condition(object)
	refresh := method == id.ConditionType_ConditionRefresh || method == id.ConditionType_ConditionRefresh2
	if refresh != (k.rev.space.Numeric(object) == id.ConditionType) || (!refresh && !isCondition) {
		result.StatusCode = ua.StatusBadMethodInvalid
		return
	}
	if !checkArguments(m, arguments(method), result) {
		return
	}
	if refresh {
		item := uint32(0)
		if len(m.InputArguments) > 1 {
			if item = uint32(m.InputArguments[1].Uint()); item == 0 {
				result.StatusCode = ua.StatusBadMonitoredItemIDInvalid
				return
			}
		}
		result.StatusCode = k.refresh(ctx, uint32(m.InputArguments[0].Uint()), item)
		return
	}
	result.StatusCode = k.command(ctx, condition, commandOf(method), m.InputArguments)
}

// command has the alarm engine do what the user asks for.
func (k *call) command(ctx context.Context, condition string, kind alarms.CommandKind, args []*ua.Variant) ua.StatusCode {
	if !k.user.MayOperateAlarms {
		return ua.StatusBadUserAccessDenied
	}
	cmd := alarms.Command{Kind: kind, Condition: condition, By: k.user.Name}
	switch kind {
	case alarms.CommandAck, alarms.CommandComment:
		occurrence, ok := k.s.occurrenceOf(ctx, condition, args[0].ByteString())
		if !ok {
			return ua.StatusBadEventIDUnknown
		}
		cmd.Comment = args[1].LocalizedText().Text
		if kind == alarms.CommandAck {
			cmd.Occurrence = occurrence
		}
	case alarms.CommandShelve:
		ms := args[0].Float()
		if !(ms > 0) || ms > alarms.MaxDelay.Seconds()*1000 {
			return ua.StatusBadShelvingTimeOutOfRange
		}
		cmd.For = time.Duration(math.Ceil(ms/1000)) * time.Second
	}
	if len(cmd.Comment) > alarms.MaxText {
		return ua.StatusBadInvalidArgument
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	done, err := k.s.cfg.Alarms.Command(ctx, k.user, cmd)
	if err != nil {
		k.s.log.Info("OPC UA command on an alarm refused", "condition", condition, "command", kind.String(), "user", k.user.Name, "error", err)
		return statusOf(err)
	}
	return statusOfResult(done)
}

// statusOfResult is what a client is told of the engine's answer. Done here and not stored by a standby is done.
func statusOfResult(r alarms.Result) ua.StatusCode {
	switch r {
	case alarms.ResultOK, alarms.ResultOKSolo, alarms.ResultUnconfirmed:
		return ua.StatusOK
	case alarms.ResultAlreadyAcked, alarms.ResultOccurrenceAcked:
		return ua.StatusBadConditionBranchAlreadyAcked
	case alarms.ResultUnknownOccurrence:
		return ua.StatusBadEventIDUnknown
	case alarms.ResultShelvingOutOfRange:
		return ua.StatusBadShelvingTimeOutOfRange
	case alarms.ResultAlreadyShelved:
		return ua.StatusBadConditionAlreadyShelved
	case alarms.ResultNotShelved:
		return ua.StatusBadConditionNotShelved
	case alarms.ResultUnknownCondition:
		return ua.StatusBadNodeIDUnknown
	case alarms.ResultTextTooLong:
		return ua.StatusBadInvalidArgument
	}
	return ua.StatusBadInvalidState
}

// refresh gives the event items of a subscription, or one of them, every condition of interest once.
func (k *call) refresh(ctx context.Context, sub, item uint32) ua.StatusCode {
	switch {
	case !k.x.client.Has(sub):
		return ua.StatusBadSubscriptionIDInvalid
	case item != 0:
		if _, ok := k.x.client.EventPlace(sub, item); !ok {
			return ua.StatusBadMonitoredItemIDInvalid
		}
	}
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	events := []any{k.s.refreshEvent(refreshStart)}
	for _, c := range k.s.cfg.Alarms.Conditions() {
		known := k.s.alarms.condition(c.ID)
		if known == nil || c.State == alarms.StateNorm {
			continue
		}
		last := k.s.remember(ctx, known, &c)
		if ctx.Err() != nil {
			return ua.StatusBadTimeout
		}
		events = append(events, k.s.eventOf(known, present(&c, &last)))
	}
	return k.x.client.Refresh(sub, item, append(events, k.s.refreshEvent(refreshEnd)))
}
