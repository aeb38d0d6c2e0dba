package mailtool

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var operators = fstest.MapFS{
	"welcome.json": {Data: []byte(`{"name":"welcome","subject":"Welcome, {{.name}}","variables":[{"name":"name","type":"text"}]}`)},
	"welcome.txt":  {Data: []byte("Dear {{.name}},\r\nwelcome.\r\n")},
	"welcome.html": {Data: []byte(`<p>Dear <b>{{.name}}</b></p>`)},
	"README.md":    {Data: []byte("no template")},
}

func opened(t *testing.T, change func(*TemplateOptions)) (*Templates, string) {
	t.Helper()
	o := TemplateOptions{FS: operators, Dir: t.TempDir()}
	if change != nil {
		change(&o)
	}
	ts, err := OpenTemplates(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ts.Close() })
	return ts, o.Dir
}

func TestTemplatesRender(t *testing.T) {
	t.Parallel()
	ts, _ := opened(t, nil)
	m, err := ts.Render(t.Context(), "welcome", map[string]any{"name": "Anna <3"})
	if err != nil || m.Subject != "Welcome, Anna <3" || m.Text != "Dear Anna <3,\nwelcome.\n" || m.HTML != "<p>Dear <b>Anna &lt;3</b></p>" || m.To != nil {
		t.Error(m, err)
	}
	for name, values := range map[string]map[string]any{"welcome": {"name": "x\r\nBcc: y"}, "none": {}, "../welcome": {}, "": {}} {
		if m, err := ts.Render(t.Context(), name, values); ruleOf(err) == "" {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

func TestOpenTemplates(t *testing.T) {
	t.Parallel()
	one := func(s string) fstest.MapFS { return fstest.MapFS{"a.json": {Data: []byte(s)}} }
	for name, o := range map[string]TemplateOptions{
		"no JSON": {FS: one("x")}, "another name": {FS: one(`{"name":"b","subject":"s","text":"t"}`)}, "an unknown member": {FS: one(`{"name":"a","subject":"s","text":"t","from":"x"}`)}, "no text": {FS: one(`{"name":"a","subject":"s"}`)},
		"text twice": {FS: fstest.MapFS{"a.json": {Data: []byte(`{"name":"a","subject":"s","text":"t"}`)}, "a.txt": {Data: []byte("t")}}}, "an undeclared variable": {FS: one(`{"name":"a","subject":"s","text":"{{.x}}"}`)}, "a script": {FS: one(`{"name":"a","subject":"s","text":"t","html":"<script>x</script>"}`)},
		"no directory": {Dir: filepath.Join(t.TempDir(), "none")}, "a link with a scheme": {Links: []string{"https://shop.example"}}, "any link": {Links: []string{"*"}}, "an upper-case link": {Links: []string{"Shop.example"}}, "max": {Max: -1},
	} {
		if _, err := OpenTemplates(o); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
	if ts, err := OpenTemplates(TemplateOptions{}); err != nil || len(TemplateTools(ts)) != 4 || ts.Close() != nil {
		t.Error("without anything there is nothing to list", err)
	}
}

func mine(name, text string) Template { return Template{Name: name, Subject: "s", Text: text} }

func TestTemplatesChange(t *testing.T) {
	t.Parallel()
	ts, dir := opened(t, func(o *TemplateOptions) { o.Max = 2 })
	put := func(tpl Template, was string) error { return ts.put(t.Context(), tpl, was) }
	first := mine("note", "one")
	if err := put(first, ""); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"a name that is there": put(mine("note", "two"), ""), "the operator's name": put(mine("welcome", "x"), ""), "another revision": put(mine("note", "two"), strings.Repeat("0", 16)), "the operator's template": put(mine("welcome", "x"), revision(ts.fixed["welcome"])),
		"deleting another revision": ts.remove("note", strings.Repeat("0", 16)), "deleting the operator's": ts.remove("welcome", revision(ts.fixed["welcome"])), "deleting nothing": ts.remove("none", strings.Repeat("0", 16)), "updating nothing": put(mine("none", "x"), strings.Repeat("0", 16)),
		"what cannot be a template": put(mine("bad", "{{.x}}"), ""), "a path": put(mine("../x", "x"), ""),
	} {
		if ruleOf(err) != "template" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := put(mine("note", "two"), revision(first)); err != nil {
		t.Fatal(err)
	}
	if got, fixed, err := ts.get("note"); err != nil || fixed || got.Text != "two" {
		t.Error(got, fixed, err)
	}
	if old, err := os.ReadFile(filepath.Join(dir, "note.old")); err != nil || !bytes.Contains(old, []byte(`"one"`)) {
		t.Errorf("what was replaced: %s, %v", old, err)
	}
	if err := put(mine("second", "x"), ""); err != nil {
		t.Fatal(err)
	}
	if err := put(mine("third", "x"), ""); ruleOf(err) != "template" {
		t.Errorf("more than there may be: %v", err)
	}
	again, err := OpenTemplates(TemplateOptions{Dir: dir}) // after a restart
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, _, err := again.get("note"); err != nil || got.Text != "two" {
		t.Error(got, err)
	}
	if err := ts.remove("note", revision(mine("note", "two"))); err != nil {
		t.Fatal(err)
	}
	if names, err := ts.names(); err != nil || !slices.Equal(names, []string{"second", "welcome"}) {
		t.Error(names, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// Of changes to one revision at one moment, one is made.
func TestTemplatesRace(t *testing.T) {
	t.Parallel()
	ts, _ := opened(t, nil)
	first := mine("note", "one")
	if err := ts.put(t.Context(), first, ""); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = ts.put(t.Context(), mine("note", strings.Repeat("x", i+1)), revision(first)) })
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		}
	}
	if done != 1 {
		t.Errorf("%d of %d changes to one revision were made", done, len(errs))
	}
}

// What others have put into the directory is no template, and leads nowhere.
func TestTemplatesHostileDirectory(t *testing.T) {
	t.Parallel()
	ts, dir := opened(t, nil)
	outside := filepath.Join(t.TempDir(), "outside.json")
	template := func(name string) []byte { return []byte(`{"name":"` + name + `","subject":"s","text":"outside"}`) }
	for file, b := range map[string][]byte{outside: template("link"), filepath.Join(dir, "big.json"): append(template("big"), bytes.Repeat([]byte(" "), maxTemplateFile)...), filepath.Join(dir, "target.txt"): template("inside"), filepath.Join(dir, "broken.json"): []byte(`{"name":`), filepath.Join(dir, "other.json"): template("another"), filepath.Join(dir, "Upper.json"): template("Upper"), filepath.Join(dir, "hidden.json"): []byte(`{"name":"hidden","subject":"s","text":"a` + "\u202e" + `"}`)} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	names := []string{"big", "broken", "other", "dir", "hidden", "Upper"}
	if runtime.GOOS != "windows" {
		names = append(names, "link", "inside")
		if err := os.Symlink("target.txt", filepath.Join(dir, "inside.json")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(dir, "link.json")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if tpl, _, err := ts.get(name); err == nil {
			t.Errorf("%s: %v", name, tpl)
		}
	}
	out, err := ts.list(t.Context(), struct{}{})
	if err != nil || len(out.Templates) != 1 || out.Damaged != len(names)-1 {
		t.Error(out, err)
	}
}

func TestTemplateTools(t *testing.T) {
	t.Parallel()
	ts, _ := opened(t, nil)
	effects := map[string]mcpsec.Effect{}
	for _, tool := range TemplateTools(ts) {
		effects[tool.Name()] = tool.Effect()
	}
	if effects["mail_delete_template"] != mcpsec.Destroy || effects["mail_update_template"] != mcpsec.Write || effects["mail_create_template"] != mcpsec.Write || effects["mail_render_template"] != mcpsec.Read || len(effects) != 7 {
		t.Error(effects)
	}
	ctx := t.Context()
	if v, err := ts.validate(ctx, mine("x", "{{.y}}")); err != nil || v.Valid || v.Problem != "text, line 1: a variable that is not declared" {
		t.Error(v, err)
	}
	if v, err := ts.validate(ctx, mine("x", "y")); err != nil || !v.Valid || v.Problem != "" {
		t.Error(v, err)
	}
	tpl := mine("note", "{{.url}}")
	tpl.HTML, tpl.Variables = `<a href="{{.url}}">bank.example</a>`, []Variable{{Name: "url", Type: "text"}}
	made, err := ts.create(ctx, tpl)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := ts.show(ctx, templateArg{"note"})
	if err != nil || shown.Revision != made.Revision || shown.Operator {
		t.Error(shown, err)
	}
	r, err := ts.preview(ctx, renderIn{"note", json.RawMessage(`{"url":"https://evil.example"}`)})
	if err != nil || r.Revision != made.Revision || len(r.Risks) != 1 {
		t.Error(r, err)
	}
	if _, err := ts.preview(ctx, renderIn{"note", json.RawMessage(`{"url":"http://evil.example"}`)}); ruleOf(err) != "html" {
		t.Error(err)
	}
	if q, err := ts.deletion(ctx, deleteIn{"note", made.Revision}); err != nil || q != `delete the mail template "note", whose subject is "s"` {
		t.Error(q, err)
	}
	if _, err := ts.deletion(ctx, deleteIn{"welcome", revision(ts.fixed["welcome"])}); err == nil {
		t.Error("a person is asked about what is refused")
	}
	if _, err := ts.update(ctx, updateIn{strings.Repeat("0", 16), tpl}); ruleOf(err) != "template" {
		t.Error(err)
	}
	if _, err := ts.show(ctx, templateArg{"none"}); !errors.Is(err, errNoTemplate) {
		t.Error(err)
	}
}
