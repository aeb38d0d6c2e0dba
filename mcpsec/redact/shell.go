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
	{"openssl ", "pass:", true}, {"openssl enc ", "-k", false}, {"psexec ", "-p", false}, {"winrs ", "-p:", true}, {"snmpwalk ", "-A", false}, {"snmpwalk ", "-X", false}, {"snmpget ", "-A", false}, {"snmpget ", "-X", false},
	{"gh secret set ", "--body", false}, {"SecureString ", "--value", false},
}

// maxCommand bounds how far behind a command's name its flag may be.
const maxCommand = 160

// rest returns the end of the command line that goes on at i.
func (m *scanner) rest(i int) int {
	end := min(len(m.s), i+maxCommand)
	if eol := strings.IndexByte(m.s[i:end], '\n'); eol >= 0 {
		end = i + eol
	}
	m.work += end - i
	return end
}

// flagged masks what follows the flags of c on the line that goes on at i.
func (m *scanner) flagged(c *command, i int) (masked int) {
	if i < m.commandEnd && m.command == c { // its name again, on the same line
		return 0
	}
	s, end := m.s, m.rest(i)
	m.command, m.commandEnd = c, end
	m.missed = true                          // for other flags before the one that is masked
	inside := c.flag == "%" || c.flag == "," // user%password
	for {
		at := strings.Index(s[i:end], c.flag)
		if at < 0 {
			return masked
		}
		i += at + len(c.flag)
		if inside && !m.ofUser(i-len(c.flag)) {
			continue
		}
		if !inside && !is(s[i-len(c.flag)-1], blank) || i >= end || is(s[i], blank) && c.joined {
			continue
		}
		if s[i] == '=' {
			i++
		}
		if to := m.word(skipBlank(s, i), end); to > 0 {
			masked, i = to, max(i, min(to, end))
		}
	}
}

// ofUser reports whether the word that goes on at i is the argument of a flag for
// the user: -U bob%, -u bob, and --user=bob.
func (m *scanner) ofUser(i int) bool {
	from := m.runBack(i, notWhite, maxKey)
	word := m.s[from:i]
	return hasFold(word, 0, "-u") || hasFold(word, 0, "--user=") || from > 0 && isQuote(m.s[from-1]) && hasFold(m.s, from-4, "-u ") || hasFold(m.s, from-3, "-u ") || hasFold(m.s, from-7, "--user ")
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
// argument, behind the file or the user's name.
func (m *scanner) htpasswd(i int) int {
	s, end := m.s, m.rest(i)
	flags := i
	for flags < end && !is(s[flags], blank) {
		flags++
	}
	if flags == i || s[i] != '-' || strings.IndexByte(s[i:flags], 'b') < 0 {
		return 0
	}
	for end > flags && is(s[end-1], white) {
		end--
	}
	v := end
	for v > flags && !is(s[v-1], blank) {
		v--
	}
	if v <= skipBlank(s, flags) {
		return 0
	}
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
