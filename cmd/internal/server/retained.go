package server

import (
	"scada/acquisition/tag"
	"scada/history"
)

// whenFull is what the configuration wants of the archive when there is no more room for it.
func (s *Server) whenFull() history.FullPolicy {
	if s.now().cfg.History.StopWhenFull {
		return history.StopRecording
	}
	return history.DropOldest
}

// marksGap reports whether a row of an import is what an export writes for a gap this archive knows of itself: it is no
// sample, and an export that is imported again adds nothing.
func (s archive) marksGap(name string, x tag.Sample) bool {
	if !x.Value.IsNone() || x.Quality != tag.BadNoData {
		return false
	}
	def, ok := s.now().definition(name)
	return ok && len(s.store.Gaps(history.Scope{Area: def.Area, Device: def.Device, ScanClass: def.ScanClass}, x.Time, x.Time+1)) > 0
}
