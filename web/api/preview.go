package api

import (
	"context"
	"time"
)

// PreviewRequest asks how an alarm would have behaved with other settings: POST /api/v1/alarms/preview. What is left out
// stays as it is configured.
type PreviewRequest struct {
	Alarm     string             `json:"alarm"`
	From      time.Time          `json:"from"`
	To        time.Time          `json:"to"`
	Limits    map[string]float64 `json:"limits,omitempty"` // by level
	Deadband  *float64           `json:"deadband,omitempty"`
	OnDelayS  *float64           `json:"on_delay_s,omitempty"`
	OffDelayS *float64           `json:"off_delay_s,omitempty"`
}

// Preview is what the recorded samples would have made of it, as configured and with the changes.
type Preview struct {
	Alarm   string      `json:"alarm"`
	From    time.Time   `json:"from"`
	To      time.Time   `json:"to"`
	Samples int         `json:"samples"`
	Now     PreviewSide `json:"now"`
	Changed PreviewSide `json:"changed"`
}

// PreviewSide is one of the two.
type PreviewSide struct {
	Alarms          int         `json:"alarms"` // annunciations
	Per10MinAverage float64     `json:"per_10min_average"`
	Per10MinPeak    int         `json:"per_10min_peak"`
	ActivePercent   float64     `json:"active_percent"` // of the interval
	LongestS        float64     `json:"longest_s"`
	Chattering      bool        `json:"chattering"`
	Fleeting        bool        `json:"fleeting"`
	Series          []RatePoint `json:"per_10min"`
}

// PreviewAlarm replays recorded samples against changed settings of an alarm.
func (c *Client) PreviewAlarm(ctx context.Context, r PreviewRequest) (Preview, error) {
	var out Preview
	return out, c.post(ctx, "/alarms/preview", r, &out)
}
