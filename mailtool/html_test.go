package mailtool

import (
	"strings"
	"testing"
)

// The person reads the text of HTML, and nothing in it may be shown to the recipient in
// another way, elsewhere, or not at all.
func TestHTMLHidesNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`<p style="color:#333; background-color: #FFF; padding: 4px 0">x</p>`, `<span style="font-family: 'Segoe UI', Arial, sans-serif;font-size:12pt">x</span>`, `<td bgcolor=white><font color=navy size=2 face="Arial">x</font>`,
		`<table border="0" width="100%" style="border-collapse:collapse;border:1px solid #ccc"><tr><td align=right>1<td>2</table>`, `<ul><li>a<li><b>b</b></ul><p>c<br>d`, `<p lang="de-AT" dir="rtl">x`, `<small>x</small><sub>x</sub>`, `<h1>a</h1><h2>b</h2>`,
		`<b>a<br>b</b>`, `<p style="">x`,
		`<div style="font-family: -apple-system, BlinkMacSystemFont, 'Helvetica Neue', sans-serif; max-width:600px; margin: 0 auto; padding:20px; background-color:#f4f4f4; line-height:1.6; border-radius:5px"><p style="font-size:12px;color:#888">x`, `<ol start=3><li>x</ol>`,
	} {
		if _, err := readHTML(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	styles := []string{
		"display:none", "visibility:hidden", "opacity:0", "font-size:0", "font-size:1px", "font-size:.1em", "font-size:1%", "color:#fff", "color:#FFFFFE", "color:white", "color:transparent", "color:rgba(0,0,0,0)", "color:#0000", "color:inherit", "color:#ggg",
		"background:#000", "background-color:black", "background:linear-gradient(red,red)", "text-indent:-9999px", "margin-left:-9999px", "margin:0 0 0 -999em", "padding-left:9999px", "position:absolute;left:-9999px", "max-height:0;overflow:hidden", "height:0", "overflow:hidden",
		"line-height:0", "line-height:1px", "letter-spacing:-1em", "word-spacing:-9em", "mso-hide:all", "float:left", "clip:rect(0,0,0,0)", "transform:scale(0)", "zoom:0", "direction:rtl;unicode-bidi:bidi-override", "text-decoration:line-through", "font-family:wingdings",
		"font:0/0 a", "white-space:nowrap", "content:'x'", "-webkit-text-security:disc", "color:#333;/**/display:none", `color:#333;d\69splay:none`, "color", "DISPLAY:NONE", "filter:blur(9px)", "all:unset", "width:0;overflow:hidden", "color:#333 !important", "--x:1", "text-align:left;x",
	}
	// What covers the line above, or what stands beside it.
	for _, s := range []string{"padding:99px 0;background:#fff", "padding:9px", "border:99px solid #fff", "background:#fff", "display:inline-block;width:0px", "margin:1px", "width:100px", "line-height:1.5"} {
		if style(s, true) {
			t.Errorf("%s: allowed within a line", s)
		}
	}
	for _, s := range []string{"width:0px", "width:10px", "width:50%", "max-width:9px", "line-height:1", "line-height:1.1", "line-height:120%", "line-height:12px", "display:inline-block", "display:block", "font-size:9px", "font-size:8pt"} {
		if style(s, false) {
			t.Errorf("%s: allowed", s)
		}
	}
	var html []string
	for _, s := range styles {
		html = append(html, `<span style="`+s+`">not</span>`)
	}
	for _, s := range append(html,
		`<font color=white>x</font>`, `<font color="#fefefe">x</font>`, `<td bgcolor="#000">x`, `<font color=fff>x</font>`, `<font face="Webdings">x</font>`, `<font size="0">x</font>`, `<p lang="all that was read, in here">x`, `<p align="what nobody reads">x`, `<table width="secret">`, `<p role="secret words">x`,
		"<small><small>x</small></small>", "<sub><sup>x</sup></sub>", "<td rowspan=2>x", "<mark>x</mark>", "<table cellpadding=999>", "<td height=9999>x", "a"+strings.Repeat("<br>&nbsp;", 100)+"b", "a"+strings.Repeat("<p>\n</p>", 50)+"b", "<h6><div><h6>x</h6></div></h6>", strings.Repeat("<b>", 21)+"x"+strings.Repeat("</b>", 21),
		"<table><tr><td>not</td></tr>Do</table>", "<table><tr><td>x</td>not</tr></table>", "<b><i>x</b></i>", "<b>x", "x</b>", "<p><b>x</p></b>", "<b><p>x</p></b>", "<a href='https://a.example'><table><tr><td></a>bank.example</table>",
		"<a href='https://a.example'>x<a href='https://b.example'>y</a></a>", "<a href='https://a.example'>x", "<b/>x", strings.Repeat("<div>", 600)+"x",
	) {
		if d, err := readHTML(s); err == nil {
			t.Errorf("%.80s: became %.80s", s, d.html)
		}
	}
}

// What is read aloud to the person has what is struck out as such, what the mouse
// shows, and the links that readers make by themselves.
func TestHTMLShown(t *testing.T) {
	t.Parallel()
	d, err := readHTML(`<p class="all that was read">Do <del>not</del> pay <abbr title="not">x</abbr> www.evil.example <a href="https://a.example">b.example</a></p>`)
	if err != nil || oneLine(d.text) != "Do [struck out: not] pay [title: not] x www.evil.example b.example" || strings.Contains(d.html, "class") {
		t.Errorf("got %q, %q, %v", d.text, d.html, err)
	}
	if len(d.links) != 2 || d.links[0].host != "a.example" || !d.links[0].odd || d.links[1].host != "www.evil.example" {
		t.Errorf("got %+v", d.links)
	}
	if d, err := readHTML("<a href='https://a.example'>bank\u3002example</a>"); err != nil || !d.links[0].odd {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := readHTML(strings.Repeat("https://a.example ", maxLinks+1)); err == nil {
		t.Error("more links than a person is shown")
	}
}

// Markup that readers open again in each paragraph, which makes gigabytes of one
// megabyte, and markup that is nested without end, are refused before they are parsed.
func TestHTMLWorst(t *testing.T) {
	t.Parallel()
	for s, allow := range map[string]bool{
		strings.Repeat("<font size=1>", 19) + strings.Repeat("<p>x", 100_000): false, strings.Repeat("<p><b>x", 50_000): false, strings.Repeat("<div>", 50_000): false, strings.Repeat("<table><tr><td>", 20_000): false,
		"<p " + strings.Repeat("a=b ", 50_000) + ">": false, strings.Repeat("<li>x", 20_000): true, "<p style=\"" + strings.Repeat("color:#333;", 20_000) + "\">": true,
	} {
		if _, err := readHTML(s); (err == nil) != allow {
			t.Errorf("%.20s: got %v", s, err)
		}
	}
}
