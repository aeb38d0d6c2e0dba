package mcpsec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	v2 "github.com/go-json-experiment/json"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/text"
	"github.com/mcpsec/mcpsec-go/internal/uritemplate"
)

// A Content is one piece of what a person or a model is given: a text, a picture,
// a sound, a resource or a link to one. Which of them it is, its fields say.
//
// Text and Name leave without hidden characters and secrets. Data and URI cannot
// be masked: a result is withheld that has a secret in a URI, or in a text of
// ten bytes or more within Data. Nothing looks into what is compressed.
type Content struct {
	// Text is a text.
	Text string
	// Data is what is no text: a picture or a sound, by MIMEType. It excludes
	// Text, and counts in the result's size as base64.
	Data []byte
	// MIMEType says what Text or Data is, as in "image/png". Data needs one.
	// Defaults to none.
	MIMEType string
	// URI makes Text or Data a resource that has this address. In the contents of
	// a [Resource] it defaults to the URI that is read.
	URI string
	// Name makes it a link to the resource at URI, without Text and Data.
	Name string
}

// A Message is one turn of the conversation that a [Prompt] begins.
type Message struct {
	// Role is who speaks: "user" or "assistant". Defaults to "user".
	Role    string
	Content Content
}

// A document is a result that is made of contents.
type document struct {
	member string // of the answer
	parts  []Content
	form   func([]Content) (any, error) // gives the parts their form on the wire
}

// isContent reports whether a tool returns contents.
func isContent(t reflect.Type) bool {
	return t == reflect.TypeFor[Content]() || t == reflect.TypeFor[[]Content]()
}

// contents copies what a handler returned: it may return the same every time.
func contents(out any) []Content {
	if c, ok := out.(Content); ok {
		return []Content{c}
	}
	return slices.Clone(out.([]Content))
}

func toolContents(out any) *document {
	return &document{member: "content", parts: contents(out), form: func(parts []Content) (any, error) {
		return each(parts, Content.block)
	}}
}

// each gives every part the form f, and names the one that has none.
func each[T any](parts []Content, f func(Content) (T, error)) ([]T, error) {
	out := make([]T, len(parts))
	for i, c := range parts {
		var err error
		if out[i], err = f(c); err != nil {
			return nil, fmt.Errorf("content %d: %w", i, err)
		}
	}
	return out, nil
}

// encodeDocument writes a document's member.
func encodeDocument(w io.Writer, v any) error {
	d := v.(*document)
	form, err := d.form(d.parts)
	if err != nil {
		return err
	}
	return v2.MarshalWrite(w, form, encodeOptions)
}

// size is the least that the parts take in an answer, so that what is too large
// is neither cleaned nor encoded.
func (d *document) size() int {
	n := 3 * len(d.parts) // two quotes and a comma
	for _, c := range d.parts {
		n += len(c.Text) + len(c.Data)/3*4 + len(c.URI) + len(c.MIMEType) + len(c.Name)
	}
	return n
}

var errUnmaskable = &Error{
	Message: "the result holds what looks like a secret where it cannot be masked, so it is withheld", Rule: "secret",
}

// prepare makes the parts fit to leave, unless that is waived, and notes in res
// what was done.
func (d *document) prepare(s *Server, res *result, raw bool) error {
	res.member = d.member
	for i := range d.parts {
		c := &d.parts[i]
		if raw {
			continue
		}
		if s.redact.String(c.URI) != c.URI || s.holdsSecret(c.Data) {
			return errUnmaskable
		}
		for _, t := range []*string{&c.Text, &c.Name} {
			stripped, n := text.Strip(*t)
			res.stripped += n
			*t = s.redact.String(stripped)
			res.redacted = res.redacted || *t != stripped
		}
	}
	return nil
}

// minRun is how long a text in data must be to be looked at. Shorter ones occur by
// chance, and "pw=" in them.
const minRun = 10

// holdsSecret looks for secrets in the texts that stand in data, such as those
// about a picture.
func (s *Server) holdsSecret(data []byte) bool {
	for len(data) > 0 {
		run := data[:textLength(data)]
		if len(run) >= minRun && !bytes.Equal(s.redact.Bytes(run), run) {
			return true
		}
		data = data[min(len(run)+1, len(data)):]
	}
	return false
}

// textLength is how many bytes data begins with that are text: valid UTF-8, of
// which no character is a control but for spaces.
func textLength(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) && !unicode.IsSpace(r) {
			return i
		}
		i += n
	}
	return len(data)
}

// mediaType is a type and subtype of RFC 6838, with parameters.
var mediaType = lazy.Regexp(`^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(; ?[A-Za-z0-9-]{1,32}=[A-Za-z0-9_.-]{1,64}){0,3}$`)

// check refuses contents that would be no content of the protocol, or one that
// is read in two ways.
func (c Content) check() error {
	switch {
	case c.MIMEType != "" && !mediaType().MatchString(c.MIMEType):
		return errors.New("the MIMEType is no media type, as in image/png")
	case c.Data != nil && c.Text != "":
		return errors.New("it has both Text and Data")
	case c.Data != nil && c.MIMEType == "":
		return errors.New("its Data needs a MIMEType")
	case c.Name != "" && (c.URI == "" || c.Text != "" || c.Data != nil):
		return errors.New("a link has a Name and a URI, and neither Text nor Data")
	case c.URI == "":
		return nil
	}
	return uritemplate.CheckURI(c.URI)
}

// wireBlock is a content in messages and in the results of tools.
type wireBlock struct {
	Type     string        `json:"type"`
	Text     *string       `json:"text,omitzero"`
	Data     []byte        `json:"data,omitzero"`
	MIMEType string        `json:"mimeType,omitzero"`
	URI      string        `json:"uri,omitzero"`
	Name     string        `json:"name,omitzero"`
	Resource *wireContents `json:"resource,omitzero"`
}

// wireContents are the contents of a resource.
type wireContents struct {
	URI      string  `json:"uri"`
	MIMEType string  `json:"mimeType,omitzero"`
	Text     *string `json:"text,omitzero"`
	Blob     []byte  `json:"blob,omitzero"`
}

func (c Content) block() (wireBlock, error) {
	if err := c.check(); err != nil {
		return wireBlock{}, err
	}
	family, _, _ := strings.Cut(c.MIMEType, "/")
	switch {
	case c.Name != "":
		return wireBlock{Type: "resource_link", URI: c.URI, Name: c.Name, MIMEType: c.MIMEType}, nil
	case c.URI != "":
		r, err := c.resource()
		return wireBlock{Type: "resource", Resource: &r}, err
	case c.Data == nil:
		return wireBlock{Type: "text", Text: &c.Text}, nil
	case family == "image" || family == "audio":
		return wireBlock{Type: family, Data: c.Data, MIMEType: c.MIMEType}, nil
	}
	return wireBlock{}, errors.New("its Data must be of image/... or audio/..., or have a URI")
}

func (c Content) resource() (wireContents, error) {
	if c.Name != "" {
		return wireContents{}, errors.New("a link is no content of a resource")
	}
	r := wireContents{URI: c.URI, MIMEType: c.MIMEType, Blob: c.Data}
	if c.Data == nil {
		r.Text = &c.Text
	}
	return r, c.check()
}

// appendDocument adds the document's member to an answer.
func (r *result) appendDocument(b []byte) []byte {
	b = append(append(append(b, `,"`...), r.member...), `":`...)
	b = append(b, r.json...)
	if r.member == "contents" {
		b = append(b, `,"ttlMs":0,"cacheScope":"private"`...)
	}
	return b
}
