package battery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// decode reads JSON with its numbers as they are written; nil if it is none.
func decode(raw []byte) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// encode writes a value.
func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "null" // of what came from JSON, or was written for it
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func quote(s string) string { return encode(s) }

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// decodeMessage reads one message of JSON-RPC.
func decodeMessage(body []byte) (m message, ok bool) {
	ok = json.Unmarshal(body, &m) == nil && m.JSONRPC == "2.0"
	return m, ok
}

// isMessage reports whether a body is a message of JSON-RPC, or several.
func isMessage(body []byte) bool {
	if _, ok := decodeMessage(body); ok {
		return true
	}
	var all []message
	return json.Unmarshal(body, &all) == nil && len(all) > 0 && all[0].JSONRPC == "2.0"
}

// bounded is a text that fits into a report: its beginning, on one line.
func bounded(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || strings.ContainsRune("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff", r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	text = strings.Join(strings.Fields(squeeze(text)), " ")
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && text[cut]&0xc0 == 0x80 {
		cut--
	}
	return text[:cut] + " …"
}

// squeeze shortens what repeats one character.
func squeeze(text string) string {
	const most = 24
	var b strings.Builder
	for len(text) > 0 {
		n := len(text) - len(strings.TrimLeft(text, text[:1]))
		if n > most {
			fmt.Fprintf(&b, "%s…(%d times)", text[:3], n)
		} else {
			b.WriteString(text[:max(n, 1)])
		}
		text = text[max(n, 1):]
	}
	return b.String()
}
