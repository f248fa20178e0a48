package web

import (
	"context"
	"time"

	"scada/web/api"
)

func (s *Server) getNotifications(*call) (any, error) { return s.backend.Notifications(), nil }

// previewTimeout bounds a replay: reading the samples takes longer than judging them.
const previewTimeout = 30 * time.Second

// previewShare is what a preview, which has all its samples in memory, counts for among the answers: there are two at a time, and
// who makes one can still draw a trend.
const previewShare = maxAnswers * 3 / 8

func (s *Server) postPreview(c *call) (any, error) {
	var r api.PreviewRequest
	if err := c.decode(&r); err != nil {
		return nil, err
	}
	if r.Alarm == "" || len(r.Alarm) > maxText || !r.From.Before(r.To) {
		return nil, api.NewProblem(api.CodeBadRequest, "want an alarm and an interval")
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), previewTimeout)
	defer cancel()
	if !s.answers.take(ctx, c.who.User, previewShare) {
		return nil, api.NewProblem(api.CodeTooMany, "other previews are being made")
	}
	defer s.answers.give(c.who.User, previewShare)
	return s.backend.PreviewAlarm(ctx, r)
}
