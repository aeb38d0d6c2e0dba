package mailtool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// testClient is a client that connects to nothing.
func testClient(t testing.TB, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{Host: "smtp.example.com", From: "orders@example.com", FromName: "Orders", Recipients: Recipients{Allow: []string{"example.com", "customer.example"}}}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return time.Date(2026, 3, 28, 9, 5, 7, 0, time.UTC) }
	return c
}

func testMessage() Message {
	return Message{To: []string{"bob@example.com"}, Cc: []string{"ann@customer.example"}, Subject: "Hello", Text: "Good day.\n.\n..\nFrom here\n"}
}

func mustBuild(t testing.TB, c *Client, m Message) *built {
	t.Helper()
	b, err := c.build(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// speak writes what a library writes for a message, and returns what came through the
// gate.
func speak(c *Client, b *built, commands []string, content []byte) (string, *gate, error) {
	var out bytes.Buffer
	g := &gate{w: bufio.NewWriter(&out), allows: c.policy.allows}
	g.expect(b)
	w := textproto.NewWriter(bufio.NewWriter(g))
	for _, line := range commands {
		if err := w.PrintfLine("%s", line); err != nil {
			return out.String(), g, err
		}
	}
	d := w.DotWriter()
	if _, err := d.Write(content); err != nil {
		return out.String(), g, err
	}
	err := d.Close()
	return out.String(), g, err
}

var dialogue = []string{"MAIL FROM:<orders@example.com> BODY=8BITMIME", "RCPT TO:<bob@example.com>", "RCPT TO:<ann@customer.example>", "DATA"}

// What passes the gate is the declared envelope and the confirmed message; one
// recipient more, one less or another, and not even DATA is sent.
func TestGate(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	b := mustBuild(t, c, testMessage())
	out, g, err := speak(c, b, dialogue, b.signed())
	if err != nil || !g.over || !strings.HasSuffix(out, "DATA\r\n"+string(stuffed(b.signed()))) {
		t.Fatalf("got %q, %v", out, err)
	}
	for name, commands := range map[string][]string{
		"one more":                 slices.Insert(slices.Clone(dialogue), 3, "RCPT TO:<eve@example.com>"),
		"one more, who is outside": slices.Insert(slices.Clone(dialogue), 3, "RCPT TO:<eve@evil.example>"),
		"one twice":                slices.Insert(slices.Clone(dialogue), 3, "RCPT TO:<bob@example.com>"),
		"one less":                 slices.Delete(slices.Clone(dialogue), 2, 3),
		"none":                     {dialogue[0], "DATA"},
		"another":                  {dialogue[0], dialogue[1], "RCPT TO:<eve@example.com>", "DATA"},
		"another sender":           {"MAIL FROM:<eve@example.com>", dialogue[1], dialogue[2], "DATA"},
		"forgotten by RSET":        {dialogue[0], dialogue[1], dialogue[2], "RSET", "DATA"},
		"MAIL once more":           {dialogue[0], dialogue[1], dialogue[2], dialogue[0], "DATA"},
		"other parameters":         {dialogue[0], dialogue[1], "RCPT TO:<ann@customer.example> ORCPT=rfc822;eve@evil.example", "DATA"},
		"another spelling":         {dialogue[0], dialogue[1], "rcpt to:<eve@evil.example>", dialogue[2], "DATA"},
		"another command":          slices.Insert(slices.Clone(dialogue), 3, "XFORWARD ADDR=eve@evil.example"),
		"BDAT":                     {dialogue[0], dialogue[1], dialogue[2], "BDAT 10 LAST"},
		"two in one line":          {dialogue[0], dialogue[1], "RCPT TO:<ann@customer.example>\nRCPT TO:<eve@evil.example>", "DATA"},
		"too long":                 {dialogue[0], strings.Repeat("x", 10_000)},
	} {
		out, g, err := speak(c, b, commands, b.signed())
		var refused *envelopeError
		if !errors.As(err, &refused) || g.over || strings.Contains(out, "DATA") {
			t.Errorf("%s: got %q, %v", name, out, err)
		}
	}
}

// Other bytes than the message's end before the final dot.
func TestGateContent(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	b := mustBuild(t, c, testMessage())
	whole := b.signed()
	for name, content := range map[string][]byte{
		"a header before": append([]byte("Bcc: eve@evil.example\r\n"), whole...),
		"more behind":     append(slices.Clone(whole), "more\r\n"...),
		"one byte":        bytes.Replace(whole, []byte("Good"), []byte("Food"), 1),
		"cut off":         whole[:len(whole)-20],
		"nothing":         {},
	} {
		out, g, err := speak(c, b, dialogue, content)
		var refused *envelopeError
		if err == nil && name != "cut off" && name != "nothing" || err != nil && !errors.As(err, &refused) || strings.HasSuffix(out, "\r\n.\r\n") || g.over {
			t.Errorf("%s: got %q, %v, over is %t", name, out, err, g.over)
		}
	}
}

// A message that was changed after it was built, or whose recipients the policy does
// not hold, does not pass, whoever has changed it.
func TestCheckOfTheMessage(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	allow := func(b *built) error { return b.check(b.from, b.rcpts, c.policy.allows) }
	for name, change := range map[string]func(*built){
		"body":                    func(b *built) { b.rest = append(b.rest, "more\r\n"...) },
		"header":                  func(b *built) { b.rest = append([]byte("Bcc: eve@example.com\r\n"), b.rest...) },
		"recipient":               func(b *built) { b.rcpts = append(b.rcpts, "eve@example.com") },
		"recipient, another":      func(b *built) { b.rcpts[0] = "eve@example.com" },
		"sender":                  func(b *built) { b.from = "eve@example.com" },
		"stamp with a header":     func(b *built) { b.stamp = append(b.stamp, "Bcc: eve@example.com\r\n"...) },
		"signature with a header": func(b *built) { b.signature = []byte("DKIM-Signature: x\r\nBcc: eve@example.com\r\n") },
		"signature with a body":   func(b *built) { b.signature = []byte("DKIM-Signature: x\r\n\r\n") },
		"no stamp":                func(b *built) { b.stamp = nil },
		"outside":                 func(b *built) { b.rcpts[0] = "eve@evil.example"; b.digest = b.sum() },
		"spelling":                func(b *built) { b.rcpts[0] = "Bob@example.com"; b.digest = b.sum() },
		"bare LF":                 func(b *built) { b.rest = append(b.rest, "\n.\n\r\n"...); b.digest = b.sum() },
		"bare CR":                 func(b *built) { b.rest = append(b.rest, "\r\n.\r x\r\n"...); b.digest = b.sum() },
		"NUL":                     func(b *built) { b.rest = append(b.rest, "\x00\r\n"...); b.digest = b.sum() },
		"8 bit":                   func(b *built) { b.rest = append(b.rest, "\xe9\r\n"...); b.digest = b.sum() },
		"long line":               func(b *built) { b.rest = append(b.rest, strings.Repeat("x", 999)+"\r\n"...); b.digest = b.sum() },
		"no end":                  func(b *built) { b.rest = append(b.rest, "x"...); b.digest = b.sum() },
	} {
		b := mustBuild(t, c, testMessage())
		if err := allow(b); err != nil {
			t.Fatal(err)
		}
		change(b)
		if allow(b) == nil {
			t.Errorf("%s: it passes", name)
		}
	}
}

// The digest is of envelope and message: it is the same when the same is built again,
// and another when anything is another, a hidden recipient too.
func TestDigest(t *testing.T) {
	t.Parallel()
	c := testClient(t, func(o *Options) { o.Bcc = true; o.ReplyTo = []string{"help@example.com"} })
	first := mustBuild(t, c, testMessage())
	c.now = func() time.Time { return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) }
	if again := mustBuild(t, c, testMessage()); again.digest != first.digest || again.messageID == first.messageID {
		t.Errorf("got %s and %s", again.digest, first.digest)
	}
	seen := map[string]string{first.digest: "the first"}
	for name, change := range map[string]func(*Message){
		"to":         func(m *Message) { m.To = []string{"eve@example.com"} },
		"to and cc":  func(m *Message) { m.To, m.Cc = m.Cc, m.To },
		"bcc":        func(m *Message) { m.Bcc = []string{"eve@example.com"} },
		"reply-to":   func(m *Message) { m.ReplyTo = "help@example.com" },
		"subject":    func(m *Message) { m.Subject += "!" },
		"text":       func(m *Message) { m.Text += "!" },
		"html":       func(m *Message) { m.HTML = "<p>x</p>" },
		"attachment": func(m *Message) { m.Attachments = []Attachment{{Name: "a.txt", Content: []byte("x")}} },
		"its name":   func(m *Message) { m.Attachments = []Attachment{{Name: "b.txt", Content: []byte("x")}} },
		"content":    func(m *Message) { m.Attachments = []Attachment{{Name: "a.txt", Content: []byte("y")}} },
		"thread":     func(m *Message) { m.InReplyTo = "<a@example.com>" },
	} {
		m := testMessage()
		change(&m)
		b := mustBuild(t, c, m)
		if other, ok := seen[b.digest]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[b.digest] = name
	}
}

// No text ends a message early: not with a dot between bare line ends either
// (CVE-2023-51764, CVE-2023-51765, CVE-2023-51766).
func FuzzNothingEndsTheMessage(f *testing.F) {
	for _, s := range []string{"\n.\n", "\r\n.\r", "\r.\r", "\n.\r\n", "\r\n.\n", ".", "..", "a\r\n.\r\nMAIL FROM:<x>", "\r\n\x00.\r\n", "=\r\n.\r\n", strings.Repeat("x", 75) + "." + "\r\n", "é\n.\n"} {
		f.Add(s, s)
	}
	c := testClient(f)
	f.Fuzz(func(t *testing.T, text, file string) {
		m := testMessage()
		m.Text = "a" + text + "b"
		if file != "" {
			m.Attachments = []Attachment{{Name: "a.txt", Content: []byte(file)}}
		}
		b, err := c.build(m)
		if err != nil {
			return
		}
		wire := stuffed(b.signed())
		if err := b.check(b.from, b.rcpts, c.policy.allows); err != nil {
			t.Error(err)
		}
		for _, end := range []string{"\n.\n", "\n.\r", "\r.\r", "\r.\n"} {
			if i := bytes.Index(wire, []byte(end)); i >= 0 && i < len(wire)-len("\n.\r\n") {
				t.Errorf("%q is at %d of %q", end, i, wire)
			}
		}
		if got := textprotoRead(t, wire); got != string(b.signed()) {
			t.Errorf("got %q, want %q", got, b.signed())
		}
	})
}

// textprotoRead reads a content as a server does, line ends as they are.
func textprotoRead(t *testing.T, wire []byte) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.SplitAfterSeq(string(wire), "\r\n") {
		if line == ".\r\n" {
			return out.String()
		}
		out.WriteString(strings.TrimPrefix(line, "."))
	}
	t.Errorf("no end in %q", wire)
	return ""
}

