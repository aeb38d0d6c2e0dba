package battery

import (
	"context"
	"fmt"
	"strings"
)

var sqlChecks = []Check{
	{
		ID: "sql/read-only", Severity: High, Title: "a second statement leaves the read-only transaction",
		Proof:  "A statement that makes a temporary table was refused, and done behind COMMIT in the same call: the next call saw what it had made. So can any other change be. The table was gone with the connection. PostgreSQL only.",
		Remedy: "Take one statement a call (the extended protocol), and connect with a role that can only read.",
		Run:    eachSQL(readOnlyEscape),
	},
	{
		ID: "sql/time", Severity: Medium, Title: "a statement runs as long as it likes",
		Proof:  "A statement that sleeps for longer than -timeout had no answer in that time. PostgreSQL only.",
		Remedy: "Set statement_timeout, and give each call a deadline.",
		Run:    eachSQL(endlessStatement),
	},
	{
		ID: "sql/size", Severity: Medium, Title: "a statement returns as much as it likes",
		Proof:  "A statement that returns 2 MiB was answered with all of it. PostgreSQL, MySQL and MariaDB only.",
		Remedy: "Cap rows and bytes while reading, and say in the error how to ask for less.",
		Run:    eachSQL(endlessResult),
	},
}

// eachSQL makes a check of one that looks at an argument that is SQL by its name.
func eachSQL(look func(ctx context.Context, p *Probe, t Tool, m property) []Finding) func(context.Context, *Probe) []Finding {
	return eachString(func(ctx context.Context, p *Probe, t Tool, m property) []Finding {
		if !m.isA("sql", "query", "statement") {
			return nil
		}
		return look(ctx, p, t, m)
	})
}

func readOnlyEscape(ctx context.Context, p *Probe, t Tool, m property) []Finding {
	const create = "CREATE TEMPORARY TABLE mcpsec_probe AS SELECT 41*43 AS n"
	const show = "SELECT 'mcpsec' || n AS n FROM mcpsec_probe"
	if !p.Call(ctx, t.Name, t.with(m.name, create)).Denied() {
		return nil // it is no read-only tool, and does not say so
	}
	escape := t.with(m.name, "COMMIT; "+create)
	p.Call(ctx, t.Name, escape)
	if !strings.Contains(p.Call(ctx, t.Name, t.with(m.name, show)).Text(), product) {
		return nil
	}
	return []Finding{{Subject: t.Name, Evidence: "carried out: " + escape}}
}

func endlessStatement(ctx context.Context, p *Probe, t Tool, m property) []Finding {
	s, err := p.Session(ctx)
	if err != nil {
		return nil
	}
	const longer = 5
	sent := t.with(m.name, fmt.Sprintf("SELECT pg_sleep(%d)", longer+int(p.Options.timeout().Seconds())))
	if s.Request(ctx, "tools/call", `{"name":`+quote(t.Name)+`,"arguments":`+sent+`}`).Outcome != Silent {
		return nil
	}
	p.drop() // what still runs ends with it, or does not
	return []Finding{{Subject: t.Name, Evidence: "no answer in time to a statement that sleeps"}}
}

func endlessResult(ctx context.Context, p *Probe, t Tool, m property) []Finding {
	s, err := p.Session(ctx)
	if err != nil {
		return nil
	}
	sent := t.with(m.name, "SELECT repeat('x', 2097152) AS x")
	if r := s.Request(ctx, "tools/call", `{"name":`+quote(t.Name)+`,"arguments":`+sent+`}`); !r.Accepted() || len(r.Raw) < 2<<20 {
		return nil
	}
	return []Finding{{Subject: t.Name, Evidence: "2 MiB for " + sent}}
}
