package pgtool

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
)

const canary = "cAnArY"

func TestURLRefused(t *testing.T) {
	t.Parallel()
	ca := filepath.Join(t.TempDir(), "missing-"+canary)
	for _, test := range []struct{ url, want string }{
		{"", "cannot be read"},
		{"host=db user=u dbname=d password=" + canary, "cannot be read"},
		{"mysql://u:" + canary + "@db/d", "cannot be read"},
		{"postgres://u:" + canary + "@db:port/d", "cannot be read"},
		{"postgres://u:" + canary + "%zz@db/d", "cannot be read"},
		{"postgres://u:" + canary + "@x@db/d", "cannot be read"},
		{"postgres://u:" + canary + "?x@db/d", "cannot be read"},
		{"postgres://u:" + canary + "@db/d#x", "cannot be read"},
		{"postgres://u:" + canary + "@db/d?sslmode=" + canary, "cannot be read"},
		{"postgres://:" + canary + "@db/d", "name the user"},
		{"postgres://u:" + canary + "@/d", "name the host"},
		{"postgres://u:" + canary + "@db/", "name the database"},
		{"postgres://u@db/d?default_query_exec_mode=simple_protocol", "must not set default_query_exec_mode"},
		{"postgres://u@db/d?Default_Query_Exec_Mode=simple_protocol", "must not set default_query_exec_mode"},
		{"postgres://u@db/d?statement_cache_capacity=5", "must not set statement_cache_capacity"},
		{"postgres://u@db/d?description_cache_capacity=5", "must not set description_cache_capacity"},
		{"postgres://u@db/d?options=-csearch_path%3Devil", "must not set options"},
		{"postgres://u@db/d?search_path=evil", "must not set search_path"},
		{"postgres://u@db/d?passfile=/x", "must not set passfile"},
		{"postgres://u@db/d?service=x", "must not set service"},
		{"postgres://u@db/d?servicefile=/x", "must not set servicefile"},
		{"postgres://u@db/d?ssl=true", "must not set ssl"},
		{"postgres://u@db/d?role=postgres", "must not set role"},
		{"postgres://u@db/d?" + canary + "=1", "not allowed"},
		{"postgres://u@db/d?session_preload_libraries=1", "not allowed"},
		{"postgres://u@127.0.0.1/d?sslmode=prefer", "sslmode allow or prefer"},
		{"postgres://u@127.0.0.1/d?sslmode=allow", "sslmode allow or prefer"},
		{"postgres://u@db/d?sslmode=prefer&sslmode=verify-full", "sslmode allow or prefer"},
		{"postgres://u:" + canary + "@db/d?sslmode=disable", "must be verify-full"},
		{"postgres://u:" + canary + "@db/d?sslmode=require", "must be verify-full"},
		{"postgres://u:" + canary + "@db/d?sslmode=verify-ca", "must be verify-full"},
		{"postgres://u:" + canary + "@db/d?sslmode=verify-full&sslmode=require", "must be verify-full"},
		{"postgres://u:" + canary + "@localhost,db/d?sslmode=disable", "must be verify-full"},
		{"postgres://u:" + canary + "@127.0.0.1,10.0.0.1/d?sslmode=require", "must be verify-full"},
		{"postgres://u@/d?host=/run,db&sslmode=disable", "must be verify-full"},
		{"postgres://u@localhost.example.com/d?sslmode=disable", "must be verify-full"},
		{"postgres://u@0.0.0.0/d?sslmode=disable", "must be verify-full"},
		{"postgres://u@db/d?host=", "empty host"},
		{"postgres://u@/d?host=", "empty host"},
		{"postgres://u@db/d?host=&host=db", "empty host"},
		{"postgres://u@db/d?host=db,", "empty host or port"},
		{"postgres://u@,/d", "empty host or port"},
		{"postgres://u@127.0.0.1,/d?sslmode=disable", "empty host or port"},
		{"postgres://u@,127.0.0.1/d?sslmode=disable", "empty host or port"},
		{"postgres://u@:5432/d", "empty host or port"},
		{"postgres://u@[]:5432/d", "cannot be read"},
		{"postgres://u@127.0.0.1,:5432/d?sslmode=disable", "empty host or port"},
		{"postgres://u@db:/d", "empty host or port"},
		{"postgres://u@db/d?port=5432,", "empty host or port"},
		{"postgres://u@db/d?port=", "empty port"},
		{"postgres://u@db/d?user=", "empty user"},
		{"postgres://@db/d?user=", "empty user"},
		{"postgres://u@db/?dbname=", "empty dbname"},
		{"postgres://u@db/d?dbname=&database=x", "empty dbname"},
		{"postgres://u@db/d?sslrootcert=", "empty sslrootcert"},
		{"postgres://u@db/d?password", "empty password"},
		{"postgres://u@db\n/d", "cannot be read"},
		{"postgres://u@d%0ab/d", "cannot be read"},
		{"postgres://u@db/d\x7f", "cannot be read"},
		{"postgres://u@db/d?application_name=%00", "cannot be read"},
		{"postgres://u:" + canary + "@db/d?sslrootcert=" + ca, "cannot be read"},
	} {
		_, err := parseURL(test.url, nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.url, err, test.want)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error shows the URL: %v", test.url, err)
		}
	}
}

