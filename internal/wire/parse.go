package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"sync"

	v2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// A Refusal says why a line was not passed on. Its text is constant: it never
// holds a piece of the line.
type Refusal struct {
	ID   jsonrpc.ID // of the refused request, where it could be told
	Code int64      // JSON-RPC error code
	Text string
	Data json.RawMessage // as the specification defines it for the code; nil for none
	mute bool            // a notification: there is no one to answer
}

func (r *Refusal) Error() string { return r.Text }

func refuse(code int64, text string) *Refusal { return &Refusal{Code: code, Text: text} }

const (
	maxMethod = 128
	maxID     = 256
	maxIntID  = 1<<53 - 1 // what every JSON reader holds exactly
)

// envelope is one JSON-RPC message whose parts still are JSON.
type envelope struct {
	version, id, method, params, result, err jsontext.Value
	call                                     callParams // what params holds, if this is a call of a tool
}

// A reader is a decoder with the buffer that it reads without a copy.
type reader struct {
	jsontext.Decoder
	buf bytes.Buffer
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// parse reads one line as one JSON-RPC 2.0 message. Every object in it has
// unique names, all text is valid UTF-8 and nothing nests deeper than depth.
func parse(line []byte, depth int) (m jsonrpc.Message, call callParams, r *Refusal) {
	if line[0] == '[' {
		return nil, call, refuse(jsonrpc.CodeInvalidRequest, "batches are not accepted: send one message a line")
	}
	if strictjson.Depth(line, depth) {
		return nil, call, refuse(jsonrpc.CodeParseError, "nested too deeply: at most "+strconv.Itoa(depth)+" levels are accepted")
	}
	d := readers.Get().(*reader)
	defer func() {
		d.buf = bytes.Buffer{} // keep no caller's text
		readers.Put(d)
	}()
	d.buf = *bytes.NewBuffer(line)
	d.Reset(&d.buf)
	var e envelope
	if err := e.read(&d.Decoder, line); err != nil {
		return nil, call, explain(err, line)
	}
	m, r = e.message()
	return m, e.call, r
}

func explain(err error, line []byte) *Refusal {
	r := refuse(jsonrpc.CodeParseError, "not valid JSON: send one message a line")
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		r = refuse(jsonrpc.CodeInvalidRequest, "a member occurs twice")
	case errors.Is(err, errShape):
		r = refuse(jsonrpc.CodeInvalidRequest, errShape.Error())
	}
	r.ID = salvageID(line)
	return r
}

var errShape = errors.New("not a JSON-RPC 2.0 message: jsonrpc, id, method, params, result and error are its members")

func (e *envelope) read(d *jsontext.Decoder, line []byte) error {
	tok, err := d.ReadToken()
	if err != nil {
		return err
	}
	if tok.Kind() != '{' {
		return errShape
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadValue()
		if err != nil {
			return err
		}
		dst := e.member(name)
		if dst == &e.params && d.PeekKind() == '{' {
			if e.params, err = e.call.read(d, line); err != nil {
				return err
			}
			continue
		}
		v, err := d.ReadValue()
		if err != nil {
			return err
		}
		if dst == nil {
			return errShape
		}
		*dst = behind(d, line, len(v))
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return errors.Join(err, errors.New("trailing data"))
	}
	return nil
}

// behind returns the n bytes of line that d has read last.
func behind(d *jsontext.Decoder, line []byte, n int) jsontext.Value {
	end := d.InputOffset()
	return line[end-int64(n) : end : end]
}

// member compares the raw token, so that a name spelled with escapes is unknown.
func (e *envelope) member(name jsontext.Value) *jsontext.Value {
	switch string(name) {
	case `"jsonrpc"`:
		return &e.version
	case `"id"`:
		return &e.id
	case `"method"`:
		return &e.method
	case `"params"`:
		return &e.params
	case `"result"`:
		return &e.result
	case `"error"`:
		return &e.err
	}
	return nil
}

func (e *envelope) message() (jsonrpc.Message, *Refusal) {
	id, ok := parseID(e.id)
	fail := func(text string) (jsonrpc.Message, *Refusal) {
		return nil, &Refusal{ID: id, Code: jsonrpc.CodeInvalidRequest, Text: text, mute: e.method != nil && e.id == nil}
	}
	switch {
	case !ok:
		return fail("id must be a string of at most 256 bytes or an integer that a double holds exactly")
	case string(e.version) != `"2.0"`:
		return fail(`jsonrpc must be "2.0"`)
	case e.method == nil:
		return e.response(id, fail)
	case e.result != nil || e.err != nil:
		return fail("a message is a request or a response, not both")
	case e.params != nil && e.params[0] != '{':
		return fail("params must be an object")
	}
	method, ok := methodName(e.method)
	if !ok {
		return fail("method must be a string of at most 128 bytes")
	}
	req := &jsonrpc.Request{ID: id, Method: method, Params: json.RawMessage(e.params)}
	if !req.IsCall() {
		if req = notification(req); req == nil {
			return fail("not a notification that this server takes")
		}
	} else if !goodProgressToken(e.params) {
		return fail("progressToken must be what an id must be")
	} else if !goodAnswers(e.params) {
		return fail("inputResponses must hold answers to elicitation, sampling or roots/list, with the members that those have")
	}
	return req, nil
}

func methodName(v jsontext.Value) (string, bool) {
	if string(v) == `"tools/call"` { // spares the hot path an allocation
		return "tools/call", true
	}
	var buf [2 * maxMethod]byte
	name, err := jsontext.AppendUnquote(buf[:0], v)
	return string(name), err == nil && len(name) <= maxMethod
}

