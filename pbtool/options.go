package pbtool

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Options configures a [Client]. URL is required; the zero value of every other
// field is the safest useful setting. The model can ask for less than the limits
// here, never for more.
type Options struct {
	// URL is the server's address, as in https://pb.example.com, with a path if
	// PocketBase is served beneath one. http is for a server on this machine.
	// Required.
	URL string
	// As says whose rights a caller's requests have, so that PocketBase's API
	// rules decide what the caller sees: [OwnUser], for one. An error refuses the
	// call. It must be safe for concurrent use. Defaults to User for every caller.
	As func(ctx context.Context, p mcpsec.Principal) (User, error)
	// User is the account that requests are made with where As is nil. Defaults to
	// none: they are a guest's.
	User Login
	// Superuser gets tokens for the users that As names, and is what the sets need
	// that say so. Tools for records never use it for a request of their own.
	// Defaults to none.
	Superuser Login
	// SignIn are the auth collections whose accounts callers may sign in to, verify and
	// recover with AuthTools. Defaults to users.
	SignIn []string
	// RedirectURL is the https page of the operator's that OAuth2 providers send people
	// back to, which shows them the code and the state. Defaults to none: there is no
	// OAuth2.
	RedirectURL string
	// State counts attempts to sign in, for replicas together. Defaults to this
	// process's own memory.
	State state.Limiter
	// Impersonate is how long a token lives that was got for a user: 1 minute to 1
	// hour. Defaults to 5 minutes.
	Impersonate time.Duration
	// Collections are the collections that tools for records may use, and how.
	// Defaults to all that are not PocketBase's own, to be read.
	Collections []Collection
	// History is where changes of records are recorded. Defaults to none.
	History History
	// Public are the collections that SchemaWriteTools may open to guests: to those
	// who have not signed in. Defaults to none: a rule that would let them in, always
	// or for some records, is refused.
	Public []string
	// MaxRecords is how many records one call returns, 1 to 1000. Defaults to 200.
	MaxRecords int
	// MaxBytes is how many bytes of records one call returns. Defaults to 128 KiB.
	MaxBytes int
	// MaxScan is how many records one call may go through to aggregate or export
	// them. Defaults to 10,000.
	MaxScan int
	// Exports is a directory for nothing but what pb_export_records writes when it is
	// told a file's name: new files only, up to 100 of up to 16 MiB, in which secrets
	// are not masked as in answers. The tool is a mcpsec.Write then. It must stay
	// open. Defaults to none: an export is in the answer.
	Exports *os.Root
	// MaxAffected is how many records one call may change or make, at most 1000.
	// One that would change more changes nothing. Defaults to 50, which is how many
	// requests PocketBase takes in a batch; to 25 with a History.
	MaxAffected int
	// MaxFile is how many bytes a file has that is uploaded or got, at most 4 MiB.
	// An upload must fit into mcpsec.Limits.MaxMessage, as base64. Defaults to 512 KiB.
	MaxFile int
	// Overwrite is what it means when a value is overwritten: mcpsec.Write where
	// old ones are kept. Defaults to mcpsec.Destroy: a person is asked.
	Overwrite mcpsec.Effect
	// Timeout is how long one request to PocketBase may take, retries included. A
	// call makes several. Defaults to 10 seconds.
	Timeout time.Duration
	// Networks are those that are not public and that the server may be in, such as
	// 10.20.0.0/16. Defaults to none; to this machine for an http URL.
	Networks []netip.Prefix
	// RootCAs are the authorities that the server's certificate may come from.
	// Defaults to the system's.
	RootCAs *x509.CertPool
	// Waive switches protections off: insecure.PlaintextHTTP applies here, others
	// go on to the tools. Defaults to none.
	Waive []mcpsec.Waiver
}

// A Login is an account of an auth collection, without multi-factor authentication.
// Either Token, or Identity and Password are required.
type Login struct {
	// Collection is the account's. Defaults to users, and is always _superusers
	// for Options.Superuser.
	Collection string
	// Identity is the e-mail address or what else the collection identifies
	// accounts by.
	Identity string
	// Password is the account's.
	Password mcpsec.Secret
	// Token is one of the account's, in place of the other two. One that can be
	// refreshed is, before it expires; a static one ends.
	Token mcpsec.Secret
}

