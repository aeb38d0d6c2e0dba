package main

import (
	"context"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// analyticsSQL makes what is counted. It holds no address and no name. A key counts once.
const analyticsSQL = `CREATE SCHEMA analytics;
CREATE TABLE analytics.events (key text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), kind text NOT NULL, cents bigint NOT NULL);`

// count counts what a flow has done.
func (b *backend) count(ctx context.Context, key, kind string, cents int64) error {
	_, err := b.pool.Exec(ctx, "INSERT INTO analytics.events (key, kind, cents) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING", key, kind, cents)
	return err
}

type reportIn struct {
	Days int32 `json:"days" validate:"required,min=1,max=366" jsonschema:"how far back"`
}

type reportRow struct {
	Kind   string `json:"kind"`
	Events int64  `json:"events"`
	Cents  int64  `json:"cents" jsonschema:"EUR cents: refunds are negative"`
}

// analytics are the tools to read what was counted: a report, and whatever else can be
// asked of the schema, by a role that may do nothing but read it.
func (b *backend) analytics() []*mcpsec.Tool {
	return append(pgtool.ReadTools(b.report), pgtool.NamedQuery[reportIn, reportRow](b.report,
		mcpsec.ToolSpec{Name: "analytics_report", Description: "Counts what happened, by kind, and the money that moved."},
		pgtool.NewSQL(`SELECT kind, count(*) AS events, sum(cents)::bigint AS cents FROM analytics.events
			WHERE at > now() - make_interval(days => :days) GROUP BY kind ORDER BY kind`)))
}
