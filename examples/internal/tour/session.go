package tour

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Session is a server that runs as a child process, with the SDK's client on its streams.
type Session struct {
	*mcp.ClientSession
	audit   string
	seen    int         // audit records shown so far
	shared  bool        // others' records are in the audit log, too
	updated chan string // URIs of resources
	log     *logBuffer

	mu       sync.Mutex
	asked    string // what the person was asked last
	declines bool   // what the person says to it
	answers  strings.Builder
}

// logBuffer keeps what the child writes to standard error.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Self prepares this program as a server, to end soon after ctx.
func Self(ctx context.Context, args, env []string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 3 * time.Second
	return cmd, nil
}

// Connect starts the server cmd, which writes the audit log that is named, and
// keeps what it writes to standard error.
func Connect(ctx context.Context, cmd *exec.Cmd, audit string) (*Session, error) {
	s := &Session{audit: audit, updated: make(chan string, 100), log: &logBuffer{}}
	cmd.Stderr = s.log
	if err := s.connect(ctx, &mcp.CommandTransport{Command: cmd}); err != nil {
		return nil, fmt.Errorf("starting the server: %w\n%s", err, s.log)
	}
	return s, nil
}

// Dial is a session with a server over HTTP, with a token, which writes the audit log that
// is named.
func Dial(ctx context.Context, url, token, audit string) (*Session, error) {
	s := &Session{audit: audit, updated: make(chan string, 100), log: &logBuffer{}, shared: true}
	return s, s.connect(ctx, &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: bearer(token)}})
}

// bearer sends a token with each request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func (s *Session) connect(ctx context.Context, t mcp.Transport) (err error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "tour-client", Version: "1.0.0"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked = req.Params.Message // a real client shows it, and the person ticks the box
			if s.declines {
				return &mcp.ElicitResult{Action: "decline"}, nil
			}
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
		},
		ResourceUpdatedHandler: func(_ context.Context, req *mcp.ResourceUpdatedNotificationRequest) {
			select {
			case s.updated <- req.Params.URI:
			default: // nobody waits for them
			}
		},
	})
	s.ClientSession, err = client.Connect(ctx, t, nil)
	return err
}

// Stop ends the server. After Ctrl-C, which a terminal sends to both, how it
// ended is of no interest.
func (s *Session) Stop(ctx context.Context) {
	if err := s.Close(); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "tour: stopping the server:", err)
	}
}

// Introduce shows the server's tools.
func (s *Session) Introduce(ctx context.Context, p *Printer) error {
	list, err := s.ListTools(ctx, nil)
	if err != nil {
		return err
	}
	p.Say("It serves %d tools:", len(list.Tools))
	for _, t := range list.Tools {
		p.Say("  %s", pad(t.Name, 24)+firstSentence(t.Description))
	}
	return nil
}

// Asked is what the person was asked in the last step, or "".
func (s *Session) Asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Subscribe asks to be told of changes of the resource at uri.
func (s *Session) Subscribe(ctx context.Context, uri string) error {
	return s.ClientSession.Subscribe(ctx, &mcp.SubscribeParams{URI: uri})
}

