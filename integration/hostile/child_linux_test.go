package hostile

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

const (
	resource = "https://orders.example.com/mcp"
	page     = "https://chat.example.com" // a web page that may call

	envKind, envDir, envIssuer = "HOSTILE_KIND", "HOSTILE_DIR", "HOSTILE_ISSUER"
	envSecret, envPrivate      = "HOSTILE_SECRET", "HOSTILE_PRIVATE"
)

// TestMain is the server, where the test has started itself as one.
func TestMain(m *testing.M) {
	kind := os.Getenv(envKind)
	if kind == "" {
		os.Exit(m.Run())
	}
	if err := serve(kind); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// serve is controlled through two pipes: it tells its addresses, and what it
// uses for each line.
func serve(kind string) error {
	control, tell := bufio.NewScanner(os.NewFile(3, "control")), json.NewEncoder(os.NewFile(4, "tell"))
	srv, err := newServer(kind)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 2)
	var addresses hello
	if kind == "stdio" {
		go func() { ended <- srv.Run(ctx) }()
	} else if addresses, err = listen(ctx, srv, ended); err != nil {
		return err
	}
	if err := tell.Encode(addresses); err != nil {
		return err
	}
	go func() {
		for control.Scan() {
			_ = tell.Encode(measure()) // the test misses it
		}
		cancel()
	}()
	return <-ended
}

// hello is the first thing that the server tells.
type hello struct{ Plain, TLS string }

func listen(ctx context.Context, srv *mcpsec.Server, ended chan<- error) (hello, error) {
	verify, err := auth.JWT(auth.JWTOptions{Issuer: os.Getenv(envIssuer), Audience: resource})
	if err != nil {
		return hello{}, err
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(os.Getenv(envDir), "cert.pem"), filepath.Join(os.Getenv(envDir), "key.pem"))
	if err != nil {
		return hello{}, err
	}
	o := mcpsec.HTTPOptions{Verifier: verify, Resource: resource, AuthorizationServers: []string{os.Getenv(envIssuer)},
		Scopes: []string{"orders:read"}, Origins: []string{page}, Timeout: 2 * time.Second}
	var h hello
	for _, to := range []*string{&h.Plain, &h.TLS} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return h, err
		}
		*to = ln.Addr().String()
		go func(o mcpsec.HTTPOptions) { ended <- srv.Serve(ctx, ln, o) }(o)
		o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	return h, nil
}

// usage is what the server holds when it has collected its garbage.
type usage struct {
	Goroutines int
	Heap       int // bytes
}

func measure() usage {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{runtime.NumGoroutine(), int(m.HeapAlloc)}
}

func newServer(kind string) (*mcpsec.Server, error) {
	dir := os.Getenv(envDir)
	secret, err := redact.SecretFromEnv(envSecret)
	if err != nil {
		return nil, err
	}
	audit, err := mcpsec.OpenAuditLog(filepath.Join(dir, "audit.jsonl"), mcpsec.Secret{})
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	o := mcpsec.Options{
		Audit: audit, Log: slog.NewTextHandler(log, nil), Mode: mcpsec.Destroy, Secrets: []mcpsec.Secret{secret},
		Limits: mcpsec.Limits{CallsPerSecond: 1e6, Timeout: 2 * time.Second}, // so that the attack gets deep
	}
	if kind == "stdio" {
		o.Principal = mcpsec.Principal{ID: "local", Scopes: []string{"orders:read"}}
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, o)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Join(dir, "root"))
	if err != nil {
		return nil, err
	}
	s := site{dir, srv}
	srv.Add(s.tools()...)
	srv.AddPrompt(s.prompts()...)
	srv.AddResource(s.order(), mcpsec.NewFiles(root, mcpsec.ResourceSpec{Name: "docs", Description: "Documents.", URI: "docs:///{+path}"}, nil))
	return srv, nil
}

// A site has the handlers. What they must not tell, they do not keep from the
// pipeline.
type site struct {
	dir string
	srv *mcpsec.Server
}

type (
	orderIn struct {
		ID string `json:"id" validate:"required,number,max=8"`
	}
	noteIn struct {
		Text string `json:"text" validate:"required,max=200"`
	}
	deleteIn struct {
		IDs   []int64           `json:"ids" validate:"required,max=10,unique,dive,min=1"`
		Why   string            `json:"why" validate:"max=100"`
		Flags map[string]string `json:"flags" validate:"max=4,dive,keys,max=8,endkeys,max=8"`
	}
	out struct {
		Text string `json:"text"`
	}
	none struct{}
)

