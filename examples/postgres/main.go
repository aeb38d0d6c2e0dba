// Postgres serves a PostgreSQL database, read-only, over standard input and
// output. The environment variable DATABASE_URL, or the file that
// DATABASE_URL_FILE names, holds the URL of the database, with a role that may
// read it and nothing else; the error for any other role says how to make one.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

func main() {
	audit := flag.String("audit", defaultAudit(), "`file` of the audit log, one for each running server")
	flag.Parse()
	if err := run(context.Background(), *audit); err != nil {
		log.Fatal(err)
	}
}

// defaultAudit names a file of this process alone: every window of a client
// starts a server of its own, and a log has one writer.
func defaultAudit() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, fmt.Sprintf("mcp-postgres-%s-%d.jsonl", time.Now().UTC().Format("20060102T150405"), os.Getpid()))
}

func run(ctx context.Context, auditPath string) error {
	url, err := redact.SecretFromEnv("DATABASE_URL")
	if err != nil {
		return err
	}
	audit, err := mcpsec.OpenAuditLog(auditPath, mcpsec.Secret{})
	if err != nil {
		return err
	}
	defer audit.Close()
	db, err := pgtool.Open(ctx, pgtool.Options{URL: url})
	if err != nil {
		return err
	}
	defer db.Close()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "postgres", Version: "1.0.0"}, mcpsec.Options{
		Audit:   audit,
		Secrets: []mcpsec.Secret{url},
	})
	if err != nil {
		return err
	}
	srv.Add(pgtool.ReadTools(db)...)
	return srv.Run(ctx)
}
