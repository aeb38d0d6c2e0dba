//lint:file-ignore SA1019 the protocol has deprecated it, and clients of both eras have it

package mcpsec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of what a call may ask its client for.
const (
	maxAsks  = 8        // times, those that were not answered as asked among them
	maxNeeds = 16       // things at once
	maxGiven = 24 << 10 // bytes of answers, which the client keeps for us
)

// A need is one thing that a handler asks the client for.
type need struct {
	name   string
	params mcp.InputRequest
	kind   capability
	digest string // of what is asked: an answer to another question is none
}

func newNeed(name string, kind capability, params mcp.InputRequest) (need, error) {
	b, err := json.Marshal(params)
	if err != nil {
		return need{}, err
	}
	sum := sha256.Sum256(append([]byte(kind+" "), b...))
	return need{name, params, kind, hex.EncodeToString(sum[:])}, nil
}

// An answered is an answer that a call has got, or a question that it waits on.
type answered struct {
	Name   string          `json:"n"`
	Kind   capability      `json:"k"`
	Digest string          `json:"d"`
	Value  json.RawMessage `json:"v,omitempty"`
}

// inputs are the answers that a call has got so far, and how often it has asked.
type inputs struct {
	given []answered
	asks  int
}

// progress is how far a call has come, for its next attempt.
type progress struct {
	Asks   int        `json:"a,omitempty"`
	Asked  []answered `json:"q,omitempty"`
	Given  []answered `json:"g,omitempty"`
	Assent *struct {
		Way, By, Call string
		Question      []byte
	} `json:"y,omitempty"`
}

// progress is what a state holds beyond the question.
func (r *run) progress(q *question) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := progress{Asks: r.inputs.asks, Given: r.inputs.given}
	for _, n := range q.needs {
		p.Asked = append(p.Asked, answered{Name: n.name, Kind: n.kind, Digest: n.digest})
	}
	if a := r.call.assent; a != nil && q.needs != nil {
		p.Assent = &struct {
			Way, By, Call string
			Question      []byte
		}{a.way, a.by, a.call, a.question[:]}
	}
	b, _ := json.Marshal(&p) // of texts, numbers and valid JSON
	return b
}

// resume takes up where the last attempt has ended, with the yes that it had: it
// counts until the call has ended.
func (r *run) resume(st *askedState, p *progress) *assent {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.call.resumes = string(st.Call[:])
	r.inputs = inputs{p.Given, p.Asks}
	if p.Assent == nil || len(p.Assent.Question) != sha256.Size {
		return nil
	}
	return &assent{way: p.Assent.Way, by: p.Assent.By, call: p.Assent.Call, question: [sha256.Size]byte(p.Assent.Question)}
}

// bring takes the answers to what was asked, and no others. What is missing or
// is an answer to something else, the handler asks for again.
func (r *run) bring(asked []answered, responses mcp.InputResponseMap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range asked {
		if v, ok := a.Kind.value(responses[a.Name]); ok {
			a.Value = v
			r.inputs.add(a)
		}
	}
}

// add keeps an answer, in place of an older one of that name.
func (in *inputs) add(a answered) {
	in.given = append(slices.DeleteFunc(slices.Clone(in.given), func(o answered) bool { return o.Name == a.Name }), a)
}

func (in *inputs) size() int {
	n := 0
	for _, a := range in.given {
		n += len(a.Value)
	}
	return n
}

// inputsSoFar are for the next attempt of a call that waits.
func (r *run) inputsSoFar() inputs {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inputs
}

// errAsking is what a handler returns so that the client is asked.
var errAsking = errors.New("mcpsec: the client must be asked first: return this error from the handler")

