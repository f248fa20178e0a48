package uaserver

import (
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// need is what a service needs of the session its request names.
type need int

const (
	nothing       need = iota
	createdOnly        // the session exists; it may not be activated, and for ActivateSession may be of another channel
	activeSession      // the session is activated on this channel
)

func needs(typ uint32) need {
	switch typ {
	case id.GetEndpointsRequest_Encoding_DefaultBinary, id.FindServersRequest_Encoding_DefaultBinary,
		id.CreateSessionRequest_Encoding_DefaultBinary:
		return nothing
	case id.ActivateSessionRequest_Encoding_DefaultBinary, id.CloseSessionRequest_Encoding_DefaultBinary:
		return createdOnly
	}
	return activeSession
}

// discovery reports whether a service can be used without security even where sessions cannot.
func discovery(typ uint32) bool {
	return typ == id.GetEndpointsRequest_Encoding_DefaultBinary || typ == id.FindServersRequest_Encoding_DefaultBinary
}

// newRequest returns an empty request of a type this server has a service for, but Read, or nil.
func newRequest(typ uint32) any {
	switch typ {
	case id.GetEndpointsRequest_Encoding_DefaultBinary:
		return new(ua.GetEndpointsRequest)
	case id.FindServersRequest_Encoding_DefaultBinary:
		return new(ua.FindServersRequest)
	case id.CreateSessionRequest_Encoding_DefaultBinary:
		return new(ua.CreateSessionRequest)
	case id.ActivateSessionRequest_Encoding_DefaultBinary:
		return new(ua.ActivateSessionRequest)
	case id.CloseSessionRequest_Encoding_DefaultBinary:
		return new(ua.CloseSessionRequest)
	case id.CancelRequest_Encoding_DefaultBinary:
		return new(ua.CancelRequest)
	case id.HistoryReadRequest_Encoding_DefaultBinary:
		return new(ua.HistoryReadRequest)
	case id.WriteRequest_Encoding_DefaultBinary:
		return new(ua.WriteRequest)
	case id.CallRequest_Encoding_DefaultBinary:
		return new(ua.CallRequest)
	case id.BrowseRequest_Encoding_DefaultBinary:
		return new(ua.BrowseRequest)
	case id.BrowseNextRequest_Encoding_DefaultBinary:
		return new(ua.BrowseNextRequest)
	case id.TranslateBrowsePathsToNodeIDsRequest_Encoding_DefaultBinary:
		return new(ua.TranslateBrowsePathsToNodeIDsRequest)
	case id.RegisterNodesRequest_Encoding_DefaultBinary:
		return new(ua.RegisterNodesRequest)
	case id.UnregisterNodesRequest_Encoding_DefaultBinary:
		return new(ua.UnregisterNodesRequest)
	}
	return newSubscriptionRequest(typ)
}

func newSubscriptionRequest(typ uint32) any {
	switch typ {
	case id.CreateSubscriptionRequest_Encoding_DefaultBinary:
		return new(ua.CreateSubscriptionRequest)
	case id.ModifySubscriptionRequest_Encoding_DefaultBinary:
		return new(ua.ModifySubscriptionRequest)
	case id.SetPublishingModeRequest_Encoding_DefaultBinary:
		return new(ua.SetPublishingModeRequest)
	case id.DeleteSubscriptionsRequest_Encoding_DefaultBinary:
		return new(ua.DeleteSubscriptionsRequest)
	case id.TransferSubscriptionsRequest_Encoding_DefaultBinary:
		return new(ua.TransferSubscriptionsRequest)
	case id.PublishRequest_Encoding_DefaultBinary:
		return new(ua.PublishRequest)
	case id.RepublishRequest_Encoding_DefaultBinary:
		return new(ua.RepublishRequest)
	case id.CreateMonitoredItemsRequest_Encoding_DefaultBinary:
		return new(ua.CreateMonitoredItemsRequest)
	case id.ModifyMonitoredItemsRequest_Encoding_DefaultBinary:
		return new(ua.ModifyMonitoredItemsRequest)
	case id.SetMonitoringModeRequest_Encoding_DefaultBinary:
		return new(ua.SetMonitoringModeRequest)
	case id.SetTriggeringRequest_Encoding_DefaultBinary:
		return new(ua.SetTriggeringRequest)
	case id.DeleteMonitoredItemsRequest_Encoding_DefaultBinary:
		return new(ua.DeleteMonitoredItemsRequest)
	}
	return nil
}

// serve carries a request out. Neither response nor error: the answer comes later.
func (k *call) serve(msg any) (ua.Response, error) {
	switch req := msg.(type) {
	case *ua.GetEndpointsRequest:
		return k.getEndpoints(req)
	case *ua.FindServersRequest:
		return k.findServers(req)
	case *ua.CreateSessionRequest:
		return k.createSession(req)
	case *ua.ActivateSessionRequest:
		return k.activateSession(req)
	case *ua.CloseSessionRequest:
		return k.closeSession(req)
	case *ua.CancelRequest:
		return &ua.CancelResponse{CancelCount: uint32(k.x.client.Cancel(req.RequestHandle))}, nil
	case *ua.HistoryReadRequest:
		return nil, k.historyRead(req)
	case *ua.WriteRequest:
		return nil, k.write(req)
	case *ua.CallRequest:
		return k.callMethods(req)
	case *ua.BrowseRequest:
		return k.browse(req)
	case *ua.BrowseNextRequest:
		return k.browseNext(req)
	case *ua.TranslateBrowsePathsToNodeIDsRequest:
		return k.translate(req)
	case *ua.RegisterNodesRequest:
		return k.registerNodes(req)
	case *ua.UnregisterNodesRequest:
		return &ua.UnregisterNodesResponse{}, k.operations(len(req.NodesToUnregister))
	}
	return k.serveSubscription(msg)
}

func (k *call) serveSubscription(msg any) (ua.Response, error) {
	switch req := msg.(type) {
	case *ua.CreateSubscriptionRequest:
		return k.createSubscription(req)
	case *ua.ModifySubscriptionRequest:
		return k.modifySubscription(req)
	case *ua.SetPublishingModeRequest:
		return k.setPublishingMode(req)
	case *ua.DeleteSubscriptionsRequest:
		return k.deleteSubscriptions(req)
	case *ua.TransferSubscriptionsRequest:
		return k.transferSubscriptions(req)
	case *ua.PublishRequest:
		return nil, k.publish(req)
	case *ua.RepublishRequest:
		return nil, k.republish(req)
	case *ua.CreateMonitoredItemsRequest:
		return k.createItems(req)
	case *ua.ModifyMonitoredItemsRequest:
		return k.modifyItems(req)
	case *ua.SetMonitoringModeRequest:
		return k.setMonitoringMode(req)
	case *ua.SetTriggeringRequest:
		return k.setTriggering(req)
	case *ua.DeleteMonitoredItemsRequest:
		return k.deleteItems(req)
	}
	return nil, ua.StatusBadServiceUnsupported
}

// operations checks the number of operations in one request.
func (k *call) operations(n int) error {
	switch {
	case n == 0:
		return ua.StatusBadNothingToDo
	case n > k.s.cfg.Limits.OperationsPerCall:
		return ua.StatusBadTooManyOperations
	}
	return nil
}
