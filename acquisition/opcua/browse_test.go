package opcua

import (
	"errors"
	"strings"
	"testing"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// TestBrowse: a device's variables as tags could be made of them, in pages.
func TestBrowse(t *testing.T) {
	r := newRig(t, nil)
	if _, _, err := r.source.Browse(t.Context(), "", 0, 10); !errors.Is(err, ErrNotConnected) {
		t.Errorf("browsed without a session: %v", err)
	}
	r.run()
	r.sink.waitNumber(t, 0, 10.5)
	from := r.nodes.Objects().ID().String()
	all, total, err := r.source.Browse(t.Context(), from, 0, acquisition.MaxBrowse)
	if err != nil || total != len(startValues) || len(all) != total {
		t.Fatalf("%d of %d nodes, %v", len(all), total, err)
	}
	want := map[string]tag.Type{"speed": tag.TypeFloat64, "count": tag.TypeInt32, "on": tag.TypeBool, "text": tag.TypeString, "raw": tag.TypeInt16, "array": tag.TypeNone}
	for _, n := range all {
		if w, ok := want[n.Path]; ok && (n.Type != w || !strings.HasSuffix(n.ID, ";s="+n.Path)) {
			t.Errorf("%+v", n)
		}
		if _, err := parseNode(n.ID); err != nil {
			t.Errorf("%s cannot be the address of a tag: %v", n.ID, err)
		}
		delete(want, n.Path)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	page, total, err := r.source.Browse(t.Context(), from, 2, 3)
	if err != nil || total != len(all) || len(page) != 3 || page[0] != all[2] {
		t.Errorf("page %+v of %d, %v", page, total, err)
	}
	if past, _, err := r.source.Browse(t.Context(), from, total+1, 3); err != nil || len(past) != 0 {
		t.Errorf("behind the end: %v, %v", past, err)
	}
	for _, wrong := range []string{"no node", "ns=1;s=" + strings.Repeat("x", maxAddress)} {
		if _, _, err := r.source.Browse(t.Context(), wrong, 0, 10); err == nil {
			t.Errorf("browsed %.20q", wrong)
		}
	}
}

// TestExamine: how quick the device is, and who it says it is.
func TestExamine(t *testing.T) {
	r := newRig(t, nil)
	if _, err := r.source.Examine(t.Context(), "mixer"); !errors.Is(err, ErrNotConnected) {
		t.Errorf("examined without a session: %v", err)
	}
	r.run()
	r.sink.waitNumber(t, 0, 10.5)
	e, err := r.source.Examine(t.Context(), "mixer")
	if err != nil || len(e.Trials) != 1 || !e.Trials[0].Good() || e.Trials[0].P50 <= 0 || e.Best != 1 {
		t.Errorf("%+v, %v", e, err)
	}
	r.sink.waitNumber(t, 0, 10.5)
}
