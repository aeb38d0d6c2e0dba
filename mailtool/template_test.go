package mailtool

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var order = []Variable{
	{Name: "name", Type: "text"}, {Name: "n", Type: "number"}, {Name: "gift", Type: "flag", Optional: true},
	{Name: "items", Type: "list", Optional: true}, {Name: "link", Type: "text", Optional: true},
}

// made renders one source, as subject, text or HTML, of values in JSON.
func made(t *testing.T, what, src, values string, hosts ...string) (string, error) {
	t.Helper()
	tpl := Template{Name: "t", Subject: "s", Text: "t", Variables: order}
	switch what {
	case "subject":
		tpl.Subject = src
	case "text":
		tpl.Text = src
	case "html":
		tpl.HTML = src
	}
	if err := tpl.fit(); err != nil {
		return "", err
	}
	bound, err := tpl.bind([]byte(values))
	if err != nil {
		return "", err
	}
	out, err := tpl.render(t.Context(), hosts, bound)
	return map[string]string{"subject": out.subject, "text": out.text, "html": out.html}[what], err
}

// rule is why the model is told that something is refused, or "".
func ruleOf(err error) string {
	var e *mcpsec.Error
	if errors.As(err, &e) {
		return e.Rule
	}
	return ""
}

func TestTemplateLanguage(t *testing.T) {
	t.Parallel()
	const values = `{"name":"Anna & Co","n":3,"gift":true,"items":["a","b"]}`
	for src, want := range map[string]string{
		"Dear {{.name}},": "Dear Anna & Co,", "{{if .gift}}G{{else}}-{{end}}": "G", "{{range .items}}[{{.}}]{{end}}": "[a][b]",
		"{{range $i, $x := .items}}{{$i}}{{$x}}{{$.name}}{{end}}": "0aAnna & Co1bAnna & Co", "{{with .name}}{{.}}{{end}}": "Anna & Co",
		"{{if and .gift (gt .n 2)}}many{{end}}": "many", "{{len .items}}": "2", "{{.items | len}}": "2", `{{if eq .name "x"}}1{{else if ne .n 4}}2{{end}}`: "2",
		"{{range .items}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}": "a", "{{- .name -}}": "Anna & Co", "{{range .items}}{{range $.items}}.{{end}}{{end}}": "....",
		"{{/* nothing */}}": "", "{{with .link}}x{{else}}{{.name}}{{end}}": "Anna & Co", `{{"{{"}}`: "{{",
	} {
		if got, err := made(t, "text", src, values); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", src, got, err, want)
		}
	}
	for _, src := range []string{
		"{{.secret}}", "{{.name.x}}", "{{$}}", "{{.}}", "{{$.name.x}}", "{{$.}}", "{{.items.Len}}", "{{(index .items 0)}}", "{{index .items 0}}", "{{slice .name 1}}",
		"{{call .name}}", "{{printf \"%9999999d\" 1}}", "{{print 1}}", "{{println 1}}", "{{html .name}}", "{{js .name}}", "{{urlquery .name}}",
		`{{define "x"}}{{end}}x`, `{{template "x"}}`, `{{template "text"}}`, `{{template "text" .}}`, `{{block "x" .}}{{end}}`, `{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`,
		"{{range 1000000000}}x{{end}}", "{{range .n}}x{{end}}", "{{range .name}}x{{end}}", `{{range "abc"}}x{{end}}`, "{{range (.items)}}x{{end}}", "{{range and .items .items}}x{{end}}", "{{range $}}x{{end}}", "{{range .}}x{{end}}",
		"{{range .items}}{{range .}}x{{end}}{{end}}", "{{range .items}}{{.name}}{{end}}", "{{with .name}}{{.n}}{{end}}", "{{range .items}}{{range .items}}{{end}}{{end}}",
		"{{$x := .name}}{{$x}}", "{{range $x := .items}}{{$x.y}}{{end}}", "{{range $x := .items}}{{$x = 1}}{{end}}", "{{with $x := .name}}{{$x}}{{end}}", "{{if $x := .name}}{{$x}}{{end}}",
		"{{nil}}", "{{if nil}}{{end}}", "{{(.name).x}}", `{{"x".y}}`, "{{", "{{end}}", "{{if}}", "{{.name", "{{if .n}}", "{{else}}", "{{_html_template_nospaceescaper .name}}", "{{.Name}}",
	} {
		if _, err := (Template{Variables: order}).parse("text", src); err == nil {
			t.Errorf("%s is refused only when it runs", src)
		}
		for _, what := range []string{"subject", "text", "html"} {
			if got, err := made(t, what, src, values); ruleOf(err) != "template" {
				t.Errorf("%s %s: %q, %v; want a refusal", what, src, got, err)
			} else if m := err.Error(); strings.Contains(m, "secret") || strings.Contains(m, "printf") {
				t.Errorf("%s: %q tells what was sent", src, m)
			}
		}
	}
}

