package redact

// The digits of a payment card, bare or in groups.
const (
	minCard = 14
	maxCard = 19
	maxSpan = maxCard + 4 // with separators
)

// cards looks for a card number around the digits at i. It returns the end of
// what was masked, or 0.
func (m *scanner) cards(i int) (masked int) {
	p, least := i, max(m.cardEnd, m.pos, i-maxSpan)
	for p > least && (is(m.s[p-1], digit) || p-1 > least && (m.s[p-1] == ' ' || m.s[p-1] == '-') && is(m.s[p-2], digit)) {
		p--
	}
	m.work += i - p + 1
	for p = max(p, least); p <= i; {
		if to := m.run(p, digit); to-p < minCard && !m.groupAt(to+1) { // a date, a port
			p = max(to, p+1)
			m.cardEnd = p
			continue
		}
		r := m.digitRun(p)
		if r.digits >= minCard {
			masked = max(masked, m.cardIn(r))
		}
		p = max(r.end(), p+1)
		m.cardEnd = p
		for p <= i && !is(m.s[p], digit) {
			p++
		}
	}
	return masked
}

// groupAt reports whether a further group of digits may start at i.
func (m *scanner) groupAt(i int) bool {
	return i+1 < len(m.s) && is(m.s[i], digit) && is(m.s[i+1], digit)
}

// digitRun is digits in groups of three and more, one space or hyphen between.
type digitRun struct {
	from, to [6]int
	n        int // groups
	digits   int
	long     bool // there are more groups: a table
}

func (r *digitRun) end() int {
	if r.n == 0 {
		return 0
	}
	return r.to[r.n-1]
}

func (m *scanner) digitRun(i int) (r digitRun) {
	s := m.s
	for {
		to := m.run(i, digit)
		if r.n > 0 && to-i < 3 || to == i {
			return r
		}
		if r.n == len(r.from) {
			r.long = true
			r.to[r.n-1] = to
		} else {
			r.from[r.n], r.to[r.n] = i, to
			r.n++
		}
		r.digits += to - i
		if to-i < 3 || to+1 >= len(s) || s[to] != ' ' && s[to] != '-' || !is(s[to+1], digit) {
			return r
		}
		i = to + 1
	}
}

// cardIn masks the first card number among the groups of r.
func (m *scanner) cardIn(r digitRun) int {
	for i := 0; i < r.n && !r.long && !m.inTable(r); i++ {
		digits := 0
		for j := i; j < r.n; j++ {
			if digits += r.to[j] - r.from[j]; digits > maxCard {
				break
			}
			if digits >= minCard && m.cardAt(r.from[i], r.to[j], i > 0, j+1 < r.n) {
				return m.maskCard(r.from[i], r.to[j])
			}
		}
	}
	m.missed = true
	return 0
}

// inTable reports whether a word of hexadecimal with letters stands beside r: a
// table of code points, say.
func (m *scanner) inTable(r digitRun) bool {
	from, to := r.from[0]-1, r.end()
	if r.n < 2 {
		return false
	}
	if from > 0 && m.s[from] == ' ' {
		from = m.runBack(from, hexa, 6)
	}
	end := to
	if to < len(m.s) && m.s[to] == ' ' {
		end = m.run(to+1, hexa)
	}
	hexWord := func(w string) bool { return len(w) >= 4 && len(w) <= 6 && mixed(w) }
	return from >= 0 && hexWord(m.s[from:max(from, r.from[0]-1)]) || end > to && hexWord(m.s[to+1:end])
}

// cardAt reports whether the digits in [from, to) stand alone, or beside other
// groups, have the issuer's prefix and length, and pass the Luhn check.
func (m *scanner) cardAt(from, to int, before, after bool) bool {
	s := m.s
	if !before && from > 0 && (is(s[from-1], word) || s[from-1] == '-' || s[from-1] == '.' || s[from-1] == '+' || s[from-1] == '/') {
		return false
	}
	if !after && to < len(s) && (is(s[to], word) || s[to] == '-' || s[to] == '.' && to+1 < len(s) && is(s[to+1], digit)) {
		return false
	}
	var digits [maxCard]byte
	n, group, groups := 0, 0, [5]int{}
	for i := from; i < to; i++ {
		if !is(s[i], digit) {
			if group++; group == len(groups) {
				return false
			}
			continue
		}
		digits[n] = s[i] - '0'
		groups[group]++
		n++
	}
	if n == maxCard && group == 0 && digits[0] == 4 {
		return false // a 64-bit integer sooner than the rare long card number
	}
	return grouped(groups, group) && issued(digits[:n]) && luhn(digits[:n])
}

// grouped reports whether the groups are those printed on cards: 4-4-4-4
// (with up to three more), 4-6-5, 4-6-4.
func grouped(groups [5]int, last int) bool {
	switch last {
	case 0:
		return true
	case 2:
		return groups[0] == 4 && groups[1] == 6 && groups[2] >= 4
	case 3, 4:
		return groups[0] == 4 && groups[1] == 4 && groups[2] == 4 && groups[3] == 4
	}
	return false
}

// issued reports whether an issuer gives out numbers with this beginning and
// length.
func issued(d []byte) bool {
	head := 0
	for _, c := range d[:4] {
		head = head*10 + int(c)
	}
	switch n := len(d); {
	case n >= 16 && maestro(head):
		return true
	case n == 14:
		return head >= 3000 && head <= 3059 || head/100 == 36 || head/100 == 38
	case n == 15:
		return head/100 == 34 || head/100 == 37
	case n == 16:
		return head/1000 == 4 || head >= 5100 && head <= 5599 || head >= 2221 && head <= 2720 ||
			head == 6011 || head/10 >= 644 && head/10 <= 659 || head >= 3528 && head <= 3589 || head/100 == 62
	case n == 19:
		return head/1000 == 4 || head/100 == 62
	}
	return false
}

func maestro(head int) bool {
	return head == 5018 || head == 5020 || head == 5038 || head == 5893 || head == 6304 || head == 6759 || head >= 6761 && head <= 6763
}

func luhn(d []byte) bool {
	sum, same := 0, true
	for i, c := range d {
		sum += int(c)
		same = same && c == d[0]
		if (len(d)-i)%2 == 0 {
			if sum += int(c); c > 4 {
				sum -= 9
			}
		}
	}
	return sum%10 == 0 && !same
}

// maskCard masks a number; a bare JSON number becomes a string.
func (m *scanner) maskCard(from, to int) int {
	i := from
	for i > 0 && from-i < 4 && is(m.s[i-1], blank) {
		i--
	}
	if i >= 2 && m.s[i-1] == ':' && m.s[i-2] == '"' {
		return m.replace(from, to, `"`+Mask+`"`)
	}
	return m.mask(from, to)
}
