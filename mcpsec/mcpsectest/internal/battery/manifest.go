package battery

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"

	unseen "github.com/mcpsec/mcpsec-go/internal/text"
)

// manifestFormat is the version of the file.
const manifestFormat = 1

// A manifest is all that a model is told of a server, as it was reviewed. Its file is
// JSON that is read in a diff, in which characters that nobody sees are escaped.
type manifest struct {
	Format      int       `json:"format"`
	SHA256      string    `json:"sha256"` // of a line for each of the entries: kind, name, hash
	Definitions []entrant `json:"definitions"`
}

// An entrant is one definition. Its hash is over the canonical JSON (RFC 8785, but with
// integers as they are written, since those beyond 2^53 would become one another).
type entrant struct {
	Kind       string          `json:"kind"`
	Name       string          `json:"name,omitempty"`
	SHA256     string          `json:"sha256"`
	Definition json.RawMessage `json:"definition"`
}

// The kinds of definitions. Resources are data, which changes.
const (
	kindInstructions = "instructions"
	kindPrompt       = "prompt"
	kindTemplate     = "resource template"
	kindTool         = "tool"
)

// add puts a definition into the manifest.
func (m *manifest) add(kind, name string, raw []byte) error {
	c, err := canonical(raw)
	if err != nil {
		return fmt.Errorf("the %s %q: %w", kind, name, err)
	}
	m.Definitions = append(m.Definitions, entrant{kind, name, hash(c), c})
	return nil
}

// seal puts the definitions in order, and hashes them all.
func (m *manifest) seal() {
	m.Format = manifestFormat
	slices.SortFunc(m.Definitions, func(a, b entrant) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.SHA256, b.SHA256))
	})
	m.SHA256 = m.sum()
}

func (m *manifest) sum() string {
	var lines strings.Builder
	for _, d := range m.Definitions {
		fmt.Fprintf(&lines, "%s\t%s\t%s\n", d.Kind, quote(d.Name), d.SHA256)
	}
	return hash([]byte(lines.String()))
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonical is the one form of a definition, without _meta, which no model is told.
func canonical(raw []byte) ([]byte, error) {
	var members map[string]json.RawMessage
	v := jsontext.Value(bytes.Clone(raw))
	exact := jsontext.CanonicalizeRawInts(false)
	if err := v.Canonicalize(exact); err != nil {
		return nil, errors.New("it is no JSON, or has a member twice")
	}
	if json.Unmarshal(v, &members) != nil || members["_meta"] == nil {
		return v, nil
	}
	delete(members, "_meta")
	v = jsontext.Value(encode(members))
	return v, v.Canonicalize(exact)
}

// bytes is the manifest's file.
func (m *manifest) bytes() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("writing the manifest: %w", err)
	}
	return escaped(b.Bytes()), nil
}

// escaped writes characters that nobody sees so that they are seen: outside of strings
// JSON has none.
func escaped(b []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(b) {
		switch {
		case !unseen.Hidden(r):
			out.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}

// write replaces a file in one step: whoever reads it gets the old or the new.
func (m *manifest) write(path string) (err error) {
	b, err := m.bytes()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".manifest-*")
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("writing the manifest: %w", err)
		}
	}()
	_, err = f.Write(b)
	if err = cmp.Or(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil { // each is done
		return err
	}
	return os.Rename(f.Name(), path)
}

// maxManifest is how long a manifest may be.
const maxManifest = 64 << 20

func readManifest(path string) (*manifest, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errors.New("there is no manifest yet")
	case err != nil:
		return nil, errors.New("the manifest cannot be read")
	case !info.Mode().IsRegular() || info.Size() > maxManifest:
		return nil, errors.New("the manifest is no regular file, or too long")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.New("the manifest cannot be read")
	}
	return parseManifest(b)
}

// parseManifest reads a manifest, and checks that each hash is that of what it stands
// beside: a definition that was edited in the file was not reviewed as it is.
func parseManifest(b []byte) (*manifest, error) {
	m := &manifest{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	switch err := d.Decode(m); {
	case m.Format != 0 && m.Format != manifestFormat:
		return nil, fmt.Errorf("the manifest's format is %d, want %d", m.Format, manifestFormat)
	case err != nil || d.More() || m.Format == 0:
		return nil, errors.New("the file is no manifest")
	}
	for i, e := range m.Definitions {
		c, err := canonical(e.Definition)
		if err != nil || hash(c) != e.SHA256 {
			return nil, fmt.Errorf("the manifest's hash of the %s %q is not that of its definition", e.Kind, e.Name)
		}
		m.Definitions[i].Definition = c
	}
	if m.sum() != m.SHA256 {
		return nil, errors.New("the manifest's hash is not that of its definitions")
	}
	return m, nil
}
