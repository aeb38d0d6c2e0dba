package redact

import "strings"

// masked reports whether v was masked before, by us or by others.
func masked(v string) bool {
	if v == "" {
		return true
	}
	switch v[0] {
	case '[', '<': // [FILTERED], <redacted>, <password>
		if strings.HasPrefix(v, Mask) || strings.HasPrefix(v, "[REDACTED") || strings.HasPrefix(v, "<redacted") {
			return true
		}
		last := v[len(v)-1]
		return len(v) < maxPlain && (last == ']' || last == '>') && all(v[1:len(v)-1], word) && !anyOf(v, digit)
	case '*', 'x', 'X', '.', '#', "•"[0]:
		if strings.HasPrefix(v, "***") || len(v) < maxPlain && strings.Trim(v, "*xX.•#") == "" {
			return true
		}
	}
	return len(v) < maxPlain && (blanked(v) || strings.IndexByte(v, '*') >= 0 && strings.Contains(v, "****"))
}

// blanked reports whether nothing but x follows the prefix of a token: sk-xxxxxx.
func blanked(v string) bool {
	head := strings.TrimRight(v, "x")
	return len(v)-len(head) >= 6 && len(head) <= len("sk-proj-") && !anyOf(head, digit)
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
		if last == '%' && len(v) > 1 || len(v) <= 4 || format(v) { // %X%, %s, %#v, %s:%s
			return true
		}
	case '{', '(':
		return last == '}' || last == ')' || !mixed(v)
	case '<':
		return last == '>'
	case '/':
		return strings.HasPrefix(v, "/run/") || strings.HasPrefix(v, "/etc/") || strings.HasPrefix(v, "/var/") || strings.HasPrefix(v, "/home/") || strings.HasPrefix(v, "/root") || strings.HasPrefix(v, "/usr/") || strings.HasPrefix(v, "/work") || strings.HasPrefix(v, "/tmp") || strings.HasPrefix(v, "/opt/")
	}
	return nonValue(v) || pointsAway(v)
}

// pointsAway reports whether v says that the value is somewhere else, or yours to
// fill in: process.env.X, YOUR_TOKEN.
func pointsAway(v string) bool {
	switch v[0] {
	case 'Y', 'y':
		return strings.HasPrefix(v, "YOUR_") || strings.HasPrefix(v, "your-") || strings.HasPrefix(v, "your_")
	case 'p':
		return strings.HasPrefix(v, "process.env")
	case '.':
		return strings.HasPrefix(v, ".*/") // a pattern
	case 'f':
		return strings.HasPrefix(v, "file:/")
	case 'E':
		return strings.HasPrefix(v, "ENC[AES256_GCM,") || v == "ENC[AES256_GCM" // encrypted in place
	case 'o', 'e':
		return strings.HasPrefix(v, "os.") || strings.HasPrefix(v, "env.")
	case 's':
		return strings.HasPrefix(v, "secrets.")
	}
	return false
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
		"incorrect", "wrong", "array", "via", "and", "or", "for", "with", "from", "option", "flag", "argument", "field", "column", "here", "default", "bearer", "basic", "xxxxx", "prompt", "off", "on":
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

// expression reports whether v is source code: a call, an index, a selector, a
// variable, strings put together.
func expression(v string) bool {
	switch {
	case len(v) >= maxPlain:
		return false
	case strings.HasPrefix(v, "[]"):
		return true
	case v[0] == '$' && len(v) > 1:
		return reference(v[1:]) || strings.Contains(v, "::") || strings.IndexByte("-[({", v[len(v)-1]) >= 0 // $x->{y}, $x['y']
	}
	open := 0
	for open < len(v) && v[open] != '(' && v[open] != '[' && v[open] != '{' {
		open++
	}
	if open == len(v) {
		return selector(v)
	}
	if open == 0 || !is(v[open-1], alnum) || !callee(v[:open]) {
		return false
	}
	last := v[len(v)-1]
	return v[open] == '(' && !anyOf(v[:open], digit) && argumentList(v[open+1:]) || open == len(v)-1 || last == ']' || last == ')' || last == '}' ||
		v[open] == '[' && strings.IndexByte(v[open:], ':') > 0
}

// argumentList reports whether v may be the arguments of a call: names, $1.
func argumentList(v string) bool {
	v = strings.TrimRight(v, ")")
	for i := range len(v) {
		switch c := v[i]; {
		case is(c, digit) && (i == 0 || v[i-1] != '$'): // a password with a bracket in it
			return false
		case !is(c, ident) && c != '$' && c != ',':
			return false
		}
	}
	return true
}

// selector reports whether v is written a.b.c.
func selector(v string) bool {
	dot := strings.IndexByte(v, '.')
	if dot <= 0 || !allIdent(v) || strings.IndexByte(v, '-') >= 0 {
		return false
	}
	_, _, digits, _ := kinds(v)
	return digits == 0 && is(v[dot-1], alnum)
}

// callee reports whether v may name a function: identifiers, with dots or
// double colons between them.
func callee(v string) bool {
	for i := range len(v) {
		if !is(v[i], ident) && v[i] != ':' {
			return false
		}
	}
	return true
}

// format reports whether v is made of verbs of printf, and what stands between
// them.
func format(v string) bool {
	verbs := 0
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '%' && i+1 < len(v) && strings.IndexByte("sdvqxr", v[i+1]) >= 0:
			verbs++
			i++
		case is(v[i], alnum):
			return false
		}
	}
	return verbs > 0
}

// constant reports whether v is a short number in hexadecimal, as flags and
// handles are written.
func constant(v string) bool {
	v = strings.TrimPrefix(v, "-")
	if !strings.HasPrefix(v, "0x") || len(v) > len("0x12345678") || strings.ToLower(v) != v && strings.ToUpper(v[2:]) != v[2:] {
		return false
	}
	for i := 2; i < len(v); i++ {
		if !is(v[i], hexa) {
			return false
		}
	}
	return true
}
