package redact

import "strings"

// secretValue reports whether v is a secret, given what its key tells and how
// the two are written.
func secretValue(class secrecy, st style, quoted bool, v string) bool {
	if masked(v) || placeholder(v) || reference(v) {
		return false
	}
	if len(v) >= maxPlain && (class == isPassword || class == isToken) {
		return true
	}
	switch class {
	case isPassword:
		return passwordValue(st, quoted, v)
	case isToken:
		return tokenValue(st, quoted, v)
	case isRandom:
		return st != styleProse && st != styleCode && len(v) >= 16 && random(v)
	case isDigits:
		return st != styleProse && len(v) >= 3 && len(v) <= 8 && strings.Trim(v, "0123456789") == ""
	}
	return false
}

func passwordValue(st style, quoted bool, v string) bool {
	switch {
	case st == styleProse && !quoted:
		return scrambled(v)
	case st == styleProse || st == styleIs:
		return len(v) >= 6 && mixed(v) && !prose(v)
	case quoted:
		return !prose(v)
	case st == styleCode:
		return false
	case st == styleEqual || st == styleMember || st == styleLine:
		return !expression(v)
	}
	return len(v) >= 3 && (!plain(v) || st == styleEntry && len(v) >= 6) && !expression(v)
}

func tokenValue(st style, quoted bool, v string) bool {
	long := len(v) >= 20
	switch {
	case st == styleProse:
		return len(v) >= 12 && scrambled(v)
	case st == styleIs:
		return len(v) >= 8 && mixed(v) && !prose(v)
	case quoted && st == styleMember:
		return !prose(v)
	case quoted:
		return !prose(v) && (len(v) >= 8 && mixed(v) || long)
	case st == styleCode:
		return false
	case st == styleMember && number(v):
		return true
	case st == styleEqual || st == styleLine:
		return (len(v) >= 6 && mixed(v) || long) && !expression(v)
	}
	return len(v) >= 8 && mixed(v) && !plain(v) && !expression(v)
}

// random reports whether v could come out of a generator: letters and digits
// in turn, no spaces.
func random(v string) bool {
	return turns(v, 3) && strings.IndexByte(v[:min(len(v), maxPlain)], ' ') < 0
}

// turns reports whether v changes between digits and other bytes at least n
// times.
func turns(v string, n int) bool {
	for i := 1; i < min(len(v), 64); i++ {
		if is(v[i], digit) != is(v[i-1], digit) {
			if n--; n == 0 {
				return true
			}
		}
	}
	return false
}

// scrambled reports whether v is surely no word of a sentence: letters of both
// cases and digits among them, not at the end alone.
func scrambled(v string) bool {
	lower, upper, digits, other := kinds(v)
	if len(v) < 8 || lower < 2 || upper < 2 || digits < 1 || other > 2 || !is(v[0], alnum) {
		return false
	}
	return turns(v, 2)
}

// plain reports whether v is made of ordinary words: letters, and marks
// between them.
func plain(v string) bool {
	_, _, digits, _ := kinds(v)
	if digits > 0 {
		return false
	}
	for i := range len(v) {
		if c := v[i]; !is(c, alnum) && strings.IndexByte("_-.:/'?!…", c) < 0 && c < 0x80 {
			return false
		}
	}
	return true
}

// prose reports whether v is text for people rather than a value: words with
// spaces that speak of the thing, or plain words with three spaces and more.
func prose(v string) bool {
	if len(v) >= maxPlain {
		return false
	}
	spaces := strings.Count(v, " ")
	if spaces == 0 {
		return false
	}
	for _, word := range []string{"assword", "oken", "ecret", "key", "redential", "your", "Your", "the ", "must", "invalid", "required"} {
		if strings.Contains(v, word) {
			return true
		}
	}
	return spaces >= 4 && plainWords(v)
}

func plainWords(v string) bool {
	lower, upper, digits, other := kinds(v)
	return digits == 0 && lower > 4*upper && lower > 3*other
}

