package mcpsec

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// ackKey is for the context of subscriptions/listen: what begins when the client
// has been told what it listens to.
type ackKey struct{}

// acknowledged begins what the context of subscriptions/listen holds.
func acknowledged(ctx context.Context, p *mcp.SubscriptionsAcknowledgedParams) {
	if begin, ok := ctx.Value(ackKey{}).(func(mcp.Meta)); ok {
		begin(mcp.Meta{mcp.MetaKeySubscriptionID: p.Meta[mcp.MetaKeySubscriptionID]})
	}
}

// beginWatch runs the Watch of the resource at uri for one subscription, until the
// function that it returns is called. Meta is what the notifications carry.
func (s *Server) beginWatch(ctx context.Context, p Principal, session *mcp.ServerSession, uri string, meta mcp.Meta) (end func()) {
	r, _ := s.resourceFor(uri, p)
	if r == nil || r.notice == nil {
		return func() {}
	}
	w := &run{server: s, op: r.watch, req: asCall(session, nil, uri), over: true, call: Call{
		ID: rand.Text(), Method: methodWatch, Tool: r.spec.Name, noun: r.noun, Effect: Read, Labels: r.spec.Labels, Principal: p, start: time.Now(),
	}}
	w.call.after = &w.after
	ctx, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), callKey{}, w))
	go s.watch(ctx, r, uri, func() {
		s.updates.add(session, update{uri, func() { s.updates.tell(ctx, session, uri, meta) }})
	})
	return cancel
}

// watch ends a Watch that panics, and nothing else.
func (s *Server) watch(ctx context.Context, r *Resource, uri string, updated func()) {
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(ctx, "panic in a Watch", "resource", r.spec.Name, "error", fmt.Sprint(p))
		}
	}()
	r.notice(ctx, uri, updated)
}

// tell notifies one subscriber.
func (u *updates) tell(ctx context.Context, session *mcp.ServerSession, uri string, meta mcp.Meta) {
	if ctx.Err() != nil {
		return
	}
	_, _ = u.next(context.WithoutCancel(ctx), methodUpdated, &mcp.ServerRequest[*mcp.ResourceUpdatedNotificationParams]{ // who is gone needs no telling
		Session: session, Params: &mcp.ResourceUpdatedNotificationParams{URI: uri, Meta: meta},
	})
}
