// Package console looks at a console in a real browser.
package console

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/integration/internal/npm"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/console"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// chromium finds the browser. Where there is none the test is skipped, and fails in CI.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("CI=true, and there is no chromium")
	}
	t.Skip("there is no chromium")
	return ""
}

// A view is what the browser shows of a page.
type view struct {
	Title, Text, Cookie string
	Bars                float64
	Wide, Hijacked      bool
	Scripts             int
}

type seen struct {
	Complaints      []string
	Views           map[string]view
	Filtered, After string
}

// A person logs in, sees what was recorded, sees a call come in, and logs out; nothing of
// the log runs, nothing is asked elsewhere, and the browser has nothing to complain of.
// SHOTS names a directory for the screenshots.
func TestBrowser(t *testing.T) {
	t.Parallel()
	browser := chromium(t)
	node, modules := npm.Modules(t)
	shots := os.Getenv("SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	audit, path := fill(t)
	token := rand.Text()
	c, err := console.New(console.Options{Log: path, Token: redact.NewSecret(token), Title: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(c)
	defer site.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "browse.mjs", modules, browser, site.URL, shots)
	cmd.Env = append(os.Environ(), "CONSOLE_TOKEN="+token)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReaderSize(out, 1<<20)
	if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	record(t, audit, time.Now(), "decision", "call", "z", "tool", "came_later", "principal", "ada", "decision", "refused", "rule", "rate")
	if _, err := io.WriteString(in, "recorded\n"); err != nil {
		t.Fatal(err)
	}
	text, err := lines.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var s seen
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	check(t, s)
}

func check(t *testing.T, s seen) {
	t.Helper()
	for _, c := range s.Complaints {
		t.Error(c)
	}
	for name, v := range s.Views {
		for _, want := range []string{"orders", "order_lookup", "refusals within", "<img src=x onerror=window.hijacked=true>", "declined"} {
			if !strings.Contains(v.Text, want) {
				t.Errorf("%s: the page lacks %s", name, want)
			}
		}
		if v.Title != "orders" || v.Bars < 50 || v.Wide || v.Scripts != 1 || v.Hijacked || v.Cookie != "" {
			t.Errorf("%s: title %q, bars of %.0f pixels, too wide %t, %d scripts, hijacked %t, cookie %q", name, v.Title, v.Bars, v.Wide, v.Scripts, v.Hijacked, v.Cookie)
		}
	}
	if len(s.Views) != 3 || !strings.Contains(s.Filtered, "tool: came_later") || strings.Contains(s.Filtered, "order_lookup") || !strings.HasSuffix(s.After, "/login") {
		t.Errorf("%d views, then %.200s, then %s", len(s.Views), s.Filtered, s.After)
	}
}

func record(t *testing.T, audit *mcpsec.AuditLog, at time.Time, msg string, members ...any) {
	t.Helper()
	r := slog.NewRecord(at, slog.LevelInfo, msg, 0)
	r.Add(members...)
	if err := audit.Handle(context.Background(), r); err != nil {
		t.Fatal(err)
	}
}

// fill makes a log of an hour, with an attack in it, and hostile names.
func fill(t *testing.T) (*mcpsec.AuditLog, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	audit, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { audit.Close() })
	tools := []string{"order_lookup", "order_list", "pg_query", "mail_send", "order_lookup"}
	people := []string{"https://login.example.com|ada", "https://login.example.com|bob", "nightly"}
	begin := time.Now().Add(-time.Hour)
	for i := range 1200 {
		at := begin.Add(time.Duration(i) * 3 * time.Second)
		tool, who := tools[i*7%len(tools)], people[i*i%len(people)]
		switch {
		case i >= 700 && i < 720:
			for n := range 4 {
				record(t, audit, at, "decision", "call", fmt.Sprint("a", i, n), "tool", "pg_query", "principal", "https://login.example.com|mallory", "decision", "refused", "rule", "statement")
			}
		case i%31 == 0:
			record(t, audit, at, "decision", "call", fmt.Sprint(i), "tool", "order_refund", "principal", who, "decision", "asked", "way", "mrtr")
		case i%47 == 0:
			record(t, audit, at, "decision", "call", fmt.Sprint(i), "tool", "order_refund", "principal", who, "decision", "refused", "rule", "declined")
		case i%53 == 0:
			record(t, audit, at, "webhook failed", "receiver", "stripe", "reason", "signature")
		default:
			record(t, audit, at, "decision", "call", fmt.Sprint(i), "tool", tool, "principal", who, "decision", "allowed")
			end, rule := "ok", ""
			if i%97 == 0 {
				end, rule = "failed", "handler"
			}
			record(t, audit, at, "outcome", "call", fmt.Sprint(i), "tool", tool, "micros", 300+(i*7919%5000)*(1+i%3), "outcome", end, "rule", rule)
		}
	}
	record(t, audit, time.Now(), "decision", "call", "x", "tool", "<script>window.hijacked=true</script>", "principal", "<img src=x onerror=window.hijacked=true>", "decision", "refused", "rule", "unknown tool")
	return audit, path
}
