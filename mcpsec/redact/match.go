package redact

import "strings"

// Matchers told apart by literal.arg.
const (
	atMySQL uint16 = iota + 1
	atPgpass
	atPgpassAny
	atSlackHook
	atDiscordHook
	atWebhook
	atTeamsHook
	atTelegram
	atMailchimp
	atTerraform
	atAirtable
	atDiscordBot
	atJWK
	atJWKPoint
	atURLStruct
	atBase64
	atUserFlag
	atSMTP
	atIdentified
	atIdentifiedWith
	atSetPassword
	atPgcrypto
	atSalt
	atHtpasswd
	atSecureString
	atLogin
	atPass
	atRedisAuth
	atOracle
	atThin
	atEscapedURL
	atTwoWords
	atForeign
	atPuTTY
	atAzure
	atAdyen
	atSuffix
	atSSH2
	atZapier
)

// specials returns the literals other than token prefixes and key names.
func specials() (list []literal) {
	add := func(k kind, arg uint16, texts ...string) {
		for _, text := range texts {
			list = append(list, literal{text: text, kind: k, arg: arg})
		}
	}
	add(kindURL, 0, "://", `:\/\/`)
	add(kindJWT, 0, "eyJ")
	add(kindPEM, 0, "-----BEGIN ")
	add(kindHash, 0, "$2a$", "$2b$", "$2y$", "$argon2", "$apr1$", "$1$", "$P$", "$H$", "$scrypt$", "$pbkdf2", "$5$", "$6$", "$y$", "$7$", "{SSHA}", "{SSHA256}", "{SSHA512}", "{SHA}", "{CRYPT}", "SCRAM-SHA-256$", "SCRAM-SHA-1$", "pbkdf2_sha256$")
	add(kindSpecial, atMySQL, "@tcp(", "@unix(", "@cloudsql(")
	add(kindSpecial, atPgpass, ":5432:")
	add(kindSpecial, atPgpassAny, ":*:*:")
	add(kindSpecial, atSlackHook, "hooks.slack.com/", "hooks.slack-gov.com/")
	add(kindSpecial, atDiscordHook, "/webhooks/")
	add(kindSpecial, atZapier, "hooks.zapier.com/hooks/catch/")
	add(kindSpecial, atWebhook, "outlook.office.com/webhook/", "webexapis.com/v1/webhooks/incoming/", "hook.eu1.make.com/", "hook.us1.make.com/",
		"events.pagerduty.com/integration/", "/with/key/", "/invite/accept/", "chat.googleapis.com/v1/spaces/")
	add(kindSpecial, atTeamsHook, "webhook.office.com/")
	add(kindSpecial, atTelegram, ":AA")
	add(kindSpecial, atMailchimp, "-us\x00")
	add(kindSpecial, atTerraform, ".atlasv1.")
	add(kindSpecial, atAirtable, "pat")
	for _, a := range "MNO" {
		for _, b := range "DTjz" {
			for _, c := range "AEIMQUYcgk" {
				add(kindSpecial, atDiscordBot, string([]rune{a, b, c}))
			}
		}
	}
	add(kindSpecial, atJWK, `"d":"`, `"p":"`, `"q":"`, `"dp":"`, `"dq":"`, `"qi":"`, `"k":"`, `"d": "`, `\"d\":\"`, `\"k\":\"`, `\"p\":\"`, `\"q\":\"`, `\"dp\":\"`, `\"dq\":\"`, `\"qi\":\"`)
	add(kindSpecial, atJWKPoint, `"crv":`, `"crv" :`)
	add(kindSpecial, atURLStruct, " User:", "{User:")
	// "password", "secret", "-----BEGIN", "://", "Bearer ", "PASSWORD", "_KEY="
	// and "TOKEN" in base64, at each of three alignments.
	add(kindSpecial, atBase64, "cGFzc3dvcm", "Bhc3N3b3Jk", "wYXNzd29yZ", "c2VjcmV0", "zZWNyZX", "NlY3Jld", "LS0tLS1CRUdJTi", "0tLS0tQkVHSU", "tLS0tLUJFR0lO",
		"Oi8v", "o6Ly", "M6Ly", "ovL", "QmVhcmVy", "JlYXJlci", "CZWFyZXIg", "UEFTU1dPUk", "BBU1NXT1JE", "QQVNTV09SR", "X0tFWT", "9LRVk9", "fS0VZP", "VE9LRU", "RPS0VO", "UT0tFT")
	add(kindSpecial, atAzure, "+ASt", "ACDb", "AZDO", "AzFu", "AzSe", "+ACR", "+AEh", "JQQJ99")
	add(kindSpecial, atAdyen, "AQE\x02")
	add(kindSpecial, atSuffix, "msh", "_mmk", ":APA91b", "AAAAAAAAAAAAAAAAAAAAA")
	add(kindSpecial, atSSH2, "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----")
	add(kindSpecial, atUserFlag, " -u ", " -u\x02", " --user ", " --proxy-user ")
	add(kindSpecial, atHtpasswd, "htpasswd ")
	add(kindSpecial, atLogin, " LOGIN ")
	add(kindSpecial, atPass, "PASS ")
	add(kindSpecial, atRedisAuth, "AUTH ", `"AUTH" `)
	add(kindSpecial, atOracle, "@//")
	add(kindSpecial, atThin, ":thin:")
	for i := range commands {
		add(kindCommand, uint16(i), commands[i].name)
	}
	fold := func(k kind, arg uint16, texts ...string) {
		for _, text := range texts {
			list = append(list, literal{text: text, fold: true, kind: k, arg: arg})
		}
	}
	fold(kindScheme, 0, "bearer", "basic", "apikey ", "ssws ", "negotiate ")
	fold(kindSpecial, atEscapedURL, "%3a%2f%2f")
	fold(kindSpecial, atSecureString, "-securestring ")
	fold(kindSpecial, atTwoWords, "api key", "access key", "secret key", "auth key", "unseal key")
	add(kindSpecial, atForeign, foreign...)
	fold(kindSpecial, atPuTTY, "private-lines: ")
	fold(kindSpecial, atSMTP, "auth plain", "auth login", "auth xoauth2", "auth cram-md5", "authenticate plain", "authenticate login", "authenticate xoauth2", "authenticate oauthbearer", "334 ugfzc3dvcmq6")
	fold(kindSpecial, atIdentified, "identified by ")
	fold(kindSpecial, atIdentifiedWith, "identified with ")
	fold(kindSpecial, atSetPassword, "set password for ")
	fold(kindSpecial, atPgcrypto, "pgp_sym_encrypt", "pgp_sym_decrypt")
	fold(kindSpecial, atSalt, ", gen_salt(")
	return list
}

