package api

import "time"

// HistoryQuery asks for the recorded samples of tags. Exactly one of the forms applies: raw (neither Aggregate nor
// Points), processed (Aggregate with Step), or reduced for drawing (Points).
type HistoryQuery struct {
	Tags      []string
	From, To  time.Time
	Aggregate string        // OPC UA name: Average, TimeAverage, Minimum, Maximum, Count, …
	Step      time.Duration // interval of an aggregate
	Zone      string        // with it a step of whole days is of days of this time zone, as Europe/Berlin: some have 23 or 25 hours
	Points    int           // about so many samples per tag, extremes kept
	Limit     int           // samples per tag in a raw answer
	Cursor    string
}

// History is the answer of GET /api/v1/history.
type History struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Series []Series  `json:"series"`
	Next   string    `json:"next,omitempty"` // raw only: the cursor of the rest
}

// Series is the history of one tag. A gap nobody recorded is a sample of value null and quality Bad_NoData.
type Series struct {
	Tag     string   `json:"tag"`
	Unit    string   `json:"unit,omitempty"`
	Samples []Sample `json:"samples"`
}
