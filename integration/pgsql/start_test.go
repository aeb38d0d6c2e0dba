package pgsql

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// TestStartValueIsLost has something before the server that loses a start value, and
// shows the server's own process and settings in all else. The limit holds.
func TestStartValueIsLost(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u, err := url.Parse(postgres.Server(t).URL(database(t), reader))
	if err != nil {
		t.Fatal(err)
	}
	go loseTimeout(l, u.Host)
	u.Host = l.Addr().String()
	db := gated(t, "", func(o *pgtool.Options) { o.URL, o.Timeout = redact.NewSecret(u.String()), 3*time.Second })
	if got := rows(t, db, "SHOW statement_timeout"); !slices.Equal(got, []string{`["3s"]`}) {
		t.Errorf("got %s", got)
	}
	if got := rows(t, db, "SHOW search_path"); !slices.Equal(got, []string{`["pg_catalog, public, pg_temp"]`}) {
		t.Errorf("got %s", got)
	}
}

// loseTimeout passes connections on, and gives one of their start values another name.
func loseTimeout(l net.Listener, address string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer server.Close()
			go func() { _, _ = io.Copy(client, server) }()
			first := make([]byte, 64<<10)
			n, err := client.Read(first)
			if err != nil {
				return
			}
			lost := bytes.Replace(first[:n], []byte("statement_timeout"), []byte("x.tatement_timeou"), 1)
			if _, err := server.Write(lost); err == nil {
				_, _ = io.Copy(server, client)
			}
		}()
	}
}
