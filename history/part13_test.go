package history_test

import (
	"math"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history"
)

// The example data of OPC 10000-13, annex A: historian 2 (sloped) and historian 3 (the same, stepped), in
// seconds after 12:00:00. Uncertain values are treated as bad there, as they are here.
var part13 = []tag.Sample{
	{Time: 0, Quality: tag.BadNoData}, {Time: 2, Value: tag.Float64(10)}, {Time: 25, Value: tag.Float64(20)}, {Time: 28, Value: tag.Float64(25)},
	{Time: 39, Value: tag.Float64(30)}, {Time: 42, Quality: tag.BadCommunicationError}, {Time: 48, Value: tag.Float64(40)},
	{Time: 52, Value: tag.Float64(50)}, {Time: 72, Value: tag.Float64(60)}, {Time: 77, Value: tag.Float64(70), Quality: tag.UncertainLastUsableValue},
	{Time: 83, Value: tag.Float64(70)}, {Time: 86, Value: tag.Float64(80)}, {Time: 90, Value: tag.Float64(90)},
}

const (
	none  = math.MaxFloat64 // Bad_NoData
	vague = math.MaxFloat32 // not Good in the standard, with a value drawn across what is not good; here not Good
	skip  = math.SmallestNonzeroFloat64
)

// part13Tables are the results of annex A. Left out are the status of intervals that end with no more data (the standard
// calls them Good and partial, this archive Uncertain), and the last value of a stepped tag: it holds here until the next.
var part13Tables = []struct {
	section string // as the annex names it
	kind    history.Kind
	step    time.Duration
	sloped  []float64
	stepped []float64
	good    []bool // nil: whatever has a value and is not vague
}{
	{
		section: "Interpolative", kind: history.Interpolative, step: 5 * time.Second,
		sloped: []float64{
			none, 11.304, 13.478, 15.652, 17.826, 20, 25.909, 28.182, vague, vague, 45, 51.5, 54, 56.5, 59, vague, vague, 76.667, 90, vague,
		},
		stepped: []float64{none, 10, 10, 10, 10, 20, 25, 25, 30, vague, 40, 50, 50, 50, 50, 60, vague, 70, 90, skip},
	},
	{
		section: "Average", kind: history.Average, step: 5 * time.Second, good: make([]bool, 20),
		sloped: []float64{
			10, none, none, none, none, 22.5, none, 30, none, 40, 50, none, none, none, 60, none, 70, 80, 90, none,
		},
		stepped: []float64{
			10, none, none, none, none, 22.5, none, 30, none, 40, 50, none, none, none, 60, none, 70, 80, 90, none,
		},
	},
	{ // of the two the one that draws no line across what is not good; its last values end with no more data
		section: "TimeAverage2", kind: history.TimeAverage, step: 5 * time.Second,
		good:   []bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 10: true, 11: true, 12: true, 13: true, 19: false},
		sloped: []float64{10.652, 12.391, 14.565, 16.739, 18.913, 23.682, 27.046, 29.273, 30, 42.5, 49.45, 52.75, 55.25, 57.75, 59.8, skip, skip, skip, skip, skip},
	},
	{
		section: "Minimum", kind: history.Minimum, step: 16 * time.Second, good: []bool{false, true, false, true, false, false, false},
		sloped: []float64{10, 20, 30, 40, 60, 70, none}, stepped: []float64{10, 20, 30, 40, 60, 70, none},
	},
	{
		section: "Maximum", kind: history.Maximum, step: 16 * time.Second, good: []bool{false, true, false, true, false, false, false},
		sloped: []float64{10, 25, 30, 50, 60, 90, none}, stepped: []float64{10, 25, 30, 50, 60, 90, none},
	},
}

func TestAggregatesAreThoseOfPart13(t *testing.T) {
	at := base.Truncate(time.Hour)
	defs := []tag.Definition{{Name: "sloped", Type: tag.TypeFloat64}, {ID: 1, Name: "stepped", Type: tag.TypeFloat64, History: tag.HistoryChange}}
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: func() time.Time { return at.Add(10 * time.Minute) }})
	for _, x := range part13 {
		x.Time = at.Add(time.Duration(x.Time) * time.Second).UnixNano()
		s.Append([]tag.Update{{Sample: x}, {Tag: 1, Sample: x}})
	}
	for _, table := range part13Tables {
		for name, want := range map[string][]float64{"sloped": table.sloped, "stepped": table.stepped} {
			if want == nil {
				continue
			}
			got, err := s.Aggregate(t.Context(), name, at.UnixNano(), at.Add(100*time.Second).UnixNano(), table.step, table.kind)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s %s: %d values, %v", table.section, name, len(got), err)
			}
			for i, p := range got {
				v := p.Value.Number()
				switch {
				case want[i] == skip:
				case want[i] == none:
					if !p.Value.IsNone() || !p.Quality.IsBad() {
						t.Errorf("%s %s after %v: %v %s, want none", table.section, name, time.Duration(i)*table.step, v, p.Quality)
					}
				case want[i] == vague:
					if p.Quality.IsGood() {
						t.Errorf("%s %s after %v: %v passes for Good", table.section, name, time.Duration(i)*table.step, v)
					}
				case math.Abs(v-want[i]) > 0.0006 || table.good == nil && !p.Quality.IsGood() || table.good != nil && table.good[i] && !p.Quality.IsGood():
					t.Errorf("%s %s after %v: %v %s, want %v", table.section, name, time.Duration(i)*table.step, v, p.Quality, want[i])
				}
			}
		}
	}
}