func TestTemplateValues(t *testing.T) {
	t.Parallel()
	for _, values := range []string{
		``, `{}`, `null`, `[]`, `"x"`, `{"name":"x"}`, `{"n":1}`, `{"name":null,"n":1}`, `{"name":1,"n":1}`, `{"name":"x","n":"1"}`, `{"name":"x","n":1.5}`, `{"name":"x","n":9223372036854775808}`,
		`{"name":"x","n":1,"more":"x"}`, `{"name":"x","n":1,"name":"y"}`, `{"name":"x","n":1,"Name":"y"}`, `{"name":["x"],"n":1}`, `{"name":{"x":1},"n":1}`,
		`{"name":"x","n":1,"gift":"true"}`, `{"name":"x","n":1,"gift":null}`, `{"name":"x","n":1,"items":"x"}`, `{"name":"x","n":1,"items":[1]}`, `{"name":"x","n":1,"items":[["x"]]}`,
		`{"name":"` + strings.Repeat("x", 1001) + `","n":1}`, `{"name":"x","n":1,"items":["` + strings.Repeat("x", 1001) + `"]}`, `{"name":"x","n":1,"items":["x"` + strings.Repeat(`,"x"`, 200) + `]}`,
		`{"name":"a\u202eb","n":1}`, `{"name":"a\r\nBcc: x@evil.example","n":1}`, `{"name":"a\rb","n":1}`, `{"name":"a\u0000b","n":1}`, `{"name":"a\u200bb","n":1}`, `{"name":"a\u0085b","n":1}`, "{\"name\":\"a\xffb\",\"n\":1}", `{"name":"x","n":1,"items":["a\u2066b"]}`,
		`{"name":"\udb40\udc41\udb40\udc42","n":1}`,
	} {
		if got, err := made(t, "text", "{{.name}}", values); ruleOf(err) != "values" {
			t.Errorf("%s: %q, %v; want a refusal", values, got, err)
		}
	}
	for _, values := range []string{`{"name":"","n":0}`, `{"name":"two\nlines\tand a tab","n":-9223372036854775808}`, `{"name":"👩\u200d👧 Zoë می\u200cخواهم","n":9007199254740993}`, `{"name":"` + strings.Repeat("x", 1000) + `","n":1,"gift":false,"items":[]}`} {
		if _, err := made(t, "text", "{{.name}}{{.n}}{{.gift}}{{.items}}{{.link}}", values); err != nil {
			t.Errorf("%s: %v", values, err)
		}
	}
	if got, err := made(t, "text", "{{.n}}", `{"name":"","n":9007199254740993}`); got != "9007199254740993" {
		t.Errorf("a number became %s, %v", got, err)
	}
}

// A value stays a value, whatever it looks like.
func TestTemplateInjection(t *testing.T) {
	t.Parallel()
	for _, v := range []string{
		"{{.n}}", "{{define \"x\"}}", "Bcc: x@evil.example", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", `"><a href="https://evil.example">`, "' onmouseover='x", "&lt;b&gt;",
		"javascript:alert(1)", "</style><script>", "<!--", "]]>", "%0d%0aBcc: x", `\r\nBcc: x`, "a\nb", "=?utf-8?q?x?=", "ZgotmplZ", "\\", "`", "${n}", "--\n.\nQUIT",
	} {
		b, err := json.Marshal(map[string]any{"name": v, "n": 1})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := made(t, "text", "{{.name}}", string(b)); got != v || err != nil {
			t.Errorf("text of %q: %q, %v", v, got, err)
		}
		got, err := made(t, "subject", "{{.name}}", string(b))
		if refused := strings.Contains(v, "\n") || strings.Contains(v, "=?"); refused != (err != nil) || err == nil && got != v {
			t.Errorf("subject of %q: %q, %v", v, got, err)
		}
		for _, src := range []string{"<p>{{.name}}</p>", `<p title="{{.name}}">x</p>`, "<p title='{{.name}}'>x</p>", "<p title={{.name}}>x</p>", `<a href="https://shop.example/?q={{.name}}">x</a>`, `<a href="{{.name}}">x</a>`, `<p style="color: {{.name}}">x</p>`, `<font color="{{.name}}">x</font>`} {
			got, err := made(t, "html", src, string(b))
			if err != nil {
				if ruleOf(err) == "" {
					t.Errorf("%s of %q: %v", src, v, err)
				}
				continue
			}
			if n, want := len(tagsOf(got)), len(tagsOf(src)); n != want {
				t.Errorf("%s of %q has %d tags, want %d: %s", src, v, n, want, got)
			}
		}
	}
}

