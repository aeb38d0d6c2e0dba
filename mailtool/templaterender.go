package mailtool

import (
	"context"
	"errors"
	htmltemplate "html/template"
	"io"
	"strings"
	texttemplate "text/template"
	"text/template/parse"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// rendered is what a template and its values make.
type rendered struct {
	subject, text, html string
	links               []link // of the HTML
}

// render makes a mail's parts. What it returns has been checked: the subject is one
// line, and the HTML and its links are of what a mail may hold.
func (t Template) render(ctx context.Context, links domains, values map[string]any) (rendered, error) {
	subject, err := t.part(ctx, "subject", t.Subject, values, false)
	if err != nil {
		return rendered{}, err
	}
	if subject, err = headerText(subject); err != nil {
		return rendered{}, err
	}
	out, err := t.bodies(ctx, links, values)
	out.subject = subject
	return out, err
}

// bodies makes the text and the HTML. A literal in a template can spell what the
// template's own text must not hold, so the output is looked at.
func (t Template) bodies(ctx context.Context, links domains, values map[string]any) (rendered, error) {
	var out rendered
	var err error
	if out.text, err = t.part(ctx, "text", t.Text, values, false); err != nil {
		return out, err
	}
	made, err := t.part(ctx, "html", t.HTML, values, true)
	if err != nil {
		return out, err
	}
	if !cleanLines(out.text) || !cleanLines(made) {
		return out, wrong("template", "the text or html that it makes holds invisible, bidirectional or control characters")
	}
	if err := links.checkText(out.text); err != nil {
		return out, err
	}
	doc, err := links.checkHTML(made)
	out.html, out.links = doc.html, doc.links
	return out, err
}

// check tells what is wrong with a template, by its language and by what it makes of
// values: of all of them, and of none of those that may be missing.
func (t Template) check(ctx context.Context, links domains) error {
	if err := t.fit(); err != nil {
		return err
	}
	full, least := t.samples(links)
	if _, err := t.render(ctx, links, full); err != nil {
		return err
	}
	_, err := t.render(ctx, links, least)
	return err
}

var mailtoValue = lazy.Regexp(`(?i)mailto:\{\{-?\s*\$?\.([a-z0-9_]+)`)

// samples are values that may stand in a link, too.
func (t Template) samples(links domains) (full, least map[string]any) {
	host := "example.com"
	if len(links) > 0 {
		host = strings.Replace(links[0], "*", "www", 1)
	}
	full, least = map[string]any{}, map[string]any{}
	for _, v := range t.Variables {
		switch v.Type {
		case "text":
			full[v.Name], least[v.Name] = "https://"+host+"/", ""
		case "number":
			full[v.Name], least[v.Name] = int64(1), int64(0)
		case "flag":
			full[v.Name], least[v.Name] = true, false
		case "list":
			full[v.Name], least[v.Name] = []string{"x"}, []string(nil)
		}
	}
	for _, m := range mailtoValue().FindAllStringSubmatch(t.HTML, -1) {
		if _, ok := full[m[1]]; ok {
			full[m[1]] = "ann@" + host
		}
	}
	for _, v := range t.Variables {
		if v.Type == "text" && !v.Optional {
			least[v.Name] = full[v.Name]
		}
	}
	return full, least
}

// part runs one of a template's sources: the very tree that was checked, within bounds
// of work and of output.
func (t Template) part(ctx context.Context, what, src string, values map[string]any, html bool) (string, error) {
	tree, err := t.parse(what, src)
	if err != nil {
		return "", err
	}
	if work(tree.Root, values) > maxWork {
		return "", wrong("template", "%s: too much work: lists within lists, or too long ones", what)
	}
	w := &bounded{ctx: ctx, left: maxRendered}
	if html {
		var tmpl *htmltemplate.Template
		if tmpl, err = htmltemplate.New(what).Option("missingkey=error").AddParseTree(what, tree); err == nil {
			err = tmpl.Execute(w, values)
		}
	} else {
		var tmpl *texttemplate.Template
		if tmpl, err = texttemplate.New(what).Option("missingkey=error").AddParseTree(what, tree); err == nil {
			err = tmpl.Execute(w, values)
		}
	}
	switch {
	case err == nil:
		return w.b.String(), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, errTooLong):
		return "", wrong("template", "%s: what it makes is longer than %d bytes", what, maxRendered)
	}
	return "", &mcpsec.Error{Message: what + line(err) + ": cannot be carried out with these values, or not be escaped there", Rule: "template", Err: err}
}

// parse reads a source and refuses what of the language is not for mails.
func (t Template) parse(what, src string) (*parse.Tree, error) {
	trees, err := parse.Parse(what, src, "{{", "}}", functions)
	if err != nil {
		return nil, &mcpsec.Error{Message: what + line(err) + ": cannot be read: there are {{.name}}, if, with, range, eq, ne, lt, le, gt, ge, and, or, not and len", Rule: "template", Err: err}
	}
	tree := trees[what]
	if len(trees) != 1 || tree == nil {
		return nil, wrong("template", "%s: define and block are not for mails", what)
	}
	c := checker{what: what, tree: tree, vars: map[string]string{}}
	for _, v := range t.Variables {
		c.vars[v.Name] = v.Type
	}
	return tree, c.list(tree.Root, scope{root: true})
}

var lineNumber = lazy.Regexp(`^(?:html/)?template: ?[a-z]+:([0-9]{1,6})`)

// line is what may be told of an error of the template packages: where it is.
func line(err error) string {
	if m := lineNumber().FindStringSubmatch(err.Error()); m != nil {
		return ", line " + m[1]
	}
	return ""
}

var errTooLong = errors.New("the output is too long")

// bounded is a writer that has an end, and that ends with its context.
type bounded struct {
	ctx  context.Context
	b    strings.Builder
	left int
}

var _ io.Writer = (*bounded)(nil)

func (w *bounded) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	if w.left -= len(p); w.left < 0 {
		return 0, errTooLong
	}
	return w.b.Write(p)
}
