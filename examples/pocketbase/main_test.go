package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/fatih/color"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/pocketbase/pocketbase/core"
)

const asProgram = "POCKETBASE_EXAMPLE_RUNS"

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	core.AppMigrations.Register(hashQuickly, nil, "9999999998_test.go")
	switch os.Getenv(asProgram) {
	case "prints":
		duringStart(func() { fmt.Println("hello"); color.Red("hello") })
	case "stopped":
		duringStart(func() {
			if p, err := os.FindProcess(os.Getpid()); err == nil {
				_ = p.Signal(os.Interrupt)
			}
		})
	case "":
		os.Exit(m.Run())
	}
	if name, ok := strings.CutPrefix(os.Getenv(asProgram), "spoiled "); ok {
		os.Setenv(asProgram, "1")
		spoiledTour(name)
	}
	main()
}

// hashQuickly has passwords hashed at the least cost: half of the time would be that.
func hashQuickly(app core.App) error {
	for _, name := range []string{"users", core.CollectionNameSuperusers} {
		c, err := app.FindCollectionByNameOrId(name)
		if err != nil {
			return err
		}
		c.Fields.GetByName("password").(*core.PasswordField).Cost = 4
		if err := app.Save(c); err != nil {
			return err
		}
	}
	return nil
}

// duringStart has PocketBase call f while it starts.
func duringStart(f func()) {
	core.AppMigrations.Register(func(core.App) error { f(); return nil }, nil, "9999999999_test.go")
}

// command runs the program with settings of its own and none of the tests'. Its
// temporary files are in dir.
func command(dir string, args []string, settings ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	for _, s := range os.Environ() {
		if !strings.HasPrefix(s, prefix) {
			cmd.Env = append(cmd.Env, s)
		}
	}
	cmd.Env = append(append(cmd.Env, settings...), asProgram+"=1", "TMPDIR="+dir, "HOME="+dir, "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	return cmd
}

// A session is a client with the program at its other end, and a person who says
// yes to what they are asked.
type session struct {
	*mcp.ClientSession
	t      *testing.T
	asked  []string
	stderr bytes.Buffer
}

func connect(t *testing.T, cmd *exec.Cmd) *session {
	t.Helper()
	s := &session{t: t}
	cmd.Stderr = &s.stderr
	client := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			s.asked = append(s.asked, req.Params.Message)
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
		},
	})
	var err error
	if s.ClientSession, err = client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil); err != nil {
		t.Fatalf("%v\n%s", err, &s.stderr)
	}
	return s
}

func (s *session) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Errorf("the end: %v\n%s", err, &s.stderr)
	}
}