// tagsOf are the elements that a reader sees in HTML, with their attributes' names.
func tagsOf(s string) []string {
	var out []string
	for z := html.NewTokenizer(strings.NewReader(s)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return out
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			for _, a := range tok.Attr {
				out = append(out, tok.Data+" "+a.Key)
			}
			out = append(out, tok.Data)
		}
	}
}

func TestTemplateSubject(t *testing.T) {
	t.Parallel()
	for _, src := range []string{`{{"a\r\nBcc: x@evil.example"}}`, `{{"a\nb"}}`, `{{"a\u202eb"}}`, `{{"a\x00b"}}`, `{{"\u2028"}}x{{"\u2028"}}y`, `{{"\xff"}}`, `{{"="}}{{"?utf-8?q?x?="}}`, "=?utf-8?q?x?=", "{{.link}}", " ", `{{"\t"}}a{{"\t"}}b`, "a\nb", "a\r\nb", strings.Repeat("x", 251)} {
		if got, err := made(t, "subject", src, `{"name":"x","n":1}`); ruleOf(err) != "template" {
			t.Errorf("%q: %q, %v; want a refusal", src, got, err)
		}
	}
	// Nor can a literal spell in a body what must not be there.
	for _, src := range []string{`{{"a\r\nb"}}`, `{{"a\u202eb"}}`, `{{"a\x00b"}}`, `{{"\xff"}}`, `{{"\u200b"}}`} {
		if got, err := made(t, "text", src, `{"name":"x","n":1}`); ruleOf(err) != "template" {
			t.Errorf("%q: %q, %v; want a refusal", src, got, err)
		}
		if got, err := made(t, "html", "<p>"+src+"</p>", `{"name":"x","n":1}`); err == nil && !clean(got) {
			t.Errorf("%q: %q", src, got)
		}
	}
}

func TestTemplateHTML(t *testing.T) {
	t.Parallel()
	allow := func(src string, hosts ...string) {
		t.Helper()
		if got, err := made(t, "html", src, `{"name":"x","n":1}`, hosts...); err != nil {
			t.Errorf("%s: %q, %v", src, got, err)
		}
	}
	deny := func(src string, hosts ...string) {
		t.Helper()
		if got, err := made(t, "html", src, `{"name":"x","n":1}`, hosts...); ruleOf(err) != "html" && ruleOf(err) != "link" {
			t.Errorf("%s: %q, %v; want a refusal", src, got, err)
		}
	}
	allow(`<!DOCTYPE html><html lang="en"><body><table role="presentation"><tr><td style="padding: 1px" align="left">A</td></tr></table></body></html>`)
	for _, src := range []string{`<a href="https://any.example/x?y=z#f">x</a>`, `<a href="mailto:help@any.example">x</a>`, "<br/>", "a &amp; b", `<p title="{{.name}}">x</p>`} {
		allow(src)
	}
	for _, src := range []string{
		"<script>x</script>", "<iframe src=https://x.example>", "<form action=https://x.example>", "<svg/onload=x>", "<math>", "<base href=https://x.example>", "<link rel=stylesheet href=https://x.example>", `<meta http-equiv="refresh" content="0">`, "<p onclick=x>", `<p style="background: url(https://x.example)">`, "<style>p{}</style>", `<img src="https://x.example/p.gif">`, `<img src="cid:x">`,
		`<a href="http://x.example">x</a>`, `<a href="javascript:x">x</a>`, `<a href="{{.name}}">x</a>`, `<a href="//x.example">x</a>`, `<a href="">x</a>`, `<a href="https://u:p@x.example">x</a>`, `<a href="mailto:a@x.example?bcc=b@x.example">x</a>`, `<p href="https://x.example">x</p>`, "<p>a&#x202e;b</p>"[:3] + "<noscript>", "<custom-x>", "x</script>",
	} {
		deny(src)
	}
	if got, err := made(t, "html", `<p style="color: {{.name}}">x</p>`, `{"name":"expression(x)","n":1}`); ruleOf(err) != "html" {
		t.Errorf("a value that is not fit for its place becomes %q, %v", got, err)
	}
	// What was not looked at is not there.
	if got, err := made(t, "html", `<a href="https://x.example" href="javascript:x" href='https://y.example'>x</a>`, `{"name":"x","n":1}`); got != `<a href="https://x.example">x</a>` || err != nil {
		t.Error(got, err)
	}
	hosts := []string{"shop.example", "*.cdn.example"}
	for _, src := range []string{`<a href="https://shop.example/x">x</a>`, `<a href="https://SHOP.example">x</a>`, `<a href="https://a.cdn.example/x">x</a>`, `<a href="mailto:help@shop.example">x</a>`} {
		allow(src, hosts...)
	}
	for _, src := range []string{`<a href="https://evil.example/?shop.example">x</a>`, `<a href="https://shop.example.evil.example">x</a>`, `<a href="https://evilshop.example">x</a>`, `<a href="https://www.shop.example">x</a>`, `<a href="https://cdn.example">x</a>`, `<a href="https://shop.example@evil.example">x</a>`, `<a href="https://shop.example.">x</a>`, `<a href="mailto:x@evil.example">x</a>`, `<a href="https://xn--shp-0na.example">x</a>`, `<a href="https://shоp.example">x</a>`, `<a href="https://shop.example%2eevil.example">x</a>`} {
		deny(src, hosts...)
	}
	for src, ok := range map[string]bool{"see https://shop.example/a?b=c.": true, "(https://a.cdn.example)": true, "see https://evil.example": false, "http://shop.example": false, "HTTPS://EVIL.example": false, "https://shop.example@evil.example/": false, "{{.name}}://evil.example": false, "no link": true} {
		if _, err := made(t, "text", src, `{"name":"x","n":1}`, hosts...); (ruleOf(err) == "link") == ok {
			t.Errorf("text %q: %v", src, err)
		}
	}
}

