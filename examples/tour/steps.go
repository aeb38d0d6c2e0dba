package main

import (
	"encoding/json"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

func sql(query string) string {
	b, _ := json.Marshal(map[string]string{"sql": query}) // a map of strings
	return string(b)
}

var honest = []tour.Step{
	{Asked: "Which tables are there?", Tool: "pg_list_objects", Args: `{"schema":"sales"}`, Want: "invoice_lines",
		Why: "only what the role may see"},
	{Asked: "What is in invoices?", Tool: "pg_describe", Args: `{"schema":"sales","name":"invoices"}`, Want: "customer_id",
		Why: "columns, keys and comments in one answer"},
	{Asked: "Our three best customers in a country?", Tool: "pg_query",
		Args: `{"sql":"SELECT c.name, sum(i.total) AS spent FROM sales.customers c JOIN sales.invoices i ON i.customer_id = c.id WHERE c.country = $1 AND i.status = 'paid' GROUP BY c.id ORDER BY spent DESC LIMIT 3","params":["PL"]}`,
		Want: `"row`, Why: "parameters are bound, never spliced into the text; sums are exact"},
	{Asked: "An invoice whose number is beyond 2^53", Tool: "pg_query", Args: sql("SELECT min(id) FROM sales.invoices WHERE id > 9007199254740993"), Want: "9007199254740994",
		Why: "large integers are not rounded on the way"},
	{Asked: "Albums, by a query of the operator's", Tool: "album_search", Args: `{"title":"velvet"}`, Want: `"artist":"`,
		Why: "a named query: the model chooses a value and no SQL"},
	{Asked: "A review, to be written", Tool: "pg_insert", Args: `{"table":"sales.reviews","rows":[{"album_id":7,"stars":4,"words":"Side A, too.","written_at":"2026-01-01T00:00:00Z"}]}`, Want: `"affected":1`,
		Why: "by a role of its own, to listed tables and columns only"},
	{Asked: "An invoice, to be cancelled", Tool: "pg_update", Args: `{"table":"sales.invoices","set":{"status":"cancelled"},"where":[{"column":"id","op":"eq","value":"9007199254740994"}]}`, Want: `"affected":1`,
		Why: "it was run and rolled back first, and a person saw what it would do"},
	{Asked: "A tool of one's own", Tool: "shipping_price", Args: `{"country":"SE","grams":1200}`, Want: "4.90",
		Why: "ten lines; its struct tags are schema and check"},
	{Asked: "A refund, which cannot be undone", Tool: "invoice_refund", Args: `{"invoices":[17,18]}`, Want: "39.00",
		Why: "a person was asked first, with the amount that the server computed"},
}

var attacks = []tour.Step{
	{Asked: "SELECT 1; DROP TABLE sales.invoices", Tool: "pg_query", Args: sql("SELECT 1; DROP TABLE sales.invoices"), Failed: true, Want: "one statement",
		Why: "one statement a call, and never the protocol that takes several"},
	{Asked: "COMMIT, to get out of the transaction", Tool: "pg_query", Args: sql("COMMIT"), Failed: true, Want: "not allowed",
		Why: "only queries pass; it was never sent"},
	{Asked: "a DELETE inside a WITH", Tool: "pg_query", Args: sql("WITH x AS (DELETE FROM sales.invoices RETURNING *) SELECT count(*) FROM x"), Failed: true, Want: "not allowed",
		Why: "refused by its words, and read-only for the server and the role too"},
	{Asked: "set_config('transaction_read_only','off')", Tool: "pg_query", Args: sql("SELECT set_config('transaction_read_only', 'off', false)"), Failed: true, Want: "set_config is not allowed",
		Why: "every name is looked up in the catalog, and this function changes the session"},
	{Asked: "SELECT rolpassword FROM pg_authid", Tool: "pg_query", Args: sql("SELECT rolpassword FROM pg_authid"), Failed: true, Want: "pg_authid is not allowed",
		Why: "catalogs with secrets are not sent for; the role may not read it either"},
	{Asked: "phone::int, to read a row from its error", Tool: "pg_query", Args: sql("SELECT phone::int FROM sales.customers"), Failed: true, Want: "22P02", Never: "555",
		Why: "PostgreSQL's message quotes the row: it goes to the log only"},
	{Asked: "SQL as a parameter's value", Tool: "pg_query", Args: `{"sql":"SELECT count(*) FROM sales.customers WHERE name = $1","params":["x' OR 'a'='a"]}`, Want: `"0"`,
		Why: "a value is a value: no customer has that name"},
	{Asked: "an endless query", Tool: "pg_query", Args: sql("SELECT count(*) FROM sales.invoices a, sales.invoices b, sales.invoices c"), Failed: true, Want: "57014",
		Why: "statements have 2 seconds here, and the server ends them"},
	{Asked: "forty-eight million rows", Tool: "pg_query", Args: sql("SELECT a.*, b.words FROM sales.customers a, sales.reviews b"), Want: `"truncated":true`,
		Why: "rows and bytes are capped while reading, by the operator, not by the model"},
	{Asked: "what other stores' customers complain about", Tool: "pg_query", Args: sql("SELECT count(*) FROM sales.support_notes"), Want: `"0"`,
		Why: "row level security is the server's, and holds behind everything else"},
	{Asked: "all open invoices cancelled at once", Tool: "pg_update", Args: `{"table":"sales.invoices","set":{"status":"cancelled"},"where":[{"column":"status","op":"eq","value":"open"}]}`, Failed: true, Want: "nothing was changed",
		Why: "a call may change 100 rows, triggers and cascades included; they are counted before COMMIT"},
	{Asked: "an invoice's total, changed", Tool: "pg_update", Args: `{"table":"sales.invoices","set":{"total":0},"where":[{"column":"id","op":"eq","value":"9007199254740994"}]}`, Failed: true, Want: "a column is not allowed here",
		Why: "what is not listed cannot be written, by the list and by the role's privileges"},
	{Asked: "an argument that is not in the schema", Tool: "shipping_price", Args: `{"country":"SE","grams":1,"admin":true}`, Failed: true, Want: "unknown member", Never: "admin",
		Why: "exact names only; the answer lists them and echoes nothing"},
	{Asked: "grams: 1e99, country: Atlantis", Tool: "shipping_price", Args: `{"country":"Atlantis","grams":1}`, Failed: true, Want: "country: must be one of", Never: "Atlantis",
		Why: "path and rule, never the value"},
	{Asked: "a review with hidden instructions", Tool: "pg_query", Args: sql("SELECT words FROM sales.reviews WHERE album_id = 7 AND words LIKE 'Lovely%'"), Want: "Lovely record.", Never: "\U000E0053",
		Why: "characters that no person sees are removed from results"},
	{Asked: "a refund with a yes that nobody gave", Tool: "invoice_refund", Args: `{"invoices":[17,18]}`, Failed: true, Forged: true, Want: "not one of this server's",
		Why: "a yes counts with the server's sealed question only, once, for these arguments"},
	{Asked: "a handler that panics", Tool: "stock_import", Args: `{}`, Failed: true, Want: "internal error (call ",
		Why: "the call fails, the process lives, the stack is in the log"},
	{Asked: "a handler whose error holds the password", Tool: "stock_sync", Args: `{}`, Failed: true, Want: "internal error (call ", Never: "postgres://",
		Why: "only texts meant for the model reach it; the log has the rest, redacted"},
}
