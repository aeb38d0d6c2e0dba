package mailtool

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/mcpsec/mcpsec-go/mailtool"
)

// payloads are put into every field.
var payloads = []string{
	"\r\nBcc: eve@evil.example", "\nBcc: eve@evil.example", "\rBcc: eve@evil.example", "\r\n Bcc: eve@evil.example", "\r\n\tfolded", "\r\n\r\nanother body", "\n\nanother body", "\x00", "\x00\r\nBcc: eve@evil.example",
	"=?utf-8?q?=0D=0ABcc:_eve@evil.example?=", "=?utf-8?B?DQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=", "=?utf-7?Q?+AA0ACg-Bcc?=", "=?iso-8859-1?q?a?=\r\n =?iso-8859-1?q?b?=", "\u2028Bcc: eve@evil.example", "\u2029Bcc: eve@evil.example",
	"\u0085Bcc: eve@evil.example", "%0d%0aBcc: eve@evil.example", `\r\nBcc: eve@evil.example`, "\v", "\f", "\x1a", "\x1b[31m", "\x7f", "\u202emoc.live@eve", "\u200b", "\ufeff", "\u00ad", "\U000e0042\U000e0063", "\xff\xfe", "\xc0\x8d\xc0\x8a",
	"嘍嘊Bcc: eve@evil.example", "ĊčBcc: eve@evil.example", "\r\n.\r\n", "\n.\n", "\r.\r", "\r\n.\r", "\n.\r\n", "\r\n.\n", ".\r\n", "\r\n.\r\nMAIL FROM:<eve@evil.example>\r\nRCPT TO:<eve@evil.example>\r\nDATA\r\n",
	"\n.\nMAIL FROM:<eve@evil.example>\nRCPT TO:<eve@evil.example>\nDATA\n", "\r\n..\r\n", "\r\n--=_mixed--\r\n", "\r\n--=_alternative\r\nContent-Type: text/html\r\n\r\n<b>", "--=_mixed", `"; filename="run.exe`, "<eve@evil.example>", ", eve@evil.example",
	"; eve@evil.example", " eve@evil.example", "(eve@evil.example)", "🙂", "ünïcode", strings.Repeat("x", 1100), strings.Repeat("é", 300),
}

