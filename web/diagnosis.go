package web

import (
	"context"
	"io"
	"net/http"
	"time"

	"scada/web/api"
)

// Diagnosis is what a node knows of itself and its machine.
type Diagnosis interface {
	// Checks looks at the machine. It takes as long as the disk takes.
	Checks(ctx context.Context) api.Checks
	// LogLevel is what is written into the log now.
	LogLevel() api.LogLevel
	// SetLogLevel changes it for a time.
	SetLogLevel(by Actor, cmd api.LogLevelCommand) (api.LogLevel, error)
	// Bundle writes what support needs, without secrets, as a compressed tar archive.
	Bundle(ctx context.Context, w io.Writer) error
}

// Limits of the diagnosis.
const (
	checksTimeout = 20 * time.Second // for all checks together
	maxLogFor     = 24 * 3600        // seconds a level of the log may differ from the configured one
)

func diagnosisRoutes() []route {
	return []route{
		{method: "GET", pattern: base + "/node/checks", permission: View, handle: (*Server).getChecks, answer: typeOf[api.Checks](),
			summary: "What this node finds when it looks at its machine: clock, disk, ports, certificates, limits"},
		{method: "GET", pattern: base + "/node/log-level", permission: View, handle: (*Server).getLogLevel, answer: typeOf[api.LogLevel](),
			summary: "What is written into the log of this node"},
		{method: "POST", pattern: base + "/node/log-level", permission: RoleChange, handle: (*Server).postLogLevel,
			body: typeOf[api.LogLevelCommand](), answer: typeOf[api.LogLevel](), summary: "Change it for a time"},
		{method: "GET", pattern: base + "/node/bundle", permission: BackupTake, handle: (*Server).getBundle, media: []string{"application/gzip"},
			summary: "What support needs, without secrets: a compressed tar archive"},
	}
}

func (s *Server) diagnosis() (Diagnosis, error) {
	if s.cfg.Diagnosis == nil {
		return nil, api.NewProblem(api.CodeNotFound, "this server does not look at its machine")
	}
	return s.cfg.Diagnosis, nil
}

// getChecks looks once at a time: the checks write to the disk.
func (s *Server) getChecks(c *call) (any, error) {
	d, err := s.diagnosis()
	if err != nil {
		return nil, err
	}
	if !s.looking.TryLock() {
		return nil, api.NewProblem(api.CodeTooMany, "another look at the machine is under way")
	}
	defer s.looking.Unlock()
	ctx, cancel := context.WithTimeout(c.r.Context(), checksTimeout)
	defer cancel()
	return d.Checks(ctx), nil
}

func (s *Server) getLogLevel(*call) (any, error) {
	d, err := s.diagnosis()
	if err != nil {
		return nil, err
	}
	return d.LogLevel(), nil
}

func (s *Server) postLogLevel(c *call) (any, error) {
	d, err := s.diagnosis()
	if err != nil {
		return nil, err
	}
	var cmd api.LogLevelCommand
	if err := c.decode(&cmd); err != nil {
		return nil, err
	}
	if cmd.ForS < 0 || cmd.ForS > maxLogFor {
		return nil, api.NewProblem(api.CodeBadRequest, "for_s=%d: want 0 to %d seconds", cmd.ForS, maxLogFor)
	}
	return d.SetLogLevel(c.who.Actor, cmd)
}

// getBundle streams the bundle, one at a time; it shares the lock with the checks, which are in it.
func (s *Server) getBundle(c *call) (any, error) {
	d, err := s.diagnosis()
	if err != nil {
		return nil, err
	}
	if !s.looking.TryLock() {
		return nil, api.NewProblem(api.CodeTooMany, "another look at the machine is under way")
	}
	defer s.looking.Unlock()
	out := &patientWriter{w: c.w, control: http.NewResponseController(c.w), now: time.Now}
	c.w.Header().Set("Content-Type", "application/gzip")
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.Header().Set("Content-Disposition", `attachment; filename="scada-bundle.tar.gz"`)
	if err := d.Bundle(c.r.Context(), out); err != nil {
		if !out.begun {
			c.w.Header().Del("Content-Disposition")
			return nil, err
		}
		s.log.Error("The support bundle broke off", "error", err)
		panic(http.ErrAbortHandler) // the client is not to take what it has for all
	}
	return nil, nil
}
