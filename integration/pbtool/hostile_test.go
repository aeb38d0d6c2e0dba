//go:build !race

package pbtool

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/filesystem"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// A stage is a PocketBase with a secret in each place that has any, and a session
// with all sets of tools whose caller is ann.
type stage struct {
	*server
	*session
	post    *core.Record
	heard   sync.Mutex        // guards secrets once there is a session
	secrets map[string]string // by where they are
	ids     map[string]string // of a record in each collection
}

// newStage seeds what must never leave. What is a secret by its form is taken from
// the database: hashes of passwords and token keys.
func newStage(t *testing.T, change func(*pbtool.Options)) *stage {
	t.Helper()
	s := start(t)
	mark := func(where string) string { return "canary" + where + strings.Repeat("q7", 6) }
	g := &stage{server: s, secrets: map[string]string{}}
	for _, place := range []string{"vault", "hidden", "external", "smtp", "s3", "log", "otp"} {
		g.secrets[place] = mark(place)
	}
	g.post = s.save("posts", map[string]any{"title": "first", "body": "text", "author": s.ann.Id, "secret": g.secrets["hidden"], "total": 3})
	deed, err := filesystem.NewFileFromBytes([]byte("what was agreed"), "deed.txt")
	if err != nil {
		t.Fatal(err)
	}
	if g.post.Set("deed", deed); s.app.Save(g.post) != nil {
		t.Fatal("no deed")
	}
	s.save("posts", map[string]any{"title": "second", "body": "other", "author": s.bob.Id, "secret": g.secrets["hidden"], "total": 4})
	s.save("comments", map[string]any{"text": "hello", "post": g.post.Id})
	s.save("vault", map[string]any{"note": g.secrets["vault"]})
	s.save("_externalAuths", map[string]any{"collectionRef": s.ann.Collection().Id, "recordRef": s.ann.Id, "provider": "google", "providerId": g.secrets["external"]})
	otp := s.newRecord("_otps", map[string]any{"collectionRef": s.ann.Collection().Id, "recordRef": s.ann.Id, "sentTo": g.secrets["otp"]})
	otp.Set("password", "12345678")
	if err := s.app.Save(otp); err != nil {
		t.Fatal(err)
	}
	g.ids = map[string]string{"posts": g.post.Id, "users": s.bob.Id, "_otps": otp.Id, "_authOrigins": "none"}
	for _, k := range []string{"comments", "vault", "_superusers", "_externalAuths"} {
		r, err := s.app.FindFirstRecordByFilter(k, "id != ''")
		if err != nil {
			t.Fatal(err)
		}
		g.ids[k] = r.Id
	}
	settings := s.app.Settings()
	settings.SMTP.Host, settings.SMTP.Port, settings.SMTP.Username, settings.SMTP.Password = "127.0.0.1", 2525, "mailer", g.secrets["smtp"]
	settings.S3.Secret = g.secrets["s3"]
	if err := s.app.Save(settings); err != nil {
		t.Fatal(err)
	}
	s.app.Logger().Error("seeded", "value", g.secrets["log"])
	if err := s.app.CreateBackup(t.Context(), "seed.zip"); err != nil {
		t.Fatal(err)
	}
	g.secrets["the operator's secret"] = smtpSecret
	root, err := s.app.FindAuthRecordByEmail(core.CollectionNameSuperusers, rootEmail)
	if err != nil {
		t.Fatal(err)
	}
	for who, r := range map[string]*core.Record{"ann": s.ann, "bob": s.bob, "root": root, "otp": otp} {
		g.secrets[who+"'s hash"] = r.GetString("password:hash")
		if who != "otp" {
			g.secrets[who+"'s key"] = r.TokenKey()
		}
	}
	g.secrets["the password"] = password
	for where, secret := range g.secrets {
		if len(secret) < 8 {
			t.Fatalf("%s: %q is no secret to look for", where, secret)
		}
	}
	o := s.options()
	change(&o)
	if o.History.Collection != "" {
		o.History = s.keeps(true).History
		g.secrets["the history's key"], g.ids["changes"] = historyKey, "none"
	}
	g.session = serve(t, open(t, o))
	s.requests()
	s.hook(g.overhear)
	return g
}

