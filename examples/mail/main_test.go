package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/internal/mailbox"
)

const asProgram = "MAIL_EXAMPLE_RUNS"

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(postgres.Main(m))
	}
	main()
}

// command runs the program with these settings only. Its files are in dir.
func command(t *testing.T, dir string, args []string, settings ...string) *exec.Cmd {
	t.Helper()
	cmd, err := child(context.Background(), settings) // the end of its input ends it
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args = append(cmd.Args, args...)
	cmd.Env = append(cmd.Env, asProgram+"=1", "GORACE=atexit_sleep_ms=0", "TMPDIR="+dir, "HOME="+dir, "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	return cmd
}

// Without settings it says which there must be, and that there is a tour.
func TestMailUnconfigured(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string][]string{
		"MAILTOOL_HOST is required":                                       nil,
		"MAILTOOL_FROM is required":                                       nil,
		"MAILTOOL_ALLOW is required":                                      nil,
		"-tour shows the server":                                          nil,
		"MAILTOOL_PASSWORD":                                               {"MAILTOOL_USERNAME=orders"},
		"MAILTOOL_DKIM_DOMAIN":                                            {"MAILTOOL_DKIM_KEY=q7canary-key"},
		"MAILTOOL_ALOW is not known: did you mean MAILTOOL_ALLOW?":        {"MAILTOOL_ALOW=example.com"},
		"MAILTOOL_CA_FILE has no certificate":                             least("MAILTOOL_CA_FILE=" + os.Args[0]),
		"MAILTOOL_CA_FILE: open nowhere":                                  least("MAILTOOL_CA_FILE=nowhere"),
		"MAILTOOL_FILES_DIR: ":                                            least("MAILTOOL_FILES_DIR=nowhere"),
		"MAILTOOL_STATE_URL is no URL":                                    least("MAILTOOL_STATE_URL=q7canary-url"),
		"mailtool: Options.Recipients: PerHour":                           least("MAILTOOL_LIMIT_PER_HOUR=1"),
		"mailtool: Options.DKIM[0].Key: it must be a private key in PEM":  least("MAILTOOL_DKIM_DOMAIN=example.com", "MAILTOOL_DKIM_SELECTOR=s", "MAILTOOL_DKIM_KEY=q7canary-key"),
		"mailtool: Options.Recipients.Allow: \"*\"":                       least("MAILTOOL_ALLOW=*"),
		"mailtool: Options.Attachments: .exe is of programs":              least("MAILTOOL_ATTACHMENTS=.pdf,.exe"),
		"must be one of: read send suppression check templates queue log": least("MAILTOOL_TOOLS=all"),
		"has templates: set MAILTOOL_TEMPLATES_DIR":                       least("MAILTOOL_TOOLS=read,templates"),
		"MAILTOOL_TEMPLATES_DIR: ":                                        least("MAILTOOL_TEMPLATES_DIR=nowhere"),
		"set MAILTOOL_STATE_URL to a database":                            least("MAILTOOL_TOOLS=queue"),
		"and MAILTOOL_QUEUE_KEY to what openssl":                          least("MAILTOOL_TOOLS=log", "MAILTOOL_STATE_URL=q7canary-url"),
		"MAILTOOL_STATE_URL is required":                                  least("MAILTOOL_TOOLS=queue", "MAILTOOL_QUEUE_KEY="+queueKey()),
		"MAILTOOL_QUEUE_KEY is guessable":                                 least("MAILTOOL_TOOLS=queue", "MAILTOOL_QUEUE_KEY=q7canary-key"),
	} {
		dir := t.TempDir()
		out, err := command(t, dir, nil, settings...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "q7canary") {
			t.Errorf("%s: got %v, %s, want %s", settings, err, out, want)
		}
	}
}

// least are settings that suffice, and others, which count before them.
func least(settings ...string) []string {
	return append([]string{"MAILTOOL_HOST=smtp.example.com", "MAILTOOL_FROM=orders@example.com", "MAILTOOL_ALLOW=example.com"}, settings...)
}

// A session is a client with the program at its other end, and a person who says yes.
type session struct {
	*mcp.ClientSession
	t     *testing.T
	asked []string
}

func connect(t *testing.T, settings ...string) *session {
	t.Helper()
	s := &session{t: t}
	var stderr bytes.Buffer
	cmd := command(t, t.TempDir(), nil, settings...)
	cmd.Stderr = &stderr
	client := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			s.asked = append(s.asked, req.Params.Message)
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
		},
	})
	var err error
	if s.ClientSession, err = client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("the end: %v\n%s", err, &stderr)
		}
	})
	return s
}

