package web

import "scada/web/api"

func proofRoutes() []route {
	return []route{{method: "GET", pattern: base + "/journal/verify", permission: JournalVerify, handle: (*Server).getJournalProof, answer: typeOf[api.JournalProof](),
		summary: "Hold the journal of this node against its chain of hashes, and the chain against what the other node has seen of it"}}
}

// getJournalProof reads the whole journal, one request at a time.
func (s *Server) getJournalProof(c *call) (any, error) {
	if s.cfg.VerifyJournal == nil {
		return nil, api.NewProblem(api.CodeNotFound, "this server has no journal")
	}
	if !s.proving.TryLock() {
		return nil, api.NewProblem(api.CodeTooMany, "the journal is being verified")
	}
	defer s.proving.Unlock()
	p, err := s.cfg.VerifyJournal(c.r.Context())
	p.Findings = filled(p.Findings)
	return p, err
}
