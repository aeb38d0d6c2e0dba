package mailtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type bulkIn struct {
	Template       string    `json:"template" validate:"required,max=64" mcpsec:"log"`
	Revision       string    `json:"revision" validate:"max=16"`
	Recipients     []bulkOne `json:"recipients" validate:"required,min=1,max=1000,dive"`
	ReplyTo        string    `json:"reply_to" validate:"max=320"`
	IdempotencyKey string    `json:"idempotency_key" validate:"max=64"`
}

type bulkOne struct {
	To     string          `json:"to" validate:"required,max=320"`
	Values json.RawMessage `json:"values,omitempty" mcpsec:"any"`
}

type bulkOut struct {
	Job     string       `json:"job"`
	Done    bool         `json:"done" jsonschema:"false: the rest waits; an equal call goes on and tells"`
	Results []bulkResult `json:"results"`
}

type bulkResult struct {
	To        string `json:"to"`
	Status    string `json:"status"`
	Code      string `json:"code,omitempty"`
	MessageID string `json:"message_id"`
}

func bulkTool(c *Client, templates *Templates) *mcpsec.Tool {
	spec := c.spec("mail_send_bulk", "Send a template by mail to many, one message each, with values of their own. A person confirms it. "+
		"Results are queued, sent, failed, unknown, suppressed or cancelled. An equal call goes on with the same job, and sends nothing twice.", mcpsec.Destroy)
	spec.Labels, spec.Idempotent, spec.MaxResult, spec.Narrow = mcpsec.Egress|mcpsec.Private, true, 2<<20, "use fewer recipients in one call"
	one := `{"type":"object","additionalProperties":false,"required":["to"],"properties":{"to":{"type":"string"},"values":{"type":"object"}}}`
	properties := []string{`"template":{"type":"string"}`, `"revision":{"type":"string"}`, `"idempotency_key":{"type":"string","maxLength":64}`,
		fmt.Sprintf(`"recipients":{"type":"array","minItems":1,"maxItems":%d,"items":%s}`, c.queue.MaxRecipients, one)}
	if len(c.o.ReplyTo) > 0 {
		properties = append(properties, `"reply_to":{"type":"string"}`)
	}
	spec.InputSchema = schemaOf(`"template","recipients"`, properties...)
	spec.Guards = append(spec.Guards, func(ctx context.Context, call *mcpsec.Call) error { return c.confirmBulk(ctx, call, templates) })
	return mcpsec.NewTool(spec, func(ctx context.Context, _ bulkIn) (bulkOut, error) {
		id, j, err := c.start(ctx)
		if err != nil {
			return bulkOut{}, err
		}
		if err := c.runBulk(ctx, id, j); err != nil { // what was not sent is told as queued
			c.log(ctx).ErrorContext(ctx, "mail queue: waiting", "error", err, "job", id)
		}
		out, err := c.bulkResults(ctx, id, j)
		return out, c.queue.busy(err)
	})
}

func (c *Client) confirmBulk(ctx context.Context, call *mcpsec.Call, templates *Templates) error {
	in, ok := call.Args.(bulkIn)
	if !ok {
		return errors.New("mail_send_bulk with other arguments than its own")
	}
	id, err := c.jobID(call.Principal.ID, "mail_send_bulk", in, in.IdempotencyKey)
	if err != nil {
		return err
	}
	there, exists, err := c.find(ctx, call.Principal.ID, id)
	if err != nil {
		return err
	}
	text, err := c.planned(id, call, there, exists, func() (*plan, string, error) {
		messages, rev, err := c.buildBulk(ctx, in, templates)
		if err != nil {
			return nil, "", err
		}
		j := job{Owner: call.Principal.ID, Template: in.Template, Due: c.now().UTC(), Digest: bulkDigest(messages)}
		text, err := c.bulkQuestion(ctx, in.Template, rev, j.Digest, messages)
		return &plan{id, j, messages, in.Template}, text, err
	})
	if err != nil {
		return err
	}
	return mcpsec.Ask(text)
}

