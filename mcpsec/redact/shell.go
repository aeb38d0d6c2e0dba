package redact

import "strings"

// command is a program that takes a secret as the argument of a flag.
type command struct {
	name   string
	flag   string
	joined bool // the secret follows without a blank: with one, it is another argument
}

// commands lists those whose flags do not say what they take.
var commands = []command{
	{"mysql ", "-p", true}, {"mysqldump ", "-p", true}, {"mysqladmin ", "-p", true}, {"mysqlimport ", "-p", true}, {"mariadb ", "-p", true}, {"mariadb-dump ", "-p", true}, {"7z ", "-p", true},
	{"redis-cli ", "-a", false}, {"docker login ", "-p", false}, {"podman login ", "-p", false}, {"buildah login ", "-p", false}, {"registry login ", "-p", false}, {"az login ", "-p", false}, {"twine upload ", "-p", false},
	{"ldapsearch ", "-w", false}, {"ldapadd ", "-w", false}, {"ldapmodify ", "-w", false}, {"ldapwhoami ", "-w", false},
	{"sqlcmd ", "-P", false}, {"bcp ", "-P", false}, {"isql ", "-P", false}, {"ipmitool ", "-P", false}, {"zip ", "-P", false}, {"unzip ", "-P", false},
	{"mongosh ", "-p", false}, {"mongo ", "-p", false}, {"mongodump ", "-p", false}, {"mongorestore ", "-p", false}, {"mongoexport ", "-p", false},
	{"ncftpput ", "-p", false}, {"ncftpget ", "-p", false}, {"sshpass ", "-p", false}, {"xfreerdp ", "/p:", true},
	{"smbclient ", "%", true}, {"lftp ", ",", true},
	{"openssl ", "-passin pass:", true}, {"openssl ", "-passout pass:", true}, {"openssl ", "-pass pass:", true},
}

// maxCommand bounds how far behind a command's name its flag may be.
const maxCommand = 160

// flagged masks what follows the flag of c on the line that goes on at i.
func (m *scanner) flagged(c *command, i int) int {
	s, end := m.s, min(len(m.s), i+maxCommand)
	if eol := strings.IndexAny(s[i:end], "\n|"); eol >= 0 {
		end = i + eol
	}
	m.work += end - i
	inside := c.flag == "%" || c.flag == "," // user%password
	for {
		at := strings.Index(s[i:end], c.flag)
		if at < 0 {
			return 0
		}
		i += at + len(c.flag)
		if inside || is(s[i-len(c.flag)-1], blank) {
			break
		}
	}
	switch {
	case i < end && s[i] == '=':
		i++
	case i < end && is(s[i], blank) && c.joined:
		return 0
	}
	return m.word(skipBlank(s, i), end)
}

// word masks the argument that starts at v, before end.
func (m *scanner) word(v, end int) int {
	if v >= end || m.s[v] == '-' || m.hopeless(isPassword, styleEqual, v) {
		return 0
	}
	to, start, _ := m.bounds(styleEqual, v, v)
	if start >= to || masked(m.s[start:to]) || placeholder(m.s[start:to]) {
		return 0
	}
	return m.mask(start, to)
}

// htpasswd masks the password that -b takes from the command line: the last
// argument.
func (m *scanner) htpasswd(i int) int {
	s, end := m.s, min(len(m.s), i+maxCommand)
	if eol := strings.IndexAny(s[i:end], "\n|;&"); eol >= 0 {
		end = i + eol
	}
	m.work += end - i
	words := strings.Fields(s[i:end])
	if len(words) < 3 || words[0][0] != '-' || !strings.Contains(words[0], "b") {
		return 0
	}
	last := words[len(words)-1]
	v := i + strings.LastIndex(s[i:end], last)
	return m.word(v, end)
}

// userFlag masks the password of -u user:password, also joined to the flag.
func (m *scanner) userFlag(end int) int {
	v := skipBlank(m.s, end)
	if v >= len(m.s) || m.hopeless(isPassword, styleEqual, v) {
		return 0
	}
	to, start, _ := m.bounds(styleEqual, end, v)
	colon := strings.IndexByte(m.s[start:min(to, start+maxPlain)], ':')
	if colon < 1 {
		return 0
	}
	user, from := m.s[start:start+colon], start+colon+1
	if from >= to || masked(m.s[from:to]) || placeholder(m.s[from:to]) || !callee(user) || strings.HasSuffix(user, ":") {
		return 0
	}
	if port(m.s[from:to]) && (user == "localhost" || strings.IndexByte(user, '.') >= 0) {
		return 0 // host:port
	}
	return m.mask(from, to)
}

// securely masks what ConvertTo-SecureString takes.
func (m *scanner) securely(end int) int {
	if v := skipBlank(m.s, end); v < len(m.s) && isQuote(m.s[v]) {
		return m.word(v, len(m.s))
	}
	return 0
}
