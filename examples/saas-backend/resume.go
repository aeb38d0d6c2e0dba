package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pocketbase/dbx"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A progress tells whoever has begun a flow how far it came.
type progress struct {
	ID      string   `json:"id" jsonschema:"for flow_resume"`
	State   string   `json:"state" jsonschema:"done, or waiting for what comes after the fact"`
	Waiting []string `json:"waiting,omitempty" validate:"max=20" jsonschema:"steps that are not done yet, and will be tried again"`
}

func (f *flow) progress() progress {
	p := progress{ID: f.ID, State: f.State}
	for _, e := range f.Steps {
		if e.State != done {
			p.Waiting = append(p.Waiting, e.Step)
		}
	}
	return p
}

// half are the flows that are not done with, the oldest first.
func (j *journal) half(limit int) (flows []*flow, err error) {
	records, err := j.app.FindRecordsByFilter("flows", "state != {:done} && state != {:undone}", "updated", limit, 0, dbx.Params{"done": done, "undone": undone})
	if err != nil {
		return nil, err
	}
	flows = make([]*flow, len(records))
	for i, r := range records {
		if flows[i], err = read(r); err != nil {
			return nil, err
		}
	}
	return flows, nil
}

// resume goes on with a flow.
func (j *journal) resume(ctx context.Context, id string, again bool) (*flow, error) {
	giveBack, err := j.claim(ctx, id)
	if err != nil {
		return nil, err
	}
	defer giveBack()
	f, err := j.load(id)
	if err != nil {
		return nil, refuse("there is no such flow: see flow_status", err)
	}
	if f.State == done || f.State == undone {
		return f, nil
	}
	return f, j.kinds[f.Kind].resume(ctx, f, again)
}

// tend goes on with what is half done, until ctx ends: at first with all of it, since the
// process may have died in the middle, and then with each flow less often the longer it
// lasts.
func (j *journal) tend(ctx context.Context) {
	j.sweep(ctx, true)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Minute):
			j.sweep(ctx, false)
		}
	}
}

// sweep goes on with flows that have been left alone for long enough, or with all.
func (j *journal) sweep(ctx context.Context, all bool) {
	flows, err := j.half(1000)
	if err != nil {
		j.log.Error("looking for flows that are half done", "error", err)
	}
	for _, f := range flows {
		if !all && time.Since(f.Updated) < f.pause() {
			continue
		}
		var final *refusal
		one, cancel := context.WithTimeout(ctx, time.Minute)
		if _, err := j.resume(one, f.ID, false); err != nil && !errors.As(err, &final) {
			j.log.Warn("a flow is still half done", "flow", f.ID, "error", err)
		}
		cancel()
	}
}

// pause is how long a flow is left alone: 2 minutes after the first try, up to an hour.
func (f *flow) pause() time.Duration {
	tries := 0
	for _, e := range f.Steps {
		if e.State != done {
			tries = max(tries, e.Tries)
		}
	}
	return min(time.Minute<<min(tries, 6), time.Hour)
}

type statusIn struct {
	ID string `json:"id" validate:"omitempty,len=26,alphanum" jsonschema:"one flow; without, all that are half done"`
}

type statusOut struct {
	Flows []*flow `json:"flows" validate:"max=50" jsonschema:"the oldest first, 50 at most"`
}

// flowStatus shows what is half done. It shows no arguments: who may see a flow's
// state need not see whose it is.
func (b *backend) flowStatus() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "flow_status", Description: "Shows the flows that are half done, or one flow, step by step.",
		Effect: mcpsec.Read, Labels: mcpsec.Private, Scopes: []string{readFlows},
	}, func(_ context.Context, in statusIn) (out statusOut, err error) {
		if in.ID == "" {
			out.Flows, err = b.half(50)
			return out, err
		}
		f, err := b.load(in.ID)
		if err != nil {
			return out, refuse("there is no such flow", err)
		}
		return statusOut{[]*flow{f}}, nil
	})
}

type resumeIn struct {
	ID    string `json:"id" validate:"required,len=26,alphanum" jsonschema:"as flow_status tells it"`
	Again bool   `json:"again" jsonschema:"also do what may have been done already: steps that are unknown; a person confirms it"`
}

type resumeOut struct {
	Flow progress `json:"flow"`
}

// flowResume goes on with what a person has confirmed already, if that was needed. Doing
// again what may have been done is another matter.
func (b *backend) flowResume() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "flow_resume", Description: "Goes on with a flow that is half done, where it stopped.",
		Effect: mcpsec.Write, Labels: mcpsec.Egress, Scopes: []string{writeFlows},
		Guards: []mcpsec.Guard{func(_ context.Context, c *mcpsec.Call) error {
			if in, ok := c.Args.(resumeIn); ok && !in.Again {
				return nil
			}
			return mcpsec.Ask("does again what may have been done already: look at Stripe, or at the mail server's log, first")
		}},
	}, func(ctx context.Context, in resumeIn) (resumeOut, error) {
		f, err := b.journal.resume(ctx, in.ID, in.Again)
		if err != nil {
			return resumeOut{}, fmt.Errorf("resuming: %w", err)
		}
		return resumeOut{f.progress()}, nil
	})
}