func (s *session) call(tool, args string) (string, bool) {
	s.t.Helper()
	res, err := s.CallTool(s.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
	if err != nil {
		s.t.Fatalf("%s %s: %v", tool, args, err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

// Only the sets that are named are served, and with read alone nothing is sent.
func TestMailSets(t *testing.T) {
	t.Parallel()
	url := database(t)
	read, send := []string{"mail_list_recipients", "mail_preview", "mail_verify"}, []string{"mail_send"}
	check := []string{"mail_check_address", "mail_diagnose"}
	templates := []string{"mail_create_template", "mail_delete_template", "mail_get_template", "mail_list_templates", "mail_render_template", "mail_update_template", "mail_validate_template"}
	queue, log := []string{"mail_cancel", "mail_list_scheduled", "mail_schedule"}, []string{"mail_log", "mail_stats"}
	suppression := []string{"mail_add_suppression", "mail_check_suppression", "mail_list_suppressions", "mail_remove_suppression"}
	for sets, want := range map[string][]string{
		"":                 slices.Concat(read, send, suppression),
		"read":             read,
		"read,send":        slices.Concat(read, send),
		"suppression,send": slices.Concat(suppression, send),
		"read,check,log":   slices.Concat(read, check, log),
		"templates":        templates,
		"templates,queue":  slices.Concat(templates, queue, []string{"mail_send_bulk"}),
		"queue":            queue,
	} {
		settings := least("MAILTOOL_TOOLS="+sets, "MAILTOOL_STATE_URL="+url, "MAILTOOL_QUEUE_KEY="+queueKey())
		if strings.Contains(sets, "templates") {
			settings = append(settings, "MAILTOOL_TEMPLATES_DIR="+t.TempDir())
		}
		list, err := connect(t, settings...).ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, tool := range list.Tools {
			names = append(names, tool.Name)
		}
		slices.Sort(names)
		slices.Sort(want)
		if !slices.Equal(names, want) {
			t.Errorf("%q: got %s, want %s", sets, names, want)
		}
	}
}

// Every setting that is not the tour's gets to where it counts.
func TestMailSettings(t *testing.T) {
	t.Parallel()
	box, err := mailbox.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	for name, text := range map[string][]byte{"ca.pem": box.CA, "price.csv": []byte("LP,19.50\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := connect(t, "MAILTOOL_HOST="+mailbox.Host, fmt.Sprintf("MAILTOOL_PORT=%d", box.Port), "MAILTOOL_CA_FILE="+ca, "MAILTOOL_USERNAME="+mailbox.User, "MAILTOOL_PASSWORD="+box.Password,
		"MAILTOOL_FROM=orders@shop.example", "MAILTOOL_REPLY_TO=help@shop.example", "MAILTOOL_ALLOW=shop.example,partner.example", "MAILTOOL_DENY=boss@shop.example", "MAILTOOL_INTERNAL=shop.example",
		"MAILTOOL_BCC=true", "MAILTOOL_ATTACHMENTS=.csv", "MAILTOOL_FILES_DIR="+dir,
		"MAILTOOL_LIMIT_PER_MESSAGE=3", "MAILTOOL_LIMIT_PER_HOUR=7", "MAILTOOL_LIMIT_PER_DAY=8", "MAILTOOL_LIMIT_PER_RECIPIENT=2")
	want := `{"from":"orders@shop.example","reply_to":["help@shop.example"],"anyone":false,"allow":["shop.example","partner.example"],"deny":["boss@shop.example"],"internal":["shop.example"],` +
		`"bcc":true,"max_per_message":3,"max_per_hour":7,"max_per_day":8,"max_messages_per_recipient_and_day":2,"attachments":[".csv"]}`
	if got, _ := s.call("mail_list_recipients", `{}`); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	text, refused := s.call("mail_send", `{"to":["a@shop.example"],"bcc":["b@shop.example"],"reply_to":"help@shop.example","subject":"s","text":"t","attachments":[{"name":"price.csv"}]}`)
	if got := box.Letters(); refused || len(s.asked) > 0 || len(got) != 1 || !slices.Equal(got[0].To, []string{"a@shop.example", "b@shop.example"}) || !bytes.Contains(got[0].Data, []byte("TFAsMTkuNTAK")) {
		t.Errorf("got %s, %s, asked %s", text, got, s.asked)
	}
	if text, refused = s.call("mail_send", `{"to":["a@partner.example"],"subject":"s","text":"t"}`); refused || len(s.asked) != 1 {
		t.Errorf("got %s, asked %s", text, s.asked)
	}
}
