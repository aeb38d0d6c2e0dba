package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/examples/internal/mailtour"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// The tour shows every step, and ends well, whatever is configured beside it.
func TestMailTour(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := command(t, dir, []string{"-tour"}, "MAILTOOL_HOST=smtp.example.com", "MAILTOOL_PASSWORD=q7canary", "MAILTOOL_BCC=true").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const steps = 7 + 2 + 5 + 14 + 1 + 4 + 4 + 3 + 1 + 3 // and results, of sending, arrived, attacks, suppressions, templates, trouble, records
	if got := strings.Count(string(out), "✓"); got != steps || strings.Contains(string(out), "✗") {
		t.Errorf("%d steps went well, want %d:\n%s", got, steps, out)
	}
	for _, want := range []string{"the person is asked: ", "They say no.", "RCPT TO:<ann@customer.example>", "The DKIM signature of shop.example verifies", "records verify", "Connect a real client"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v: left is %s", err, left)
	}
}

// Nobody reads to the end: nothing is left behind all the same.
func TestMailTourUnread(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := command(t, dir, []string{"-tour"})
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('1'); err != nil {
		t.Fatalf("%v: got %q", err, line)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ends well")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v: left is %s", err, left)
	}
}

// Whatever protection is missing, the tour ends with an error that names what it saw,
// and with nothing left behind.
func TestMailTourNotices(t *testing.T) {
	for setting, want := range map[string]string{
		"CA_FILE=":                                   "Does the mail server work?: the server answered",
		"PASSWORD_FILE=nowhere":                      "starting the server",
		"ALLOW=shop.example":                         "Whom may I write to?: the server answered",
		"INTERNAL=customer.example":                  "How would the letter look?: the server answered",
		"INTERNAL=shop.example,ann@customer.example": "Send it: the server answered",
		"TOOLS=read,send,suppression":                "A template with code in it: ",
		"TOOLS=read":                                 "Send it: ",
		"FROM_NAME=Another shop":                     "the header names others than the envelope",
		"DKIM_SELECTOR=s2":                           "the signature does not verify",
		"DKIM_DOMAIN=orders.example":                 "starting the server",
		"BCC=true":                                   "a Bcc: the server answered",
		"ATTACHMENTS=.txt":                           "a program called invoice.pdf: the server answered",
		"LIMIT_PER_RECIPIENT=1":                      "the ends of a message, in the text: the server answered",
		"AUDIT_FILE=nowhere/audit.jsonl":             "starting the server",
	} {
		t.Run(setting, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			var out bytes.Buffer
			g := mailtour.Guide{P: tour.NewPrinter(&out), Spoil: []string{prefix + setting}, Server: func(_ context.Context, settings []string) (*exec.Cmd, error) {
				return command(t, dir, nil, settings...), nil
			}}
			if err := g.Show(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("it ends with %v, want %s", err, want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%v: left is %s", err, left)
			}
		})
	}
}
