package pbtool

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// change makes one change and returns PocketBase's answer, of which query says how much
// there is. With a history it is a transaction, whose errors read as if it was none.
func (c *Client) change(ctx context.Context, o op, query url.Values) ([]byte, error) {
	o.query = query
	if c.o.History.Collection != "" {
		answers, err := c.recorded(ctx, []op{o})
		if s := statusOf(err); s != nil && s.index == 0 && s.inner != 0 {
			return nil, modelError(&statusError{status: s.inner, fields: s.fields, index: -1})
		}
		if err != nil {
			return nil, err
		}
		return answers[0], nil
	}
	as, err := c.caller(ctx)
	if err != nil {
		return nil, err
	}
	rq := request{method: o.method, path: o.path(), query: query}
	switch {
	case o.file != nil:
		rq.body, rq.mime, err = form(orEmpty(o.data), *o.file)
	case o.data != nil:
		rq.body, err = json.Marshal(o.data)
	}
	if err != nil {
		return nil, err
	}
	return c.do(ctx, as, rq)
}

func orEmpty(v values) values {
	if v == nil {
		return values{}
	}
	return v
}

// An inner is a request of a batch.
type inner struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    values            `json:"body,omitempty"`
}

type batch struct {
	Requests []inner `json:"requests"`
}

// transaction makes changes, all of them or none, and returns the answer to each.
func (c *Client) transaction(ctx context.Context, as actor, ops []op) ([]json.RawMessage, error) {
	var b batch
	var files []attachment
	for i, o := range ops {
		if _, err := c.target(request{path: o.path()}); err != nil {
			return nil, err
		}
		to := "/api/" + strings.Join(o.path(), "/")
		if len(o.query) > 0 {
			to += "?" + o.query.Encode()
		}
		b.Requests = append(b.Requests, inner{o.method, to, o.headers, o.data})
		if o.file != nil {
			f := *o.file
			f.field = fmt.Sprintf("requests.%d.%s", i, f.field)
			files = append(files, f)
		}
	}
	rq := request{method: http.MethodPost, path: []string{"batch"}}
	var err error
	if files != nil {
		rq.body, rq.mime, err = form(b, files...)
	} else {
		rq.body, err = json.Marshal(b)
	}
	if err != nil {
		return nil, err
	}
	answer, err := c.do(ctx, as, rq)
	if isStatus(err, http.StatusForbidden) {
		return nil, &mcpsec.Error{Message: "PocketBase's batch API is off, which this needs to change all or nothing; an operator can switch it on in the settings", Rule: "batch", Err: err}
	}
	if err != nil {
		return nil, err
	}
	var said []struct {
		Body json.RawMessage `json:"body"`
	}
	if json.Unmarshal(answer, &said) != nil || len(said) != len(ops) {
		return nil, &mcpsec.Error{Message: "the changes were made, but PocketBase's answer to them cannot be read", Rule: "pocketbase"}
	}
	out := make([]json.RawMessage, len(said))
	for i, s := range said {
		out[i] = s.Body
	}
	return out, nil
}
