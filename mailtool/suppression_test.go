package mailtool

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func onList(t *testing.T, entries ...string) suppress.Store {
	t.Helper()
	list := suppress.New(nil)
	for _, e := range entries {
		address, reason, _ := strings.Cut(e, " ")
		if _, err := list.Add(t.Context(), suppress.Entry{Address: address, Reason: suppress.Reason(reason), Time: time.Unix(1.5e9, 0), Source: "postmark", Detail: "SpamComplaint"}); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func TestSuppressedAsks(t *testing.T) {
	t.Parallel()
	ask := Suppressed(onList(t, "ann@example.com complaint"))
	for address, want := range map[string]bool{"ann@example.com": true, "anna@example.com": false, "ann@example.net": false} {
		if got, err := ask(t.Context(), address); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", address, got, err, want)
		}
	}
	for _, address := range []string{"", "ann", "Ann@example.com", "Ann <ann@example.com>", "ann@example.com\n"} {
		if got, err := ask(t.Context(), address); err == nil || got {
			t.Errorf("%q: got %v, %v", address, got, err)
		}
	}
	if got, err := Suppressed(broken{})(t.Context(), "ann@example.com"); err == nil || got {
		t.Errorf("a broken list: got %v, %v", got, err)
	}
	for _, f := range []func(){func() { Suppressed(nil) }, func() { SuppressionTools(nil) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no list was taken")
				}
			}()
			f()
		}()
	}
}

// broken is a list that cannot be asked, such as when the database is gone.
type broken struct{}

var errGone = errors.New("no connection to 10.0.0.7")

func (broken) Add(context.Context, suppress.Entry) (bool, error) { return false, errGone }
func (broken) Remove(context.Context, string, suppress.Reason) (bool, error) {
	return false, errGone
}
func (broken) Check(context.Context, string) (suppress.Entry, bool, error) {
	return suppress.Entry{}, false, errGone
}
func (broken) List(context.Context, string, int) ([]suppress.Entry, error) { return nil, errGone }

// An answerer is a client with a person behind it, who says yes or no, and what they
// were asked.
type answerer struct {
	*mcp.ClientSession
	asked []string
}

// serveList serves the tools. before runs between the question and its answer.
func serveList(t *testing.T, list suppress.Store, mode mcpsec.Effect, yes bool, before func()) *answerer {
	t.Helper()
	a := new(answerer)
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, Mode: mode,
		Approver: func(_ context.Context, q mcpsec.Question) (string, bool, error) {
			a.asked = append(a.asked, q.Text)
			if before != nil {
				before()
			}
			return "eve", yes, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(SuppressionTools(list)...)
	ours, theirs := net.Pipe()
	go func() { _ = srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs) }()
	a.ClientSession, err = mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil).Connect(t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func (a *answerer) call(t *testing.T, tool, args string) (string, bool) {
	t.Helper()
	res, err := a.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
	if err != nil { // such as that there is no such tool
		return err.Error(), false
	}
	text := ""
	for _, c := range res.Content {
		text += c.(*mcp.TextContent).Text
	}
	return text, !res.IsError
}

func TestSuppressionTools(t *testing.T) {
	t.Parallel()
	list := onList(t, "ann@example.com complaint", "bob@example.com manual")
	a := serveList(t, list, mcpsec.Destroy, true, nil)
	for _, tt := range []struct {
		tool, args, want string
		ok               bool
	}{
		{"mail_list_suppressions", `{}`, `"address":"ann@example.com","reason":"complaint","time":"2017-07-14T02:40:00Z","source":"postmark"`, true},
		{"mail_list_suppressions", `{"limit":1}`, `"next":"ann@example.com"`, true},
		{"mail_list_suppressions", `{"limit":1,"after":"ann@example.com"}`, `"address":"bob@example.com"`, true},
		{"mail_list_suppressions", `{"limit":501}`, ``, false},
		{"mail_list_suppressions", `{"after":"\u0000"}`, `after: must be`, false},
		{"mail_check_suppression", `{"address":"ANN+news@Example.com"}`, `"suppressed":true,"by":{"address":"ann@example.com"`, true},
		{"mail_check_suppression", `{"address":"cid@example.com"}`, `{"suppressed":false}`, true},
		{"mail_check_suppression", `{"address":"ann@example.com, bob@example.com"}`, `address`, false},
		{"mail_add_suppression", `{"address":"Cid@Example.com","reason":"unsubscribe","note":"asked by phone"}`, `"changed":true`, true},
		{"mail_add_suppression", `{"address":"cid@example.com"}`, `"changed":false,"entry":{"address":"cid@example.com","reason":"unsubscribe"`, true},
		{"mail_add_suppression", `{"address":"dan@example.com","reason":"complaint"}`, ``, false},
		{"mail_add_suppression", `{"address":"dan@example.com","note":"a\nb"}`, `note`, false},
		{"mail_add_suppression", `{"address":"dan@example.com","note":"a\u202eb"}`, `note`, false},
		{"mail_add_suppression", `{"address":"dan@example.com\r\nRCPT TO:<x@example.com>"}`, `address`, false},
		{"mail_remove_suppression", `{"address":"ann@example.com","reason":"manual"}`, `for another reason: complaint`, false},
		{"mail_remove_suppression", `{"address":"dan@example.com","reason":"manual"}`, `not on the list`, false},
		{"mail_remove_suppression", `{"address":"ann@example.com"}`, ``, false},
		{"mail_remove_suppression", `{"address":"Ann@example.com","reason":"complaint"}`, `"removed":true`, true},
	} {
		if got, ok := a.call(t, tt.tool, tt.args); ok != tt.ok || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: got %s, want %s", tt.tool, tt.args, got, tt.want)
		}
	}
	if len(a.asked) != 1 || !strings.Contains(a.asked[0], "ann@example.com") || !strings.Contains(a.asked[0], "COMPLAINED") || !strings.Contains(a.asked[0], "2017-07-14") {
		t.Errorf("asked %q", a.asked)
	}
	d := desk{list: list}
	if got := d.suppressed(t); !slices.Equal(got, []string{"bob@example.com manual", "cid@example.com unsubscribe"}) {
		t.Errorf("got %v", got)
	}
}

