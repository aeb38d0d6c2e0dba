package mcpsec

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/wire"
)

// maxWatched is how many resources one principal may watch at once.
const maxWatched = 100

// watches counts subscriptions by principal, and keeps those of sessions that
// subscribe and unsubscribe by themselves.
type watches struct {
	principals callers

	mu sync.Mutex
	of map[*mcp.ServerSession][]watched
}

type watched struct {
	uri string
	end func()
}

// hold counts a session's subscription in, which it may repeat, and begins it.
func (w *watches) hold(session *mcp.ServerSession, principal, uri string, begin func() (end func())) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.ContainsFunc(w.of[session], func(h watched) bool { return h.uri == uri }) {
		return true
	}
	if !w.principals.enter(principal, maxWatched) {
		return false
	}
	if w.of == nil {
		w.of = map[*mcp.ServerSession][]watched{}
	}
	w.of[session] = append(w.of[session], watched{uri, begin()})
	return true
}

// drop counts a session's subscriptions out, those that are told of.
func (w *watches) drop(session *mcp.ServerSession, principal string, which func(uri string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := slices.DeleteFunc(w.of[session], func(h watched) bool {
		if !which(h.uri) {
			return false
		}
		h.end()
		w.principals.leave(principal)
		return true
	})
	if len(rest) == 0 {
		delete(w.of, session)
		return
	}
	w.of[session] = rest
}

// subscribe answers resources/subscribe of the older protocol versions, which
// needs a session. Over HTTP that only notes the URI: the session's stream
// subscribes.
func (s *Server) subscribe(ctx context.Context, p Principal, req *mcp.SubscribeRequest, next mcp.MethodHandler) (mcp.Result, error) {
	if err := s.mayWatch(ctx, p, asCall(req.Session, req.Params.Meta, req.Params.URI)); err != nil {
		return nil, err
	}
	if kept := sessionFrom(ctx); kept != nil {
		if !kept.watch(req.Params.URI) {
			return nil, s.tooManyWatched(ctx, p)
		}
		return next(ctx, methodWatch, req)
	}
	begin := func() func() { return s.beginWatch(ctx, p, req.Session, req.Params.URI, nil) }
	if !s.watches.hold(req.Session, p.ID, req.Params.URI, begin) {
		return nil, s.tooManyWatched(ctx, p)
	}
	return next(ctx, methodWatch, req)
}

// unsubscribe answers resources/unsubscribe, also of what was never subscribed.
func (s *Server) unsubscribe(ctx context.Context, p Principal, req *mcp.UnsubscribeRequest, next mcp.MethodHandler) (mcp.Result, error) {
	if kept := sessionFrom(ctx); kept != nil {
		kept.unwatch(req.Params.URI)
		return next(ctx, methodUnwatch, req)
	}
	s.watches.drop(req.Session, p.ID, func(uri string) bool { return uri == req.Params.URI })
	return next(ctx, methodUnwatch, req)
}

// listenFor answers subscriptions/listen. Of the resources that it names, only
// those stay that the principal may read; which they are the client learns from
// the acknowledgement, and of the others nothing.
func (s *Server) listenFor(ctx context.Context, p Principal, req *mcp.SubscriptionsListenRequest, next mcp.MethodHandler) (mcp.Result, error) {
	if n := req.Params.Notifications; n != nil && len(n.ResourceSubscriptions) > 0 {
		if len(n.ResourceSubscriptions) > maxWatched {
			return nil, s.tooManyWatched(ctx, p)
		}
		var allowed []string
		for _, uri := range n.ResourceSubscriptions {
			if slices.Contains(allowed, uri) || s.mayWatch(ctx, p, asCall(req.Session, req.Params.Meta, uri)) != nil {
				continue
			}
			if !s.watches.principals.enter(p.ID, maxWatched) {
				return nil, s.tooManyWatched(ctx, p)
			}
			defer s.watches.principals.leave(p.ID)
			allowed = append(allowed, uri)
		}
		n.ResourceSubscriptions = allowed
		var ends []func()
		defer func() {
			for _, end := range ends {
				end()
			}
		}()
		ctx = context.WithValue(ctx, ackKey{}, func(meta mcp.Meta) {
			for _, uri := range allowed {
				ends = append(ends, s.beginWatch(ctx, p, req.Session, uri, meta))
			}
		})
	}
	return next(ctx, methodListen, req)
}

// mayWatch takes a subscription through the pipeline.
func (s *Server) mayWatch(ctx context.Context, p Principal, req *mcp.CallToolRequest) error {
	r, raw := s.resourceFor(req.Params.Name, p)
	if r == nil {
		return s.unknown(ctx, p, "unknown resource", unknownResource)
	}
	req.Params.Arguments = raw
	_, err := s.document(ctx, r.watch, req)
	return err
}

// tooManyWatched records and answers a subscription over the limit.
func (s *Server) tooManyWatched(ctx context.Context, p Principal) error {
	const text = "too many subscriptions: end some first"
	s.recordRefusal(ctx, refusal{principal: p.ID, rule: "busy", reason: text})
	return &wire.Vetted{Code: wire.CodeBusy, Text: text}
}

// ResourceUpdated tells those who have subscribed to the resource at uri, written
// in this very way, that it has changed. It returns at once: a subscriber that
// does not read holds up no caller, and changes that come meanwhile become one
// notification. It is an error if no resource has the URI.
//
// Who subscribes must be allowed to read the resource then, by its Scopes and
// Guards and not by what its handler decides by itself; over HTTP that is asked
// anew every ten minutes at the latest.
func (s *Server) ResourceUpdated(uri string) error {
	s.mu.RLock()
	r, _ := s.find(uri)
	s.mu.RUnlock()
	if r == nil {
		return errors.New("mcpsec: no resource has this URI")
	}
	_ = s.sdk.ResourceUpdated(context.Background(), &mcp.ResourceUpdatedNotificationParams{URI: uri}) // it returns none
	return nil
}

// updates are what subscribers are still to be told, each thing once. A session
// has a goroutine while there is any, so that one which does not read holds up
// no other, and keeps no more than it watches.
type updates struct {
	next mcp.MethodHandler // sends

	mu      sync.Mutex
	waiting map[mcp.Session][]update
}

type update struct {
	uri  string
	tell func()
}

// deferred is the middleware that takes notifications of changes from the SDK,
// which would write them one after the other.
func (u *updates) deferred(next mcp.MethodHandler) mcp.MethodHandler {
	u.next = next
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if p, ok := req.GetParams().(*mcp.SubscriptionsAcknowledgedParams); ok {
			defer acknowledged(ctx, p)
		}
		params, ok := req.GetParams().(*mcp.ResourceUpdatedNotificationParams)
		if !ok {
			return next(ctx, method, req)
		}
		ctx = context.WithoutCancel(ctx)
		u.add(req.GetSession(), update{params.URI, func() { _, _ = next(ctx, method, req) }}) // who is gone needs no telling
		return nil, nil
	}
}

