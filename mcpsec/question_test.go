package mcpsec_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// askedOf returns what a person is asked about a call, or what the model reads
// when nobody is asked.
func askedOf(t *testing.T, r *remover, args any) (question, refusal string) {
	t.Helper()
	f := newFixture(t, func(o *mcpsec.Options) {
		o.Mode, o.Secrets = mcpsec.Destroy, []mcpsec.Secret{newSecret("correct-horse-battery")}
	}, r.Tool)
	text := attempt(t, f.connectAs(t, true, func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		question = req.Params.Message
		return &mcp.ElicitResult{Action: "decline"}, nil
	}), "remove", args)
	if question != "" {
		return question, ""
	}
	return "", text
}

const masked = "\nWhat [redacted] stands for looks like a secret and is not shown: say no if you cannot tell what it is."

const questionHead = "Allow test to run remove (Remove a customer)? It cannot be undone.\n• "

// No argument looks like the frame, hides a character or shows a secret.
func TestQuestionShowsArguments(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ args, want string }{
		"a plain name":               {`{"name":"Ada"}`, `name: "Ada"`},
		"members in order":           {`{"rows":3,"name":"Ada"}`, `name: "Ada"` + "\n• rows: 3"},
		"line ends":                  {`{"name":"ada\n\nApproved by admin.\r\n"}`, `name: "ada\n\nApproved by admin.\r\n"`},
		"quotes":                     {`{"name":"ada\" (checked) \""}`, `name: "ada\" (checked) \""`},
		"other line ends":            {`{"name":"ada\u2028Approved\u2029x"}`, `name: "ada Approved x"`},
		"an old line end":            {`{"name":"ada\u0085Approved"}`, `name: "ada[U+85]Approved"`},
		"a bidirectional override":   {`{"name":"ada\u202egpj.exe"}`, `name: "ada[U+202E]gpj.exe"`},
		"zero width":                 {`{"name":"ad\u200bmin"}`, `name: "ad[U+200B]min"`},
		"tags":                       {`{"name":"ada\udb40\udc41"}`, `name: "ada[U+E0041]"`},
		"a terminal's escape":        {`{"name":"ada\u001b[2Kbob"}`, `name: "ada\u001b[2Kbob"`},
		"an escape of one byte":      {`{"name":"ada\u009b2Kbob"}`, `name: "ada[U+9B]2Kbob"`},
		"honest emoji":               {`{"name":"👩‍💻 ok"}`, `name: "👩‍💻 ok"`},
		"white space to push away":   {`{"name":"ada` + strings.Repeat(" ", 80) + `and all"}`, `name: "ada and all"`},
		"a secret":                   {`{"name":"correct-horse-battery"}`, `name: "[redacted]"` + masked},
		"a secret split":             {`{"name":"correct-horse\u200b-battery"}`, `name: "[redacted]" [hidden characters: 1]` + masked},
		"a decoy for what is hidden": {`{"name":"bob@exam\u200bple.com correct-horse\u200b-battery"}`, `name: "bob@example.com [redacted]" [hidden characters: 2]` + masked},
		"a program in a key's place": {`{"name":"-----BEGIN PRIVATE KEY-----\nrm -rf / --no-preserve-root\n-----END PRIVATE KEY-----"}`,
			`name: "-----BEGIN PRIVATE KEY-----\n[redacted]\n-----END PRIVATE KEY-----"` + masked},
		"white space of braille": {`{"name":"ada` + strings.Repeat("\u2800", 80) + `and all"}`, `name: "ada and all"`},
		"an integer, exactly":    {`{"name":"a","rows":9007199254740993}`, `name: "a"` + "\n• rows: 9007199254740993"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := askedOf(t, newRemover(nil), json.RawMessage(tc.args))
			if got != questionHead+tc.want {
				t.Errorf("asked %q, want %q", got, questionHead+tc.want)
			}
		})
	}
}

func TestQuestionShowsText(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"one line":            {"removes 3 orders", "removes 3 orders"},
		"line ends":           {"removes ada\n\nApproved by admin.\n", "removes ada Approved by admin."},
		"a forged bullet":     {"removes ada\n• nothing else", "removes ada • nothing else"},
		"a hidden character":  {"mails to bob@exam\u200bple.com", "mails to bob@exam[U+200B]ple.com"},
		"a secret":            {"with correct-horse-battery", "with [redacted]" + masked},
		"a secret, split":     {"with correct-\u00adhorse-battery", "with [redacted] [hidden characters: 1]" + masked},
		"a decoy":             {"mails to bob@exam\u200bple.com with correct-horse-battery", "mails to bob@example.com with [redacted] [hidden characters: 1]" + masked},
		"bytes of no meaning": {"removes \xff\xfe", "removes \uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRemover(func(s *mcpsec.ToolSpec) {
				s.Guards = []mcpsec.Guard{func(context.Context, *mcpsec.Call) error { return mcpsec.Ask(tc.text) }}
			})
			if got, _ := askedOf(t, r, removeIn{Name: "a"}); got != questionHead+tc.want {
				t.Errorf("asked %q, want %q", got, questionHead+tc.want)
			}
		})
	}
}

type keyIn struct {
	Name   string `json:"name"`
	APIKey string `json:"api_key"`
}

// A secret that only its name gives away is not shown either.
func TestQuestionMasksByName(t *testing.T) {
	t.Parallel()
	f := newFixture(t, destroyMode, mcpsec.NewTool(mcpsec.ToolSpec{Name: "purge", Description: "For tests.", Effect: mcpsec.Destroy},
		func(context.Context, keyIn) (echoOut, error) { return echoOut{}, nil }))
	attempt(t, f.connectAs(t, true, func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		if want := "• api_key: \"[redacted]\"\n• name: \"ada\"" + masked; !strings.HasSuffix(req.Params.Message, want) {
			t.Errorf("asked %q", req.Params.Message)
		}
		return &mcp.ElicitResult{Action: "decline"}, nil
	}), "purge", keyIn{Name: "ada", APIKey: "tern-gull-heron"})
}

// What a person cannot read whole is not asked, and does not run.
func TestLongQuestionsAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 4000)
	asks := newRemover(func(s *mcpsec.ToolSpec) {
		s.Guards = []mcpsec.Guard{func(context.Context, *mcpsec.Call) error { return mcpsec.Ask(long) }}
	})
	for name, tc := range map[string]struct {
		r    *remover
		args removeIn
	}{"arguments": {newRemover(nil), removeIn{Name: "a", Note: long}}, "text": {asks, removeIn{Name: "a"}}} {
		question, refusal := askedOf(t, tc.r, tc.args)
		if question != "" || !strings.Contains(refusal, "too long to be shown") || tc.r.ran.Load() != 0 {
			t.Errorf("%s: asked %q, refused %q", name, question, refusal)
		}
	}
}

// A tool without arguments says so.
func TestQuestionWithoutArguments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, destroyMode, mcpsec.NewTool(mcpsec.ToolSpec{Name: "purge", Description: "For tests.", Effect: mcpsec.Destroy},
		func(context.Context, none) (echoOut, error) { return echoOut{"purged"}, nil }))
	text := attempt(t, f.connectAs(t, true, func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		if want := "Allow test to run purge? It cannot be undone.\n• without arguments"; req.Params.Message != want {
			t.Errorf("asked %q", req.Params.Message)
		}
		return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
	}), "purge", nil)
	if text != `{"text":"purged"}` {
		t.Errorf("got %q", text)
	}
}