func (l Login) isZero() bool { return l.Identity == "" && l.Password.IsZero() && l.Token.IsZero() }

// A User is whose rights a request has. The zero User is a guest.
type User struct {
	// Collection and ID name a record of an auth collection, for which
	// Options.Superuser gets a token.
	Collection string
	ID         string
	// Token is one of the user's own, in place of the other two.
	Token mcpsec.Secret
}

// A Collection says what tools may do with one collection. PocketBase's API rules
// decide beyond that.
type Collection struct {
	// Name is the collection's name. Required.
	Name string
	// Fields may be read, sorted and filtered by, and expanded: names, and paths
	// through relations as in author.name. id is always one. Defaults to all
	// fields, without paths that lead elsewhere.
	Fields []string
	// Write are the fields that may be set. Defaults to none: the collection is
	// only read.
	Write []string
	// Delete says that records may be deleted. Defaults to false.
	Delete bool
}

const (
	perPage    = 1_000 // PocketBase's own limit
	maxBytes   = 16 << 20
	maxScan    = 1_000_000
	maxFile    = 4 << 20
	maxTimeout = 5 * time.Minute
)

func (o Options) withDefaults() (Options, error) {
	o.Impersonate, o.Timeout = or(o.Impersonate, 5*time.Minute), or(o.Timeout, 10*time.Second)
	o.MaxRecords, o.MaxBytes, o.MaxScan, o.MaxAffected = or(o.MaxRecords, 200), or(o.MaxBytes, 128<<10), or(o.MaxScan, 10_000), or(o.MaxAffected, o.batchSize())
	o.MaxFile = or(o.MaxFile, 512<<10)
	if o.Overwrite == 0 {
		o.Overwrite = mcpsec.Destroy
	}
	o.Public = slices.Clone(o.Public)
	if o.SignIn == nil {
		o.SignIn = []string{"users"}
	}
	if o.State == nil {
		o.State = new(state.Memory)
	}
	o.SignIn = slices.Clone(o.SignIn)
	o.Networks, o.Waive = slices.Clone(o.Networks), slices.Clone(o.Waive)
	switch {
	case o.Impersonate < time.Minute || o.Impersonate > time.Hour:
		return o, errors.New("Options.Impersonate must be 1m to 1h")
	case o.MaxRecords < 1 || o.MaxRecords > perPage:
		return o, fmt.Errorf("Options.MaxRecords must be 1 to %d", perPage)
	case o.MaxBytes < 1<<10 || o.MaxBytes > maxBytes:
		return o, fmt.Errorf("Options.MaxBytes must be 1024 to %d", maxBytes)
	case o.MaxScan < 1 || o.MaxScan > maxScan:
		return o, fmt.Errorf("Options.MaxScan must be 1 to %d", maxScan)
	case o.MaxAffected < 1 || o.MaxAffected > perPage:
		return o, fmt.Errorf("Options.MaxAffected must be 1 to %d", perPage)
	case slices.ContainsFunc(o.Public, func(k string) bool { return !collectionName().MatchString(k) || isSystem(k) }):
		return o, errors.New("Options.Public must have the names of collections that are not PocketBase's own")
	case o.MaxFile < 1 || o.MaxFile > maxFile:
		return o, fmt.Errorf("Options.MaxFile must be 1 to %d", maxFile)
	case o.Overwrite != mcpsec.Write && o.Overwrite != mcpsec.Destroy:
		return o, errors.New("Options.Overwrite must be mcpsec.Write or mcpsec.Destroy")
	case o.Timeout < time.Millisecond || o.Timeout > maxTimeout:
		return o, fmt.Errorf("Options.Timeout must be 1ms to %s", maxTimeout)
	}
	return o, errors.Join(o.checkURL(), o.checkLogins(), o.checkSignIn(), checkCollections(o.Collections), o.checkHistory())
}

// batchSize is how many changes fit into PocketBase's batch.
func (o *Options) batchSize() int {
	if o.History.Collection != "" {
		return 25
	}
	return 50
}

