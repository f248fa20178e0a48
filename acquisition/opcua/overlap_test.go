package opcua

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
)

// overlapRig is a source without a device, to which readings are given.
func overlapRig(t *testing.T) (*Source, *sink) {
	t.Helper()
	s, err := New(Device{Name: "mixer", Endpoint: "opc.tcp://127.0.0.1:1", Tags: testTags(2)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := newSink()
	s.sink = out
	return s, out
}

// TestReadsAndReportsMeet: answers and reports overtake each other on their way. Whatever the order, a value the server
// had before another is never shown after it; and when its clock was set back, the value it has now is not lost.
func TestReadsAndReportsMeet(t *testing.T) {
	// The server's times are seconds; r is read, n reported. a:3@2 is the value 3 of second 2, asked for at second a.
	type step struct {
		value, source float64
		reported      bool
		asked         float64
		pause         time.Duration
	}
	read := func(asked, value, source float64) step { return step{value: value, source: source, asked: asked} }
	report := func(value, source float64) step { return step{value: value, source: source, reported: true} }
	later := func(s step) step { s.pause = overlap + time.Second; return s }
	for name, c := range map[string]struct {
		steps []step
		want  []float64
		doubt bool
	}{
		"a report that was under way":                {[]step{read(1, 20, 2), report(10, 1)}, []float64{20}, true},
		"and the report that belongs to the read":    {[]step{read(1, 20, 2), report(10, 1), report(20, 2)}, []float64{20}, false},
		"and what comes after it":                    {[]step{read(1, 20, 2), report(10, 1), report(30, 3)}, []float64{20, 30}, false},
		"a read that was under way":                  {[]step{report(20, 2), read(1, 10, 1)}, []float64{20}, false},
		"a read of something newer":                  {[]step{report(20, 2), read(1, 30, 3)}, []float64{20, 30}, false},
		"two reads, answered the other way round":    {[]step{read(2, 20, 2), read(1, 10, 1)}, []float64{20}, false},
		"reports keep their order whatever the time": {[]step{report(20, 2), report(10, 1)}, []float64{20, 10}, false},
		"reads keep their order whatever the time":   {[]step{read(1, 20, 2), read(2, 10, 1)}, []float64{20, 10}, false},
		"a clock set back, found by reading again":   {[]step{read(1, 20, 2), report(10, 1), read(3, 10, 1)}, []float64{20, 10}, false},
		"a clock set back long after":                {[]step{read(1, 20, 2), later(report(10, 1))}, []float64{20, 10}, false},
		"a server without times":                     {[]step{read(1, 20, 0), report(10, 0)}, []float64{20, 10}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, out := overlapRig(t)
				for _, x := range c.steps {
					time.Sleep(x.pause)
					r := reading{index: 0, reported: x.reported, sample: tag.Sample{Value: tag.Float64(x.value)}}
					if x.source > 0 {
						r.source = time.Unix(int64(x.source), 0)
						r.sample.Time = r.source.UnixNano()
					} else {
						r.sample.Time = time.Now().UnixNano()
					}
					if !x.reported {
						r.asked = time.Unix(int64(x.asked), 0)
					}
					s.publish([]reading{r})
				}
				var got []float64
				for _, u := range out.all {
					got = append(got, u.Value.Number())
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("shown %v, want %v", got, c.want)
				}
				if s.items[0].doubt != c.doubt || (len(s.unheard([]int{0})) == 1) != (c.doubt || !s.items[0].heard) {
					t.Errorf("in doubt %v, want %v", s.items[0].doubt, c.doubt)
				}
				last := int64(0)
				for _, u := range out.all {
					if u.Time <= last {
						t.Errorf("time goes back to %d", u.Time)
					}
					last = u.Time
				}
			})
		})
	}
}

// TestQueueOfReads: what is refused because it was too much comes again, in smaller parts, and nothing is lost.
func TestQueueOfReads(t *testing.T) {
	q := &queue{rest: []int{0, 1, 2, 3, 4, 5, 6, 7}}
	first, second := q.next(3), q.next(3)
	q.back(first)
	var got []int
	for part := q.next(2); len(part) > 0; part = q.next(2) {
		got = append(got, part...)
	}
	if got = append(got, second...); fmt.Sprint(got) != "[0 1 2 6 7 3 4 5]" {
		t.Errorf("read %v", got)
	}
}
