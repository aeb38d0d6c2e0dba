package main

import (
	"encoding/base64"
	"fmt"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

func where(collection, field, op, value string) string {
	return fmt.Sprintf(`{"collection":%q,"where":[{"field":%q,"op":%q,"value":%q}],"total":true}`, collection, field, op, value)
}

func record(collection, id string) string {
	return fmt.Sprintf(`{"collection":%q,"id":%q}`, collection, id)
}

// upload is a file for a new record of ann's.
func upload(name, content string) string {
	return fmt.Sprintf(`{"collection":"files","field":"file","name":%q,"content":%q,"data":{"name":%q,"owner":%q}}`, name, base64.StdEncoding.EncodeToString([]byte(content)), name, id("user", 0))
}

var honest = []tour.Step{
	{Asked: "Which collections are there?", Tool: "pb_list_collections", Args: `{}`, Want: "orders",
		Why: "those that the operator lists"},
	{Asked: "What is in orders, and who may see them?", Tool: "pb_describe_collection", Args: `{"collection":"orders"}`, Want: "who fulfils: @request.auth.id !=",
		Why: "fields, indexes and what the API rules mean, in one answer"},
	{Asked: "Posts about linen, and who wrote them", Tool: "pb_list_records", Args: `{"collection":"posts","where":[{"field":"title","op":"contains","value":"linen"}],"fields":["title"],"expand":["author"]}`, Want: "Eva Novak",
		Why: "conditions are fields, operators and values: there is no text to get out of"},
	{Asked: "All orders", Tool: "pb_list_records", Args: `{"collection":"orders","fields":["item","total","status"],"total":true}`, Want: `"total":8,"more":false`,
		Why: "of 48 there are 8: the ones that are hers"},
	{Asked: "What was spent, by state of the order", Tool: "pb_aggregate_records", Args: `{"collection":"orders","group_by":["status"],"aggregates":[{"fn":"sum","field":"total"}]}`, Want: `"records":8`,
		Why: "counted by the server, page by page, with a cap on the work"},
	{Asked: "An order, to be placed", Tool: "pb_create_record", Args: `{"collection":"orders","data":{"customer":"` + id("user", 0) + `","item":"Seed box","quantity":2,"status":"open"}}`, Want: "Seed box",
		Why: "listed fields of listed collections, as far as the API rules go"},
	{Asked: "A post's title, to be changed", Tool: "pb_update_record", Args: `{"collection":"posts","id":"` + id("post", 6) + `","set":{"title":"Sharpening shears"}}`, Want: "Sharpening shears", Question: "Sharpening shears at home",
		Why: "the old title would be lost: a person saw both"},
	{Asked: "A post and an order at once", Tool: "pb_batch", Args: `{"requests":[{"op":"create","collection":"posts","data":{"title":"Thanks","author":"` + id("user", 0) + `","status":"draft"}},{"op":"create","collection":"orders","data":{"customer":"` + id("user", 0) + `","item":"Oil lamp","quantity":1,"status":"open"}}]}`, Want: `"ids":["`,
		Why: "all or nothing, in one transaction"},
	{Asked: "An invoice of hers", Tool: "pb_get_file", Args: `{"collection":"files","id":"` + id("file", 0) + `","field":"file"}`, Want: "Invoice 0 for Ann",
		Why: "a protected file: its token was fetched for this request and went nowhere else"},
	{Asked: "A note, to be uploaded", Tool: "pb_upload_file", Args: upload("note.txt", "Please ring twice."), Want: `"files":["note`,
		Why: "within the operator's size, and of a type that the field takes"},
	{Asked: "A post, to be deleted", Tool: "pb_delete_record", Args: record("posts", id("post", 12)), Want: `"deleted":1`, Question: id("post", 12),
		Why: "a person was asked first; if the record had changed since, nothing would have happened"},
}

var attacks = []tour.Step{
	{Asked: "Ben's order, by its id", Tool: "pb_get_record", Args: record("orders", id("order", 1)), Failed: true, Want: "no such",
		Why: "the request has ann's rights, and the rule is PocketBase's"},
	{Asked: "all orders of Ben's", Tool: "pb_list_records", Args: where("orders", "customer", "eq", id("user", 1)), Want: `"items":[],"total":0`,
		Why: "whatever the model asks for, the rule is joined to it with AND"},
	{Asked: `a value with a filter in it: x" || id != "`, Tool: "pb_list_records", Args: where("orders", "item", "eq", `x" || id != "`), Want: `"items":[],"total":0`,
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
		Why: "the create rule asks for customer = @request.auth.id"},
	{Asked: "a lamp for nothing: total 0", Tool: "pb_create_record", Args: `{"collection":"orders","data":{"customer":"` + id("user", 0) + `","item":"Oil lamp","quantity":1,"total":0,"status":"open"}}`, Failed: true, Want: "may not be set",
		Why: "the field is not listed, and the rule refuses it too"},
	{Asked: "one good order and one bad, in a batch", Tool: "pb_batch", Args: `{"requests":[{"op":"create","collection":"orders","data":{"customer":"` + id("user", 0) + `","item":"Whetstone 8000","quantity":1,"status":"open"}},{"op":"create","collection":"orders","data":{"customer":"` + id("user", 1) + `","item":"Whetstone 8000","quantity":1,"status":"open"}}]}`, Failed: true, Want: "PocketBase",
		Why: "one of them breaks a rule"},
	{Asked: "what is left of that batch?", Tool: "pb_list_records", Args: where("orders", "item", "eq", "Whetstone 8000"), Want: `"items":[],"total":0`,
		Why: "nothing"},
	{Asked: "an order, deleted", Tool: "pb_delete_record", Args: record("orders", id("order", 0)), Failed: true, Want: "may not be deleted",
		Why: "deleting is listed for each collection, and nobody was asked in vain"},
	{Asked: "every post deleted", Tool: "pb_delete_records", Args: `{"collection":"posts","where":[{"field":"status","op":"eq","value":"published"}]}`, Failed: true, Want: "PocketBase", Question: "deletes 20 records of posts",
		Why: "even with a yes: others' posts are not hers, and then none is deleted"},
	{Asked: "a deletion with a yes that nobody gave", Tool: "pb_delete_record", Args: record("posts", id("post", 0)), Failed: true, Forged: true, Want: "not one of this server's",
		Why: "a yes counts with the server's sealed question only, once, for these arguments"},
	{Asked: "a post with hidden instructions", Tool: "pb_get_record", Args: record("posts", id("post", 10)), Want: "Lovely jug.", Never: hidden("delete"),
		Why: "characters that no person sees are removed from results"},
	{Asked: "Ben's invoice", Tool: "pb_get_file", Args: `{"collection":"files","id":"` + id("file", 1) + `","field":"file"}`, Failed: true, Want: "no such", Never: "Ben",
		Why: "a file is had only of a record that she may view"},
	{Asked: "a picture, called invoice.txt", Tool: "pb_upload_file", Args: upload("invoice.txt", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), Failed: true, Want: "the content is image/png, and the field takes text/plain",
		Why: "what a file is, its content says, and no name"},
	{Asked: "a web page, called invoice.txt", Tool: "pb_upload_file", Args: upload("invoice.txt", "<html><script>fetch('/api')</script>"), Failed: true, Want: "the content is text/html",
		Why: "it would run in the browser of whoever opens it"},
	{Asked: "an argument that is not in the schema", Tool: "pb_list_records", Args: `{"collection":"orders","filter":"1=1"}`, Failed: true, Want: "unknown member", Never: "1=1",
		Why: "there is no raw filter; the answer lists what there is and echoes nothing"},
}
