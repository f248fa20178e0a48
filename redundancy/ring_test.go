package redundancy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/redundancy/wire"
)

func payloads(n, size int) []Record {
	list := make([]Record, n)
	for i := range list {
		list[i] = Record{Kind: 1, Payload: make([]byte, size)}
	}
	return list
}

func TestRingKeepsWhatFits(t *testing.T) {
	now := time.Unix(100, 0)
	r := newRing(1, time.Minute, 10*(100+entryCost))
	if got := r.add(payloads(10, 100), now); got != 10 || !r.has(1) || !r.has(11) || r.has(12) {
		t.Fatalf("position %d", got)
	}
	if got := r.add(payloads(1, 100), now); got != 11 || r.has(1) || !r.has(2) {
		t.Errorf("one byte too many: position %d", got)
	}
	if r.add(payloads(1, 1), now.Add(time.Minute+1)); r.has(11) || !r.has(12) {
		t.Error("records older than the limit are kept")
	}
	if r.add(payloads(1, 1<<20), now.Add(time.Minute+1)); !r.has(13) {
		t.Error("the newest record is always kept")
	}
	if r.end(); r.add(payloads(1, 1), now) != 0 {
		t.Error("a record after the end of the term")
	}
}

func TestRingBatches(t *testing.T) {
	r := newRing(1, time.Minute, 64<<20)
	r.add(payloads(3, wire.BatchBytes/2), time.Now())
	r.add(payloads(1, wire.BatchBytes*2), time.Now())
	r.add(payloads(wire.MaxRecords+1, 1), time.Now())
	next := uint64(1)
	for _, want := range []int{2, 1, 1, wire.MaxRecords, 1, 0} {
		list, _, _, ok := r.get(next)
		if !ok || len(list) != want {
			t.Fatalf("from %d: %d records, want %d", next, len(list), want)
		}
		next += uint64(len(list))
	}
	if _, _, _, ok := r.get(next + 1); ok {
		t.Error("records that are not there yet")
	}
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.setEpoch("main", 7); err != nil {
		t.Fatal(err)
	}
	if err := s.setEpoch("main", 3); err != nil {
		t.Fatal(err)
	}
	inc, err := s.nextIncarnation(1000)
	if err != nil || inc != 1000 {
		t.Fatalf("%d, %v", inc, err)
	}
	again, err := openStore(dir)
	if err != nil || again.epoch("main") != 7 {
		t.Errorf("epoch %d after reopening, %v", again.epoch("main"), err)
	}
	if inc, _ := again.nextIncarnation(5); inc != 1001 {
		t.Errorf("incarnation %d with a clock set back, want 1001", inc)
	}
	if err := os.WriteFile(filepath.Join(dir, storeFile), []byte(`{"epochs":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(dir); err == nil || !strings.Contains(err.Error(), storeFile) {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestStoreThatCannotWrite(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, storeFile+".new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.setEpoch("main", 1); err == nil || s.epoch("main") != 0 {
		t.Errorf("epoch %d, %v", s.epoch("main"), err)
	}
}

func TestEventsAreDroppedOldestFirst(t *testing.T) {
	var got []Event
	e := newEvents(func(ev Event) { got = append(got, ev) })
	for i := range MaxEvents + 3 {
		e.add(Event{What: EventRole, Epoch: uint64(i)})
	}
	for _, h := range e.take() {
		e.tell(h)
	}
	if len(got) != MaxEvents+1 || got[0].What != EventDropped || got[1].Epoch != 3 || e.lost() != 3 {
		t.Errorf("%d events, first %+v, lost %d", len(got), got[0], e.lost())
	}
}

func TestRemoteErrorsStayRecognisable(t *testing.T) {
	for _, err := range []error{ErrNotActive, ErrRefused, ErrUnknownArea} {
		if got := remote(err.Error() + ": because"); got.Error() != err.Error()+": because" {
			t.Errorf("%v became %v", err, got)
		}
	}
	if remote("") != nil || remote("x").Error() != "x" {
		t.Error("plain texts")
	}
}
