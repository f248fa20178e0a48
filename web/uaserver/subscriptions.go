package uaserver

import (
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/monitor"
	"scada/web/uaserver/space"
	"scada/web/uaserver/wire"
)

func (k *call) createSubscription(req *ua.CreateSubscriptionRequest) (ua.Response, error) {
	sub, p, status := k.x.client.Create(monitor.Params{
		Interval: req.RequestedPublishingInterval, Lifetime: req.RequestedLifetimeCount, KeepAlive: req.RequestedMaxKeepAliveCount,
		PerMessage: req.MaxNotificationsPerPublish, Enabled: req.PublishingEnabled, Priority: req.Priority,
	})
	return &ua.CreateSubscriptionResponse{
		SubscriptionID: sub, RevisedPublishingInterval: p.Interval, RevisedLifetimeCount: p.Lifetime, RevisedMaxKeepAliveCount: p.KeepAlive,
	}, failure(status)
}

// failure is the error of a whole service, or nil.
func failure(status ua.StatusCode) error {
	if status == ua.StatusOK {
		return nil
	}
	return status
}

func (k *call) modifySubscription(req *ua.ModifySubscriptionRequest) (ua.Response, error) {
	p, status := k.x.client.Modify(req.SubscriptionID, monitor.Params{
		Interval: req.RequestedPublishingInterval, Lifetime: req.RequestedLifetimeCount, KeepAlive: req.RequestedMaxKeepAliveCount,
		PerMessage: req.MaxNotificationsPerPublish, Priority: req.Priority,
	})
	return &ua.ModifySubscriptionResponse{
		RevisedPublishingInterval: p.Interval, RevisedLifetimeCount: p.Lifetime, RevisedMaxKeepAliveCount: p.KeepAlive,
	}, failure(status)
}

// each does one operation for each id of a list.
func (k *call) each(ids []uint32, do func(uint32) ua.StatusCode) ([]ua.StatusCode, error) {
	if err := k.operations(len(ids)); err != nil {
		return nil, err
	}
	results := make([]ua.StatusCode, len(ids))
	for i, n := range ids {
		results[i] = do(n)
	}
	return results, nil
}

func (k *call) setPublishingMode(req *ua.SetPublishingModeRequest) (ua.Response, error) {
	results, err := k.each(req.SubscriptionIDs, func(sub uint32) ua.StatusCode { return k.x.client.SetPublishing(sub, req.PublishingEnabled) })
	return &ua.SetPublishingModeResponse{Results: results, DiagnosticInfos: []*ua.DiagnosticInfo{}}, err
}

func (k *call) deleteSubscriptions(req *ua.DeleteSubscriptionsRequest) (ua.Response, error) {
	results, err := k.each(req.SubscriptionIDs, k.x.client.Delete)
	return &ua.DeleteSubscriptionsResponse{Results: results, DiagnosticInfos: []*ua.DiagnosticInfo{}}, err
}

func (k *call) transferSubscriptions(req *ua.TransferSubscriptionsRequest) (ua.Response, error) {
	if err := k.operations(len(req.SubscriptionIDs)); err != nil {
		return nil, err
	}
	resp := &ua.TransferSubscriptionsResponse{DiagnosticInfos: []*ua.DiagnosticInfo{}}
	for _, sub := range req.SubscriptionIDs {
		available, status := k.x.client.Transfer(sub, req.SendInitialValues)
		resp.Results = append(resp.Results, &ua.TransferResult{StatusCode: status, AvailableSequenceNumbers: available})
	}
	return resp, nil
}

func (k *call) publish(req *ua.PublishRequest) error {
	acks := make([]monitor.Ack, len(req.SubscriptionAcknowledgements))
	for i, a := range req.SubscriptionAcknowledgements {
		acks[i] = monitor.Ack{Subscription: a.SubscriptionID, Sequence: a.SequenceNumber}
	}
	return failure(k.x.client.Publish(k.c.ch, k.request, k.h.Handle, time.Duration(k.h.Timeout)*time.Millisecond, acks))
}

func (k *call) republish(req *ua.RepublishRequest) error {
	message, status := k.x.client.Republish(req.SubscriptionID, req.RetransmitSequenceNumber)
	if status != ua.StatusOK {
		return status
	}
	b := wire.ResponseHeader(nil, id.RepublishResponse_Encoding_DefaultBinary, k.h.Handle, ua.StatusOK, time.Now().UnixNano())
	return k.send(append(b, message...))
}

