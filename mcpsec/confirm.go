package mcpsec

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// Ask is the error with which a [Guard] says that a person must be asked first.
// The text says what will happen, as in "refunds 19.00 EUR to 3 orders": compute
// it, and write what comes from arguments or data with %q. It becomes one line,
// without secrets and with hidden characters spelled out, and the client reads it
// like a result. An empty text asks with the arguments. Several guards may ask:
// that is one question, of at most 4,000 bytes, or the call is refused.
//
// A yes counts once, for the caller, the tool and the arguments that the question
// was about. After it the guards run again, and if their texts are other ones
// then, the person is asked anew. A guard must return Ask as it is: wrapped, it
// refuses.
func Ask(text string) error { return &asking{text} }

type asking struct{ text string }

func (*asking) Error() string {
	return "mcpsec: a person must be asked first, which only a Guard can have done, and by Ask as it is"
}

// Preview returns a guard that asks a person with what f computes from the
// input: rows that would go, an amount, recipients. An error of f refuses the
// call as any guard's does, and so does a tool whose input is not an In. Without
// a Preview the question of a [Destroy] tool shows the arguments.
//
// Put it last of the guards: it runs when none before it has refused. Between f
// and the tool there still is a moment in which what f has read can change: where
// that matters, let the tool do no more than f has counted.
func Preview[In any](f func(context.Context, In) (string, error)) Guard {
	return func(ctx context.Context, c *Call) error {
		in, ok := c.Args.(In)
		if !ok {
			return fmt.Errorf("mcpsec: tool %q: a Preview of %T, and the input is %T", c.Tool, in, c.Args)
		}
		text, err := f(ctx, in)
		if err != nil {
			return err
		}
		return Ask(text)
	}
}

// A Question is what an [Approver] decides on.
type Question struct {
	Call      string // the call's id in the audit log
	Tool      string
	Effect    Effect
	Principal Principal // who makes the call
	Text      string    // all that a person should read, at most 4,000 bytes of plain text
	Arguments string    // SHA-256 of the arguments, in hex
}

// An Approver asks a person out of band, by a chat message or a page of the
// operator's, where the client cannot. It returns who has decided, for the
// record, and whether that was a yes; an error is a no, and goes to the log. Its
// context ends after [Limits].Confirm, or when the client has gone: an answer
// after that does not count. It must be safe for concurrent use.
type Approver func(ctx context.Context, q Question) (by string, yes bool, err error)

// The ways in which a person can be asked, as the audit record names them.
const (
	byRetry       = "mrtr"        // the client asks, and repeats the call with the answer
	byElicitation = "elicitation" // the client is asked while the call waits
	byApprover    = "approver"
)

// An assent is a person's yes to one question.
type assent struct {
	way      string
	by       string // of an Approver
	call     string // in which was asked
	question [sha256.Size]byte
}

// wishes is what guards want a person to be asked.
type wishes struct {
	asked bool
	own   bool // the tool's guards say what will happen
	texts []string
}

// add takes what a guard of the server or of the tool has returned, if it is an
// Ask.
func (w *wishes) add(err error, own, waived bool) bool {
	ask, ok := err.(*asking) // and nothing that only wraps one: it may hold a refusal, too
	if !ok {
		return false
	}
	w.asked = w.asked || !waived
	if ask.text != "" {
		w.own = w.own || own
		w.texts = append(w.texts, ask.text)
	}
	return true
}

// digest tells one question from another, by what was computed and not by what
// redaction has left of it.
func (w wishes) digest() [sha256.Size]byte {
	h := sha256.New()
	for _, t := range w.texts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(t))))
		h.Write([]byte(t))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// maxRounds is how often one call asks while what would happen keeps changing.
const maxRounds = 3

// unconfirmed reports whether the tool may do without a person.
func (o *operation) unconfirmed() bool { return waive.Has(o.spec.Waive, waive.Unconfirmed) }

// confirm lets a call pass that needs no yes, or that has one to the very
// question that it raises now. Otherwise it ends this attempt with the question.
func (r *run) confirm(w wishes, yes *assent, raw json.RawMessage) *failure {
	if !w.asked && (r.call.Effect != Destroy || r.op.unconfirmed()) {
		return nil
	}
	digest := w.digest()
	if yes != nil && yes.question == digest {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.call.assent = yes
		return nil
	}
	way := r.way()
	switch {
	case r.stray:
		return badState("is missing, so nothing was asked")
	case r.round > maxRounds:
		return refused("confirmation", "not allowed: what it would do changes faster than a person can answer: call again later")
	case way == "":
		return refused("confirmation", "not allowed: a person must confirm it first, and this client cannot ask one: use a client that supports elicitation"+r.legacyAdvice())
	}
	q, f := r.question(w, raw, yes != nil)
	if f != nil {
		return f
	}
	q.way, q.digest = way, digest
	if way == byRetry {
		q.state = r.sealed(q)
	}
	return &failure{outcome: outcomeAsked, rule: "confirmation", question: q}
}

// repeated are the methods that a client repeats with answers: the specification
// knows no others.
var repeated = []string{methodCall, methodPrompt, methodRead}

// way says how a person can be asked, or "". A request that claims another
// version than its session's has no way: two readers would read it in two.
func (r *run) way() string {
	way := r.wayTo(canAsk)
	if way == "" && r.server.approver != nil {
		return byApprover
	}
	return way
}

// wayTo says how a client that can do something is asked for it, or "".
func (r *run) wayTo(can func(*mcp.ClientCapabilities) bool) string {
	session := r.req.Session.InitializeParams()
	switch {
	case !slices.Contains(repeated, r.call.Method) && r.modern():
	case r.modern() && can(r.req.ClientCapabilities()):
		return byRetry
	case session != nil && session.ProtocolVersion < firstModern && r.req.ProtocolVersion() == session.ProtocolVersion && can(session.Capabilities):
		return byElicitation
	}
	return ""
}

// modern reports whether the request and its session, if it has one, speak a
// version in which a call is repeated with the answers.
func (r *run) modern() bool {
	session := r.req.Session.InitializeParams()
	return r.req.ProtocolVersion() >= firstModern && (session == nil || session.ProtocolVersion >= firstModern)
}

// legacyAdvice tells who could be asked over another transport.
func (r *run) legacyAdvice() string {
	if r.modern() {
		return ""
	}
	return ", over HTTP one of protocol version " + firstModern
}

// canAsk reports whether a client shows forms to its person. One that names no
// kind of elicitation is of a version that had no other.
func canAsk(c *mcp.ClientCapabilities) bool {
	return c != nil && c.Elicitation != nil && (c.Elicitation.Form != nil || c.Elicitation.URL == nil)
}
