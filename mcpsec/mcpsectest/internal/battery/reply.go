package battery

import (
	"encoding/json"
	"strings"
)

// Outcome is how an exchange ended.
type Outcome uint8

// How an exchange ends.
const (
	Answered Outcome = iota // a result or an error of JSON-RPC
	Refused                 // an HTTP status without a message of JSON-RPC
	Silent                  // nothing came in time
	Gone                    // the server ended the connection, or died
)

// A Reply is what came back for a request.
type Reply struct {
	Outcome Outcome
	Status  int             // of HTTP
	Raw     []byte          // the message, or the body of a Refused
	ID      json.RawMessage // as it was written
	Result  json.RawMessage // nil when there is none
	Code    int             // of the error
	Message string          // of the error
	isError bool            // of a tool's result
	asks    bool            // the result asks for something first
	failed  bool            // an error object was there
}

type message struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (m *message) reply(raw []byte) Reply {
	r := Reply{Raw: raw, ID: m.ID, Result: m.Result}
	if m.Error != nil {
		r.failed, r.Code, r.Message = true, m.Error.Code, m.Error.Message
	}
	var tool struct {
		IsError    bool   `json:"isError"`
		ResultType string `json:"resultType"`
	}
	if json.Unmarshal(m.Result, &tool) == nil {
		r.isError, r.asks = tool.IsError, tool.ResultType == "input_required"
	}
	return r
}

// Accepted reports whether the request did what it asks for.
func (r Reply) Accepted() bool {
	return r.Outcome == Answered && !r.failed && !r.isError && !r.asks && r.Result != nil
}

// Denied reports whether the server answered, and said no.
func (r Reply) Denied() bool {
	return r.Outcome == Refused || r.Outcome == Answered && !r.asks && !r.Accepted()
}

// Text returns what a model would read: the texts of a tool's result or of an error.
func (r Reply) Text() string {
	switch {
	case r.Outcome == Silent:
		return "no answer in time"
	case r.Outcome == Gone:
		return "the server is gone"
	case r.Outcome == Refused:
		return string(r.Raw)
	case r.failed:
		return r.Message
	}
	var texts []string
	collect(decode(r.Result), &texts)
	return strings.Join(texts, "\n")
}

// collect gathers all strings of a value, whatever it is.
func collect(v any, out *[]string) {
	switch v := v.(type) {
	case string:
		*out = append(*out, v)
	case []any:
		for _, e := range v {
			collect(e, out)
		}
	case map[string]any:
		for _, name := range sortedKeys(v) {
			collect(v[name], out)
		}
	}
}
