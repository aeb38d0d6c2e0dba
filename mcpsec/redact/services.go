package redact

import "strings"

// The matchers here find credentials of single services that have no prefix of
// their own, or none that is enough.

// pathSecret masks the rest of a URL whose path is the secret.
func (m *scanner) pathSecret(from, least int) int {
	if strings.HasPrefix(m.s[from:], "services/") {
		from += len("services/")
	}
	if to := m.run(from, urlPath); to-from >= least {
		return m.mask(from, to)
	}
	return 0
}

func (m *scanner) discordHook(from int) int {
	id := m.run(from, alnum)
	if id-from < 16 || id >= len(m.s) || m.s[id] != '/' {
		return 0
	}
	if to := m.run(id+1, b64url); to-id > 40 {
		return m.mask(id+1, to)
	}
	return 0
}

// telegram finds 123456789:AA… at its colon.
func (m *scanner) telegram(colon int) int {
	if id := m.runBack(colon, digit, 12); colon-id < 8 {
		return 0
	}
	if to := m.run(colon+1, b64url); to-colon > 30 {
		return m.mask(colon+1, to)
	}
	return 0
}

// mailchimp finds thirty-two hex digits before -us21.
func (m *scanner) mailchimp(dash, end int) int {
	from := m.runBack(dash, hexa, 33)
	if dash-from != 32 || end-dash > 5 {
		return 0
	}
	return m.mask(from, dash)
}

func (m *scanner) terraform(start, end int) int {
	from, to := m.runBack(start, alnum, 32), m.run(end, b64url)
	if start-from < 8 || to-end < 32 {
		return 0
	}
	return m.mask(from, to)
}

// airtable finds pat, fourteen letters or digits, a dot and 64 hex digits.
func (m *scanner) airtable(start, end int) int {
	const id = 14
	if end+id >= len(m.s) || m.s[end+id] != '.' || !m.startsWord(start) || m.run(end, alnum) != end+id {
		return m.missedAround(start, max(end+id, m.run(end, alnum))+1)
	}
	if to := m.run(end+id+1, hexa); to-end-id > 60 {
		return m.mask(end, to)
	}
	return 0
}

// discordBot finds the three parts of a bot token; the first is the base64 of
// a decimal number.
func (m *scanner) discordBot(start int) int {
	if !m.startsWord(start) {
		return 0
	}
	id := m.run(start, b64url)
	if n := id - start; n < 23 || n > 30 || id+7 >= len(m.s) || m.s[id] != '.' {
		return 0
	}
	stamp := m.run(id+1, b64url)
	if stamp-id != 7 || stamp >= len(m.s) || m.s[stamp] != '.' {
		return 0
	}
	if to := m.run(stamp+1, b64url); to-stamp > 27 {
		return m.mask(start, to)
	}
	return 0
}

// azure finds keys that carry Azure's signature at a fixed place: behind so
// many bytes, in a key of so many.
func (m *scanner) azure(start, end int) int {
	var before, whole int
	switch m.s[start:end] {
	case "+ASt", "ACDb":
		before, whole = 76, 86
	case "AZDO":
		before, whole = 76, 84
	case "AzFu":
		before, whole = 44, 54
	case "AzSe", "+ACR":
		before, whole = 42, 52
	case "+AEh":
		before, whole = 33, 43
	default:
		before, whole = 52, 84
	}
	from, to := start-before, m.run(end, b64any)
	if !m.exactly(before, b64any, start) || to-from < whole || to-from > whole+2 {
		return 0
	}
	for to < len(m.s) && m.s[to] == '=' {
		to++
	}
	return m.mask(from, to)
}

// exactly reports whether n bytes of c, and no more, stand before i.
func (m *scanner) exactly(n int, c class, i int) bool {
	m.work += n + 1
	from := i - n
	if from < m.pos || !all(m.s[from:i], c) {
		return false
	}
	return from == 0 || !is(m.s[from-1], c) || m.startsWord(from)
}

// adyen finds AQE, base64, a hyphen, base64, a hyphen and sixteen bytes of any
// kind.
func (m *scanner) adyen(start int) int {
	if !m.startsWord(start) {
		return 0
	}
	to := m.run(start, b64)
	if to-start < 60 || to >= len(m.s) || m.s[to] != '-' {
		return 0
	}
	second := m.run(to+1, b64)
	if second-to < 30 || second >= len(m.s) || m.s[second] != '-' {
		return 0
	}
	for to = second + 1; to < len(m.s) && to-second < 24 && !is(m.s[to], white) && !isQuote(m.s[to]); {
		to++
	}
	return m.mask(start, to)
}

// inner finds credentials by what stands within them or at their end.
func (m *scanner) inner(start, end int) int {
	switch m.s[start:end] {
	case "msh": // RapidAPI: ten, msh, and some forty
		if to := m.run(end, alnum); m.exactly(10, alnum, start) && to-start >= 40 && to-start <= 41 {
			return m.mask(start-10, to)
		}
	case "_mmk": // MaxMind
		if m.exactly(36, word, start) {
			return m.mask(start-36, start)
		}
	case ":APA91b": // Firebase Cloud Messaging
		if to := m.run(end, b64url); to-end >= 100 {
			return m.mask(m.runBack(start, b64url, 32), to)
		}
	default: // Twitter: zeros in base64, percent-encoded
		if to := m.run(end, opaque); m.startsWord(start) && to-end >= 60 && to-end < maxPlain && strings.IndexByte(m.s[end:to], '%') >= 0 {
			return m.mask(end, to)
		}
	}
	return 0
}
