package export

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
)

// quiet is longer than it takes until everything recorded is sent.
const quiet = 15 * time.Second

// TestEverythingArrivesInOrder: what was there before, what comes, and nothing twice.
func TestEverythingArrivesInOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		w.engine.order = true
		w.record(25 * time.Minute)
		w.run(nil)
		w.record(25 * time.Minute)
		time.Sleep(quiet)
		w.complete(0)
		w.engine.mu.Lock()
		if w.engine.writes != len(w.engine.has) {
			t.Errorf("%d samples were written to have %d", w.engine.writes, len(w.engine.has))
		}
		w.engine.mu.Unlock()
		st := w.target.Status()
		if !st.Sending || st.Windows != 0 || st.Waiting != 0 || st.Error != "" || time.Since(st.SentTo) > quiet {
			t.Errorf("%+v", st)
		}
		time.Sleep(2 * time.Minute)
		if s := w.counted(); s.Totals.Sent != uint64(len(w.engine.has)) || time.Since(time.Unix(0, s.Time)) > 2*time.Minute {
			t.Errorf("what counts: %+v at %s", s.Totals, time.Unix(0, s.Time))
		}
	})
}

// TestLateSamplesArrive: of a window that was sent, and of one that is being sent.
func TestLateSamplesArrive(t *testing.T) {
	inBubble(t, func(w *world) {
		w.record(30 * time.Minute)
		w.run(nil)
		w.record(2 * time.Minute)
		w.archive.add(w.tags[1].Name, time.Now().Add(-25*time.Minute-time.Millisecond), 7)
		w.archive.add(w.tags[2].Name, time.Now().Add(-time.Minute-time.Millisecond), 8)
		written := w.written()
		w.record(15 * time.Minute)
		time.Sleep(quiet)
		w.complete(0)
		// Of the window that was over all is written again, of the other one tag.
		if again := w.written() - written - 4*15*60; again < 4*600 || again > 4*600+600+40 {
			t.Errorf("%d samples were written again", again)
		}
	})
}

// TestWhatWasOverlookedArrives when its window is over.
func TestWhatWasOverlookedArrives(t *testing.T) {
	inBubble(t, func(w *world) {
		w.archive.lacks = "line/tag3"
		w.run(nil)
		w.record(9 * time.Minute)
		time.Sleep(quiet)
		w.complete(9 * 60)
		time.Sleep(5 * time.Minute)
		w.complete(0)
	})
}

// TestEngineThatForgets: it is killed again and again, and each time has lost its last seconds.
func TestEngineThatForgets(t *testing.T) {
	inBubble(t, func(w *world) {
		w.record(10 * time.Minute)
		w.run(nil)
		for i := range 8 {
			w.record(time.Duration(23+17*i) * time.Second)
			w.engine.kill()
			w.record(time.Duration(i%3) * 4 * time.Second)
			w.engine.start()
		}
		w.record(3 * time.Minute)
		time.Sleep(2 * quiet)
		w.complete(0)
		if st := w.target.Status(); st.Rewinds == 0 {
			t.Error("nothing was sent again")
		}
		if s := w.counted(); time.Since(time.Unix(0, s.Time)) < time.Minute {
			t.Errorf("what was sent %s ago counts already", time.Since(time.Unix(0, s.Time)))
		}
	})
}

// TestIdleConnectionsThatAreClosed: something closes what is idle, and never says so. Each time, what does not count yet is sent
// again, so the connection must not be idle for that long.
func TestIdleConnectionsThatAreClosed(t *testing.T) {
	for _, c := range []struct{ idle, interval, every time.Duration }{
		{time.Second, 5 * time.Second, time.Second},
		{4 * time.Second, 5 * time.Second, time.Second},
		{5 * time.Second, 5 * time.Second, time.Second},
		{time.Minute, time.Minute, time.Second},
		{12 * time.Second, 5 * time.Second, 40 * time.Second},
		{21 * time.Second, 5 * time.Second, 40 * time.Second},
	} {
		t.Run(fmt.Sprintf("idle for %s, each %s, samples each %s", c.idle, c.interval, c.every), func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.engine.startAnew(c.idle)
				w.run(func(x *Config) { x.Interval = c.interval })
				w.recordEach(c.every, 15*time.Minute)
				time.Sleep(quiet + 2*c.interval)
				w.complete(0)
				st, counted := w.target.Status(), w.counted()
				if all := len(w.engine.has); w.written() > 2*all {
					t.Errorf("%d samples were written to have %d, %d rewinds", w.written(), all, st.Rewinds)
				}
				if age := time.Since(time.Unix(0, counted.Time)); age > 4*time.Minute || st.Error != "" {
					t.Errorf("what was sent %s ago counts, %d rewinds, error %q", age, st.Rewinds, st.Error)
				}
			})
		})
	}
}