// checkItems checks what all items of a request have in common.
func (k *call) checkItems(sub uint32, stamps ua.TimestampsToReturn, n int) error {
	switch {
	case !k.x.client.Has(sub):
		return ua.StatusBadSubscriptionIDInvalid
	case stamps > ua.TimestampsToReturnNeither:
		return ua.StatusBadTimestampsToReturnInvalid
	}
	return k.operations(n)
}

func (k *call) createItems(req *ua.CreateMonitoredItemsRequest) (ua.Response, error) {
	if err := k.checkItems(req.SubscriptionID, req.TimestampsToReturn, len(req.ItemsToCreate)); err != nil {
		return nil, err
	}
	defer k.present()()
	resp := &ua.CreateMonitoredItemsResponse{DiagnosticInfos: []*ua.DiagnosticInfo{}}
	for _, it := range req.ItemsToCreate {
		r, filter := k.createItem(req.SubscriptionID, req.TimestampsToReturn, it)
		resp.Results = append(resp.Results, &ua.MonitoredItemCreateResult{
			StatusCode: r.Status, MonitoredItemID: r.ID, RevisedSamplingInterval: r.Sampling, RevisedQueueSize: r.Queue, FilterResult: filter,
		})
	}
	return resp, nil
}

func (k *call) createItem(sub uint32, stamps ua.TimestampsToReturn, it *ua.MonitoredItemCreateRequest) (monitor.ItemResult, *ua.ExtensionObject) {
	none := ua.NewExtensionObject(nil)
	refuse := func(status ua.StatusCode) (monitor.ItemResult, *ua.ExtensionObject) {
		return monitor.ItemResult{Status: status}, none
	}
	ref, ok := k.rev.space.Resolve(it.ItemToMonitor.NodeID)
	attr := it.ItemToMonitor.AttributeID
	switch {
	case !ok:
		return refuse(ua.StatusBadNodeIDUnknown)
	case it.MonitoringMode > ua.MonitoringModeReporting:
		return refuse(ua.StatusBadMonitoringModeInvalid)
	case it.ItemToMonitor.IndexRange != "":
		return refuse(ua.StatusBadIndexRangeNoData)
	case it.ItemToMonitor.DataEncoding.Name != "" && it.ItemToMonitor.DataEncoding.Name != "Default Binary":
		return refuse(ua.StatusBadDataEncodingInvalid)
	}
	if attr == ua.AttributeIDEventNotifier && k.rev.space.Class(ref) == ua.NodeClassObject {
		return k.createEventItem(sub, stamps, ref, it)
	}
	t, isTag := k.rev.space.Tag(ref)
	isValue := isTag && attr == ua.AttributeIDValue
	if !isValue {
		k.s.observe(ref, k.rev)
		if v := k.rev.readAttribute(ref, attr, k.user); v.Quality == qualityOf(ua.StatusBadAttributeIDInvalid) {
			return refuse(ua.StatusBadAttributeIDInvalid)
		}
	}
	spec, status := k.parameters(it.RequestedParameters, target{tag: t, isValue: isValue, attr: attr})
	if status != ua.StatusOK {
		return refuse(status)
	}
	spec.Mode, spec.Tag = it.MonitoringMode, t
	if !isValue {
		k.rev.watch(&spec, ref, polledPlace{node: it.ItemToMonitor.NodeID, attr: attr, session: k.x})
	}
	return k.x.client.CreateItem(sub, spec, stamps), none
}

// createEventItem makes an item for the events of a node.
func (k *call) createEventItem(sub uint32, stamps ua.TimestampsToReturn, ref space.Ref, it *ua.MonitoredItemCreateRequest) (monitor.ItemResult, *ua.ExtensionObject) {
	spec, result, status := k.eventParameters(ref, it.RequestedParameters)
	if status != ua.StatusOK {
		return monitor.ItemResult{Status: status}, result
	}
	spec.Mode = it.MonitoringMode
	return k.x.client.CreateItem(sub, spec, stamps), result
}

// eventParameters checks the wishes for an item for events.
func (k *call) eventParameters(ref space.Ref, p *ua.MonitoringParameters) (monitor.Spec, *ua.ExtensionObject, ua.StatusCode) {
	spec := monitor.Spec{ClientHandle: p.ClientHandle, Queue: p.QueueSize, KeepNewest: p.DiscardOldest, Place: eventPlace{k.rev.space.NodeID(ref)}}
	f, ok := p.Filter.Value.(*ua.EventFilter)
	if !ok {
		return spec, ua.NewExtensionObject(nil), ua.StatusBadEventFilterInvalid
	}
	filter, result, status := k.rev.newEventFilter(ref, f)
	if status == ua.StatusOK {
		spec.Event = filter.fieldsOf
	}
	return spec, ua.NewExtensionObject(result), status
}

