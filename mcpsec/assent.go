package mcpsec

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/seal"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// An askedState is what the client keeps for us, sealed, between the question
// and the answer: which answer will count, for what, for whom and until when.
// Behind it stands the call's [progress].
type askedState struct {
	Call      [26]byte // in which was asked: random, and so the state's own name
	Expires   int64    // Unix time in milliseconds
	Principal [sha256.Size]byte
	Tool      [sha256.Size]byte
	Arguments [sha256.Size]byte
	Question  [sha256.Size]byte
}

// sealRing makes the ring of Options.SealKeys. Servers of another name cannot
// open what this one seals, even with its keys.
func sealRing(name string, keys []Secret) (func() *seal.Ring, error) {
	var raw [][]byte
	for i, k := range keys {
		if err := k.CheckRandom(0); err != nil {
			return nil, fmt.Errorf("Options.SealKeys[%d] %w", i, err)
		}
		if len(k.Reveal()) < 32 {
			return nil, fmt.Errorf("Options.SealKeys[%d] is shorter than 32 bytes", i)
		}
		raw = append(raw, []byte(k.Reveal()))
	}
	if len(raw) == 0 {
		return sync.OnceValue(func() *seal.Ring {
			key := make([]byte, 32)
			rand.Read(key)
			ring, err := seal.New("confirmation, "+name, key)
			if err != nil {
				panic(err) // the key is as long as it must be
			}
			return ring
		}), nil
	}
	ring, err := seal.New("confirmation, "+name, raw...)
	return func() *seal.Ring { return ring }, err
}

// sealed is the state of a question.
func (r *run) sealed(q *question) string {
	st := askedState{
		Expires:   r.call.start.Add(r.server.limits.Confirm).UnixMilli(),
		Principal: sha256.Sum256([]byte(r.call.Principal.ID)), Tool: r.target(),
		Arguments: q.arguments, Question: q.digest,
	}
	copy(st.Call[:], r.call.ID)
	b, _ := binary.Append(nil, binary.BigEndian, &st) // of fixed size
	return r.server.seal().Seal(append(b, r.progress(q)...))
}

// target is what a state is for: a prompt may have the name of a tool.
func (r *run) target() [sha256.Size]byte {
	return sha256.Sum256([]byte(r.call.Method + " " + r.call.Tool))
}

// askAnew says how a refused answer becomes a question again.
const askAnew = ": call again without inputResponses and requestState, and the person is asked anew"

// answer returns a person's yes, and takes the answers for the handler: those
// that were given while the call waited, or what a repeated call brings along,
// which is a state of ours, used once, and the answers to what it asked. Answers
// without such a state are forgeries, whatever they say: they answer nothing.
func (r *run) answer(ctx context.Context, raw json.RawMessage) (*assent, *failure) {
	p := r.req.Params
	if r.yes != nil || r.inputs.asks > 0 || p.RequestState == "" && p.InputResponses == nil {
		return r.yes, nil
	}
	if !r.modern() {
		return nil, refused("confirmation", "not allowed: this version of the protocol knows no inputResponses and requestState")
	}
	if p.RequestState == "" {
		r.stray = true
		r.server.recordRefusal(ctx, refusal{principal: r.call.Principal.ID, noun: r.call.noun, tool: r.call.Tool, rule: "input", reason: "answers without a requestState answer nothing"})
		return nil, nil
	}
	st, before, f := r.openState(p.RequestState, raw)
	if f == nil {
		f = r.server.useOnce(ctx, st)
	}
	if f != nil {
		return nil, f
	}
	yes := r.resume(st, before)
	if len(before.Asked) > 0 {
		r.bring(before.Asked, p.InputResponses)
		return yes, nil
	}
	res, ok := p.InputResponses[confirmKey].(*mcp.ElicitResult)
	if !ok || len(p.InputResponses) != 1 {
		return nil, refused("confirmation", "not allowed: inputResponses must hold the answer to the question and nothing else"+askAnew)
	}
	if f := verdict(res); f != nil {
		return nil, f
	}
	r.noteYes(ctx, byRetry)
	return &assent{way: byRetry, call: string(st.Call[:]), question: st.Question}, nil
}

// badState refuses a state, with the error that the protocol wants for one.
func badState(why string) *failure {
	f := refused("confirmation", "not allowed: the requestState "+why+askAnew)
	f.wire = jsonrpc.CodeInvalidParams
	return f
}

// openState checks that a state was made here, for this caller, tool and
// arguments, and lately.
func (r *run) openState(token string, raw json.RawMessage) (*askedState, *progress, *failure) {
	refuse := func(why string) (*askedState, *progress, *failure) { return nil, nil, badState(why) }
	b, err := r.server.seal().Open(token)
	if errors.Is(err, seal.ErrKey) {
		return refuse("is of a server with other keys")
	}
	st, before := &askedState{}, &progress{}
	if n, bad := binary.Decode(b, binary.BigEndian, st); err != nil || bad != nil || json.Unmarshal(b[n:], before) != nil {
		return refuse("is not one of this server's")
	}
	arguments, err := canonicalArguments(raw)
	switch {
	case err != nil:
		return refuse("cannot be compared with the arguments")
	case st.Principal != sha256.Sum256([]byte(r.call.Principal.ID)):
		return refuse("is of another caller")
	case st.Tool != r.target():
		return refuse("is of another tool")
	case st.Arguments != sha256.Sum256(arguments):
		return refuse("is of other arguments")
	case !r.call.start.Before(time.UnixMilli(st.Expires)):
		return refuse("has expired")
	}
	return st, before, nil
}

// clockSkew is how far the clocks of replicas may differ before a state that is
// used up on one could be used on another.
const clockSkew = 10 * time.Minute

// useOnce takes a state out of use before anything is done with it. Its name
// stays taken until it has expired everywhere.
func (s *Server) useOnce(ctx context.Context, st *askedState) *failure {
	keep := time.Until(time.UnixMilli(st.Expires)) + clockSkew
	c, err := s.once.Claim(ctx, "confirmation:"+string(st.Call[:]), keep)
	if err == nil && c.Status == state.Taken {
		err = s.once.Complete(ctx, c, nil, keep)
	}
	switch {
	case err != nil:
		f := refused("confirmation", "not allowed: whether the answer was used before cannot be told now"+askAnew)
		f.cause = err
		return f
	case c.Status != state.Taken:
		return badState("was used already")
	}
	return nil
}