// TestLossesThatGoOnAreTold: every answer is the last one of its connection, which is not announced.
func TestLossesThatGoOnAreTold(t *testing.T) {
	inBubble(t, func(w *world) {
		w.engine.startAnew(time.Millisecond)
		w.run(nil)
		w.record(3 * time.Minute)
		if st := w.target.Status(); st.Failed == 0 || time.Since(st.FailedAt) < 2*time.Minute || !strings.Contains(st.Error, "the connection was lost") {
			t.Errorf("after %d rewinds: %+v", st.Rewinds, st)
		}
		w.engine.mu.Lock()
		if n := w.engine.requests; n > 3*60*5 {
			t.Errorf("%d requests in three minutes", n)
		}
		w.engine.mu.Unlock()
		w.engine.startAnew(0)
		w.record(3 * time.Minute)
		time.Sleep(quiet)
		w.complete(0)
		if st := w.target.Status(); st.Failed != 0 || st.Error != "" {
			t.Errorf("when it is well again: %+v", st)
		}
	})
}

// TestConnectionsThatAreEndedInOrder are no reason to send again.
func TestConnectionsThatAreEndedInOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		n := 0
		w.engine.say = func([]received) (int, string, string) {
			if n++; n%5 == 0 {
				w.engine.srv.SetKeepAlivesEnabled(n%10 != 0)
			}
			return 0, "", ""
		}
		w.run(nil)
		w.record(10 * time.Minute)
		time.Sleep(quiet)
		w.complete(0)
		if st := w.target.Status(); st.Rewinds > 0 {
			t.Errorf("%d times it was sent again", st.Rewinds)
		}
	})
}

// TestAnotherNodeGoesOn: the active ends in the middle, the other one knows what counts, and has the same samples.
func TestAnotherNodeGoesOn(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run(nil)
		w.record(12 * time.Minute)
		w.stop()
		w.record(20 * time.Second)
		written := w.written()
		w.run(nil)
		w.record(5 * time.Second)
		if again := w.written() - written; again < 4*60 || again > 4*120 {
			t.Errorf("%d samples were sent again", again)
		}
		w.record(10 * time.Minute)
		time.Sleep(quiet)
		w.complete(0)
	})
}

// TestPoison: one sample the engine calls wrong costs that sample.
func TestPoison(t *testing.T) {
	inBubble(t, func(w *world) {
		poisoned := time.Now().Add(37 * time.Second)
		w.engine.say = func(list []received) (int, string, string) {
			for _, x := range list {
				if strings.HasSuffix(x.series, "tag2") && x.millis == poisoned.UnixMilli() {
					return http.StatusBadRequest, "", "out of\nbounds"
				}
			}
			return 0, "", ""
		}
		w.record(5 * time.Minute)
		w.run(nil)
		time.Sleep(4 * time.Minute)
		w.complete(1)
		s := w.counted()
		if len(s.Parked) != 1 || s.Totals.Parked != 1 {
			t.Fatalf("%+v", s)
		}
		p := s.Parked[0]
		if p.Tag != "line/tag2" || p.From != poisoned.UnixMilli()*1e6 || p.To != p.From || p.Samples != 1 || p.Status != 400 || p.Reason != "out of bounds" {
			t.Errorf("%+v", p)
		}
		if w.mu.Lock(); len(w.events) == 0 || w.events[0].What != ParkedEvent || !strings.Contains(w.events[0].Text, "line/tag2: 400 out of bounds") {
			t.Errorf("%+v", w.events)
		}
		w.mu.Unlock()
	})
}

// TestPoisonEverywhere: an engine that takes no sample costs a bounded number of requests, and what it does not take is
// counted.
func TestPoisonEverywhere(t *testing.T) {
	inBubble(t, func(w *world) {
		w.engine.say = func(list []received) (int, string, string) {
			if len(list) > 0 {
				return http.StatusBadRequest, "", "no"
			}
			return 0, "", ""
		}
		w.record(500 * time.Second)
		w.run(func(c *Config) { c.Horizon = -1 })
		time.Sleep(20 * time.Second)
		w.engine.mu.Lock()
		requests := w.engine.requests
		w.engine.mu.Unlock()
		if s := w.counted(); s.Totals.Parked != 2000 || requests > 3*maxSplits {
			t.Errorf("%d samples are left out after %d requests", s.Totals.Parked, requests)
		}
	})
}

// TestNotSetUp: an engine that does not know the path or the password loses nothing.
func TestNotSetUp(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusUnsupportedMediaType, http.StatusMovedPermanently} {
		inBubble(t, func(w *world) {
			refusing := true
			w.engine.say = func([]received) (int, string, string) {
				if refusing {
					return status, "", "unsupported path"
				}
				return 0, "", ""
			}
			w.run(nil)
			w.record(5 * time.Minute)
			if st := w.target.Status(); st.Failed == 0 || !strings.Contains(st.Error, "unsupported path") || time.Since(st.FailedAt) < 4*time.Minute {
				t.Errorf("%+v", st)
			}
			w.engine.mu.Lock()
			refusing = false
			if w.engine.requests > 40 {
				t.Errorf("%d requests in five minutes", w.engine.requests)
			}
			w.engine.mu.Unlock()
			w.record(2 * time.Minute)
			time.Sleep(quiet)
			w.complete(0)
			if s := w.counted(); s.Totals.Parked != 0 || w.target.Status().Failed != 0 {
				t.Errorf("%+v, %+v", s, w.target.Status())
			}
		})
	}
}