// masked reports whether v was masked before, by us or by others.
func masked(v string) bool {
	if v == "" {
		return true
	}
	if strings.HasPrefix(v, Mask) || strings.HasPrefix(v, "[REDACTED") || strings.HasPrefix(v, "***") || strings.HasPrefix(v, "<redacted") {
		return true
	}
	if len(v) >= maxPlain {
		return false
	}
	switch v[0] {
	case '*', 'x', 'X', '.', '#', "•"[0]:
		if strings.Trim(v, "*xX.•#") == "" {
			return true
		}
	}
	return strings.IndexByte(v, '*') >= 0 && strings.Contains(v, "****")
}

// placeholder reports whether v says where a value comes from or that there is
// none: ${X}, %X%, {{x}}, <your token>, null, a path to a secret.
func placeholder(v string) bool {
	if v == "" {
		return true
	}
	if len(v) >= maxPlain {
		return false
	}
	last := v[len(v)-1]
	switch v[0] {
	case '$':
		if len(v) > 1 && (v[1] == '{' || v[1] == '(') || allWord(v[1:]) && strings.ToUpper(v) == v {
			return true
		}
	case '%':
		if last == '%' && len(v) > 1 || len(v) <= 4 { // %X%, %s, %#v
			return true
		}
	case '{', '(':
		return true
	case '<':
		return last == '>'
	case '/':
		return strings.HasPrefix(v, "/run/") || strings.HasPrefix(v, "/etc/") || strings.HasPrefix(v, "/var/") || strings.HasPrefix(v, "/home/") || strings.HasPrefix(v, "/root") || strings.HasPrefix(v, "/usr/") || strings.HasPrefix(v, "/work") || strings.HasPrefix(v, "/tmp") || strings.HasPrefix(v, "/opt/")
	}
	if nonValue(v) {
		return true
	}
	return strings.HasPrefix(v, "YOUR_") || strings.HasPrefix(v, "your-") || strings.HasPrefix(v, "your_") || strings.HasPrefix(v, "process.env") || strings.HasPrefix(v, "os.") || strings.HasPrefix(v, "env.") || strings.HasPrefix(v, "secrets.")
}

// nonValue reports whether v is a word that stands where a value would, and is
// none, in any case.
func nonValue(v string) bool {
	var low [len("undefined")]byte
	if len(v) > len(low) {
		return false
	}
	for i := range len(v) {
		low[i] = lowered(v[i])
	}
	switch string(low[:len(v)]) {
	case "null", "nil", "none", "true", "false", "undefined", "string", "str",
		"text", "bool", "int", "bytes", "bytea", "object", "required", "optional",
		"enabled", "disabled", "yes", "no", "not", "empty", "unset", "missing",
		"invalid", "expired", "unknown", "redacted", "hidden", "any", "strict", "weak",
		"<nil>", "nan", "var", "func", "new", "self", "this", "input", "changed",
		"incorrect", "wrong", "default", "bearer", "basic", "xxxxx", "prompt", "off", "on":
		return true
	}
	return false
}

// reference reports whether v names a secret instead of being one:
// self.password, MAIN_TLS_PRIVATEKEY.
func reference(v string) bool {
	if len(v) > maxKey || v == "" || is(v[len(v)-1], digit) || !allIdent(v) || turns(v, 4) {
		return false
	}
	f := fold(v)
	class := f.judge()
	return class == isPassword || class == isToken || class == isHeader || class == isCookie
}

// expression reports whether v is source code: a call, an index, a selector.
func expression(v string) bool {
	if len(v) >= maxPlain {
		return false
	}
	if strings.HasPrefix(v, "[]") {
		return true
	}
	open := 0
	for open < len(v) && v[open] != '(' && v[open] != '[' && v[open] != '{' {
		open++
	}
	if open > 0 && open < len(v) && is(v[open-1], alnum) && allIdent(v[:open]) {
		if v[open] == '(' || strings.IndexByte("])}", v[len(v)-1]) >= 0 {
			return true
		}
	}
	dot := strings.IndexByte(v, '.')
	if dot <= 0 || !allIdent(v) || strings.IndexByte(v, '-') >= 0 {
		return false
	}
	_, _, digits, _ := kinds(v)
	return digits == 0 && is(v[dot-1], alnum)
}

func allIdent(v string) bool { return all(v, ident) }
func allWord(v string) bool  { return v != "" && all(v, word) }

func all(v string, c class) bool {
	for i := range len(v) {
		if !is(v[i], c) {
			return false
		}
	}
	return true
}
