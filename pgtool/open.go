package pgtool

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// A DB is a PostgreSQL database to read from. It is safe for concurrent use.
type DB struct {
	o     Options
	pool  *pool
	types types

	gate   gate
	vetted atomic.Bool // the role was, and new connections have to be of the same kind

	makesRoles bool // it may have CREATEROLE
}

// Open connects to a database and checks that its role can do nothing but read.
// The error names every fault of the role, and the SQL that makes a fit one; it
// holds no piece of the URL. The caller must Close the DB.
func Open(ctx context.Context, o Options) (*DB, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	config, err := parseURL(o.URL.Reveal(), o.Waive)
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	o.startup(config)
	db := &DB{o: o, gate: gate{turn: make(chan struct{}, 1)}}
	db.pool = newPool(config, o.MaxConns, db.checkConn)
	if err := db.start(ctx, config); err != nil {
		db.Close()
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	return db, nil
}

// checkConn refuses a new connection that is not as the first one was.
func (db *DB) checkConn(ctx context.Context, c *conn) error {
	c.prologue = prologue(db.o.limits(db.o.searchPath()), c.version())
	c.ownPrologue = prologue(db.o.limits(ownSearchPath), c.version())
	if err := checkSession(c); err != nil || !db.vetted.Load() {
		return err
	}
	return c.checkRole(ctx, db.makesRoles)
}

// start makes the first trips: what is wrong shows now and not at a call.
func (db *DB) start(ctx context.Context, c *pgconn.Config) error {
	faults, err := db.faults(ctx)
	if err != nil {
		return errors.New(startText(err))
	}
	overprivileged := waive.Has(db.o.Waive, waive.OverprivilegedRole)
	if len(faults) > 0 && !overprivileged {
		setup := SetupOptions{Database: c.Database, Schemas: db.o.Schemas}
		if !plainName(setup.Database) {
			setup.Database = "the database"
		}
		return &roleError{faults, "only read", SetupSQL(setup)}
	}
	db.vetted.Store(!overprivileged)
	if waive.Has(db.o.Waive, waive.AnySQL) {
		return nil
	}
	return db.startGate(ctx)
}

// Close ends all connections. It cancels statements that run and waits for
// them. Further calls do nothing.
func (db *DB) Close() { db.pool.close() }

// query runs one query under the limits of the Options.
func (db *DB) query(ctx context.Context, q *query) (*result, error) {
	return db.pool.query(ctx, q, db.o.Timeout+grace+time.Second)
}

// startText says why there is no connection, in words that hold no piece of the
// URL, as the errors of the driver do.
func startText(err error) string {
	var reported *pgconn.PgError
	var host x509.HostnameError
	var cert *tls.CertificateVerificationError
	var dns *net.DNSError
	switch {
	case errors.As(err, &reported):
		return startSQLState(reported.Code)
	case errors.As(err, &host):
		return "the server's certificate is not for the host that Options.URL names"
	case errors.As(err, &cert):
		return "the server's certificate is not signed by a known authority, or not valid now; sslrootcert in Options.URL names the authority's certificate"
	case errors.As(err, &dns):
		return "the host that Options.URL names is not known"
	case errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err):
		return "the server does not answer in time"
	}
	var session *sessionError
	if errors.As(err, &session) {
		return session.text
	}
	return "no connection to the server: nothing listens there, it speaks another protocol, or it does not speak TLS; for a server on this machine, sslmode=disable in Options.URL is accepted"
}

func startSQLState(code string) string {
	text := "the server refuses the connection (SQLSTATE " + code + ")"
	switch code {
	case "57014":
		return "looking at what the role may do took longer than Options.Timeout"
	case "28P01", "28000":
		text += ": the user, the password or the address is not accepted"
	case "3D000":
		text += ": there is no such database"
	case "53300":
		text += ": it has too many connections"
	case "08P01", "42704", "22023":
		text += ": it, or a pooler before it, does not take the settings of the session"
	}
	return text
}
