package pgtool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// allowedKeys are the parameters that a URL may have. pgx takes every other one
// for a setting of the session or of itself.
var allowedKeys = []string{
	"user", "password", "host", "port", "dbname", "database",
	"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslsni", "sslcertmode", "sslnegotiation",
	"connect_timeout", "application_name", "target_session_attrs", "channel_binding", "require_auth",
	"min_protocol_version", "max_protocol_version",
}

// namedKeys are parameters that people do write, so that the refusal can name
// them without quoting the URL.
var namedKeys = []string{
	"default_query_exec_mode", "options", "statement_cache_capacity", "statement_cache_mode", "description_cache_capacity",
	"search_path", "passfile", "service", "servicefile", "ssl", "timezone", "role", "statement_timeout", "client_encoding",
	"pool_max_conns", "pool_min_conns", "pool_min_idle_conns", "pool_max_conn_lifetime", "pool_max_conn_idle_time",
	"pool_health_check_period", "pool_max_conn_lifetime_jitter", "pool_ping_timeout",
}

// defaults stand in for what a URL leaves out, or libpq's environment variables
// and files in the home directory would fill it: PGSSLMODE=disable, PGOPTIONS,
// a password from ~/.pgpass.
var defaults = [][2]string{
	{"sslmode", "verify-full"}, {"sslrootcert", ""}, {"sslcert", ""}, {"sslkey", ""}, {"sslpassword", ""}, {"sslsni", "1"},
	{"sslcertmode", "allow"}, {"sslnegotiation", ""}, {"connect_timeout", "10"}, {"target_session_attrs", "any"},
	{"channel_binding", "prefer"}, {"require_auth", ""}, {"min_protocol_version", ""}, {"max_protocol_version", ""},
	{"passfile", ""}, {"application_name", applicationName}, {"password", ""}, {"port", "5432"},
}

const applicationName = "mcpsec pgtool"

var errURL = errors.New("Options.URL cannot be read: write postgres://user@host:5432/database, with special characters as %xx")

// parseURL returns the connection settings of a URL that is fit. No error holds
// a piece of the URL, or an error of pgx, which would.
func parseURL(text string, ws []mcpsec.Waiver) (*pgconn.Config, error) {
	if os.Getenv("PGSERVICE") != "" {
		return nil, errors.New("the environment variable PGSERVICE would change the connection: unset it")
	}
	pinned, err := pinURL(text)
	if err != nil {
		return nil, err
	}
	c, err := pgconn.ParseConfigWithOptions(pinned, pgconn.ParseConfigOptions{
		ConnStringAllowedKeys: append(slices.Clone(allowedKeys), "passfile"),
	})
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return nil, errors.New("Options.URL: a certificate or key file that it names cannot be read")
	}
	if err != nil {
		return nil, errURL
	}
	if err := checkHosts(c, waive.Has(ws, waive.PlaintextDatabase)); err != nil {
		return nil, err
	}
	c.LookupFunc = lookup(c.LookupFunc)
	useRole(c, pinned)
	// PGOPTIONS and PGTZ have got in here.
	c.RuntimeParams = map[string]string{"application_name": c.RuntimeParams["application_name"]}
	return c, nil
}

// useRole makes read-write and read-only be about the server: asked as usual, by the
// state of a transaction, every session of ours only reads.
func useRole(c *pgconn.Config, text string) {
	_, query, _ := strings.Cut(text, "?")
	values, _ := url.ParseQuery(query) // it was parsed before
	switch values.Get("target_session_attrs") {
	case "read-write":
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	case "read-only":
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsStandby
	}
}

