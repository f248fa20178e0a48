package uaserver_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/web/uaserver"
)

// recording is a station that has a journal. Its pages are shorter than asked for, and every other one is empty.
type recording struct{ *station }

func (r recording) Past(_ context.Context, from, to int64, backwards bool, limit int, at string) ([]uaserver.AlarmEvent, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	skip, _ := strconv.Atoi(at) // "" is the beginning
	var all []uaserver.AlarmEvent
	for _, ev := range r.told {
		if ev.Time >= from && ev.Time < to {
			all = append(all, uaserver.AlarmEvent{Event: ev, Message: "recorded"})
		}
	}
	slices.SortStableFunc(all, func(a, b uaserver.AlarmEvent) int { return cmp.Compare(a.Time, b.Time) })
	if backwards {
		slices.Reverse(all)
	}
	if skip%2 == 0 { // even places lead to an empty page first
		return nil, strconv.Itoa(skip + 1), nil
	}
	skip--
	end := min(skip+min(limit, 2)*2, 2*len(all))
	next := strconv.Itoa(end)
	if end == 2*len(all) {
		next = ""
	}
	return all[skip/2 : end/2], next, nil
}

// pastEvents reads the names of events, and returns them with the status and the continuation point.
func pastEvents(t *testing.T, c *opcua.Client, n *ua.NodeID, d *ua.ReadEventDetails, point []byte) (string, ua.StatusCode, []byte) {
	t.Helper()
	if d.Filter == nil {
		d.Filter = &ua.EventFilter{SelectClauses: fields("ConditionName", "ActiveState/Id"), WhereClause: &ua.ContentFilter{}}
	}
	r, err := tryHistory(t, c, d, &ua.HistoryReadValueID{NodeID: n, DataEncoding: &ua.QualifiedName{}, ContinuationPoint: point})
	if err != nil {
		t.Fatalf("history of events: %v", err)
	}
	one := r.Results[0]
	var out []string
	if list, ok := one.HistoryData.Value.(*ua.HistoryEvent); ok {
		for _, e := range list.Events {
			out = append(out, fmt.Sprint(e.EventFields[0].Value(), " ", e.EventFields[1].Value()))
		}
	}
	return strings.Join(out, ", "), one.StatusCode, one.ContinuationPoint
}

func TestHistoryReadEvents(t *testing.T) {
	s := &station{last: map[string]alarms.Event{}}
	f := startAlarms(t, s, func(cfg *uaserver.Config) { cfg.History, cfg.Alarms = &archive{}, recording{s} })
	c := f.connect(t)
	began := time.Now().Add(-time.Second)
	s.sample(speed, tag.Float64(120))
	s.sample(number0, tag.Float64(11))
	s.sample(speed, tag.Float64(1))
	s.sample(number0, tag.Float64(1))
	ended := time.Now().Add(time.Second)
	whole := func() *ua.ReadEventDetails { return &ua.ReadEventDetails{StartTime: began, EndTime: ended} }
	const forward, backward = "speed true, number/Hi true, speed false, number/Hi false", "number/Hi false, speed false, number/Hi true, speed true"
	if got, status, point := pastEvents(t, c, standard(id.Server), whole(), nil); got != forward || status != ua.StatusOK || len(point) != 0 {
		t.Errorf("all: %s, %v, %x", got, status, point)
	}
	if got, _, _ := pastEvents(t, c, standard(id.Server), &ua.ReadEventDetails{StartTime: ended, EndTime: began}, nil); got != backward {
		t.Errorf("backwards: %s", got)
	}
	if got, _, point := pastEvents(t, c, standard(id.Server), &ua.ReadEventDetails{EndTime: ended, NumValuesPerNode: 3}, nil); got != backward[:strings.LastIndex(backward, ",")] || len(point) != 0 {
		t.Errorf("the newest three: %s, %x", got, point)
	}
	if got, _, _ := pastEvents(t, c, node("number/"), whole(), nil); got != "number/Hi true, number/Hi false" {
		t.Errorf("of a folder: %s", got)
	}
	active := whole()
	active.Filter = &ua.EventFilter{SelectClauses: fields("ConditionName", "ActiveState/Id"), WhereClause: &ua.ContentFilter{Elements: []*ua.ContentFilterElement{
		element(ua.FilterOperatorEquals, field("ActiveState/Id"), literal(true)),
	}}}
	if got, _, _ := pastEvents(t, c, standard(id.Server), active, nil); got != "speed true, number/Hi true" {
		t.Errorf("where active: %s", got)
	}
	one := whole()
	one.NumValuesPerNode = 1
	var parts []string
	got, status, point := pastEvents(t, c, standard(id.Server), one, nil)
	for parts = append(parts, got); len(point) > 0 && status == ua.StatusOK && len(parts) < 9; parts = append(parts, got) {
		got, status, point = pastEvents(t, c, standard(id.Server), one, point)
	}
	if strings.Join(parts, ", ") != forward {
		t.Errorf("one by one: %q, %v", parts, status)
	}
	// The events are those that were told, by their ids.
	ids := whole()
	ids.Filter = &ua.EventFilter{SelectClauses: fields("EventId", "Message"), WhereClause: &ua.ContentFilter{}}
	if got, _, _ := pastEvents(t, c, standard(id.Server), ids, nil); !strings.HasPrefix(got, fmt.Sprintf("%d ", s.key(0))) {
		t.Errorf("ids: %s", got)
	}
}