func (k *call) modifyItems(req *ua.ModifyMonitoredItemsRequest) (ua.Response, error) {
	if err := k.checkItems(req.SubscriptionID, req.TimestampsToReturn, len(req.ItemsToModify)); err != nil {
		return nil, err
	}
	defer k.present()()
	resp := &ua.ModifyMonitoredItemsResponse{DiagnosticInfos: []*ua.DiagnosticInfo{}}
	for _, it := range req.ItemsToModify {
		r, filter := k.modifyItem(req.SubscriptionID, req.TimestampsToReturn, it)
		resp.Results = append(resp.Results, &ua.MonitoredItemModifyResult{
			StatusCode: r.Status, RevisedSamplingInterval: r.Sampling, RevisedQueueSize: r.Queue, FilterResult: filter,
		})
	}
	return resp, nil
}

func (k *call) modifyItem(sub uint32, stamps ua.TimestampsToReturn, it *ua.MonitoredItemModifyRequest) (monitor.ItemResult, *ua.ExtensionObject) {
	none := ua.NewExtensionObject(nil)
	if place, ok := k.x.client.EventPlace(sub, it.MonitoredItemID); ok {
		ref, ok := k.rev.space.Resolve(place.(eventPlace).node)
		if !ok {
			return monitor.ItemResult{Status: ua.StatusBadNodeIDUnknown}, none
		}
		spec, result, status := k.eventParameters(ref, it.RequestedParameters)
		if status != ua.StatusOK {
			return monitor.ItemResult{Status: status}, result
		}
		return k.x.client.ModifyItem(sub, it.MonitoredItemID, spec, stamps), result
	}
	t, isValue, status := k.x.client.ItemTag(sub, it.MonitoredItemID)
	if status != ua.StatusOK {
		return monitor.ItemResult{Status: status}, none
	}
	spec, status := k.parameters(it.RequestedParameters, target{tag: t, isValue: isValue, attr: ua.AttributeIDValue})
	if status != ua.StatusOK {
		return monitor.ItemResult{Status: status}, none
	}
	return k.x.client.ModifyItem(sub, it.MonitoredItemID, spec, stamps), none
}

func (k *call) setMonitoringMode(req *ua.SetMonitoringModeRequest) (ua.Response, error) {
	if err := k.checkItems(req.SubscriptionID, 0, len(req.MonitoredItemIDs)); err != nil {
		return nil, err
	}
	if req.MonitoringMode > ua.MonitoringModeReporting {
		return nil, ua.StatusBadMonitoringModeInvalid
	}
	results, err := k.each(req.MonitoredItemIDs, func(n uint32) ua.StatusCode {
		return k.x.client.SetMode(req.SubscriptionID, n, req.MonitoringMode)
	})
	return &ua.SetMonitoringModeResponse{Results: results, DiagnosticInfos: []*ua.DiagnosticInfo{}}, err
}

func (k *call) deleteItems(req *ua.DeleteMonitoredItemsRequest) (ua.Response, error) {
	if err := k.checkItems(req.SubscriptionID, 0, len(req.MonitoredItemIDs)); err != nil {
		return nil, err
	}
	results, err := k.each(req.MonitoredItemIDs, func(n uint32) ua.StatusCode { return k.x.client.DeleteItem(req.SubscriptionID, n) })
	return &ua.DeleteMonitoredItemsResponse{Results: results, DiagnosticInfos: []*ua.DiagnosticInfo{}}, err
}

func (k *call) setTriggering(req *ua.SetTriggeringRequest) (ua.Response, error) {
	if err := k.checkItems(req.SubscriptionID, 0, len(req.LinksToAdd)+len(req.LinksToRemove)); err != nil {
		return nil, err
	}
	if _, _, status := k.x.client.ItemTag(req.SubscriptionID, req.TriggeringItemID); status != ua.StatusOK {
		return nil, status
	}
	resp := &ua.SetTriggeringResponse{
		AddResults: []ua.StatusCode{}, RemoveResults: []ua.StatusCode{}, AddDiagnosticInfos: []*ua.DiagnosticInfo{}, RemoveDiagnosticInfos: []*ua.DiagnosticInfo{},
	}
	for _, n := range req.LinksToRemove {
		resp.RemoveResults = append(resp.RemoveResults, k.x.client.Unlink(req.SubscriptionID, req.TriggeringItemID, n))
	}
	for _, n := range req.LinksToAdd {
		resp.AddResults = append(resp.AddResults, k.x.client.Link(req.SubscriptionID, req.TriggeringItemID, n))
	}
	return resp, nil
}
