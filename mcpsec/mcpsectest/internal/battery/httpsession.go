package battery

import (
	"context"
	"fmt"
	"math/big"
	"net/http"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

var sessionChecks = []Check{
	{
		ID: "http/session-id", Severity: Medium, Over: HTTP, Title: "a session's id can be guessed",
		Proof:  "Of four ids that the server issued two were the same, or they count up, or have fewer than 16 characters or the form of a UUID made from the time. Who guesses one speaks in the session of another.",
		Remedy: "Make ids of 128 random bits or more, from the system's generator.",
		Run:    guessableSessions,
	},
	{
		ID: "http/session-fixed", Severity: Medium, Over: HTTP, Title: "a client can choose its session's id",
		Proof:  "An initialize that named a session got a session of that name. Who can make another use it shares the session with them (fixation).",
		Remedy: "Make a new id for each initialize, and refuse ids that were not issued.",
		Run:    fixedSession,
	},
	{
		ID: "http/session-ended", Severity: Low, Over: HTTP, Title: "a session goes on after its end",
		Proof:  "DELETE was answered with success, and a request in the same session was answered with a result after it.",
		Remedy: "Forget a session when its client ends it, and answer its id with 404.",
		Run:    endedSession,
	},
	{
		ID: "http/session-auth", Severity: High, Over: HTTP, Title: "a session's id is taken for credentials",
		Proof:  "The server asks for credentials to open a session, and answered a request in that session without them, or with a token that is none, with a result. Ids stand in logs of proxies.",
		Remedy: "Check credentials on each request, and that the session belongs to their owner.",
		Run:    sessionForToken,
	},
}

// newSession opens a session, and returns its id; "" if the server has none.
func (p *Probe) newSession(ctx context.Context) string {
	a := p.fire(ctx, "a session", func(*http.Request) {})
	if !a.accepted() {
		return ""
	}
	return a.header.Get("Mcp-Session-Id")
}

// pingIn sends a ping in a session.
func (p *Probe) pingIn(ctx context.Context, id, what string, change func(r *http.Request)) answer {
	return p.fire(ctx, what, func(r *http.Request) {
		setBody(r, []byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
		r.Header.Set("Mcp-Session-Id", id)
		r.Header.Set("Mcp-Protocol-Version", legacy)
		change(r)
	})
}

var timeUUID = lazy.Regexp(`(?i)^[0-9a-f]{8}-[0-9a-f]{4}-[16][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func guessableSessions(ctx context.Context, p *Probe) []Finding {
	var ids []string
	for range 4 {
		id := p.newSession(ctx)
		if id == "" {
			return nil
		}
		defer p.leave(ctx, id)
		ids = append(ids, id)
	}
	if why := guessable(ids); why != "" {
		return one(0, "%s", why)
	}
	return nil
}

// guessable says what is wrong with ids that were issued one after the other.
func guessable(ids []string) string {
	for i, id := range ids {
		switch {
		case len(id) < 16:
			return fmt.Sprintf("an id has %d characters", len(id))
		case timeUUID().MatchString(id):
			return "the ids are UUIDs that are made from the time"
		case i > 0 && id == ids[i-1]:
			return "two sessions have one id"
		}
	}
	if counts(ids) {
		return "the ids count up"
	}
	return ""
}

var digits = lazy.Regexp(`[0-9a-f]+`)

// counts reports whether ids differ in one number only, which rises by small steps.
// Whoever counts in tens counts up in sixteens, too.
func counts(ids []string) bool {
	const step = 1 << 20 // of a clock that counts microseconds, too
	var last *big.Int
	rest := ""
	for i, id := range ids {
		numbers := digits().FindAllStringIndex(id, -1)
		if len(numbers) == 0 {
			return false
		}
		at := numbers[0]
		for _, n := range numbers {
			if n[1]-n[0] > at[1]-at[0] {
				at = n // the longest
			}
		}
		n, ok := new(big.Int).SetString(id[at[0]:at[1]], 16)
		around := id[:at[0]] + "#" + id[at[1]:]
		if !ok || i > 0 && (around != rest || n.Cmp(last) <= 0 || new(big.Int).Sub(n, last).Cmp(big.NewInt(step)) > 0) {
			return false
		}
		last, rest = n, around
	}
	return true
}

func fixedSession(ctx context.Context, p *Probe) []Finding {
	const chosen = "mcpsec-check-0123456789abcdef"
	id := p.newSession(ctx)
	if id == "" {
		return nil
	}
	p.leave(ctx, id)
	a := p.shoot(ctx, "a session of the client's choice", setHeader("Mcp-Session-Id", chosen))
	if !a.accepted() || a.header.Get("Mcp-Session-Id") != chosen {
		return nil
	}
	return one(0, "initialize with Mcp-Session-Id: %s opened a session of that id", chosen)
}

func endedSession(ctx context.Context, p *Probe) []Finding {
	as := func(*http.Request) {}
	id := p.newSession(ctx)
	if id == "" || !p.pingIn(ctx, id, "in a session", as).accepted() {
		return nil
	}
	if p.leave(ctx, id).status/100 != 2 || !p.pingIn(ctx, id, "in an ended session", as).accepted() {
		return nil
	}
	return one(0, "DELETE was answered with success, and a ping in the session with a result after it")
}

func sessionForToken(ctx context.Context, p *Probe) []Finding {
	if p.open(ctx) {
		return nil
	}
	id := p.newSession(ctx)
	if id == "" {
		return nil
	}
	defer p.leave(ctx, id)
	if p.pingIn(ctx, id, "a session without credentials", p.withoutCredentials).accepted() {
		return one(0, "a ping in the session was answered with a result without credentials")
	}
	other := setHeader("Authorization", "Bearer "+noToken)
	if p.bearer() == "" || p.shoot(ctx, "another token", other).accepted() { // which http/token says
		return nil
	}
	if p.pingIn(ctx, id, "a session with another token", other).accepted() {
		return one(0, "a ping in the session was answered with a result with a token that opens none")
	}
	return nil
}
