package strictjson

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A walker reads a text before it is decoded and refuses what its shape does
// not allow: too many elements, too long a string, an unknown member, a null.
// Decoding spends a whole struct on the two bytes of {}, so a bound that is
// checked on the decoded value comes too late. It reads tokens with the
// decoder's own parser, so the two cannot disagree on what a text says.
type walker struct {
	buf bytes.Buffer // the decoder reads from one without a copy, nor changing it
	dec *jsontext.Decoder
}

// walkers saves three allocations a call; a walker in it refers to no input.
var walkers = sync.Pool{New: func() any { return &walker{dec: new(jsontext.Decoder)} }}

// walk checks data against s. It leaves to the decoder what follows the value
// and values of another type than the shape's.
func walk(data []byte, s *Shape) error {
	w := walkers.Get().(*walker)
	w.buf = *bytes.NewBuffer(data)
	w.dec.Reset(&w.buf)
	err := w.value(s)
	w.buf = bytes.Buffer{}
	w.dec.Reset(&w.buf)
	walkers.Put(w)
	return err
}

func (w *walker) value(s *Shape) error {
	switch k := w.dec.PeekKind(); {
	case k == 'n' && !s.Null:
		return &Error{Rule: "must not be null"}
	case k == '"' && s.Kind == Text:
		return w.text(s)
	case k == '{' && s.Kind == Object:
		return w.object(s)
	case k == '{' && s.Kind == Map:
		return w.dict(s)
	case k == '[' && s.Kind == List:
		return w.list(s)
	}
	return w.dec.SkipValue()
}

func (w *walker) text(s *Shape) error {
	raw, err := w.dec.ReadValue()
	if err == nil && s.over(len(raw)-len(`""`)) && s.over(chars(raw)) {
		return &Error{Rule: s.TooMuch}
	}
	return err
}

func (w *walker) object(s *Shape) error {
	w.dec.ReadToken() // the brace that was peeked at
	for w.dec.PeekKind() != '}' {
		name, err := w.dec.ReadValue()
		if err != nil {
			return err
		}
		member, ok := s.Members[string(unquoted(name))]
		if !ok {
			return &Error{Rule: "unknown member; " + known(s)}
		}
		if err := w.value(member); err != nil {
			return within(err, member.Name)
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

func (w *walker) dict(s *Shape) error {
	w.dec.ReadToken()
	for n := 1; w.dec.PeekKind() != '}'; n++ {
		if s.over(n) {
			return &Error{Rule: s.TooMuch}
		}
		if s.Key != nil {
			if err := w.text(s.Key); err != nil {
				return within(err, "[*]")
			}
		} else if err := w.dec.SkipValue(); err != nil {
			return err
		}
		if err := w.value(s.Elem); err != nil {
			return within(err, "[*]")
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

func (w *walker) list(s *Shape) error {
	w.dec.ReadToken()
	for n := 1; w.dec.PeekKind() != ']'; n++ {
		if s.over(n) {
			return &Error{Rule: s.TooMuch}
		}
		if err := w.value(s.Elem); err != nil {
			return within(err, "["+strconv.Itoa(n-1)+"]")
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

// unquoted returns what a valid JSON string says; nearly all need no work.
func unquoted(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	out, _ := jsontext.AppendUnquote(nil, raw) // the parser has passed it
	return out
}

func chars(raw []byte) int { return utf8.RuneCount(unquoted(raw)) }

// within puts a step before the path of err, which is nil for no refusal.
func within(err error, step string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err // the parser's: it knows its place
	}
	if e.Path != "" && !strings.HasPrefix(e.Path, "[") {
		step += "."
	}
	e.Path = step + e.Path
	return e
}

// known lists the members that may stand where an unknown one did: the sender
// learns the right name, and its own text is not echoed.
func known(s *Shape) string {
	if len(s.Names) == 0 {
		return "none is expected here"
	}
	return "known are " + strings.Join(s.Names, ", ")
}
