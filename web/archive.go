package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"scada/web/api"
)

// maxImportBody is how many bytes an import request may have: [api.MaxImport] samples with long names.
const maxImportBody = 8 << 20

// Archive is what may be done with the history beyond asking it.
type Archive interface {
	// Import brings samples into the history of both nodes, all or none.
	Import(ctx context.Context, by Actor, req api.ImportRequest) (api.ImportResult, error)
	// Verify reads every block of the times and calls visit for each day.
	Verify(ctx context.Context, from, to time.Time, visit func(api.VerifiedDay) error) error
	// Repair sets aside what can't be read and has the nodes exchange what differs.
	Repair(ctx context.Context, by Actor, req api.RepairRequest) (api.RepairResult, error)
}

func archiveRoutes() []route {
	return []route{
		{method: "POST", pattern: base + "/history/import", permission: HistoryChange, handle: (*Server).postImport, body: typeOf[api.ImportRequest](),
			answer: typeOf[api.ImportResult](), summary: "Bring samples from outside into the history of both nodes, all or none; names, times, values and qualities as in its answers"},
		{method: "GET", pattern: base + "/history/verify", permission: HistoryChange, handle: (*Server).getVerify, params: spanParams, media: []string{"application/x-ndjson"},
			summary: `Read every block: a line of JSON for each day with the digests of its windows, and {"end":true}`},
		{method: "POST", pattern: base + "/history/repair", permission: HistoryChange, handle: (*Server).postRepair, body: typeOf[api.RepairRequest](),
			answer: typeOf[api.RepairResult](), summary: "Set aside what cannot be read and exchange what differs with the other node"},
	}
}

var errNoArchive = api.NewProblem(api.CodeNotFound, "this server has no history")

func (s *Server) postImport(c *call) (any, error) {
	if s.cfg.Archive == nil {
		return nil, errNoArchive
	}
	var req api.ImportRequest
	if err := c.decodeUpTo(&req, maxImportBody); err != nil {
		return nil, err
	}
	if n := len(req.Samples); n == 0 || n > api.MaxImport {
		return nil, api.NewProblem(api.CodeBadRequest, "%d samples: want 1 to %d at once", n, api.MaxImport)
	}
	return s.cfg.Archive.Import(c.r.Context(), c.who.Actor, req)
}

// getVerify streams what is found, one verification at a time: it reads the whole disk.
func (s *Server) getVerify(c *call) (any, error) {
	if s.cfg.Archive == nil {
		return nil, errNoArchive
	}
	from, to, err := c.span(s.now(), 24*time.Hour)
	if err != nil {
		return nil, err
	}
	if !s.verify.TryLock() {
		return nil, api.NewProblem(api.CodeTooMany, "the history is being verified already")
	}
	defer s.verify.Unlock()
	control := http.NewResponseController(c.w)
	out := &patientWriter{w: c.w, control: control, now: time.Now}
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	c.w.Header().Set("Cache-Control", "no-store")
	lines := json.NewEncoder(out)
	err = s.cfg.Archive.Verify(c.r.Context(), from, to, func(d api.VerifiedDay) error {
		d.Windows = filled(d.Windows)
		return errors.Join(lines.Encode(d), control.Flush())
	})
	if err == nil {
		_, err = io.WriteString(out, `{"end":true}`+"\n")
	}
	if err != nil && out.begun {
		s.log.Error("The verification of the history broke off", "error", err)
		panic(http.ErrAbortHandler) // the client is not to take what it has for all
	}
	return nil, err
}

func (s *Server) postRepair(c *call) (any, error) {
	if s.cfg.Archive == nil {
		return nil, errNoArchive
	}
	var req api.RepairRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if !req.From.Before(req.To) {
		return nil, api.NewProblem(api.CodeBadRequest, "from is not before to")
	}
	if !s.verify.TryLock() {
		return nil, api.NewProblem(api.CodeTooMany, "the history is being verified already")
	}
	defer s.verify.Unlock()
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Time{}) // it takes as long as reading takes
	return s.cfg.Archive.Repair(c.r.Context(), c.who.Actor, req)
}
