package mcpsec_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Calls that wait for people hold no place of those that run, and are few.
func TestWaitingForPeopleIsBounded(t *testing.T) {
	t.Parallel()
	remove := newRemover(nil)
	started, release := make(chan struct{}), make(chan struct{})
	gate := tool("gate", func(context.Context, none) (echoOut, error) {
		started <- struct{}{}
		<-release
		return echoOut{}, nil
	})
	f := newFixture(t, func(o *mcpsec.Options) {
		o.Mode, o.Limits.MaxConcurrent, o.Limits.MaxConcurrentPerPrincipal = mcpsec.Destroy, 4, 8
	}, remove.Tool, gate)
	asked, answer := make(chan struct{}), make(chan struct{})
	cs := f.connectAs(t, false, func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		asked <- struct{}{}
		<-answer
		return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
	})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { attempt(t, cs, "remove", removeIn{Name: "ada"}) })
		<-asked
	}
	if text := attempt(t, cs, "remove", removeIn{Name: "ada"}); !strings.Contains(text, "too many calls wait for a person") {
		t.Errorf("the third question: got %q", text)
	}
	var gates sync.WaitGroup
	for range 4 {
		gates.Go(func() { attempt(t, cs, "gate", none{}) })
		<-started
	}
	close(release)
	gates.Wait()
	close(answer)
	wg.Wait()
	if remove.ran.Load() != 2 {
		t.Errorf("ran %d times", remove.ran.Load())
	}
	go func() { <-asked }()
	if text := attempt(t, cs, "remove", removeIn{Name: "ada"}); text != `{"text":"removed ada"}` {
		t.Errorf("afterwards: got %q", text)
	}
}

// One caller's questions leave room for another's.
func TestWaitingIsPerPrincipal(t *testing.T) {
	t.Parallel()
	remove := newRemover(nil)
	asked, answer := make(chan string), make(chan struct{})
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) {
		o.Mode, o.Limits.MaxConcurrentPerPrincipal = mcpsec.Destroy, 4
		o.Approver = func(_ context.Context, q mcpsec.Question) (string, bool, error) {
			asked <- q.Principal.ID
			<-answer
			return "eve", true, nil
		}
	}, remove.Tool)
	body := strings.Replace(callBody("remove", ada), askingMeta, modernMeta, 1)
	send := func(token string) string {
		_, text := f.do(t, body, func(r *http.Request) {
			modernHeaders("tools/call", "remove")(r)
			r.Header.Set("Authorization", "Bearer "+token)
		})
		return text
	}
	var wg sync.WaitGroup
	wg.Go(func() { send("alice-token") })
	<-asked
	if got := send("alice-token"); !strings.Contains(got, "too many calls wait for a person") {
		t.Errorf("got %s", got)
	}
	wg.Go(func() { send("bob-token") })
	if who := <-asked; who != "bob" {
		t.Errorf("asked for %s", who)
	}
	close(answer)
	wg.Wait()
}

// A person may take longer than a tool, but not for ever; what comes too late
// does not count.
func TestPeopleTakeTime(t *testing.T) {
	t.Parallel()
	const confirm = time.Minute
	for name, tc := range map[string]struct {
		takes time.Duration
		deaf  bool
		want  string
		story string
	}{
		"longer than a tool":      {confirm - time.Second, false, "removed ada", "asked WAY; allowed WAY; ok"},
		"for ever":                {24 * time.Hour, false, "nobody has answered within 1m0s", "asked WAY; refused confirmation"},
		"and does not hear of it": {confirm + time.Second, true, "nobody has answered within 1m0s", "asked WAY; refused confirmation"},
	} {
		for _, way := range []string{"elicitation", "approver"} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					think := func(ctx context.Context) {
						done := ctx.Done()
						if tc.deaf {
							done = nil
						}
						select {
						case <-time.After(tc.takes):
						case <-done:
						}
					}
					r := newRemover(nil)
					f := newFixture(t, func(o *mcpsec.Options) {
						o.Mode, o.Limits.Confirm = mcpsec.Destroy, confirm
						if way == "approver" {
							o.Approver = func(ctx context.Context, _ mcpsec.Question) (string, bool, error) {
								think(ctx)
								return "", true, nil
							}
						}
					}, r.Tool)
					var person answerer
					if way == "elicitation" {
						person = func(ctx context.Context, _ *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
							think(ctx)
							return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
						}
					}
					cs := f.connectAs(t, false, person)
					if text := attempt(t, cs, "remove", removeIn{Name: "ada"}); !strings.Contains(text, tc.want) {
						t.Errorf("got %q", text)
					}
					time.Sleep(confirm)
					if got, want := f.story(t), strings.ReplaceAll(tc.story, "WAY", way); got != want || r.ran.Load() != int32(strings.Count(want, "ok")) {
						t.Errorf("recorded %q, want %q; ran %d times", got, want, r.ran.Load())
					}
					cs.Close()
					<-f.served
				})
			})
		}
	}
}