func TestTemplateBounds(t *testing.T) {
	t.Parallel()
	list := `{"name":"` + strings.Repeat("x", 1000) + `","n":1,"items":["x"` + strings.Repeat(`,"x"`, 199) + `]}`
	for name, src := range map[string]string{
		"output": "{{range .items}}{{range $.items}}{{$.name}}{{end}}{{end}}",
		"work":   "{{range .items}}{{range $.items}}{{range $.items}}{{end}}{{end}}{{end}}",
		"width":  "{{range .items}}{{range $.items}}" + strings.Repeat("{{if $.n}}{{end}}", 10) + "{{end}}{{end}}",
		"parens": "{{range .items}}{{range $.items}}{{if (((((not (not (not $.n)))))))}}{{end}}{{end}}{{end}}",
	} {
		if got, err := made(t, "text", src, list); ruleOf(err) != "template" {
			t.Errorf("%s: %d bytes, %v; want a refusal", name, len(got), err)
		}
	}
	if _, err := made(t, "text", "{{range .items}}{{range $.items}}.{{end}}{{end}}", list); err != nil {
		t.Error(err)
	}
	for n := range 8 {
		_, err := made(t, "html", strings.Repeat("{{range $.items}}", n)+"x"+strings.Repeat("{{end}}", n), `{"name":"x","n":1}`)
		if (err == nil) != (n <= maxLoops) {
			t.Errorf("%d lists within lists: %v", n, err)
		}
	}
	for name, src := range map[string]string{"deep": strings.Repeat("{{if .n}}", 5000) + "x" + strings.Repeat("{{end}}", 5000), "loops": strings.Repeat("{{range $.items}}", 40) + "x" + strings.Repeat("{{end}}", 40), "parentheses": "{{" + strings.Repeat("(", 30_000) + ".n" + strings.Repeat(")", 30_000) + "}}", "loops in else": strings.Repeat("{{range $.items}}{{else}}", 40) + "x" + strings.Repeat("{{end}}", 40), "else": "{{if .n}}" + strings.Repeat("{{else if .n}}", 4000) + "{{end}}"} {
		_, err := made(t, "html", src, `{"name":"x","n":1}`)
		if err != nil && ruleOf(err) != "template" {
			t.Errorf("%s: %v", name, err)
		}
	}
	tpl := Template{Name: "t", Subject: "{{.name}}", Text: "x", Variables: order}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tpl.render(ctx, nil, map[string]any{"name": "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context's end: %v", err)
	}
}

