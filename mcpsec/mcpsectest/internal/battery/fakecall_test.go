package battery

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type arguments struct {
	Text  *string `json:"text"`
	Path  *string `json:"path"`
	URL   *string `json:"url"`
	SQL   *string `json:"sql"`
	ID    *int64  `json:"id"`
	Limit *int64  `json:"limit"`
}

// arguments decodes and checks arguments, each rule but for the flaw.
func (f *fake) arguments(tool string, raw jsontext.Value) (a arguments, problem string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members == nil {
		return a, "arguments must be an object"
	}
	need := map[string]string{"search_notes": "text", "read_note": "path", "save_note": "path", "fetch_page": "url", "query_notes": "sql", "delete_note": "text", "Bash": "text"}[tool]
	lax := jsonv2.JoinOptions(jsontext.AllowDuplicateNames(f.has("args/duplicate")), jsontext.AllowInvalidUTF8(f.has("wire/utf8")), jsonv2.MatchCaseInsensitiveNames(f.has("args/case")))
	for name, v := range members {
		known := name == need || tool == "search_notes" && (name == "id" || name == "limit")
		number := strings.HasPrefix(string(v), "1.5") || strings.Contains(string(v), "9007199254740993")
		switch null := string(v) == "null"; {
		case !known && f.has("args/unknown"), f.has("args/case") && strings.EqualFold(name, need):
		case !known:
			return a, "an argument is unknown"
		case null && f.has("args/null") && name == need:
			return arguments{Text: new(string), Path: new(string), URL: new(string), SQL: new(string)}, ""
		case null:
			return a, "an argument is null"
		case f.has("args/type") && v[0] == '{' && name == need:
			return arguments{Text: new(string), Path: new(string), URL: new(string), SQL: new(string)}, ""
		case f.has("args/integer") && name == "id" && number:
			text, rounded := "", int64(9007199254740992)
			return arguments{Text: &text, ID: &rounded}, ""
		case f.has("leak/echo") && v[0] == '{':
			return a, "cannot read " + string(v)
		}
	}
	if jsonv2.Unmarshal(raw, &a, lax) != nil {
		return a, "an argument is of the wrong type"
	}
	given := map[string]*string{"text": a.Text, "path": a.Path, "url": a.URL, "sql": a.SQL}[need]
	longest := 100
	if f.has("args/size") && need == "text" {
		longest = 4 << 20
	}
	switch {
	case given == nil && f.has("args/missing"):
		return arguments{Text: new(string), Path: new(string), URL: new(string), SQL: new(string)}, ""
	case need == "" || given == nil:
		return a, "an argument is missing"
	case len(*given) > longest:
		return a, "an argument is too long"
	case a.Limit != nil && (*a.Limit < 1 || *a.Limit > 100) && !f.has("args/bounds"):
		return a, "limit must be 1 to 100"
	}
	return a, ""
}

// do is what the tools that read do. A problem's text is shown as an error.
func (f *fake) do(ctx context.Context, tool string, a arguments) (answer, problem string) {
	if problem := f.leak(tool); problem != "" {
		return "", problem
	}
	switch tool {
	case "save_note":
		f.mu.Lock()
		defer f.mu.Unlock()
		if systemPath := strings.Contains(*a.Path, "passwd") || strings.Contains(*a.Path, "win.ini"); systemPath {
			f.called["save_note to the system"] = true
		}
		return "saved", ""
	case "read_note":
		if f.has("args/path") && strings.HasSuffix(*a.Path, "../etc/passwd") {
			return passwd, ""
		}
		return "a note", ""
	case "query_notes":
		return f.query(*a.SQL)
	case "fetch_page":
		if u, err := url.Parse(*a.URL); err == nil && u.Port() != "" && f.has("args/fetch") {
			if c, err := net.Dial("tcp", u.Host); err == nil {
				_, _ = io.Copy(io.Discard, c) // until it is accepted, and closed
				_ = c.Close()
			}
		}
		return "a page", ""
	}
	if f.has("load/concurrency") || f.has("load/cancel") || f.has("slow") {
		select {
		case <-ctx.Done():
			return "", "cancelled"
		case <-time.After(400 * time.Millisecond):
		}
	}
	return f.search(a)
}

// query stands for a database: what it has been made to do shows in the next answer.
func (f *fake) query(sql string) (answer, problem string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.has("sql/read-only") && strings.HasPrefix(sql, "COMMIT; CREATE"):
		f.used["table"] = true
	case f.has("sql/time") && strings.Contains(sql, "pg_sleep"):
		f.mu.Unlock()
		time.Sleep(time.Hour)
		f.mu.Lock()
	case f.has("sql/size") && strings.Contains(sql, "repeat"):
		return strings.Repeat("x", 2<<20), ""
	case strings.Contains(sql, "CREATE") || strings.Contains(sql, ";"):
		return "", "that is not allowed"
	case strings.Contains(sql, "mcpsec_probe") && f.used["table"]:
		return product, ""
	}
	return "no rows", ""
}

func (f *fake) search(a arguments) (answer, problem string) {
	switch {
	case f.has("args/injection"):
		answer = strings.ReplaceAll(*a.Text, "{{41*43}}", "1763")
	case f.has("args/sql") && strings.Count(*a.Text, "'")%2 == 1:
		return "", "unterminated quoted string"
	case f.has("leak/secret"):
		answer = canary()
	case f.has("leak/size"):
		answer = strings.Repeat("note ", 1<<18)
	case f.has("leak/log"):
		fmt.Fprintln(f.stderr, "searching with "+canary())
	case f.has("leak/log-arguments"):
		fmt.Fprintln(f.stderr, "searching for "+*a.Text)
	}
	if a.ID != nil {
		answer += fmt.Sprintf(" of %d", *a.ID)
	}
	return answer, ""
}

// leak is what a server fails with that tells more than it should.
func (f *fake) leak(tool string) string {
	if tool != "read_note" {
		return ""
	}
	return map[string]string{
		"leak/stack": "panic: nil\n\ngoroutine 7 [running]:\nmain.read()", "leak/sql": `relation "notes" does not exist`,
		"leak/address": "dial tcp 10.1.2.3:5432: connection refused", "leak/path": "open /var/lib/shop/notes.db: permission denied",
	}[f.flaw]
}

// canary is a value that nobody may see.
func canary() string { return "canary-" + strings.Repeat("7f3a", 5) }
