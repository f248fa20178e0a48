package live_test

import (
	"fmt"
	"testing"

	"scada/acquisition/live"
	"scada/acquisition/tag"
)

func TestTailKeepsEveryChange(t *testing.T) {
	table := live.New(3)
	tail := table.Tail(3)
	defer tail.Close()
	tail.Follow(1, true)
	tail.Follow(99, true)
	numbers := func() string {
		got, lost := tail.Take(nil)
		s := fmt.Sprint(lost)
		for _, c := range got {
			s += fmt.Sprintf(" %d=%v", c.Tag, c.Value.Number())
		}
		return s
	}
	table.Apply([]tag.Update{update(1, 1, 5), update(0, 1, 5), update(1, 2, 6), update(1, 2, 6)})
	if latest := table.Latest(1); latest.Value.Number() != 6 || latest.Seq == 0 {
		t.Errorf("the latest is %+v", latest)
	}
	if got := numbers(); got != "false 1=5 1=6" {
		t.Errorf("two samples in one batch are %q", got)
	}
	for i := range 4 {
		table.Apply([]tag.Update{update(1, int64(10+i), float64(i))})
	}
	if got := numbers(); got != "true" {
		t.Errorf("one more than it keeps: %q", got)
	}
	table.Requalify([]tag.ID{1}, func(tag.Sample) tag.Quality { return tag.UncertainLastUsableValue })
	tail.Follow(1, false)
	table.Apply([]tag.Update{update(1, 30, 30)})
	if got := numbers(); got != "false 1=3" {
		t.Errorf("a new quality, and then a value nobody asked for: %q", got)
	}
}
