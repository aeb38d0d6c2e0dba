package pgtool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Options configures a [DB]. URL is required; the zero value of every other
// field is the safest useful setting. The model can ask for less than the
// limits here, never for more.
type Options struct {
	// URL is a postgres:// URL with user, host and database, as from
	// redact.SecretFromEnv or redact.SecretFromFile. Without sslmode it gets
	// verify-full. Several hosts are tried in order. Settings of the session,
	// of the protocol and of pools are refused in it, and libpq's environment
	// variables and files in the home directory have no influence. Required.
	URL mcpsec.Secret
	// MaxConns is how many connections are open at most. Defaults to 8.
	MaxConns int
	// MaxRows is how many rows one statement returns at most. Defaults to 200.
	MaxRows int
	// MaxBytes is how many bytes of values one statement returns at most, up to
	// 4 MiB. Defaults to 128 KiB.
	MaxBytes int
	// Timeout is how long one statement may run. Defaults to 10 seconds.
	Timeout time.Duration
	// MaxCost is the cost, as the planner estimates it, over which a caller's
	// statement is refused. Each is then planned before it is sent. Defaults to 0,
	// no limit.
	MaxCost float64
	// Schemas are the schemas that the catalog tools show, and the search_path
	// behind pg_catalog. Defaults to all that the role may use, and to a
	// search_path of public.
	Schemas []string
	// ExplainAnalyze lets pg_explain run the statement that it explains, as
	// pg_query would: in a transaction that only reads and is rolled back, under
	// the same limits. Defaults to false.
	ExplainAnalyze bool
	// Allow holds functions, types, tables and views, as schema.name without
	// quotes, that a caller's statement may use although they would be refused:
	// functions that users have written, foreign tables, views over such things,
	// or catalogs of PostgreSQL's own. All functions of that name are allowed,
	// with whatever they do, and with all arguments. Defaults to none.
	Allow []string
	// Mask holds columns that a caller never sees in clear: "shop.customers.email",
	// or patterns for all tables, "*.ssn" and "*_token", in which * stands for any
	// characters. A column without a table means the same. Capitals make no
	// difference. The doc of the package says what it holds for. Defaults to none.
	Mask map[string]Mask
	// MaskKey is the key of Hashed, of at least 16 random bytes: with the same one
	// a value has the same digest in every DB, and for as long as it is kept.
	// Defaults to a key that Open draws.
	MaskKey mcpsec.Secret
	// Tenant says whose data the transactions of a call may use. It is called for
	// each of them, with the caller, and what it returns is set for that transaction
	// only, before the statement, which cannot change it: policies and grants of the
	// database enforce it. Without a call, and after an error, nothing is sent. It
	// must be safe for concurrent use. Defaults to nil: all callers are one.
	Tenant func(context.Context, mcpsec.Principal) (Tenant, error)
	// Password returns the password of the role for each new connection, where it
	// is a token that expires, as of IAM: the URLs have none then. The function
	// should cache; it has 10 seconds by its context, and must be safe for concurrent
	// use. What an error of it says is not passed on. Defaults to the password in the
	// URL.
	Password func(context.Context) (mcpsec.Secret, error)
	// Replicas are URLs of up to 15 servers that replicate the one of URL, with the
	// same role. Statements of callers go to one that is up and does not lag by
	// more than MaxLag, and else to the primary; one that was not answered is sent
	// once more, to another server. Each server gets MaxConns connections and one
	// more, which looks at it every second. Defaults to none.
	Replicas []mcpsec.Secret
	// MaxLag is how far a replica may be behind. Defaults to 10 seconds.
	MaxLag time.Duration
	// Scopes are what a caller needs for the tools and resources of this database,
	// all of them. Defaults to none.
	Scopes []string
	// ServerCheck has the server analyse each new statement before it is run, and
	// refuses it if what the server says it uses, by OID, is not allowed: functions
	// behind operators and casts, views put in, and all that names mean. It comes on
	// top of the look at the names, and makes one more round trip for a statement
	// that was not seen since the catalog has changed. The server writes the analysis
	// into its log, with the constants of the statement, as long as its
	// log_min_messages lets LOG through, as by default: some kilobytes for an ordinary
	// statement, and megabytes for one with many columns. A Writer takes no statement
	// of a caller's, and makes no use of it. Defaults to false.
	ServerCheck bool
	// Waive switches protections off: insecure.PlaintextDatabase,
	// insecure.OverprivilegedRole and insecure.AnySQL apply here, others go on to the
	// tools. Defaults to none.
	Waive []mcpsec.Waiver
}