func TestHistoryReadEventsRefuses(t *testing.T) {
	s := &station{last: map[string]alarms.Event{}}
	f := startAlarms(t, s, func(cfg *uaserver.Config) { cfg.History, cfg.Alarms = &archive{}, recording{s} })
	c := f.connect(t)
	now := time.Now()
	if got, status, _ := pastEvents(t, c, standard(id.Server), &ua.ReadEventDetails{StartTime: now.Add(-time.Hour), EndTime: now}, nil); status != ua.StatusGoodNoData {
		t.Errorf("nothing happened: %q, %v", got, status)
	}
	noFields := &ua.EventFilter{WhereClause: &ua.ContentFilter{}}
	for what, tc := range map[string]struct {
		node  *ua.NodeID
		d     *ua.ReadEventDetails
		point []byte
		want  ua.StatusCode
	}{
		"no time":       {standard(id.Server), &ua.ReadEventDetails{NumValuesPerNode: 5}, nil, ua.StatusBadHistoryOperationInvalid},
		"no end":        {standard(id.Server), &ua.ReadEventDetails{StartTime: now}, nil, ua.StatusBadHistoryOperationInvalid},
		"a tag":         {node("line1/pump1/speed"), &ua.ReadEventDetails{StartTime: now, EndTime: now}, nil, ua.StatusBadHistoryOperationUnsupported},
		"no node":       {node("none/"), &ua.ReadEventDetails{StartTime: now, EndTime: now}, nil, ua.StatusBadNodeIDUnknown},
		"no fields":     {standard(id.Server), &ua.ReadEventDetails{StartTime: now, EndTime: now, Filter: noFields}, nil, ua.StatusBadEventFilterInvalid},
		"unknown point": {standard(id.Server), &ua.ReadEventDetails{StartTime: now, EndTime: now}, []byte("none"), ua.StatusBadContinuationPointInvalid},
	} {
		if _, status, _ := pastEvents(t, c, tc.node, tc.d, tc.point); status != tc.want {
			t.Errorf("%s: %v, want %v", what, status, tc.want)
		}
	}
	for n, want := range map[uint32]any{id.HistoryServerCapabilities_AccessHistoryEventsCapability: true, id.HistoryServerCapabilities_MaxReturnEventValues: uint32(1000)} {
		if got := readOne(t, c, standard(n), ua.AttributeIDValue).Value.Value(); got != want {
			t.Errorf("node %d: %v", n, got)
		}
	}
	if got := readOne(t, c, standard(id.Server), ua.AttributeIDEventNotifier).Value.Uint(); got != 5 {
		t.Errorf("EventNotifier is %d", got)
	}
}
