package mcpsec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
	"github.com/mcpsec/mcpsec-go/internal/text"
	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// A result is what leaves the server for a call: a JSON object that went
// through all checks, an error text, or a question to a person.
type result struct {
	*mcp.TextContent // nil: a result passes through the SDK as a text content
	sdk              mcp.CallToolResult
	content          [1]mcp.Content

	call     string
	labels   Label
	json     []byte // the structured result, or a document; nil for an error
	member   string // the document's, in the answer; empty for a structured result
	text     string // of an error
	ask      *question
	code     int64 // of an error, where the protocol has no result for it
	wire     bool  // it has none for it here either
	data     json.RawMessage
	redacted bool
	stripped int

	outcome, rule string // of a call that did not end well, or not yet
}

// errOversize stops the encoder: a huge result is not built to be thrown away.
var errOversize = errors.New("result over the limit")

// capped collects what the encoder writes, up to max bytes.
type capped struct {
	result
	max int
}

func (c *capped) Write(p []byte) (int, error) {
	if len(c.json)+len(p) > c.max {
		return 0, errOversize
	}
	c.json = append(c.json, p...)
	return len(p), nil
}

// encodeResult marshals v once and makes it fit to leave: without hidden
// characters, without secrets, within the limit. Hidden characters go first,
// or they could split a secret that the redactor would then not see. A document is
// cleaned before it is encoded, since base64 is no text.
func (r *run) encodeResult(v any) (*result, error) {
	s, o := r.server, r.op
	out := &capped{max: o.maxResult(s)}
	res := &out.result
	res.call, res.labels, res.json = r.call.ID, o.spec.Labels, make([]byte, 0, 512)
	raw := waive.Has(o.spec.Waive, waive.RawOutput)
	d, isDocument := v.(*document)
	if isDocument {
		if d.size() > out.max {
			return nil, o.oversize(out.max)
		}
		if err := d.prepare(s, res, raw); err != nil {
			return nil, err
		}
	}
	if err := o.encode(out, v); errors.Is(err, errOversize) {
		return nil, o.oversize(out.max)
	} else if err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	if raw || isDocument {
		return res, nil
	}
	res.json, res.stripped = stripJSON(res.json)
	clean := s.redact.JSON(res.json)
	res.redacted, res.json = !bytes.Equal(clean, res.json), clean
	if len(res.json) > out.max {
		return nil, o.oversize(out.max)
	}
	return res, res.sound()
}

// sound refuses what other readers could not read, or not in one way: JSON that
// nests too deeply, and names that cleaning has made equal.
func (r *result) sound() error {
	if opens := bytes.Count(r.json, []byte{'['}) + bytes.Count(r.json, []byte{'{'}); opens > maxDepth && strictjson.Depth(r.json, maxDepth) {
		return fmt.Errorf("the result nests deeper than %d levels", maxDepth)
	}
	if (r.redacted || r.stripped > 0) && !jsontext.Value(r.json).IsValid() {
		return errors.New("two members of the result have the same name after cleaning")
	}
	return nil
}

func (o *operation) maxResult(s *Server) int {
	if o.spec.MaxResult > 0 {
		return o.spec.MaxResult
	}
	return s.limits.MaxResult
}

func (o *operation) oversize(limit int) error {
	narrow := o.spec.Narrow
	if narrow == "" {
		narrow = "ask for less"
	}
	return &Error{Message: "the result is larger than " + strconv.Itoa(limit) + " bytes: " + narrow}
}

// stripJSON removes hidden characters from the strings of a JSON text that our
// encoder wrote, and counts them. Text without suspects is returned as it is.
func stripJSON(b []byte) ([]byte, int) {
	if !suspect(b) {
		return b, 0
	}
	var out []byte // nil until something was removed
	total, kept := 0, 0
	for i := 0; i < len(b); i++ {
		if b[i] != '"' {
			continue
		}
		end := stringEnd(b, i)
		if lit := b[i:end]; suspect(lit) {
			plain, err := jsontext.AppendUnquote(nil, lit)
			if clean, n := text.Strip(string(plain)); err == nil && n > 0 {
				total += n
				out = append(out, b[kept:i]...)
				out, _ = jsontext.AppendQuote(out, clean)
				kept = end
			}
		}
		i = end - 1
	}
	if out == nil {
		return b, 0
	}
	return append(out, b[kept:]...), total
}

