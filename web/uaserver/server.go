package uaserver

import (
	"context"
	"net"
)

// Server is an OPC UA server for one [Backend].
type Server struct {
	cfg     Config
	backend Backend
}

// New returns a server; it serves nothing before [Server.Serve].
func New(cfg Config, backend Backend) (*Server, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, backend: backend}, nil
}

// Serve accepts clients on l until ctx ends or the listener fails. It closes l and every connection, and when it
// returns nothing of it is left running. It can be called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	<-ctx.Done()
	return l.Close()
}