// overhear takes tokens from requests to PocketBase, which must not leave either.
func (g *stage) overhear(r *http.Request) {
	g.heard.Lock()
	defer g.heard.Unlock()
	if t := r.Header.Get("Authorization"); t != "" {
		g.secrets["token "+t] = t
	}
	if t := r.URL.Query().Get("token"); t != "" {
		g.secrets["file token "+t] = t
	}
}

func (g *stage) fileTokens() (n int) {
	g.heard.Lock()
	defer g.heard.Unlock()
	for where := range g.secrets {
		if strings.HasPrefix(where, "file token") {
			n++
		}
	}
	return n
}

// hostile are texts that mean something to a filter, a sort, a path, a query, JSON,
// SQL, HTTP, a shell or a reader of names.
var hostile = []string{
	"", " ", "*", "%", "_", "..", ".", "../..", "../../settings", "..%2f..%2fsettings", "%2e%2e", "%00", "\x01", "a/../../settings", "./", "/", "//", "/api/sql", "sql", `\`, `..\..`, "posts/records", "posts?filter=1=1", "posts#", "posts;x", "posts&filter=", "records?perPage=1", "?", "#", "&x=1",
	"_superusers", "_SUPERUSERS", "pbc_3142635823", "_otps", "_mfas", "_externalAuths", "_authOrigins", "_params", "_migrations", "_collections", "_logs", "users", "vault", "Vault", "sqlite_master", "_pb_users_auth_",
	"password", "PASSWORD", "tokenKey", "tokenkey", "author.password", "author.tokenKey", "author.email", "secret", "secret:lower", "secret:length", "author.secret", "comments_via_post.post.secret", "post.secret", "post.author.tokenKey", "@rowid", "@random", "-@rowid", "+title", "--title", "-secret", "title,secret", "title, -secret",
	"@request.auth.id", "@request.headers.authorization", "@request.body.x", "@collection.vault.note", "@collection._superusers.password", "@collection.users:a.tokenKey", "@now", "@yesterday", "id = id", "id=''||''=''", "' || 1=1 //", `" || 1=1 //`, `\" || 1=1 //`, `\\" || 1=1 //`, `\' || 1=1 //`, "x' || '1'='1", `x" || "1"="1`, "') || (1=1", `") || (1=1`, "1=1", "true", "null || 1=1", "x\n|| 1=1", "x//", "//", "x /*", "title ~ '%'", "title ?~ '%'",
	"{:v}", "{:x}", "$&", "$'", "${x}", "{{x}}", "%s", "%n", "'; DROP TABLE users; --", `"; DROP TABLE users; --`, "' UNION SELECT password FROM users --", "1; ATTACH DATABASE '/tmp/x' AS y", "VACUUM INTO '/tmp/x'", "geoDistance(1,2,3,4)", "strftime('%Y', secret)", "lower(secret)",
	"title:excerpt(1),secret", "secret:excerpt(10)", "body:excerpt(9999999)", "body:excerpt(-1)", "*,expand.*", "expand.author.tokenKey", "expand", "*,secret", "collectionId", "author.*", "author,author.x,author.x.y", "users_via_author", "comments_via_post", "_externalAuths_via_recordRef", "a.b.c.d.e.f.g.h",
	"id\r\nX-Evil: 1", "a\r\n\r\nGET /api/settings", "http://127.0.0.1:1/", "file:///etc/passwd", "javascript:alert(1)", "<script>", "\u202egnp.exe", "\u200b", "\ufeff", "ﬀ", "posts\u0000", "pоsts", "POSTS", "title ", " title", "\ttitle", "title+", "title-", "+tags", "tags-", "id", "ID", "created", "verified", "email", "emailVisibility", "passwordConfirm", "oldPassword", "collectionName", "__proto__", "constructor",
	"eyJpIjoiYSIsInYiOiInIHx8IDE9MSAvLyJ9", "eyJpIjoiJyB8fCAxPTEifQ", "eyJpIjoiYSIsInYiOm51bGx9", "eyJpIjoiIn0", "null", "[]", "{}", "-1", "1e9", "0x10", "NaN", "Infinity", "9007199254740993", strings.Repeat("a", 101), strings.Repeat("(", 50), strings.Repeat("a.", 60), strings.Repeat("x", 5000),
}

