package guard

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/winnow"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// FlowOptions say how [Flow] decides. The zero value is ready to use.
type FlowOptions struct {
	// Window is how long what was read counts. Defaults to an hour, and is at most 366
	// days: as long as a model may keep it in its context.
	Window time.Duration
	// Refuse refuses where a person would be asked. Defaults to false.
	Refuse bool
	// Key names whose reads count together. Defaults to the principal, on all
	// connections: one who runs several models at once may tell them apart here. It must
	// return up to 400 bytes of valid UTF-8, from the call's context and principal and
	// not from what the model has written.
	Key func(context.Context, *mcpsec.Call) string
}

// Flow keeps data where it belongs. Whoever can put text before a model can have it do
// what its caller may do: read what is private, and send it out. So Flow remembers, for
// each principal, what was read: results of tools with the label [mcpsec.Private], and
// with [mcpsec.Untrusted], text that strangers wrote. Once there are both, a call of a
// tool that sends data out, with [mcpsec.Egress], needs a person's yes, or is refused. The
// question says what was read, and names the results of which the arguments hold a run of
// 40 letters and digits or more: as they were, or in other case, spacing or punctuation, in
// base64, hex or percent-encoding. The record of the call names them too ("note").
//
// What is remembered is which tools, when, and fingerprints: 40 bits of a hash for about
// every ninth letter, at most 8,192 for each principal, the last ones. No text is kept. It
// is stored before a result leaves: a result that cannot be remembered is withheld, and if
// what was read cannot be looked up, a call that sends data out is refused. Use one
// [state.Documents] that all replicas share.
//
// What it does not do: a paraphrase, a translation or a picture of what was read is not
// named, and is asked about all the same. Labels are what tools say of themselves: see
// [mcpsec.Tool.WithLabels]. What a model has from elsewhere, another server or its user,
// Flow does not know.
//
// It panics if store is nil or Window out of bounds.
func Flow(store state.Documents, o FlowOptions) mcpsec.Guard {
	switch {
	case store == nil:
		panic("guard: Flow: a store is required")
	case o.Window < 0 || o.Window > 366*24*time.Hour:
		panic("guard: Flow: the window must be positive and at most 366 days")
	case o.Window == 0:
		o.Window = time.Hour
	}
	if o.Key == nil {
		o.Key = func(_ context.Context, c *mcpsec.Call) string { return c.Principal.ID }
	}
	f := flow{store, o}
	return f.guard
}

type flow struct {
	store state.Documents
	FlowOptions
}

const rule = "flow"

func (f flow) guard(ctx context.Context, c *mcpsec.Call) error {
	key := "guard flow " + f.Key(ctx, c)
	if c.Labels&(mcpsec.Private|mcpsec.Untrusted) != 0 {
		read := source{Tool: c.Tool, Call: c.ID, Labels: c.Labels &^ mcpsec.Egress}
		c.OnResult(func(ctx context.Context, result []byte) error { return f.remember(ctx, key, read, result) })
	}
	if c.Labels&mcpsec.Egress == 0 {
		return nil
	}
	seen, _, err := f.load(ctx, key)
	if err != nil {
		return &mcpsec.Error{Message: "what was read before cannot be looked up, so that nothing may be sent out: retry later", Rule: rule, Err: err}
	}
	return f.decide(c, seen)
}

// decide asks when strangers' text may be why private data goes out.
func (f flow) decide(c *mcpsec.Call, seen memory) error {
	private, untrusted := seen.last(mcpsec.Private), seen.last(mcpsec.Untrusted)
	if private == nil || untrusted == nil {
		return nil
	}
	args, err := json.Marshal(c.Args)
	if err != nil {
		return &mcpsec.Error{Message: "the arguments cannot be compared with what was read", Rule: rule, Err: err}
	}
	text := fmt.Sprintf("sends data out by %s after text from outsiders was read (%s) and private data (%s)", c.Tool, untrusted.Tool, private.Tool)
	if copied := seen.copied(args); len(copied) > 0 {
		c.Note("arguments repeat results of %s", strings.Join(copied, ", "))
		text += ", and repeats what was returned by " + strings.Join(copied, ", ")
	}
	c.Note("untrusted %s (call %s), private %s (call %s)", untrusted.Tool, untrusted.Call, private.Tool, private.Call)
	if f.Refuse {
		return &mcpsec.Error{Message: text, Rule: rule}
	}
	return mcpsec.Ask(text)
}

