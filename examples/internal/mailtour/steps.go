package mailtour

import (
	"encoding/json"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// A letter are the arguments of mail_preview and mail_send.
type letter struct {
	To          []string     `json:"to"`
	Cc          []string     `json:"cc,omitempty"`
	Bcc         []string     `json:"bcc,omitempty"`
	From        string       `json:"from,omitempty"`
	Subject     string       `json:"subject"`
	Text        string       `json:"text"`
	HTML        string       `json:"html,omitempty"`
	Attachments []attachment `json:"attachments,omitempty"`
}

type attachment struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

func (l letter) args() string {
	b, _ := json.Marshal(l) // of strings and bytes
	return string(b)
}

const (
	sendTool = "mail_send"

	subject = "Your order 1017"
	canary  = "on its way: one LP, 19.50 EUR"
	body    = "Hello Ann,\n\nyour order is " + canary + ".\n.\nThe record shop\n"
)

// order is a letter that all steps begin with.
func order() letter {
	return letter{To: []string{ann}, Cc: []string{desk}, Subject: subject, Text: body}
}

// with is an order with something else in it.
func with(change func(*letter)) string {
	l := order()
	change(&l)
	return l.args()
}

func to(addresses ...string) string {
	return with(func(l *letter) { l.To, l.Cc = addresses, nil })
}

func attached(name, content string) string {
	return with(func(l *letter) { l.Attachments = []attachment{{name, []byte(content)}} })
}

// What is asked before anything is sent. The digest of the preview is the letter's.
var (
	verify = tour.Step{Asked: "Does the mail server work?", Tool: "mail_verify", Args: `{}`, Want: `"tls":"TLS 1.3","authenticated":true`,
		Why: "TLS with a certificate of its name comes before the password"}
	allowed = tour.Step{Asked: "Whom may I write to?", Tool: "mail_list_recipients", Args: `{}`, Want: `"allow":["shop.example","ann@customer.example"]`,
		Why: "the operator's list; without one there is no server"}
	preview = tour.Step{Asked: "How would the letter look?", Tool: "mail_preview", Args: order().args(), Want: `"risks":["goes outside, to customer.example"]`,
		Why: "with what is risky about it; nothing is sent"}
	link = tour.Step{Asked: "And with a link that shows one place and leads to another?", Tool: "mail_preview",
		Args: with(func(l *letter) {
			l.HTML = `<p>Track it: <a href="https://evil.example/t">https://shop.example/track</a></p>`
		}),
		Want: `/track\" and leads to evil.example`, Why: "a risk that the person is told of, too"}
	declined = tour.Step{Asked: "Send it", Tool: sendTool, Args: order().args(), Want: "said no", Question: `subject "` + subject + `"`, Failed: true, Declined: true,
		Why: "a no sends nothing"}
	send = tour.Step{Asked: "Send it, now with a yes", Tool: sendTool, Args: order().args(), Want: `"status":"sent"`,
		Question: "sends mail from " + sender + "; to " + ann + "; cc " + desk, Why: "the yes is for the message with this hash"}
	again = tour.Step{Asked: "Send it (the same, once more)", Tool: sendTool, Args: order().args(), Want: `"status":"sent"`,
		Question: "sends nothing more", Why: "an equal call gets the first one's receipt"}
)

// smuggled is a text with all ends that some server has taken for the end of a message.
const smuggled = "Dear Ann,\r\n.\r\nMAIL FROM:<" + sender + ">\r\nRCPT TO:<" + eve + ">\r\nDATA\r\nSubject: smuggled\r\n\r\nhello\r\n.\r\n\n.\r\n\r\n.\n\r.\r\nYours\r\n"

// attacks are what a model may be talked into. What brings a letter is no attack that
// worked: arrived looks at it.
var attacks = []step{
	refused("a subject with a line break and a Bcc", with(func(l *letter) { l.Subject += "\r\nBcc: " + eve }), "subject must be one line",
		"a header field is one line of a fixed set"),
	refused("a recipient with a line break", to(ann+">\r\nRCPT TO:<"+eve), "to[0] may not be written to: a domain must be a full name", "an address has one spelling and one reading"),
	refused(`"ann@…, eve@…" as one recipient`, to(ann+", "+eve), "to[0] may not be written to: a domain must be a full name", "one address a string: no lists"),
	refused("Ann, by the name of another", to(`"`+eve+`" <`+ann+`>`), "to[0] may not be written to: an address must be one bare mailbox", "no names, comments, quotes and routes"),
	refused("a Bcc", with(func(l *letter) { l.Bcc = []string{"boss@shop.example"} }), "they do not fit the tool's schema", "the operator has not allowed any, so there is none in the schema"),
	refused("another sender", with(func(l *letter) { l.From = "boss@shop.example" }), "unknown member", "the sender is the operator's setting and no argument"),
	refused("a recipient outside the list", to(ann, eve), "to[1] may not be written to: it is not on the operator's list", "all or nothing: Ann gets none, too"),
	refused("a domain that only looks like Ann's", to("ann@customеr.example"), "to[0] may not be written to: it is not on", "that е is Cyrillic; domains are compared in ASCII"),
	refused("a domain below a stranger's", to("ann@shop.example.evil.example"), "to[0] may not be written to: it is not on", "domains are compared as a whole"),
	refused("invoice.pdf.exe", attached("invoice.pdf.exe", "MZ\x90"), "it is a program", "by its name"),
	refused("a program called invoice.pdf", attached("invoice.pdf", "MZ\x90\x00"), "its content is a program's", "and by its content"),
	refused("a picture that tells when it is seen", with(func(l *letter) { l.HTML = `<img src="https://evil.example/1.gif">` }), "html", "text, tables, lists and links only"),
	forged(refused("the letter with a yes that nobody gave", with(func(l *letter) { l.Subject = "Another" }), "not one of this server's", "a yes counts with the server's own question only")),
	{tour.Step{Asked: "the ends of a message, in the text", Tool: sendTool, Args: with(func(l *letter) { l.Text = smuggled }), Want: `"status":"sent"`, Question: "smuggled",
		Why: "one letter arrives, and they are text in it"}, 1},
}

// brief are a few of them.
var brief = []step{attacks[0], attacks[2], attacks[4], attacks[6], attacks[9]}

// suppressions are about an address that is allowed, and wants no mail.
var suppressions = []step{
	{Step: tour.Step{Asked: "Carl wants no more mail", Tool: "mail_add_suppression", Args: `{"address":"` + carl + `","reason":"unsubscribe"}`, Want: `"changed":true`,
		Why: "bounces and complaints get there by webhooks"}},
	refused("a letter to Carl", to(carl), "must not be written to", "looked up before each letter"),
	refused("a letter to carl+x@…, which is Carl's, too", to("carl+x@shop.example"), "must not be written to", "and so is the address that it is a part of"),
	{Step: tour.Step{Asked: "Carl off the list again", Tool: "mail_remove_suppression", Args: `{"address":"` + carl + `","reason":"unsubscribe"}`, Want: "said no", Failed: true, Declined: true,
		Question: "let mail go to " + carl + " again: its owner does not want any mail", Why: "only a person takes it off"}},
}

// shipped is a template with a name in its subject and its HTML.
const shipped = `"subject":"For {{.name}}","text":"Dear {{.name}}, it is on its way.","html":"<p>Dear {{.name}}</p>","variables":[{"name":"name","type":"text","max":100}]`

// templates bring no letter.
var templates = []step{
	{Step: tour.Step{Asked: "A template with code in it", Tool: "mail_validate_template", Args: `{"name":"code","subject":"s","text":"{{printf \"%s\" .name}}"}`, Want: `"valid":false`,
		Why: "values, conditions and lists, and nothing that runs"}},
	{Step: tour.Step{Asked: "One for letters to customers", Tool: "mail_create_template", Args: `{"name":"shipped",` + shipped + `}`, Want: `"revision"`,
		Why: "kept in the operator's directory"}},
	{Step: tour.Step{Asked: "It, for a customer whose name is HTML", Tool: "mail_render_template", Args: `{"name":"shipped","values":{"name":"<a href=https://evil.example>Ann</a>"}}`,
		Want: "<p>Dear &lt;a href=https://evil.example&gt;Ann", Never: "<p>Dear <a", Why: "text, where it stands"}},
	{Step: tour.Step{Asked: "It, for one whose name has a line break and a Bcc", Tool: "mail_render_template", Args: `{"name":"shipped","values":{"name":"Ann\r\nBcc: ` + eve + `"}}`,
		Want: "name holds invisible", Failed: true, Why: "no value gets out of its line"}},
}

// Both are about letters of their own.
var (
	stripped = refused("a letter, while somebody takes STARTTLS out of the server's offer", with(func(l *letter) { l.Subject = "Stripped" }), "it offers no STARTTLS",
		"no TLS: no password and no mail, to this machine neither")
	lost = step{tour.Step{Asked: "a letter, after which the connection is reset", Tool: sendTool, Args: with(func(l *letter) { l.Subject = "Lost" }), Failed: true,
		Want: "unknown: the message was handed over and no answer came", Why: "the server had it: a retry would have sent it twice"}, 1}
	lostAgain = refused("the same once more", lost.Args, "unknown: ", "it is not sent again; a person looks into the log of the mail server")
)

// refused is a call of mail_send that must fail, for a reason.
func refused(asked, args, why, because string) step {
	return step{Step: tour.Step{Asked: asked, Tool: sendTool, Args: args, Failed: true, Want: why, Why: because}}
}

func forged(st step) step {
	st.Forged = true
	return st
}