func or[T int | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// checkURL never quotes the URL: a password could stand in it.
func (o *Options) checkURL() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("Options.URL must be the server's address, as in https://pb.example.com")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("Options.URL must have no user, query or fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()) && !waive.Has(o.Waive, waive.PlaintextHTTP):
		return errors.New("Options.URL must be https: passwords and tokens would cross the network in the clear; waive insecure.PlaintextHTTP if they may")
	}
	for s := range strings.SplitSeq(strings.Trim(u.EscapedPath(), "/"), "/") {
		if s != "" && !segmentName().MatchString(s) {
			return errors.New("Options.URL has a path with other characters than letters, digits, dots, dashes and underscores")
		}
	}
	if u.Scheme == "http" && loopback(u.Hostname()) {
		o.Networks = append(o.Networks, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	o.URL = u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/")
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func (o *Options) checkLogins() error {
	o.Superuser.Collection = superusers
	if o.User.Collection == "" {
		o.User.Collection = "users"
	}
	if !collectionName().MatchString(o.User.Collection) || isSystem(o.User.Collection) {
		return errors.New("Options.User.Collection must be the name of an auth collection of users")
	}
	for name, l := range map[string]Login{"User": o.User, "Superuser": o.Superuser} {
		if l.isZero() {
			continue
		}
		if l.Token.IsZero() == (l.Identity == "" || l.Password.IsZero()) {
			return fmt.Errorf("either Identity and Password, or Token are needed in Options.%s", name)
		}
	}
	if !o.User.Token.IsZero() && isSuperuserToken(o.User.Token.Reveal()) {
		return errors.New("Options.User.Token is a superuser's: it would open everything to every caller")
	}
	if o.As != nil && !o.User.isZero() {
		return errors.New("Options.User is for clients without Options.As")
	}
	return nil
}

func (o *Options) checkSignIn() error {
	for _, name := range o.SignIn {
		if !collectionName().MatchString(name) || isSystem(name) {
			return errors.New("Options.SignIn must have the names of auth collections of users")
		}
	}
	if u, err := url.Parse(o.RedirectURL); o.RedirectURL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		return errors.New("Options.RedirectURL must be an https URL")
	}
	return nil
}

func checkCollections(cs []Collection) error {
	seen := map[string]bool{}
	for _, c := range cs {
		switch {
		case !collectionName().MatchString(c.Name) || strings.HasPrefix(strings.ToLower(c.Name), "pbc_"):
			return errors.New("Options.Collections must have the names of collections, and not their ids")
		case strings.EqualFold(c.Name, superusers):
			return errors.New("Options.Collections must not have _superusers")
		case seen[strings.ToLower(c.Name)]:
			return fmt.Errorf("Options.Collections has %s twice", c.Name)
		}
		seen[strings.ToLower(c.Name)] = true
		for _, f := range c.Fields {
			if !fieldPath().MatchString(f) || strings.Contains(f, ":") || isSecret(f) {
				return fmt.Errorf("Options.Collections: the Fields of %s must be names of fields, or paths such as author.name, and no passwords and token keys", c.Name)
			}
		}
		for _, f := range c.Write {
			if !fieldName().MatchString(f) || isSecret(f) {
				return fmt.Errorf("Options.Collections: what Write has of %s must be names of fields, and no passwords and token keys", c.Name)
			}
		}
	}
	return nil
}

// OwnUser is an Options.As for callers whose tokens auth.PocketBase verifies: each
// acts as the user that the token was issued to. url is that verifier's URL; a
// caller that it has not verified is refused.
func OwnUser(url string) func(context.Context, mcpsec.Principal) (User, error) {
	prefix := strings.TrimSuffix(url, "/") + "|"
	return func(_ context.Context, p mcpsec.Principal) (User, error) {
		rest, ok := strings.CutPrefix(p.ID, prefix)
		collection, id, found := strings.Cut(rest, "/")
		if !ok || !found || collection == "" || id == "" {
			return User{}, &mcpsec.Error{Message: "the caller is no user of this PocketBase", Rule: "user"}
		}
		return User{Collection: collection, ID: id}, nil
	}
}