const (
	maxConns   = 1_000
	maxRows    = 10_000
	maxBytes   = 4 << 20 // an answer is copied a dozen times on its way
	maxTimeout = 10 * time.Minute
	maxSchemas = 100
	maxAllow   = 1_000
	maxName    = 63 // bytes of a PostgreSQL identifier
)

func (o Options) withDefaults() (Options, error) {
	if o.URL.IsZero() {
		return o, errors.New("Options.URL is required: redact.SecretFromEnv reads one")
	}
	o.MaxConns = or(o.MaxConns, 8)
	o.MaxRows = or(o.MaxRows, 200)
	o.MaxBytes = or(o.MaxBytes, 128<<10)
	o.Timeout = or(o.Timeout, 10*time.Second)
	o.Schemas, o.Allow, o.Waive = slices.Clone(o.Schemas), slices.Clone(o.Allow), slices.Clone(o.Waive)
	o.Mask = maps.Clone(o.Mask)
	if o.hashes() && o.MaskKey.IsZero() {
		o.MaskKey = newKey()
	}
	o.Scopes, o.Replicas = slices.Clone(o.Scopes), slices.Clone(o.Replicas)
	o.MaxLag = or(o.MaxLag, 10*time.Second)
	switch {
	case o.MaxConns < 1 || o.MaxConns > maxConns:
		return o, fmt.Errorf("Options.MaxConns must be 1 to %d", maxConns)
	case o.MaxRows < 1 || o.MaxRows > maxRows:
		return o, fmt.Errorf("Options.MaxRows must be 1 to %d", maxRows)
	case o.MaxBytes < 1<<10 || o.MaxBytes > maxBytes:
		return o, fmt.Errorf("Options.MaxBytes must be 1024 to %d", maxBytes)
	case o.Timeout < time.Millisecond || o.Timeout > maxTimeout:
		return o, fmt.Errorf("Options.Timeout must be 1ms to %s", maxTimeout)
	case !(o.MaxCost >= 0):
		return o, errors.New("Options.MaxCost must not be negative")
	case o.MaxLag < time.Second || o.MaxLag > maxMaxLag:
		return o, fmt.Errorf("Options.MaxLag must be 1s to %s", maxMaxLag)
	case len(o.Replicas) >= maxServers:
		return o, fmt.Errorf("Options.Replicas must be less than %d", maxServers)
	case len(o.Schemas) > maxSchemas:
		return o, fmt.Errorf("Options.Schemas must not be more than %d", maxSchemas)
	case o.Tenant != nil && waive.Has(o.Waive, waive.AnySQL):
		return o, errors.New("Options.Tenant does not go with insecure.AnySQL: a statement could make itself that of another tenant")
	case len(o.Allow) > maxAllow:
		return o, fmt.Errorf("Options.Allow must not be more than %d", maxAllow)
	}
	if o.ServerCheck && waive.Has(o.Waive, waive.AnySQL) {
		return o, errors.New("Options.ServerCheck has nothing to compare with under insecure.AnySQL")
	}
	for _, a := range o.Allow {
		if schema, name, _ := strings.Cut(a, "."); !plainName(schema) || !plainName(name) {
			return o, errors.New("Options.Allow must be names with their schema, as in shop.net_margin")
		}
	}
	for _, s := range o.Schemas {
		if !plainName(s) || strings.HasPrefix(s, "pg_") || s == "information_schema" {
			return o, errors.New("Options.Schemas must be names of schemas that are not PostgreSQL's own")
		}
	}
	return o, o.checkMasks()
}

func or[T int | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

func plainName(s string) bool {
	return s != "" && len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsAny(s, "\x00\r\n")
}

// quoteName writes an identifier, quoteText a string literal.
func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
func quoteText(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

// ownSearchPath is for statements of ours: no function or operator that a user
// has made can stand in for one that they mean.
const ownSearchPath = "pg_catalog, pg_temp"

// searchPath puts pg_catalog first and pg_temp last, which the server would
// otherwise search before all others for tables and types.
func (o Options) searchPath() string {
	path := []string{"pg_catalog"}
	if o.Schemas == nil {
		path = append(path, "public")
	}
	for _, s := range o.Schemas {
		path = append(path, quoteName(s))
	}
	return strings.Join(append(path, "pg_temp"), ", ")
}