// mailboxes are what people, and those who attack them, take for an address. Of those
// that may be written to it says what the envelope holds.
var mailboxes = map[string]string{
	"bob@example.com": "bob@example.com", "BOB@EXAMPLE.COM": "bob@example.com", "bob+tag@example.com": "bob+tag@example.com", "o'hara@example.com": "o'hara@example.com", "a.b-c_d@example.com": "a.b-c_d@example.com",
	"x@bücher.example": "x@xn--bcher-kva.example", "x@BÜCHER.EXAMPLE": "x@xn--bcher-kva.example", "x@xn--bcher-kva.example": "x@xn--bcher-kva.example", "x@XN--BCHER-KVA.example": "x@xn--bcher-kva.example", "x@a.partner.example": "x@a.partner.example",
	"x@a.b.partner.example":        "x@a.b.partner.example",
	"a@example.com, b@example.com": "", "a@example.com,b@example.com": "", "a@example.com;b@example.com": "", "a@example.com b@example.com": "", "<bob@example.com>": "", "Bob <bob@example.com>": "", `"Bob" <bob@example.com>`: "",
	`"bob"@example.com`: "", `"eve@evil.example "@example.com`: "", `"a\"b"@example.com`: "", "bob(comment)@example.com": "", "bob@example.com(comment)": "", "(c)bob@example.com": "", "bob@(c)example.com": "", "bob @example.com": "", "bob@ example.com": "",
	" bob@example.com": "", "bob@example.com ": "", "\tbob@example.com": "", "@evil.example:bob@example.com": "", "@evil.example,@x.example:bob@example.com": "", "bob%evil.example@example.com": "", "evil.example!bob@example.com": "", "bob@[127.0.0.1]": "",
	"bob@[IPv6:::1]": "", "bob@127.0.0.1": "", "bob@localhost": "", "bob@example.com.": "", "bob@.example.com": "", "bob@example..com": "", ".bob@example.com": "", "bob.@example.com": "", "bo..b@example.com": "", "@example.com": "", "bob@": "", "bob": "", "": "",
	"group: bob@example.com;": "", "undisclosed-recipients:;": "", "bob@example.com>": "", "bob@example.com> NOTIFY=NEVER": "", "bob@example.com>\r\nRCPT TO:<eve@evil.example": "", "bob@example.com ORCPT=rfc822;eve@evil.example": "",
	"bob@evil.example@example.com": "", "bob@example.com@evil.example": "", `bob\@evil.example@example.com`: "", "bob@exam ple.com": "", "bob@exam_ple.com": "", "bob@-example.com": "", "bob@example-.com": "", "bob@sub.example.com": "", "bob@notexample.com": "",
	"bob@example.com.evil.example": "", "bob@example.comevil.example": "", "bob@partner.example": "", "bob@evilpartner.example": "", "bob@customer.example": "", "annn@customer.example": "", "ann+x@customer.example": "", "boss@example.com": "", "BOSS@example.com": "", "boss+x@example.com": "",
	"bоb@example.com": "", "bob@exаmple.com": "", "bob@еxample.com": "", "bob@example.сom": "", "bob＠example.com": "", "bob@ｅxample.com": "", "bob@example。com": "", "bob@example．com": "", "bob@exam\u00adple.com": "", "bob@exam\u200bple.com": "", "bob@example\u200d.com": "",
	"bob@exampⅼe.com": "", "bob@ﬀ.example.com": "", "x@bu\u0308cher.example": "", "x@buecher.example": "", "x@xn--bcher-kva.example.com": "", "bob@xn--exmple-cua.com": "", "bob@xn--example-.com": "", "bob@xn--a.example": "", "b\u00f6b@example.com": "", "bob\u0000@example.com": "",
	"bob@example.com\u0000": "", "bob\n@example.com": "", "bob@example\n.com": "", "bob@example.com\r": "", "\"\"@example.com": "", "*@example.com": "*@example.com", "bob@*.example.com": "", "mailto:bob@example.com": "", "bob@example.com?bcc=eve@evil.example": "",
	strings.Repeat("b", 65) + "@example.com": "", "bob@" + strings.Repeat("a.", 130) + "partner.example": "", "bob@" + strings.Repeat("a", 64) + ".partner.example": "", "=?utf-8?q?eve=40evil.example?=@example.com": "",
}

// attachments are names and contents; those that may be sent are true.
var attachments = map[[2]string]bool{
	{"a.txt", "text"}: true, {"Größe 1.csv", "a,b"}: true, {"a.b.txt", "text"}: true, {"A.PDF", "%PDF-1.7 x"}: true, {"a.exe", "MZ"}: false, {"a.txt", "MZ\x90"}: false, {"a.pdf", "#!/bin/sh"}: false, {"a.pdf.exe", "MZ"}: false, {"a.exe.pdf", "%PDF-1.7"}: false,
	{"a.pdf .exe", "x"}: false, {"a.exe .pdf", "%PDF-1.7"}: false, {"a.EXE.pdf", "%PDF-1.7"}: false, {"a\u202efdp.exe", "x"}: false, {"a\u202etxt.exe", "x"}: false, {"a.txt.", "x"}: false, {"a.txt ", "x"}: false, {"a.exe.", "x"}: false, {" a.txt", "x"}: false, {".txt", "x"}: false, {"a.txt\u200b", "x"}: false,
	{"../a.txt", "x"}: false, {"/etc/passwd.txt", "x"}: false, {`..\a.txt`, "x"}: false, {`c:\a.txt`, "x"}: false, {"a.txt:b.exe", "x"}: false, {"a\r\nX: y.txt", "x"}: false, {"a\n.txt", "x"}: false, {"a\x00.exe.txt", "x"}: false, {`a".txt`, "x"}: false, {`a"; x="b.txt`, "x"}: false, {"a;b.txt", "x"}: false,
	{"=?utf-8?q?a.exe?=.txt", "x"}: false, {"a%2eexe%00.txt", "x"}: false, {"a.html", "<html>"}: false, {"a.txt", "<html><script>x</script>"}: false, {"a.txt", "  <!DOCTYPE html>"}: false, {"a.svg", "<svg>"}: false, {"a.txt", "<svg onload=x>"}: false, {"a.txt", "<?xml version=\"1.0\"?><svg/>"}: false, {"a.png", "GIF89a"}: false, {"a.png", "text"}: false,
	{"a.pdf", "text"}: false, {"a.txt", "%PDF-1.7"}: false, {"a.txt", "\x7fELF"}: false, {"a.docx", "PK\x03\x04broken"}: false, {"a.zip", "PK\x03\x04"}: false, {"a.js", "x"}: false, {"a.lnk", "x"}: false, {"a.docm", "x"}: false, {"a.iso", "x"}: false, {"a.txt", "a\x00b"}: false, {"a.txt", "\xff\xfea\x00"}: false, {"a．exe.txt", "x"}: false,
	{"a.ｅｘｅ", "x"}: false, {"a.exe\u2024txt", "x"}: false, {"a  .txt", "x"}: false, {"a..txt", "x"}: false, {"CON", "x"}: false, {"a", "x"}: false, {strings.Repeat("a", 100) + ".txt", "x"}: false, {"a.txt", ""}: false, {"a.txt/", "x"}: false, {"日本.txt", "x"}: true, {"a<b>.txt", "x"}: false, {"a.txt", "=cmd()"}: true,
	{"a.txt", "\n.\n\r\n.\r\n"}: true,
}

