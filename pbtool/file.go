package pbtool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A fileRef names a file of a record's.
type fileRef struct {
	Collection string `json:"collection" validate:"required,max=100"`
	ID         string `json:"id" validate:"required,max=100"`
	Field      string `json:"field" validate:"required,max=100"`
	File       string `json:"file" validate:"max=255"`
}

var (
	errNoFile     = &mcpsec.Error{Message: "the field holds no such file", Rule: "file"}
	errWhichFile  = &mcpsec.Error{Message: "the field holds several files: name one of them in file", Rule: "file"}
	errFileField  = &mcpsec.Error{Message: "the field holds no files, or may not be read", Rule: "file"}
	errFileTooBig = func(most int) error {
		return &mcpsec.Error{Message: fmt.Sprintf("the file has more than %d bytes", most), Rule: "size"}
	}
)

// file returns the name of a file that the caller may see: it stands in a field of
// a record that the view rule shows the caller. PocketBase itself asks no more of a
// public file than its name.
func (c *Client) file(ctx context.Context, ref fileRef) (*Collection, string, error) {
	k, err := c.collection(ref.Collection)
	if err != nil {
		return nil, "", err
	}
	if !fieldName().MatchString(ref.Field) || !k.shows(ref.Field) {
		return nil, "", denied("the field may not be read, or there is none of that name")
	}
	names, _, err := c.filesOf(ctx, k, ref.ID, ref.Field)
	switch {
	case err != nil:
		return nil, "", err
	case ref.File == "" && len(names) > 1:
		return nil, "", errWhichFile
	case ref.File == "" && len(names) == 1:
		return k, names[0], nil
	case !slices.Contains(names, ref.File):
		return nil, "", errNoFile
	}
	return k, ref.File, nil
}

// filesOf returns the names that a field holds, and whether it may hold several.
func (c *Client) filesOf(ctx context.Context, k *Collection, id, field string) (names []string, several bool, err error) {
	r, err := c.fields(ctx, k, id)
	if err != nil {
		return nil, false, err
	}
	var one string
	switch raw := r[field]; {
	case json.Unmarshal(raw, &one) == nil && one == "":
		return nil, false, nil
	case json.Unmarshal(raw, &one) == nil:
		names = []string{one}
	case json.Unmarshal(raw, &names) == nil:
		several = true
	default:
		return nil, false, errFileField
	}
	if slices.ContainsFunc(names, func(n string) bool { return !segmentName().MatchString(n) }) {
		return nil, false, errFileField
	}
	return names, several, nil
}

// A fileField is what is known of a field of type file.
type fileField struct {
	known     bool // a superuser has looked
	protected bool
	maxSize   int
	mimeTypes []string
}

// fileField looks a field up, where there is a superuser to do it. Without, it is
// PocketBase alone that checks.
func (c *Client) fileField(ctx context.Context, k *Collection, name string) (fileField, error) {
	if c.super == nil {
		return fileField{}, nil
	}
	s, err := c.schema(ctx, k.Name)
	if err != nil {
		return fileField{}, err
	}
	for _, f := range s.Fields {
		if f["name"] != name || f["type"] != "file" {
			continue
		}
		out := fileField{known: true}
		out.protected, _ = f["protected"].(bool)
		size, _ := f["maxSize"].(float64)
		out.maxSize = int(size)
		types, _ := f["mimeTypes"].([]any)
		for _, t := range types {
			if s, ok := t.(string); ok {
				out.mimeTypes = append(out.mimeTypes, s)
			}
		}
		return out, nil
	}
	return fileField{}, errFileField
}

// takes refuses a content by its size and by what it is, whatever its name says.
func (f fileField) takes(name string, data []byte) error {
	kind := sniff(data)
	bare, _, _ := strings.Cut(kind, ";")
	switch {
	case f.maxSize > 0 && len(data) > f.maxSize:
		return errFileTooBig(f.maxSize)
	case len(f.mimeTypes) > 0 && specific(bare) && !slices.Contains(f.mimeTypes, bare):
		return &mcpsec.Error{Message: "the content is " + bare + ", and the field takes " + strings.Join(f.mimeTypes, ", "), Rule: "file"}
	case active(name, bare) && !slices.Contains(f.mimeTypes, bare):
		return &mcpsec.Error{Message: "a web page, script or SVG would run in the browser of whoever opens it: the field must list its type", Rule: "file"}
	}
	return nil
}

