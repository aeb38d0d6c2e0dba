package pgtool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// WriteOptions configures a [Writer]. Options.URL and Tables are required.
type WriteOptions struct {
	// Options are as for reading. The role must be another one than that of the
	// read tools: [SetupSQL] with Tables makes it. Options.Waive may hold
	// insecure.Unconfirmed, with which nobody is asked. A column of Options.Mask
	// cannot be among those that are read; the answers of NamedWrite are not
	// masked. Options.Schemas is the search_path of triggers, and defaults to the
	// schemas of Tables here.
	Options
	// Tables are the tables that may be written, and how. Required.
	Tables []Table
	// MaxAffected is how many rows one call may change, in all tables together,
	// those of triggers and cascades included. A call that would change more
	// changes nothing. Defaults to 100.
	MaxAffected int
	// Overwrite is what it means when pg_update and pg_upsert overwrite a value:
	// mcpsec.Write where the old ones are kept, by triggers or in a table of
	// versions. Defaults to mcpsec.Destroy: a person is asked.
	Overwrite mcpsec.Effect
	// Execute adds pg_execute to [WriteTools]: one INSERT, UPDATE, DELETE or MERGE
	// of the caller's text, within Tables, for which a person is always asked. The
	// structured tools need no such thing, and are the safer ones. Defaults to
	// false.
	Execute bool
}

const (
	maxTables   = 200
	maxAffected = 10_000
)

func (o WriteOptions) withDefaults() (WriteOptions, error) {
	schemas := o.Schemas
	base, err := o.Options.withDefaults()
	if err != nil {
		return o, err
	}
	o.Options = base
	o.MaxAffected = or(o.MaxAffected, 100)
	if o.Overwrite == 0 {
		o.Overwrite = mcpsec.Destroy
	}
	switch {
	case len(o.Replicas) > 0:
		return o, errors.New("WriteOptions has no Replicas: what is written goes to the primary")
	case len(o.Tables) == 0 || len(o.Tables) > maxTables:
		return o, fmt.Errorf("WriteOptions.Tables must be 1 to %d tables", maxTables)
	case o.MaxAffected < 1 || o.MaxAffected > maxAffected:
		return o, fmt.Errorf("WriteOptions.MaxAffected must be 1 to %d", maxAffected)
	case o.Overwrite != mcpsec.Write && o.Overwrite != mcpsec.Destroy:
		return o, errors.New("WriteOptions.Overwrite must be mcpsec.Write or mcpsec.Destroy")
	}
	o.Tables = slices.Clone(o.Tables)
	for i, t := range o.Tables {
		if err := t.check(); err != nil {
			return o, err
		}
		if column := o.maskedColumn(t); column != "" {
			return o, fmt.Errorf("WriteOptions.Tables: %q must not read the column %q, which Options.Mask has masked", t.title(), column)
		}
		t.Read, t.Insert, t.Update, t.Key = slices.Clone(t.Read), slices.Clone(t.Insert), slices.Clone(t.Update), slices.Clone(t.Key)
		o.Tables[i] = t
		if schemas == nil && !slices.Contains(o.Schemas, t.Schema) {
			o.Schemas = append(o.Schemas, t.Schema)
		}
	}
	return o, nil
}

// A Writer is a PostgreSQL database in which some tables may be written. It is
// safe for concurrent use.
type Writer struct {
	o       WriteOptions
	db      *DB
	targets map[string]*target
	memory
}

// A memory keeps, by call, what a person was shown that it does.
type memory struct {
	mu      sync.Mutex
	counted map[string]string
}

// OpenWriter connects to a database and checks that its role can write to the
// tables as they are listed, and nowhere else: the database enforces the list as
// well. The error names every fault of the role, and the SQL that makes a fit
// one; it holds no piece of the URL. The caller must Close the Writer.
func OpenWriter(ctx context.Context, o WriteOptions) (*Writer, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	config, err := o.config(o.URL)
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	w := &Writer{o: o, db: &DB{o: o.Options, login: config.User, gate: gate{turn: make(chan struct{}, 1)}}}
	w.db.pool = newPool(config, o.MaxConns, w.db.checkConn)
	if err := w.start(ctx, config.Database); err != nil {
		w.Close()
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	return w, nil
}

// start makes the first trips.
func (w *Writer) start(ctx context.Context, database string) error {
	targets, err := w.db.targets(ctx, w.o.Tables)
	if err != nil {
		return startError(err)
	}
	w.targets = targets
	faults, err := w.db.faultsBeyond(ctx, writerFaults, []byte(tablesJSON(w.o.Tables)))
	if err != nil {
		return startError(err)
	}
	if _, err := w.db.query(ctx, &query{sql: countsSQL, own: true, anyone: true, maxRows: 1, maxBytes: maxCatalog}); err != nil {
		return startError(err)
	}
	if w.o.Execute { // here insecure.AnySQL has no meaning
		if err := w.db.startGate(ctx); err != nil {
			return err
		}
	}
	if waive.Has(w.o.Waive, waive.OverprivilegedRole) {
		return nil
	}
	if len(faults) > 0 {
		setup := SetupOptions{Database: database, Schemas: w.o.Schemas, Tables: w.o.Tables}
		if !plainName(setup.Database) {
			setup.Database = "the database"
		}
		return &roleError{faults, "only write to the tables that are listed", SetupSQL(setup)}
	}
	w.db.vetted.Store(true)
	return nil
}

// startError lets errors of ours pass, and no text of the driver or the server.
func startError(err error) error {
	var lost *lostError
	if errors.As(err, &lost) || reportedBy(err) != nil || errors.Is(err, context.DeadlineExceeded) {
		return errors.New(startText(err))
	}
	return err
}

// Close ends all connections. It cancels statements that run, which then change
// nothing unless they are being committed, and waits for them. Further calls do
// nothing.
func (w *Writer) Close() { w.db.Close() }

// remember keeps what a call was seen to do until it is over.
func (m *memory) remember(call, does string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counted == nil {
		m.counted = map[string]string{}
	}
	m.counted[call] = does
}

func (m *memory) remembered(call string) (does string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	does, ok = m.counted[call]
	return does, ok
}

func (m *memory) forget(call string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.counted, call)
}
