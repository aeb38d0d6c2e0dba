package mailtool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A note is what the log has of a message: nothing of what it says.
type note struct {
	Time      time.Time `json:"time"`
	Outcome   string    `json:"outcome"`
	To        []string  `json:"to"`
	MessageID string    `json:"message_id"`
	Job       string    `json:"job,omitempty"`
	Code      string    `json:"code,omitempty"`
}

// A trace tells whose message a Message-ID names.
type trace struct {
	Owner string `json:"owner"`
	Job   string `json:"job,omitempty"`
}

// endOfTime makes keys that count down, so that the last note is listed first.
const endOfTime = 9_999_999_999_999 // milliseconds since 1970

func (q *queue) notesOf(owner string) string { return q.root + "note/" + hash(owner)[:24] + "/" }
func (q *queue) traceKey(messageID string) string {
	return q.root + "trace/" + hash(strings.ToLower(strings.Trim(messageID, "<>")))[:32]
}

// note keeps n once, however often it is called with it.
func (q *queue) note(ctx context.Context, owner string, n note) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	key := fmt.Sprintf("%s%013d-%s", q.notesOf(owner), endOfTime-n.Time.UnixMilli(), hash(append(n.To, n.MessageID, n.Outcome)...)[:16])
	add := func(key string, v any) error {
		_, err := q.put(ctx, state.Document{Key: key}, v, q.Keep)
		if errors.Is(err, state.ErrLost) { // it is there
			return nil
		}
		return err
	}
	var err error
	if n.Outcome == isSent || n.Outcome == isUnknown {
		err = add(q.traceKey(n.MessageID), trace{owner, n.Job})
	}
	return errors.Join(err, add(key, n))
}

// noteItem notes how a message of a job has ended.
func (c *Client) noteItem(ctx context.Context, id string, j job, it item) {
	c.noteOr(ctx, j.Owner, note{it.At, it.State, it.To, it.MessageID, id, it.Code})
}

// noteOr tells the log of the process what could not be noted: the message has been sent
// or not, whatever becomes of the note.
func (c *Client) noteOr(ctx context.Context, owner string, n note) {
	if err := c.queue.note(ctx, owner, n); err != nil {
		c.log(ctx).ErrorContext(ctx, "mail: an outcome could not be noted", "error", err, "message_id", n.MessageID, "outcome", n.Outcome)
	}
}

// noteSend notes how a message has ended that was sent at once. What a cap has refused
// was not tried.
func (c *Client) noteSend(ctx context.Context, b *built, err error) {
	if c.queue == nil {
		return
	}
	n := note{Time: c.now().UTC(), To: b.rcpts, MessageID: b.messageID, Outcome: isFailed}
	var said *refusal
	var down *fault
	var off *unmet
	var envelope *envelopeError
	switch {
	case err == nil:
		n.Outcome = isSent
	case errors.Is(err, ErrUnknown):
		n.Outcome, n.Code = isUnknown, codeOf(err)
	case errors.Is(err, errSuppressed):
		n.Outcome = isSuppressed
	case errors.As(err, &said), errors.As(err, &down), errors.As(err, &off), errors.As(err, &envelope):
		n.Code = codeOf(err)
	default:
		return
	}
	c.noteOr(ctx, mcpsec.PrincipalFrom(ctx).ID, n)
}

// LogFeedback notes what a provider tells of a message of this Client's, for mail_log and
// mail_stats: let FeedbackOptions.Handle be it. An event whose MessageID is none that was
// sent from here, such as a provider's own name, is left out. It does nothing without
// Options.Queue, and may be called with an event again.
func (c *Client) LogFeedback(ctx context.Context, e FeedbackEvent) error {
	if c.queue == nil || e.MessageID == "" {
		return nil
	}
	t, d, err := get[trace](ctx, c.queue, c.queue.traceKey(e.MessageID))
	if err != nil || d.Version == 0 {
		return err
	}
	return c.queue.note(ctx, t.Owner, note{e.Time.UTC(), e.Kind, []string{e.Address}, "<" + strings.Trim(e.MessageID, "<>") + ">", t.Job, e.Code})
}

// LogTools returns mail_log and mail_stats, which tell what became of the caller's own
// messages, without what they say; none without Options.Queue.
func LogTools(c *Client) []*mcpsec.Tool {
	if c.queue == nil {
		return nil
	}
	log := c.spec("mail_log", "List what became of your messages, the last first: sent, failed, unknown, suppressed, cancelled; and what the provider told later.", mcpsec.Read)
	log.Labels, log.Narrow = mcpsec.Private, "lower limit"
	stats := c.spec("mail_stats", "Count what became of your messages.", mcpsec.Read)
	return []*mcpsec.Tool{mcpsec.NewTool(log, c.listNotes), mcpsec.NewTool(stats, c.stats)}
}