// Nobody is taken off the list without a yes, nor for a reason that came after it.
func TestRemovalIsConfirmed(t *testing.T) {
	t.Parallel()
	list := onList(t, "ann@example.com manual")
	const args = `{"address":"ann@example.com","reason":"manual"}`
	if got, ok := serveList(t, list, mcpsec.Destroy, false, nil).call(t, "mail_remove_suppression", args); ok {
		t.Errorf("removed without a yes: %s", got)
	}
	a := serveList(t, list, mcpsec.Write, true, nil)
	if got, ok := a.call(t, "mail_remove_suppression", args); ok || a.asked != nil {
		t.Errorf("removed where nothing may be that cannot be undone: %s", got)
	}
	complain := func() {
		if _, err := list.Add(context.Background(), suppress.Entry{Address: "ann@example.com", Reason: suppress.Complaint, Time: time.Now(), Source: "postmark"}); err != nil {
			t.Error(err)
		}
	}
	if got, ok := serveList(t, list, mcpsec.Destroy, true, complain).call(t, "mail_remove_suppression", args); ok {
		t.Errorf("removed for another reason than was confirmed: %s", got)
	}
	// Nor in the moment between the last look and the removal.
	if out, err := (suppressionList{list}).remove(t.Context(), removeIn{"ann@example.com", "manual"}); err == nil || out.Removed {
		t.Errorf("got %+v, %v", out, err)
	}
	d := desk{list: list}
	if got := d.suppressed(t); !slices.Equal(got, []string{"ann@example.com complaint"}) {
		t.Errorf("got %v", got)
	}
}

// A list that cannot be asked is told of, and nothing of why.
func TestBrokenListIsTold(t *testing.T) {
	t.Parallel()
	a := serveList(t, broken{}, mcpsec.Destroy, true, nil)
	for tool, args := range map[string]string{
		"mail_list_suppressions": `{}`, "mail_check_suppression": `{"address":"ann@example.com"}`, "mail_add_suppression": `{"address":"ann@example.com"}`,
		"mail_remove_suppression": `{"address":"ann@example.com","reason":"manual"}`,
	} {
		if got, ok := a.call(t, tool, args); ok || !strings.Contains(got, "cannot be asked") || strings.Contains(got, "10.0.0.7") {
			t.Errorf("%s: got %s", tool, got)
		}
	}
}
