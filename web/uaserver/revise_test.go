package uaserver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web/uaserver"
)

// reconfigure gives the plant other tags, with the values of those that stay.
func (p *plant) reconfigure(tags ...tag.Definition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	table := live.New(len(tags))
	for i := range tags {
		tags[i].ID = tag.ID(i)
		if was := slices.IndexFunc(p.tags, func(d tag.Definition) bool { return d.Name == tags[i].Name }); was >= 0 {
			table.Apply([]tag.Update{{Tag: tag.ID(i), Sample: p.table.Get(tag.ID(was))}})
		}
	}
	p.tags, p.table = tags, table
}

func (w *watcher) statuses(handle uint32) string {
	var out []string
	for _, v := range w.got(handle) {
		out = append(out, fmt.Sprintf("%x", uint32(v.Status)))
	}
	return strings.Join(out, " ")
}

// TestRevisionWhileClientsWatch adds, removes and changes tags under subscriptions.
func TestRevisionWhileClientsWatch(t *testing.T) {
	f := start(t, newPlant(3), nil)
	f.set(speed, tag.Float64(1))
	f.set(text, tag.String("a"))
	f.set(number0, tag.Float64(1))
	c := f.connect(t)
	description := item(node("line1/text"), 3, 100, 1, nil)
	description.ItemToMonitor.AttributeID = ua.AttributeIDDisplayName
	w := f.watch(t, c, 50*time.Millisecond,
		item(node("line1/pump1/speed"), 0, 0, 10, nil), item(node("line1/text"), 1, 0, 10, nil), item(node("number/n00000"), 2, 50, 10, nil), description)
	w.until(t, func() bool { return len(w.got(0)) > 0 && len(w.got(1)) > 0 && len(w.got(2)) > 0 && len(w.got(3)) > 0 })
	events := f.listen(t, c, eventItem(standard(id.Server), 0, fields("EventType", "SourceName", "Changes")))
	version := readOne(t, c, node("line1/#NodeVersion"), ua.AttributeIDValue).Value.String()

	was := f.tags
	changed := was[speed]
	changed.Range.High = 400
	added := tag.Definition{Name: "line2/new", Type: tag.TypeFloat64, Writable: true}
	f.reconfigure(added, was[number0], was[number0+1], was[number0+2], changed, was[run], was[starts])
	done, err := f.srv.Revise()
	if err != nil || done != (uaserver.Revised{Added: 2, Removed: 1, Changed: 1}) {
		t.Errorf("revised %+v, %v", done, err)
	}
	w.until(t, func() bool { return len(w.got(1)) > 1 && len(w.got(3)) > 1 && len(w.got(0)) > 1 })
	f.set(4, tag.Float64(2)) // the speed, under its new number
	f.set(1, tag.Float64(2))
	w.until(t, func() bool { return w.last(0) == 2 && w.last(2) == 2 })
	gone := fmt.Sprintf("0 %x", uint32(ua.StatusBadNodeIDUnknown))
	for handle, want := range map[uint32]string{0: "0 4000 0", 1: gone, 2: "0 0", 3: gone} {
		if got := w.statuses(handle); got != want {
			t.Errorf("item %d has the statuses %s, want %s", handle, got, want)
		}
	}
	events.want(t, "i=2133 Server "+changesText(t,
		&ua.ModelChangeStructureDataType{Affected: node("line1/text"), AffectedType: standard(id.BaseDataVariableType), Verb: 2},
		&ua.ModelChangeStructureDataType{Affected: node("line1/"), AffectedType: standard(id.FolderType), Verb: 8},
		&ua.ModelChangeStructureDataType{Affected: node("line2/"), AffectedType: standard(id.FolderType), Verb: 1},
		&ua.ModelChangeStructureDataType{Affected: node("/"), AffectedType: standard(id.FolderType), Verb: 4},
		&ua.ModelChangeStructureDataType{Affected: node("line2/new"), AffectedType: standard(id.BaseDataVariableType), Verb: 1},
		&ua.ModelChangeStructureDataType{Affected: node("line2/"), AffectedType: standard(id.FolderType), Verb: 4},
	), "i=2738 Server "+changesText(t, &ua.SemanticChangeStructureDataType{Affected: node("line1/pump1/speed"), AffectedType: standard(id.AnalogItemType)}))

	if got := readOne(t, c, node("line1/text"), ua.AttributeIDValue).Status; got != ua.StatusBadNodeIDUnknown {
		t.Errorf("a removed tag reads %v", got)
	}
	if got := readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDValue).Value.Float(); got != 2 {
		t.Errorf("a tag with another id reads %v", got)
	}
	if got := readOne(t, c, node("line1/#NodeVersion"), ua.AttributeIDValue).Value.String(); got == version {
		t.Errorf("the folder is still version %s", got)
	}
	if got := write(t, f.connect(t, f.as(t, "operator", "right")...), node("line2/new"), 7.0); got != ua.StatusOK || f.table.Get(0).Value.Number() != 7 {
		t.Errorf("write to a new tag: %v, %v", got, f.table.Get(0))
	}

	f.reconfigure(append(f.tags[:len(f.tags):len(f.tags)], was[text])...)
	f.set(7, tag.String("b"))
	if _, err := f.srv.Revise(); err != nil {
		t.Fatal(err)
	}
	w.until(t, func() bool { return len(w.got(1)) > 2 && len(w.got(3)) > 2 })
	if got := w.got(1)[2].Value.String(); got != "b" {
		t.Errorf("a tag that came back has %q", got)
	}
}