// The end of a content that is cut off is known: the gate has not seen the final dot.
func TestOutcome(t *testing.T) {
	t.Parallel()
	refused := &refusal{step: "content", code: 554}
	for _, c := range []struct {
		over    bool
		err     error
		unknown bool
	}{
		{false, errors.New("reset"), false}, {true, errors.New("reset"), true}, {true, &fault{"content", errors.New("reset")}, true}, {true, nil, false}, {true, refused, false}, {true, &refusal{step: "content", code: 451}, false},
		{true, &refusal{step: "content", code: 354}, true}, {true, fmt.Errorf("x: %w", refused), false}, {false, refused, false},
	} {
		s := &session{gate: &gate{over: c.over}}
		if got := s.unknown(c.err); got != c.unknown {
			t.Errorf("over %t, %v: got %t", c.over, c.err, got)
		}
	}
}

// Without TLS no password goes out, also not to this machine, for which the library
// makes an exception.
func TestNoPasswordInTheClear(t *testing.T) {
	t.Parallel()
	o := Options{Host: "localhost", From: "a@example.com", Username: "u", Recipients: Recipients{Allow: []string{"example.com"}}, Waive: []mcpsec.Waiver{{Kind: waive.PlaintextMail, Reason: "a test"}}}
	o.Password = mcpsecSecret("p")
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "in the clear") {
		t.Errorf("got %v", err)
	}
}

// A call that repeats what is forgotten sends nothing, and holds nobody up.
func TestForgotten(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	for range 2 {
		if r, err := c.once(t.Context(), "mailtool once x", nil); err == nil || !strings.Contains(err.Error(), "forgotten") {
			t.Errorf("got %v, %v", r, err)
		}
	}
}

// A library that sends a message once more, after it was taken, sends nothing.
func TestGateOnce(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	b := mustBuild(t, c, testMessage())
	_, g, err := speak(c, b, dialogue, b.signed())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range dialogue {
		_, err = g.Write([]byte(line + "\r\n"))
		if (err != nil) != (line == "DATA") {
			t.Errorf("%s: got %v", line, err)
		}
	}
	var refused *envelopeError
	if !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}
