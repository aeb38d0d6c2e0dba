package pbtool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

var errAnswer = errors.New("PocketBase's answer is not what it should be")

// A statusError is an answer that is none. It holds what is safe to show: no
// message of the server's, which may quote a value, or what a hook has written.
type statusError struct {
	status int
	fields map[string]string // codes by field
	index  int               // of the request in a batch that has failed, or -1
	inner  int               // that request's status
}

func (e *statusError) Error() string {
	return fmt.Sprintf("PocketBase answers with status %d%s", e.status, e.fieldList())
}

func (e *statusError) fieldList() string {
	var b strings.Builder
	for _, f := range slices.Sorted(maps.Keys(e.fields)) {
		fmt.Fprintf(&b, "; %s: %s", f, e.fields[f])
	}
	return b.String()
}

// statusOf returns the answer that an error is about, or nil.
func statusOf(err error) *statusError {
	var s *statusError
	if errors.As(err, &s) {
		return s
	}
	return nil
}

func isStatus(err error, status int) bool {
	s := statusOf(err)
	return s != nil && s.status == status
}

var (
	errorField = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
	errorIndex = lazy.Regexp(`^[0-9]{1,4}$`)
	errorCode  = lazy.Regexp(`^[a-z][a-z0-9_]{0,63}$`)
)

const (
	maxErrorFields = 20
	maxErrorDepth  = 5
)

// codes are the ones that say too little by themselves.
var codes = map[string]string{
	"validation_required":            "is required",
	"validation_not_unique":          "must be unique, and another record has this value",
	"validation_missing_rel_records": "names a record that there is not",
	"validation_invalid_email":       "must be an e-mail address",
	"validation_invalid_url":         "must be a URL",
	"validation_is_email":            "must be an e-mail address",
	"validation_is_url":              "must be a URL",
	"validation_not_a_number":        "must be a number",
	"validation_invalid_json":        "must be JSON",
}

type errorBody struct {
	Status int             `json:"status"`
	Data   json.RawMessage `json:"data"`
}

// readError takes the fields and their codes from PocketBase's error body, and
// nothing else.
func readError(status int, body []byte) *statusError {
	e := &statusError{status: status, index: -1}
	var said errorBody
	if json.Unmarshal(body, &said) != nil {
		return e
	}
	var batch struct {
		Requests map[string]struct {
			Response errorBody `json:"response"`
		} `json:"requests"`
	}
	if json.Unmarshal(said.Data, &batch) == nil && len(batch.Requests) == 1 {
		for i, r := range batch.Requests {
			if _, err := fmt.Sscanf(i, "%d", &e.index); err == nil {
				e.inner, e.fields = r.Response.Status, readFields(r.Response.Data)
				return e
			}
		}
	}
	e.fields = readFields(said.Data)
	return e
}

// readFields takes what is said of each field, by its path: what is wrong with a
// collection's fields is said of their members, as in fields.2.name.
func readFields(data []byte) map[string]string {
	fields := map[string]string{}
	collectFields(fields, "", data, maxErrorDepth)
	return fields
}

func collectFields(fields map[string]string, path string, data []byte, depth int) {
	var said map[string]json.RawMessage
	if depth == 0 || json.Unmarshal(data, &said) != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		raw := said[name]
		if !errorField().MatchString(name) && (path == "" || !errorIndex().MatchString(name)) || !bytes.HasPrefix(raw, []byte("{")) {
			continue
		}
		var f struct {
			Code string `json:"code"`
		}
		n := len(fields)
		if json.Unmarshal(raw, &f) != nil || f.Code == "" {
			collectFields(fields, path+name+".", raw, depth-1)
		}
		if n == len(fields) && n < maxErrorFields { // nothing more is said within it
			fields[path+name] = meaning(f.Code)
		}
	}
}

// meaning says what a code means, or gives it.
func meaning(code string) string {
	switch text, known := codes[code]; {
	case known:
		return text
	case errorCode().MatchString(code):
		return "is not valid (" + code + ")"
	}
	return "is not valid"
}

// modelError is what a model may read of an answer.
func modelError(e *statusError) error {
	refuse := func(text string) error { return &mcpsec.Error{Message: text, Rule: "pocketbase", Err: e} }
	switch s := e.status; {
	case s == http.StatusBadRequest && len(e.fields) > 0:
		return refuse("PocketBase refuses it" + e.fieldList())
	case s == http.StatusBadRequest && e.index >= 0:
		return refuse(fmt.Sprintf("PocketBase refuses request %d of the batch (status %d), and has changed nothing", e.index, e.inner))
	case s == http.StatusBadRequest:
		return refuse("PocketBase refuses it: a field that there is not or that is not to be used here, or a value that does not fit")
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return refuse("the collection's API rules do not allow this")
	case s == http.StatusNotFound:
		return refuse("there is no such record or collection, or its API rules do not allow this")
	case s == http.StatusRequestEntityTooLarge:
		return refuse("it is larger than PocketBase takes")
	case s == http.StatusTooManyRequests:
		return refuse("PocketBase has had too many requests: wait before the next")
	}
	return e
}

// sendError is what a model may read of a request that has no answer. Of one that
// writes nobody knows whether it was carried out.
func sendError(ctx context.Context, method string, err error) error {
	var out *outbound.Error
	if !errors.As(err, &out) || ctx.Err() != nil && method == http.MethodGet {
		return err
	}
	sent := out.Reason != outbound.Refused && out.Reason != outbound.BreakerOpen
	switch {
	case out.Reason == outbound.TooLarge:
		return &mcpsec.Error{Message: "PocketBase's answer is too large: ask for fewer records or fields", Rule: "size", Err: err}
	case sent && method != http.MethodGet:
		return &mcpsec.Error{Message: "PocketBase has not answered, and the change may or may not have been made: read before you repeat it", Rule: "unavailable", Err: err}
	}
	return &mcpsec.Error{Message: "PocketBase does not answer: try again later", Rule: "unavailable", Err: err}
}