// change notes in a file what was changed.
func (s site) change(what string) (out, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "state"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return out{}, err
	}
	_, err = fmt.Fprintln(f, what)
	_ = s.srv.ResourceUpdated("orders://1") // it exists
	return out{"done"}, errors.Join(err, f.Close())
}

func errInside() error { // with what errors of drivers hold
	return fmt.Errorf("dial %s: no route", "postgres://app:"+os.Getenv(envPrivate)+"@10.0.0.7/orders")
}

func (s site) tools() []*mcpsec.Tool {
	read, write := []string{"orders:read"}, []string{"orders:write"}
	return []*mcpsec.Tool{
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "order_get", Description: "Fetch an order.", Effect: mcpsec.Read, Scopes: read},
			func(ctx context.Context, in orderIn) (out, error) { return s.own(ctx, in.ID) }),
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "note_add", Description: "Add a note.", Effect: mcpsec.Write, Scopes: write},
			func(_ context.Context, in noteIn) (out, error) { return s.change("note " + in.Text) }),
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "orders_delete", Description: "Delete orders.", Effect: mcpsec.Destroy, Scopes: read,
			Guards: []mcpsec.Guard{mcpsec.Preview(func(_ context.Context, in deleteIn) (string, error) {
				return fmt.Sprintf("deletes %d orders", len(in.IDs)), nil
			})}},
			func(context.Context, deleteIn) (out, error) { return s.change("deleted") }),
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "broken", Description: "Fail.", Effect: mcpsec.Read},
			func(context.Context, none) (out, error) { return out{}, errInside() }),
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "panics", Description: "Panic.", Effect: mcpsec.Read},
			func(context.Context, none) (out, error) { panic(errInside()) }),
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "config", Description: "Show the configuration.", Effect: mcpsec.Read},
			func(context.Context, none) (out, error) { return out{"key " + os.Getenv(envSecret)}, nil }),
		mcpsec.NewTool(mcpsec.ToolSpec{Name: "slow", Description: "Take a while.", Effect: mcpsec.Read, MaxConcurrent: 4},
			func(ctx context.Context, _ none) (out, error) {
				mcpsec.Progress(ctx, 1, 2, "half way")
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Millisecond):
				}
				return out{strings.Repeat("x", 100_000)}, nil
			}),
	}
}

// own tells a caller of its own order, which has a number.
func (s site) own(ctx context.Context, id string) (out, error) {
	owner := map[string]string{"1": "alice", "2": "mallory"}[id]
	who := mcpsec.PrincipalFrom(ctx).ID
	if who == "local" { // over standard input
		who = "|mallory"
	}
	if owner == "" || !strings.HasSuffix(who, "|"+owner) {
		return out{}, &mcpsec.Error{Message: "there is no such order"}
	}
	if owner == "alice" {
		return out{"hers: " + os.Getenv(envPrivate)}, nil
	}
	return out{"an order"}, nil
}

func (s site) prompts() []*mcpsec.Prompt {
	type in struct {
		Language string `json:"language" validate:"required,oneof=go rust"`
		Code     string `json:"code" validate:"max=1000"`
	}
	complete := map[string]func(context.Context, string) ([]string, error){
		"language": func(_ context.Context, prefix string) ([]string, error) {
			if prefix == "fail" {
				return nil, errInside()
			}
			return []string{"go", "rust"}, nil
		},
	}
	handler := func(_ context.Context, in in) ([]mcpsec.Message, error) {
		if in.Code == "fail" {
			return nil, errInside()
		}
		return []mcpsec.Message{{Content: mcpsec.Content{Text: "Review this " + in.Language + " code."}}}, nil
	}
	return []*mcpsec.Prompt{
		mcpsec.NewPrompt(mcpsec.PromptSpec{Name: "review", Description: "Review code.", Complete: complete}, handler),
		mcpsec.NewPrompt(mcpsec.PromptSpec{Name: "admin", Description: "For few.", Complete: complete, Scopes: []string{"orders:admin"}}, handler),
	}
}

func (s site) order() *mcpsec.Resource {
	return mcpsec.NewResource(mcpsec.ResourceSpec{Name: "order", Description: "One order.", URI: "orders://{id}", Scopes: []string{"orders:read"}},
		func(ctx context.Context, in orderIn) (mcpsec.Content, error) {
			o, err := s.own(ctx, in.ID)
			if err != nil {
				return mcpsec.Content{}, fs.ErrNotExist
			}
			return mcpsec.Content{Text: o.Text}, nil
		})
}
