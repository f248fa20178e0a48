package main

import (
	"runtime"
	"time"

	"scada/simulators/mill"
)

// set is the data every engine gets: a hundred tags for a day, and all tags in the day's last hour.
type set struct {
	tags int
	day  time.Time
}

const (
	daySeconds = 24 * 3600
	lastHour   = 23 * 3600
)

// samples returns how many there are.
func (s set) samples() int {
	return lastHour*mill.DeviceTags + 3600*s.tags
}

// each calls back with every tick and returns the processor time it took to make them. Calling back stops that clock.
func (s set) each(m *mill.Mill, call func([]mill.Sample) error) (generating time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range daySeconds {
		n := mill.DeviceTags
		if i >= lastHour {
			n = s.tags
		}
		begin := mill.ThreadTime()
		tick := m.Tick(n)
		generating += mill.ThreadTime() - begin
		if err := call(tick); err != nil {
			return generating, err
		}
	}
	return generating, nil
}

func (s set) mill() *mill.Mill { return mill.New(s.tags, s.day) }

// hour returns the range of the hour all tags have.
func (s set) hour() (from, to time.Time) { return s.day.Add(23 * time.Hour), s.day.Add(24 * time.Hour) }

// result is a column of the table.
type result struct {
	Name      string
	Samples   int
	PerCore   float64 // samples/s of processor time of the engine
	PerSecond float64 // samples/s of wall time, the making of the samples included
	Fresh     float64 // bytes/sample on disk before sealing or compaction
	Sealed    float64
	Written   float64 // bytes/sample written to disk in all
	DayRaw    latencies
	HourRaw   latencies
	RSS       float64 // MiB
	Lost      string  // acknowledged samples lost on kill -9
	Recovery  time.Duration
	Exact     string
}

// latencies of one query, repeated.
type latencies struct {
	P50, P99 time.Duration
	Samples  int
}
