package hostile

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Clients that are slow, deaf, many, greedy or gone cost the server what they
// may for as long as they are there, and nothing afterwards. Alice is served all
// the while.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	p := start(t, "http")
	alice, n := p.token("alice"), 0
	served := func(t *testing.T) {
		t.Helper()
		if err := p.honest(t.Context(), alice, n); err != nil {
			t.Errorf("alice is not served: %v", err)
		}
		n++
	}
	// The first time, everything takes memory that stays.
	for _, name := range slices.Sorted(maps.Keys(attacks)) {
		attack := attacks[name]
		if err := attack(t.Context(), p, 1); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	served(t)
	first := p.settled(t)
	for _, name := range slices.Sorted(maps.Keys(attacks)) {
		attack := attacks[name]
		t.Run(name, func(t *testing.T) {
			ended := make(chan error)
			go func() { ended <- attack(t.Context(), p, atMost(100)) }()
			for {
				served(t)
				select {
				case err := <-ended:
					if err != nil {
						t.Error(err)
					}
					served(t)
					p.recovers(t, first)
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	p.unharmed(t)
}

// The attacks, by n clients each.
var attacks = map[string]func(ctx context.Context, p *process, n int) error{
	"drip a header":               each(plain("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-A: ", "x")),
	"drip a body":                 each(dripBody),
	"send nothing":                each(plain("", "")),
	"half a handshake":            each(halfHandshake),
	"abort uploads":               each(abortUpload),
	"pipeline and do not read":    each(pipeline),
	"subscribe and do not read":   subscribeDeaf,
	"connect from one address":    connectOften,
	"complete, ask, subscribe":    each(greedy),
	"HTTP/2: reset rapidly":       each(frames(resetRapidly)),
	"HTTP/2: ping, set":           each(frames(pingAndSet)),
	"HTTP/2: endless header":      each(frames(endlessHeader)),
	"HTTP/2: header bomb":         each(frames(headerBomb)),
	"HTTP/2: no window":           each(frames(noWindow)),
	"HTTP/2: overflow the window": each(frames(overflowWindow)),
}

// each runs a client n times at once, from addresses of their own.
func each(client func(ctx context.Context, p *process, i int) error) func(context.Context, *process, int) error {
	return func(ctx context.Context, p *process, n int) error {
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { errs[i] = client(ctx, p, 1000+i) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
}

// closed waits until the server ends a connection, to which drip is written.
func closed(c net.Conn, drip string) error {
	defer c.Close()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for drip != "" {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				_, _ = io.WriteString(c, drip) // until it is closed
			}
		}
	}()
	if err := c.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the server keeps a connection")
	}
	return nil
}

func plain(text, drip string) func(context.Context, *process, int) error {
	return func(ctx context.Context, p *process, i int) error {
		c, err := dial(ctx, p.Plain, i)
		if err != nil {
			return err
		}
		_, _ = io.WriteString(c, text)
		return closed(c, drip)
	}
}

func (p *process) head(length int) string {
	return fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n", p.token("mallory"), length)
}

func dripBody(ctx context.Context, p *process, i int) error {
	return plain(p.head(1_000_000)+"\r\n{", " ")(ctx, p, i)
}

func halfHandshake(ctx context.Context, p *process, i int) error {
	c, err := dial(ctx, p.TLS, i)
	if err != nil {
		return err
	}
	_, _ = io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00")
	return closed(c, "\x00")
}

func abortUpload(ctx context.Context, p *process, i int) error {
	for range 5 {
		c, err := dial(ctx, p.Plain, i)
		if err != nil {
			return err
		}
		_, _ = io.WriteString(c, p.head(1_000_000)+"\r\n{"+strings.Repeat(" ", 10_000))
		if err := c.(*net.TCPConn).SetLinger(0); err != nil { // a reset
			return err
		}
		c.Close()
	}
	return nil
}

const slowCall = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":1}}}`

// pipeline asks for far more than sockets hold, and reads nothing of it.
func pipeline(ctx context.Context, p *process, i int) error {
	c, err := dial(ctx, p.Plain, i)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	text := p.head(len(slowCall)) + "\r\n" + slowCall
	for range 200 {
		if _, err := io.WriteString(c, text); errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("the server keeps a connection that does not read")
		} else if err != nil {
			return nil
		}
	}
	return nil
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}}}`

// subscribeDeaf makes connections that are told of alice's changes, and hear
// nothing. A principal may have eight.
func subscribeDeaf(ctx context.Context, p *process, _ int) error {
	body := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["orders://1"]},` + meta + `}}`
	for i := range 12 {
		c, err := dial(ctx, p.Plain, 3000+i)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.(*net.TCPConn).SetReadBuffer(1024); err != nil {
			return err
		}
		_, _ = io.WriteString(c, p.head(len(body))+"Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n\r\n"+body)
	}
	select { // for alice to make changes
	case <-time.After(500 * time.Millisecond):
	case <-ctx.Done():
	}
	return nil
}