func changesText[T any](t *testing.T, all ...*T) string {
	t.Helper()
	list := make([]*ua.ExtensionObject, len(all))
	for i, c := range all {
		list[i] = ua.NewExtensionObject(c)
	}
	return changesOf(ua.MustVariant(list))
}

// changesOf writes the field Changes of an event.
func changesOf(v *ua.Variant) string {
	var out []string
	list, _ := v.Value().([]*ua.ExtensionObject)
	for _, x := range list {
		switch c := x.Value.(type) {
		case *ua.ModelChangeStructureDataType:
			out = append(out, fmt.Sprintf("%s(%s)=%d", c.Affected, c.AffectedType, c.Verb))
		case *ua.SemanticChangeStructureDataType:
			out = append(out, fmt.Sprintf("%s(%s)", c.Affected, c.AffectedType))
		}
	}
	return strings.Join(out, ",")
}

// TestManyChangesAreOneEventWithoutAList removes more nodes than an event lists.
func TestManyChangesAreOneEventWithoutAList(t *testing.T) {
	f := start(t, newPlant(1100), nil)
	c := f.connect(t)
	whole := f.listen(t, c, eventItem(standard(id.Server), 0, fields("EventType", "Changes")))
	f.reconfigure(f.tags[:number0:number0]...)
	if done, err := f.srv.Revise(); err != nil || done.Removed != 1101 {
		t.Errorf("%+v, %v", done, err)
	}
	whole.want(t, "i=2132 <nil>")
	f.reconfigure(append(f.tags[:len(f.tags):len(f.tags)], f.tags[0])...)
	if _, err := f.srv.Revise(); err == nil || !strings.Contains(err.Error(), "revise opc ua server") {
		t.Errorf("a name twice: %v", err)
	}
	f.served(t)
}

// TestBrowseDoesNotGoOnInAnotherRevision has the second page of what is not there any more refused.
func TestBrowseDoesNotGoOnInAnotherRevision(t *testing.T) {
	f := start(t, newPlant(10), nil)
	r := rawSession(t, f)
	first := r.exchange(t, &ua.BrowseRequest{
		View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)}, RequestedMaxReferencesPerNode: 5,
		NodesToBrowse: []*ua.BrowseDescription{{NodeID: node("number/"), ReferenceTypeID: standard(id.Organizes)}},
	}).(*ua.BrowseResponse)
	f.reconfigure(f.tags[:number0+1]...)
	if _, err := f.srv.Revise(); err != nil {
		t.Fatal(err)
	}
	next := r.exchange(t, &ua.BrowseNextRequest{ContinuationPoints: [][]byte{first.Results[0].ContinuationPoint}}).(*ua.BrowseNextResponse)
	if got := next.Results[0].StatusCode; got != ua.StatusBadContinuationPointInvalid {
		t.Errorf("the next page: %v", got)
	}
}