func (s *session) call(tool, args string) (string, bool) {
	s.t.Helper()
	res, err := s.CallTool(s.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
	if err != nil {
		s.t.Fatalf("%s %s: %v", tool, args, err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

// allow is a call that succeeds, with a text in its answer.
func (s *session) allow(tool, args, want string) string {
	s.t.Helper()
	text, isErr := s.call(tool, args)
	if isErr || !strings.Contains(text, want) {
		s.t.Errorf("%s %s: got %.400s, want %s", tool, args, text, want)
	}
	return text
}

// deny is a call that fails, for a reason.
func (s *session) deny(tool, args, why string) {
	s.t.Helper()
	if text, isErr := s.call(tool, args); !isErr || !strings.Contains(text, why) {
		s.t.Errorf("%s %s: got %.400s, want %s", tool, args, text, why)
	}
}

func started(t *testing.T) *shop {
	t.Helper()
	s, err := startShop()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// One command and no configuration.
func TestPocketBaseDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := connect(t, command(dir, nil))
	list, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	for _, want := range []string{"pb_health", "pb_list_records", "pb_delete_record", "pb_describe_collection", "pb_upload_file", "pb_auth_methods", "pb_apply_schema", "pb_backup_restore"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s in %s", want, names)
		}
	}

	// She reads what is published, and her own drafts.
	s.allow("pb_list_records", `{"collection":"posts","total":true}`, `"total":21`)
	s.allow("pb_get_record", `{"collection":"posts","id":"`+id("post", 1)+`","expand":["author"]}`, "Ben Okafor")
	s.deny("pb_get_record", `{"collection":"posts","id":"`+id("post", 7)+`"}`, "no such") // Ben's draft
	// She has eight orders, and those of others are not there.
	orders := s.allow("pb_list_records", `{"collection":"orders","total":true}`, `"total":8,"more":false`)
	for _, word := range []string{id("user", 1), "bought at"} {
		if strings.Contains(orders, word) {
			t.Errorf("%s is in %s", word, orders)
		}
	}
	s.allow("pb_list_records", `{"collection":"orders","where":[{"field":"customer","op":"eq","value":"`+id("user", 1)+`"}],"total":true}`, `"items":[],"total":0`)
	s.allow("pb_aggregate_records", `{"collection":"orders","aggregates":[{"fn":"sum","field":"quantity"}]}`, `"records":8`)
	s.deny("pb_get_record", `{"collection":"orders","id":"`+id("order", 1)+`"}`, "no such")
	s.allow("pb_get_record", `{"collection":"files","id":"`+id("file", 0)+`"}`, "invoice_000")
	s.deny("pb_get_record", `{"collection":"files","id":"`+id("file", 1)+`"}`, "no such")
	s.allow("pb_get_record", `{"collection":"posts","id":"`+id("post", 10)+`"}`, `Lovely jug."`) // and nothing hidden behind it
	s.allow("pb_describe_collection", `{"collection":"orders"}`, "customer = @request.auth.id")

	// She writes as far as rules and settings go.
	s.allow("pb_create_record", `{"collection":"orders","data":{"customer":"`+id("user", 0)+`","item":"Seed box","quantity":2,"status":"open"}}`, "Seed box")
	s.deny("pb_create_record", `{"collection":"orders","data":{"customer":"`+id("user", 1)+`","item":"Seed box","quantity":2,"status":"open"}}`, "PocketBase refuses it")
	s.deny("pb_create_record", `{"collection":"orders","data":{"customer":"`+id("user", 0)+`","item":"Seed box","total":0,"status":"open"}}`, "may not be set")
	s.deny("pb_delete_record", `{"collection":"orders","id":"`+id("order", 0)+`"}`, "may not be deleted")
	if len(s.asked) != 0 {
		t.Errorf("asked: %s", s.asked)
	}
	s.allow("pb_delete_record", `{"collection":"posts","id":"`+id("post", 0)+`"}`, `"deleted":1`)
	if len(s.asked) != 1 || !strings.Contains(s.asked[0], id("post", 0)) {
		t.Errorf("asked: %s", s.asked)
	}
	s.close()
	left(t, dir)
	s.secrets(dir)
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// auditLog is what the program has recorded, in the user's cache directory.
func auditLog(t *testing.T, dir string) string {
	t.Helper()
	var logs []string
	for _, caches := range []string{"cache", "Library/Caches"} { // the latter on macOS
		found, err := filepath.Glob(filepath.Join(dir, caches, "mcp-pocketbase-*.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, found...)
	}
	if len(logs) != 1 {
		t.Fatalf("audit logs are %q", logs)
	}
	text, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// left says that PocketBase's data is gone and the audit log is there.
func left(t *testing.T, dir string) {
	t.Helper()
	auditLog(t, dir)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v: left is %s", err, entries)
	}
}

// secrets looks for passwords and tokens in what was written.
func (s *session) secrets(dir string) {
	s.t.Helper()
	audit := auditLog(s.t, dir)
	if !strings.Contains(audit, "pb_delete_record") {
		s.t.Errorf("the audit log is %s", audit)
	}
	for what, text := range map[string]string{"audit log": audit, "log": s.stderr.String()} {
		if strings.Contains(text, passwordPrefix) || strings.Contains(text, "eyJ") {
			s.t.Errorf("a secret is in the %s: %s", what, text)
		}
	}
}

// Standard output is the client's, whatever PocketBase prints and when.
func TestPocketBaseOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := command(dir, nil)
	cmd.Env = append(cmd.Env, asProgram+"=prints")
	cmd.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":2,"method":"ping"}` + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if strings.Count(stderr.String(), "hello") != 2 {
		t.Errorf("the log is %s", &stderr)
	}
	if err != nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), `"id":2`) {
		t.Errorf("%v: got %q", err, out)
	}
	left(t, dir)
}

// A program that is stopped while PocketBase starts leaves nothing behind.
func TestPocketBaseStops(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := command(dir, nil)
	cmd.Env = append(cmd.Env, asProgram+"=stopped")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("it went on: %s", out)
	}
	left(t, dir)
}

// A PocketBase of one's own, with accounts from the environment.
func TestPocketBaseOwn(t *testing.T) {
	t.Parallel()
	shop := started(t)
	url, accounts := shop.url, shop.accounts()
	s := connect(t, command(t.TempDir(), []string{"-url", url}, accounts...))
	s.allow("pb_list_records", `{"collection":"orders","total":true}`, `"total":8,"more":false`)
	if list, err := s.ListTools(t.Context(), nil); err != nil || slices.ContainsFunc(list.Tools, func(t *mcp.Tool) bool { return !t.Annotations.ReadOnlyHint }) {
		t.Errorf("%v: a tool that writes is served", err)
	}
	s.close()
	if log := s.stderr.String(); !strings.Contains(log, "mode=read ") {
		t.Errorf("the log is %s", log)
	}

	// What the shop's API rules refuse, where the settings would let it pass.
	s = connect(t, command(t.TempDir(), []string{"-url", url}, append(accounts, prefix+"TOOLS=write", prefix+`COLLECTIONS=[
		{"Name":"orders","Write":["customer","item","quantity","total","status"],"Delete":true},
		{"Name":"posts","Write":["title","author"]},{"Name":"files","Write":["owner","name"]},{"Name":"users","Write":["name","email","verified"]}]`)...))
	for field, value := range map[string]any{"total": 0, "status": "paid", "customer": id("user", 1)} {
		data := map[string]any{"customer": id("user", 0), "item": "Oil lamp", "status": "open"}
		data[field] = value
		s.deny("pb_create_record", text(t, map[string]any{"collection": "orders", "data": data}), "PocketBase refuses it")
		s.deny("pb_update_record", text(t, map[string]any{"collection": "orders", "id": id("order", 0), "set": map[string]any{field: value}}), "API rules")
	}
	for field, value := range map[string]any{"total": 0, "customer": id("user", 1), "item": "Oil lamp", "quantity": 20} {
		set := map[string]any{"status": "cancelled", field: value}
		s.deny("pb_update_record", text(t, map[string]any{"collection": "orders", "id": id("order", 0), "set": set}), "API rules")
	}
	s.deny("pb_update_record", `{"collection":"orders","id":"`+id("order", 6)+`","set":{"status":"cancelled"}}`, "API rules") // it is paid
	s.allow("pb_update_record", `{"collection":"orders","id":"`+id("order", 24)+`","set":{"status":"cancelled"}}`, "cancelled")
	s.deny("pb_delete_record", `{"collection":"orders","id":"`+id("order", 0)+`"}`, "API rules")
	s.deny("pb_update_record", `{"collection":"posts","id":"`+id("post", 0)+`","set":{"author":"`+id("user", 1)+`"}}`, "API rules")
	s.deny("pb_update_record", `{"collection":"posts","id":"`+id("post", 1)+`","set":{"title":"Mine"}}`, "API rules")
	s.deny("pb_update_record", `{"collection":"files","id":"`+id("file", 0)+`","set":{"owner":"`+id("user", 1)+`"}}`, "API rules")
	s.deny("pb_update_record", `{"collection":"users","id":"`+id("user", 1)+`","set":{"name":"Ann"}}`, "API rules")
	s.deny("pb_create_record", `{"collection":"users","data":{"name":"Zoe"}}`, "API rules")
	for _, a := range accounts {
		if _, password, _ := strings.Cut(a, "PASSWORD="); password != "" { // not even where a record holds it
			if got, isErr := s.call("pb_create_record", text(t, map[string]any{"collection": "files", "data": map[string]any{"owner": id("user", 0), "name": password}})); isErr || strings.Contains(got, password) {
				t.Errorf("got %s", got)
			}
		}
	}
	s.close()
}

// The shop has people's addresses, and writes to none.
func TestPocketBaseMail(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sendmail")
	}
	dir := t.TempDir()
	sent := filepath.Join(dir, "sent")
	if err := os.WriteFile(filepath.Join(dir, "sendmail"), []byte("#!/bin/sh\n: > "+sent+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	shop := started(t)
	var login struct{ Token string }
	if err := json.Unmarshal([]byte(post(t, shop.url+"/api/collections/_superusers/auth-with-password", "", map[string]string{"identity": root, "password": shop.superuser})), &login); err != nil {
		t.Fatal(err)
	}
	post(t, shop.url+"/api/settings/test/email", login.Token, map[string]string{"template": "verification", "email": ann})
	if _, err := os.Stat(sent); err == nil {
		t.Error("a mail was sent")
	}
}

func post(t *testing.T, url, token string, body any) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(text(t, body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%v: %s %s", err, resp.Status, answer)
	}
	return string(answer)
}

// A wrong configuration is told at once and in full, and nothing of its values.
func TestPocketBaseRefuses(t *testing.T) {
	t.Parallel()
	password := strings.Join([]string{"tern", "gull", "and", "heron"}, "-")
	for name, c := range map[string]struct {
		args, env, want []string
	}{
		"an argument": {[]string{"server-" + password}, nil, []string{"see -help"}},
		"all at once": {
			[]string{"-url", "http://127.0.0.1:1"},
			[]string{
				"PBTOOL_USER_PASSWORD=" + password, "PBTOOL_SUPERUSER_IDENTITY=root@example.com", "PBTOOL_TOOLS=read,everything-" + password,
				"PBTOOL_AUDIT_KEY=" + password, "PBTOOL_TOOL=read", `PBTOOL_COLLECTIONS=[{"name":"` + password + `"}]`,
			},
			[]string{
				"the environment has 6 problems:", "PBTOOL_USER_IDENTITY is required", "PBTOOL_SUPERUSER_PASSWORD is required", "PBTOOL_COLLECTIONS must be a JSON list of collections such as",
				"PBTOOL_TOOLS, element 2, must be one of: read write files auth schema schema-write admin resources prompts", "PBTOOL_AUDIT_KEY is guessable", "PBTOOL_TOOL is not known: did you mean PBTOOL_TOOLS?",
			},
		},
		"sets without what they need": {
			[]string{"-url", "http://127.0.0.1:1"},
			[]string{"PBTOOL_TOOLS=read,write,schema,schema-write,admin", `PBTOOL_COLLECTIONS=[{"Name":"posts"}]`},
			[]string{"PBTOOL_TOOLS has write: give a collection", "PBTOOL_TOOLS has schema: set PBTOOL_SUPERUSER_IDENTITY", "PBTOOL_TOOLS has schema-write: set", "PBTOOL_TOOLS has admin: set"},
		},
		"no collections":         {[]string{"-url", "http://127.0.0.1:1"}, []string{"PBTOOL_COLLECTIONS=[]"}, []string{"PBTOOL_COLLECTIONS must be"}},
		"plain text":             {[]string{"-url", "http://pb.example.com"}, []string{"PBTOOL_USER_IDENTITY=ann@example.com", "PBTOOL_USER_PASSWORD=" + password}, []string{"must be https"}},
		"a password in the URL":  {[]string{"-url", "https://ann:" + password + "@pb.example.com"}, nil, []string{"no user, query or fragment"}},
		"no server there":        {[]string{"-url", "http://127.0.0.1:1"}, []string{"PBTOOL_USER_IDENTITY=ann@example.com", "PBTOOL_USER_PASSWORD=" + password}, []string{"asking Options.URL"}},
		"a token and a password": {[]string{"-url", "http://127.0.0.1:1"}, []string{"PBTOOL_USER_IDENTITY=ann@example.com", "PBTOOL_USER_PASSWORD=" + password, "PBTOOL_USER_TOKEN=" + password}, []string{"PBTOOL_USER_TOKEN"}},
		"a tour of another":      {[]string{"-tour", "-url", "https://pb.example.com/" + password}, nil, []string{"see -help"}},
		"a URL without -url":     {nil, []string{"PBTOOL_URL=http://127.0.0.1:1"}, []string{"asking Options.URL"}},
		"help":                   {[]string{"-wrong"}, []string{"PBTOOL_USER_PASSWORD=" + password}, []string{"-url address", "PBTOOL_COLLECTIONS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := command(t.TempDir(), c.args, c.env...).CombinedOutput()
			if err == nil {
				t.Fatal("it started")
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if strings.Contains(string(out), password) {
				t.Errorf("it shows a value:\n%s", out)
			}
		})
	}
}
