package battery

import (
	"cmp"
	"context"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

var lintChecks = []Check{
	{
		ID: "lint/invisible", Severity: Medium, Title: "a definition has characters that nobody sees",
		Proof:  "A name, title, description, instruction or any text of a schema has invisible, bidirectional, tag or control characters, or variation selectors where none belongs. A model reads them, the person who approves a call does not. High where they spell a text. What emoji and other scripts need is no finding.",
		Remedy: "Remove the characters, and build definitions from constants.",
		Run:    invisible,
	},
	{
		ID: "lint/injection", Severity: High, Title: "a definition gives orders to the model",
		Proof:  "A text tells the model to ignore its instructions, to keep something from the user, to read keys or configuration and pass them on, to send mail elsewhere, or holds the marks that models are steered by. Medium or low where honest authors write such things too: demands for the whole conversation, or for a place before all other tools. Only English is read.",
		Remedy: "Say what the tool does and takes. What the model shall do is for the client and its user.",
		Run:    injectedTexts,
	},
	{
		ID: "lint/hidden", Severity: Medium, Title: "a definition has a text that is out of sight",
		Proof:  "A text has an HTML comment, Base64 that decodes to sentences, or a hundred blanks in a row with more text behind them.",
		Remedy: "Remove it: what people cannot read they cannot approve.",
		Run:    hiddenTexts,
	},
	{
		ID: "lint/secret", Severity: High, Title: "a definition holds a secret",
		Proof:  "A text of a definition has one of the given canaries, a password in a URL, or a private key. The value is in no report.",
		Remedy: "Remove it, and replace the secret: every client has it.",
		Run:    secretsInDefinitions,
	},
	{
		ID: "lint/name", Severity: Low, Title: "a tool's name is not what names may be",
		Proof:  "The name is not 1 to 128 of A-Z, a-z, 0-9, _, - and ., as the specification asks.",
		Remedy: "Rename the tool.",
		Run:    oddNames,
	},
	{
		ID: "lint/lookalike", Severity: Medium, Title: "two names cannot be told apart",
		Proof:  "Two tools, or two prompts, have one name, or names that differ only in case or in letters that look the same (l, I and 1; O and 0; Latin and Cyrillic or Greek).",
		Remedy: "Rename one of them.",
		Run:    lookalikes,
	},
	{
		ID: "lint/shadow", Severity: Info, Title: "a tool has the name of one that clients have built in",
		Proof:  "The name is that of a tool for shells, files or the web in a client that is widely used. Where a client does not keep names apart, this one is called in its place.",
		Remedy: "Put the server's name into the tool's: notes_read_file.",
		Run:    shadows,
	},
	{
		ID: "lint/unbounded", Severity: Info, Title: "a schema sets no bound",
		Proof:  "A string has none of maxLength, enum, const, pattern and format, an array no maxItems, or a number lacks a minimum or maximum. What the server enforces beyond its schema is not seen here: args/size is.",
		Remedy: "Declare the bound that is enforced, so that the model keeps to it.",
		Run:    eachSchema(unboundedSchema),
	},
	{
		ID: "lint/open", Severity: Info, Title: "a schema takes anything",
		Proof:  "An object does not say additionalProperties false, nor how many properties it may have, or a value has no type. A misspelled argument may then be no error: args/unknown says whether it is.",
		Remedy: "Set additionalProperties to false, and give each value a type.",
		Run:    eachSchema(openSchema),
	},
	{
		ID: "lint/reference", Severity: Low, Title: "a schema has a reference that leads nowhere",
		Proof:  "A $ref has no target in the schema, or leads to itself. Medium where it is the address of another document: a client that fetches it can be made to call anything. Info where a schema holds itself, so that arguments may nest without end.",
		Remedy: "Put what is referred to into $defs of the same schema.",
		Run:    eachSchema(references),
	},
	{
		ID: "lint/description", Severity: Low, Title: "a tool has no description",
		Proof:  "The description is missing or blank, or longer than 8 KiB, more than anybody reads before approving. Info where arguments have none, or it is longer than the 1,024 characters that some clients show.",
		Remedy: "Say in a sentence or two what the tool does, and what each argument is.",
		Run:    descriptions,
	},
	{
		ID: "lint/output", Severity: Info, Title: "tools do not declare what they return",
		Proof:  "The named tools have no outputSchema, so that no client can check a result.",
		Remedy: "Declare outputSchema, and return structuredContent that fits it.",
		Run:    withoutOutput,
	},
}

// A passage is one text of a definition, and where it stands.
type passage struct {
	subject string // of a finding
	where   string // a path into the definition: inputSchema.properties.q.description
	text    string
}

// passages are all texts that a server says of itself, the names of members among
// them. Icons are pictures, and _meta is not for models.
func (p *Probe) passages() []passage {
	out := []passage{
		{"", "the server's name", p.Hello.Name},
		{"", "the server's version", p.Hello.Version},
		{"", "the server's instructions", p.Hello.Instructions},
	}
	for _, t := range p.Tools {
		out = append(out, textsOf(t.Name, t.Raw)...)
	}
	for _, list := range [][]Definition{p.Prompts, p.Resources, p.Templates} {
		for _, d := range list {
			out = append(out, textsOf(d.Name, d.Raw)...)
		}
	}
	return out
}

func textsOf(subject string, raw []byte) []passage {
	var out []passage
	var walk func(where string, v any)
	walk = func(where string, v any) {
		switch v := v.(type) {
		case string:
			out = append(out, passage{subject, where, v})
		case []any:
			for _, e := range v {
				walk(where, e)
			}
		case map[string]any:
			for _, name := range sortedKeys(v) {
				if where == "" && (name == "icons" || name == "_meta") {
					continue
				}
				out = append(out, passage{subject, "a member's name in " + cmp.Or(where, "the definition"), name})
				walk(strings.TrimPrefix(where+"."+name, "."), v[name])
			}
		}
	}
	walk("", decode(raw))
	return out
}

// eachPassage makes findings of the texts in which look sees something.
func (p *Probe) eachPassage(look func(text string) (evidence string, s Severity)) []Finding {
	left := 8 << 20 // bytes, more than which no server says of itself
	var out []Finding
	for _, t := range p.passages() {
		if left -= len(t.text); left < 0 {
			break
		}
		if evidence, severity := look(t.text); evidence != "" {
			out = append(out, Finding{Subject: t.subject, Severity: severity, Evidence: t.where + " has " + evidence})
		}
	}
	return out
}

// sample is the host of an address that is an example; what is one by its password the
// redactor knows.
var sample = lazy.Regexp(`@(?:localhost|host|hostname|server|127\.[\d.]+|[\w.-]*example\.\w+)\b`)

func secretsInDefinitions(_ context.Context, p *Probe) []Finding {
	return p.eachPassage(func(text string) (string, Severity) {
		if p.holdsCanary(text) {
			return "a canary", 0
		}
		if masked := p.plain.String(text); masked != text && plainSecret().MatchString(text) && !sample().MatchString(text) {
			return around(masked, redact.Mask), 0
		}
		return "", 0
	})
}
