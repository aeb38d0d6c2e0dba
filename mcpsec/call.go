package mcpsec

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/text"
)

// A Principal is who makes a call. On standard input and output it is whoever
// started the server, see [Options].Principal.
type Principal struct {
	// ID is stable and unique. It keys limits and stands in audit records, so
	// it should not be a secret or an e-mail address.
	ID string
	// Scopes are what the caller was granted.
	Scopes []string
}

// A Call is one request on its way in, seen by guards: the call of a tool, or the
// same for a prompt or a resource.
type Call struct {
	ID string // random, names the call in records and error texts
	// Method is tools/call, prompts/get, resources/read, resources/subscribe or
	// completion/complete.
	Method    string
	Tool      string // the name of the tool, or of the prompt or resource
	Effect    Effect
	Labels    Label
	Principal Principal
	// Args is the decoded and validated input, of the handler's input type: the
	// very value that the handler will get. Of a completion it holds only the
	// argument that is being typed, unvalidated but for its length.
	Args any

	noun  string // what Tool is the name of, in records
	start time.Time
	bytes int    // size of the raw arguments
	shape string // of the arguments, for the record

	assent  *assent // of a person, where one was needed
	resumes string  // the call that has asked for the answers which this one brings
	after   *hooks
}

// A Guard allows a call by returning nil. All of a server's guards run, then
// the tool's; the first error ends the call. The model reads the text of an
// [*Error]; of any other error it learns only that the call is not allowed. A
// guard that wants a person to be asked first returns [Ask].
//
// A Guard must be safe for concurrent use and runs under the call's deadline. It
// gets a copy of the Call and must not change what Args refers to.
type Guard func(context.Context, *Call) error

type callKey struct{}

func runFrom(ctx context.Context) *run {
	r, _ := ctx.Value(callKey{}).(*run)
	return r
}

// PrincipalFrom returns who makes the call that ctx belongs to, as a copy. The
// zero Principal means that ctx belongs to no call.
func PrincipalFrom(ctx context.Context) Principal {
	if r := runFrom(ctx); r != nil {
		p := r.call.Principal
		p.Scopes = slices.Clone(p.Scopes)
		return p
	}
	return Principal{}
}

// CallID returns the random id of the call that ctx belongs to, or "".
func CallID(ctx context.Context) string {
	if r := runFrom(ctx); r != nil {
		return r.call.ID
	}
	return ""
}

// Logger returns the server's redacting logger with the call's id and the name of
// its tool, prompt or resource set.
// Outside a call it returns a logger that drops everything.
func Logger(ctx context.Context) *slog.Logger {
	if r := runFrom(ctx); r != nil {
		return r.server.log.With("call", r.call.ID, r.call.noun, r.call.Tool)
	}
	return slog.New(slog.DiscardHandler)
}

const (
	progressInterval = 100 * time.Millisecond
	maxProgressText  = 500     // bytes
	maxErrorText     = 4 << 10 // bytes
	maxReason        = 500     // bytes, in a record
)

// clean makes a text fit to leave: without hidden characters, which could split
// a secret, then without secrets, then at most max bytes long.
func (s *Server) clean(t string, max int) string {
	t, _ = text.Strip(t)
	t = s.redact.String(t)
	if len(t) > max {
		t = strings.ToValidUTF8(t[:max], "")
	}
	return t
}

// Progress tells the client how far the call that ctx belongs to has come. A
// total of 0 means unknown. It does nothing when the client did not ask for
// progress, when done does not rise, after the call ended, or within 100 ms of
// the last report, so it may be called in a tight loop. The message is redacted
// and cut at 500 bytes. It is safe for concurrent use.
func Progress(ctx context.Context, done, total float64, message string) {
	r := runFrom(ctx)
	if r == nil || r.req.Params.GetProgressToken() == nil || !r.reports(done, time.Now()) {
		return
	}
	// The client may be gone; the call's own answer will find out.
	_ = r.req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
		ProgressToken: r.req.Params.GetProgressToken(),
		Progress:      done,
		Total:         total,
		Message:       r.server.clean(message, maxProgressText),
	})
}

// reports decides whether a notification goes out now.
func (r *run) reports(done float64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.reported.IsZero()
	if r.over || !first && (done <= r.highest || now.Sub(r.reported) < progressInterval) {
		return false
	}
	r.reported, r.highest = now, done
	return true
}