// remember stores what a call returns before it leaves.
func (f flow) remember(ctx context.Context, key string, read source, result []byte) error {
	var prints []uint64
	if read.Labels&mcpsec.Private != 0 {
		prints = winnow.Prints(result)
	}
	for range attempts {
		seen, doc, err := f.load(ctx, key)
		if err != nil {
			return fmt.Errorf("guard: Flow: looking up what was read: %w", err)
		}
		if !seen.add(read, prints, time.Now()) {
			return nil
		}
		if doc.Value, err = json.Marshal(seen); err != nil {
			return err
		}
		if _, err = f.store.Put(ctx, doc, f.Window); !errors.Is(err, state.ErrLost) {
			if err != nil {
				err = fmt.Errorf("guard: Flow: remembering what was read: %w", err)
			}
			return err
		}
	}
	return errors.New("guard: Flow: too many calls at once remember what was read")
}

// attempts is how often a change is made anew that another was faster than.
const attempts = 32

func (f flow) load(ctx context.Context, key string) (seen memory, doc state.Document, err error) {
	doc, err = f.store.Get(ctx, key)
	if doc.Key = key; err != nil || doc.Version == 0 {
		return seen, doc, err
	}
	if err := json.Unmarshal(doc.Value, &seen); err != nil {
		return seen, doc, err
	}
	seen.forget(time.Now().Add(-f.Window))
	return seen, doc, nil
}

// A memory is what a principal has read, the oldest first.
type memory struct {
	Sources []source `json:"sources"`
}

// A source is one result that was read.
type source struct {
	Tool   string       `json:"tool"`
	Call   string       `json:"call"`
	Labels mcpsec.Label `json:"labels"`
	At     time.Time    `json:"at"`
	Prints prints       `json:"prints,omitempty"`
}

const (
	maxPrints  = 8192
	maxSources = 64
	// refresh is how old the last read of a kind may be before it is written anew.
	refresh = time.Second
)

// last returns the last source with a label, or nil.
func (m *memory) last(l mcpsec.Label) *source {
	for i := len(m.Sources) - 1; i >= 0; i-- {
		if m.Sources[i].Labels&l != 0 {
			return &m.Sources[i]
		}
	}
	return nil
}

// copied names the sources whose fingerprints the arguments have.
func (m *memory) copied(args []byte) (names []string) {
	for _, p := range winnow.Prints(args) {
		for i := range m.Sources {
			s := &m.Sources[i]
			name := fmt.Sprintf("%s (call %s)", s.Tool, s.Call)
			if _, found := slices.BinarySearch(s.Prints, p); found && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// add takes a source, and reports whether that says anything that was not known.
func (m *memory) add(s source, found []uint64, now time.Time) bool {
	if last := m.last(s.Labels); len(found) == 0 && last != nil && last.Labels&s.Labels == s.Labels && now.Sub(last.At) < refresh {
		return false
	}
	s.At, s.Prints = now, found[:min(len(found), maxPrints)]
	if len(found) == 0 { // one for each kind and tool is enough
		m.Sources = slices.DeleteFunc(m.Sources, func(o source) bool {
			return len(o.Prints) == 0 && o.Tool == s.Tool && o.Labels == s.Labels
		})
	}
	m.Sources = append(m.Sources, s)
	total := 0
	for i := len(m.Sources) - 1; i >= 0; i-- {
		if total += len(m.Sources[i].Prints); total > maxPrints || len(m.Sources)-i > maxSources {
			m.drop(i + 1)
			break
		}
	}
	return true
}

// drop forgets the first n sources, but for their labels.
func (m *memory) drop(n int) {
	gone := m.Sources[:n]
	m.Sources = m.Sources[n:]
	for _, l := range []mcpsec.Label{mcpsec.Untrusted, mcpsec.Private} {
		if m.last(l) != nil {
			continue
		}
		for i := len(gone) - 1; i >= 0; i-- {
			if gone[i].Labels&l != 0 {
				s := gone[i]
				s.Prints = nil
				m.Sources = slices.Insert(m.Sources, 0, s)
				break
			}
		}
	}
}

// forget drops what was read before a time.
func (m *memory) forget(before time.Time) {
	m.Sources = slices.DeleteFunc(m.Sources, func(s source) bool { return !s.At.After(before) })
}

// prints are fingerprints, sorted; five bytes each where they are stored.
type prints []uint64

const printSize = 5

// MarshalText implements [encoding.TextMarshaler].
func (p prints) MarshalText() ([]byte, error) {
	b := make([]byte, 0, printSize*len(p))
	for _, x := range p {
		b = append(b, byte(x>>32), byte(x>>24), byte(x>>16), byte(x>>8), byte(x))
	}
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *prints) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil || len(b)%printSize != 0 {
		return errors.New("guard: Flow: fingerprints of another form")
	}
	*p = make(prints, 0, len(b)/printSize)
	for ; len(b) > 0; b = b[printSize:] {
		*p = append(*p, uint64(b[0])<<32|uint64(b[1])<<24|uint64(b[2])<<16|uint64(b[3])<<8|uint64(b[4]))
	}
	return nil
}
