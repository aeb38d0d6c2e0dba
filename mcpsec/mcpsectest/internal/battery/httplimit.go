package battery

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

var limitChecks = []Check{
	{
		ID: "http/chunked", Severity: Low, Over: HTTP, Title: "a body of unknown length has no bound",
		Proof:  "A message with 32 MiB of blanks behind it, in chunks, without Content-Length, was answered with a result.",
		Remedy: "Count what is read, and answer with 413 from 1 MiB or so on (http.MaxBytesReader).",
		Run:    chunked,
	},
	{
		ID: "http/bomb", Severity: Medium, Over: HTTP, Title: "a compressed body grows without a bound",
		Proof:  "A message of 32 KiB that grows to 32 MiB (Content-Encoding: gzip) was answered with a result.",
		Remedy: "Answer compressed bodies with 415, or count what comes out.",
		Run:    bomb,
	},
	{
		ID: "http/slow", Severity: Low, Over: HTTP, Title: "a request may take as long as it likes to arrive",
		Proof:  "A connection that had sent half a header, or a header and one byte of its body, was still open after three times -timeout. A few thousand of them, from one client, are all that most servers can have.",
		Remedy: "Set a deadline for the header and for the body (http.Server.ReadHeaderTimeout, ReadTimeout).",
		Run:    slow,
	},
	{
		ID: "http/failure", Severity: Low, Over: HTTP, Title: "a bad request is taken for the server's own failure",
		Proof:  "A body that cannot be read, a header that means nothing or an unknown session was answered with status 500, 502 or 504.",
		Remedy: "Answer what clients do wrong with 4xx, and a constant text.",
		Run:    failing,
	},
	{
		ID: "http/banner", Severity: Info, Over: HTTP, Title: "the server tells its software's version",
		Proof:  "Server, X-Powered-By, X-AspNet-Version or Via has a name and a version.",
		Remedy: "Leave the header out.",
		Run:    banner,
	},
}

const bulk = 32 << 20

func chunked(ctx context.Context, p *Probe) []Finding {
	a := p.shoot(ctx, "32 MiB in chunks", func(r *http.Request) {
		message, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(message), io.LimitReader(spaces{}, bulk)))
		r.GetBody, r.ContentLength = nil, -1
	})
	if !a.accepted() {
		return nil
	}
	return one(0, "a message of 32 MiB in chunks was answered with a result")
}

// spaces are blanks without end.
type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func bomb(ctx context.Context, p *Probe) []Finding {
	packed, err := compressed(p.greeting().raw) // before time runs: that takes a while
	if err != nil {
		return nil
	}
	a := p.shoot(ctx, "a compressed body", func(r *http.Request) {
		setBody(r, packed)
		r.Header.Set("Content-Encoding", "gzip")
	})
	if !a.accepted() {
		return nil
	}
	return one(0, "a body of %d bytes, which is 32 MiB when it is decompressed, was answered with a result", len(packed))
}

// compressed is a message with much white space behind it.
func compressed(message []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err1 := z.Write(message)
	_, err2 := io.CopyN(z, spaces{}, bulk)
	err := errors.Join(err1, err2, z.Close())
	return b.Bytes(), err
}

func slow(ctx context.Context, p *Probe) []Finding {
	wait := 3 * p.Options.timeout()
	var open [2]bool
	var wg sync.WaitGroup
	for i := range open {
		wg.Go(func() { open[i] = p.stays(ctx, i == 1, wait) })
	}
	wg.Wait()
	var what []string
	if open[0] {
		what = append(what, "half a header")
	}
	if open[1] {
		what = append(what, "a header and one byte of the body")
	}
	if what == nil {
		return nil
	}
	return one(0, "the connection was still open %v after %s", wait, strings.Join(what, ", and after "))
}

// stays sends a part of a request, and reports whether the server then waits for all
// the time.
func (p *Probe) stays(ctx context.Context, whole bool, wait time.Duration) bool {
	req, err := newPoster(p.Target.URL, p.Target.Header).request(ctx, p.greeting())
	if err != nil {
		return false
	}
	head, err := httputil.DumpRequestOut(req, false)
	if err != nil {
		return false
	}
	sent := append(head, '{')
	if !whole {
		sent = head[:len(head)-3] // all but the end of the last line
	}
	c, err := p.dialTCP(ctx)
	if err != nil {
		return false
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if _, err := c.Write(sent); err != nil {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	_, err = c.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

func (p *Probe) dialTCP(ctx context.Context) (net.Conn, error) {
	u := p.address()
	port := u.Port()
	d := &net.Dialer{Timeout: p.Options.timeout()}
	if u.Scheme == "https" {
		if port == "" {
			port = "443"
		}
		return (&tls.Dialer{NetDialer: d, Config: &tls.Config{NextProtos: []string{"http/1.1"}}}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	}
	if port == "" {
		port = "80"
	}
	return d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
}

func failing(ctx context.Context, p *Probe) []Finding {
	body := func(text string) func(r *http.Request) {
		return func(r *http.Request) { setBody(r, []byte(text)) }
	}
	var failed []string
	for _, bad := range []struct {
		what   string
		change func(r *http.Request)
	}{
		{"a body that is no JSON", body("garbage")},
		{"an empty body", body("")},
		{"a body that is a number", body("42")},
		{"half a message", body(`{"jsonrpc":"2.0","id":1,"method":`)},
		{"100,000 brackets", body(strings.Repeat("[", 100_000))},
		{"bytes that are no UTF-8", body("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}")},
		{"params that are a string", body(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":"x"}`)},
		{"a session that does not exist", setHeader("Mcp-Session-Id", "mcpsec-none")},
		{"Accept that means nothing", setHeader("Accept", ";;q=,/")},
		{"Content-Type that means nothing", setHeader("Content-Type", `application/json; charset="`)},
		{"a query that cannot be read", func(r *http.Request) { r.URL.RawQuery = "%zz=%" }},
	} {
		switch a := p.shoot(ctx, bad.what, bad.change); a.status {
		case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
			failed = append(failed, fmt.Sprintf("%s (%d)", bad.what, a.status))
		}
	}
	if failed == nil {
		return nil
	}
	return one(0, "answered as a failure of the server: %s", strings.Join(failed, ", "))
}

var versioned = lazy.Regexp(`[A-Za-z][\w. -]*/\d[\w.]*`)

func banner(ctx context.Context, p *Probe) []Finding {
	a := p.shoot(ctx, "plainly", func(*http.Request) {})
	for _, name := range []string{"Server", "X-Powered-By", "X-AspNet-Version", "Via"} {
		if v := a.header.Get(name); versioned().MatchString(v) {
			return one(0, "%s: %s", name, v)
		}
	}
	return nil
}
