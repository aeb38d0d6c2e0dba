package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A journal keeps flows in a collection of PocketBase's: what each is to do, and how far
// it came. A step at another server is recorded before it is tried. One in PocketBase is
// a transaction together with its record: there is neither without the other.
type journal struct {
	app   core.App
	once  state.Once
	log   *slog.Logger
	kinds map[string]resumer
	pass  func(point string) // tests end the process at a point
}

// States of flows.
const (
	running = "running" // or it was, when the process ended
	waiting = "waiting" // done, but for steps that undo nothing
	undoing = "undoing" // a step was refused for good
	undone  = "undone"
	done    = "done" // of steps, too
)

// States of steps, besides done and undone.
const (
	open    = ""        // nothing has been done
	trying  = "trying"  // it was sent, and nobody knows more yet
	unknown = "unknown" // it was sent, and must not be sent again unless a person says so
)

// A flow is one in the journal.
type flow struct {
	ID      string          `json:"id"`
	Kind    string          `json:"kind"`
	State   string          `json:"state"`
	Reason  string          `json:"reason,omitempty"` // why it is undone
	Steps   []entry         `json:"steps"`
	Updated time.Time       `json:"updated"`
	Args    json.RawMessage `json:"-"` // what it was begun with
	Data    json.RawMessage `json:"-"` // the same, and what steps have found
}

// An entry is what became of a step.
type entry struct {
	Step  string    `json:"step"`
	State string    `json:"state,omitempty"`
	Since time.Time `json:"since,omitzero"` // when it was first sent
	Tries int       `json:"tries,omitempty"`
}

// flowID names the nth flow of a kind about one thing: what a flow is about is in its key,
// and after one that was undone there may be another.
func flowID(kind, key string, n int) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + key))
	return fmt.Sprintf("%s%02d", strings.ToLower(base32.StdEncoding.EncodeToString(sum[:15])), n)
}

const maxFlows = 99 // about one thing, all but the last of which were undone

// claim has a flow for whoever calls, and nobody else, until it is given back. The lease is
// longer than a call and a webhook may take.
func (j *journal) claim(ctx context.Context, id string) (giveBack func(), err error) {
	c, err := j.once.Claim(ctx, "flow:"+id[:len(id)-2], 2*time.Minute)
	if err != nil {
		return nil, err
	}
	if c.Status != state.Taken {
		return nil, &mcpsec.Error{Message: "the same is being done at this moment: ask again in a minute", Rule: "busy"}
	}
	return func() {
		if err := j.once.Fail(context.WithoutCancel(ctx), c); err != nil {
			j.log.Warn("a flow stays claimed for two minutes", "flow", id, "error", err)
		}
	}, nil
}

// find returns the flow of a kind and key that counts: the one that is there and was not
// undone, or a new one.
func (j *journal) find(kind, key string, args json.RawMessage, steps []entry) (*flow, error) {
	for n := 1; n <= maxFlows; n++ {
		f, err := j.load(flowID(kind, key, n))
		if errors.Is(err, sql.ErrNoRows) {
			f = &flow{ID: flowID(kind, key, n), Kind: kind, State: running, Args: args, Data: args, Steps: steps}
			return f, j.app.RunInTransaction(func(tx core.App) error { return f.save(tx, true) })
		}
		if err != nil {
			return nil, err
		}
		if f.State == undone {
			continue
		}
		if !bytes.Equal(f.Args, args) {
			return nil, &mcpsec.Error{Message: "the same was begun with other values: flow " + f.ID, Rule: "values"}
		}
		return f, nil
	}
	return nil, &mcpsec.Error{Message: "it was refused too often: a person has to look", Rule: "flows"}
}

func (j *journal) load(id string) (*flow, error) {
	r, err := j.app.FindRecordById("flows", id)
	if err != nil {
		return nil, err
	}
	return read(r)
}

func read(r *core.Record) (*flow, error) {
	f := &flow{
		ID: r.Id, Kind: r.GetString("kind"), State: r.GetString("state"), Reason: r.GetString("reason"),
		Args: json.RawMessage(r.GetString("args")), Data: json.RawMessage(r.GetString("data")), Updated: r.GetDateTime("updated").Time(),
	}
	return f, json.Unmarshal([]byte(r.GetString("steps")), &f.Steps)
}

// save writes the flow in a transaction.
func (f *flow) save(tx core.App, fresh bool) error {
	var r *core.Record
	c, err := tx.FindCollectionByNameOrId("flows")
	if err != nil {
		return err
	}
	if fresh {
		r = core.NewRecord(c)
		r.Set("id", f.ID)
	} else if r, err = tx.FindRecordById(c, f.ID); err != nil {
		return err
	}
	steps, err := json.Marshal(f.Steps)
	if err != nil {
		return err
	}
	r.Load(map[string]any{"kind": f.Kind, "state": f.State, "reason": f.Reason, "args": string(f.Args), "data": string(f.Data), "steps": string(steps)})
	return tx.Save(r)
}

func (j *journal) save(f *flow) error {
	return j.app.RunInTransaction(func(tx core.App) error { return f.save(tx, false) })
}
