package alarms_test

import (
	"bytes"
	"testing"

	"scada/acquisition/tag"
	"scada/alarms"
)

func TestAnAvalancheTravelsInParts(t *testing.T) {
	const limit = 4096
	active, batch := plant(t, 500)
	standby, _ := plant(t, 500)
	active.eng.TakeOver(instant(0.5), 2)
	for i := range batch {
		batch[i].Time, batch[i].Value = instant(1), tag.Float64(95)
	}
	standby.eng.TakeOver(instant(0.5), 2)
	o := active.eng.Samples(instant(1), batch)
	standby.eng.Observe(batch)
	var events []alarms.Event
	for i, part := range alarms.EncodeOutcome(o, limit) {
		if len(part) > limit {
			t.Errorf("part %d has %d bytes, the limit is %d", i, len(part), limit)
		}
		got, rest, err := alarms.ReadOutcome(part)
		if err != nil || len(rest) > 0 {
			t.Fatal(err)
		}
		if err := standby.eng.Apply(got); err != nil {
			t.Fatal(err)
		}
		events = append(events, got.Events...)
	}
	if !bytes.Equal(active.eng.Snapshot(), standby.eng.Snapshot()) {
		t.Error("the images differ")
	}
	if describeAll(events) != describeAll(o.Events) {
		t.Errorf("%d events arrived of %d", len(events), len(o.Events))
	}
	whole := active.eng.TakeOver(instant(2), 3)
	if parts := alarms.EncodeOutcome(whole, 1); len(parts) != 1 || !bytes.Equal(parts[0], alarms.AppendOutcome(nil, whole)) {
		t.Errorf("a mark alone makes %d parts", len(parts))
	}
	if parts := alarms.EncodeOutcome(alarms.Outcome{}, limit); len(parts) != 0 {
		t.Errorf("nothing makes %d parts", len(parts))
	}
}