// buildBulk makes all messages, or none: what cannot be sent to one is told before a
// person is asked.
func (c *Client) buildBulk(ctx context.Context, in bulkIn, templates *Templates) ([]*built, string, error) {
	if n := min(c.queue.MaxRecipients, c.policy.PerDay); len(in.Recipients) > n {
		return nil, "", wrong("recipients", "at most %d recipients in one call", n)
	}
	tpl, _, err := templates.get(in.Template)
	if err != nil {
		return nil, "", err
	}
	rev := revision(tpl)
	if in.Revision != "" && in.Revision != rev {
		return nil, "", wrong("template", "the template has another revision: get it again, and look at that")
	}
	var out []*built
	seen := map[string]bool{}
	for i, one := range in.Recipients {
		b, err := c.buildOne(ctx, in, one, tpl, templates)
		var known *mcpsec.Error
		switch {
		case errors.As(err, &known):
			return nil, "", &mcpsec.Error{Message: fmt.Sprintf("recipients[%d]: %s", i, known.Message), Rule: known.Rule, Err: err}
		case err != nil:
			return nil, "", err
		case seen[b.rcpts[0]]:
			return nil, "", wrong("recipients", "recipients[%d]: is named twice", i)
		}
		seen[b.rcpts[0]] = true
		out = append(out, b)
	}
	return out, rev, nil
}

func (c *Client) buildOne(ctx context.Context, in bulkIn, one bulkOne, tpl Template, templates *Templates) (*built, error) {
	made, err := templates.render(ctx, tpl, one.Values)
	if err != nil {
		return nil, err
	}
	m := Message{To: []string{one.To}, ReplyTo: in.ReplyTo, Subject: made.subject, Text: made.text, HTML: made.html}
	b, err := c.build(m)
	if err == nil && len(b.rest) > maxQueued-1024 { // and room for a link
		return nil, errSize(maxQueued - 1024)
	}
	return b, err
}

// addLink adds a link to unsubscribe to a message that was confirmed without: no two
// links are the same, and a person would be asked anew for each.
func (c *Client) addLink(b *built, list string) error {
	link, err := c.queue.Unsubscribe(b.rcpts[0], list)
	if err != nil {
		return fmt.Errorf("making a link to unsubscribe: %w", err)
	}
	if err := checkUnsubscribe(link); err != nil {
		return err
	}
	b.parts.unsubscribe = link
	b.rest = c.write(b.parts)
	b.digest = b.sum()
	if !canonical(b.signed()) {
		return errForm
	}
	return nil
}

// bulkDigest is of all messages and their recipients.
func bulkDigest(messages []*built) string {
	digests := make([]string, len(messages))
	for i, b := range messages {
		digests[i] = b.digest
	}
	return hash(digests...)
}

// A summary is what a person should know of many messages.
type summary struct {
	domains, links, risks []string
	suppressed            int
}

func (s *summary) add(list *[]string, text string) {
	if !slices.Contains(*list, text) {
		*list = append(*list, text)
	}
}

func (c *Client) summarise(ctx context.Context, messages []*built) (summary, error) {
	var s summary
	counts, outside := map[string]int{}, map[string]bool{}
	for _, b := range messages {
		a := b.parts.to[0]
		counts[a.domain]++
		outside[a.domain] = outside[a.domain] || c.external(a)
		for _, l := range b.parts.links {
			s.add(&s.links, l.host)
		}
		for _, r := range c.risks(b.parts) {
			if !strings.HasPrefix(r, "goes outside, ") {
				s.add(&s.risks, r)
			}
		}
		switch err := c.suppressed(ctx, b); {
		case errors.Is(err, errSuppressed):
			s.suppressed++
		case err != nil:
			return s, err
		}
	}
	for _, d := range sortedKeys(counts) {
		text := fmt.Sprintf("%d at %s", counts[d], d)
		if outside[d] {
			text += " (outside)"
		}
		s.domains = append(s.domains, text)
	}
	return s, nil
}

