package pgserver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Replication is the line of Options.HBA that a server with a [Server.Standby] needs.
const Replication = "local replication all trust"

// Standby returns a new server that follows this one, by streaming replication, and
// takes statements that read. The caller must Stop it, too.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	if s.foreign != nil {
		return nil, fmt.Errorf("a standby of the server named by %s: %w", EnvDSN, errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	r := &Server{admin: s.admin, password: s.password, tls: s.tls}
	if err := r.follow(ctx, s); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a standby: %w", err), r.Stop())
	}
	return r, nil
}

func (s *Server) follow(ctx context.Context, primary *Server) error {
	if err := s.settleAs(ctx, primary.as, binaries{dir: primary.bin}); err != nil {
		return err
	}
	_, err := s.as.run(ctx, s.home.dir, program(s.bin, "pg_basebackup"), "-D", s.home.data, "-R", "-X", "stream", "-c", "fast", "--no-sync",
		"-h", primary.home.socket, "-p", strconv.Itoa(primary.port), "-U", primary.admin)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.launchOnFreePort(ctx)
}
