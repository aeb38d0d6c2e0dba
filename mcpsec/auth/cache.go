package auth

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const (
	defaultMaxAge = time.Minute
	longestMaxAge = time.Hour
	refusalAge    = 10 * time.Second
	maxGrants     = 10_000
	maxRefusals   = 1_000
	maxAsking     = 32 // tokens that are asked about at once
)

type digest [sha256.Size]byte

// An answer is what the server said about a token, until when it may be
// believed.
type answer struct {
	principal mcpsec.Principal
	err       error // a refusal, or an unavailable, which is not kept
	until     time.Time
	done      chan struct{}
}

// A cache asks a server about tokens: once for all who bring the same at once,
// and again when the answer is old. It keeps digests, not tokens. Refusals have
// a place of their own, so that made-up tokens drive out no good ones.
type cache struct {
	// ask has askTimeout. Its answer's until bounds how long it is kept, unless
	// it is zero.
	ask    func(ctx context.Context, token string) (mcpsec.Principal, time.Time, error)
	maxAge time.Duration

	mu       sync.Mutex
	grants   map[digest]*answer
	refusals map[digest]*answer
	asking   map[digest]*answer
}

func newCache(maxAge time.Duration, ask func(context.Context, string) (mcpsec.Principal, time.Time, error)) *cache {
	return &cache{ask: ask, maxAge: maxAge,
		grants: map[digest]*answer{}, refusals: map[digest]*answer{}, asking: map[digest]*answer{}}
}

func (c *cache) verify(ctx context.Context, token string) (mcpsec.Principal, error) {
	if token == "" || len(token) > maxToken {
		return mcpsec.Principal{}, invalid("it is empty or too long")
	}
	a := c.answer(token)
	if a == nil {
		return mcpsec.Principal{}, &unavailable{noAnswer, errBusy}
	}
	select {
	case <-a.done:
		p := a.principal
		p.Scopes = slices.Clone(p.Scopes) // it is kept for others
		return p, a.err
	case <-ctx.Done():
		return mcpsec.Principal{}, &unavailable{noAnswer, errTimeout}
	}
}

// noAnswer is what went wrong when a server was asked about a token.
const noAnswer = "the token could not be checked"

// answer returns one that holds or is on its way, or nil when too many are.
func (c *cache) answer(token string) *answer {
	sum := digest(sha256.Sum256([]byte(token)))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kept := range []map[digest]*answer{c.grants, c.refusals} {
		if a := kept[sum]; a != nil && time.Now().Before(a.until) {
			return a
		}
	}
	if a := c.asking[sum]; a != nil {
		return a
	}
	if len(c.asking) >= maxAsking {
		return nil
	}
	a := &answer{done: make(chan struct{})}
	c.asking[sum] = a
	go c.fill(a, sum, token)
	return a
}

// fill belongs to no request: one that gives up must not spoil it for others.
func (c *cache) fill(a *answer, sum digest, token string) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	asked := time.Now()
	var expiry time.Time
	a.err = &unavailable{noAnswer, errPanic} // unless ask returns: a callback may end the goroutine
	defer func() { c.settle(a, sum, asked, expiry) }()
	a.principal, expiry, a.err = c.guarded(ctx, token)
}

// settle keeps an answer and gives it to those who wait for it.
func (c *cache) settle(a *answer, sum digest, asked, expiry time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asking, sum)
	delete(c.grants, sum)
	delete(c.refusals, sum)
	switch a.err.(type) {
	case nil:
		a.until = asked.Add(c.maxAge)
		if !expiry.IsZero() && expiry.Before(a.until) {
			a.until = expiry
		}
		keep(c.grants, sum, a, maxGrants)
	case *refusal:
		a.until = asked.Add(min(refusalAge, c.maxAge))
		keep(c.refusals, sum, a, maxRefusals)
	}
	close(a.done)
}

// guarded runs on a goroutine of ours, where a panic would end the process.
func (c *cache) guarded(ctx context.Context, token string) (p mcpsec.Principal, expiry time.Time, err error) {
	defer func() {
		if recover() != nil {
			p, err = mcpsec.Principal{}, &unavailable{noAnswer, errPanic}
		}
	}()
	return c.ask(ctx, token)
}

// keep makes room by dropping one of a few: an old one if there is one.
func keep(m map[digest]*answer, sum digest, a *answer, most int) {
	if len(m) >= most {
		looked, now := 0, time.Now()
		for victim, old := range m {
			if looked++; looked == 8 || !now.Before(old.until) {
				delete(m, victim)
				break
			}
		}
	}
	m[sum] = a
}

// checkMaxAge completes the option of that name.
func checkMaxAge(age *time.Duration) error {
	if *age == 0 {
		*age = defaultMaxAge
	}
	if *age < 0 || *age > longestMaxAge {
		return errMaxAge
	}
	return nil
}
