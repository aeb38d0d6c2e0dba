package mailtool

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// TemplateOptions configures [OpenTemplates]. Without FS and Dir there are no templates.
type TemplateOptions struct {
	// FS holds the operator's templates, which no tool changes: NAME.json is a
	// [Template], whose text and HTML may stand in NAME.txt and NAME.html instead.
	// Only files in its root are read, and once. Defaults to none.
	FS fs.FS
	// Dir is a directory for templates that tools make, change and delete. It must
	// be there, and be one process's to write to; what a change has replaced is kept
	// as NAME.old. Defaults to none: then there are no tools that change templates.
	Dir string
	// Links are the hosts that links may lead to, and the domains of mailto addresses:
	// "example.com", and "*.example.com" for those below it. Defaults to none: then
	// links may lead anywhere by https.
	Links []string
	// Max is how many templates Dir holds at most. Defaults to 200.
	Max int
}

// Templates are the operator's templates, and those that tools have made. It is safe for
// concurrent use.
type Templates struct {
	fixed map[string]Template
	dir   *os.Root // nil without
	links domains
	max   int
	mu    sync.Mutex // of changes
}

const maxTemplateFile = 4*maxSource + 64<<10

// OpenTemplates reads the operator's templates, or says what is wrong with one.
func OpenTemplates(o TemplateOptions) (*Templates, error) {
	t := &Templates{fixed: map[string]Template{}, links: slices.Clone(o.Links), max: cmp.Or(o.Max, 200)}
	if err := t.links.check(); err != nil {
		return nil, err
	}
	if t.max < 1 || t.max > 10_000 {
		return nil, errors.New("TemplateOptions.Max must be 1 to 10000")
	}
	if o.FS != nil {
		if err := t.load(o.FS); err != nil {
			return nil, err
		}
	}
	if o.Dir == "" {
		return t, nil
	}
	var err error
	if t.dir, err = os.OpenRoot(o.Dir); err != nil {
		return nil, fmt.Errorf("TemplateOptions.Dir: %w", err)
	}
	return t, nil
}

// Close closes the directory.
func (t *Templates) Close() error {
	if t.dir == nil {
		return nil
	}
	return t.dir.Close()
}

// Render makes the subject, the text and the HTML of a message from a template and
// values, one for each of its variables: string, int64 or int, bool, or []string. What
// it returns is one line of subject, and HTML whose elements and links have been checked.
func (t *Templates) Render(ctx context.Context, name string, values map[string]any) (Message, error) {
	raw, err := json.Marshal(values)
	if err != nil {
		return Message{}, fmt.Errorf("values: %w", err)
	}
	tpl, _, err := t.get(name)
	if err != nil {
		return Message{}, err
	}
	out, err := t.render(ctx, tpl, raw)
	return Message{Subject: out.subject, Text: out.text, HTML: out.html}, err
}

func (t *Templates) render(ctx context.Context, tpl Template, values []byte) (rendered, error) {
	bound, err := tpl.bind(values)
	if err != nil {
		return rendered{}, err
	}
	return tpl.render(ctx, t.links, bound)
}

// load reads the operator's templates.
func (t *Templates) load(fsys fs.FS) error {
	names, err := fs.Glob(fsys, "*.json")
	if err != nil {
		return fmt.Errorf("TemplateOptions.FS: %w", err)
	}
	for _, file := range names {
		name := strings.TrimSuffix(file, ".json")
		tpl, err := loadOne(fsys, name)
		if err == nil && tpl.Name != name {
			err = fmt.Errorf("its name is %q", tpl.Name)
		}
		if err == nil {
			err = tpl.check(context.Background(), t.links)
		}
		if err != nil {
			return fmt.Errorf("TemplateOptions.FS: template %s: %w", name, err)
		}
		t.fixed[name] = tpl
	}
	return nil
}

func loadOne(fsys fs.FS, name string) (Template, error) {
	var tpl Template
	b, err := fs.ReadFile(fsys, name+".json")
	if err != nil {
		return tpl, err
	}
	if err := decodeTemplate(b, &tpl); err != nil {
		return tpl, err
	}
	for ending, into := range map[string]*string{".txt": &tpl.Text, ".html": &tpl.HTML} {
		b, err := fs.ReadFile(fsys, name+ending)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return tpl, err
		case *into != "":
			return tpl, fmt.Errorf("%s stands in a file of its own, too", ending[1:])
		default:
			*into = strings.ReplaceAll(string(b), "\r\n", "\n")
		}
	}
	return tpl, nil
}

