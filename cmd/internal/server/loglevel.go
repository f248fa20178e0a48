package server

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"scada/history/journal"
	"scada/web"
	"scada/web/api"
)

// logFor is how long a changed level of the log holds when nobody says. It always ends: a node left on debug fills its
// disk months later.
const logFor = 15 * time.Minute

// eventLogLevel is what a change of the level is filed under in the journal.
const eventLogLevel = "log-level"

// logLevel changes what is written into the log while the node runs.
type logLevel struct {
	v   *slog.LevelVar // nil: the level cannot be changed
	log *slog.Logger

	mu         sync.Mutex
	configured slog.Level
	until      time.Time
	by         string
	back       *time.Timer
}

func newLogLevel(v *slog.LevelVar, log *slog.Logger) *logLevel {
	l := &logLevel{v: v, log: log}
	if v != nil {
		l.configured = v.Level()
	}
	return l
}

// change sets the level for a time; the configured one ends a change at once.
func (l *logLevel) change(level slog.Level, hold time.Duration, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest()
	if level != l.configured {
		l.until, l.by = time.Now().Add(hold), by
		var mine *time.Timer
		mine = time.AfterFunc(hold, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.back == mine {
				l.rest()
				l.log.Info("The log has returned to its configured level", "level", text(l.configured))
			}
		})
		l.back = mine
	}
	l.v.Set(level)
}

// rest returns to the configured level. The caller holds the lock.
func (l *logLevel) rest() {
	if l.back != nil {
		l.back.Stop()
	}
	l.back, l.until, l.by = nil, time.Time{}, ""
	if l.v != nil {
		l.v.Set(l.configured)
	}
}

func (l *logLevel) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest()
}

func (l *logLevel) state(node string) api.LogLevel {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := api.LogLevel{Node: node, Configured: text(l.configured), Until: moment(l.until), By: l.by}
	s.Level = s.Configured
	if l.v != nil {
		s.Level = text(l.v.Level())
	}
	return s
}

func text(l slog.Level) string { return strings.ToLower(l.String()) }

// LogLevel implements [web.Diagnosis].
func (s *Server) LogLevel() api.LogLevel { return s.level.state(s.nodeName) }

// SetLogLevel implements [web.Diagnosis].
func (s *Server) SetLogLevel(by web.Actor, cmd api.LogLevelCommand) (api.LogLevel, error) {
	if s.level.v == nil {
		return api.LogLevel{}, api.NewProblem(api.CodeNotFound, "the log of this node has one level for ever")
	}
	var level slog.Level
	switch cmd.Level {
	case "debug", "info", "warn", "error":
		if err := level.UnmarshalText([]byte(cmd.Level)); err != nil {
			return api.LogLevel{}, fmt.Errorf("level: %w", err)
		}
	default:
		return api.LogLevel{}, api.NewProblem(api.CodeBadRequest, "level=%s: want debug, info, warn or error", cmd.Level)
	}
	hold := time.Duration(cmd.ForS) * time.Second
	if hold == 0 {
		hold = logFor
	}
	old := s.LogLevel().Level
	s.level.change(level, hold, by.User)
	now := s.LogLevel()
	e := s.newEntry(journal.ClassRole, eventLogLevel, "", s.nodeName, by.User, "for "+hold.String())
	if now.Until == nil {
		e.Message = "as configured"
	}
	e.Old, e.New = old, now.Level
	s.areas[s.areaNames[0]].record(e)
	s.log.Info("The level of the log was changed", "from", old, "to", now.Level, "for", hold, "by", by.User)
	return now, nil
}
