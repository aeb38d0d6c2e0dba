package redact

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// Options says what a [Redactor] looks for beyond what it always finds. The
// zero value is ready to use.
type Options struct {
	// Keys are further names whose values are secret: of attributes, JSON
	// members, parameters, headers, environment variables. Case and the
	// separators _ - . do not matter, and a longer name that ends with one
	// counts too ("tan" finds "user_tan"). Defaults to none beyond the
	// built-in names.
	Keys []string
	// Secrets are exact values to find, as if given to [Redactor.Register].
	// Defaults to none.
	Secrets []Secret
	// PII masks e-mail addresses, international phone numbers and IBANs too.
	// Defaults to false: they are often the very answer a tool is asked for.
	// Payment card numbers are masked always.
	PII bool
}

// Redactor masks secrets in text. Create one with [New]. It is safe for
// concurrent use.
type Redactor struct {
	table atomic.Pointer[table] // nil for the built-in one until it is needed
	mu    sync.Mutex            // held by Register
	seen  [256]atomic.Pointer[judged]
}

// New returns a Redactor. It panics on a key name without a letter or digit.
func New(opts Options) *Redactor {
	r := &Redactor{}
	if len(opts.Keys) > 0 || opts.PII {
		r.table.Store(builtin().with(func(t *table) {
			t.addKeys(opts.Keys)
			if opts.PII {
				t.gap = maxGapPII
				for _, lit := range personals() {
					t.add(lit)
				}
			}
		}))
	}
	for _, s := range opts.Secrets {
		r.Register(s)
	}
	return r
}

// current returns the table in use. The built-in one is made when a first text is
// looked at: a server answers its client before it has anything to redact.
func (r *Redactor) current() *table {
	if t := r.table.Load(); t != nil {
		return t
	}
	r.table.CompareAndSwap(nil, builtin())
	return r.table.Load()
}

// String returns s with each secret replaced by [Mask]. A text without one
// comes back as it is, without an allocation. Redacting twice gives what
// redacting once gave.
func (r *Redactor) String(s string) string {
	out, _ := redact(r.current(), s)
	return out
}

// Bytes is [Redactor.String] for bytes. It never writes to b, and returns b
// itself when there is nothing to mask.
func (r *Redactor) Bytes(b []byte) []byte {
	out, dirty := redact(r.current(), view(b))
	if !dirty {
		return b
	}
	return []byte(out)
}

// passes bounds how often a text is gone over. One pass finds what there is.
// Another is needed where a matcher found nothing because of text that was
// masked afterwards, or before: a mask may bring a key and a value together that
// were not next to each other. Where every matcher that ran masked something,
// the next pass would find their masks and nothing else.
const passes = 6

func redact(t *table, s string) (out string, dirty bool) {
	for range passes {
		m := scanner{t: t, s: s}
		m.scan()
		if !m.dirty {
			break
		}
		s, dirty = m.text(), true
		if !m.missed && !t.exact {
			break
		}
	}
	return s, dirty
}

// text returns the redacted text.
func (m *scanner) text() string {
	m.out = append(m.out, m.s[m.pos:]...)
	return view(m.out)
}

// view is b as a string without a copy. b must not change while it is in use.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
