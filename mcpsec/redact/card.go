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
		n, to := m.cardRun(p)
		if n >= minCard && n <= maxCard && m.cardAt(p, to) {
			masked = m.maskCard(p, to)
		} else if n >= minCard {
			m.missed = true
		}
		m.cardEnd = to
		for p = to; p <= i && !is(m.s[p], digit); p++ {
		}
	}
	return masked
}

// cardRun returns how many digits start at i, in groups of three and more with
// one space or hyphen between them, and where they end.
func (m *scanner) cardRun(i int) (n, to int) {
	s := m.s
	for {
		group := m.run(i, digit)
		n += group - i
		to = group
		if n > maxCard || group-i < 3 || group+3 >= len(s) || s[group] != ' ' && s[group] != '-' || !is(s[group+1], digit) {
			return n, to
		}
		i = group + 1
	}
}

// cardAt reports whether the digits in [from, to) stand alone, have the
// issuer's prefix and length, and pass the Luhn check.
func (m *scanner) cardAt(from, to int) bool {
	s := m.s
	if from > 0 && (is(s[from-1], word) || s[from-1] == '-' || s[from-1] == '.' || s[from-1] == '+' || s[from-1] == '/') {
		return false
	}
	if to < len(s) && (is(s[to], word) || s[to] == '-' || s[to] == '.' && to+1 < len(s) && is(s[to+1], digit)) {
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