// connectOften leaves room for others: one address gets a quarter.
func connectOften(ctx context.Context, p *process, n int) error {
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range 6 * n {
		c, err := dial(ctx, p.Plain, 77)
		if err != nil {
			return err
		}
		open = append(open, c)
	}
	return nil
}

// greedy asks for what costs: completions, questions to people, states to open,
// subscriptions. It may be refused, and must be answered.
func greedy(ctx context.Context, p *process, i int) error {
	state := strings.Repeat("A", 300_000)
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"language","value":"` + state + `"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"orders_delete","arguments":{"ids":[1]},"requestState":"` + state + `",` + meta + `}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"orders_delete","arguments":{"ids":[1]},` + meta + `}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"docs:///` + strings.Repeat("%2e", 100_000) + `"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":[{}],"b":"` + strings.Repeat(`\u0041`, 50_000) + `"}}`,
	} {
		head := p.head(len(body)) + "Connection: close\r\n"
		if strings.Contains(body, meta) {
			head += "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: orders_delete\r\n"
		}
		a := attack{kind: "greedy", bytes: []byte(head + "\r\n" + body)}
		all, err := p.send(ctx, a, i)
		if err != nil {
			return err
		}
		if err := p.judge(a, all, map[int]int{}); err != nil && !errors.Is(err, errNoAnswer) { // all together they can be too slow
			return fmt.Errorf("%w: sent %.500q, got %.500q", err, a.bytes, all)
		}
	}
	return nil
}

// frames gives an attack a connection of HTTP/2, whose other direction nobody
// reads until the attack is over.
func frames(attack func(p *process, f *http2.Framer) error) func(context.Context, *process, int) error {
	return func(ctx context.Context, p *process, i int) error {
		raw, err := dial(ctx, p.TLS, i)
		if err != nil {
			return err
		}
		c := tls.Client(raw, &tls.Config{RootCAs: p.pool, ServerName: "orders.example.com", NextProtos: []string{"h2"}})
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
			return err
		}
		if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
			return nil // too slow for the server
		}
		f := http2.NewFramer(c, nil)
		f.AllowIllegalWrites = true
		if err := errors.Join(f.WriteSettings(), attack(p, f)); errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("the server keeps a connection that does not read")
		}
		return nil // it may have been closed
	}
}

// fields encodes the header of a call; more are further fields.
func (p *process) fields(more ...hpack.HeaderField) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "orders.example.com"}, {Name: ":path", Value: "/mcp"},
		{Name: "content-type", Value: "application/json"}, {Name: "accept", Value: "application/json, text/event-stream"}, {Name: "authorization", Value: "Bearer " + p.token("mallory")},
	}, more...) {
		_ = e.WriteField(f) // to memory
	}
	return b.Bytes()
}

// resetRapidly begins calls and takes them back (CVE-2023-44487).
func resetRapidly(p *process, f *http2.Framer) error {
	header := p.fields()
	for id := uint32(1); id < 1000; id += 2 {
		err := errors.Join(f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header, EndHeaders: true}),
			f.WriteData(id, true, []byte(slowCall)), f.WriteRSTStream(id, http2.ErrCodeCancel))
		if err != nil {
			return err
		}
	}
	return nil
}

func pingAndSet(_ *process, f *http2.Framer) error {
	for range 1000 {
		if err := errors.Join(f.WritePing(false, [8]byte{}), f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})); err != nil {
			return err
		}
	}
	return nil
}

// endlessHeader continues a header for ever (CVE-2023-45288).
func endlessHeader(p *process, f *http2.Framer) error {
	err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields()})
	for range 1000 {
		if err != nil {
			return err
		}
		err = f.WriteContinuation(1, false, append([]byte{0, 1, 'a', 0x7f, 0x81, 0x3e}, bytes.Repeat([]byte("x"), 8192)...))
	}
	return err
}

// headerBomb names one large field of the table many times.
func headerBomb(p *process, f *http2.Framer) error {
	block := p.fields(hpack.HeaderField{Name: "x-large", Value: strings.Repeat("x", 3800)})
	block = append(block, bytes.Repeat([]byte{0x80 | 62}, 10_000)...) // the newest entry
	for id := uint32(1); id < 40; id += 2 {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true}); err != nil {
			return err
		}
	}
	return nil
}

// noWindow asks for answers that it does not let come.
func noWindow(p *process, f *http2.Framer) error {
	if err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		return err
	}
	header := p.fields()
	for id := uint32(1); id < 100; id += 2 {
		err := errors.Join(f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header, EndHeaders: true}), f.WriteData(id, true, []byte(slowCall)))
		if err != nil {
			return err
		}
	}
	time.Sleep(2500 * time.Millisecond) // longer than the server waits
	return nil
}

func overflowWindow(p *process, f *http2.Framer) error {
	err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields(), EndHeaders: true})
	return errors.Join(err, f.WriteWindowUpdate(1, 1<<31-1), f.WriteWindowUpdate(0, 1<<31-1), f.WriteData(1, false, make([]byte, 16<<10)), f.WriteRawFrame(0xfa, 0xff, 1<<31-1, make([]byte, 100)))
}