func decodeTemplate(b []byte, into *Template) error {
	return json.Unmarshal(b, into, json.RejectUnknownMembers(true))
}

func encodeTemplate(tpl Template) ([]byte, error) {
	return json.Marshal(tpl, jsontext.WithIndent("  "), json.Deterministic(true))
}

// revision names what a template says.
func revision(tpl Template) string {
	b, _ := encodeTemplate(tpl) // strings and numbers, of which each has an encoding
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

var errNoTemplate = wrong("template", "there is no template of that name, see mail_list_templates")

// get returns a template, and whether it is the operator's.
func (t *Templates) get(name string) (Template, bool, error) {
	if tpl, ok := t.fixed[name]; ok {
		return tpl, true, nil
	}
	if t.dir == nil || !templateName().MatchString(name) {
		return Template{}, false, errNoTemplate
	}
	b, err := t.read(name + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return Template{}, false, errNoTemplate
	}
	var tpl Template
	if err == nil {
		err = decodeTemplate(b, &tpl)
	}
	if err == nil && tpl.Name != name {
		err = errors.New("it has the name of another")
	}
	if err != nil {
		return Template{}, false, fmt.Errorf("template %s: %w", name, err)
	}
	return tpl, false, tpl.fit() // whoever has written it
}

// read reads a regular file: nothing that waits, and no link.
func (t *Templates) read(file string) ([]byte, error) {
	info, err := t.dir.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxTemplateFile {
		return nil, errors.New("not a regular file, or too large")
	}
	f, err := t.dir.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxTemplateFile))
}

// names lists all templates. What in the directory is none is left out.
func (t *Templates) names() ([]string, error) {
	var out []string
	for name := range t.fixed {
		out = append(out, name)
	}
	if t.dir != nil {
		d, err := t.dir.Open(".")
		if err != nil {
			return nil, err
		}
		defer d.Close()
		files, err := d.Readdirnames(-1)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if name, ok := strings.CutSuffix(file, ".json"); ok && templateName().MatchString(name) && t.fixed[name].Name == "" {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// write puts a file in place, all of it or nothing of it, also when the machine stops.
func (t *Templates) write(file string, b []byte) error {
	tmp := ".new-" + rand.Text()
	f, err := t.dir.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync())
	if err = errors.Join(err, f.Close()); err == nil {
		err = t.dir.Rename(tmp, file)
	}
	if err != nil {
		return errors.Join(err, t.dir.Remove(tmp))
	}
	return t.sync()
}

// sync makes names durable, where a directory can be synced.
func (t *Templates) sync() error {
	d, err := t.dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}

// put stores a template: a new one if was is empty, or in place of the one that has the
// revision was.
func (t *Templates) put(ctx context.Context, tpl Template, was string) error {
	if err := tpl.check(ctx, t.links); err != nil {
		return err
	}
	b, err := encodeTemplate(tpl)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if was == "" {
		if err := t.room(tpl.Name); err != nil {
			return err
		}
		return t.write(tpl.Name+".json", b)
	}
	old, err := t.changeable(tpl.Name, was)
	if err != nil {
		return err
	}
	if err := t.keep(old); err != nil {
		return err
	}
	return t.write(tpl.Name+".json", b)
}

// room says why there can be no new template of a name.
func (t *Templates) room(name string) error {
	names, err := t.names()
	switch {
	case err != nil:
		return err
	case slices.Contains(names, name):
		return wrong("template", "there is a template of that name: use mail_update_template, or another name")
	case len(names)-len(t.fixed) >= t.max:
		return wrong("template", "there are %d templates, which is as many as there may be", t.max)
	}
	return nil
}

// changeable returns a template that tools may change, if it is at a revision.
func (t *Templates) changeable(name, was string) (Template, error) {
	tpl, fixed, err := t.get(name)
	switch {
	case err != nil:
		return tpl, err
	case fixed:
		return tpl, wrong("template", "the template is the operator's, and no tool changes it")
	case revision(tpl) != was:
		return tpl, wrong("template", "the template has another revision: get it again, and change that")
	}
	return tpl, nil
}

// keep stores what is replaced or deleted.
func (t *Templates) keep(tpl Template) error {
	b, err := encodeTemplate(tpl)
	if err != nil {
		return err
	}
	return t.write(tpl.Name+".old", b)
}

func (t *Templates) remove(name, was string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, err := t.changeable(name, was)
	if err != nil {
		return err
	}
	if err := t.keep(old); err != nil {
		return err
	}
	if err := t.dir.Remove(name + ".json"); err != nil {
		return err
	}
	return t.sync()
}
