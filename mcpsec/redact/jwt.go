package redact

import (
	"encoding/base64"
	"strings"
	"sync"
	"unsafe"
)

// jwt finds what starts with the base64 of {": a JSON Web Token of any kind,
// whole or cut off, or JSON in base64 that holds a secret.
func (m *scanner) jwt(start int) int {
	if !m.startsWord(start) {
		return 0
	}
	head := m.run(start, b64url)
	if head-start < 12 {
		return 0
	}
	if head >= len(m.s) || m.s[head] != '.' {
		return m.encoded(start)
	}
	from, to := head+1, head+1
	for dots := 1; to < len(m.s); dots++ {
		to = m.run(to, b64url)
		if dots == 4 || to >= len(m.s) || m.s[to] != '.' {
			break
		}
		to++
	}
	if to > from && m.s[to-1] == '.' { // the end of a sentence, or an empty last part
		to--
	}
	if to-from < 10 {
		return 0
	}
	return m.mask(start, to)
}

// maxDecoded bounds what is decoded to look inside.
const maxDecoded = 4 << 10

// encoded masks the base64 text around at if what it decodes to holds a
// secret. What is encoded twice is not found.
func (m *scanner) encoded(at int) int {
	to := m.run(at, b64any)
	if m.depth > 0 || to <= m.blobEnd {
		return 0
	}
	from := at
	if !strings.HasPrefix(m.s[at:], "eyJ") {
		from = m.runBack(at, b64any, maxDecoded)
	}
	m.blobEnd = to
	m.work += min(to-from, maxDecoded)
	if !holdsSecret(m.t, m.s[from:min(to, from+maxDecoded)]) {
		return 0
	}
	for to < len(m.s) && m.s[to] == '=' {
		to++
	}
	return m.mask(from, to)
}

func holdsSecret(t *table, text string) bool {
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	if len(text)%4 == 1 {
		text = text[:len(text)-1]
	}
	plain := scratch.Get().(*[maxDecoded]byte)
	defer scratch.Put(plain)
	n, err := encoding.Decode(plain[:], unsafe.Slice(unsafe.StringData(text), len(text)))
	if err != nil {
		return false
	}
	inner := scanner{t: t, s: view(plain[:n]), depth: 1}
	inner.scan()
	clear(plain[:n])
	return inner.dirty
}

// scratch holds buffers for decoding: a page each, too much to take from the
// heap for every cursor in a log.
var scratch = sync.Pool{New: func() any { return new([maxDecoded]byte) }}
