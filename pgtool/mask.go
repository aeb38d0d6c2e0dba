package pgtool

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A Mask says what a caller sees of a column in Options.Mask. Everything in a
// statement works on what is seen: conditions, joins, groups and orders too.
type Mask uint8

const (
	// Hidden shows NULL, of the column's type.
	Hidden Mask = iota
	// Hashed shows 32 hex digits of an HMAC-SHA256 of the value as text, under
	// Options.MaskKey. Equal values stay equal, also in different columns, so that
	// they can be joined and counted; NULL stays NULL.
	Hashed
	// Partial shows the last four characters of the value as text, after ****, and
	// nothing else of values with fewer than eight; NULL stays NULL.
	Partial
)

// letters are the masks in the catalog.
var letters = [...]string{Hidden: string(sqlcatalog.Hidden), Hashed: string(sqlcatalog.Hashed), Partial: string(sqlcatalog.Partial)}

// shownAs are their names in a description.
var shownAs = map[byte]string{sqlcatalog.Hidden: "hidden", sqlcatalog.Hashed: "hashed", sqlcatalog.Partial: "partial"}

const (
	maxMasks = 1_000
	minKey   = 16 // bytes of Options.MaskKey
)

func (o Options) checkMasks() error {
	switch key := len(o.MaskKey.Reveal()); {
	case len(o.Mask) > maxMasks:
		return fmt.Errorf("Options.Mask must not be more than %d", maxMasks)
	case !o.MaskKey.IsZero() && key < minKey:
		return fmt.Errorf("Options.MaskKey must have at least %d bytes", minKey)
	case len(o.Mask) > 0 && waive.Has(o.Waive, waive.AnySQL):
		return errors.New("Options.Mask needs the gate on SQL: it cannot go with insecure.AnySQL")
	case slices.Contains(o.Allow, "pg_catalog.current_setting") && o.hashes():
		return errors.New("Options.Allow must not have pg_catalog.current_setting beside pgtool.Hashed: it shows the key")
	}
	for entry, mask := range o.Mask {
		parts := strings.Split(entry, ".")
		if len(parts) > 3 || slices.ContainsFunc(parts, func(p string) bool { return !plainName(p) }) {
			return errors.New("Options.Mask must be for schema.table.column, table.column or column, in which * stands for any characters")
		}
		if int(mask) >= len(letters) {
			return errors.New("Options.Mask must hold pgtool.Hidden, pgtool.Hashed or pgtool.Partial")
		}
	}
	return nil
}

// maskPatterns returns the arguments of sqlcatalog.MaskSQL, and the entries of
// Options.Mask in their order.
func (o Options) maskPatterns() (args [][]byte, entries []string) {
	entries = slices.Sorted(maps.Keys(o.Mask))
	var columns [4][]string
	for _, entry := range entries {
		parts := strings.Split(entry, ".")
		for len(parts) < 3 {
			parts = slices.Insert(parts, 0, "*")
		}
		for i, p := range append(parts, letters[o.Mask[entry]]) {
			columns[i] = append(columns[i], likePattern.Replace(p))
		}
	}
	for _, c := range columns {
		args = append(args, textArray(c))
	}
	return args, entries
}

// guardPatterns returns the last argument of sqlcatalog.GuardSQL.
func (o Options) guardPatterns() []byte {
	var patterns []string
	for entry := range o.Mask {
		parts := strings.Split(likePattern.Replace(entry), ".")
		for len(parts) < 3 {
			parts = slices.Insert(parts, 0, "%")
		}
		parts[0] = strings.ReplaceAll(parts[0], `"`, "")
		patterns = append(patterns, strings.Join(parts, "\x01"))
	}
	return textArray(patterns)
}

// guardFor returns the other arguments for a statement.
func guardFor(tokens []sqllex.Token, s *sqlcatalog.Snapshot) [][]byte {
	if s == nil {
		return nil
	}
	names, known, masked := s.Guard(tokens)
	if names == nil {
		return nil
	}
	return [][]byte{textArray(names), oidArray(known), oidArray(masked)}
}

func oidArray(oids []uint32) []byte {
	b := []byte{'{'}
	for i, oid := range oids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(oid), 10)
	}
	return append(b, '}')
}

// errStale means that a table may have masked columns that the catalog did not have
// when it was read.
var errStale = &mcpsec.Error{Message: "tables have changed a moment ago, and the catalog must be read anew; try again"}

