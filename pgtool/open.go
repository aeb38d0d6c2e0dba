package pgtool

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A DB is a PostgreSQL database to read from. It is safe for concurrent use.
type DB struct {
	o     Options
	pool  *pool
	types types
	login string // the role that logs in

	replicas *replicas // nil without

	gate      gate
	plans     plans
	maskGuard []byte // for sqlcatalog.GuardSQL

	diskOpen bool        // the role has no temp_file_limit
	vetted   atomic.Bool // the role was, and new connections have to be of the same kind

	makesRoles bool // it may have CREATEROLE
	unshared   bool // a session that others share will not do
}

// Open connects to a database and checks that its role can do nothing but read.
// The error names every fault of the role, and the SQL that makes a fit one; it
// holds no piece of the URL. The caller must Close the DB.
func Open(ctx context.Context, o Options) (*DB, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	config, err := o.config(o.URL)
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	db := &DB{o: o, login: config.User, maskGuard: o.guardPatterns(), gate: gate{turn: make(chan struct{}, 1)}}
	db.pool = newPool(config, o.MaxConns, db.checkConn)
	err = db.start(ctx, config.Config)
	if err == nil {
		err = db.openReplicas(ctx)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	return db, nil
}

// A connConfig is how to connect to a server.
type connConfig struct {
	*pgconn.Config
	password func(context.Context) (mcpsec.Secret, error) // nil if the URL has it
}

// config reads a URL.
func (o Options) config(url mcpsec.Secret) (*connConfig, error) {
	c, err := parseURL(url.Reveal(), o.Waive)
	if err != nil {
		return nil, err
	}
	if o.Password != nil && c.Password != "" {
		return nil, errors.New("Options.URL has a password, and Options.Password is there: one of the two is enough")
	}
	o.startup(c)
	return &connConfig{c, o.Password}, nil
}

// passwordLimit is how long Options.Password may take.
const passwordLimit = 10 * time.Second

// errPassword stands for what Options.Password has returned: that may quote what
// must not be quoted.
var errPassword = errors.New("Options.Password has returned no password in time")

// fresh returns the settings for one more connection.
func (c *connConfig) fresh(ctx context.Context) (*pgconn.Config, error) {
	config := c.Copy()
	if c.password == nil {
		return config, nil
	}
	ctx, cancel := context.WithTimeout(ctx, passwordLimit)
	defer cancel()
	secret, err := c.newPassword(ctx)
	if err != nil || secret.IsZero() {
		return nil, errPassword
	}
	config.Password = secret.Reveal()
	return config, nil
}

// newPassword asks for one. A panic would keep the connection's place in the pool.
func (c *connConfig) newPassword(ctx context.Context) (s mcpsec.Secret, err error) {
	defer func() {
		if recover() != nil {
			err = errPassword
		}
	}()
	return c.password(ctx)
}

// start makes the first trips: what is wrong shows now and not at a call.
func (db *DB) start(ctx context.Context, c *pgconn.Config) error {
	faults, err := db.faults(ctx)
	if err == nil {
		err = db.lookAtDisk(ctx)
	}
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
func (db *DB) Close() {
	db.replicas.close()
	db.pool.close()
}

// query runs one query under the limits of the Options.
func (db *DB) query(ctx context.Context, q *query) (*result, error) {
	if err := db.bind(ctx, q); err != nil {
		return nil, err
	}
	r, err := db.ask(ctx, q)
	q.tenant.hide(reportedBy(err))
	if err == errStale {
		db.gate.stale.Store(true)
	}
	return r, err
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
	case errors.Is(err, errPassword):
		return errPassword.Error()
	case errors.As(err, &host):
		return "the server's certificate is not for the host that Options.URL names"
	case errors.As(err, &cert):
		return "the server's certificate is not signed by a known authority, or not valid now; sslrootcert in Options.URL names the authority's certificate"
	case errors.As(err, &dns):
		return "the host that Options.URL names is not known"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || pgconn.Timeout(err):
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
