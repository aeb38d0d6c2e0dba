package redact

import "strings"

// maxUserinfo bounds how far after "://" the @ of the credentials may be.
const maxUserinfo = 512

// userinfo finds the password in scheme://user:password@host, with every
// character that people forget to escape, and a long random user name alone.
func (m *scanner) userinfo(start, end int) int {
	s := m.s
	if start == 0 || !is(s[start-1], alnum) || end >= len(s) || s[end] == '[' {
		return m.missedBefore(end + 1)
	}
	u := m.authority(end)
	m.work += u.end - end + 1
	if u.at < 0 {
		return m.missedBefore(u.end + 1)
	}
	user := u.at
	if u.colon >= 0 && u.colon < u.at {
		if user = u.colon; user+1 < u.at {
			return m.password(user+1, u.at)
		}
	}
	if user-end >= 20 && mixed(s[end:user]) { // a token in the place of the user
		return m.mask(end, user)
	}
	return 0
}

// escapedUserinfo is userinfo for a URL inside a parameter of another, with
// every mark escaped; from is behind %3A%2F%2F.
func (m *scanner) escapedUserinfo(from int) int {
	colon, i := -1, from
	for end := min(len(m.s), from+maxUserinfo/4); i < end && !is(m.s[i], white); i++ {
		switch {
		case colon < 0 && hasFold(m.s, i, "%3a"):
			colon = i
		case hasFold(m.s, i, "%2f") && colon < 0, m.s[i] == '&':
			m.work += i - from
			return 0
		case colon >= 0 && hasAt(m.s, i, "%40"):
			m.work += i - from
			return m.password(colon+3, i)
		}
	}
	m.work += i - from
	return 0
}

// password masks the password of a URL unless it is a placeholder.
func (m *scanner) password(from, to int) int {
	if v := m.s[from:to]; masked(v) || placeholder(v) || reference(v) {
		return 0
	}
	return m.mask(from, to)
}

type authority struct{ colon, at, end int }

// authority looks for the first colon and the last @ of what may be the
// authority. A slash or # ends it once an @ was seen; before that, it may be
// part of a password that was not escaped. It ends at the next "://", so that
// a row of those is looked at once.
func (m *scanner) authority(from int) authority {
	s, u, slash := m.s, authority{-1, -1, -1}, -1
	i, end := from, min(len(s), from+maxUserinfo)
	for ; i < end; i++ {
		switch s[i] {
		case ' ', '\t', '\n', '\r', '"', '\'', '`', '<', '>', '\\', '|':
			u.end = i
			return u
		case ':':
			if strings.HasPrefix(s[i:], "://") {
				u.end = i
				return u
			}
			if u.colon < 0 && slash < 0 {
				u.colon = i
			}
		case '@':
			// user:pass/word@ holds a slash, host:8080/a@b and host/a@b are paths.
			if slash < 0 || u.colon >= 0 && !port(s[u.colon+1:slash]) {
				u.at = i
			}
		case '/', '?', '#':
			if u.at >= 0 {
				u.end = i
				return u
			}
			if slash < 0 {
				slash = i
			}
		case '[':
			// An IPv6 host, or the mask of an earlier pass.
			if u.at >= 0 || u.colon < 0 {
				u.end = i
				return u
			}
		}
	}
	u.end = i
	return u
}

// port reports whether v is empty or a port number.
func port(v string) bool {
	for i := range len(v) {
		if !is(v[i], digit) {
			return false
		}
	}
	return len(v) <= 5
}

// mysql finds user:password@tcp(host) at its @.
func (m *scanner) mysql(at int) int {
	s, least := m.s, max(m.pos, at-128)
	colon := -1
	i := at - 1
	for ; i >= least; i-- {
		switch c := s[i]; {
		case c == ':':
			colon = i
		case is(c, white) || c == '"' || c == '\'' || c == '`' || c == '(' || c == '=' && colon >= 0:
			least = i + 1
		}
	}
	m.work += at - i
	if colon < 0 || colon+1 == at {
		return 0
	}
	return m.password(colon+1, at)
}

// oracle finds the password of user/password@, which starts at from; its @ is
// at at.
func (m *scanner) oracle(from, at int) int {
	slash := -1
	if at > from {
		slash = strings.IndexByte(m.s[from:at], '/')
	}
	if slash < 1 || from+slash+1 == at || !all(m.s[from:from+slash], word) {
		return 0
	}
	return m.password(from+slash+1, at)
}

// pgpass finds the last field of host:5432:database:user:password.
func (m *scanner) pgpass(from int) int {
	i, end := from, min(len(m.s), from+256)
	var colons [2]int
	for n := 0; n < 2; i++ {
		if i >= end || is(m.s[i], white) || m.s[i] == '/' {
			m.work += i - from + 1
			return m.missedBefore(i + 1)
		}
		if m.s[i] == ':' {
			colons[n] = i
			n++
		}
	}
	to := i
	for to < end && !is(m.s[to], white) && m.s[to] != '"' && m.s[to] != '\\' {
		to++
	}
	m.work += to - from + 1
	if to == i || masked(m.s[i:to]) {
		return 0
	}
	return m.mask(i, to)
}

// pgpassAny finds the last field of host:*:*:user:password.
func (m *scanner) pgpassAny(from int) int {
	to := m.run(from, notWhite)
	colon := strings.IndexByte(m.s[from:min(to, from+maxPlain)], ':')
	if colon < 1 || !all(m.s[from:from+colon], ident) || masked(m.s[from+colon+1:to]) {
		return 0
	}
	return m.mask(from+colon+1, to)
}