var likePattern = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`, `*`, `%`)

// idleMask returns the first mask that names one column, which there is not, or "".
// Those with * are also for what is made later.
func (o Options) idleMask(s *sqlcatalog.Snapshot) string {
	_, entries := o.maskPatterns()
	for i, entry := range entries {
		if strings.Count(entry, ".") == 2 && !strings.Contains(entry, "*") && !s.Found(i) {
			return entry
		}
	}
	return ""
}

func (o Options) hashes() bool {
	return slices.Contains(slices.Collect(maps.Values(o.Mask)), Hashed)
}

// hashKey puts the key into the settings with which a session begins. They are in
// no statement, so that they get into no log and no statistics, and callers may ask
// for listed settings only.
func (o Options) hashKey(settings map[string]string) {
	if !o.hashes() {
		return
	}
	key := []byte(o.MaskKey.Reveal())
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	for name, pad := range map[string]byte{sqlcatalog.InnerKey: 0x36, sqlcatalog.OuterKey: 0x5c} {
		block := make([]byte, sha256.BlockSize)
		copy(block, key)
		for i := range block {
			block[i] ^= pad
		}
		settings[name] = hex.EncodeToString(block)
	}
}

// newKey draws a key, for all servers of a DB.
func newKey() mcpsec.Secret {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return redact.NewSecret(hex.EncodeToString(key))
}

// mask completes q, whose text the operator has written, if there are masks.
func (db *DB) mask(ctx context.Context, q *query) error {
	if len(db.o.Mask) == 0 {
		return nil
	}
	j, err := db.current(ctx)
	if err != nil {
		return err
	}
	return db.take(q, j.on(request{sql: q.sql, own: true}))
}

// markMasked says in a description which columns are masked, and leaves out what
// shows values of theirs.
func (db *DB) markMasked(ctx context.Context, out *describeOut) error {
	if len(db.o.Mask) == 0 {
		return nil
	}
	j, err := db.current(ctx)
	if err != nil {
		return err
	}
	masks := j.snapshot.MaskOf(out.Schema, out.Name)
	if len(masks) == 0 {
		return nil
	}
	for i, raw := range out.Columns {
		if out.Columns[i], err = markColumn(raw, masks); err != nil {
			return err
		}
	}
	var about map[string]json.RawMessage
	if err := json.Unmarshal(out.About, &about); err != nil {
		return fmt.Errorf("reading a description: %w", err)
	}
	delete(about, "partition") // its bounds are values
	out.About, err = json.Marshal(about)
	return err
}

// A describedColumn is a column of describeSQL.
type describedColumn struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Masked   string `json:"masked"`
	Nullable bool   `json:"nullable"`
	Comment  string `json:"comment,omitempty"`
}

func markColumn(raw json.RawMessage, masks map[string]byte) (json.RawMessage, error) {
	var c describedColumn
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("reading a description: %w", err)
	}
	mask, ok := masks[c.Name]
	if !ok {
		return raw, nil
	}
	c.Masked = shownAs[mask]
	if mask != sqlcatalog.Hidden {
		c.Type = "text"
	}
	return json.Marshal(c)
}

// maskedColumn returns a column that callers of a Writer could read although a mask
// has its name, or "".
func (o Options) maskedColumn(t Table) string {
	for _, column := range slices.Concat(t.Read, t.Key) {
		for entry := range o.Mask {
			parts := strings.Split(entry, ".")
			if matchAll(parts, []string{t.Schema, t.Name, column}[3-len(parts):]) {
				return column
			}
		}
	}
	return ""
}

func matchAll(patterns, names []string) bool {
	for i, p := range patterns {
		if !matches(strings.ToLower(p), strings.ToLower(names[i])) {
			return false
		}
	}
	return true
}

// matches reports whether a name fits a pattern with *.
func matches(pattern, name string) bool {
	pieces := strings.Split(pattern, "*")
	if len(pieces) == 1 {
		return pattern == name
	}
	last := len(pieces) - 1
	name, ok := strings.CutPrefix(name, pieces[0])
	for _, p := range pieces[1:last] {
		_, after, found := strings.Cut(name, p)
		name, ok = after, ok && found
	}
	return ok && strings.HasSuffix(name, pieces[last])
}
