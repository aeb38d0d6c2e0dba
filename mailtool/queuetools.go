package mailtool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// QueueTools returns the tools for mail that is sent later, or to many: mail_schedule,
// mail_cancel, mail_list_scheduled; and, with templates, mail_send_bulk. There are none
// without Options.Queue. What is due is sent by [Client.RunQueue].
//
// A person confirms the time and the digest of a scheduled message, as mail_send's, and
// that message is kept and sent. Of a bulk they confirm the template at its revision,
// how many recipients it has, in which domains, what is risky, the first messages, and
// a digest of all: what is kept is the messages, and what becomes of the template has
// no effect on them. Callers see, and cancel, what is their own.
func QueueTools(c *Client, templates *Templates) []*mcpsec.Tool {
	if c.queue == nil {
		return nil
	}
	list := c.spec("mail_list_scheduled", "List your messages that wait to be sent, in the order of their time.", mcpsec.Read)
	list.Labels, list.Narrow = mcpsec.Private|mcpsec.Untrusted, "lower limit"
	cancel := c.spec("mail_cancel", "Cancel what of a job was not sent yet. A person confirms it.", mcpsec.Destroy)
	cancel.Idempotent, cancel.Guards = true, []mcpsec.Guard{mcpsec.Preview(c.cancelQuestion)}
	tools := []*mcpsec.Tool{scheduleTool(c), mcpsec.NewTool(cancel, c.cancel), mcpsec.NewTool(list, c.listScheduled)}
	if templates != nil {
		tools = append(tools, bulkTool(c, templates))
	}
	return tools
}

// A plan is what a call that queues has fixed, and a person was asked about.
type plan struct {
	id       string
	job      job
	messages []*built // none, if the job is there already
	list     string   // of a bulk, that a link to unsubscribe names
}

// jobID names what an equal call has queued, too.
func (c *Client) jobID(principal, tool string, in any, key string) (string, error) {
	name, err := c.name(principal, tool, in, key)
	if err != nil {
		return "", err
	}
	return name[len(name)-32:], nil
}

