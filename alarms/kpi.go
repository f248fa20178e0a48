package alarms

import (
	"cmp"
	"slices"
	"time"
)

// The figures after EEMUA 191 and ISA-18.2 that the report uses.
const (
	KPIPeriod        = 10 * time.Minute
	FloodEnter       = 10 // a flood begins with a period of more alarms
	FloodLeave       = 5  // and ends with the first period of fewer
	ChatterCount     = 3
	ChatterWindow    = time.Minute
	FleetingDuration = 10 * time.Second
	StaleDuration    = 24 * time.Hour
	topCount         = 10
)

// Load is how often one condition was annunciated.
type Load struct {
	Condition string
	Count     int
	Percent   float64
}

// Flood is a run of periods in which nobody could have kept up.
type Flood struct {
	From, To int64
	Count    int
	Peak     int    // in one period
	First    string // the condition annunciated first
}

// AckTimes is the time from an annunciation to its acknowledgement.
type AckTimes struct {
	Count       int
	Median, P95 time.Duration // the shortest within which half of them, 95 % of them were acknowledged
	Max         time.Duration
}

// Report holds the performance figures of an alarm system over a time.
type Report struct {
	From, To      int64
	Total         int // annunciations
	Periods       []int
	AvgPerPeriod  float64
	MaxPerPeriod  int
	PctOver       float64 // share of periods with more than FloodEnter
	Floods        []Flood
	PctInFlood    float64
	Chattering    []string
	Fleeting      []string
	Stale         []string
	Top           []Load
	PctTop        float64 // share of the ten most frequent conditions
	ByPriority    map[Priority]int
	PctByPriority map[Priority]float64
	Ack           AckTimes
}

// episode is one activation of a condition.
type episode struct {
	from, to int64
	open     bool
}

// KPI computes the report of [from, to) from the alarm events of that time, in order of time. Records of the losing side
// of a split brain are left out: they describe the same process a second time.
func KPI(events []Event, from, to int64) Report {
	r := Report{From: from, To: to, ByPriority: map[Priority]int{}, PctByPriority: map[Priority]float64{}}
	r.Periods = make([]int, max(0, (to-from+int64(KPIPeriod)-1)/int64(KPIPeriod)))
	counts := map[string]int{}
	firsts := make([]string, len(r.Periods))
	episodes := map[string][]episode{}
	var waits []time.Duration
	pending := map[string]int64{}
	for i := range events {
		ev := &events[i]
		if ev.Time < from || ev.Time >= to || ev.Note == NoteFork {
			continue
		}
		if ev.Annunciate {
			p := (ev.Time - from) / int64(KPIPeriod)
			if r.Periods[p] == 0 {
				firsts[p] = ev.Condition
			}
			r.Periods[p]++
			r.Total++
			counts[ev.Condition]++
			r.ByPriority[ev.Priority]++
			pending[ev.Condition] = ev.Time
		}
		episodes[ev.Condition] = follows(episodes[ev.Condition], ev)
		if since, ok := pending[ev.Condition]; ok && ev.Kind == KindAck {
			waits = append(waits, time.Duration(ev.Time-since))
			delete(pending, ev.Condition)
		}
	}
	r.rates(firsts)
	r.actors(counts)
	r.lives(episodes)
	r.Ack = ackTimes(waits)
	return r
}

func follows(list []episode, ev *Event) []episode {
	switch {
	case ev.Kind == KindRaise:
		return append(list, episode{from: ev.Time, open: true})
	case ev.Kind == KindClear && len(list) > 0:
		list[len(list)-1].to, list[len(list)-1].open = ev.Time, false
	}
	return list
}

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

// rates fills everything that is counted in periods.
func (r *Report) rates(firsts []string) {
	over, flooded := 0, int64(0)
	var flood *Flood
	for i, n := range r.Periods {
		start := r.From + int64(i)*int64(KPIPeriod)
		end := min(start+int64(KPIPeriod), r.To)
		r.MaxPerPeriod = max(r.MaxPerPeriod, n)
		if n > FloodEnter {
			over++
			if flood == nil {
				r.Floods = append(r.Floods, Flood{From: start, First: firsts[i]})
				flood = &r.Floods[len(r.Floods)-1]
			}
		}
		if flood != nil && n < FloodLeave {
			flood = nil
		}
		if flood != nil {
			flood.To, flood.Count, flood.Peak = end, flood.Count+n, max(flood.Peak, n)
			flooded += end - start
		}
	}
	if len(r.Periods) > 0 {
		r.AvgPerPeriod = float64(r.Total) * float64(KPIPeriod) / float64(r.To-r.From)
	}
	r.PctOver = percent(float64(over), float64(len(r.Periods)))
	r.PctInFlood = percent(float64(flooded), float64(r.To-r.From))
}

// actors fills the most frequent conditions and the split by priority.
func (r *Report) actors(counts map[string]int) {
	for id, n := range counts {
		r.Top = append(r.Top, Load{Condition: id, Count: n, Percent: percent(float64(n), float64(r.Total))})
	}
	slices.SortFunc(r.Top, func(a, b Load) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Condition, b.Condition)) })
	r.Top = r.Top[:min(len(r.Top), topCount)]
	top := 0
	for _, l := range r.Top {
		top += l.Count
	}
	r.PctTop = percent(float64(top), float64(r.Total))
	for p, n := range r.ByPriority {
		r.PctByPriority[p] = percent(float64(n), float64(r.Total))
	}
}

// lives fills what follows from how long and how often single conditions were active.
func (r *Report) lives(episodes map[string][]episode) {
	for id, list := range episodes {
		chatters := false
		for i := ChatterCount - 1; i < len(list); i++ {
			chatters = chatters || list[i].from-list[i-ChatterCount+1].from <= int64(ChatterWindow)
		}
		fleeting, stale := false, false
		for _, e := range list {
			fleeting = fleeting || (!e.open && e.to-e.from < int64(FleetingDuration))
			if e.open {
				e.to = r.To
			}
			stale = stale || e.to-e.from >= int64(StaleDuration)
		}
		if chatters {
			r.Chattering = append(r.Chattering, id)
		}
		if fleeting && !chatters {
			r.Fleeting = append(r.Fleeting, id)
		}
		if stale {
			r.Stale = append(r.Stale, id)
		}
	}
	slices.Sort(r.Chattering)
	slices.Sort(r.Fleeting)
	slices.Sort(r.Stale)
}

func ackTimes(waits []time.Duration) AckTimes {
	if len(waits) == 0 {
		return AckTimes{}
	}
	slices.Sort(waits)
	n := len(waits)
	return AckTimes{Count: n, Median: rank(waits, 50), P95: rank(waits, 95), Max: waits[n-1]}
}

// rank returns the percentile of sorted values as the nearest rank: one of the values, which so many percent do not exceed.
func rank(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)*percent+99)/100-1]
}