// Told waits for a notification that the resource at uri has changed, and reports
// whether one came in time.
func (s *Session) Told(ctx context.Context, uri string, most time.Duration) bool {
	end := time.After(most)
	for {
		select {
		case got := <-s.updated:
			if got == uri {
				return true
			}
		case <-end:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// A Step is one call of the tour, with what must come back.
type Step struct {
	Asked    string // in words
	Tool     string
	Args     string
	Why      string
	Want     string // a part of the answer; every step has one
	Never    string // what must not be in the answer
	Question string // a part of what the person must be asked
	Failed   bool   // the answer must be an error
	Forged   bool   // the call brings a yes along that nobody gave
	Declined bool   // the person says no
}

// Each runs steps and shows them; it fails on the first that went wrong.
func (s *Session) Each(ctx context.Context, p *Printer, steps []Step) error {
	for _, st := range steps {
		if _, err := s.Do(ctx, p, st); err != nil {
			return err
		}
	}
	return nil
}

// Do runs one step and shows it. It fails if the step went wrong.
func (s *Session) Do(ctx context.Context, p *Printer, st Step) (answer string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	s.person(st.Declined)
	if s.shared {
		s.newRecords() // are others'
	}
	text, failed, err := s.ask(ctx, st)
	if err != nil {
		return "", fmt.Errorf("%s: %w", st.Asked, err)
	}
	asked := s.question()
	ok := st.met(text, failed) && strings.Contains(asked, st.Question)
	p.Row(ok, st.Asked, Excerpt(text, st.Want), st.Why)
	if asked != "" {
		answer := "yes"
		if st.Declined {
			answer = "no"
		}
		p.note("the person is asked: " + asked + " They say " + answer + ".")
	}
	p.note(s.newRecords())
	if !ok {
		return text, fmt.Errorf("%s: the server answered %q, and the person was asked %q", st.Asked, text, asked)
	}
	return text, nil
}

// AtOnce makes the call of a step n times at one moment, and shows how many answers
// are equal. It fails if they are not all, or not as they must be.
func (s *Session) AtOnce(ctx context.Context, p *Printer, n int, st Step) error {
	s.person(st.Declined)
	texts, faults := make([]string, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			text, failed, err := s.ask(ctx, st)
			if err == nil && !st.met(text, failed) {
				err = fmt.Errorf("%s: the server answered %q", st.Asked, text)
			}
			texts[i], faults[i] = text, err
		})
	}
	wg.Wait()
	err, equal := errors.Join(faults...), 0
	for _, text := range texts {
		if text == texts[0] {
			equal++
		}
	}
	if err == nil && equal != n {
		err = fmt.Errorf("%s: only %d of %d answers are equal", st.Asked, equal, n)
	}
	p.Row(err == nil, st.Asked, fmt.Sprintf("%d equal answers: %s", equal, Excerpt(texts[0], st.Want)), st.Why)
	p.note(s.newRecords())
	return err
}

// met says whether an answer is as it must be.
func (st Step) met(text string, failed bool) bool {
	return failed == st.Failed && strings.Contains(text, st.Want) && (st.Never == "" || !strings.Contains(text, st.Never))
}

// person says what the person will say, who was asked nothing yet.
func (s *Session) person(declines bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.declines = "", declines
}

// question is what the person was asked last.
func (s *Session) question() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *Session) keep(answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers.WriteString(answer + "\n")
}

func (s *Session) ask(ctx context.Context, st Step) (text string, failed bool, err error) {
	params := &mcp.CallToolParams{Name: st.Tool, Arguments: json.RawMessage(st.Args)}
	if st.Forged {
		params.RequestState = "confirmed-by-admin"
		params.InputResponses = mcp.InputResponseMap{"confirm": &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}}
	}
	res, err := s.CallTool(ctx, params)
	var refused *jsonrpc.Error // what a forged state is answered with
	if errors.As(err, &refused) {
		s.keep(refused.Message)
		return refused.Message, true, nil
	}
	if err != nil {
		return "", false, err
	}
	for _, c := range res.Content {
		switch c := c.(type) {
		case *mcp.TextContent:
			text += c.Text
		case *mcp.EmbeddedResource:
			text += c.Resource.Text
		}
	}
	s.keep(text)
	return text, res.IsError, nil
}

// newRecords tells the audit records that came since the last time, and counts equal
// ones.
func (s *Session) newRecords() string {
	file, err := os.ReadFile(s.audit)
	if err != nil {
		return err.Error()
	}
	lines := strings.FieldsFunc(string(file), func(r rune) bool { return r == '\n' })
	seqs, texts := map[string][]int{}, []string{}
	for _, l := range lines[s.seen:] {
		seq, text := describeRecord(l)
		if seqs[text] == nil {
			texts = append(texts, text)
		}
		seqs[text] = append(seqs[text], seq)
	}
	s.seen = len(lines)
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%d %s", seqs[text][0], text)
		if n := len(seqs[text]); n > 1 {
			texts[i] = fmt.Sprintf("%d × %s", n, text)
		}
	}
	return "audit: " + strings.Join(texts, "; ")
}

func describeRecord(line string) (seq int, text string) {
	var r struct {
		Seq                     int
		Msg                     string
		Decision, Outcome, Rule string
	}
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return 0, "unreadable record"
	}
	text = fmt.Sprintf("%s %s%s", r.Msg, r.Decision, r.Outcome)
	if r.Rule != "" {
		text += " by " + r.Rule
	}
	return r.Seq, text
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + " …"
	}
	return s
}

// Excerpt shows the beginning of an answer, and the part that matters.
func Excerpt(text, part string) string {
	const n = 110
	short := shorten(text, n)
	if i := strings.Index(text, part); i >= 0 && !strings.Contains(short, part) {
		short += " " + shorten(text[i:], n/2)
	}
	return short
}

func firstSentence(s string) string {
	if i := strings.Index(s, ". "); i >= 0 {
		s = s[:i+1]
	}
	return shorten(s, 100)
}