// want gives an answer to accept, which may refuse it, or notes that the client
// must be asked.
func (r *run) want(n need, accept func(json.RawMessage) error) error {
	if r.wayTo(n.kind.in) == "" {
		return &incapable{n.kind}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.IndexFunc(r.inputs.given, func(a answered) bool { return a.Name == n.name }); i >= 0 {
		if a := r.inputs.given[i]; a.Kind == n.kind && a.Digest == n.digest {
			if err := accept(a.Value); !errors.Is(err, errUnfit) {
				return err
			}
		}
		r.inputs.given = slices.Delete(slices.Clone(r.inputs.given), i, i+1)
	}
	switch i := slices.IndexFunc(r.needs, func(o need) bool { return o.name == n.name }); {
	case i < 0 && len(r.needs) == maxNeeds:
		return errors.New("mcpsec: a handler asks for too much at once")
	case i < 0:
		r.needs = append(r.needs, n)
	case r.needs[i].digest != n.digest:
		return errors.New("mcpsec: a handler asks for two things under one name")
	}
	return errAsking
}

// errUnfit is of an answer that is not what was asked for.
var errUnfit = errors.New("the answer does not fit the question")

// fromHandler turns a handler's error into a failure, or into the question that
// it stands for.
func (r *run) fromHandler(ctx context.Context, err error) *failure {
	var cannot *incapable
	if errors.As(err, &cannot) {
		return r.lacksCapability(cannot.capability)
	}
	if !errors.Is(err, errAsking) {
		return fromHandler(ctx, err)
	}
	r.mu.Lock()
	needs, in := r.needs, r.inputs
	r.inputs.asks++
	r.mu.Unlock()
	switch {
	case len(needs) == 0:
		return &failure{outcome: outcomeFailed, rule: "handler", cause: errors.New("the handler returned an error of Elicit, Sample or Roots, and has not called one")}
	case in.asks >= maxAsks:
		return refused("input", "not done: the client has not answered as it was asked")
	case in.size() > maxGiven:
		return refused("input", "not done: the answers are too long: at most 24 KiB are taken")
	}
	way := r.wayTo(func(caps *mcp.ClientCapabilities) bool {
		return !slices.ContainsFunc(needs, func(n need) bool { return !n.kind.in(caps) })
	})
	return r.asking(&question{way: way, needs: needs})
}

// asking is the failure that ends an attempt with a question of the handler's.
func (r *run) asking(q *question) *failure {
	if q.way == byRetry {
		raw := r.req.Params.Arguments
		if len(raw) == 0 {
			raw = json.RawMessage("{}")
		}
		canonical, err := canonicalArguments(raw)
		if err != nil {
			return &failure{outcome: outcomeFailed, rule: "input", cause: err}
		}
		q.arguments = sha256.Sum256(canonical)
		q.state = r.sealed(q)
	}
	return &failure{outcome: outcomeAsked, rule: "input", question: q}
}

// fetch asks a client of an older version while the call waits, as a person is
// asked. It returns all answers so far, or the answer of the call.
func (r *run) fetch(ctx context.Context, q *question) (inputs, *result) {
	said := r.opinion(ctx, func(ctx context.Context) opinion { return r.answersTo(ctx, q.needs) })
	if said.no != nil {
		return inputs{}, r.unanswered(ctx, said.no)
	}
	return said.inputs, nil
}

// answersTo asks for one thing after the other.
func (r *run) answersTo(ctx context.Context, needs []need) opinion {
	in := r.inputsSoFar()
	for _, n := range needs {
		res, err := r.put(ctx, n)
		if err != nil {
			f := refused("input", "not done: the client did not answer as it was asked")
			f.cause = err
			return opinion{no: f}
		}
		if v, ok := n.kind.value(res); ok {
			in.add(answered{n.name, n.kind, n.digest, v})
		}
	}
	return opinion{inputs: in}
}

// put puts one question to a client of an older version.
func (r *run) put(ctx context.Context, n need) (any, error) {
	session := r.req.Session
	switch p := n.params.(type) {
	case *mcp.ElicitParams:
		return session.Elicit(ctx, p)
	case *mcp.CreateMessageParams:
		res, err := session.CreateMessage(ctx, p)
		if err != nil {
			return nil, err
		}
		return &mcp.CreateMessageWithToolsResult{Content: []mcp.Content{res.Content}}, nil
	case *mcp.ListRootsParams:
		return session.ListRoots(ctx, p)
	}
	return nil, errors.New("nothing that a client can be asked for")
}
