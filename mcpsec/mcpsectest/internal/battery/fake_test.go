package battery

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A fake is a server that does all right, but for one flaw, which has the name of the
// check that finds it.
type fake struct {
	flaw   string
	stderr io.Writer

	mu     sync.Mutex
	out    io.Writer
	lists  int               // of tools that were asked for
	states map[string]string // requestState to arguments
	used   map[string]bool
	calls  map[string]context.CancelFunc
	called map[string]bool // the tools
	wg     sync.WaitGroup
}

func newFake(flaw string) *fake {
	return &fake{flaw: flaw, stderr: os.Stderr, states: map[string]string{}, used: map[string]bool{}, calls: map[string]context.CancelFunc{}, called: map[string]bool{}}
}

func (f *fake) has(flaw string) bool { return f.flaw == flaw }

type request struct {
	JSONRPC string         `json:"jsonrpc"`
	ID      jsontext.Value `json:"id"`
	Method  string         `json:"method"`
	Params  jsontext.Value `json:"params"`
	Result  jsontext.Value `json:"result"`
	Error   jsontext.Value `json:"error"`
}

// failure is what a request is refused with.
type refused struct {
	code int
	text string
}

func (f *fake) serve(ctx context.Context, r io.ReadCloser, w io.WriteCloser) error {
	f.out = w
	defer f.wg.Wait()
	if f.has("wire/stdout") {
		f.write("listening")
	}
	br := bufio.NewReader(r)
	for {
		line, err := readLine(br)
		if line = bytes.TrimSpace(line); len(line) > 0 && !f.line(ctx, line) {
			return nil
		}
		if err != nil {
			if f.has("wire/eof") {
				<-ctx.Done()
			}
			return nil
		}
	}
}

func (f *fake) write(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = io.WriteString(f.out, line+"\n")
}

