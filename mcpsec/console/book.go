package console

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxEvents  = 1 << 18
	maxNames   = 1000
	maxName    = 64 // characters
	maxPending = 1 << 12
)

// A kind is what has become of a call, in the order in which plots show them.
type kind uint8

const (
	kindOK kind = iota
	kindAsked
	kindRefused
	kindFailed
	kindTimeout // or cancelled
	kindWebhook
	kinds
)

// An event is a call that has ended, a refusal, a question, or a webhook that failed.
type event struct {
	at                 int64  // in milliseconds since 1970
	micros             uint32 // of a call that ran
	count              uint32 // more than one for refusals that share a record
	tool, caller, rule uint16
	kind               kind
	yes                bool // a person had agreed
}

// names give texts numbers. The first is that of all that have none.
type names struct {
	number map[string]uint16
	text   []string
}

func newNames() names { return names{map[string]uint16{}, []string{"(others)"}} }

func (n *names) of(text string) uint16 {
	text = shown(text)
	if i, ok := n.number[text]; ok {
		return i
	}
	if len(n.text) > maxNames {
		return 0
	}
	n.text = append(n.text, text)
	n.number[text] = uint16(len(n.text) - 1)
	return n.number[text]
}

// shown is a text that a person can read: short, and without characters that are not seen.
func shown(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > maxName {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}

// A book is what is kept of a log.
type book struct {
	events               []event // a ring, when it is full
	next                 int
	tools, callers, rule names
	pending              map[string]pending // calls that run
	seq                  uint64             // the last record's
	hash                 string
	last                 time.Time // when it was written
	gap                  string    // what is missing
	foreign              int       // lines that are no records
	trouble              string
}

// pending is what the decision about a call says, and its outcome does not.
type pending struct {
	caller uint16
	yes    bool
}

func newBook() book {
	return book{tools: newNames(), callers: newNames(), rule: newNames(), pending: map[string]pending{}}
}

// A record holds all members of records that are looked at.
type record struct {
	Time      time.Time `json:"time"`
	Msg       string    `json:"msg"`
	Seq       uint64    `json:"seq"`
	Prev      string    `json:"prev"`
	Hash      string    `json:"hash"`
	Call      string    `json:"call"`
	Tool      string    `json:"tool"`
	Prompt    string    `json:"prompt"`
	Resource  string    `json:"resource"`
	Principal string    `json:"principal"`
	Remote    string    `json:"remote"`
	Decision  string    `json:"decision"`
	Rule      string    `json:"rule"`
	Confirmed string    `json:"confirmed"`
	Outcome   string    `json:"outcome"`
	More      uint32    `json:"more"`
	Micros    int64     `json:"micros"`
	Late      bool      `json:"late"`
	Receiver  string    `json:"receiver"`
}

// add takes one line of the log.
func (b *book) add(line []byte) {
	var r record
	if len(line) > maxLine || json.Unmarshal(line, &r, jsontext.AllowDuplicateNames(true)) != nil || r.Msg == "" {
		b.foreign++
		return
	}
	b.link(&r)
	e := event{at: r.Time.UnixMilli(), count: 1 + r.More, tool: b.tools.of(r.Tool + r.Prompt + r.Resource), rule: b.rule.of(r.Rule)}
	switch {
	case r.Msg == "webhook failed":
		e.kind, e.tool = kindWebhook, b.tools.of("webhook "+r.Receiver)
	case r.Msg == "decision" && r.Decision == "allowed":
		if len(b.pending) >= maxPending {
			clear(b.pending)
		}
		b.pending[r.Call] = pending{b.callers.of(r.Principal), r.Confirmed != ""}
		return
	case r.Msg == "decision":
		caller := r.Principal
		if caller == "" && r.Remote != "" {
			caller = "nobody, from elsewhere"
		}
		e.caller, e.kind = b.callers.of(caller), kindRefused
		if r.Decision == "asked" {
			e.kind = kindAsked
		}
	case r.Msg == "outcome" && !r.Late:
		p := b.pending[r.Call]
		delete(b.pending, r.Call)
		e.caller, e.yes, e.micros, e.kind = p.caller, p.yes, uint32(min(max(r.Micros, 0), 1<<32-1)), outcome(r.Outcome)
	default:
		return
	}
	b.keep(e)
}

func outcome(word string) kind {
	switch word {
	case "ok":
		return kindOK
	case "asked":
		return kindAsked
	case "refused":
		return kindRefused
	case "timeout", "cancelled":
		return kindTimeout
	}
	return kindFailed
}

func (b *book) keep(e event) {
	if len(b.events) < maxEvents {
		b.events = append(b.events, e)
		return
	}
	b.events[b.next] = e
	b.next = (b.next + 1) % maxEvents
}

// link notices what is missing before a record. A log that begins anew is none.
func (b *book) link(r *record) {
	if b.seq != 0 && r.Seq > 1 && (r.Seq != b.seq+1 || r.Prev != b.hash) {
		b.gap = fmt.Sprintf("Between records %d and %d something is missing or was moved: verify the log.", b.seq, r.Seq)
	}
	b.seq, b.hash, b.last = r.Seq, r.Hash, r.Time
}
