package redact

import "strings"

// style tells how a key and its value are written: the tighter, the surer that
// what follows is a value and no prose.
type style uint8

const (
	styleNone   style = iota
	styleEqual        // k=v, --k v, <k>v, PASSWORD 'v', name="k" value="v"
	styleMember       // "k": v
	styleColon        // k:v
	styleSpaced       // k = v, k: v
	styleCode         // k := v
	styleProse        // k v
	styleIs           // k is v
	styleEntry        // k: v on a line of its own, {A:a k:v B:b}
	styleLine         // a value that goes on to the end of its line
	stylePair         // ('k', 'v')
	styleXML          // <k>v</k>
	styleTable        // k    v
)

// keyed judges the key name around [start, end) and masks its value.
func (m *scanner) keyed(start, end int) int {
	if start < m.keyEnd {
		return m.missedAround(start, m.keyEnd)
	}
	from := start + 1 // the literal begins with a quote
	if is(m.s[start], ident) {
		from = m.runBack(start, ident, maxKey)
	}
	to := m.nameEnd(start)
	m.keyEnd = max(end, to)
	if n := m.escapeBefore(from + 1); n > 0 && from < start { // \nTOKEN, %22token
		from++
	} else if from+2 <= start && m.escapeBefore(from+2) == 3 {
		from += 2
	}
	name := m.s[from:to]
	class := m.t.classify(name)
	m.work += to - from
	if class == notSecret {
		return m.missedAround(start, m.keyEnd+maxKey)
	}
	if to == len(m.s) || is(m.s[to], columned) {
		if end := m.columns(from, to); end > 0 {
			return end
		}
	}
	st, v := m.separator(from, to)
	if st == styleNone || v >= len(m.s) || m.otherwise(name, st, from, v) {
		return 0
	}
	switch class {
	case isHeader:
		return m.authorization(m.unwrap(skipBlank(m.s, v)))
	case isCookie:
		return m.cookies(v, strings.HasPrefix(m.s[from:], "Set-") || strings.HasPrefix(m.s[from:], "set-"))
	}
	if name == "token" && st == styleEqual && m.address(v) {
		return 0
	}
	if class == isToken && st == styleEqual && (shouted(name) || name[0] == '-') && m.longWord(v) {
		class = isPassword // A_TOKEN=word, --token=word
	}
	return m.value(class, st, from, v)
}

// address reports whether a contract's address on a blockchain stands at i: what
// token=0x… names there.
func (m *scanner) address(i int) bool {
	return hasAt(m.s, i, "0x") && m.run(i+2, hexa)-i == 42 && m.run(i, word)-i == 42
}

// longWord reports whether eight bytes and more of a word stand at i.
func (m *scanner) longWord(i int) bool {
	i, _ = skipQuote(m.s, i)
	return m.run(i, ident)-i >= 8
}

// twoWords judges "API key: v", the name written as prose writes it, and names
// in other alphabets.
func (m *scanner) twoWords(class secrecy, start, end int) int {
	if !m.startsWord(start) {
		return 0
	}
	if hasAt(m.s, end, " provided") {
		end += len(" provided")
	} else if n := m.run(end+1, digit); end < len(m.s) && m.s[end] == ' ' && n > end+1 { // Unseal Key 1
		end = n
	}
	st, v := m.separator(start, end)
	if st == styleNone || v >= len(m.s) {
		return 0
	}
	return m.value(class, st, start, v)
}

// otherwise reports the usual other meanings of two short names: a test that
// passed ("--- PASS: TestX"), and the working directory.
func (m *scanner) otherwise(name string, st style, from, v int) bool {
	switch name {
	case "OLDPWD":
		return true
	case "PWD": // but in a connection string it is the password
		return from == 0 || m.s[from-1] != ';' && m.s[from-1] != '&' && m.s[from-1] != '?'
	case "pass":
		if v = skipBlank(m.s, v); v < len(m.s) && m.s[v] == '\'' {
			return false
		}
		fallthrough
	case "PASS", "Pass":
		return st == styleSpaced || st == styleColon || st == styleProse || st == styleIs
	}
	return false
}

// nameEnd returns the end of the key name that holds the literal at start,
// which may begin with a quote.
func (m *scanner) nameEnd(start int) int {
	if !is(m.s[start], ident) {
		start++
	}
	to := m.run(start, ident)
	for to > start && m.s[to-1] == '.' {
		to--
	}
	return to
}