// places are the ways to put a text into a property, by its name; of others it is
// the value, or an element of the list.
var places = map[string][]string{
	// PocketBase slows down who finds nothing, so each finds the first post, and must
	// not find the second.
	"where": {
		`[{"field":"total","op":"eq","value":3,"or":[{"field":%s,"op":"eq","value":"x"}]},{"field":"total","op":"eq","value":3}]`,
		`[{"field":"total","op":"eq","value":3,"or":[{"field":"title","op":%s,"value":"x"}]}]`,
		`[{"field":"total","op":"eq","value":3,"or":[{"field":"title","op":"eq","value":%s}]}]`,
		`[{"field":"total","op":"eq","value":3,"or":[{"field":"body","op":"in","value":[%s,"x"]}]}]`,
		`[{"field":"total","op":"eq","value":3,"or":[{"field":"title","op":"contains","value":%s}]},{"field":"total","op":"eq","value":3,"or":[{"field":%[1]s,"op":"starts","value":%[1]s}]},{"field":"total","op":"eq","value":3}]`,
	},
	"aggregates": {`[{"fn":"max","field":%s}]`, `[{"fn":%s,"field":"title"}]`},
	"data":       {`{%s:"x"}`, `{"title":%s,"total":-1}`},
	"set":        {`{%s:"x"}`, `{"body":%s}`}, "add": {`{%s:"x"}`}, "remove": {`{%s:"x"}`},
	"requests": {
		`[{"op":"create","collection":%s,"data":{"title":"x"}}]`, `[{"op":"update","collection":"posts","id":"$post","data":{"body":"x"}},{"op":"update","collection":"posts","id":%s,"data":{"body":"x"}}]`,
		`[{"op":"update","collection":"posts","id":"$post","data":{"body":"x"}},{"op":"upsert","collection":"posts","id":%s,"data":{"title":"x"}}]`,
		`[{"op":"delete","collection":"vault","id":%s}]`, `[{"op":"create","collection":"posts","data":{%s:"x"}}]`, `[{"op":%s,"collection":"posts"}]`,
	},
	"text": {`%s`},
	"pb_plan_schema.ops": {
		`[{"op":%s,"collection":"comments"}]`, `[{"op":"truncate","collection":%s}]`, `[{"op":"create_collection","collection":%s,"fields":[]}]`, `[{"op":"rename_collection","collection":"comments","to":%s}]`,
		`[{"op":"add_field","collection":"comments","field":{"name":%s,"type":"text"}}]`, `[{"op":"add_field","collection":"comments","field":{"name":"x","type":%s}}]`, `[{"op":"add_field","collection":"comments","field":{"name":"x","type":"text",%s:1}}]`,
		`[{"op":"add_field","collection":"comments","field":{"name":"x","type":"text","pattern":%s}}]`, `[{"op":"add_field","collection":"comments","field":{"name":"x","type":"relation","collection":%s}}]`, `[{"op":"remove_field","collection":"comments","name":%s}]`,
		`[{"op":"set_rules","collection":"comments","rules":{"list":%s}}]`, `[{"op":"set_rules","collection":"comments","rules":{%s:null}}]`, `[{"op":"add_index","collection":"comments","index":{"name":%s,"fields":["text"]}}]`, `[{"op":"add_index","collection":"comments","index":{"name":"x","fields":[%s]}}]`,
	},
	"secrets": {`{%s:"smtp"}`, `{"smtp.password":%s}`},
}