func TestTemplateFit(t *testing.T) {
	t.Parallel()
	good := Template{Name: "order-1_x", Description: "d", Subject: "s {{.name}}", Text: "t", HTML: `<a href="https://shop.example/{{.name}}">{{range .items}}{{.}}{{end}}</a>`, Variables: order}
	if err := good.check(t.Context(), domains{"shop.example"}); err != nil {
		t.Fatal(err)
	}
	good.HTML = `<a href="{{.name}}">x</a>{{if .link}}<a href="mailto:{{.link}}">x</a>{{end}}`
	if err := good.check(t.Context(), domains{"*.shop.example"}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Template){
		"a path": func(t *Template) { t.Name = "../x" }, "upper case": func(t *Template) { t.Name = "Order" }, "no name": func(t *Template) { t.Name = "" }, "a dot": func(t *Template) { t.Name = "a.b" }, "a long name": func(t *Template) { t.Name = strings.Repeat("a", 65) },
		"no subject": func(t *Template) { t.Subject = "" }, "no text": func(t *Template) { t.Text = "" }, "two lines": func(t *Template) { t.Subject = "a\nb" }, "hidden text": func(t *Template) { t.Text = "a\u202eb" }, "a carriage return": func(t *Template) { t.Text = "a\r\nb" },
		"hidden HTML": func(t *Template) { t.HTML = "a\u200bb" }, "a hidden description": func(t *Template) { t.Description = "a\U000E0041b" }, "a long text": func(t *Template) { t.Text = strings.Repeat("x", maxSource+1) }, "no UTF-8": func(t *Template) { t.Text = "\xff" },
		"a variable twice": func(t *Template) {
			t.Variables = []Variable{{Name: "name", Type: "text"}, {Name: "name", Type: "text"}}
		}, "a type": func(t *Template) { t.Variables = []Variable{{Name: "name", Type: "any"}} }, "a variable's name": func(t *Template) { t.Variables = []Variable{{Name: "Name", Type: "text"}} },
		"max": func(t *Template) { t.Variables = []Variable{{Name: "name", Type: "text", Max: 10_001}} }, "many variables": func(t *Template) { t.Variables = make([]Variable, 51) }, "an undeclared variable": func(t *Template) { t.Text = "{{.x}}" },
		"an element": func(t *Template) { t.HTML = "<script>x</script>" }, "an element in a branch": func(t *Template) { t.HTML = "{{if .gift}}{{else}}<script>x</script>{{end}}" }, "a link": func(t *Template) { t.HTML = `<a href="https://evil.example">x</a>` }, "a link that may be missing": func(t *Template) { t.HTML = `<a href="{{.link}}">x</a>` }, "a list that may be missing": func(t *Template) { t.Subject = "{{range .items}}{{.}}{{end}}" }, "HTML that ends too early": func(t *Template) { t.HTML = `<a href="{{.name}}` },
	} {
		tpl := good
		if change(&tpl); tpl.check(t.Context(), domains{"shop.example"}) == nil {
			t.Errorf("%s is not refused", name)
		}
	}
}

// Whatever a caller writes as a template, and as values, what comes out keeps to the
// rules, or nothing comes out.
func FuzzTemplate(f *testing.F) {
	for _, src := range []string{"Dear {{.name}}", `<a href="https://shop.example/{{.link}}">{{range .items}}{{.}}{{end}}</a>`, "<style>p{color:{{.name}}}</style>", `{{if and .gift (eq .n 1)}}x{{else}}{{"\u202e"}}{{end}}`, `{{define "x"}}{{template "x"}}{{end}}`} {
		f.Add(src, src, src, "evil\"'><script>&#x202e;")
	}
	f.Fuzz(func(t *testing.T, subject, text, src, value string) {
		tpl := Template{Name: "t", Subject: subject, Text: text, HTML: src, Variables: order}
		if tpl.fit() != nil {
			return
		}
		raw, err := json.Marshal(map[string]any{"name": value, "n": 2, "items": []string{value, value}, "link": value})
		if err != nil {
			return
		}
		bound, err := tpl.bind(raw)
		if err != nil {
			return
		}
		hosts := domains{"shop.example"}
		out, err := tpl.render(t.Context(), hosts, bound)
		if err != nil {
			return
		}
		if strings.ContainsAny(out.subject, "\r\n") || strings.Contains(out.subject, "=?") || !clean(out.subject+out.text+out.html) {
			t.Fatalf("%q", []string{out.subject, out.text, out.html})
		}
		doc, err := html.Parse(strings.NewReader(out.html)) // a reader of its own
		if err != nil {
			t.Fatal(err)
		}
		for n := range doc.Descendants() {
			if n.Type == html.ElementNode && !slices.Contains(elements, n.DataAtom) {
				t.Fatalf("an element %s in %q", n.Data, out.html)
			}
			for _, a := range n.Attr {
				if host, ok := target(a.Val); strings.HasPrefix(a.Key, "on") || a.Key == "href" && !(ok && hosts.has(host)) {
					t.Fatalf("%s=%q in %q", a.Key, a.Val, out.html)
				}
			}
		}
	})
}
