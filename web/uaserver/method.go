package uaserver

import (
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

func (k *call) callMethods(req *ua.CallRequest) (ua.Response, error) {
	if err := k.operations(len(req.MethodsToCall)); err != nil {
		return nil, err
	}
	resp := &ua.CallResponse{DiagnosticInfos: []*ua.DiagnosticInfo{}}
	for _, m := range req.MethodsToCall {
		resp.Results = append(resp.Results, k.callMethod(m))
	}
	return resp, nil
}

func (k *call) callMethod(m *ua.CallMethodRequest) *ua.CallMethodResult {
	result := &ua.CallMethodResult{
		InputArgumentResults: []ua.StatusCode{}, InputArgumentDiagnosticInfos: []*ua.DiagnosticInfo{}, OutputArguments: []*ua.Variant{},
	}
	object, ok := k.s.space.Resolve(m.ObjectID)
	method, methodOK := k.s.space.Resolve(m.MethodID)
	switch {
	case !ok:
		result.StatusCode = ua.StatusBadNodeIDUnknown
	case !methodOK || k.s.space.Class(method) != ua.NodeClassMethod || k.s.space.Numeric(object) != id.Server:
		result.StatusCode = ua.StatusBadMethodInvalid
	case len(m.InputArguments) < 1:
		result.StatusCode = ua.StatusBadArgumentsMissing
	case len(m.InputArguments) > 1:
		result.StatusCode = ua.StatusBadTooManyArguments
	case m.InputArguments[0].Type() != ua.TypeIDUint32 || m.InputArguments[0].Has(ua.VariantArrayValues):
		result.StatusCode = ua.StatusBadInvalidArgument
		result.InputArgumentResults = []ua.StatusCode{ua.StatusBadTypeMismatch}
	default:
		k.callServer(k.s.space.Numeric(method), uint32(m.InputArguments[0].Uint()), result)
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