// routes are those of the tools that run a server.
var routes = map[string]*regexp.Regexp{
	"pb_list_superusers": regexp.MustCompile(`^GET /api/collections/_superusers/records$`), "pb_create_superuser": regexp.MustCompile(`^POST /api/collections/_superusers/(records|request-password-reset)$`),
	"pb_logs": regexp.MustCompile(`^GET /api/logs$`), "pb_log_stats": regexp.MustCompile(`^GET /api/logs/stats$`), "pb_settings": regexp.MustCompile(`^GET /api/settings$`), "pb_update_settings": regexp.MustCompile(`^(GET|PATCH) /api/settings$`),
	"pb_list_crons": regexp.MustCompile(`^GET /api/crons$`), "pb_run_cron": regexp.MustCompile(`^(GET /api/crons|POST /api/crons/[A-Za-z0-9_]+)$`), "pb_test_email": regexp.MustCompile(`^POST /api/settings/test/email$`), "pb_test_s3": regexp.MustCompile(`^POST /api/settings/test/s3$`),
	"pb_backup_list": regexp.MustCompile(`^GET /api/backups$`), "pb_backup_create": regexp.MustCompile(`^(GET|POST) /api/backups$`), "pb_backup_delete": regexp.MustCompile(`^(GET /api/backups|DELETE /api/backups/seed.zip)$`), "pb_backup_restore": regexp.MustCompile(`^(GET /api/backups|POST /api/backups/seed.zip/restore)$`),
	"pb_backup_download": regexp.MustCompile(`^(GET /api/backups|POST /api/files/token|GET /api/backups/seed.zip)$`), "pb_backup_upload": regexp.MustCompile(`^(GET /api/backups|POST /api/backups/upload)$`),
}

