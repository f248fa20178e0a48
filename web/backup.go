package web

import (
	"net/http"
	"time"

	"scada/web/api"
)

// backupPause is how long a client may take nothing of a backup.
const backupPause = time.Minute

// getBackup streams a backup, one at a time. Whether it came whole the client sees by its manifest.
func (s *Server) getBackup(c *call) (any, error) {
	if s.cfg.Backup == nil {
		return nil, api.NewProblem(api.CodeNotFound, "this server has no backups")
	}
	if !s.backup.TryLock() {
		return nil, api.NewProblem(api.CodeTooMany, "another backup is being taken")
	}
	defer s.backup.Unlock()
	out := &patientWriter{w: c.w, control: http.NewResponseController(c.w), now: time.Now}
	c.w.Header().Set("Content-Type", "application/x-tar")
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.Header().Set("Content-Disposition", `attachment; filename="scada-backup.tar"`)
	if err := s.cfg.Backup(c.r.Context(), out); err != nil {
		if !out.begun {
			c.w.Header().Del("Content-Disposition")
			return nil, err
		}
		s.log.Error("The backup broke off", "error", err)
		panic(http.ErrAbortHandler) // the client is not to take what it has for all
	}
	return nil, nil
}

// patientWriter gives the client time for every piece, however long the whole takes.
type patientWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	now     func() time.Time
	begun   bool
}

func (p *patientWriter) Write(b []byte) (int, error) {
	p.begun = true
	_ = p.control.SetWriteDeadline(p.now().Add(backupPause)) // without it the server's own limit holds
	return p.w.Write(b)
}
