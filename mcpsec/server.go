package mcpsec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/seal"
	"github.com/mcpsec/mcpsec-go/internal/wire"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Options configures a [Server]. Audit is required; the zero value of every
// other field is the safest useful setting.
type Options struct {
	// Audit is where every decision and outcome is recorded, at level info:
	// an [AuditLog], or any other handler that returns an error when it cannot
	// record. A call that cannot be recorded is refused. Handle must not block
	// for long. Required.
	Audit slog.Handler
	// Mode is the worst effect that tools may have. Tools beyond it are not
	// served. Defaults to Read.
	Mode Effect
	// Guards run before each tool's, prompt's and resource's own; [Call].Method
	// says what it is. Defaults to none.
	Guards []Guard
	// Limits bounds what a client can make the server spend.
	Limits Limits
	// State is what replicas share: the rates of principals, and keys that are
	// used once. While it cannot be asked, every request is refused. Defaults to
	// this process's memory.
	State state.Store
	// Principal is who calls over standard input and output, and over HTTP where
	// nobody verifies tokens. Defaults to the ID "local".
	Principal Principal
	// StepUp lets callers see the tools, prompts and resources that they lack
	// scopes for: they are listed, and a call is refused with the scopes that it
	// needs, over HTTP by the challenge with which a client asks its user for
	// more. Defaults to false: for them they do not exist, and no prompt can talk
	// a person into granting more.
	StepUp bool
	// Approver asks a person where the client cannot. Defaults to none: a call
	// that a person must confirm is refused then.
	Approver Approver
	// SealKeys protect what a client keeps for the server until a person has
	// answered: the first seals, all of them open, so that a key can be
	// replaced without losing questions that are open. Each is random, of 32
	// bytes or more. Replicas need the same keys, or one refuses the answer to
	// another's question, and the same State, or an answer is good once on each.
	// Defaults to a key of this process.
	SealKeys []Secret
	// Redactor masks secrets in results, error texts, logs and records.
	// Defaults to redact.New with Secrets.
	Redactor *redact.Redactor
	// Secrets are exact values that must never leave. Defaults to none.
	Secrets []Secret
	// Observer is told of requests and of what is refused, for traces and metrics
	// beside [Server.Metrics]. Defaults to none, which costs nothing.
	Observer Observer
	// Log takes what people who run the server should know, causes of internal
	// errors among it; it is wrapped by the Redactor. Defaults to text on
	// standard error from level info on.
	Log slog.Handler
	// ClientLog lets clients ask for what handlers say with [LogToClient]. The
	// server's own log never goes there. Defaults to false.
	ClientLog bool
	// Instructions tell the model how to use the server. Defaults to none.
	Instructions string
}

// A Server is an MCP server whose tools, prompts and resources all pass through
// one pipeline. It is safe for concurrent use.
type Server struct {
	sdk       *mcp.Server
	impl      mcp.Implementation
	info      []byte // impl as JSON
	audit     slog.Handler
	log       *slog.Logger
	redact    *redact.Redactor
	guards    []Guard
	limits    Limits
	mode      Effect
	principal Principal
	stepUp    bool
	approver  Approver
	clientLog bool
	seal      func() *seal.Ring // made when a first question is sealed, without SealKeys
	once      state.Once        // for answers of people

	observer  Observer
	metrics   metrics
	running   inFlight
	waiting   inFlight // for people
	askers    callers  // the same by principal
	callers   callers  // whose calls run
	rates     *rates
	refusals  refusals
	strangers refusals // who cannot push the refusals of callers out of the record

	beforeCall atomic.Pointer[func()] // by Run, before a call runs

	watches watches
	updates updates

	mu        sync.RWMutex
	tools     map[string]*Tool
	prompts   map[string]*Prompt
	resources map[string]*Resource // by URI or template, as written
	templates []*Resource          // of these, the templates
	suggests  bool                 // values of some argument
}

