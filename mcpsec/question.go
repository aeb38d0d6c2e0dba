package mcpsec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/text"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A question is what a person is asked, and what the answer will be bound to.
type question struct {
	way       string
	text      string
	digest    [sha256.Size]byte // of what guards computed
	arguments [sha256.Size]byte
	state     string // sealed, for a client that repeats the call
	needs     []need // what a handler asks the client for, in place of a yes
}

// maxQuestion is how long a question may be, in bytes. A longer one is not cut:
// what matters could be in the part that the person does not see.
const maxQuestion = 4000

// maskedPart is said because what looks like a secret need not be one: between
// the lines of a private key there is room for a program.
const maskedPart = "\nWhat " + redact.Mask + " stands for looks like a secret and is not shown: say no if you cannot tell what it is."

// question writes down what will happen. Each text is one line behind a bullet,
// so that none can look like the frame or like another.
func (r *run) question(w wishes, raw json.RawMessage, changed bool) (*question, *failure) {
	canonical, err := canonicalArguments(raw)
	var lines []string
	if err == nil {
		lines, err = r.server.lines(w, canonical)
	}
	if err != nil {
		return nil, &failure{outcome: outcomeFailed, rule: "confirmation", cause: err}
	}
	var b strings.Builder
	if changed {
		b.WriteString("What would happen has changed since the last question.\n")
	}
	fmt.Fprintf(&b, "Allow %s to %s %s", r.server.impl.Name, verb(r.call.Method), r.call.Tool)
	if t := r.op.spec.Title; t != "" {
		fmt.Fprintf(&b, " (%s)", t)
	}
	b.WriteString("?")
	if r.call.Effect == Destroy {
		b.WriteString(" It cannot be undone.")
	}
	for _, l := range lines {
		b.WriteString("\n• " + l)
	}
	if strings.Contains(b.String(), redact.Mask) {
		b.WriteString(maskedPart)
	}
	if b.Len() > maxQuestion {
		return nil, refused("confirmation", "not allowed: a person must confirm it first, and what it does is too long to be shown to one: ask for less at once")
	}
	return &question{text: b.String(), arguments: sha256.Sum256(canonical)}, nil
}

// verb says what is done with what a call names.
func verb(method string) string {
	switch method {
	case methodPrompt:
		return "use the prompt"
	case methodRead:
		return "read the resource"
	case methodComplete:
		return "suggest values for"
	case methodWatch, methodListen:
		return "watch the resource"
	}
	return "run"
}

// canonicalArguments is the one form of arguments that mean the same: members
// in order, strings in one spelling. Numbers stay as they were written, since
// no other form of them is exact.
func canonicalArguments(raw json.RawMessage) ([]byte, error) {
	v := jsontext.Value(bytes.Clone(raw))
	err := v.Format(jsontext.ReorderRawObjects(true), jsontext.PreserveRawStrings(false),
		jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	return v, err
}

// lines are what guards have computed, and the arguments unless the tool's own
// guards have said what they come to.
func (s *Server) lines(w wishes, canonical []byte) ([]string, error) {
	var out []string
	for _, t := range w.texts {
		out = append(out, s.forPerson(t))
	}
	if w.own {
		return out, nil
	}
	members, err := s.members(canonical)
	if len(members) == 0 {
		members = []string{"without arguments"}
	}
	return append(out, members...), err
}

// members shows arguments, each as a line of JSON, in which no text can end its
// quotes. Their names are the input type's.
func (s *Server) members(canonical []byte) ([]string, error) {
	var out []string
	// Masked names may be equal.
	d := jsontext.NewDecoder(bytes.NewReader(s.redact.JSON(canonical)), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		label := name.String() // valid until the next read
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		out = append(out, label+": "+s.forPerson(string(value)))
	}
	_, err := d.ReadToken()
	return out, err
}

// forPerson makes a text one line that shows all there is: hidden characters by
// their numbers, and no secrets, whether or not hidden characters split them.
// Beside a secret they are counted, since one may be within it.
func (s *Server) forPerson(t string) string {
	t = strings.ToValidUTF8(t, "\uFFFD")
	plain, hidden := text.Strip(t)
	clean := s.redact.String(plain)
	switch {
	case hidden > 0 && clean == plain:
		clean = s.redact.String(spellHidden(t))
	case hidden > 0:
		clean += fmt.Sprintf(" [hidden characters: %d]", hidden)
	}
	return strings.Join(strings.FieldsFunc(clean, blank), " ")
}

// blank reports whether r is seen as an empty place, as white space is.
func blank(r rune) bool { return unicode.IsSpace(r) || r == '\u2800' }

func spellHidden(t string) string {
	var b strings.Builder
	for _, r := range t {
		if text.Hidden(r) {
			b.WriteString("[U+" + strings.ToUpper(strconv.FormatInt(int64(r), 16)) + "]")
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// forApprover is the question for people who are asked out of band.
func (q *question) forApprover(c *Call) Question {
	p := c.Principal
	p.Scopes = append([]string(nil), p.Scopes...)
	return Question{Call: c.ID, Tool: c.Tool, Effect: c.Effect, Principal: p, Text: q.text, Arguments: hex.EncodeToString(q.arguments[:])}
}

// names are what a handler asks for, for the record: the program has chosen them.
func (q *question) names() string {
	var names []string
	for _, n := range q.needs {
		names = append(names, n.name)
	}
	return strings.Join(names, " ")
}

const confirmKey = "confirm" // of the question, and of its only field

// confirmForm has a box to tick: it asks for no text, so for no secret either.
var confirmForm = json.RawMessage(`{"type":"object","properties":{"confirm":{"type":"boolean","title":"Yes, do it"}},"required":["confirm"]}`)

func (q *question) elicitation() *mcp.ElicitParams {
	return &mcp.ElicitParams{Mode: "form", Message: q.text, RequestedSchema: confirmForm}
}

// verdict reads a person's answer. Only the exact form of a yes is one.
func verdict(res *mcp.ElicitResult) *failure {
	box, ticked := res.Content[confirmKey].(bool)
	switch {
	case res.Action == "accept" && len(res.Content) == 1 && box:
		return nil
	case res.Action == "decline", res.Action == "accept" && len(res.Content) == 1 && ticked:
		return refused("declined", "not allowed: the person who was asked said no")
	case res.Action == "cancel":
		return refused("declined", "not allowed: the person who was asked did not decide")
	}
	return refused("confirmation", "not allowed: the answer to the question does not have the form that was asked for")
}

// appendAsk writes a result that asks for input: the question, and the state
// that the client must give back with the answer.
func (q *question) appendAsk(b []byte) ([]byte, error) {
	asked := mcp.InputRequestMap{}
	for _, n := range q.needs {
		asked[n.name] = n.params
	}
	if q.needs == nil {
		asked[confirmKey] = q.elicitation()
	}
	requests, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	b = append(append(b, `"resultType":"input_required","inputRequests":`...), requests...)
	return append(append(append(b, `,"requestState":"`...), q.state...), '"'), nil // of base64
}
