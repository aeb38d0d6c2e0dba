package pgtool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// runAlone runs one statement of ours, or that has been checked, that no transaction
// can hold, in a session that may write, and is reset afterwards. The limits on its
// time and on that of its locks are the same: what it waits for are transactions that
// are older than it.
func (db *DB) runAlone(ctx context.Context, limit time.Duration, path, sql, tag string) error {
	p := db.pool
	c, err := p.get(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.interrupt)
	err = c.alone(limit, path, sql, tag)
	if stop() && (err == nil || reportedBy(err) != nil && !fatal(reportedBy(err))) {
		go p.settleChange(c)
		return err
	}
	go p.kill(c)
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

func (c *conn) alone(limit time.Duration, path, sql, tag string) error {
	if err := c.limit(limit + grace + time.Second); err != nil {
		return err
	}
	settings := []string{
		"SET default_transaction_read_only = off",
		fmt.Sprintf("SET statement_timeout = %d", limit.Milliseconds()),
		"SET lock_timeout = 0",
		"SET search_path = " + path,
	}
	fe := c.pg.Frontend()
	for _, text := range append(settings, sql, "DISCARD ALL") {
		c.sendStatement(text, nil)
		c.sendExecute(0)
		fe.SendSync(&pgproto3.Sync{})
	}
	if err := fe.Flush(); err != nil {
		return fmt.Errorf("sending the statement: %w", err)
	}
	for range settings {
		if err := c.done("SET"); err != nil {
			return err
		}
		if _, err := c.ready(); err != nil {
			return err
		}
	}
	return c.done(tag)
}

// aloneError says what ended a statement, and not that nothing was changed.
func aloneError(ctx context.Context, err error) *mcpsec.Error {
	var model *mcpsec.Error
	if r := reportedBy(err); r != nil {
		copied := *r
		copied.Position = 0
		return &mcpsec.Error{Message: stateText(&copied), Err: errors.New(logText(r))}
	}
	switch {
	case ctx.Err() != nil:
		return &mcpsec.Error{Message: "the call was ended before the statement", Err: err}
	case errors.As(err, &model):
		return &mcpsec.Error{Message: model.Message, Err: err}
	}
	return &mcpsec.Error{Message: "the connection was lost while the statement ran", Err: err}
}
