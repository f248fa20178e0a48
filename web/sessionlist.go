package web

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"scada/web/api"
)

// AuditEnded is the audit event of a session that an administrator has ended.
const AuditEnded = "session ended"

const markPrefix = "session "

// markText finds the mark of a session in the journal.
var markText = regexp.MustCompile(markPrefix + `[0-9a-f]{16}\b`)

// watchedEntries is how many new entries of the journal are looked at in one go.
const watchedEntries = 100

func sessionListRoutes() []route {
	return []route{
		{method: "GET", pattern: base + "/sessions", permission: PeopleAdmin, handle: (*Server).getSessions, answer: typeOf[api.Sessions](),
			summary: "Who is signed in, on both nodes"},
		{method: "DELETE", pattern: base + "/sessions/{id}", permission: PeopleAdmin, handle: (*Server).deleteOtherSession,
			summary: "End a session, wherever it is"},
	}
}

// Sessions are the sessions this node knows, by user and age.
func (s *Server) Sessions() []api.SessionInfo {
	list := s.sessions.list(s.now())
	for i := range list {
		list[i].Node = s.cfg.Node
	}
	return list
}

func (s *Server) everySession() []api.SessionInfo {
	list := s.Sessions()
	if s.cfg.PeerSessions != nil {
		list = append(list, s.cfg.PeerSessions()...)
	}
	slices.SortStableFunc(list, func(a, b api.SessionInfo) int {
		return cmp.Or(strings.Compare(a.User, b.User), a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return list
}

func (s *Server) getSessions(c *call) (any, error) {
	if err := c.who.Refuse(PeopleAdmin, ""); err != nil {
		return nil, err
	}
	list := s.everySession()
	for i := range list {
		list[i].Own = c.who.session != nil && markPrefix+list[i].ID == c.who.session.mark
	}
	return api.Sessions{Sessions: filled(list)}, nil
}

// deleteOtherSession ends a session. The journal carries that to the other node, and it holds after a restart.
func (s *Server) deleteOtherSession(c *call) (any, error) {
	if err := c.who.Refuse(PeopleAdmin, ""); err != nil {
		return nil, err
	}
	id := c.r.PathValue("id")
	list := s.everySession()
	i := slices.IndexFunc(list, func(one api.SessionInfo) bool { return one.ID == id })
	if i < 0 {
		return nil, api.NewProblem(api.CodeNotFound, "no such session")
	}
	s.endMark(markPrefix + id)
	s.backend.Audit(AuditEvent{Event: AuditEnded, Actor: c.who.Actor, Detail: markPrefix + id + " of " + list[i].User})
	c.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func (s *Server) endMark(mark string) {
	s.sessions.endIf(func(sess *session) bool { return sess.mark == mark })
}

// watchEnds ends the sessions that the journal says were ended on the other node, until ctx ends.
func (s *Server) watchEnds(ctx context.Context) {
	feed := s.backend.JournalFeed()
	news, stop := feed.Watch()
	defer stop()
	seq := feed.Seq()
	for {
		var entries []FeedEntry[api.JournalEntry]
		entries, ok := feed.Since(entries, seq, watchedEntries)
		if !ok {
			seq = feed.Seq() // a session missed here ends when it is taken up again, or with its time
		}
		for _, e := range entries {
			seq = e.Seq
			if e.Item.Kind == "session" && (e.Item.Event == AuditLogout || e.Item.Event == AuditEnded) {
				if mark := markText.FindString(e.Item.Message); mark != "" {
					s.endMark(mark)
				}
			}
		}
		if len(entries) == watchedEntries {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
		}
	}
}

// used notes when and from where a session was last used.
func (s *sessions) used(sess *session, address string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess.address, sess.seen = address, now
}

// lastSeen is when the session was last used, to a minute: the other node is told whenever it changes.
func (sess *session) lastSeen() time.Time {
	if at := sess.seen.Truncate(time.Minute); at.After(sess.created) {
		return at
	}
	return sess.created
}

// list describes the sessions that have not ended.
func (s *sessions) list(now time.Time) []api.SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []api.SessionInfo
	for _, sess := range s.byHash {
		if !now.Before(sess.expires) {
			continue
		}
		out = append(out, api.SessionInfo{ID: strings.TrimPrefix(sess.mark, markPrefix), User: sess.user, Role: sess.account.role.String(), Address: sess.address,
			CreatedAt: sess.created.UTC(), SeenAt: sess.lastSeen().UTC(), ExpiresAt: sess.expires.UTC()})
	}
	slices.SortFunc(out, func(a, b api.SessionInfo) int {
		return cmp.Or(strings.Compare(a.User, b.User), a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return out
}
