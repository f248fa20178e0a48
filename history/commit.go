package history

import (
	"time"
)

// retryAfter is how long the journal waits after a failed write before it tries again.
const retryAfter = time.Second

// commitLoop writes the journal in groups until the store closes.
func (s *Store) commitLoop() {
	defer close(s.committed)
	for {
		select {
		case <-s.wake:
		case <-s.quitCommit:
			s.commit()
			return
		}
		group := time.NewTimer(s.o.GroupCommit)
		select {
		case <-s.urgent:
		case <-group.C:
		case <-s.quitCommit:
		}
		group.Stop()
		for !s.commit() {
			retry := time.NewTimer(retryAfter)
			select {
			case <-retry.C:
			case <-s.quitCommit:
				retry.Stop()
				s.commit()
				return
			}
		}
	}
}

// commit writes everything that is waiting; false means it is still waiting because the disk refused it.
func (s *Store) commit() bool {
	s.mu.Lock()
	s.pushChunk()
	chunks := s.queue
	s.mu.Unlock()
	if len(chunks) == 0 {
		return true
	}
	err := s.wal.write(chunks)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.setProblem("journal", err)
	if err != nil {
		return false
	}
	for _, c := range chunks {
		s.queued -= len(c.buf)
	}
	s.queue = append([]*chunk(nil), s.queue[len(chunks):]...)
	s.pending = s.queued + len(s.chunk.buf) - s.chunk.empty
	s.durable = chunks[len(chunks)-1].last
	s.stats.Commits++
	close(s.moved)
	s.moved = make(chan struct{})
	return true
}

// setProblem notes or clears what is wrong, and logs the change. The caller holds mu.
func (s *Store) setProblem(what string, err error) {
	_, had := s.problems[what]
	switch {
	case err != nil:
		s.problems[what] = err
		if !had {
			s.o.Logger.Error("the history has a problem", "part", what, "error", err)
		}
	case had:
		delete(s.problems, what)
		s.o.Logger.Info("the history has recovered", "part", what)
	}
}