// NewServer returns a server that serves nothing yet. It refuses options that cannot be
// right, and to run with MCPGODEBUG set, which switches protections of the SDK
// off.
func NewServer(impl *mcp.Implementation, o Options) (*Server, error) {
	if err := checkOptions(impl, &o); err != nil {
		return nil, fmt.Errorf("mcpsec: %w", err)
	}
	red := o.Redactor
	if red == nil {
		red = redact.New(redact.Options{})
	}
	for i, secret := range o.Secrets {
		if !red.Register(secret) {
			return nil, fmt.Errorf("mcpsec: Options.Secrets[%d] is too short to be found in text", i)
		}
	}
	info, err := json.Marshal(impl)
	if err != nil {
		return nil, fmt.Errorf("mcpsec: implementation: %w", err)
	}
	ring, err := sealRing(impl.Name, o.SealKeys)
	if err != nil {
		return nil, fmt.Errorf("mcpsec: %w", err)
	}
	log := guarded{redact.NewHandler(o.Log, red), nil}
	s := &Server{
		impl: *impl, info: info, redact: red, guards: slices.Clone(o.Guards),
		limits: o.Limits.withDefaults(), mode: o.Mode, stepUp: o.StepUp,
		principal: Principal{ID: o.Principal.ID, Scopes: slices.Clone(o.Principal.Scopes)},
		approver:  o.Approver, clientLog: o.ClientLog, seal: ring, once: o.State, observer: o.Observer,
		log:       slog.New(log),
		tools:     map[string]*Tool{},
		prompts:   map[string]*Prompt{},
		resources: map[string]*Resource{},
	}
	if s.once == nil {
		s.once = new(state.Memory)
	}
	s.rates = newRates(o.State, impl.Name, s.limits.CallsPerSecond)
	s.audit = guarded{o.Audit, func(ctx context.Context) { s.note(ctx, Event{Kind: eventUnrecorded}) }}
	s.sdk = mcp.NewServer(impl, &mcp.ServerOptions{
		Instructions: o.Instructions,
		Logger:       slog.New(atLeast{slog.LevelError, log}),
		PageSize:     maxItems,
		Capabilities: capabilities(o.ClientLog),
		// Who may subscribe is decided before these are asked.
		SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
		SetCacheable:       func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { c.CacheScope = "private" },
	})
	s.sdk.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler { return s.observe(s.backstop(next)) })
	s.sdk.AddSendingMiddleware(s.updates.deferred)
	return s, nil
}

func checkOptions(impl *mcp.Implementation, o *Options) error {
	switch {
	case impl == nil || impl.Name == "" || impl.Version == "":
		return errors.New("an Implementation with a name and a version is required")
	case o.Audit == nil:
		return errors.New("Options.Audit is required: NewAuditLog makes one")
	case !o.Audit.Enabled(context.Background(), slog.LevelInfo):
		return errors.New("Options.Audit must record level info")
	case o.Mode > Destroy:
		return errors.New("Options.Mode must be Read, Write or Destroy")
	case len(ratePrefix(impl.Name)) > state.MaxKey-maxPrincipal:
		return errors.New("the Implementation's name is too long")
	case os.Getenv("MCPGODEBUG") != "":
		return errors.New("the environment variable MCPGODEBUG weakens the SDK: unset it")
	}
	if slices.ContainsFunc(o.Guards, func(g Guard) bool { return g == nil }) {
		return errors.New("a guard in Options.Guards is nil")
	}
	if err := o.Limits.check(); err != nil {
		return err
	}
	if err := checkID(o.Principal.ID); err != nil {
		return fmt.Errorf("Options.Principal: %w", err)
	}
	for _, text := range []string{impl.Name, impl.Title, impl.Version, o.Instructions} {
		if err := visible(text); err != nil {
			return err
		}
	}
	if o.Mode == 0 {
		o.Mode = Read
	}
	if o.Principal.ID == "" {
		o.Principal.ID = "local"
	}
	if o.Log == nil {
		o.Log = slog.NewTextHandler(os.Stderr, nil)
	}
	return nil
}

