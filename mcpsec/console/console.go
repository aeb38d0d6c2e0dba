package console

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Options configures a Console. Log and Token are required.
type Options struct {
	// Log is the file that [mcpsec.OpenAuditLog] writes. It need not exist yet, and may be
	// replaced by a new one. Required.
	Log string
	// Token logs in: at least 128 random bits, as from openssl rand -hex 32. Required.
	Token mcpsec.Secret
	// Hosts are the names that the console is reached by, without ports, besides those of
	// this machine. Over any of them cookies are sent over TLS only. Defaults to none.
	Hosts []string
	// Title is shown on top. Defaults to the file's name.
	Title string
	// Errors gets what goes wrong, as a log. Defaults to [slog.Default].
	Errors *slog.Logger
}

// A Console is an [http.Handler] that shows an audit log. It is safe for concurrent use.
type Console struct {
	options  Options
	mux      *http.ServeMux
	origins  *http.CrossOriginProtection
	attempts state.Memory // guesses of the token, by address
	sessions sessions

	mu   sync.Mutex // of what follows
	tail tail
	book book
}

// New returns a Console. It reads the log when it is first asked, and what has come since
// each time it is asked: there is nothing to close. It returns an error for options that
// cannot be right, a token that can be guessed among them.
func New(o Options) (*Console, error) {
	if o.Log == "" {
		return nil, errors.New("console: Options.Log is required: the file of the audit log")
	}
	if err := o.Token.CheckRandom(0); err != nil {
		return nil, fmt.Errorf("console: Options.Token %w", err)
	}
	for _, h := range o.Hosts {
		if h == "" || strings.ContainsAny(h, "/: ") {
			return nil, fmt.Errorf("console: Options.Hosts has %q: names only, without scheme and port", h)
		}
	}
	if o.Title == "" {
		o.Title = o.Log[strings.LastIndexAny(o.Log, `/\`)+1:]
	}
	if o.Errors == nil {
		o.Errors = slog.Default()
	}
	c := &Console{options: o, mux: http.NewServeMux(), origins: http.NewCrossOriginProtection(), tail: tail{path: o.Log}, book: newBook()}
	c.mux.HandleFunc("GET /{$}", c.authenticated(c.page))
	c.mux.HandleFunc("GET /login", c.loginPage)
	c.mux.HandleFunc("POST /login", c.login)
	c.mux.HandleFunc("POST /logout", c.logout)
	c.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c.mux.HandleFunc("GET /console.css", asset("console.css", "text/css; charset=utf-8"))
	c.mux.HandleFunc("GET /console.js", asset("console.js", "text/javascript; charset=utf-8"))
	return c, nil
}

//go:embed console.css console.js page.html login.html
var assets embed.FS

// policy lets a page load and run what comes from here, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		w.Header().Set(name, value)
	}
	if !c.ours(r.Host) {
		http.Error(w, "this is not a name of the console's: see Options.Hosts", http.StatusMisdirectedRequest)
		return
	}
	if err := c.origins.Check(r); err != nil {
		http.Error(w, "a request of another page", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	c.mux.ServeHTTP(w, r)
}

// ours reports whether a Host header names this machine, or one of Options.Hosts.
func (c *Console) ours(host string) bool {
	name := hostname(host)
	return local(name) || slices.ContainsFunc(c.options.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

func local(name string) bool {
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}

func asset(name, mime string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mime)
		text, _ := assets.ReadFile(name) // embedded
		w.Write(text)
	}
}

// page reads what has come, and shows it.
func (c *Console) page(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.render(w, r, "page.html", c.look(r.Context(), q))
}

func (c *Console) look(ctx context.Context, q query) *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.book.trouble = ""
	if err := c.tail.read(c.book.add); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.options.Errors.ErrorContext(ctx, "console: the audit log cannot be read", "error", err)
		c.book.trouble = "The audit log cannot be read; the console's own log says why."
	}
	if c.tail.cut {
		c.book.gap = "The file has become shorter: records were removed from its end."
	}
	return c.book.view(q, time.Now(), c.options.Title)
}
