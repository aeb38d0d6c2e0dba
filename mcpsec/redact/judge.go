package redact

import "strings"

// secretValue reports whether v is a secret, given what its key tells and how
// the two are written.
func secretValue(class secrecy, st style, quoted bool, v string) bool {
	if plainly(class, st, quoted, v) {
		return true
	}
	if masked(v) || placeholder(v) && !(quoted && braced(v)) || reference(v) {
		return false
	}
	if len(v) >= maxPlain && (class == isPassword || class == isToken) {
		return true
	}
	if st == styleTable {
		return (class == isPassword || class == isToken) && len(v) >= 8 && is(v[0], alnum) && turns(v, 2) && !prose(v) && !dated(v) && !expression(v)
	}
	if class == isToken && !quoted && st != styleEqual && reference(strings.TrimRight(v, "0123456789")) { // a name with a number
		return false
	}
	if quoted && st != styleMember && code(v) || len(v) < 4 && !anyOf(v, alnum) {
		return false
	}
	switch class {
	case isPassword:
		return passwordValue(st, quoted, v)
	case isToken:
		return tokenValue(st, quoted, v)
	case isRandom:
		return st != styleProse && st != styleCode && len(v) >= 16 && random(v) && !assigns(v)
	case isDigits:
		return st != styleProse && len(v) >= 3 && len(v) <= 8 && strings.Trim(v, "0123456789") == ""
	}
	return false
}

// plainly reports, without a look at what else v might be, that v is a secret:
// letters and digits where a value must stand. All that is none of them, a mask,
// a placeholder, a name, code, prose, a date, has other marks, begins or ends
// otherwise, or has no digit.
func plainly(class secrecy, st style, quoted bool, v string) bool {
	switch st {
	case styleProse, styleIs, stylePair, styleTable, styleCode:
		return false
	}
	if class != isPassword && (class != isToken || !quoted && st != styleEqual) || len(v) < 8 || len(v) > 64 {
		return false
	}
	first, last := v[0], v[len(v)-1]
	if !is(first, alnum) || first == 'x' || first == 'X' || first == '0' || last == 'x' {
		return false
	}
	some, every := sum(v)
	named := every&ident != 0 && !is(last, digit) // may be a name, see reference
	return every&innocent != 0 && some&digit != 0 && some&letter != 0 && !named
}

func passwordValue(st style, quoted bool, v string) bool {
	switch {
	case st == styleProse && !quoted:
		return scrambled(v)
	case st == styleProse || st == styleIs || st == stylePair:
		return len(v) >= 6 && mixed(v) && !prose(v) && !dated(v)
	case quoted:
		return !prose(v)
	case st == styleCode:
		return false
	case st == styleMember && !anyOf(v, digit): // JSON quotes its strings: a variable
		return false
	case st == styleEqual || st == styleMember || st == styleLine || st == styleXML:
		return !expression(v) && !(number(v) && len(v) < 3)
	}
	return len(v) >= 3 && !constant(v) && (!plain(v) || st == styleEntry && len(v) >= 6 && anyOf(v, alnum) || passphrase(v)) && !expression(v)
}

func tokenValue(st style, quoted bool, v string) bool {
	long := len(v) >= 20
	switch {
	case st == styleProse:
		return len(v) >= 12 && scrambled(v)
	case st == styleIs || st == stylePair:
		return len(v) >= 8 && mixed(v) && !prose(v) && !dated(v)
	case number(v) && (len(v) < 4 || quoted && len(v) < 8 && strings.IndexByte(v, '.') >= 0): // a count, a version
		return false
	case quoted && st == styleMember:
		return len(v) >= 4 && !prose(v) && !(plain(v) && len(v) < 12) // a word is what a language model calls a token
	case quoted:
		return !prose(v) && (len(v) >= 8 && mixed(v) || long)
	case st == styleCode:
		return false
	case st == styleMember && number(v):
		return true
	case st == styleEqual || st == styleLine || st == styleXML:
		return (len(v) >= 6 && mixed(v) || long) && !expression(v)
	}
	return len(v) >= 8 && mixed(v) && !plain(v) && !expression(v) && !constant(v)
}