// Over HTTP the wait outlasts what a client's slowness is given.
func TestApproverOverHTTPTakesTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRemover(nil)
		s := servePipes(t, mcpsec.HTTPOptions{}, func(o *mcpsec.Options) {
			o.Mode = mcpsec.Destroy
			o.Approver = func(context.Context, mcpsec.Question) (string, bool, error) {
				time.Sleep(4 * time.Minute)
				return "eve", true, nil
			}
		}, r.Tool)
		c := s.conn(t)
		status, text := s.ask(t, c, "alice-token", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"remove",`+ada+`}}`)
		if status != 200 || !strings.Contains(text, "removed ada") {
			t.Errorf("got %d %s", status, text)
		}
		c.Close()
		s.stop()
		<-s.ended
	})
}

// A client that goes away takes its question along.
func TestCancelledWhileAsked(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"elicitation", "approver"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := newRemover(nil)
			asked, told := make(chan struct{}), make(chan struct{})
			wait := func(ctx context.Context) {
				close(asked)
				<-ctx.Done()
				close(told)
			}
			f := newFixture(t, func(o *mcpsec.Options) {
				o.Mode = mcpsec.Destroy
				o.Approver = func(ctx context.Context, _ mcpsec.Question) (string, bool, error) {
					wait(ctx)
					return "eve", true, nil
				}
			}, r.Tool)
			var person answerer
			if way == "elicitation" {
				person = func(ctx context.Context, _ *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
					wait(ctx)
					return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
				}
			}
			cs := f.connectAs(t, false, person)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-asked; cancel() }()
			if _, err := cs.CallTool(ctx, &mcp.CallToolParams{Name: "remove", Arguments: removeIn{Name: "ada"}}); err == nil {
				t.Error("answered")
			}
			<-told
			if err := cs.Ping(t.Context(), nil); err != nil {
				t.Error(err)
			}
			cs.Close()
			<-f.served
			if got := f.story(t); got != "asked "+way+"; refused cancelled" || r.ran.Load() != 0 {
				t.Errorf("recorded %q, ran %d times", got, r.ran.Load())
			}
		})
	}
}

// failsOn cannot record one decision.
type failsOn struct {
	slog.Handler
	decision string
}

func (h failsOn) Handle(ctx context.Context, r slog.Record) (err error) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "decision" && a.Value.String() == h.decision {
			err = errors.New("disk full")
		}
		return true
	})
	if err == nil {
		err = h.Handler.Handle(ctx, r)
	}
	return err
}

// What cannot be recorded is not even asked, and a yes that cannot be recorded
// is none.
func TestQuestionsAreRecordedOrNotAsked(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{"asked", "allowed"} {
		eras(t, func(t *testing.T, modern bool) {
			r := newRemover(nil)
			asked := false
			f := newFixture(t, func(o *mcpsec.Options) { o.Mode, o.Audit = mcpsec.Destroy, failsOn{o.Audit, decision} }, r.Tool)
			text := attempt(t, f.connectAs(t, modern, func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
				asked = true
				return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
			}), "remove", removeIn{Name: "ada"})
			if !strings.Contains(text, "could not be recorded") || r.ran.Load() != 0 || asked != (decision == "allowed") {
				t.Errorf("%s: got %q, asked %t, ran %d times", decision, text, asked, r.ran.Load())
			}
		})
	}
}

// The record links a question to the call that answered it, and holds no text.
func TestConfirmationRecords(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newFixture(t, destroyMode, r.Tool)
	attempt(t, f.connectAs(t, true, answers("accept", yes)), "remove", removeIn{Name: "hunter2"})
	rec := f.records(t)
	if len(rec) != 3 || rec[0]["decision"] != "asked" || rec[1]["asked_in"] != rec[0]["call"] || rec[1]["call"] == rec[0]["call"] || rec[2]["call"] != rec[1]["call"] {
		t.Errorf("got %v", rec)
	}
	if strings.Contains(f.audit.String(), "hunter2") {
		t.Error("the record holds the question")
	}
	var got []string
	for _, r := range rec {
		for _, changing := range []string{"seq", "prev", "hash", "time", "call", "asked_in", "resumes", "micros"} {
			delete(r, changing)
		}
		got = append(got, fmt.Sprint(r))
	}
	want := []string{
		"map[arg_bytes:37 args:name=string/7 decision:asked effect:destroy level:INFO method:tools/call msg:decision principal:local tool:remove way:mrtr]",
		"map[arg_bytes:37 args:name=string/7 confirmed:mrtr decision:allowed effect:destroy level:INFO method:tools/call msg:decision principal:local tool:remove]",
		"map[level:INFO msg:outcome outcome:ok result_bytes:26 tool:remove]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded\n%s", strings.Join(got, "\n"))
	}
}
