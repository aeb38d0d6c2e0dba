package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// mode is the worst effect that the tools may have.
func (c Config) mode() mcpsec.Effect {
	if c.Write.URL.IsZero() && c.Migrate.URL.IsZero() && c.Admin.URL.IsZero() {
		return mcpsec.Read
	}
	return mcpsec.Destroy // as far as a person says yes to it
}

// server is how all tools are served.
func (c Config) server(ctx context.Context, audit *mcpsec.AuditLog) (o mcpsec.Options, done func(), err error) {
	secrets := []mcpsec.Secret{c.DatabaseURL, c.Mask.Key, c.Write.URL, c.Migrate.URL, c.Admin.URL, c.State.URL}
	secrets = append(secrets, c.Replica.list()...)
	o = mcpsec.Options{
		Audit:    audit,
		Mode:     c.mode(),
		Redactor: redact.New(redact.Options{Secrets: secrets, PII: c.PersonalData == "mask"}),
		Limits: mcpsec.Limits{
			CallsPerSecond: c.Limit.CallsPerSecond,
			Timeout:        max(30*time.Second, c.Limit.Timeout+10*time.Second),
			MaxResult:      max(256<<10, 2*c.Limit.Bytes),
		},
	}
	for _, key := range []mcpsec.Secret{c.State.Key, c.State.LastKey} {
		if !key.IsZero() {
			o.SealKeys = append(o.SealKeys, key)
		}
	}
	if c.State.URL.IsZero() {
		return o, func() {}, nil
	}
	pool, err := pgxpool.New(ctx, c.State.URL.Reveal())
	if err != nil {
		return o, nil, fmt.Errorf("%sSTATE_URL is no URL of a PostgreSQL database", prefix) // pgx's error quotes it
	}
	store, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		pool.Close()
		return o, nil, err
	}
	o.State = store
	return o, func() { store.Close(); pool.Close() }, nil
}
