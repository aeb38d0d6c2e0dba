package pbtool

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// FileTools returns the tools for files in records, with the rights of the caller's
// user: pb_get_file, pb_file_url, pb_upload_file and pb_delete_file, the last two
// only if Options.Collections lists a collection with fields to write.
//
// A file is had only of a record that the caller may view, of a field that may be
// read, also where PocketBase would give it to anyone who knows its name. Protected
// files are fetched with a file token that is in no result, log or record. What is
// uploaded has at most Options.MaxFile bytes, is what the field takes by its content
// (with Options.Superuser; without, PocketBase alone looks), and replaces nothing
// unless Options.Overwrite is mcpsec.Write; web pages, scripts and SVG go into fields
// only that list their type. Deleting a file asks a person.
func FileTools(c *Client) []*mcpsec.Tool {
	tools := []*mcpsec.Tool{getFileTool(c), fileURLTool(c)}
	for _, k := range c.known {
		if mayWrite(k) {
			return append(tools, uploadTool(c), deleteFileTool(c))
		}
	}
	return tools
}

const (
	fieldProperty = `"field":{"type":"string"}`
	fileProperty  = `"file":{"type":"string"}`
	thumbProperty = `"thumb":{"type":"string","description":"of an image: 100x100 or a size of the field's"}`
)

type getFileIn struct {
	fileRef
	Thumb string `json:"thumb" validate:"max=12"`
}

var thumbSize = lazy.Regexp(`^[0-9]{1,4}x[0-9]{1,4}[tbf]?$`)

func (in getFileIn) check() error {
	if in.Thumb != "" && !thumbSize().MatchString(in.Thumb) {
		return badArgument(errors.New("thumb is a size, as in 100x100"))
	}
	return nil
}

func getFileTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_get_file", fmt.Sprintf("Get a file of a record, also a protected one, or the thumb of an image; file is needed if the field has several. At most %d bytes.", c.o.MaxFile), mcpsec.Read)
	spec.InputSchema = schemaOf(`"collection","id","field"`, collectionProperty, idProperty, fieldProperty, fileProperty, thumbProperty)
	spec.MaxResult, spec.Narrow = c.o.MaxFile/3*4+16<<10, "ask for a thumb"
	return mcpsec.NewTool(spec, func(ctx context.Context, in getFileIn) (mcpsec.Content, error) {
		if err := in.check(); err != nil {
			return mcpsec.Content{}, err
		}
		k, name, err := c.file(ctx, in.fileRef)
		if err != nil {
			return mcpsec.Content{}, err
		}
		data, err := c.content(ctx, k, in.fileRef, name, in.Thumb)
		switch {
		case err != nil:
			return mcpsec.Content{}, err
		case len(data) > c.o.MaxFile:
			return mcpsec.Content{}, errFileTooBig(c.o.MaxFile)
		}
		return asContent("pb://file/"+k.Name+"/"+in.ID+"/"+name, data), nil
	})
}

type fileURLOut struct {
	URL       string `json:"url"`
	Protected bool   `json:"protected"`
}

func fileURLTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_file_url", "Tell the URL of a record's file, for a person. It opens no protected file; pb_get_file does.", mcpsec.Read)
	spec.InputSchema = schemaOf(`"collection","id","field"`, collectionProperty, idProperty, fieldProperty, fileProperty, `"thumb":{"type":"string"}`)
	return mcpsec.NewTool(spec, func(ctx context.Context, in getFileIn) (fileURLOut, error) {
		if err := in.check(); err != nil {
			return fileURLOut{}, err
		}
		k, name, err := c.file(ctx, in.fileRef)
		if err != nil {
			return fileURLOut{}, err
		}
		f, err := c.fileField(ctx, k, in.Field)
		if err != nil {
			return fileURLOut{}, err
		}
		rq := request{path: []string{"files", k.Name, in.ID, name}}
		if in.Thumb != "" {
			rq.query = url.Values{"thumb": {in.Thumb}}
		}
		to, err := c.target(rq)
		return fileURLOut{to, f.protected}, err
	})
}

type uploadIn struct {
	Collection string `json:"collection" validate:"required,max=100"`
	ID         string `json:"id" validate:"max=100"`
	Field      string `json:"field" validate:"required,max=100"`
	Name       string `json:"name" validate:"required,max=255"`
	Content    string `json:"content" validate:"required,max=6000000"`
	Data       values `json:"data" validate:"max=100,dive,keys,max=100,endkeys" mcpsec:"any"`
}

type uploadOut struct {
	ID    string   `json:"id"`
	Files []string `json:"files"`
}

func uploadTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_upload_file", fmt.Sprintf("Add a file to a field of a record, or without id to a new record with data. At most %d bytes. It replaces no file: delete that first.%s", c.o.MaxFile, c.collections(mayWrite)), mcpsec.Write)
	spec.InputSchema = schemaOf(`"collection","field","name","content"`, collectionProperty, idProperty, fieldProperty, `"name":{"type":"string"}`,
		`"content":{"type":"string","description":"base64"}`, `"data":{`+dataDescription+`}`)
	return mcpsec.NewTool(spec, c.upload)
}

// upload checks everything before it sends anything.
func (c *Client) upload(ctx context.Context, in uploadIn) (uploadOut, error) {
	k, err := c.writable(in.Collection)
	if err != nil {
		return uploadOut{}, err
	}
	if err := k.settable(values{in.Field: nil}); err != nil {
		return uploadOut{}, err
	}
	if err := k.settable(in.Data); err != nil {
		return uploadOut{}, err
	}
	data, err := base64.StdEncoding.Strict().DecodeString(in.Content)
	name := cleanName(in.Name)
	switch {
	case err != nil || len(data) == 0:
		return uploadOut{}, badArgument(errors.New("content must be base64 of at least one byte"))
	case len(data) > c.o.MaxFile:
		return uploadOut{}, errFileTooBig(c.o.MaxFile)
	}
	f, err := c.fileField(ctx, k, in.Field)
	if err != nil {
		return uploadOut{}, err
	}
	if err := f.takes(name, data); err != nil {
		return uploadOut{}, err
	}
	o, err := c.uploadOp(ctx, k, in)
	if err != nil {
		return uploadOut{}, err
	}
	o.file = &attachment{in.Field, name, data}
	if o.method == http.MethodPatch {
		o.file.field += "+"
	}
	return c.uploaded(ctx, o, in.Field)
}

// uploadOp says where a file goes, unless something is there that would be lost.
func (c *Client) uploadOp(ctx context.Context, k *Collection, in uploadIn) (op, error) {
	if in.ID == "" {
		return op{method: http.MethodPost, k: k, data: in.Data}, nil
	}
	if !recordID().MatchString(in.ID) {
		return op{}, badArgument(errID)
	}
	if len(in.Data) > 0 {
		return op{}, badArgument(errors.New("data is for a new record: pb_update_record changes one"))
	}
	names, several, err := c.filesOf(ctx, k, in.ID, in.Field)
	if err != nil {
		return op{}, err
	}
	if len(names) > 0 && !several && c.o.Overwrite == mcpsec.Destroy {
		return op{}, &mcpsec.Error{Message: "the field has a file already: delete it first with pb_delete_file", Rule: "file"}
	}
	return op{method: http.MethodPatch, k: k, id: in.ID}, nil
}

func (c *Client) uploaded(ctx context.Context, o op, field string) (uploadOut, error) {
	body, err := c.change(ctx, o, url.Values{"fields": {"id," + field}})
	if err != nil {
		return uploadOut{}, err
	}
	var r values
	if json.Unmarshal(body, &r) != nil {
		return uploadOut{Files: []string{}}, nil // what was done must not look as if it had failed
	}
	out := uploadOut{Files: []string{}}
	_ = json.Unmarshal(r["id"], &out.ID)
	var one string
	if json.Unmarshal(r[field], &one) == nil && one != "" {
		out.Files = append(out.Files, one)
	} else {
		_ = json.Unmarshal(r[field], &out.Files)
	}
	return out, nil
}

func deleteFileTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_delete_file", "Delete a file of a record; the record stays.", mcpsec.Destroy)
	spec.InputSchema = schemaOf(`"collection","id","field"`, collectionProperty, idProperty, fieldProperty, fileProperty)
	return changeTool(c, spec, c.planDeleteFile, func(ctx context.Context, _ fileRef, p plan) (mcpsec.Content, error) {
		_, err := c.one(ctx, p.ops[0])
		return asText(deletedOut{1}, err)
	})
}

func (c *Client) planDeleteFile(ctx context.Context, in fileRef) (plan, error) {
	w, err := c.writable(in.Collection)
	if err != nil {
		return plan{}, err
	}
	if err := w.settable(values{in.Field: nil}); err != nil {
		return plan{}, err
	}
	k, name, err := c.file(ctx, in)
	if err != nil {
		return plan{}, err
	}
	if _, err := c.fileField(ctx, k, in.Field); err != nil {
		return plan{}, err
	}
	names, _, err := c.filesOf(ctx, k, in.ID, in.Field)
	if err != nil {
		return plan{}, err
	}
	raw, err := json.Marshal([]string{name})
	if err != nil {
		return plan{}, err
	}
	slices.Sort(names)
	text := fmt.Sprintf("deletes the file %q of field %s of record %s of %s", name, in.Field, in.ID, k.Name)
	return plan{text, digest([]byte(strings.Join(names, "\n"))), []op{{method: http.MethodPatch, k: k, id: in.ID, data: values{in.Field + "-": raw}}}}, nil
}