// planned is the guard that fixes what a call queues. propose is called unless an equal
// call has queued it already.
func (c *Client) planned(id string, call *mcpsec.Call, there job, exists bool, propose func() (*plan, string, error)) (string, error) {
	p, text := &plan{id: id, job: there}, "sends nothing that was not confirmed: an equal call is there as job "+id+", which goes on, and its results are returned"
	if !exists {
		var err error
		if p, text, err = propose(); err != nil {
			return "", err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs[call.ID] = p
	call.After(func(context.Context, time.Duration) {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.jobs, call.ID)
	})
	return text, nil
}

// start queues what a person was asked about in a call, unless it is there.
func (c *Client) start(ctx context.Context) (string, job, error) {
	c.mu.Lock()
	p, ok := c.jobs[mcpsec.CallID(ctx)]
	c.mu.Unlock()
	if !ok {
		return "", job{}, errors.New("a job that nobody was asked about")
	}
	if p.messages == nil {
		return p.id, p.job, nil
	}
	if p.list != "" && c.queue.Unsubscribe != nil {
		for _, b := range p.messages {
			if err := c.addLink(b, p.list); err != nil {
				return "", job{}, err
			}
		}
	}
	j, err := c.enqueue(ctx, p.id, p.job, p.messages)
	return p.id, j, c.queue.busy(err)
}

// find returns a job of a caller's own.
func (c *Client) find(ctx context.Context, owner, id string) (job, bool, error) {
	j, d, err := get[job](ctx, c.queue, c.queue.jobKey(id))
	return j, d.Version != 0 && j.Owner == owner, c.queue.busy(err)
}

type scheduleIn struct {
	At      string `json:"at" validate:"required,max=40"`
	Message sendIn `json:"message" validate:"required"`
}

type scheduleOut struct {
	Job    string `json:"job"`
	Due    string `json:"due"`
	Digest string `json:"digest"`
}

func scheduleTool(c *Client) *mcpsec.Tool {
	effect := mcpsec.Destroy
	if len(c.policy.internal) > 0 {
		effect = mcpsec.Write
	}
	spec := c.spec("mail_schedule", "Send a message by mail later: as mail_send, at a time within 90 days. An equal call returns the first one's job.", effect)
	spec.Labels, spec.Idempotent = mcpsec.Egress, true
	spec.InputSchema = schemaOf(`"at","message"`, `"at":{"type":"string","maxLength":40,"description":"RFC 3339, as in 2026-03-29T09:00:00+02:00"}`, `"message":`+string(c.schema()))
	spec.Guards = append(spec.Guards, c.confirmSchedule)
	return mcpsec.NewTool(spec, func(ctx context.Context, _ scheduleIn) (scheduleOut, error) {
		id, j, err := c.start(ctx)
		return scheduleOut{id, j.Due.UTC().Format(time.RFC3339), j.Digest}, err
	})
}

func (c *Client) confirmSchedule(ctx context.Context, call *mcpsec.Call) error {
	in, ok := call.Args.(scheduleIn)
	if !ok {
		return errors.New("mail_schedule with other arguments than its own")
	}
	id, err := c.jobID(call.Principal.ID, "mail_schedule", in, in.Message.IdempotencyKey)
	if err != nil {
		return err
	}
	there, exists, err := c.find(ctx, call.Principal.ID, id)
	if err != nil {
		return err
	}
	free := exists
	text, err := c.planned(id, call, there, exists, func() (*plan, string, error) {
		due, err := c.readTime(in.At)
		if err != nil {
			return nil, "", err
		}
		b, text, err := c.proposed(ctx, in.Message)
		if err != nil {
			return nil, "", err
		}
		if len(b.rest) > maxQueued {
			return nil, "", errSize(maxQueued)
		}
		free = b.external == 0
		j := job{Owner: call.Principal.ID, Due: due, Subject: b.parts.subject, Digest: b.digest}
		return &plan{id, j, []*built{b}, ""}, fmt.Sprintf("at %s, which is %s: %s", in.At, due.Format("Monday, 2006-01-02 15:04:05 UTC"), text), nil
	})
	if err != nil || len(c.policy.internal) > 0 && free {
		return err
	}
	return mcpsec.Ask(text)
}

var timeForm = lazy.Regexp(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$`)

// readTime reads a moment, which no change of clocks makes two of: the offset is in it.
func (c *Client) readTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !timeForm().MatchString(s) {
		return t, wrong("at", "at must be a time with its offset, as in 2026-03-29T09:00:00+02:00 or 2026-03-29T07:00:00Z")
	}
	switch ahead := t.Sub(c.now()); {
	case ahead <= 0:
		return t, wrong("at", "at is over: give a time to come, or use mail_send")
	case ahead > maxAhead:
		return t, wrong("at", "at must be within 90 days")
	}
	return t.UTC(), nil
}

type scheduledIn struct {
	After string `json:"after" validate:"max=120" jsonschema:"next of the answer before"`
	Limit int    `json:"limit" validate:"gte=0,lte=100" jsonschema:"defaults to 20"`
}

type scheduledOut struct {
	Jobs []jobOut `json:"jobs"`
	Next string   `json:"next,omitempty"`
}

type jobOut struct {
	Job      string   `json:"job"`
	Due      string   `json:"due"`
	Messages int      `json:"messages"`
	To       []string `json:"to" jsonschema:"the first ones"`
	Subject  string   `json:"subject,omitempty"`
	Template string   `json:"template,omitempty"`
}

func (c *Client) listScheduled(ctx context.Context, in scheduledIn) (scheduledOut, error) {
	out, limit, owner := scheduledOut{Jobs: []jobOut{}}, or(in.Limit, 20), mcpsec.PrincipalFrom(ctx).ID
	prefix := c.queue.root + "due/"
	if !printable(in.After, 120) {
		return out, wrong("after", "after must be next of the answer before")
	}
	err := c.queue.list(ctx, prefix, prefix+in.After, func(d state.Document) (bool, error) {
		id, run, of, _, ok := c.queue.readDue(d.Key)
		if !ok || of != ownerHash(owner) {
			return true, nil
		}
		j, mine, err := c.find(ctx, owner, id)
		if err != nil || !mine || j.Done || j.Run != run {
			return err == nil, err
		}
		if len(out.Jobs) == limit {
			return false, nil
		}
		out.Jobs = append(out.Jobs, jobOut{id, j.Due.UTC().Format(time.RFC3339), j.Count, append([]string{}, j.To...), j.Subject, j.Template})
		out.Next = strings.TrimPrefix(d.Key, prefix)
		return true, nil
	})
	if len(out.Jobs) < limit {
		out.Next = ""
	}
	return out, c.queue.busy(err)
}

type cancelIn struct {
	Job string `json:"job" validate:"required,len=32" mcpsec:"log"`
}

type cancelOut struct {
	Cancelled int `json:"cancelled"`
	Late      int `json:"late" jsonschema:"were sent, are being sent, or have failed"`
}

var errNoJob = wrong("job", "there is no such job of yours, see mail_list_scheduled")

func (c *Client) cancelQuestion(ctx context.Context, in cancelIn) (string, error) {
	j, ok, err := c.find(ctx, mcpsec.PrincipalFrom(ctx).ID, in.Job)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", errNoJob
	case j.Done:
		return "", wrong("job", "all of the job was sent, cancelled, or has failed")
	}
	what := fmt.Sprintf("the mail %q", j.Subject)
	if j.Template != "" {
		what = fmt.Sprintf("what was not sent yet of %d mails by template %q", j.Count, j.Template)
	}
	return fmt.Sprintf("cancels %s, due %s, to %s", what, j.Due.UTC().Format("2006-01-02 15:04:05 UTC"), quoted(strings.Join(j.To, ", "), 2000)), nil
}

func (c *Client) cancel(ctx context.Context, in cancelIn) (cancelOut, error) {
	var out cancelOut
	j, ok, err := c.find(ctx, mcpsec.PrincipalFrom(ctx).ID, in.Job)
	if err == nil && !ok {
		err = errNoJob
	}
	if err != nil {
		return out, err
	}
	items, err := c.items(ctx, j)
	if err != nil {
		return out, c.queue.busy(err)
	}
	for n, it := range items {
		end, err := c.cancelItem(ctx, in.Job, j, n, it)
		if err != nil {
			return out, c.queue.busy(err)
		}
		if end == isCancelled {
			out.Cancelled++
		} else {
			out.Late++
		}
	}
	_, err = c.finish(ctx, in.Job, j)
	return out, c.queue.busy(err)
}

// cancelItem cancels a message that waits, unless a worker is first: one of the two
// writes its document.
func (c *Client) cancelItem(ctx context.Context, id string, j job, n int, it stored) (string, error) {
	for it.State == isQueued {
		next := it.item
		next.State, next.At, next.Next = isCancelled, c.now().UTC(), time.Time{}
		_, err := c.queue.put(ctx, it.doc, next, c.keepFor(j))
		if err == nil {
			c.noteItem(ctx, id, j, next)
			return isCancelled, c.removeText(ctx, j, n)
		}
		if !errors.Is(err, state.ErrLost) {
			return "", err
		}
		if it.item, it.doc, err = get[item](ctx, c.queue, it.doc.Key); err != nil {
			return "", err
		}
	}
	return it.State, nil
}
