package mailtool

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// ReadTools returns the tools that send nothing: mail_preview, mail_list_recipients
// and mail_verify.
func ReadTools(c *Client) []*mcpsec.Tool {
	return []*mcpsec.Tool{previewTool(c), listRecipientsTool(c), verifyTool(c)}
}

// spec is what all tools have in common.
func (c *Client) spec(name, description string, effect mcpsec.Effect) mcpsec.ToolSpec {
	s := mcpsec.ToolSpec{
		Name:        name,
		Description: description,
		Effect:      effect,
		Timeout:     4 * c.o.Timeout, // what asks a person looks more than once
	}
	for _, w := range c.o.Waive {
		if w.Kind != waive.AnyRecipient || c.policy.any { // a waiver that waives nothing is none
			s.Waive = append(s.Waive, w)
		}
	}
	return s
}

// schemaOf makes an InputSchema: every tool costs the model's context, and the
// type's own says more than needs to be said.
func schemaOf(required string, properties ...string) json.RawMessage {
	return json.RawMessage(`{"type":"object","additionalProperties":false,"required":[` + required + `],"properties":{` + strings.Join(properties, ",") + `}}`)
}

type recipientsOut struct {
	From     string   `json:"from"`
	ReplyTo  []string `json:"reply_to"`
	Anyone   bool     `json:"anyone"`
	Allow    []string `json:"allow"`
	Deny     []string `json:"deny"`
	Internal []string `json:"internal"`
	Bcc      bool     `json:"bcc"`
	Max      int      `json:"max_per_message"`
	Hour     int      `json:"max_per_hour"`
	Day      int      `json:"max_per_day"`
	Each     int      `json:"max_messages_per_recipient_and_day"`
	Files    []string `json:"attachments"`
}

func listRecipientsTool(c *Client) *mcpsec.Tool {
	spec := c.spec("mail_list_recipients", "Tell who may be written to: addresses, domains (\"example.com\"), domains below one (\"*.example.com\"); deny goes before allow. Also the caps, and what may be attached.", mcpsec.Read)
	spec.Labels = mcpsec.Private
	names := func(rs rules) []string {
		out := make([]string, 0, len(rs))
		for _, r := range rs {
			out = append(out, r.String())
		}
		return out
	}
	return mcpsec.NewTool(spec, func(context.Context, struct{}) (recipientsOut, error) {
		p := c.policy
		return recipientsOut{
			From: c.o.From, ReplyTo: append([]string{}, c.o.ReplyTo...), Anyone: p.any, Allow: names(p.allow), Deny: names(p.deny), Internal: names(p.internal),
			Bcc: c.o.Bcc, Max: p.MaxPerMessage, Hour: p.PerHour, Day: p.PerDay, Each: p.PerRecipient, Files: slices.Clone(c.o.Attachments),
		}, nil
	})
}

type verifyOut struct {
	TLS           string   `json:"tls"`
	Authenticated bool     `json:"authenticated"`
	Features      []string `json:"features"`
	MaxBytes      int      `json:"max_bytes"`
	Milliseconds  int64    `json:"milliseconds"`
}

// features are those that may be told: what a server says is anybody's text.
var features = []string{"8BITMIME", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "PIPELINING", "REQUIRETLS", "SIZE", "SMTPUTF8"}

func verifyTool(c *Client) *mcpsec.Tool {
	return mcpsec.NewTool(c.spec("mail_verify", "Connect to the mail server and log in, without sending anything, and tell what it can do.", mcpsec.Read),
		func(ctx context.Context, _ struct{}) (verifyOut, error) {
			out, err := c.verify(ctx)
			return out, modelError(ctx, err)
		})
}

func (c *Client) verify(ctx context.Context) (verifyOut, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	if err := c.pool.enter(ctx); err != nil {
		return verifyOut{}, err
	}
	defer c.pool.leave()
	start := c.now()
	s, err := c.dialAnew(ctx)
	if err != nil {
		return verifyOut{}, err
	}
	unbind := s.bind(ctx)
	defer unbind()
	defer s.quit()
	out := verifyOut{TLS: "none", Authenticated: c.o.Username != "", Features: []string{}, MaxBytes: s.size, Milliseconds: c.now().Sub(start).Milliseconds()}
	if t, ok := s.c.TLSConnectionState(); ok {
		out.TLS = tls.VersionName(t.Version)
	}
	for _, f := range features {
		if ok, _ := s.c.Extension(f); ok {
			out.Features = append(out.Features, f)
		}
	}
	return out, nil
}

// sendIn are the arguments of a message.
type sendIn struct {
	To             []string       `json:"to" validate:"required,max=50,dive,max=320"`
	Cc             []string       `json:"cc" validate:"max=50,dive,max=320"`
	Bcc            []string       `json:"bcc" validate:"max=50,dive,max=320"`
	ReplyTo        string         `json:"reply_to" validate:"max=320"`
	Subject        string         `json:"subject" validate:"required,max=250"`
	Text           string         `json:"text" validate:"required,max=200000"`
	HTML           string         `json:"html" validate:"max=400000"`
	InReplyTo      string         `json:"in_reply_to" validate:"max=410"`
	References     []string       `json:"references" validate:"max=20,dive,max=410"`
	Attachments    []attachmentIn `json:"attachments" validate:"max=50"`
	IdempotencyKey string         `json:"idempotency_key" validate:"max=64"`
}

type attachmentIn struct {
	Name    string `json:"name" validate:"required,max=100"`
	Content []byte `json:"content" validate:"max=20000000"`
}

// schema shows what the operator allows.
func (c *Client) schema() json.RawMessage {
	list := func(name, of string) string {
		return `"` + name + `":{"type":"array","maxItems":50,"items":` + of + `}`
	}
	const address = `{"type":"string"}`
	properties := []string{
		list("to", address), list("cc", address), `"subject":{"type":"string","maxLength":250}`, `"text":{"type":"string","maxLength":200000}`,
		`"html":{"type":"string","maxLength":400000,"description":"the same as text, beside it; text, tables, lists and links only"}`,
		`"in_reply_to":{"type":"string"}`, `"references":{"type":"array","maxItems":20,"items":{"type":"string"}}`, `"idempotency_key":{"type":"string","maxLength":64}`,
	}
	if c.o.Bcc {
		properties = append(properties, list("bcc", address))
	}
	if len(c.o.ReplyTo) > 0 {
		properties = append(properties, `"reply_to":{"type":"string"}`)
	}
	content := `"description":"base64"`
	if c.o.Files != nil {
		content = `"description":"base64; without, the operator's file of that name"`
	}
	properties = append(properties, list("attachments", `{"type":"object","additionalProperties":false,"required":["name"],"properties":{"name":{"type":"string","maxLength":100},"content":{"type":"string",`+content+`}}}`))
	return schemaOf(`"to","subject","text"`, properties...)
}

func (in sendIn) message() Message {
	m := Message{To: in.To, Cc: in.Cc, Bcc: in.Bcc, ReplyTo: in.ReplyTo, Subject: in.Subject, Text: in.Text, HTML: in.HTML, InReplyTo: in.InReplyTo, References: in.References}
	for _, a := range in.Attachments {
		m.Attachments = append(m.Attachments, Attachment(a))
	}
	return m
}

func (c *Client) remember(call string, b *built) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plans[call] = b
}

func (c *Client) forget(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.plans, call)
}

// remembered is the message that a person was asked about in a call.
func (c *Client) remembered(call string) (*built, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.plans[call]
	return b, ok
}