// suspect reports whether b may hold a hidden character: beyond ASCII, or a
// control character, which is always escaped as \u.
func suspect(b []byte) bool {
	for i, c := range b {
		if c >= 0x7F || c == 'u' && i > 0 && b[i-1] == '\\' {
			return true
		}
	}
	return bytes.Contains(b, []byte(`\b`)) || bytes.Contains(b, []byte(`\f`))
}

// stringEnd returns the index behind the string that starts at b[i].
func stringEnd(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(b))
}

// body is what the model reads.
func (r *result) body() []byte {
	if r.json != nil {
		return r.json
	}
	return []byte(r.text)
}

// MarshalJSON implements [mcp.Content].
func (r *result) MarshalJSON() ([]byte, error) { return r.appendContent(nil) }

func (r *result) appendContent(b []byte) ([]byte, error) {
	b, err := jsontext.AppendQuote(append(b, `{"type":"text","text":`...), r.body())
	return append(b, '}'), err
}

// forSDK wraps the result for the SDK. [Server.backstop] turns it into a reply.
func (r *result) forSDK() *mcp.CallToolResult {
	r.content[0] = r
	r.sdk = mcp.CallToolResult{IsError: r.json == nil, Content: r.content[:]}
	return &r.sdk
}

// reply is a result that writes its own JSON: the SDK would encode the
// structured result, its text copy and the whole again one after the other.
type reply struct {
	*mcp.CallToolResult
	res    *result
	info   []byte // the server's implementation
	modern bool   // the protocol has result types (2026-07-28)
}

// MarshalJSON writes the result in the wire form of the specification.
func (r *reply) MarshalJSON() ([]byte, error) {
	res := r.res
	n := len(res.json) + len(res.text)
	b := make([]byte, 0, 2*n+n/8+512)
	b, err := r.appendMeta(res.appendProvenance(append(b, `{"_meta":{`...)))
	if err != nil {
		return nil, err
	}
	if res.ask != nil {
		b, err = res.ask.appendAsk(append(b, `},`...))
		return append(b, '}'), err
	}
	b = append(b, '}')
	if res.member != "" {
		b = res.appendDocument(b)
	} else if b, err = res.appendResult(b); err != nil {
		return nil, err
	}
	if r.modern {
		b = append(b, `,"resultType":"complete"`...)
	}
	return append(b, '}'), nil
}

// appendResult adds a tool's structured result and its copy as a text, or the
// text of an error.
func (r *result) appendResult(b []byte) ([]byte, error) {
	b, err := r.appendContent(append(b, `,"content":[`...))
	b = append(b, ']')
	if r.json == nil {
		return append(b, `,"isError":true`...), err
	}
	return append(append(b, `,"structuredContent":`...), r.json...), err
}

// appendMeta says which server answers, and adds what the SDK has put into the
// result's _meta.
func (r *reply) appendMeta(b []byte) ([]byte, error) {
	if r.modern {
		b = append(append(b, `,"`+mcp.MetaKeyServerInfo+`":`...), r.info...)
	}
	for k, v := range r.Meta {
		if k == mcp.MetaKeyServerInfo {
			continue
		}
		name, err := jsontext.AppendQuote(append(b, ','), k)
		if err != nil {
			return nil, err
		}
		val, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		b = append(append(name, ':'), val...)
	}
	return b, nil
}

// appendProvenance says where the result comes from and what was done to it:
// the call's id in the audit log, and the labels of the tool.
func (r *result) appendProvenance(b []byte) []byte {
	b = append(append(b, `"io.github.mcpsec/call":"`...), r.call...)
	b = append(b, '"')
	if r.labels != 0 {
		b = append(b, `,"io.github.mcpsec/labels":["`...)
		b = append(append(b, strings.Join(r.labels.names(), `","`)...), `"]`...)
	}
	if r.redacted {
		b = append(b, `,"io.github.mcpsec/redacted":true`...)
	}
	if r.stripped > 0 {
		b = strconv.AppendInt(append(b, `,"io.github.mcpsec/stripped":`...), int64(r.stripped), 10)
	}
	return b
}