// bearer is what PocketBase's tokens look like.
var bearer = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{15,}\.`)

// special are values of properties that mean something else to some tools.
var special = map[string]string{
	"pb_create_superuser.email": `"ops@example.com"`,
	"pb_update_settings.set":    `{"batch.timeout":4}`, "pb_run_cron.id": `"__pbLogsCleanup__"`, "pb_create_superuser.secret": `"smtp"`, "pb_plan_schema.migration": `"go"`,
}

// ordinary are values by the names of properties. One that a later tool has and
// that is not here gets a value by its type.
func (g *stage) ordinary(name string) string {
	switch name {
	case "collection":
		return `"posts"`
	case "id", "copy_of":
		return `"` + g.post.Id + `"`
	case "where":
		return `[{"field":"total","op":"ge","value":0}]`
	case "sort", "fields", "group_by":
		return `["title"]`
	case "expand":
		return `["author"]`
	case "aggregates":
		return `[{"fn":"max","field":"title"}]`
	case "data", "set":
		return `{"title":"fine"}`
	case "format":
		return `"json"`
	case "field":
		return `"papers"`
	case "content":
		return `"aGVsbG8="`
	case "what":
		return `"verification"`
	case "email":
		return `"` + annEmail + `"`
	case "identity":
		return `"` + annEmail + `"`
	case "password":
		return `"` + password + `"`
	case "text":
		return `"[{\"title\":\"x\"}]"`
	case "requests":
		return `[{"op":"create","collection":"posts","data":{"title":"x"}}]`
	case "ops":
		return `[{"op":"add_field","collection":"comments","field":{"name":"extra","type":"text"}}]`
	case "name":
		return `"seed.zip"`
	case "to":
		return `"ops@example.com"`
	case "template":
		return `"otp"`
	case "filesystem":
		return `"storage"`
	case "secrets":
		return `{"smtp.password":"smtp"}`
	}
	return ""
}

// arguments are those of an ordinary call: what is required, and what is known.
func (g *stage) arguments(tool *mcp.Tool) (args map[string]json.RawMessage, properties []string) {
	var schema struct {
		Properties map[string]struct{ Type string }
		Required   []string
	}
	raw, err := json.Marshal(tool.InputSchema)
	if err != nil || json.Unmarshal(raw, &schema) != nil {
		g.server.t.Fatal(err)
	}
	args = map[string]json.RawMessage{}
	for name, p := range schema.Properties {
		v := or(special[tool.Name+"."+name], g.ordinary(name))
		if v == "" && slices.Contains(schema.Required, name) {
			v = map[string]string{"integer": "1", "number": "1", "boolean": "true", "array": "[]", "object": "{}"}[p.Type]
			if v == "" {
				v = `"x"`
			}
		}
		if v != "" && name != "copy_of" {
			args[name] = json.RawMessage(v)
		}
		if p.Type != "integer" && p.Type != "boolean" && p.Type != "number" {
			properties = append(properties, name)
		}
	}
	if tool.Name == "pb_get_file" { // the one that needs a file token
		args["field"] = json.RawMessage(`"deed"`)
	}
	slices.Sort(properties)
	return args, properties
}

func or(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

func required(tool *mcp.Tool, property string) bool {
	var schema struct{ Required []string }
	raw, err := json.Marshal(tool.InputSchema)
	return err == nil && json.Unmarshal(raw, &schema) == nil && slices.Contains(schema.Required, property)
}

// attack returns the arguments with a hostile text in each place of a property.
func (g *stage) attack(args map[string]json.RawMessage, tool *mcp.Tool, property, text string) (out []string) {
	raw, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	ways := slices.Concat(places[property], places[tool.Name+"."+property])
	if property == "where" && tool.Name != "pb_list_records" {
		ways = []string{ways[0], ways[len(ways)-1]} // the way of a where is the same for all tools
	}
	if ways == nil {
		ways = []string{`%s`}
		if b, err := json.Marshal(tool.InputSchema); err == nil && regexp.MustCompile(`"`+property+`":\{[^{}]*("items":\{[^{}]*\})?[^{}]*"type":"array"`).Match(b) {
			ways = []string{`[%s]`, `["title",%s]`}
		}
	}
	for _, way := range ways {
		changed := maps.Clone(args)
		changed[property] = json.RawMessage(strings.ReplaceAll(fmt.Sprintf(way, string(raw)), "$post", g.post.Id))
		if b, err := json.Marshal(changed); err == nil {
			out = append(out, string(b))
		}
	}
	return out
}

// leaks looks for secrets in everything that has left the server and its log.
func (g *stage) leaks(t *testing.T, what string) {
	t.Helper()
	g.heard.Lock()
	defer g.heard.Unlock()
	for where, secret := range g.secrets {
		if strings.Contains(g.said.String(), secret) {
			t.Fatalf("%s: the secret of %s has left the server", what, where)
		}
		if strings.Contains(g.log.String(), secret) {
			t.Fatalf("%s: the secret of %s is in the log", what, where)
		}
	}
	if bearer.MatchString(g.said.String()) || bearer.MatchString(g.log.String()) {
		t.Fatalf("%s: a token has left the server, or is in the log", what)
	}
	g.said.Reset()
	g.log.Reset()
}

// ours are the requests that tools may make: fixed routes, of collections that are
// listed.
var ours = regexp.MustCompile(`^(GET /api/health|POST /api/batch|POST /api/collections/_superusers/auth-with-password|POST /api/collections/users/impersonate/[a-z0-9]{15}` +
	`|GET /api/collections|GET /api/collections/(posts|comments|[a-z0-9_]+)|(GET|POST) /api/collections/(posts|comments)/records|(GET|PATCH|DELETE) /api/collections/(posts|comments)/records/[A-Za-z0-9_-]{1,100}` +
	`|GET /api/files/(posts|comments)/[A-Za-z0-9_-]{1,100}/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}|POST /api/files/token` +
	`|GET /api/collections/users/auth-methods|POST /api/collections/users/(auth-with-(password|otp|oauth2)|auth-refresh|request-(otp|verification|password-reset|email-change)|confirm-(verification|password-reset|email-change)))$`)

// untouched is the state of what no call may change.
func (g *stage) untouched() string {
	return fmt.Sprint(g.count("vault"), g.count("users"), g.count("_superusers"), g.count("_externalAuths"), g.count("comments"), g.count("posts") >= 2)
}

// asGuests has callers sign in, as often as they like.
func asGuests(o *pbtool.Options) {
	o.As, o.State, o.RedirectURL = nil, unlimited{}, "https://app.example.com"
}

type unlimited struct{}

func (unlimited) Take(context.Context, string, int64, state.Allowance) (time.Duration, error) {
	return 0, nil
}

// Each tool of each set is called with hostile texts in each place of its
// arguments: pb_list_records with all of them, any other with every third in a place,
// and with the next ones in its next place. No secret leaves, no request is made but those that tools make, nothing
// changes that may not, and no filter finds more than it says.
func TestInjections(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*pbtool.Options){
		"listed":     func(*pbtool.Options) {},
		"not listed": func(o *pbtool.Options) { o.Collections = nil },
		"guests":     asGuests,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newStage(t, change)
			texts := hostile
			if name == "not listed" {
				texts = slices.Concat(hostile[:60], hostile[90:110])
			}
			g.approve = func(mcpsec.Question) bool { return false } // what asks has not been done
			was := g.untouched()
			cases, turn := 0, 0
			tools, _ := g.Tools()
			for _, tool := range tools {
				if name == "guests" && !strings.HasPrefix(tool.Name, "pb_auth") {
					continue
				}
				args, properties := g.arguments(tool)
				for _, property := range properties {
					turn++
					for i, text := range texts {
						for j, a := range g.attack(args, tool, property, text) {
							if tool.Name != "pb_list_records" && (i+j+turn)%3 != 0 {
								continue
							}
							cases++
							got := g.call(tool.Name, a)
							if property == "where" && !got.refused && strings.Contains(got.text, "second") {
								t.Errorf("%s %s: found %s", tool.Name, a, got.text)
							}
						}
					}
					g.leaks(t, tool.Name+", "+property)
					for _, r := range g.requests() {
						if routes[tool.Name] != nil {
							if !routes[tool.Name].MatchString(r) && r != "POST /api/collections/_superusers/auth-with-password" {
								t.Errorf("%s, %s: made the request %s", tool.Name, property, r)
							}
							continue
						}
						if name != "not listed" && !ours.MatchString(r) || strings.Contains(r, "/api/sql") || strings.Contains(r, "/api/settings") || strings.Contains(r, "..") || regexp.MustCompile(`/collections/_.*/records`).MatchString(r) {
							t.Errorf("%s, %s: made the request %s", tool.Name, property, r)
						}
					}
				}
			}
			if is := g.untouched(); is != was {
				t.Errorf("what no call may change was changed: %s, was %s", is, was)
			}
			if cases < 200 {
				t.Errorf("only %d cases", cases)
			}
			t.Logf("%d cases", cases)
		})
	}
}

// No secret of the server's leaves by any tool's ordinary use, said yes to by a
// person, whether the caller may use all collections or some.
func TestCanaries(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*pbtool.Options){
		"listed": func(*pbtool.Options) {},
		"all that there are": func(o *pbtool.Options) {
			for _, k := range []string{"users", "vault", "_otps", "_mfas", "_authOrigins"} {
				o.Collections = append(o.Collections, pbtool.Collection{Name: k, Write: []string{"name", "note"}, Delete: true})
			}
		},
		"not listed": func(o *pbtool.Options) { o.Collections = nil },
		"guests":     asGuests,
		"a history": func(o *pbtool.Options) {
			o.History.Collection, o.Collections = "changes", append(o.Collections, pbtool.Collection{Name: "changes"})
		},
		"a history that is not listed": func(o *pbtool.Options) { o.History.Collection, o.Collections = "changes", nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newStage(t, change)
			tools, _ := g.Tools()
			slices.SortStableFunc(tools, func(a, b *mcp.Tool) int { // those that delete come last
				return strings.Compare(fmt.Sprint(b.Annotations.ReadOnlyHint), fmt.Sprint(a.Annotations.ReadOnlyHint))
			})
			answered := 0
			for _, tool := range tools {
				args, _ := g.arguments(tool)
				for collection, id := range g.ids {
					for name, v := range map[string]string{"collection": collection, "id": id} {
						if _, ok := args[name]; ok {
							args[name] = json.RawMessage(`"` + v + `"`)
						}
					}
					for _, keep := range []string{"", "fields", "where", "expand", "all"} {
						a := maps.Clone(args)
						for _, optional := range []string{"fields", "where", "sort", "expand", "group_by", "aggregates"} {
							if keep != "all" && keep != optional && !required(tool, optional) {
								delete(a, optional)
							}
						}
						b, err := json.Marshal(a)
						if err != nil {
							t.Fatal(err)
						}
						if got := g.call(tool.Name, string(b)); !got.refused {
							answered++
						}
					}
				}
				g.leaks(t, tool.Name)
			}
			if n := g.fileTokens(); n == 0 && name != "guests" {
				t.Error("no file token was used")
			}
			if answered < len(tools) {
				t.Errorf("only %d calls of %d tools were answered", answered, len(tools))
			}
		})
	}
}