// maxItems is how many items one page of a list holds, which is all.
const maxItems = 100_000

// Add serves tools. A tool whose effect goes beyond Options.Mode is left out,
// which is logged. Add panics on a name that is taken.
func (s *Server) Add(tools ...*Tool) {
	for i, t := range tools {
		if t == nil {
			panic(fmt.Sprintf("mcpsec: Add: tool %d is nil", i))
		}
		s.add(t)
	}
}

func (s *Server) add(t *Tool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := t.spec.Name
	if _, taken := s.tools[name]; taken {
		panic(fmt.Sprintf("mcpsec: tool %q: added twice", name)) // the SDK would replace it
	}
	if t.spec.Effect > s.mode {
		s.log.Warn("tool not served: its effect goes beyond the server's mode", "tool", name, "effect", t.spec.Effect.String(), "mode", s.mode.String())
		return
	}
	s.logWaivers(&t.operation)
	s.tools[name] = t
	s.sdk.AddTool(t.listed, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return s.serve(ctx, &t.operation, req).forSDK(), nil
	})
}

// ServeStream serves one client over a byte stream, one JSON-RPC message a
// line, until r ends or ctx does: calls that run then get [Limits].Grace to
// finish before they are cancelled, and a client that reads no answers is left.
// Both ends are closed. The caller is
// Options.Principal, so the stream must reach nobody else. It returns nil when
// the stream has ended, ctx's error when ctx did.
func (s *Server) ServeStream(ctx context.Context, r io.ReadCloser, w io.WriteCloser) error {
	inventory := sync.OnceFunc(s.inventory)
	defer inventory()
	defer time.AfterFunc(inventoryDelay, inventory).Stop()
	t := wire.New(r, w, wire.Config{
		MaxLine:     s.limits.MaxMessage,
		MaxDepth:    s.limits.MaxDepth,
		MaxInFlight: 2 * s.limits.MaxConcurrent,
		Grace:       s.limits.Grace,
		Identify:    s.observer != nil,
		Refused: func(f *wire.Refusal) {
			s.recordRefusal(ctx, refusal{principal: s.principal.ID, rule: "message", reason: f.Text})
		},
	})
	session, err := s.sdk.Connect(context.WithoutCancel(ctx), t, nil)
	if err != nil {
		return fmt.Errorf("mcpsec: %w", err)
	}
	defer s.watches.drop(session, s.principalOf(ctx).ID, func(string) bool { return true })
	defer s.recordRest(ctx)
	defer context.AfterFunc(ctx, t.Stop)()
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	select {
	case err = <-ended:
	case <-t.GaveUp():
		select {
		case err = <-ended:
		case <-time.After(time.Second): // stuck in a read, a write or a sink
			err = errors.New("the peer reads no answers, or a record could not be written")
		}
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("mcpsec: the stream broke: %w", err)
	}
	return ctx.Err()
}

// inventoryDelay keeps the client that waits for its first answers from waiting for
// what is only logged: a client starts its servers when it starts.
const inventoryDelay = 100 * time.Millisecond

// inventory logs what is served, so that a server which nobody knows of, or
// whose tools have changed, can be found in the logs.
func (s *Server) inventory() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sum := sha256.New()
	add := func(definition any) {
		b, err := json.Marshal(definition)
		if err != nil {
			s.log.Error("definition", "error", err)
		}
		sum.Write(b)
	}
	tools, prompts, resources := slices.Sorted(maps.Keys(s.tools)), slices.Sorted(maps.Keys(s.prompts)), slices.Sorted(maps.Keys(s.resources))
	for _, n := range tools {
		add(s.tools[n].listed)
	}
	for _, n := range prompts {
		add(s.prompts[n].definition())
	}
	for _, u := range resources {
		add(s.resources[u].template())
	}
	s.log.Info("serving", "server", s.impl.Name, "version", s.impl.Version, "mode", s.mode.String(),
		"tools", tools, "prompts", prompts, "resources", resources, "definitions", hex.EncodeToString(sum.Sum(nil)))
}
