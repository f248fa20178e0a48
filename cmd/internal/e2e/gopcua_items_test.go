//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// variables finds the tags below the project's folder.
func (g gopcua) variables(c *opcua.Client) (found []*ua.NodeID) {
	g.t.Helper()
	for queue := []*ua.NodeID{ua.NewStringNodeID(2, "/")}; len(queue) > 0; queue = queue[1:] {
		refs, err := c.Node(queue[0]).References(g.limited(), id.Organizes, ua.BrowseDirectionForward, ua.NodeClassAll, true)
		if err != nil {
			g.t.Fatalf("browse %s: %v", queue[0], err)
		}
		for _, r := range refs {
			if r.NodeClass == ua.NodeClassVariable {
				found = append(found, r.NodeID.NodeID)
			} else {
				queue = append(queue, r.NodeID.NodeID)
			}
		}
	}
	return found
}

// thousand takes 1,000 items for a while: each is told of, and of the proof tag every recorded change is.
func (g gopcua) thousand(c *opcua.Client, span time.Duration) {
	g.t.Helper()
	notify := make(chan *opcua.PublishNotificationData, 1000)
	sub, err := c.Subscribe(g.limited(), &opcua.SubscriptionParameters{Interval: 100 * time.Millisecond}, notify)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = sub.Cancel(g.limited()) }()
	tags := g.variables(c)
	list := make([]*ua.MonitoredItemCreateRequest, uaItems)
	for i := range list {
		n, sampling := tags[i%len(tags)], 100.0
		if i == 0 {
			n, sampling = ua.NewStringNodeID(2, uaProofTag), 0
		}
		list[i] = &ua.MonitoredItemCreateRequest{
			ItemToMonitor:       &ua.ReadValueID{NodeID: n, AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}},
			MonitoringMode:      ua.MonitoringModeReporting,
			RequestedParameters: &ua.MonitoringParameters{ClientHandle: uint32(i), SamplingInterval: sampling, QueueSize: 100, DiscardOldest: true, Filter: ua.NewExtensionObject(nil)},
		}
	}
	resp, err := sub.Monitor(g.limited(), ua.TimestampsToReturnBoth, list...)
	if err != nil || slices.ContainsFunc(resp.Results, func(r *ua.MonitoredItemCreateResult) bool { return r.StatusCode != ua.StatusOK }) {
		g.t.Fatalf("monitor %d items: %v", uaItems, err)
	}
	told, proof, values := map[uint32]bool{}, map[int64]bool{}, 0
	began := time.Now()
	for end := time.After(span + time.Second); ; { // what changes at the end is on its way for a moment
		select {
		case <-end:
			if len(told) != uaItems {
				g.t.Errorf("%d of %d items told of", len(told), uaItems)
			}
			g.recorded(proof, began.Add(time.Second), began.Add(span))
			g.t.Logf("%d values of %d items in %s", values, len(told), span)
			return
		case n := <-notify:
			if n.Error != nil {
				g.t.Fatalf("after %s: %v", time.Since(began), n.Error)
			}
			d, ok := n.Value.(*ua.DataChangeNotification)
			if !ok {
				continue
			}
			for _, it := range d.MonitoredItems {
				if told[it.ClientHandle] = true; it.ClientHandle == 0 {
					proof[it.Value.SourceTimestamp.UnixMilli()] = true
				}
				values++
			}
		}
	}
}

// recorded holds the changes of the proof tag a client saw against those the archive has.
func (g gopcua) recorded(seen map[int64]bool, from, to time.Time) {
	g.t.Helper()
	was, n := "", 0
	for _, s := range g.r.history("a", uaProofTag, to) {
		v := fmt.Sprint(s.Value)
		if s.Time.Before(from) || s.Quality != "Good" || v == was {
			continue
		}
		was = v
		at := s.Time.UnixMilli() // of what the wire says in another unit
		if n++; !seen[at-1] && !seen[at] && !seen[at+1] {
			g.t.Errorf("the change at %s was not seen", s.Time)
		}
	}
	if n < int(to.Sub(from).Seconds()) {
		g.t.Errorf("%d changes recorded in %s", n, to.Sub(from))
	}
}

// events reads the recorded alarm events of the plant.
func (g gopcua) events(c *opcua.Client) {
	g.t.Helper()
	field := func(name string) *ua.SimpleAttributeOperand {
		return &ua.SimpleAttributeOperand{TypeDefinitionID: ua.NewNumericNodeID(0, id.BaseEventType), AttributeID: ua.AttributeIDValue, BrowsePath: []*ua.QualifiedName{{Name: name}}}
	}
	req := &ua.HistoryReadRequest{
		HistoryReadDetails: ua.NewExtensionObject(&ua.ReadEventDetails{
			StartTime: time.Now().Add(-time.Hour), EndTime: time.Now(), NumValuesPerNode: 10,
			Filter: &ua.EventFilter{SelectClauses: []*ua.SimpleAttributeOperand{field("EventId"), field("Message"), field("Time")}, WhereClause: &ua.ContentFilter{}},
		}),
		NodesToRead: []*ua.HistoryReadValueID{{NodeID: ua.NewNumericNodeID(0, id.Server), DataEncoding: &ua.QualifiedName{}}},
	}
	var got *ua.HistoryReadResponse
	err := c.Send(g.limited(), req, func(v ua.Response) error {
		got, _ = v.(*ua.HistoryReadResponse)
		return nil
	})
	if err != nil || got == nil || len(got.Results) != 1 || got.Results[0].StatusCode&0x80000000 != 0 {
		g.t.Fatalf("history of events: %+v, %v", got, err)
	}
}