// pinURL refuses parameters that do not belong there and adds the defaults of
// those that are missing.
func pinURL(text string) (string, error) {
	rest, ok := strings.CutPrefix(strings.Replace(text, "postgresql://", "postgres://", 1), "postgres://")
	authority, path, _ := strings.Cut(rest, "/")
	database, rawQuery, _ := strings.Cut(path, "?")
	query, err := url.ParseQuery(rawQuery)
	// What could be read in two ways is not read at all.
	if !ok || err != nil || strings.ContainsAny(authority, "?#") || strings.Count(authority, "@") > 1 || strings.Contains(path, "#") || hasControl(text) {
		return "", errURL
	}
	if err := checkKeys(query); err != nil {
		return "", err
	}
	user, host, named := strings.Cut(authority, "@")
	if !named {
		user, host = "", authority
	}
	user, _, hasPassword := strings.Cut(user, ":")
	switch {
	case user == "" && query.Get("user") == "":
		return "", errors.New("Options.URL must name the user")
	case host == "" && query.Get("host") == "":
		return "", errors.New("Options.URL must name the host")
	case host != "" && !fullHosts(host):
		return "", errEmptyHost
	case database == "" && query.Get("dbname") == "" && query.Get("database") == "":
		return "", errors.New("Options.URL must name the database")
	}
	add := url.Values{}
	for _, d := range defaults {
		add.Set(d[0], d[1])
	}
	if hasPassword {
		add.Del("password")
	}
	if strings.Contains(brackets().ReplaceAllString(host, ""), ":") {
		add.Del("port")
	}
	for key := range query {
		add.Del(key)
	}
	// This reader of URLs takes a plus sign for itself.
	return "postgres://" + authority + "/" + database + "?" + join(rawQuery, strings.ReplaceAll(add.Encode(), "+", "%20")), nil
}

var errEmptyHost = errors.New("Options.URL has an empty host or port, for which a socket or another address of this machine would stand in")

// hasControl reports whether a URL holds a control character, as it is or as %xx.
func hasControl(text string) bool {
	plain, err := url.PathUnescape(text)
	return err != nil || strings.ContainsFunc(text+plain, unicode.IsControl)
}

// fullHosts reports whether each element of a list has a host, and a port if it
// has a colon.
func fullHosts(list string) bool {
	for _, element := range strings.Split(list, ",") {
		host, port, colon := strings.Cut(brackets().ReplaceAllString(element, "address"), ":")
		if host == "" || colon && port == "" {
			return false
		}
	}
	return true
}

var brackets = lazy.Regexp(`\[[^\]]+\]`) // an IPv6 address

func join(query, more string) string {
	if query == "" {
		return more
	}
	return query + "&" + more
}

func checkKeys(query url.Values) error {
	for key, values := range query {
		switch {
		case slices.Contains(namedKeys, strings.ToLower(key)):
			return fmt.Errorf("Options.URL must not set %s", strings.ToLower(key))
		case !slices.Contains(allowedKeys, key):
			return fmt.Errorf("Options.URL has a parameter that is not allowed; allowed are %s", strings.Join(allowedKeys, ", "))
		case slices.Contains(values, ""):
			return fmt.Errorf("Options.URL has an empty %s: leave it out", key)
		case (key == "host" || key == "port") && slices.ContainsFunc(values, hasEmptyElement):
			return errEmptyHost
		case key == "sslmode":
			for _, v := range values {
				if v == "allow" || v == "prefer" {
					return errors.New("Options.URL must not set sslmode allow or prefer: anyone on the way can turn TLS off")
				}
			}
		}
	}
	return nil
}

func hasEmptyElement(list string) bool { return slices.Contains(strings.Split(list, ","), "") }

// checkHosts demands of every host that the connection to it cannot be read or
// changed on the way.
func checkHosts(c *pgconn.Config, plaintextAllowed bool) error {
	if err := checkHost(c.Host, c.Port, c.TLSConfig, plaintextAllowed); err != nil {
		return err
	}
	for _, f := range c.Fallbacks {
		if err := checkHost(f.Host, f.Port, f.TLSConfig, plaintextAllowed); err != nil {
			return err
		}
	}
	return nil
}

func checkHost(host string, port uint16, t *tls.Config, plaintextAllowed bool) error {
	if t != nil {
		t.MinVersion = tls.VersionTLS12
	}
	if network, _ := pgconn.NetworkAddress(host, port); network == "unix" || isLoopback(host) || plaintextAllowed {
		return nil
	}
	if t == nil || t.InsecureSkipVerify {
		return errors.New("Options.URL: sslmode must be verify-full for a host that is not this machine; " +
			"sslrootcert names the CA's certificate, and insecure.PlaintextDatabase waives this")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// lookup makes the name localhost mean this machine, whatever a name server
// says, as the check of the hosts has assumed.
func lookup(next pgconn.LookupFunc) pgconn.LookupFunc {
	return func(ctx context.Context, host string) ([]string, error) {
		if host == "localhost" {
			return []string{"127.0.0.1", "::1"}, nil
		}
		return next(ctx, host)
	}
}
