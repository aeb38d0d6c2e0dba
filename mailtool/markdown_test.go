package mailtool

import (
	"slices"
	"strings"
	"testing"
)

func TestMarkdown(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"Dear *Anna*, **1** ~~2~~":             "<p>Dear <em>Anna</em>, <strong>1</strong> <del>2</del></p>\n",
		"[shop](https://shop.example/a?b=c&d)": `<p><a href="https://shop.example/a?b=c&amp;d" rel="nofollow noreferrer">shop</a></p>` + "\n",
		"<help@shop.example>":                  `<p><a href="mailto:help@shop.example" rel="nofollow noreferrer">help@shop.example</a></p>` + "\n",
		"# T\n\n- a\n- b":                      "<h1>T</h1>\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n",
		"|a|b|\n|:-|-:|\n|1|2|":                "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>\n",
		"3. x":                                 "<ol start=\"3\">\n<li>x</li>\n</ol>\n",
		"a < b & c":                            "<p>a &lt; b &amp; c</p>\n",
	} {
		if got, err := markdown(src); got != want || err != nil {
			t.Errorf("%q:\n%q, %v; want\n%q", src, got, err, want)
		}
	}
	for _, src := range []string{
		"<script>alert(1)</script>", "<img src=https://x.example onerror=x>", "![x](https://x.example/p.gif)", "![x](data:image/png,x)", "[x](javascript:alert(1))", "[x](JaVaScript&colon;alert(1))", "[x](data:text/html,x)", "[x](http://x.example)", "[x](//x.example)", "[x](/x)", "[x](vbscript:x)", "[x](file:///etc)", "<javascript:x>", "<a href=javascript:x>x</a>",
		"[x]: javascript:x\n\n[x]", "[a](<javascript:x>)", "[x](https://u:p@x.example)", "<style>p{}</style>", "<!-- x -->", "```html\n<script>\n```", "`<script>`", "[x](mailto:a@x.example?bcc=b@x.example)", `[x](https://x.example "onmouseover=x")`, "<svg><style><img src=x onerror=x>", "&lt;script&gt;", "<iframe src=https://x.example>", "<form action=https://x.example><input>", "<p style=\"background:url(x)\">x",
	} {
		got, err := markdown(src)
		if err != nil {
			if ruleOf(err) == "" {
				t.Errorf("%q: %v", src, err)
			}
			continue
		}
		for _, tag := range tagsOf(got) {
			if !slices.Contains([]string{"p", "pre", "code", "a", "a href", "a rel"}, tag) {
				t.Errorf("%q: %s in %q", src, tag, got)
			}
		}
		if strings.Contains(got, `href="`) && !strings.Contains(got, `href="https://x.example"`) {
			t.Errorf("%q: %q", src, got)
		}
	}
	for _, src := range []string{"a\u202eb", "a\x00b", "a\xffb", "[x\u200b](https://x.example)", "&#x202e;", strings.Repeat("x", maxMarkdown+1)} {
		if got, err := markdown(src); err == nil {
			t.Errorf("%.20q is not refused: %q", src, got)
		}
	}
}

// What takes a converter the longest is bounded by its length, and a table by its width:
// 60 KB of one made 720 MB of HTML, in minutes.
func TestMarkdownWorst(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{"brackets": "[", "pictures": "![", "links": "[a](", "emphasis": "*a_", "stars": "**a ", "code": "`a``", "quotes": "> ", "lists": "- ", "tables": "|", "angles": "<", "entities": "&", "references": "[a]:\n", "escapes": `\`, "strikes": "~~a"} {
		if _, err := markdown(strings.Repeat(unit, maxMarkdown/len(unit))); err != nil && ruleOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, columns := range []int{maxColumns, maxColumns + 1, 3000} {
		table := strings.Repeat("|a", columns-1) + "|\n" + strings.Repeat("|-", columns-1) + "|\n"
		if _, err := markdown(table + "|1|\n"); (err == nil) != (columns == maxColumns) {
			t.Errorf("%d columns: %v", columns, err)
		}
	}
	table := strings.Repeat("|a", maxColumns-1) + "|\n" + strings.Repeat("|-", maxColumns-1) + "|\n"
	if got, err := markdown(table + strings.Repeat("|\n", 8000)); ruleOf(err) != "markdown" {
		t.Errorf("a table of %d bytes, %v; want a refusal", len(got), err)
	}
}

func TestRisks(t *testing.T) {
	t.Parallel()
	for src, want := range map[string][]string{
		`<a href="https://shop.example/x">Your order</a>`:                              nil,
		`<a href="https://shop.example/x">shop.example</a>`:                            nil,
		`<a href="https://www.shop.example/x">https://shop.example/x</a>`:              nil,
		`<a href="mailto:help@shop.example">help@shop.example</a>`:                     nil,
		`<a href="https://evil.example/x">https://bank.example/login</a>`:              {`the link's text names "bank.example", and it leads to "evil.example"`},
		`<a href="https://evil.example"><b>bank</b><i>.example</i></a>`:                {`the link's text names "bank.example", and it leads to "evil.example"`},
		`<a href="https://bank.example.evil.example">bank.example</a>`:                 {`the link's text names "bank.example", and it leads to "bank.example.evil.example"`},
		`<a href="mailto:x@evil.example">help@bank.example</a>`:                        {`the link's text names "bank.example", and it leads to "evil.example"`},
		`<a href="https://bank.example@evil.example">x</a>`:                            {`a link has something before the @ that is not where it leads: "evil.example"`},
		`<a href="https://192.0.2.1/">x</a>`:                                           {`a link leads to a number: "192.0.2.1"`},
		`<a href="https://xn--80ak6aa92e.com">x</a>`:                                   {`a link leads to a name that can look like another: "xn--80ak6aa92e.com"`},
		`<a href="https://аррӏе.com">x</a>`:                                            {`a link leads to a name that can look like another: "\u0430\u0440\u0440\u04cf\u0435.com"`},
		`<a href="https://evil.example">bank.example`:                                  {`the link's text names "bank.example", and it leads to "evil.example"`},
		`<p style="display: none">x</p>`:                                               {"p has a style that can hide text"},
		`<span style="font-size:0">x</span>`:                                           {"span has a style that can hide text"},
		`<img src="https://x.example/p.gif"><img src="cid:x">`:                         {`a picture is loaded from "x.example"`},
		`<a href="https://evil.example">a` + "\n\"bank.example ignore</a>":             {`the link's text names "bank.example", and it leads to "evil.example"`},
		`<a href="https://evil.example">bank.example<a href="https://x.example">y</a>`: {`the link's text names "bank.example", and it leads to "evil.example"`},
	} {
		if got := risks(src); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", src, got, want)
		}
	}
	if got := risks(strings.Repeat(`<p style="display:none">`, 1000)); len(got) != maxRisks {
		t.Errorf("%d risks", len(got))
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add("[x](https://shop.example) ![x](https://x.example) <script>")
	f.Add("| a |\n|-|\n| <b> |")
	f.Fuzz(func(t *testing.T, src string) {
		out, err := markdown(src)
		if err != nil {
			return
		}
		for _, tag := range tagsOf(out) {
			if strings.HasPrefix(tag, "img") || strings.Contains(tag, " on") || strings.HasSuffix(tag, " style") || strings.HasSuffix(tag, " src") {
				t.Fatalf("%s in %q", tag, out)
			}
		}
		again, err := domains(nil).checkHTML(out)
		if err != nil || again != out {
			t.Fatalf("%q becomes %q, %v", out, again, err)
		}
		risks(out)
		risks(src)
	})
}
