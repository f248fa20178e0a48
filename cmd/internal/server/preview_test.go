package server

import (
	"errors"
	"testing"
	"time"

	"scada/simulators/plc"
	"scada/web/api"
)

// TestPreviewReplaysWhatWasRecorded: six visits above the limit, three of them high, one of those for long.
func TestPreviewReplaysWhatWasRecorded(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		from := time.Now()
		for _, v := range []uint16{85, 95, 85, 95, 85} {
			w.bank.Set(plc.HoldingRegisters, 1, v)
			time.Sleep(2 * time.Second)
			w.bank.Set(plc.HoldingRegisters, 1, 50)
			time.Sleep(30 * time.Second)
		}
		w.bank.Set(plc.HoldingRegisters, 1, 95)
		time.Sleep(time.Minute)
		w.bank.Set(plc.HoldingRegisters, 1, 50)
		time.Sleep(10 * time.Second)
		recorded := 0
		for _, e := range w.events("a", "high") {
			if e.Kind == "RAISE" {
				recorded++
			}
		}
		five := 5.0
		for _, node := range []string{"a", "b"} { // both have the samples
			b := backend{w.node[node]}
			for _, c := range []struct {
				ask  api.PreviewRequest
				want int
			}{
				{api.PreviewRequest{}, 6}, {api.PreviewRequest{Limits: map[string]float64{"Hi": 90}}, 3}, {api.PreviewRequest{Limits: map[string]float64{"Hi": 200}}, 0},
				{api.PreviewRequest{OnDelayS: &five}, 1},
			} {
				c.ask.Alarm, c.ask.From, c.ask.To = "high", from, time.Now()
				p, err := b.PreviewAlarm(w.t.Context(), c.ask)
				if err != nil || p.Now.Alarms != recorded || recorded != 6 || p.Changed.Alarms != c.want {
					t.Errorf("on %s %+v: %+v, %v; recorded %d, want %d", node, c.ask, p, err, recorded, c.want)
				}
				if p.Now.LongestS < 59 || p.Now.LongestS > 62 {
					t.Errorf("the longest took %v s", p.Now.LongestS)
				}
			}
			for _, c := range []struct {
				ask  api.PreviewRequest
				code string
			}{
				{api.PreviewRequest{Alarm: "none", From: from, To: time.Now()}, api.CodeNotFound},
				{api.PreviewRequest{Alarm: "high", From: from, To: time.Now(), Limits: map[string]float64{"Up": 1}}, api.CodeBadRequest},
				{api.PreviewRequest{Alarm: "tripped", From: from, To: time.Now(), Limits: map[string]float64{"Hi": 1}}, api.CodeBadRequest},
				{api.PreviewRequest{Alarm: "high", From: from.Add(-previewLongest), To: time.Now()}, api.CodeBadRequest},
			} {
				var problem *api.Problem
				if _, err := b.PreviewAlarm(w.t.Context(), c.ask); !errors.As(err, &problem) || problem.Code != c.code {
					t.Errorf("%+v: %v, want %s", c.ask, err, c.code)
				}
			}
		}
	})
}
