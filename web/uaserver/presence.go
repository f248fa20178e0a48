package uaserver

// The reasons of a [Presence].
const (
	ClientConnected = "client-connected"
	ClientLeft      = "client-left" // it closed its session
	ClientLost      = "client-lost" // its connection ended, or it was silent for too long
)

// Presence is a client that came or went.
type Presence struct {
	What    string
	User    string // empty: without one
	Name    string // of the session, as the client calls it
	Address string
	Detail  string
}

// present notes, with the server's lock held, that a session came or went, and returns what to tell about it once the
// lock is released.
func (x *session) present(what, detail string) (Presence, bool) {
	here := what == ClientConnected
	if x.here == here {
		return Presence{}, false
	}
	x.here = here
	return Presence{What: what, User: x.user.Name, Name: x.name, Address: x.user.Address, Detail: detail}, true
}

// tell passes on who came or went. That everybody is gone from a server that stops says nothing about them.
func (s *Server) tell(p Presence, changed bool) {
	if !changed || s.cfg.Clients == nil || s.ending() {
		return
	}
	s.cfg.Clients(p)
}

func (s *Server) ending() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}
