package monitor

import (
	"cmp"
	"slices"

	"github.com/gopcua/opcua/ua"
)

// tally counts what happened to a subscription. It is guarded by the engine's lock.
type tally struct {
	modified, enabled, disabled         uint32
	republishRequests, republished      uint32
	transferRequests, transferred       uint32
	publishes, values, events           uint32
	late, discarded                     uint32
	queueOverflows, eventQueueOverflows uint32
}

// SubscriptionDiagnostics is a subscription as OPC 10000-5 tells of it, but for the id of its session.
type SubscriptionDiagnostics struct {
	Client *Client // nil: its session has ended
	Values *ua.SubscriptionDiagnosticsDataType
}

// Load is what a client has of the engine at the moment.
type Load struct{ Subscriptions, Items, Publish uint32 }

// Diagnostics returns all subscriptions in order of their ids, and what each client has.
func (e *Engine) Diagnostics() ([]SubscriptionDiagnostics, map[*Client]Load) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out, load := make([]SubscriptionDiagnostics, 0, len(e.subs)), map[*Client]Load{}
	for _, s := range e.subs {
		out = append(out, SubscriptionDiagnostics{s.client, s.diagnostics()})
		if s.client != nil {
			l := load[s.client]
			load[s.client] = Load{l.Subscriptions + 1, l.Items + uint32(len(s.items)), uint32(len(s.client.waiting))}
		}
	}
	slices.SortFunc(out, func(a, b SubscriptionDiagnostics) int {
		return cmp.Compare(a.Values.SubscriptionID, b.Values.SubscriptionID)
	})
	return out, load
}

func (s *subscription) diagnostics() *ua.SubscriptionDiagnosticsDataType {
	disabled := uint32(0)
	for _, it := range s.items {
		if it.spec.Mode == ua.MonitoringModeDisabled {
			disabled++
		}
	}
	t := &s.tally
	return &ua.SubscriptionDiagnosticsDataType{
		SubscriptionID: s.id, Priority: s.params.Priority, PublishingInterval: s.params.Interval, MaxKeepAliveCount: s.params.KeepAlive,
		MaxLifetimeCount: s.params.Lifetime, MaxNotificationsPerPublish: s.params.PerMessage, PublishingEnabled: s.params.Enabled,
		ModifyCount: t.modified, EnableCount: t.enabled, DisableCount: t.disabled,
		RepublishRequestCount: t.republishRequests, RepublishMessageRequestCount: t.republishRequests, RepublishMessageCount: t.republished,
		TransferRequestCount: t.transferRequests, TransferredToSameClientCount: t.transferred, PublishRequestCount: t.publishes,
		DataChangeNotificationsCount: t.values, EventNotificationsCount: t.events, NotificationsCount: t.values + t.events,
		LatePublishRequestCount: t.late, CurrentKeepAliveCount: s.silent, CurrentLifetimeCount: s.idle,
		UnacknowledgedMessageCount: uint32(len(s.sent)), DiscardedMessageCount: t.discarded,
		MonitoredItemCount: uint32(len(s.items)), DisabledMonitoredItemCount: disabled,
		MonitoringQueueOverflowCount: t.queueOverflows, EventQueueOverFlowCount: t.eventQueueOverflows, NextSequenceNumber: max(s.seq+1, 1),
	}
}

// Intervals returns how many different publishing intervals the subscriptions have.
func (e *Engine) Intervals() int64 { return e.intervals.Load() }

// pace counts n subscriptions more with an interval.
func (e *Engine) pace(interval int64, n int) {
	if e.paces[interval] += n; e.paces[interval] == 0 {
		delete(e.paces, interval)
	}
	e.intervals.Store(int64(len(e.paces)))
}