// bulkQuestion is all that a person decides on: the first messages as they are, and of
// all of them the digest.
func (c *Client) bulkQuestion(ctx context.Context, template, rev, digest string, messages []*built) (string, error) {
	sum, err := c.summarise(ctx, messages)
	if err != nil {
		return "", err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "sends %d mails from %s, one to each recipient: %s", len(messages), c.o.From, strings.Join(sum.domains, ", "))
	if sum.suppressed > 0 {
		fmt.Fprintf(&s, "; of them %d get none, as they must not be written to", sum.suppressed)
	}
	fmt.Fprintf(&s, "; of the %d recipients of an hour and the %d of a day", c.policy.PerHour, c.policy.PerDay)
	fmt.Fprintf(&s, "; by template %q at revision %s", template, rev)
	if c.queue.Unsubscribe != nil {
		s.WriteString("; each with a link to unsubscribe")
	}
	if r := messages[0].parts.replyTo; r != "" {
		s.WriteString("; answers go to " + r)
	}
	if len(sum.links) > 0 {
		s.WriteString("; links to " + strings.Join(sum.links, ", "))
	}
	if len(sum.risks) > 0 {
		s.WriteString("; note: " + strings.Join(sum.risks, "; "))
	}
	end := " [messages " + digest + "]"
	left := maxQuestion - s.Len() - len(end)
	if left < 600 {
		return "", wrong("confirmation", "there is more to it than a person can be shown: fewer recipients, of fewer domains, in one call")
	}
	for i, b := range messages {
		if i > 0 && left < 700 {
			break
		}
		text := shownMessage(b, left)
		if i > 0 && len(text) >= left-100 { // it is not all of it
			break
		}
		s.WriteString(text)
		left -= len(text)
	}
	return s.String() + end, nil
}

// shownMessage is a message as a person reads it, in at most that many bytes if that is enough
// for its recipient and subject.
func shownMessage(b *built, most int) string {
	head := fmt.Sprintf("; to %s: subject %s, text ", b.rcpts[0], quoted(b.parts.subject, 300))
	if shown := b.parts.shown; shown != "" && oneLine(shown) != oneLine(b.parts.text) {
		half := max(0, most-len(head)-14) / 2
		return head + quoted(b.parts.text, half) + ", HTML shows " + quoted(shown, half)
	}
	return head + quoted(b.parts.text, max(0, most-len(head)))
}

// runBulk sends what can be sent within the call, and tells how far it is.
func (c *Client) runBulk(ctx context.Context, id string, j job) error {
	end, _ := ctx.Deadline()
	end = end.Add(-c.o.Timeout - c.o.Timeout/2) // the last message may take as long, and the results
	until, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	report := func(done int) {
		mcpsec.Progress(ctx, float64(done), float64(j.Count), fmt.Sprintf("%d of %d", done, j.Count))
	}
	for {
		p := &pass{Client: c, wait: time.Hour, report: report}
		if err := p.job(until, id, j); err != nil && until.Err() == nil {
			return err
		}
		now, _, err := c.find(ctx, j.Owner, id)
		if err != nil || now.Done || c.now().Add(p.wait).After(end) || !sleep(until, p.wait) {
			return err
		}
	}
}

func (c *Client) bulkResults(ctx context.Context, id string, j job) (bulkOut, error) {
	out := bulkOut{Job: id, Done: true, Results: []bulkResult{}}
	items, err := c.items(ctx, j)
	for _, it := range items {
		out.Done = out.Done && it.done()
		out.Results = append(out.Results, bulkResult{strings.Join(it.To, ", "), it.State, it.Code, it.MessageID})
	}
	return out, err
}
