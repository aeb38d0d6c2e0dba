package mailtool

import (
	"slices"
	"strings"
	"testing"
)

// markdown is SetMarkdown as a function.
func markdown(src string) (string, error) {
	m := Message{Text: "old", HTML: "old"}
	err := m.SetMarkdown(src)
	if err != nil && (m.Text != "old" || m.HTML != "old") || err == nil && m.Text != src {
		panic("Text and HTML are set by halves")
	}
	return m.HTML, err
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"Dear *Anna*, **1** ~~2~~":             "<p>Dear <em>Anna</em>, <strong>1</strong> <del>2</del></p>\n",
		"[shop](https://shop.example/a?b=c&d)": `<p><a href="https://shop.example/a?b=c&amp;d">shop</a></p>` + "\n",
		"<help@shop.example>":                  `<p><a href="mailto:help@shop.example">help@shop.example</a></p>` + "\n",
		"# T\n\n- a\n- b":                      "<h1>T</h1>\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n",
		"|a|b|\n|:-|-:|\n|1|2|":                "<table>\n<thead>\n<tr>\n<th style=\"text-align:left\">a</th>\n<th style=\"text-align:right\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td style=\"text-align:left\">1</td>\n<td style=\"text-align:right\">2</td>\n</tr>\n</tbody>\n</table>\n",
		"3. x":                                 "<ol start=\"3\">\n<li>x</li>\n</ol>\n",
		"a < b & c":                            "<p>a &lt; b &amp; c</p>\n",
	} {
		if got, err := markdown(src); got != want || err != nil {
			t.Errorf("%q:\n%q, %v; want\n%q", src, got, err, want)
		}
	}
	for _, src := range []string{
		"<script>alert(1)</script>", "<img src=https://x.example onerror=x>", "![x](https://x.example/p.gif)", "![x](data:image/png,x)", "[x](javascript:alert(1))", "[x](JaVaScript&colon;alert(1))", "[x](data:text/html,x)", "[x](http://x.example)", "[x](//x.example)", "[x](/x)", "[x](vbscript:x)", "[x](file:///etc)", "<javascript:x>", "<a href=javascript:x>x</a>",
		"[x]: javascript:x\n\n[x]", "[a](<javascript:x>)", "[x](https://u:p@x.example)", "<style>p{}</style>", "<!-- x -->", "```html\n<script>\n```", "`<script>`", "[x](mailto:a@x.example?bcc=b@x.example)", "<svg><style><img src=x onerror=x>", "&lt;script&gt;", "<iframe src=https://x.example>", "<form action=https://x.example><input>", "<p style=\"background:url(x)\">x",
	} {
		got, err := markdown(src)
		if ruleOf(err) != "html" && !slices.Contains([]string{"```html\n<script>\n```", "`<script>`", "&lt;script&gt;", "[x]: javascript:x\n\n[y]"}, src) {
			t.Errorf("%q: %q, %v; want a refusal", src, got, err)
		}
		for _, tag := range tagsOf(got) {
			if err == nil && !slices.Contains([]string{"p", "pre", "code", "code class"}, tag) {
				t.Errorf("%q: %s in %q", src, tag, got)
			}
		}
	}
	for _, src := range []string{"a\u202eb", "a\x00b", "a\xffb", "[x\u200b](https://x.example)", strings.Repeat("x", maxMarkdown+1)} {
		if got, err := markdown(src); err == nil {
			t.Errorf("%.20q is not refused: %q", src, got)
		}
	}
}

// What takes a converter the longest is bounded by its length, and a table by its width:
// 60 KB of one made 720 MB of HTML, in minutes.
func TestMarkdownWorst(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{"links": "[a](", "emphasis": "*a_", "quotes": "> ", "references": "[a]: x\n"} {
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
		again, err := readHTML(out)
		if err != nil || again.html != out {
			t.Fatalf("%q becomes %q, %v", out, again.html, err)
		}
	})
}