func (f *fake) answer(id jsontext.Value, result any, no *refused) {
	if len(id) == 0 {
		id = jsontext.Value("null")
	}
	if no != nil {
		f.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s}}`, id, no.code, quote(no.text)))
		return
	}
	f.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, encode(result)))
}

// line takes a message, and reports whether the server goes on.
func (f *fake) line(ctx context.Context, line []byte) bool {
	var all []json.RawMessage
	switch {
	case f.has("wire/garbage") && string(line) == "garbage":
		return false
	case f.has("wire/batch") && json.Unmarshal(line, &all) == nil:
		for _, m := range all {
			f.line(ctx, m)
		}
		return true
	}
	req, no := f.read(line)
	switch {
	case no != nil:
		f.answer(nil, nil, no)
	case req.Method == "notifications/cancelled":
		var p struct {
			RequestID json.RawMessage `json:"requestId"`
		}
		_ = json.Unmarshal(req.Params, &p)
		f.mu.Lock()
		if cancel := f.calls[string(p.RequestID)]; cancel != nil && !f.has("load/cancel") {
			cancel()
		}
		f.mu.Unlock()
	case req.ID == nil || req.Method == "":
	case f.has("stability/crash") && strings.Contains(string(req.Params), "gnp.txt"):
		return false
	case f.has("stability/hang") && strings.Contains(string(req.Params), "%s%n"):
	default:
		f.run(ctx, req)
	}
	return true
}

func (f *fake) read(line []byte) (req request, no *refused) {
	most := 1 << 20
	switch f.flaw {
	case "args/size":
		most = 4 << 20
	case "wire/size":
		most = 64 << 20
	}
	invalid := &refused{-32700, "the message cannot be read"}
	lax := jsonv2.JoinOptions(jsontext.AllowDuplicateNames(f.has("wire/duplicate") || f.has("args/duplicate")), jsontext.AllowInvalidUTF8(f.has("wire/utf8")))
	switch {
	case len(line) > most || depth(line) > 64:
		return req, invalid
	case f.has("args/duplicate") && bytes.Count(line, []byte(`"method":`)) > 1:
		return req, invalid
	case jsonv2.Unmarshal(line, &req, lax, jsonv2.RejectUnknownMembers(true)) != nil || req.JSONRPC != "2.0":
		return req, invalid
	case !f.has("wire/utf8") && !utf8.Valid(line):
		return req, invalid
	}
	if n, err := json.Number(req.ID).Int64(); len(req.ID) > 0 && req.ID[0] != '"' && (err != nil || n > 1<<53) {
		if !f.has("wire/id") {
			return req, invalid
		}
		req.ID = jsontext.Value("2")
	}
	return req, nil
}

func depth(line []byte) int {
	now, most := 0, 0
	for _, c := range line {
		switch c {
		case '[', '{':
			now++
			most = max(most, now)
		case ']', '}':
			now--
		}
	}
	return most
}

// run carries out a request beside others, of which there are at most 16.
func (f *fake) run(ctx context.Context, req request) {
	ctx, cancel := context.WithCancel(ctx)
	id := string(req.ID)
	f.mu.Lock()
	busy := len(f.calls) >= 16 && !f.has("load/concurrency")
	if !busy {
		f.calls[id] = cancel
	}
	f.mu.Unlock()
	if busy {
		cancel()
		f.answer(req.ID, nil, &refused{-32000, "too many calls: try again later"})
		return
	}
	f.wg.Go(func() {
		defer cancel()
		result, no := f.method(ctx, req)
		f.mu.Lock()
		delete(f.calls, id)
		f.mu.Unlock()
		f.answer(req.ID, result, no)
	})
}

func object(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func (f *fake) method(ctx context.Context, req request) (any, *refused) {
	method := req.Method
	if f.has("wire/method") {
		method = strings.ToLower(method)
	}
	hello := object("protocolVersion", legacy, "serverInfo", object("name", "fake", "version", "1"), "capabilities", object("tools", object(), "prompts", object(), "resources", object()))
	switch method {
	case "initialize", "server/discover":
		return hello, nil
	case "ping":
		return object(), nil
	case "tools/list":
		page := object("tools", f.tools())
		if f.has("drift/pages") {
			page["nextCursor"] = "again"
			if strings.Contains(string(req.Params), "again") {
				page["tools"] = []any{}
			}
		}
		return page, nil
	case "prompts/list":
		return object("prompts", []any{object("name", "review", "description", "Review code.", "arguments", []any{object("name", "code", "required", true)})}), nil
	case "resources/list":
		return object("resources", []any{object("uri", "notes:///a", "name", "a")}), nil
	case "resources/templates/list":
		return object("resourceTemplates", []any{object("uriTemplate", "notes:///{path}", "name", "note")}), nil
	case "tools/call":
		return f.call(ctx, req.Params)
	case "prompts/get":
		return f.prompt(req.Params)
	case "resources/read":
		return f.resource(req.Params)
	case "toggle":
	}
	return nil, &refused{-32601, "there is no such method"}
}

func (f *fake) prompt(params []byte) (any, *refused) {
	var p struct{ Arguments map[string]string }
	_ = json.Unmarshal(params, &p)
	if p.Arguments["code"] == "" && !f.has("prompt/missing") {
		return nil, &refused{-32602, "code is required"}
	}
	return object("messages", []any{}), nil
}

const passwd = "root:x:0:0:root:/root:/bin/sh"

func (f *fake) resource(params []byte) (any, *refused) {
	var p struct{ URI string }
	_ = json.Unmarshal(params, &p)
	switch {
	case f.has("resource/path") && strings.Contains(p.URI, "../etc/passwd"):
		return object("contents", []any{object("uri", p.URI, "text", passwd)}), nil
	case p.URI == "notes:///a", f.has("resource/unknown"):
		return object("contents", []any{object("uri", p.URI, "text", "hello")}), nil
	}
	return nil, &refused{-32602, "there is no such resource"}
}

// tools are what the server offers. The word of a schema that a flaw needs is there
// always.
func (f *fake) tools() []any {
	schema := func(required []string, properties map[string]any) map[string]any {
		return object("type", "object", "properties", properties, "required", required, "additionalProperties", false)
	}
	text := object("type", "string", "description", "text", "maxLength", 3<<20)
	reads, destroys := object("readOnlyHint", true), object("readOnlyHint", false, "destructiveHint", true)
	tool := func(name, description string, annotations, schema map[string]any) map[string]any {
		return object("name", name, "description", description, "annotations", annotations, "inputSchema", schema, "outputSchema", object("type", "object"))
	}
	tools := []any{
		tool("search_notes", "Search notes.", reads, schema([]string{"text"}, object("text", text, "id", object("type", "integer", "description", "id", "minimum", math.MinInt64, "maximum", math.MaxInt64), "limit", object("type", "integer", "description", "limit", "minimum", 1, "maximum", 100)))),
		tool("read_note", "Read a note.", reads, schema([]string{"path"}, object("path", object("type", "string", "description", "path", "maxLength", 500)))),
		tool("fetch_page", "Fetch a page.", reads, schema([]string{"url"}, object("url", object("type", "string", "description", "url", "maxLength", 500)))),
		tool("query_notes", "Query notes.", reads, schema([]string{"sql"}, object("sql", object("type", "string", "description", "sql", "maxLength", 500)))),
		tool("save_note", "Save a note.", destroys, schema([]string{"path"}, object("path", object("type", "string", "description", "path", "maxLength", 500)))),
		tool("delete_note", "Delete a note.", destroys, schema([]string{"text"}, object("text", text))),
	}
	switch f.flaw {
	case "tool/unannotated":
		tools = append(tools, tool("look", "Look.", nil, schema([]string{}, object())))
	case "tool/not-read-only":
		tools = append(tools, tool("purge_notes", "Purge all notes.", reads, schema([]string{}, object())))
	case "args/untested":
		tools = append(tools, tool("never", "Never.", reads, schema([]string{}, object())))
	case "tool/not-additive":
		tools = append(tools, tool("purge_notes", "Purge all notes.", object("destructiveHint", false), schema([]string{}, object())))
	}
	return f.misdefine(tools)
}

type callParams struct {
	Name           string         `json:"name"`
	Arguments      jsontext.Value `json:"arguments"`
	RequestState   string         `json:"requestState"`
	InputResponses jsontext.Value `json:"inputResponses"`
	Meta           jsontext.Value `json:"_meta"`
}

func (f *fake) call(ctx context.Context, params jsontext.Value) (any, *refused) {
	var p callParams
	lax := jsonv2.JoinOptions(jsontext.AllowDuplicateNames(f.has("args/duplicate")), jsontext.AllowInvalidUTF8(f.has("wire/utf8")), jsonv2.RejectUnknownMembers(true))
	if jsonv2.Unmarshal(params, &p, lax) != nil {
		if f.has("leak/echo") {
			return nil, &refused{-32602, "cannot read " + string(params)}
		}
		return nil, &refused{-32602, "params cannot be read"}
	}
	f.mu.Lock()
	f.called[p.Name] = true
	f.mu.Unlock()
	args, problem := f.arguments(p.Name, p.Arguments)
	if problem != "" {
		return text(problem, true), nil
	}
	if p.Name == "delete_note" {
		return f.confirm(p)
	}
	answer, problem := f.do(ctx, p.Name, args)
	return text(answer+problem, problem != ""), nil
}

func text(t string, isError bool) any {
	return object("content", []any{object("type", "text", "text", t)}, "isError", isError)
}

// A forged answer names a state that was not issued, or was for other arguments.
func (f *fake) confirm(p callParams) (any, *refused) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.RequestState == "" {
		state := rand.Text()
		f.states[state] = string(p.Arguments)
		return object("resultType", "input_required", "requestState", state, "inputRequests", object("sure", object("method", "elicitation/create",
			"params", object("message", "Delete it?", "requestedSchema", object("type", "object", "properties", object("confirm", object("type", "boolean"))))))), nil
	}
	arguments, issued := f.states[p.RequestState]
	ok := issued && arguments == string(p.Arguments) || f.has("state/forged")
	if !ok || f.used[p.RequestState] || !strings.Contains(string(p.InputResponses), `"confirm":true`) {
		return text("that was not confirmed", true), nil
	}
	f.used[p.RequestState] = !f.has("state/replayed")
	return text("deleted", false), nil
}
