package pbtool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type exportIn struct {
	Collection string   `json:"collection" validate:"required,max=100"`
	Where      Where    `json:"where" validate:"max=20"`
	Fields     []string `json:"fields" validate:"max=50,dive,max=130"`
	Format     string   `json:"format" validate:"required,oneof=csv json ndjson"`
	File       string   `json:"file" validate:"max=100"`
}

func exportTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_export_records", fmt.Sprintf("Export records as one CSV, JSON or NDJSON document, in the order of ids, for pb_import_records or a person. "+
		"At most %d records and %d bytes. To look at records use pb_list_records.", c.o.MaxScan, c.o.MaxBytes), mcpsec.Read)
	properties := []string{collectionProperty, whereProperty, fieldsProperty, `"format":{"enum":["csv","json","ndjson"]}`}
	if c.o.Exports != nil {
		spec.Effect = mcpsec.Write
		properties = append(properties, fmt.Sprintf(`"file":{"type":"string","description":"name of a new file in the operator's directory, as posts.csv, of up to %d bytes: no document is answered"}`, maxExport))
	}
	spec.InputSchema = schemaOf(`"collection","format"`, properties...)
	spec.Timeout, spec.MaxConcurrent, spec.Narrow = 12*c.o.Timeout, maxScans, "narrow where or name fewer fields"
	spec.MaxResult = 2*c.o.MaxBytes + 16<<10 // what is JSON in JSON has its quotes escaped
	return mcpsec.NewTool(spec, func(ctx context.Context, in exportIn) (mcpsec.Content, error) { return c.export(ctx, in) })
}

// exportPage is how many records are asked for at once: they have all their fields.
const exportPage = 200

func (c *Client) export(ctx context.Context, in exportIn) (mcpsec.Content, error) {
	k, err := c.collection(in.Collection)
	if err != nil {
		return mcpsec.Content{}, err
	}
	filter, err := c.where(k, in.Where)
	if err != nil {
		return mcpsec.Content{}, err
	}
	most := c.o.MaxBytes
	if in.File != "" {
		if err := c.mayStore(in.File, in.Format); err != nil {
			return mcpsec.Content{}, err
		}
		most = maxExport
	}
	var records []json.RawMessage
	size := 0
	_, err = c.scan(ctx, k, filter, in.Fields, exportPage, c.o.MaxScan, func(r json.RawMessage) error {
		if size += len(r) + 1; size > most {
			return &mcpsec.Error{Message: fmt.Sprintf("the records have more than %d bytes: narrow where or name fewer fields", most), Rule: "size"}
		}
		records = append(records, r)
		return nil
	})
	if err != nil {
		return mcpsec.Content{}, err
	}
	out := mcpsec.Content{URI: "pb://export/" + k.Name + "." + in.Format}
	out.MIMEType, out.Text, err = document(in.Format, records)
	if err != nil || in.File == "" {
		return out, err
	}
	if err := c.store(in.File, out.Text); err != nil {
		return mcpsec.Content{}, err
	}
	return line(fmt.Sprintf("stored %s, %d records, %d bytes", in.File, len(records), len(out.Text)), nil)
}

// document writes records in a format.
func document(format string, records []json.RawMessage) (mime, text string, err error) {
	switch format {
	case "csv":
		text, err = toCSV(records)
		return "text/csv", text, err
	case "json":
		return "application/json", "[" + string(bytes.Join(asBytes(records), []byte(",\n"))) + "]\n", nil
	}
	// A content without a text is none.
	return "application/x-ndjson", string(bytes.Join(asBytes(records), []byte("\n"))) + "\n", nil
}

func asBytes(records []json.RawMessage) [][]byte {
	out := make([][]byte, len(records))
	for i, r := range records {
		out[i] = r
	}
	return out
}

// toCSV writes a header and a line for each record. Texts are written as they are,
// everything else as JSON.
func toCSV(records []json.RawMessage) (string, error) {
	rows := make([]map[string]json.RawMessage, len(records))
	columns := map[string]bool{"id": true}
	for i, r := range records {
		if json.Unmarshal(r, &rows[i]) != nil {
			return "", errAnswer
		}
		delete(rows[i], "expand")
		for f := range rows[i] {
			columns[f] = true
		}
	}
	var names []string
	for f := range columns {
		names = append(names, f)
	}
	slices.Sort(names)
	var b strings.Builder
	writeLine(&b, names)
	line := slices.Clone(names)
	for _, r := range rows {
		for i, f := range names {
			line[i] = cell(r[f])
		}
		writeLine(&b, line)
	}
	return b.String(), nil
}

// writeLine writes cells (RFC 4180), in quotes also those that a reader with other
// separators would take for several, which may begin as formulas.
func writeLine(b *strings.Builder, cells []string) {
	for i, s := range cells {
		if i > 0 {
			b.WriteByte(',')
		}
		if strings.ContainsAny(s, "\",;|\t\r\n") || s != strings.TrimSpace(s) || s == `\.` {
			s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		b.WriteString(s)
	}
	b.WriteByte('\n')
}

// formula is what a spreadsheet could compute: some overlook space before it, and take
// full-width characters for plain ones. A quote before it makes it a text,
// and is taken away when it is imported; so what begins with quotes already gets
// one more.
var formula = lazy.Regexp(`^'*([\s\p{Z}\p{Cc}\p{Cf}]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|[\t\r\n])`)

func cell(v json.RawMessage) string {
	s, err := text(v)
	switch {
	case err != nil && string(v) == "null":
		return ""
	case err != nil:
		return string(v)
	case formula().MatchString(s):
		return "'" + s
	}
	return s
}

// uncell is the way back.
func uncell(s string) string {
	if strings.HasPrefix(s, "'") && formula().MatchString(s) {
		return s[1:]
	}
	return s
}