// TestInjection is the corpus: whatever stands in whatever field, what a server gets is
// exactly what was declared, or nothing.
func TestInjection(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opt := options(o.port)
	opt.Bcc, opt.ReplyTo = true, []string{"help@example.com"}
	c := newClient(t, opt)
	cases, sent := 0, 0
	// try sends a message, and reports whether it got there; it must be as it was declared.
	try := func(what string, m mailtool.Message, envelope ...string) bool {
		t.Helper()
		cases++
		before := len(o.got())
		_, err := c.Send(t.Context(), m)
		got := o.got()[before:]
		switch {
		case err != nil && len(got) == 0:
			return false
		case err != nil || len(got) != 1:
			t.Errorf("%s: %v, and %d letters", what, err, len(got))
			return false
		}
		sent++
		if got[0].from != sender || !slices.Equal(got[0].rcpts, envelope) {
			t.Errorf("%s: the envelope is %q, want %q", what, got[0], envelope)
		}
		asDeclared(t, what, m, got[0].data)
		return true
	}
	good := func() mailtool.Message { return hello("bob@example.com") }
	for address, want := range mailboxes {
		for field, set := range map[string]func(*mailtool.Message, string){
			"to":  func(m *mailtool.Message, s string) { m.To = append(m.To, s) },
			"cc":  func(m *mailtool.Message, s string) { m.Cc = []string{s} },
			"bcc": func(m *mailtool.Message, s string) { m.Bcc = []string{s} },
		} {
			m := mailtool.Message{To: []string{"first@example.com"}, Subject: "Hello", Text: "Good day.\n"}
			set(&m, address)
			if ok := try(field+" "+address, m, "first@example.com", want); ok != (want != "") {
				t.Errorf("%s %q: sent is %t", field, address, ok)
			}
		}
	}
	for _, p := range payloads {
		for field, set := range map[string]func(m *mailtool.Message){
			"to":          func(m *mailtool.Message) { m.To = append(m.To, "ann@customer.example"+p) },
			"local part":  func(m *mailtool.Message) { m.To = append(m.To, "b"+p+"@example.com") },
			"reply-to":    func(m *mailtool.Message) { m.ReplyTo = "help@example.com" + p },
			"in-reply-to": func(m *mailtool.Message) { m.InReplyTo = "<a" + p + "@example.com>" },
			"references":  func(m *mailtool.Message) { m.References = []string{"<a@example.com>" + p} },
			"unsubscribe": func(m *mailtool.Message) { m.Unsubscribe = "https://example.com/" + p },
			"attachment": func(m *mailtool.Message) {
				m.Attachments = []mailtool.Attachment{{Name: "a" + p + ".txt", Content: []byte("x")}}
			},
		} {
			m := good()
			set(&m)
			envelope := []string{"bob@example.com"}
			if len(m.To) > 1 {
				envelope = append(envelope, strings.ToLower(m.To[1]))
			}
			if try(field+" "+p, m, envelope...) && strings.ContainsFunc(p, unicode.IsControl) {
				t.Errorf("%s %q was sent", field, p)
			}
		}
		for field, set := range map[string]func(m *mailtool.Message){
			"subject": func(m *mailtool.Message) { m.Subject = "a" + p + "b" },
			"text":    func(m *mailtool.Message) { m.Text = "a" + p + "b" },
			"html": func(m *mailtool.Message) {
				m.HTML = "<p>a" + strings.NewReplacer("<", "&lt;", "&", "&amp;").Replace(p) + "b</p>"
			},
			"content": func(m *mailtool.Message) {
				m.Attachments = []mailtool.Attachment{{Name: "a.txt", Content: []byte("a" + p + "b")}}
			},
		} {
			m := good()
			set(&m)
			try(field+" "+p, m, "bob@example.com")
		}
	}
	for _, s := range []string{" a", "a ", "  ", "a  b", "=?", "?="} {
		m := good()
		m.Subject = s
		try("subject "+s, m, "bob@example.com")
	}
	for a, ok := range attachments {
		m := good()
		m.Attachments = []mailtool.Attachment{{Name: a[0], Content: []byte(a[1])}}
		if got := try("attachment "+a[0], m, "bob@example.com"); got != ok {
			t.Errorf("attachment %q with %q: sent is %t", a[0], a[1], got)
		}
	}
	t.Logf("%d cases, %d sent", cases, sent)
	if cases < 300 || sent < 100 || cases-sent < 100 {
		t.Errorf("%d cases, %d sent: the corpus is no corpus", cases, sent)
	}
}

