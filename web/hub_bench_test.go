package web

import (
	"fmt"
	"testing"

	"scada/acquisition/live"
	"scada/acquisition/tag"
)

// BenchmarkFrameOf10000Changes is what one client with 10,000 changed tags costs the server each second, the kernel's part aside.
func BenchmarkFrameOf10000Changes(b *testing.B) {
	tags := make([]tag.Definition, 10_000)
	batch := make([]tag.Update, len(tags))
	for i := range tags {
		tags[i] = tag.Definition{Name: fmt.Sprintf("t%05d", i), Type: tag.TypeFloat64}
		batch[i] = tag.Update{Tag: tag.ID(i), Sample: tag.Sample{Time: 1, Value: tag.Float64(1)}}
	}
	f := newFake("a", tags...)
	s, err := New(testConfig("a"), f)
	if err != nil {
		b.Fatal(err)
	}
	s.hub.refresh()
	v := s.hub.now()
	f.plant.Live.Apply(batch)
	w := &writer{client: newClient(s.hub, nil, principal{})}
	sub := &subscription{id: 1, ask: subMessage{Glob: "**"}}
	sub.resolve(s.hub, &v)
	var changes []live.Change
	var encoded []byte
	n := 0
	for b.Loop() {
		sub.cursor = 0
		fr, _ := w.collect(sub, &v, &changes)
		encoded = appendFrame(encoded[:0], fr)
		n += len(fr.changes)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/value")
	b.SetBytes(int64(len(encoded)))
}
