package web

import "scada/web/api"

// getHistoryTargets answers with the engines the history is sent to.
func (s *Server) getHistoryTargets(*call) (any, error) {
	if s.cfg.HistoryTargets == nil {
		return api.HistoryTargets{Node: s.cfg.Node, Targets: []api.HistoryTarget{}}, nil
	}
	return s.cfg.HistoryTargets(), nil
}