// code reports whether v, found between quotes, is what stands between two
// strings of source code: + name +, or the rest of a call.
func code(v string) bool {
	switch v[0] {
	case '"', '\'', '`':
		return len(v) > 2 && strings.IndexByte(" +.,)", v[1]) >= 0 && v[len(v)-1] == v[0]
	case ')', ',', ';':
		return len(v) == 1 || is(v[1], blank) || v[1] == ')'
	case ' ':
		return len(v) > 2 && strings.IndexByte("+.%", v[1]) >= 0 && v[2] == ' '
	}
	return false
}

// braced reports whether v stands in single brackets and is no name to fill in.
func braced(v string) bool {
	return len(v) > 2 && (v[0] == '{' || v[0] == '(' || v[0] == '<') && v[1] != '{' && mixed(v) && !strings.ContainsAny(v[:min(len(v), maxPlain)], "\"\\:")
}

// file reports whether v is a path that ends with a file's extension.
func file(v string) bool {
	if len(v) >= maxPlain {
		return false
	}
	slash, dot := strings.LastIndexByte(v, '/'), strings.LastIndexByte(v, '.')
	return slash > 0 && dot > slash && len(v)-dot-1 >= 1 && len(v)-dot-1 <= 5
}

// assigns reports whether v holds an equals sign that is no padding.
func assigns(v string) bool {
	if len(v) >= maxPlain {
		return false
	}
	eq := strings.IndexByte(v, '=')
	return eq >= 0 && eq < len(v)-2
}

// random reports whether v could come out of a generator: letters and digits
// in turn, no spaces.
func random(v string) bool {
	return turns(v, 3) && !file(v) && strings.IndexByte(v[:min(len(v), maxPlain)], ' ') < 0
}

// passphrase reports whether v is four words and more with hyphens between them
// that do not speak of passwords.
func passphrase(v string) bool {
	if strings.Count(v, "-") < 3 || len(v) < 16 || len(v) >= maxPlain || strings.Contains(v, "assword") {
		return false
	}
	for i := range len(v) {
		if v[i] != '-' && (v[i] < 'a' || v[i] > 'z') {
			return false
		}
	}
	return true
}

// dated reports whether v begins like a date or a version: digits and marks.
func dated(v string) bool {
	i := 0
	for i < len(v) && is(v[i], digit) {
		i++
	}
	return i > 0 && i <= 4 && i < len(v) && (v[i] == '-' || v[i] == '.' || v[i] == '/' || v[i] == ':')
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
	for _, word := range []string{"assword", "oken", "ecret", "key", "redential", "your", "Your", "the ", "must", "invalid", "required", "is too ", "can't be", "should ", "characters"} {
		if strings.Contains(v, word) {
			return true
		}
	}
	return plainWords(v) && (spaces >= 2 && 'A' <= v[0] && v[0] <= 'Z' && (spaces >= 4 || v[len(v)-1] == '.') || spaces >= 4 && sentence(v))
}

// sentence reports whether v has a word that sentences need, and lists of words
// for passphrases do not hold.
func sentence(v string) bool {
	for _, word := range []string{" is ", " are ", " to ", " a ", " an ", " of ", " for ", " not ", " or ", " and ", " be ", " in ", " on ", " with ", " was "} {
		if strings.Contains(v, word) {
			return true
		}
	}
	return false
}

func plainWords(v string) bool {
	lower, upper, digits, other := kinds(v)
	return digits == 0 && lower > 4*upper && lower > 3*other
}

func anyOf(v string, c class) bool {
	for i := range len(v) {
		if is(v[i], c) {
			return true
		}
	}
	return false
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
