package redact

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

var (
	errEmpty       = errors.New("is empty")
	errNotText     = errors.New("is not plain text (UTF-8 without NUL and byte order mark): write a binary key in hex or base64")
	errPlaceholder = errors.New("looks like a placeholder: set the real value")
)

// Check tells whether the value can be a secret at all. It refuses one that is
// empty (or closed, or white space only), that is not text (UTF-8, without NUL
// and byte order mark; several lines are fine), and that stands for a value to
// be filled in: "changeme", "your-api-key", "<token>", "${TOKEN}", "xxxxxx",
// "password", a documentation's EXAMPLE, also as the password in a URL. The
// error holds nothing of it. The loaders Check what they load.
func (s Secret) Check() error {
	value := s.Reveal()
	switch {
	case strings.TrimSpace(value) == "":
		return errEmpty
	case !utf8.ValidString(value) || strings.Contains(value, "\x00") || strings.HasPrefix(value, "\ufeff"):
		return errNotText
	case standsIn(value) || standsIn(urlPassword(value)):
		return errPlaceholder
	}
	return nil
}

// maxStandIn is the longest text that is looked at: who writes more than this
// has set a value.
const maxStandIn = 256

// standsIn reports whether value is there to be replaced. A rule must meet a
// generated key less than once in a million.
func standsIn(value string) bool {
	if len(value) > maxStandIn {
		return unexpanded().MatchString(value)
	}
	value = strings.Trim(strings.TrimSpace(value), `"'`)
	words := strings.ToLower(value)
	plain := strings.Map(letterOrDigit, words)
	return value != "" && oneSymbol(value) ||
		unexpanded().MatchString(value) || wrapped().MatchString(value) || filler().MatchString(value) ||
		standInWords().MatchString(words) || standInName().MatchString(plain)
}

var (
	// What a shell, a template or an editor should have filled in, anywhere.
	unexpanded = lazy.Regexp(`\$\{[A-Z][A-Z0-9_]{4,}[}:]|\{\{ *[.$]?[A-Za-z][\w .|"$-]*\}\}`)
	// The whole value is a variable or a description.
	wrapped = lazy.Regexp(`^(?:<[\pL\pN _./-]{3,}>|\[[\pL _-]{3,}\]|\$\{.*\}|\$\(.*\)|\$[A-Z_][A-Z0-9_]+|%[A-Z_][A-Z0-9_]+%|\{[A-Za-z_ -]{3,}\}|__[A-Za-z_]+__)$`)
	// Symbols that nobody types six of in a real value, and cut ones.
	filler = lazy.Regexp(`[xX*•]{6}|EXAMPLE|^\S*(?:\.\.\.|…)$`)
	// Instructions to whoever reads it.
	standInWords = lazy.Regexp(`^yours?[-_.]|your[-_ ]?(?:[a-z]+[-_ ]?){0,2}?` + noun + `(?:[-_ ]?here)?(?:$|[^a-z])` +
		`|^(?:insert|enter|put|paste|add|fill|set|type)[-_ ](?:.*` + noun + `[-_ ])?here$` +
		`|^(?:change|replace)[-_ ]?(?:me|this|it|with)(?:$|[^a-z]|please|now|in|before)|^(?:to-?do|fix-?me)(?:$|[-_:. ])|^(?:tbd|tba|n/a)$`)
	// Names of secrets, where a value should be, of letters and digits only.
	standInName = lazy.Regexp(`^(?:placeholder|redacted|masked|hidden|example|sample|dummy|fake|none|null|nil|undefined|unset|empty|default|changed?password` +
		`|(?:my|the|a|an|some|our|super|top|very|api|app|access|auth|client|db|database|private|signing|session|jwt|hmac|webhook|encryption|master|root|admin|user|example|sample|dummy|fake)*` + noun + `+(?:here|value|goeshere|123|1234)?)$`)
)

const noun = `(?:secret|password|passwd|passphrase|pass|key|token|credentials?|dsn|value)`

func letterOrDigit(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		return r
	}
	return -1
}

// oneSymbol reports whether value is one character, three times or more.
func oneSymbol(value string) bool {
	r, n := utf8.DecodeRuneInString(value)
	return len(value) >= 3*n && strings.Trim(value, string(r)) == ""
}

// urlPassword returns the password in a URL, as it is written there.
func urlPassword(value string) string {
	_, rest, found := strings.Cut(value, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	at := strings.LastIndexByte(rest, '@')
	if !found || at < 0 {
		return ""
	}
	_, password, _ := strings.Cut(rest[:at], ":")
	return password
}
