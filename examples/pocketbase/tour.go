package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// A guide leads through the shop with two servers over it, which it drives as clients
// would. Tests spoil the shop, so that a protection is missing.
type guide struct {
	p        *tour.Printer
	spoil    func(core.App) error
	quiet    time.Duration // how long nothing may come that should not
	patience time.Duration // how long to wait for what should
	dir      string
	shop     *shop
	ann, ben *tour.Session
}

// A chapter is a part of the tour.
type chapter struct {
	title string
	show  func(*guide, context.Context) error
}

var chapters = []chapter{
	{"A PocketBase with a shop in it, and a hardened MCP server over it, as a child process", (*guide).open},
	{"Honest calls work", func(g *guide, ctx context.Context) error { g.p.Header(); return g.ann.Each(ctx, g.p, honest) }},
	{"Two people, one shop", (*guide).people},
	{"Attacks do not work", func(g *guide, ctx context.Context) error { g.p.Header(); return g.ann.Each(ctx, g.p, attacks) }},
	{"Rules are reviewed, and changed only after a person's yes", (*guide).rules},
	{"Who subscribes is told, of what is theirs", (*guide).news},
	{"Everything was recorded, and the record cannot be changed unseen", (*guide).records},
	{"Connect a real client", func(g *guide, _ context.Context) error { g.p.Say("%s", advice); return nil }},
}

// show ends with an error if an honest call failed or a protection did.
func (g *guide) show(ctx context.Context) (err error) {
	ctx, stop := tour.UntilStopped(ctx, g.p)
	defer stop()
	if g.dir, err = os.MkdirTemp("", "mcp-pocketbase-tour-"); err != nil {
		return err
	}
	defer os.RemoveAll(g.dir)
	if g.shop, err = startShop(); err != nil {
		return err
	}
	defer g.shop.stop()
	if g.spoil != nil {
		if err := g.spoil(g.shop.app); err != nil {
			return err
		}
	}
	defer func() {
		for _, s := range []*tour.Session{g.ann, g.ben} {
			if s != nil {
				s.Stop(ctx)
			}
		}
	}()
	for i, c := range chapters {
		g.p.Heading(fmt.Sprintf("%d  %s", i+1, c.title))
		if err := c.show(g, ctx); err != nil {
			return err
		}
	}
	return nil
}

// connect runs this program as a client would, with settings.
func (g *guide) connect(ctx context.Context, name string, settings []string) (*tour.Session, error) {
	audit := filepath.Join(g.dir, name+".jsonl")
	cmd, err := tour.Self(ctx, []string{"-url", g.shop.url}, append(append(environment(), settings...), prefix+"AUDIT_FILE="+audit))
	if err != nil {
		return nil, err
	}
	return tour.Connect(ctx, cmd, audit)
}

// environment is that of the program without its settings: the tour is about the
// shop, whatever they say.
func environment() (env []string) {
	for _, s := range os.Environ() {
		if !strings.HasPrefix(s, prefix) {
			env = append(env, s)
		}
	}
	return env
}

func (g *guide) open(ctx context.Context) error {
	settings, err := g.shop.demo()
	if err != nil {
		return err
	}
	if g.ann, err = g.connect(ctx, "ann", settings); err != nil {
		return err
	}
	g.p.Say("It has 6 customers, 7 goods, 24 posts, 48 orders, 12 files and 6 reviews. The server has logged in\nas one of them, ann; what she may see and do, PocketBase's API rules decide.")
	return g.ann.Introduce(ctx, g.p)
}

// records looks at what the servers have written down, and answered.
func (g *guide) records(context.Context) error {
	if err := g.ann.CheckAudit(g.p); err != nil {
		return err
	}
	for _, s := range []*tour.Session{g.ann, g.ben} {
		if text, err := s.Written(); err != nil || strings.Contains(text, passwordPrefix) || strings.Contains(text, tokenPrefix) {
			return errors.Join(err, errors.New("a password or a token is in an answer, in the audit log or in the server's log"))
		}
	}
	g.p.Good("No password and no token is in any answer, in the audit logs or in the servers' logs.")
	return nil
}

// tokenPrefix is how PocketBase's tokens begin: {"alg in base64.
const tokenPrefix = "eyJhbGci"

const advice = `The same shop, in a client of yours: build the program, and name it to the client.

  go build -o mcp-pocketbase ./examples/pocketbase

Claude Desktop, Cursor, Windsurf (their mcp.json):

  {"mcpServers": {"shop": {"command": "/path/to/mcp-pocketbase"}}}

Claude Code:      claude mcp add shop -- /path/to/mcp-pocketbase
MCP Inspector:    npx @modelcontextprotocol/inspector --cli /path/to/mcp-pocketbase --method tools/list

A PocketBase of your own: -url https://pb.example.com, with PBTOOL_USER_IDENTITY and
PBTOOL_USER_PASSWORD in the client's "env"; -help lists the rest.

With PBTOOL_TOOLS=read,auth and no account, whoever calls signs in with pb_auth_password.`
