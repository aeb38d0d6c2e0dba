package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// CreateDatabase creates an empty database, or a copy of the database template
// if that is not "". Nobody may be connected to the template meanwhile.
func (s *Server) CreateDatabase(ctx context.Context, name, template string) error {
	sql := "CREATE DATABASE " + quote(name)
	if template != "" {
		sql += " TEMPLATE " + quote(template)
	}
	if err := s.exec(ctx, sql); err != nil {
		return fmt.Errorf("creating database %q: %w", name, err)
	}
	return nil
}

// DropDatabase ends all sessions of a database and drops it. A database that
// does not exist is no error.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	if err := s.exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("dropping database %q: %w", name, err)
	}
	return nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// exec runs one statement as Admin in a session of its own.
func (s *Server) exec(ctx context.Context, sql string) (err error) {
	conn, err := pgx.Connect(ctx, s.SocketURL("", ""))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

// attach returns the server that dsn names, after a look whether it is there.
// Its text must not get into errors: it holds a password.
func attach(ctx context.Context, dsn string) (*Server, error) {
	u, err := url.Parse(dsn)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		return nil, fmt.Errorf("%s must be a postgres:// URL", EnvDSN)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("connecting to the server named by %s: %w", EnvDSN, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing was written
	s := &Server{foreign: u}
	s.password, _ = u.User.Password()
	var number string
	if err := conn.QueryRow(ctx, "SELECT current_user, current_setting('server_version_num')").Scan(&s.admin, &number); err != nil {
		return nil, fmt.Errorf("asking the server named by %s for its version: %w", EnvDSN, err)
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("reading the version of the server named by %s: %w", EnvDSN, err)
	}
	s.version = n / 10000
	return s, nil
}