// asDeclared reads a letter as a mail client does, and compares it with what was to be
// sent.
func asDeclared(t *testing.T, what string, m mailtool.Message, data []byte) {
	t.Helper()
	if bytes.Count(data, []byte("\r")) != bytes.Count(data, []byte("\r\n")) || bytes.Count(data, []byte("\n")) != bytes.Count(data, []byte("\r\n")) || bytes.ContainsFunc(data, func(r rune) bool { return r > '~' || r < ' ' && r != '\r' && r != '\n' && r != '\t' }) {
		t.Errorf("%s: not canonical: %q", what, data)
	}
	fields, _ := split(t, data)
	var names []string
	for _, f := range fields {
		name, _, _ := strings.Cut(f, ":")
		names = append(names, name)
	}
	want := []string{"Date", "Message-ID", "From", "To"}
	add := func(given bool, name ...string) {
		if given {
			want = append(want, name...)
		}
	}
	add(len(m.Cc) > 0, "Cc")
	add(m.ReplyTo != "", "Reply-To")
	add(true, "Subject")
	add(m.InReplyTo != "", "In-Reply-To")
	add(len(m.References) > 0, "References")
	add(m.Unsubscribe != "", "List-Unsubscribe", "List-Unsubscribe-Post")
	add(true, "MIME-Version", "Content-Type")
	add(m.HTML == "" && len(m.Attachments) == 0, "Content-Transfer-Encoding")
	if !slices.Equal(names, want) {
		t.Errorf("%s: the header is %q, want %q", what, names, want)
		return
	}
	msg, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject != m.Subject {
		t.Errorf("%s: the subject is %q, want %q", what, subject, m.Subject)
	}
	if from := msg.Header.Get("From"); from != `"Orders" <orders@example.com>` {
		t.Errorf("%s: from %q", what, from)
	}
	parts := leaves(t, msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
	expect := []string{lines(m.Text)}
	if m.HTML != "" {
		expect = append(expect, "")
	}
	for _, a := range m.Attachments {
		expect = append(expect, string(a.Content))
	}
	if len(parts) != len(expect) {
		t.Errorf("%s: %d parts, want %d", what, len(parts), len(expect))
		return
	}
	for i, e := range expect {
		if e != "" && strings.TrimSuffix(parts[i], "\r\n") != strings.TrimSuffix(e, "\r\n") {
			t.Errorf("%s: part %d is %q, want %q", what, i, parts[i], e)
		}
	}
}

func lines(s string) string {
	return strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(s)
}

// leaves are the parts that are not of parts, decoded.
func leaves(t *testing.T, kind, encoding string, body io.Reader) []string {
	t.Helper()
	media, params, err := mime.ParseMediaType(kind)
	if err != nil {
		t.Error(err)
		return nil
	}
	if strings.HasPrefix(media, "multipart/") {
		var out []string
		for r := multipart.NewReader(body, params["boundary"]); ; {
			p, err := r.NextRawPart()
			if err != nil {
				if err != io.EOF {
					t.Error(err)
				}
				return out
			}
			out = append(out, leaves(t, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p)...)
		}
	}
	if encoding == "base64" {
		body = base64.NewDecoder(base64.StdEncoding, body)
	} else {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Error(err)
	}
	return []string{string(text)}
}
