package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// showTour runs this program as a client would and drives it. It ends with an error
// if an honest call failed or an attack got through.
func showTour(ctx context.Context, p *tour.Printer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "mcp-pocketbase-tour-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p.Heading("1  A PocketBase with a shop in it, and a hardened MCP server over it, as a child process")
	audit := filepath.Join(dir, "audit.jsonl")
	cmd, err := tour.Self(ctx, nil, append(environment(), prefix+"AUDIT_FILE="+audit))
	if err != nil {
		return err
	}
	s, err := tour.Connect(ctx, cmd, audit)
	if err != nil {
		return err
	}
	defer s.Stop(ctx)
	p.Say("It has 6 customers, 24 posts, 48 orders and 12 files. The server has logged in as one of them, ann;\nwhat she may see and do, PocketBase's API rules decide.")
	if err := s.Introduce(ctx, p); err != nil {
		return err
	}
	p.Heading("2  Honest calls work")
	p.Header()
	if err := s.Each(ctx, p, honest); err != nil {
		return err
	}
	p.Heading("3  Attacks do not")
	p.Header()
	if err := s.Each(ctx, p, attacks); err != nil {
		return err
	}
	p.Heading("4  Everything was recorded, and the record cannot be changed unseen")
	if err := s.CheckAudit(p); err != nil {
		return err
	}
	if text, err := s.Written(); err != nil || strings.Contains(text, passwordPrefix) || strings.Contains(text, "eyJ") {
		return errors.Join(err, errors.New("a password or a token is in the audit log or in the server's log"))
	}
	p.Good("No password and no token is in the audit log or in the server's log.")
	connectAdvice(p)
	return nil
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

func where(collection, field, op, value string) string {
	return fmt.Sprintf(`{"collection":%q,"where":[{"field":%q,"op":%q,"value":%q}],"total":true}`, collection, field, op, value)
}

func record(collection, id string) string {
	return fmt.Sprintf(`{"collection":%q,"id":%q}`, collection, id)
}

var honest = []tour.Step{
	{Asked: "Which collections are there?", Tool: "pb_list_collections", Args: `{}`, Want: "orders",
		Why: "those that the operator lists"},
	{Asked: "What is in orders, and who may see them?", Tool: "pb_describe_collection", Args: `{"collection":"orders"}`, Want: "who fulfils: customer = @request.auth.id",
		Why: "fields, indexes and what the API rules mean, in one answer"},
	{Asked: "Posts about linen, and who wrote them", Tool: "pb_list_records", Args: `{"collection":"posts","where":[{"field":"title","op":"contains","value":"linen"}],"fields":["title"],"expand":["author"]}`, Want: "Eva Novak",
		Why: "conditions are fields, operators and values: there is no text to get out of"},
	{Asked: "All orders", Tool: "pb_list_records", Args: `{"collection":"orders","fields":["item","total","status"],"total":true}`, Want: `"total":8`,
		Why: "of 48 there are 8: the ones that are hers"},
	{Asked: "What was spent, by state of the order", Tool: "pb_aggregate_records", Args: `{"collection":"orders","group_by":["status"],"aggregates":[{"fn":"sum","field":"total"}]}`, Want: `"records":8`,
		Why: "counted by the server, page by page, with a cap on the work"},
	{Asked: "An order, to be placed", Tool: "pb_create_record", Args: `{"collection":"orders","data":{"customer":"` + id("user", 0) + `","item":"Seed box","quantity":2,"status":"open"}}`, Want: "Seed box",
		Why: "listed fields of listed collections, as far as the API rules go"},
	{Asked: "A post's title, to be changed", Tool: "pb_update_record", Args: `{"collection":"posts","id":"` + id("post", 6) + `","set":{"title":"Sharpening shears"}}`, Want: "Sharpening shears",
		Why: "the old title would be lost: a person saw both"},
	{Asked: "A post and an order at once", Tool: "pb_batch", Args: `{"requests":[{"op":"create","collection":"posts","data":{"title":"Thanks","author":"` + id("user", 0) + `","status":"draft"}},{"op":"create","collection":"orders","data":{"customer":"` + id("user", 0) + `","item":"Oil lamp","quantity":1,"status":"open"}}]}`, Want: `"ids":["`,
		Why: "all or nothing, in one transaction"},
	{Asked: "A post, to be deleted", Tool: "pb_delete_record", Args: record("posts", id("post", 12)), Want: `"deleted":1`,
		Why: "a person was asked first; if the record had changed since, nothing would have happened"},
}

var attacks = []tour.Step{
	{Asked: "Ben's order, by its id", Tool: "pb_get_record", Args: record("orders", id("order", 1)), Failed: true, Want: "no such",
		Why: "the request has ann's rights, and the rule is PocketBase's"},
	{Asked: "all orders of Ben's", Tool: "pb_list_records", Args: where("orders", "customer", "eq", id("user", 1)), Want: `"total":0`,
		Why: "whatever the model asks for, the rule is joined to it with AND"},
	{Asked: `a value with a filter in it: x" || id != "`, Tool: "pb_list_records", Args: where("orders", "item", "eq", `x" || id != "`), Want: `"total":0`,
		Why: "a value is one literal, escaped as PocketBase reads it: no order is of that name"},
	{Asked: "orders sorted by the staff's notes", Tool: "pb_list_records", Args: `{"collection":"orders","sort":["staff_note"]}`, Failed: true, Want: "may not be used", Never: "staff",
		Why: "an order tells what it is sorted by: only listed fields sort and filter"},
	{Asked: "users whose password begins with $2a$", Tool: "pb_list_records", Args: where("users", "password", "starts", "$2a$"), Failed: true, Want: "passwords cannot be asked for",
		Why: "for a superuser PocketBase answers that; no such field and no such user is used here"},
	{Asked: "e-mail addresses, through a relation", Tool: "pb_list_records", Args: where("posts", "author.email", "contains", "@"), Failed: true, Want: "may not be used", Never: "email",
		Why: "paths are listed one by one: author.name is, this is not"},
	{Asked: "PocketBase's own superusers", Tool: "pb_list_records", Args: `{"collection":"_superusers"}`, Failed: true, Want: "the collection may not be used",
		Why: "what is not listed is not there"},
	{Asked: "../../settings for an id", Tool: "pb_get_record", Args: record("orders", "../../settings"), Failed: true, Want: "id",
		Why: "a name has the form of PocketBase's before it gets into a URL"},
	{Asked: "an order in Ben's name", Tool: "pb_create_record", Args: `{"collection":"orders","data":{"customer":"` + id("user", 1) + `","item":"Oil lamp","quantity":20,"status":"open"}}`, Failed: true, Want: "PocketBase refuses it",
		Why: "the create rule: customer = @request.auth.id"},
	{Asked: "a lamp for nothing: total 0", Tool: "pb_create_record", Args: `{"collection":"orders","data":{"customer":"` + id("user", 0) + `","item":"Oil lamp","quantity":1,"total":0,"status":"open"}}`, Failed: true, Want: "may not be set",
		Why: "the field is not listed, and the rule refuses it too"},
	{Asked: "one good order and one bad, in a batch", Tool: "pb_batch", Args: `{"requests":[{"op":"create","collection":"orders","data":{"customer":"` + id("user", 0) + `","item":"Whetstone 8000","quantity":1,"status":"open"}},{"op":"create","collection":"orders","data":{"customer":"` + id("user", 1) + `","item":"Whetstone 8000","quantity":1,"status":"open"}}]}`, Failed: true, Want: "PocketBase",
		Why: "one of them breaks a rule"},
	{Asked: "what is left of that batch?", Tool: "pb_list_records", Args: where("orders", "item", "eq", "Whetstone 8000"), Want: `"total":0`,
		Why: "nothing"},
	{Asked: "an order, deleted", Tool: "pb_delete_record", Args: record("orders", id("order", 0)), Failed: true, Want: "may not be deleted",
		Why: "deleting is listed for each collection, and nobody was asked in vain"},
	{Asked: "every post deleted", Tool: "pb_delete_records", Args: `{"collection":"posts","where":[{"field":"status","op":"eq","value":"published"}]}`, Failed: true, Want: "PocketBase",
		Why: "even with a yes: others' posts are not hers, and then none is deleted"},
	{Asked: "a deletion with a yes that nobody gave", Tool: "pb_delete_record", Args: record("posts", id("post", 0)), Failed: true, Forged: true, Want: "not one of this server's",
		Why: "a yes counts with the server's sealed question only, once, for these arguments"},
	{Asked: "a post with hidden instructions", Tool: "pb_get_record", Args: record("posts", id("post", 10)), Want: "Lovely jug.", Never: hidden("delete"),
		Why: "characters that no person sees are removed from results"},
	{Asked: "an argument that is not in the schema", Tool: "pb_list_records", Args: `{"collection":"orders","filter":"1=1"}`, Failed: true, Want: "unknown member", Never: "1=1",
		Why: "there is no raw filter; the answer lists what there is and echoes nothing"},
}

func connectAdvice(p *tour.Printer) {
	p.Heading("5  Connect a real client")
	p.Say(`The same shop, in a client of yours: build the program, and name it to the client.

  go build -o mcp-pocketbase ./examples/pocketbase

Claude Desktop, Cursor, Windsurf (their mcp.json):

  {"mcpServers": {"shop": {"command": "/path/to/mcp-pocketbase"}}}

Claude Code:      claude mcp add shop -- /path/to/mcp-pocketbase
MCP Inspector:    npx @modelcontextprotocol/inspector --cli /path/to/mcp-pocketbase --method tools/list

A PocketBase of your own: -url https://pb.example.com, with PBTOOL_USER_IDENTITY and
PBTOOL_USER_PASSWORD in the client's "env"; -help lists the rest.`)
}