type logIn struct {
	Outcome string `json:"outcome" validate:"max=20" jsonschema:"defaults to all"`
	Job     string `json:"job" validate:"max=64" jsonschema:"defaults to all"`
	After   string `json:"after" validate:"max=64" jsonschema:"next of the answer before"`
	Limit   int    `json:"limit" validate:"gte=0,lte=200" jsonschema:"defaults to 50"`
}

type logOut struct {
	Log  []noteOut `json:"log"`
	Next string    `json:"next,omitempty"`
}

type noteOut struct {
	Time      string   `json:"time"`
	Outcome   string   `json:"outcome"`
	To        []string `json:"to"`
	MessageID string   `json:"message_id"`
	Job       string   `json:"job,omitempty"`
	Code      string   `json:"code,omitempty"`
}

func (n note) out() noteOut {
	return noteOut{n.Time.Format(time.RFC3339), n.Outcome, append([]string{}, n.To...), n.MessageID, n.Job, n.Code}
}

// lastNote is what became of the caller's last message to an address, or nil: there is
// none, or no log, or it is further behind than maxScanned.
func (c *Client) lastNote(ctx context.Context, to string) (*noteOut, error) {
	if c.queue == nil {
		return nil, nil
	}
	var last *noteOut
	scanned := 0
	err := c.notes(ctx, c.queue.notesOf(mcpsec.PrincipalFrom(ctx).ID), "", func(_ string, n note) bool {
		scanned++
		if slices.Contains(n.To, to) {
			n.To = []string{to}
			o := n.out()
			last = &o
		}
		return last == nil && scanned < maxScanned
	})
	return last, c.queue.busy(err)
}

// maxScanned is how many notes one call looks at.
const maxScanned = 5000

func (c *Client) listNotes(ctx context.Context, in logIn) (logOut, error) {
	out := logOut{Log: []noteOut{}}
	limit, scanned := or(in.Limit, 50), 0
	prefix := c.queue.notesOf(mcpsec.PrincipalFrom(ctx).ID)
	if !printable(in.After, 64) {
		return out, wrong("after", "after must be next of the answer before")
	}
	after := ""
	if in.After != "" {
		after = prefix + in.After
	}
	err := c.notes(ctx, prefix, after, func(key string, n note) bool {
		scanned++
		out.Next = strings.TrimPrefix(key, prefix)
		if (in.Outcome == "" || in.Outcome == n.Outcome) && (in.Job == "" || in.Job == n.Job) {
			out.Log = append(out.Log, n.out())
		}
		return len(out.Log) < limit && scanned < maxScanned
	})
	if len(out.Log) < limit && scanned < maxScanned {
		out.Next = ""
	}
	return out, c.queue.busy(err)
}

// notes calls f with the notes under a prefix. One that cannot be read is left out: its
// key may be gone.
func (c *Client) notes(ctx context.Context, prefix, after string, f func(key string, n note) bool) error {
	return c.queue.list(ctx, prefix, after, func(d state.Document) (bool, error) {
		n, d, err := unseal[note](c.queue, d)
		if err != nil {
			c.log(ctx).WarnContext(ctx, "mail: a note is left out", "error", err)
			return true, nil
		}
		return f(d.Key, n), nil
	})
}

type statsIn struct {
	Days int `json:"days" validate:"gte=0,lte=180" jsonschema:"defaults to 7"`
}

type statsOut struct {
	Since    string  `json:"since"`
	Outcomes []count `json:"outcomes"`
	All      bool    `json:"all" jsonschema:"false: there are more than could be counted, and these are the last"`
}

type count struct {
	Outcome  string `json:"outcome"`
	Messages int    `json:"messages"`
}

func (c *Client) stats(ctx context.Context, in statsIn) (statsOut, error) {
	since := c.now().UTC().Add(-time.Duration(or(in.Days, 7)) * day)
	counts, scanned := map[string]int{}, 0
	err := c.notes(ctx, c.queue.notesOf(mcpsec.PrincipalFrom(ctx).ID), "", func(_ string, n note) bool {
		if n.Time.Before(since) {
			return false
		}
		counts[n.Outcome]++
		scanned++
		return scanned < maxScanned
	})
	out := statsOut{since.Format(time.RFC3339), []count{}, scanned < maxScanned}
	for _, o := range sortedKeys(counts) {
		out.Outcomes = append(out.Outcomes, count{o, counts[o]})
	}
	return out, c.queue.busy(err)
}
