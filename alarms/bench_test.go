package alarms_test

import (
	"fmt"
	"testing"

	"scada/acquisition/tag"
	"scada/alarms"
)

// plant is an engine with n four-limit alarms, one per tag.
func plant(t testing.TB, n int) (*bench, []tag.Update) {
	t.Helper()
	var defs []alarms.Definition
	for i := range n {
		defs = append(defs, alarms.Definition{ID: fmt.Sprintf("line%d.LEVEL", i), Tag: fmt.Sprintf("line%d", i), Type: alarms.TypeLevel, Deadband: 2,
			Limits: map[alarms.Level]alarms.Limit{alarms.LevelHiHi: {Value: 90}, alarms.LevelHi: {Value: 80}, alarms.LevelLo: {Value: 20}, alarms.LevelLoLo: {Value: 10}}})
	}
	b := newBench(t, defs...)
	batch := make([]tag.Update, n)
	for i := range batch {
		batch[i] = b.update(0, fmt.Sprintf("line%d", i), 50, 0)
	}
	b.eng.Samples(instant(0), batch)
	return b, batch
}

func TestASampleThatChangesNothingAllocatesNothing(t *testing.T) {
	b, batch := plant(t, 100)
	now := instant(1)
	if n := testing.AllocsPerRun(100, func() {
		now += 1e9
		for i := range batch {
			batch[i].Time = now
		}
		b.eng.Samples(now, batch)
	}); n != 0 {
		t.Errorf("%v allocations for 100 samples", n)
	}
}

// BenchmarkQuietSample is a sample of one of 10,000 four-limit alarms that changes nothing.
func BenchmarkQuietSample(b *testing.B) {
	p, batch := plant(b, 10_000)
	now, i := instant(1), 0
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		u := &batch[i%len(batch)]
		u.Time = now
		u.Value = tag.Float64(40 + float64(i%20))
		p.eng.Samples(now, batch[i%len(batch):i%len(batch)+1])
		i++
	}
}

// BenchmarkTransition is a sample of one of 10,000 alarms that raises or clears, with its encoded outcome.
func BenchmarkTransition(b *testing.B) {
	p, batch := plant(b, 10_000)
	now, i := instant(1), 0
	var wire []byte
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		n := i % len(batch)
		u := &batch[n]
		u.Time = now
		u.Value = tag.Float64([]float64{85, 50}[i/len(batch)%2])
		o := p.eng.Samples(now, batch[n:n+1])
		wire = alarms.AppendOutcome(wire[:0], o)
		if len(o.Events) != 1 {
			b.Fatalf("%d events", len(o.Events))
		}
		if i%len(batch) == len(batch)-1 && i/len(batch)%2 == 1 {
			b.StopTimer()
			for j := range batch {
				p.eng.Command(now, alarms.Command{Kind: alarms.CommandAck, Condition: fmt.Sprintf("line%d.LEVEL", j)})
			}
			b.StartTimer()
		}
		i++
	}
}

// BenchmarkChanges is the everyday load of a large plant: ten thousand four-limit alarms, every value a change, one in a
// hundred past a limit or back, outcomes encoded for the link. Its rate has to be above 50,000 changes a second on one
// core.
func BenchmarkChanges(b *testing.B) {
	p, batch := plant(b, 10_000)
	now, i, events := instant(1), 0, 0
	var wire []byte
	b.ReportAllocs()
	for b.Loop() {
		now += 20_000
		n := i % len(batch)
		u := &batch[n]
		u.Time = now
		u.Value = tag.Float64(40 + float64((i*7)%20))
		if round := i / len(batch); (n+round)%200 < 1 {
			u.Value = tag.Float64(85)
		}
		o := p.eng.Samples(now, batch[n:n+1])
		if events += len(o.Events); !o.IsZero() {
			wire = alarms.AppendOutcome(wire[:0], o)
		}
		i++
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(100*float64(events)/float64(i), "%transitions")
}

// BenchmarkAvalanche is 10,000 alarms raised by one batch.
func BenchmarkAvalanche(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		p, batch := plant(b, 10_000)
		for i := range batch {
			batch[i].Time, batch[i].Value = instant(1), tag.Float64(95)
		}
		b.StartTimer()
		if o := p.eng.Samples(instant(1), batch); len(o.Events) != 10_000 {
			b.Fatalf("%d events", len(o.Events))
		}
	}
}