func TestURLAccepted(t *testing.T) {
	t.Parallel()
	plaintext := insecure.PlaintextDatabase("test")
	for _, test := range []struct {
		url   string
		tls   string // full, some, none, for each host
		waive []mcpsec.Waiver
	}{
		{"postgres://u:p@db.example.com/d", "full", nil},
		{"postgresql://u:p@db.example.com:5433/d?sslmode=verify-full&connect_timeout=3&application_name=x", "full", nil},
		{"postgres://u@db1,db2:5433/d?target_session_attrs=primary", "full full", nil},
		{"postgres://u@localhost/d", "full", nil},
		{"postgres://u@localhost/d?sslmode=disable", "none", nil},
		{"postgres://u@127.0.0.7/d?sslmode=disable", "none", nil},
		{"postgres://u@[::1]/d?sslmode=disable", "none", nil},
		{"postgres://u@[::1]:5433/d?sslmode=require", "some", nil},
		{"postgres://u@/d?host=/run/postgresql", "none", nil},
		{"postgres://u:a%40b@db/d", "full", nil},
		{"postgres://u@db/d?sslmode=disable", "none", []mcpsec.Waiver{plaintext}},
		{"postgres://u@db1,db2/d?sslmode=require", "some some", []mcpsec.Waiver{plaintext}},
	} {
		c, err := parseURL(test.url, test.waive)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		all := []string{protection(t, c.TLSConfig)}
		for _, f := range c.Fallbacks {
			all = append(all, protection(t, f.TLSConfig))
		}
		if got := strings.Join(all, " "); got != test.tls {
			t.Errorf("%s: got TLS %s, want %s", test.url, got, test.tls)
		}
	}
}

func protection(t testing.TB, c *tls.Config) string {
	switch {
	case c == nil:
		return "none"
	case c.MinVersion != tls.VersionTLS12:
		t.Errorf("TLS from version %x on, want 1.2", c.MinVersion)
	}
	if c.InsecureSkipVerify || c.ServerName == "" {
		return "some"
	}
	return "full"
}

// TestEnvironment sets all that libpq would listen to.
func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".pgpass"), []byte("*:*:*:*:"+canary), 0o600); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"HOME": home, "PGSSLMODE": "disable", "PGOPTIONS": "-c search_path=evil", "PGPASSWORD": canary, "PGPORT": "1", "PGHOST": "evil",
		"PGUSER": "evil", "PGDATABASE": "evil", "PGAPPNAME": "evil", "PGTZ": "evil", "PGTARGETSESSIONATTRS": "standby",
		"PGSSLROOTCERT": filepath.Join(home, "none"), "PGREQUIREAUTH": "none", "PGCHANNELBINDING": "disable", "PGPASSFILE": filepath.Join(home, ".pgpass"),
	} {
		t.Setenv(key, value)
	}
	c, err := parseURL("postgres://u@db/d", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.RuntimeParams) != 1 || c.RuntimeParams["application_name"] != applicationName {
		t.Errorf("the environment sets %v", c.RuntimeParams)
	}
	Options{}.startup(c)
	if c.Host != "db" || c.Port != 5432 || c.User != "u" || c.Database != "d" || c.Password != "" || c.ValidateConnect != nil ||
		c.RequireAuth != "" || c.ChannelBinding != "prefer" || protection(t, c.TLSConfig) != "full" || c.RuntimeParams["options"] != "" ||
		c.RuntimeParams["application_name"] != applicationName || c.RuntimeParams["TimeZone"] != "UTC" || c.RuntimeParams["timezone"] != "" {
		t.Errorf("the environment has an influence: %s@%s:%d/%s, %v", c.User, c.Host, c.Port, c.Database, c.RuntimeParams)
	}
	t.Setenv("PGSERVICE", "evil")
	if _, err := parseURL("postgres://u@db/d", nil); err == nil || !strings.Contains(err.Error(), "PGSERVICE") {
		t.Errorf("PGSERVICE: got %v", err)
	}
}

func TestLocalhostIsThisMachine(t *testing.T) {
	t.Parallel()
	f := lookup(func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, nil })
	for host, want := range map[string]string{"localhost": "127.0.0.1 ::1", "db": "192.0.2.1"} {
		got, err := f(t.Context(), host)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, %v, want %s", host, got, err, want)
		}
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"postgres://u:p@h:1,h2/d?sslmode=disable", "postgres://u@/d?host=/x", "postgres://[::1]?", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseURL(text, nil)
		if err != nil {
			if len(text) > 30 && strings.Contains(err.Error(), text) {
				t.Errorf("the error shows the URL: %v", err)
			}
			return
		}
		for _, f := range append(c.Fallbacks, &pgconn.FallbackConfig{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}) {
			network, _ := pgconn.NetworkAddress(f.Host, f.Port)
			if network != "unix" && !isLoopback(f.Host) && (f.TLSConfig == nil || f.TLSConfig.InsecureSkipVerify) {
				t.Errorf("%q reaches %q without TLS", text, f.Host)
			}
		}
	})
}
