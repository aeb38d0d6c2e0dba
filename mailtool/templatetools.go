package mailtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// TemplateTools returns mail_list_templates, mail_get_template, mail_validate_template
// and mail_render_template; and, with TemplateOptions.Dir, mail_create_template,
// mail_update_template and mail_delete_template, which a person confirms. A message that
// a changed template makes is another message: what is sent is confirmed as it is.
func TemplateTools(t *Templates) []*mcpsec.Tool {
	tools := []*mcpsec.Tool{
		mcpsec.NewTool(templateSpec("mail_list_templates", "List the mail templates, with the variables that each needs.", mcpsec.Read), t.list),
		mcpsec.NewTool(templateSpec("mail_get_template", "Get a mail template, and its revision.", mcpsec.Read), t.show),
		mcpsec.NewTool(templateSpec("mail_validate_template", "Tell whether a mail template could be stored. "+language, mcpsec.Read), t.validate),
		mcpsec.NewTool(templateSpec("mail_render_template", "Show what a template makes of values, and what a person should look at twice. Nothing is sent.", mcpsec.Read), t.preview),
	}
	if t.dir == nil {
		return tools
	}
	remove := templateSpec("mail_delete_template", "Delete a mail template at a revision. A person confirms it.", mcpsec.Destroy)
	remove.Guards = []mcpsec.Guard{mcpsec.Preview(t.deletion)}
	return append(tools,
		mcpsec.NewTool(templateSpec("mail_create_template", "Store a new mail template. "+language, mcpsec.Write), t.create),
		mcpsec.NewTool(templateSpec("mail_update_template", "Replace a mail template at a revision, as mail_get_template tells it.", mcpsec.Write), t.update),
		mcpsec.NewTool(remove, t.drop),
	)
}

const language = "Go templates with {{.name}}, if, with, range (inside: {{.}} and {{$.name}}), eq, ne, lt, le, gt, ge, and, or, not, len. HTML of text, tables, lists and links by https or mailto."

// templateSpec is what the tools have in common. Templates are what callers before have
// written.
func templateSpec(name, description string, effect mcpsec.Effect) mcpsec.ToolSpec {
	return mcpsec.ToolSpec{Name: name, Description: description, Effect: effect, Labels: mcpsec.Untrusted, Narrow: "use shorter values, or a template without html"}
}

type templateEntry struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Variables   []Variable `json:"variables"`
	Operator    bool       `json:"operator" jsonschema:"the operator's: no tool changes it"`
}

type templateList struct {
	Templates []templateEntry `json:"templates"`
	Damaged   int             `json:"damaged,omitzero" jsonschema:"files that cannot be read as templates"`
}

func (t *Templates) list(ctx context.Context, _ struct{}) (templateList, error) {
	out := templateList{Templates: []templateEntry{}}
	names, err := t.names()
	if err != nil {
		return out, fmt.Errorf("listing templates: %w", err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		tpl, fixed, err := t.get(name)
		if err != nil {
			mcpsec.Logger(ctx).WarnContext(ctx, "a template cannot be read", "template", name, "error", err)
			out.Damaged++
			continue
		}
		out.Templates = append(out.Templates, templateEntry{name, tpl.Description, append([]Variable{}, tpl.Variables...), fixed})
	}
	return out, nil
}

type templateArg struct {
	Name string `json:"name" validate:"required,max=64" mcpsec:"log"`
}

type templateOut struct {
	Template Template `json:"template"`
	Revision string   `json:"revision"`
	Operator bool     `json:"operator"`
}

func (t *Templates) show(_ context.Context, in templateArg) (templateOut, error) {
	tpl, fixed, err := t.get(in.Name)
	return templateOut{tpl, revision(tpl), fixed}, err
}

type validity struct {
	Valid   bool   `json:"valid"`
	Problem string `json:"problem,omitempty" jsonschema:"the first one"`
}

func (t *Templates) validate(ctx context.Context, in Template) (validity, error) {
	err := in.check(ctx, t.links)
	var e *mcpsec.Error
	if errors.As(err, &e) {
		return validity{Problem: e.Message}, nil
	}
	return validity{Valid: err == nil}, err
}

type renderIn struct {
	Name   string          `json:"name" validate:"required,max=64" mcpsec:"log"`
	Values json.RawMessage `json:"values,omitempty" mcpsec:"any" jsonschema:"an object with a value for each variable"`
}

type renderOut struct {
	Subject  string   `json:"subject"`
	Text     string   `json:"text"`
	HTML     string   `json:"html,omitempty"`
	Revision string   `json:"revision"`
	Risks    []string `json:"risks,omitempty" jsonschema:"what a person should look at twice"`
}

func (t *Templates) preview(ctx context.Context, in renderIn) (renderOut, error) {
	tpl, _, err := t.get(in.Name)
	if err != nil {
		return renderOut{}, err
	}
	m, err := t.render(ctx, tpl, in.Values)
	if err != nil {
		return renderOut{}, err
	}
	return renderOut{m.subject, m.text, m.html, revision(tpl), linkRisks(m.links)}, nil
}

type revisionOut struct {
	Revision string `json:"revision"`
}

func (t *Templates) create(ctx context.Context, in Template) (revisionOut, error) {
	return revisionOut{revision(in)}, t.put(ctx, in, "")
}

type updateIn struct {
	Revision string   `json:"revision" validate:"required,len=16"`
	Template Template `json:"template" validate:"required"`
}

func (t *Templates) update(ctx context.Context, in updateIn) (revisionOut, error) {
	return revisionOut{revision(in.Template)}, t.put(ctx, in.Template, in.Revision)
}

type deleteIn struct {
	Name     string `json:"name" validate:"required,max=64" mcpsec:"log"`
	Revision string `json:"revision" validate:"required,len=16"`
}

type deleteOut struct {
	Deleted bool `json:"deleted"`
}

func (t *Templates) deletion(_ context.Context, in deleteIn) (string, error) {
	tpl, err := t.changeable(in.Name, in.Revision)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("delete the mail template %q, whose subject is %q", tpl.Name, tpl.Subject), nil
}

func (t *Templates) drop(_ context.Context, in deleteIn) (deleteOut, error) {
	err := t.remove(in.Name, in.Revision)
	return deleteOut{err == nil}, err
}
