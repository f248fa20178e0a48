package uaserver

import (
	"context"
	"slices"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// maxCalls is the most methods one request may call.
const maxCalls = 100

// callMethods is the Call service. What asks the alarm engine waits outside the connection's goroutine.
func (k *call) callMethods(req *ua.CallRequest) (ua.Response, error) {
	if err := k.operations(len(req.MethodsToCall)); err != nil {
		return nil, err
	}
	if len(req.MethodsToCall) > maxCalls {
		return nil, ua.StatusBadTooManyOperations
	}
	all := func(ctx context.Context) (ua.Response, error) {
		resp := &ua.CallResponse{DiagnosticInfos: []*ua.DiagnosticInfo{}}
		for _, m := range req.MethodsToCall {
			resp.Results = append(resp.Results, k.callMethod(ctx, m))
		}
		return resp, nil
	}
	if slices.ContainsFunc(req.MethodsToCall, k.isAlarmMethod) {
		return nil, k.later(all)
	}
	return all(context.Background())
}

// isAlarmMethod reports whether a call is one of the methods about alarms.
func (k *call) isAlarmMethod(m *ua.CallMethodRequest) bool {
	method, ok := k.rev.space.Resolve(m.MethodID)
	return ok && k.s.cfg.Alarms != nil && slices.Contains(alarmMethods(), k.rev.space.Numeric(method))
}

func (k *call) callMethod(ctx context.Context, m *ua.CallMethodRequest) *ua.CallMethodResult {
	result := &ua.CallMethodResult{
		InputArgumentResults: []ua.StatusCode{}, InputArgumentDiagnosticInfos: []*ua.DiagnosticInfo{}, OutputArguments: []*ua.Variant{},
	}
	object, ok := k.rev.space.Resolve(m.ObjectID)
	method, methodOK := k.rev.space.Resolve(m.MethodID)
	switch {
	case !ok:
		result.StatusCode = ua.StatusBadNodeIDUnknown
	case !methodOK || k.rev.space.Class(method) != ua.NodeClassMethod:
		result.StatusCode = ua.StatusBadMethodInvalid
	case k.isAlarmMethod(m):
		k.callAlarm(ctx, m, result)
	case k.rev.space.Numeric(object) != id.Server:
		result.StatusCode = ua.StatusBadMethodInvalid
	case checkArguments(m, []ua.TypeID{ua.TypeIDUint32}, result):
		k.callServer(k.rev.space.Numeric(method), uint32(m.InputArguments[0].Uint()), result)
	}
	return result
}

// callServer calls a method of the Server object; each has one argument, a subscription.
func (k *call) callServer(method, sub uint32, result *ua.CallMethodResult) {
	switch method {
	case id.Server_GetMonitoredItems:
		ids, handles, status := k.x.client.Items(sub)
		if result.StatusCode = status; status == ua.StatusOK {
			if ids == nil {
				ids, handles = []uint32{}, []uint32{}
			}
			result.OutputArguments = []*ua.Variant{ua.MustVariant(ids), ua.MustVariant(handles)}
		}
	case id.Server_ResendData:
		result.StatusCode = k.x.client.Resend(sub)
	default:
		result.StatusCode = ua.StatusBadMethodInvalid
	}
}