// specific reports whether sniffing has told anything: PocketBase looks deeper than
// we do into what is text or an archive.
func specific(kind string) bool {
	return kind != "text/plain" && kind != "text/xml" && kind != "application/octet-stream" && kind != "application/zip" && kind != "application/x-gzip" && kind != "application/ogg"
}

var (
	svg         = lazy.Regexp(`(?i)<svg[\s>]`)
	activeNames = lazy.Regexp(`(?i)\.(html?|shtml|xhtml|xht|xml|xsl|svgz?|m?js|css|mht|mhtml|swf|hta|php\d?)$`)
)

func sniff(data []byte) string {
	kind := http.DetectContentType(data)
	if strings.HasPrefix(kind, "text/") && svg().Match(data[:min(len(data), 4096)]) {
		return "image/svg+xml"
	}
	return kind
}

func active(name, kind string) bool {
	return kind == "text/html" || kind == "image/svg+xml" || kind == "text/xml" || activeNames().MatchString(name)
}

var unsafeInName = lazy.Regexp(`[^A-Za-z0-9_.-]+`)

// cleanName makes a file's name of what a caller gives: no directories, no leading
// dots, ASCII only. PocketBase adds letters of its own.
func cleanName(s string) string {
	s = path.Base(strings.ReplaceAll(s, `\`, "/"))
	s = strings.TrimLeft(unsafeInName().ReplaceAllString(s, "_"), "._-")
	if ext := path.Ext(s); len(s) > 100 {
		ext = ext[:min(len(ext), 10)]
		s = s[:100-len(ext)] + ext
	}
	return or2(strings.TrimRight(s, "."), "file")
}

// An attachment is a file for a field, whose name may have a + behind it.
type attachment struct {
	field, name string
	content     []byte
}

// form writes an upload: files, and data that is JSON.
func form(data any, files ...attachment) (body []byte, mime string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, "", err
	}
	if err := w.WriteField("@jsonPayload", string(raw)); err != nil {
		return nil, "", err
	}
	for _, f := range files {
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="` + f.field + `"; filename="` + f.name + `"`}, // both have the form of names
			"Content-Type":        {"application/octet-stream"},
		})
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(f.content); err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// content fetches a file. One that is protected needs a file token, which is got
// for this request and goes nowhere else.
func (c *Client) content(ctx context.Context, k *Collection, ref fileRef, name, thumb string) ([]byte, error) {
	rq := request{method: http.MethodGet, path: []string{"files", k.Name, ref.ID, name}, query: url.Values{}}
	if thumb != "" {
		rq.query.Set("thumb", thumb)
	}
	body, err := c.do(ctx, actor{}, rq)
	if !isStatus(err, http.StatusNotFound) {
		return body, err
	}
	as, asErr := c.caller(ctx)
	if asErr != nil {
		return nil, asErr
	}
	if as.token == nil {
		return nil, err
	}
	answer, err := c.do(ctx, as, request{method: http.MethodPost, path: []string{"files", "token"}})
	if err != nil {
		return nil, err
	}
	var said struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(answer, &said) != nil || said.Token == "" {
		return nil, errAnswer
	}
	rq.query.Set("token", said.Token)
	return c.do(ctx, actor{}, rq)
}

// asContent gives a file the form in which a model can look at it.
func asContent(uri string, data []byte) mcpsec.Content {
	kind := sniff(data)
	bare, _, _ := strings.Cut(kind, ";")
	switch {
	case strings.HasPrefix(kind, "text/") && utf8.Valid(data) && len(data) > 0:
		return mcpsec.Content{URI: uri, MIMEType: bare, Text: string(data)}
	case bare == "image/svg+xml" && utf8.Valid(data):
		return mcpsec.Content{URI: uri, MIMEType: bare, Text: string(data)}
	case strings.HasPrefix(kind, "image/"), strings.HasPrefix(kind, "audio/"):
		return mcpsec.Content{MIMEType: bare, Data: data}
	}
	if data == nil {
		data = []byte{}
	}
	return mcpsec.Content{URI: uri, MIMEType: bare, Data: data}
}
