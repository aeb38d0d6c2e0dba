package mcpsec_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Progress rises, is throttled, clean and over when the call is.
func TestProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []string
		client := mcp.NewClient(impl, &mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf("%v/%v %.40s", r.Params.Progress, r.Params.Total, r.Params.Message))
		}})
		var late context.Context
		f := newFixture(t, func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret("correct-horse-battery")} },
			failing(func(ctx context.Context) error {
				late = ctx
				mcpsec.Progress(ctx, 1, 10, "a\u202Eb")
				mcpsec.Progress(ctx, 2, 10, "too soon")
				time.Sleep(time.Second)
				mcpsec.Progress(ctx, 1, 10, "not risen")
				mcpsec.Progress(ctx, 3, 10, "correct-horse-battery"+strings.Repeat("é", 1000))
				return nil
			}))
		conn := f.serve(t, t.Context())
		cs, err := client.Connect(t.Context(), &mcp.IOTransport{Reader: conn, Writer: conn}, nil)
		if err != nil {
			t.Fatal(err)
		}
		params := &mcp.CallToolParams{Name: "x"}
		params.SetProgressToken("token")
		if _, err := cs.CallTool(t.Context(), params); err != nil {
			t.Fatal(err)
		}
		mcpsec.Progress(late, 9, 10, "after the end")
		if _, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "x"}); err != nil { // asks for none
			t.Fatal(err)
		}
		synctest.Wait()
		cs.Close()
		<-f.served
		if len(got) != 2 || got[0] != "1/10 ab" || !strings.HasPrefix(got[1], "3/10 ") || strings.Contains(got[1], "horse") {
			t.Errorf("got %q", got)
		}
	})
	mcpsec.Progress(t.Context(), 1, 1, "outside a call does nothing")
}

func TestContextTellsTheCall(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Principal = mcpsec.Principal{ID: "ada", Scopes: []string{"s"}} },
		tool("x", func(ctx context.Context, _ none) (echoOut, error) {
			mcpsec.Logger(ctx).Info("from the handler")
			p := mcpsec.PrincipalFrom(ctx)
			return echoOut{fmt.Sprint(p.ID, p.Scopes, len(mcpsec.CallID(ctx)))}, nil
		}))
	if text, _ := call(t, f.connect(t), "x", none{}); text != `{"text":"ada[s] 26"}` {
		t.Errorf("got %s", text)
	}
	if log := f.log.String(); !strings.Contains(log, `msg="from the handler" call=`) {
		t.Errorf("logged %s", log)
	}
	if mcpsec.CallID(t.Context()) != "" || mcpsec.PrincipalFrom(t.Context()).ID != "" {
		t.Error("a context without a call tells one")
	}
	mcpsec.Logger(t.Context()).Info("dropped")
}

// Prompts and resources report progress as tools do.
func TestProgressOfPromptsAndResources(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.AddPrompt(promising(func(ctx context.Context) ([]mcpsec.Message, error) {
		mcpsec.Progress(ctx, 1, 2, "half")
		return said(mcpsec.CallID(ctx)[:0] + mcpsec.PrincipalFrom(ctx).ID), nil
	}))
	r := f.dial(t)
	got := r.ask(`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p","_meta":{"progressToken":"x"}}}`)
	if !strings.Contains(got, `"progressToken":"x"`) || !strings.Contains(got, `"message":"half"`) {
		t.Errorf("got %s", got)
	}
	if got := r.read(); !strings.Contains(got, `"text":"local"`) {
		t.Errorf("got %s", got)
	}
}