// response reads the client's answer to a request of ours.
func (e *envelope) response(id jsonrpc.ID, fail func(string) (jsonrpc.Message, *Refusal)) (jsonrpc.Message, *Refusal) {
	if !id.IsValid() || (e.result == nil) == (e.err == nil) || e.params != nil {
		return fail("a message needs a method, or an id and one of result and error")
	}
	res := &jsonrpc.Response{ID: id, Result: json.RawMessage(e.result)}
	if e.err != nil {
		var werr jsonrpc.Error
		if json.Unmarshal(e.err, &werr) != nil {
			return fail("error must have a code and a message")
		}
		res.Error = &werr
	}
	return res, nil
}

// notification makes anew what a server has a use for, and nil of the rest,
// which may be ignored (JSON-RPC 2.0, section 4.1): what the SDK queues is then
// of our size, and 2.7 is not cut down to 2 to cancel another call.
func notification(req *jsonrpc.Request) *jsonrpc.Request {
	switch req.Method {
	case "notifications/initialized":
		return &jsonrpc.Request{Method: req.Method}
	case "notifications/cancelled":
		var p struct {
			RequestID jsontext.Value `json:"requestId"`
		}
		if v2.Unmarshal(req.Params, &p) != nil {
			return nil
		}
		if id, ok := parseID(p.RequestID); !ok || !id.IsValid() {
			return nil
		}
		return &jsonrpc.Request{Method: req.Method, Params: json.RawMessage(`{"requestId":` + string(p.RequestID) + `}`)}
	}
	return nil
}

// goodProgressToken checks the token that every report of progress repeats.
func goodProgressToken(params jsontext.Value) bool {
	if !bytes.Contains(params, []byte("progressToken")) && !bytes.Contains(params, []byte(`\u`)) { // or spelled with escapes
		return true
	}
	var p struct {
		Meta struct {
			Token jsontext.Value `json:"progressToken"`
		} `json:"_meta"`
	}
	if v2.Unmarshal(params, &p) != nil {
		return true // of the wrong shape: the SDK refuses it
	}
	id, ok := parseID(p.Meta.Token)
	return ok && (p.Meta.Token == nil || id.IsValid())
}

// goodAnswers checks the answers that a repeated request brings along. The SDK
// takes their names in any case, so that a member Action would overrule the
// action that another reader saw.
func goodAnswers(params jsontext.Value) bool {
	if !bytes.Contains(params, []byte("Responses")) && !bytes.Contains(params, []byte(`\u`)) { // or spelled with escapes
		return true
	}
	var p struct {
		Answers map[string]jsontext.Value `json:"inputResponses"`
	}
	if v2.Unmarshal(params, &p) != nil {
		return false
	}
	for _, v := range p.Answers {
		if !goodForm(v) && !goodSample(v) && !goodRoots(v) {
			return false
		}
	}
	return true
}

// always is what any answer may hold.
type always struct {
	Meta       jsontext.Value `json:"_meta"`
	ResultType jsontext.Value `json:"resultType"`
}

func exactly(v jsontext.Value, answer any) bool {
	return v2.Unmarshal(v, answer, v2.RejectUnknownMembers(true)) == nil
}

func goodForm(v jsontext.Value) bool {
	var answer struct {
		always
		Action  string                    `json:"action"`
		Content map[string]jsontext.Value `json:"content"`
	}
	return exactly(v, &answer) && answer.Action != ""
}

func goodSample(v jsontext.Value) bool {
	var answer struct {
		always
		Role       string         `json:"role"`
		Content    jsontext.Value `json:"content"`
		Model      string         `json:"model"`
		StopReason string         `json:"stopReason"`
	}
	return exactly(v, &answer) && answer.Role != "" && answer.Content != nil
}

func goodRoots(v jsontext.Value) bool {
	var answer struct {
		always
		Roots []struct {
			URI  string         `json:"uri"`
			Name string         `json:"name"`
			Meta jsontext.Value `json:"_meta"`
		} `json:"roots"`
	}
	return exactly(v, &answer) && answer.Roots != nil
}

// parseID reads a request id: a string or an integer. No id is no error; null
// is one, since MCP forbids it.
func parseID(v jsontext.Value) (jsonrpc.ID, bool) {
	var raw any
	switch {
	case v == nil:
		return jsonrpc.ID{}, true
	case v[0] == '"':
		s, err := jsontext.AppendUnquote(nil, v)
		if err != nil || len(s) > maxID {
			return jsonrpc.ID{}, false
		}
		raw = string(s)
	default:
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil || n > maxIntID || n < -maxIntID {
			return jsonrpc.ID{}, false
		}
		raw = float64(n)
	}
	id, err := jsonrpc.MakeID(raw)
	return id, err == nil
}

// salvageID finds the id of a line that was refused, so that the client's call
// ends instead of waiting: only where the line holds exactly one at its top.
func salvageID(line []byte) jsonrpc.ID {
	d := jsontext.NewDecoder(bytes.NewBuffer(line), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '{' {
		return jsonrpc.ID{}
	}
	var found jsonrpc.ID
	n := 0
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return jsonrpc.ID{}
		}
		isID := name.String() == "id"
		v, err := d.ReadValue()
		if err != nil {
			return jsonrpc.ID{}
		}
		if isID {
			n++
			found, _ = parseID(v)
		}
	}
	if n != 1 {
		return jsonrpc.ID{}
	}
	return found
}
