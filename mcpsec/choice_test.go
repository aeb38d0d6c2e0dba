package mcpsec_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type askIn struct {
	ID   string `json:"id" validate:"required,max=10"`
	More []int  `json:"more" validate:"max=3"`
}

// asking is a tool that says who it is, and what it was asked.
func asking(who string, change func(*mcpsec.ToolSpec)) *mcpsec.Tool {
	spec := mcpsec.ToolSpec{Name: "ask", Description: "Ask " + who + ".", Effect: mcpsec.Read}
	if change != nil {
		change(&spec)
	}
	return mcpsec.NewTool(spec, func(_ context.Context, in askIn) (echoOut, error) { return echoOut{who + " " + in.ID}, nil })
}

func needs(scopes ...string) func(*mcpsec.ToolSpec) {
	return func(s *mcpsec.ToolSpec) { s.Scopes = scopes }
}

func TestChoice(t *testing.T) {
	t.Parallel()
	var seen []string
	f := newFixture(t, func(o *mcpsec.Options) {
		o.Principal.Scopes = []string{"all", "a"}
		o.Guards = []mcpsec.Guard{func(_ context.Context, c *mcpsec.Call) error {
			seen = append(seen, c.Args.(askIn).ID)
			return nil
		}}
	}, mcpsec.Choice("database", "which", map[string]*mcpsec.Tool{
		"one": asking("1", needs("all", "a")), "two": asking("2", needs("all")), "three": asking("3", needs("all", "b")),
	}))
	cs := f.connect(t)
	list, err := cs.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 1 {
		t.Fatal(list, err)
	}
	schema, _ := json.Marshal(list.Tools[0].InputSchema)
	for _, want := range []string{`"database":{"description":"which","enum":["one","three","two"],"type":"string"}`, `"additionalProperties":false`, `"required":["database","id"]`, `"id":`, `"more":`} {
		if !strings.Contains(string(schema), want) {
			t.Errorf("the schema has no %s: %s", want, schema)
		}
	}
	for _, test := range []struct{ args, want string }{
		{`{"database":"one","id":"x"}`, `1 x`},
		{`{"id":"y","database":"two","more":[9007199254740993]}`, `2 y`},
		{`{"database":"three","id":"x"}`, "needs the scopes all b"},
		{`{"database":"four","id":"x"}`, "database: must be one of one, three, two"},
		{`{"database":"One","id":"x"}`, "must be one of"},
		{`{"database":null,"id":"x"}`, "must be one of"},
		{`{"database":["one"],"id":"x"}`, "must be one of"},
		{`{"Database":"one","id":"x"}`, "must be one of"},
		{`{"id":"x"}`, "must be one of"},
		{`{"database":"one","database":"two","id":"x"}`, "not allowed"},
		{`{"database":"one"}`, "id"},
		{`{"database":"one","id":"x","other":1}`, "invalid arguments"},
		{`{"database":"one","id":"` + strings.Repeat("x", 11) + `"}`, "invalid arguments"},
		{`{"database":"one","id":"x","more":[1,2,3,4]}`, "invalid arguments"},
		{`[]`, "invalid"},
	} {
		res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "ask", Arguments: json.RawMessage(test.args)})
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = res.Content[0].(*mcp.TextContent).Text
		}
		if !strings.Contains(got, test.want) && !(err != nil && strings.Contains(test.args, `"database":"two","id"`)) {
			t.Errorf("%s: got %s, want %s", test.args, got, test.want)
		}
	}
	if got := strings.Join(seen, " "); got != "x y" {
		t.Errorf("guards saw %s", got)
	}
	if log := f.audit.String(); !strings.Contains(log, `database=\"one\" id=string`) {
		t.Errorf("the record does not name the database: %s", log)
	}
}

// TestChoiceHides has a caller who lacks what all of the tools need.
func TestChoiceHides(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, mcpsec.Choice("database", "which", map[string]*mcpsec.Tool{"one": asking("1", needs("all", "a")), "two": asking("2", needs("all"))}))
	if got := names(t, f.connect(t)); got != "" {
		t.Errorf("the caller sees %s", got)
	}
}

func TestChoiceRefuses(t *testing.T) {
	t.Parallel()
	ok := asking("1", nil)
	guarded := ok.WithGuards(func(context.Context, *mcpsec.Call) error { return nil })
	for name, f := range map[string]func(){
		"no tools":         func() { mcpsec.Choice("database", "which", nil) },
		"no argument":      func() { mcpsec.Choice("", "which", map[string]*mcpsec.Tool{"one": ok}) },
		"a nil tool":       func() { mcpsec.Choice("database", "which", map[string]*mcpsec.Tool{"one": ok, "two": nil}) },
		"a hidden name":    func() { mcpsec.Choice("database", "which", map[string]*mcpsec.Tool{"o\u200bne": ok}) },
		"a taken argument": func() { mcpsec.Choice("id", "which", map[string]*mcpsec.Tool{"one": ok}) },
		"another name": func() {
			mcpsec.Choice("database", "which", map[string]*mcpsec.Tool{"one": ok, "two": ok.WithName("other")})
		},
		"another schema": func() { mcpsec.Choice("database", "which", map[string]*mcpsec.Tool{"one": ok, "two": scoped("ask")}) },
		"another effect": func() {
			mcpsec.Choice("database", "which", map[string]*mcpsec.Tool{"one": ok, "two": asking("2", func(s *mcpsec.ToolSpec) { s.Effect = mcpsec.Write })})
		},
		"guards": func() { mcpsec.Choice("database", "which", map[string]*mcpsec.Tool{"one": guarded}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			f()
		}()
	}
}
