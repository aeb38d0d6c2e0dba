package redact

import "strings"

// personals are the literals of what Options.PII adds.
func personals() (list []literal) {
	add := func(text string) { list = append(list, literal{text: text, kind: kindPII}) }
	add("@")
	add("+\x00")
	for _, country := range strings.Fields(ibanCountries) {
		add(country + "\x00")
	}
	return list
}

const ibanCountries = "AD AE AL AT AZ BA BE BG BH BR BY CH CR CY CZ DE DK DO EE EG ES FI FO FR GB GE GI GL GR GT HR HU IE IL IQ IS IT JO KW KZ LB LC LI LT LU LV LY MC MD ME MK MR MT MU NL NO PK PL PS PT QA RO RS SA SC SE SI SK SM ST SV TL TN TR UA VA VG XK"

// personal masks an e-mail address, a phone number or an IBAN.
func (m *scanner) personal(start, end int) int {
	switch m.s[start] {
	case '@':
		return m.email(start)
	case '+':
		return m.phone(start)
	}
	return m.iban(start, end)
}

func (m *scanner) email(at int) int {
	s, from := m.s, at
	for least := max(m.pos, at-maxKey); from > least && (is(s[from-1], ident) || strings.IndexByte("+%'", s[from-1]) >= 0); {
		from--
	}
	m.work += at - from + 1
	to := m.run(at+1, ident)
	for to > at && (s[to-1] == '.' || s[to-1] == '-' || s[to-1] == '_') {
		to--
	}
	if from == at || from > 0 && (s[from-1] == ':' || s[from-1] == '/') {
		return 0 // user:password@host and //user@host are no addresses
	}
	host := s[at+1 : max(to, at+1)]
	dot := strings.LastIndexByte(host[max(0, len(host)-maxKey):], '.')
	if dot < 1 || is(host[len(host)-1], digit) {
		return 0
	}
	return m.mask(from, to)
}

// phone finds a number in international form: + and 8 to 15 digits.
func (m *scanner) phone(plus int) int {
	s, n, i := m.s, 0, plus+1
	if plus > 0 && (is(s[plus-1], word) || s[plus-1] == ':' && plus > 1 && is(s[plus-2], digit)) {
		return 0
	}
	to := i
	for end := min(len(s), plus+32); i < end; i++ {
		if is(s[i], digit) {
			n++
			to = i + 1
		} else if strings.IndexByte(" -()./", s[i]) < 0 {
			break
		}
	}
	m.work += i - plus
	if n < 8 || n > 15 || to < len(s) && is(s[to], word) {
		return 0
	}
	return m.mask(plus, to)
}

// iban finds an IBAN, in groups of four or not, by its check digits.
func (m *scanner) iban(start, end int) int {
	s := m.s
	if start > 0 && is(s[start-1], word) {
		return 0
	}
	var text [34]byte
	n, i := 0, start
	for ; i < len(s) && n < len(text); i++ {
		if is(s[i], b32) {
			text[n] = s[i]
			n++
		} else if s[i] != ' ' || n%4 != 0 || i+1 >= len(s) || !is(s[i+1], b32) {
			break
		}
	}
	m.work += i - start
	if n < 15 || i < len(s) && is(s[i], alnum) || !validIBAN(text[:n]) {
		return 0
	}
	return m.mask(start, i)
}

// validIBAN checks ISO 7064 MOD 97-10.
func validIBAN(text []byte) bool {
	sum := 0
	for i := range text {
		c := text[(i+4)%len(text)]
		if is(c, digit) {
			sum = (sum*10 + int(c-'0')) % 97
		} else {
			sum = (sum*100 + int(c-'A') + 10) % 97
		}
	}
	return sum == 1
}
