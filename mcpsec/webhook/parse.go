package webhook

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxHeader bounds every header that a verifier reads.
const maxHeader = 4 << 10

// one returns the value of a header that must stand once and be of a bounded
// size: of two values, another reader might take the other. The name is in
// canonical form.
func one(h http.Header, name string) (string, error) {
	values := h[name]
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxHeader {
		return "", refuse(reasonHeader, name+" must stand once, and not be empty or long")
	}
	return values[0], nil
}

// checkType refuses a body that the sender would not send, or that was encoded:
// the signature is over what came.
func (v *Verifier) checkType(h http.Header) error {
	if len(h["Content-Encoding"]) > 0 {
		return refuse(reasonContentType, "Content-Encoding is not accepted")
	}
	value, err := one(h, "Content-Type")
	if err != nil {
		return refuse(reasonContentType, "Content-Type must stand once")
	}
	switch value {
	case "application/json", "application/json; charset=utf-8": // what most send
		return nil
	}
	kind, params, err := mime.ParseMediaType(value)
	if err != nil || kind != "application/json" && !slices.Contains(v.types, kind) {
		return refuse(reasonContentType, "the sender does not send this Content-Type")
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return refuse(reasonContentType, "the charset must be UTF-8")
	}
	return nil
}

// unix reads seconds since 1970 as senders write them: digits, nothing else, no
// leading zero. There is one way to write a time, so that it can be signed.
func unix(s string) (time.Time, bool) {
	if len(s) == 0 || len(s) > 12 || s[0] == '0' {
		return time.Time{}, false
	}
	n := int64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return time.Time{}, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return time.Unix(n, 0), true
}

// unhex reads lower-case hexadecimal of exactly len(dst) bytes.
func unhex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range dst {
		hi, lo := nibble(s[2*i]), nibble(s[2*i+1])
		if hi > 15 || lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// unbase64 reads standard base64 with padding, in the one form that an encoder
// writes.
func unbase64(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") { // which the package skips, even when strict
		return nil, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return b, err == nil && len(b) > 0
}

// digest is the id of an event whose sender signs none.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256-" + hex.EncodeToString(sum[:])
}
