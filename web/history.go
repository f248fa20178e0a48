package web

import (
	"net/http"
	"slices"
	"time"

	"scada/web/api"
)

// getHistory sends the answer while it is made, so that its memory does not grow with what is asked.
func (s *Server) getHistory(c *call) (any, error) {
	q, err := s.historyQuery(c)
	if err != nil {
		return nil, err
	}
	size := answerSize(q)
	if !s.answers.take(c.r.Context(), c.who.User, size) {
		return nil, api.NewProblem(api.CodeTooMany, "too much of the history is being asked for at once")
	}
	defer s.answers.give(c.who.User, size)
	out := &historyWriter{c: c}
	if err := out.begin(q); err != nil {
		return nil, err
	}
	next, err := s.backend.History(c.r.Context(), q, out.piece)
	if err == nil {
		err = out.end(next)
	}
	if err == nil || !out.sending {
		return nil, err
	}
	if c.r.Context().Err() == nil && out.failed == nil {
		s.log.Error("an answer from the history broke off", "error", err)
	}
	panic(http.ErrAbortHandler) // the client is not to take what it has for all
}

// historyQuery reads the parameters and holds them against the limits and the tags that exist.
func (s *Server) historyQuery(c *call) (api.HistoryQuery, error) {
	q := api.HistoryQuery{Aggregate: c.query("aggregate"), Cursor: c.query("cursor")}
	for _, name := range c.r.URL.Query()["tag"] {
		if !slices.Contains(q.Tags, name) {
			q.Tags = append(q.Tags, name)
		}
	}
	if len(q.Tags) == 0 || len(q.Tags) > maxHistoryTags {
		return q, api.NewProblem(api.CodeBadRequest, "tag: want 1 to %d of them", maxHistoryTags)
	}
	plant := s.backend.Plant()
	for _, name := range q.Tags {
		if _, ok := plant.find(name); !ok {
			return q, api.NewProblem(api.CodeNotFound, "no tag %q", name)
		}
	}
	var err error
	if q.From, q.To, err = c.span(s.now(), time.Hour); err != nil {
		return q, err
	}
	if q.Points, err = c.number("points", 0, maxPoints); err != nil {
		return q, err
	}
	if q.Limit, err = c.number("limit", maxPage, maxHistoryRows); err != nil {
		return q, err
	}
	if text := c.query("step"); text != "" {
		if q.Step, err = time.ParseDuration(text); err != nil || q.Step < time.Millisecond {
			return q, api.NewProblem(api.CodeBadRequest, "step=%s: want a duration from 1ms", text)
		}
	}
	if q.Zone = c.query("zone"); q.Zone != "" {
		if _, err := time.LoadLocation(q.Zone); err != nil || len(q.Zone) > maxZone {
			return q, api.NewProblem(api.CodeBadRequest, "zone=%.64s: no such time zone", q.Zone)
		}
	}
	return q, checkForm(q)
}

// What an answer from the history takes, in bytes at most.
const (
	pieceSize    = 4 << 20 // of samples on their way from the archive into JSON
	pointSize    = 512     // of each point of a reduced answer: five samples, in memory that grew
	intervalSize = 640     // of each interval of an aggregate
)

// answerSize is how much memory an answer may take while it is made.
func answerSize(q api.HistoryQuery) int64 {
	size := int64(pieceSize)
	switch {
	case q.Points > 0:
		size = min(size, 64<<10+int64(q.Points)*2*pointSize) + int64(q.Points)*pointSize
	case q.Aggregate != "" && q.Zone == "" && q.Step > 0:
		size += int64(q.To.Sub(q.From)/q.Step+1) * intervalSize
	}
	return size
}

// maxZone is the longest name of a time zone in bytes, maxZoneDays how many days of one an aggregate covers.
const (
	maxZone     = 64
	maxZoneDays = 3700
	aDay        = 24 * time.Hour
)

// checkForm sees to it that the parameters ask for one thing.
func checkForm(q api.HistoryQuery) error {
	switch {
	case q.Aggregate != "" && q.Points != 0:
		return api.NewProblem(api.CodeBadRequest, "aggregate and points exclude each other")
	case q.Step != 0 && q.Aggregate == "":
		return api.NewProblem(api.CodeBadRequest, "step needs an aggregate")
	case q.Zone != "" && (q.Step < aDay || q.Step%aDay != 0):
		return api.NewProblem(api.CodeBadRequest, "zone needs an aggregate with a step of whole days: 24h, 168h")
	case q.Zone != "" && q.To.Sub(q.From) > maxZoneDays*aDay:
		return api.NewProblem(api.CodeBadRequest, "more than %d days", maxZoneDays)
	case q.Cursor != "" && (q.Aggregate != "" || q.Points != 0):
		return api.NewProblem(api.CodeBadRequest, "cursor is for raw samples")
	case q.Aggregate != "" && q.Step != 0 && q.To.Sub(q.From)/q.Step > maxIntervals:
		return api.NewProblem(api.CodeBadRequest, "more than %d intervals", maxIntervals)
	}
	return nil
}