func (m *scanner) special(what uint16, start, end int) int {
	switch what {
	case atMySQL:
		return m.mysql(start)
	case atPgpass:
		return m.pgpass(end)
	case atPgpassAny:
		return m.pgpassAny(end)
	case atSlackHook, atWebhook:
		return m.pathSecret(end, 20)
	case atZapier:
		return m.pathSecret(end, 12)
	case atTeamsHook:
		return m.mask(start, m.run(end, urlPath))
	case atDiscordHook:
		return m.discordHook(end)
	case atTelegram:
		return m.telegram(start)
	case atMailchimp:
		return m.mailchimp(start, end)
	case atTerraform:
		return m.terraform(start, end)
	case atAirtable:
		return m.airtable(start, end)
	case atDiscordBot:
		return m.discordBot(start)
	case atJWK:
		return m.jwk(end)
	case atJWKPoint:
		return m.jwkPoint(end)
	case atURLStruct:
		return m.urlStruct(end)
	case atBase64:
		return m.encoded(start)
	case atSMTP:
		return m.smtp(end)
	case atEscapedURL:
		return m.escapedUserinfo(end)
	case atTwoWords:
		return m.twoWords(isToken, start, end)
	case atForeign:
		return m.twoWords(isPassword, start, end)
	case atPuTTY:
		return m.putty(end)
	case atAzure:
		return m.azure(start, end)
	case atAdyen:
		return m.adyen(start)
	case atSuffix:
		return m.inner(start, end)
	case atSSH2:
		return m.ssh2(end)
	case atUserFlag:
		return m.userFlag(end)
	case atHtpasswd:
		return m.htpasswd(end)
	case atSecureString:
		return m.securely(end)
	case atIdentified:
		return m.identified(end)
	case atIdentifiedWith:
		return m.literalAfter(end, " by '", " as '")
	case atSetPassword:
		return m.literalAfter(end, " = '", "='")
	case atPgcrypto:
		return m.literalAfter(end, ", '")
	case atSalt:
		return m.salted(start)
	case atLogin:
		return m.login(start, end)
	case atPass:
		return m.passCommand(start, end)
	case atRedisAuth:
		return m.redisAuth(start, end)
	case atOracle:
		return m.oracle(m.runBack(start, notWhite, 96), start)
	default: // atThin
		at := m.run(end, notWhite)
		return m.oracle(end, end+strings.LastIndexByte(m.s[end:min(at, end+96)], '@'))
	}
}

// jwk finds the private members of a JSON Web Key: long base64url and nothing
// else in the string.
func (m *scanner) jwk(from int) int {
	to := m.run(from, b64url)
	if to-from < 40 || to >= len(m.s) || m.s[to] != '"' && m.s[to] != '\\' {
		return 0
	}
	return m.mask(from, to)
}

// jwkPoint masks the public point of a JSON Web Key on a curve that has its
// private member beside it: such a key goes as a whole.
func (m *scanner) jwkPoint(from int) int {
	near := m.s[from:min(len(m.s), from+512)]
	m.work += len(near)
	if !strings.Contains(near, `"d":"`) {
		return 0
	}
	end := 0
	for _, name := range []string{`"x":"`, `"y":"`} {
		if i := strings.Index(near, name); i >= 0 && from+i > end {
			end = max(end, m.jwk(from+i+len(name)))
		}
	}
	return end
}

// urlStruct finds the password in a url.URL printed with %+v.
func (m *scanner) urlStruct(from int) int {
	to := from
	for colon := -1; to < min(len(m.s), from+maxPlain); to++ {
		switch c := m.s[to]; {
		case c == ':' && colon < 0:
			colon = to
		case is(c, white) && colon > from && hasAt(m.s, to, " Host:"):
			return m.password(colon+1, to)
		case is(c, white):
			m.work += to - from
			return 0
		}
	}
	m.work += to - from
	return 0
}

// hash masks the salt and digest of a password hash, as crypt(3) and
// PostgreSQL write them, and leaves the name of the method.
func (m *scanner) hash(start, end int) int {
	if start > 0 && is(m.s[start-1], word) && m.s[start] != '{' {
		return 0
	}
	to := m.run(end, crypt)
	for m.s[start] == 'S' && to < len(m.s) && m.s[to] == ':' { // SCRAM: stored key : server key
		to = m.run(to+1, crypt)
	}
	from := end
	if cost := m.run(end, digit); cost < to && m.s[cost] == '$' {
		from = cost + 1
	}
	if to-from < 20 {
		return 0
	}
	return m.mask(from, to)
}