func (u *updates) add(session mcp.Session, n update) {
	u.mu.Lock()
	defer u.mu.Unlock()
	waiting, running := u.waiting[session]
	if slices.ContainsFunc(waiting, func(w update) bool { return w.uri == n.uri }) {
		return
	}
	if u.waiting == nil {
		u.waiting = map[mcp.Session][]update{}
	}
	u.waiting[session] = append(waiting, n)
	if !running {
		go u.run(session)
	}
}

func (u *updates) run(session mcp.Session) {
	for {
		n, ok := u.first(session)
		if !ok {
			return
		}
		n.tell()
	}
}

// first takes the first of what is waiting. Without any the session is forgotten.
func (u *updates) first(session mcp.Session) (n update, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	waiting := u.waiting[session]
	if len(waiting) == 0 {
		delete(u.waiting, session)
		return update{}, false
	}
	u.waiting[session] = waiting[1:]
	return waiting[0], true
}

// announce corrects the capabilities that the SDK has made up.
func (s *Server) announce(ctx context.Context, res mcp.Result) {
	switch res := res.(type) {
	case *mcp.InitializeResult:
		if !hasSession(ctx) { // to subscribe, or to set a level for
			withoutLog(res.Capabilities)
			if r := res.Capabilities.Resources; r != nil {
				r.Subscribe = false
			}
		}
		s.announceCompletions(res.Capabilities)
	case *mcp.DiscoverResult:
		s.announceCompletions(res.Capabilities)
	}
}

func (s *Server) announceCompletions(c *mcp.ServerCapabilities) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.suggests {
		c.Completions = &mcp.CompletionCapabilities{}
	}
}