// TestBusyEngine is not asked again before it says so.
func TestBusyEngine(t *testing.T) {
	inBubble(t, func(w *world) {
		w.record(time.Minute)
		var asked []time.Time
		w.engine.say = func([]received) (int, string, string) {
			if asked = append(asked, time.Now()); len(asked) == 1 {
				return http.StatusTooManyRequests, "Retry-After: 120", "slow down"
			} else if len(asked) == 2 {
				return http.StatusServiceUnavailable, "Retry-After: " + time.Now().Add(5*time.Minute).UTC().Format(http.TimeFormat), "later"
			}
			return 0, "", ""
		}
		w.run(nil)
		time.Sleep(10 * time.Minute)
		w.stop()
		if first, second := asked[1].Sub(asked[0]), asked[2].Sub(asked[1]); first < 2*time.Minute || first > 121*time.Second || second < 299*time.Second || second > 301*time.Second {
			t.Errorf("asked again after %s and %s", first, second)
		}
		w.complete(0)
		if st := w.target.Status(); st.Rewinds != 0 {
			t.Error("a busy engine has lost nothing")
		}
	})
}

// TestRetentionOvertakes: the engine is gone for so long that samples leave the archive.
func TestRetentionOvertakes(t *testing.T) {
	inBubble(t, func(w *world) {
		w.engine.kill()
		w.record(20 * time.Minute)
		w.run(nil)
		w.record(10 * time.Minute)
		cut := time.Now().Add(-20*time.Minute).UnixNano() / windowNanos * windowNanos
		lost := 0
		for _, list := range w.archive.samples {
			for _, x := range list {
				if x.Time < cut {
					lost++
				}
			}
		}
		w.archive.drop(cut)
		w.record(time.Minute)
		w.engine.start()
		w.record(time.Minute)
		time.Sleep(quiet)
		w.engine.mu.Lock()
		extra := len(w.engine.has) // of the batch that was under way
		w.engine.mu.Unlock()
		for _, list := range w.archive.samples {
			extra -= len(list)
		}
		if extra < 0 || extra > lost {
			t.Errorf("the engine has %d more than the archive, %d left it", extra, lost)
		}
		if s := w.counted(); s.Totals.Missed != uint64(lost) || lost == 0 {
			t.Errorf("%d are said to be missed, it is %d", s.Totals.Missed, lost)
		}
		if w.mu.Lock(); len(w.events) != 1 || w.events[0].What != MissedEvent {
			t.Errorf("%+v", w.events)
		}
		w.mu.Unlock()
	})
}

// TestWhatIsSent of a tag: usable numbers an engine can keep, and the last one of a millisecond.
func TestWhatIsSent(t *testing.T) {
	at := func(ns int64, v tag.Value, q tag.Quality) tag.Sample {
		return tag.Sample{Time: ns, Value: v, Quality: q}
	}
	points, refused := convert(nil, 0, []tag.Sample{
		at(1e6, tag.Float64(1.5), tag.Good), at(2e6, tag.Float64(2), tag.BadDeviceFailure), at(3e6, tag.Float64(3), tag.UncertainSubNormal),
		at(4e6, tag.Float32(3.4028e38), tag.Good), at(5e6, tag.Float64(1e15), tag.Good), at(6e6, tag.Float64(-1.0000001e15), tag.Good),
		at(7e6, tag.String("seven"), tag.Good), at(8e6, tag.Value{}, tag.Good), at(9e6, tag.Bool(true), tag.Good), at(9e6+1, tag.Bool(false), tag.Good),
		at(10e6, tag.Int(tag.TypeInt32, -5), tag.Good),
	})
	want := []point{{1, 1.5}, {3, 3}, {5, 1e15}, {9, 0}, {10, -5}}
	if refused != 2 || len(points) != len(want) {
		t.Fatalf("%v, %d refused", points, refused)
	}
	for i := range want {
		if points[i] != want[i] {
			t.Errorf("%v, want %v", points[i], want[i])
		}
	}
}

func TestChosen(t *testing.T) {
	defs := []tag.Definition{{Name: "a/x", Type: tag.TypeFloat64}, {Name: "a/b/y", Type: tag.TypeBool}, {Name: "text", Type: tag.TypeString}, {Name: "off", Type: tag.TypeInt16, History: tag.HistoryOff}, {Name: "z", Type: tag.TypeInt16}}
	for globs, want := range map[string]string{"": "a/x a/b/y z", "a/*": "a/x", "a/**": "a/x a/b/y", "?": "z", "**": "a/x a/b/y z", "a/?/y z": "a/b/y z", "**/y": "a/b/y", "A/*": "", "a/x*": "a/x"} {
		var names []string
		for _, s := range chosen(&Options{Tags: defs, Config: Config{Tags: strings.Fields(globs)}}) {
			names = append(names, s.name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q: %q, want %q", globs, got, want)
		}
	}
	if match(strings.Repeat("**a", 500), strings.Repeat("a", 499)) {
		t.Error("500 do not fit 499")
	}
}
