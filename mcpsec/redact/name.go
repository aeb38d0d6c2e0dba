package redact

import "sync"

// secrecy says what a key name tells about its value.
type secrecy uint8

const (
	notSecret  secrecy = iota
	isPassword         // whatever the value looks like
	isToken            // a value of some length that is no plain word
	isRandom           // only a value that looks random: names with other uses
	isDigits           // a short number: PIN, CVC, one-time code
	isHeader           // Authorization: scheme and credentials
	isCookie           // Cookie, Set-Cookie: name=value pairs
)

// keyParts are the texts at which a key name is recognised, anywhere in it.
var keyParts = []string{
	"pass", "pwd", "secret", "token", "credential", "cookie", "authorization", "session", "sessid", "kennwort", "wachtwoord",
	"apikey", "api_key", "api-key", "_key", "-key", "accesskey", "privatekey", "privkey", "accountkey", "authkey", "secretkey", "signingkey", "signkey", "encryptionkey", "cryptkey",
	"masterkey", "sharedkey", "licensekey", "storagekey", "deploykey", "servicekey", "rolekey", "anonkey", "clientkey", "serverkey", "userkey", "appkey", "jwtkey", "sshkey", "webhookkey", "writekey", "adminkey", "hmackey", "passkey", "sessionkey",
	"key=", `"key`, "code=\x02", "sig=", `"sig`, "signature=", "-signature", "_auth", "auth=", `"auth"`, "verifier", "_assertion", "samlresponse", "initial_response", "id_token_hint",
	"cvc", "cvv", "_otp=", `_otp"`, "_otp:", `"otp"`, "otp=\x00", "pin=\x00", "pin:\x00", "pin: \x00", `"pin`, "_pin", "mnemonic=", `mnemonic"`, "mnemonic:", "seed_phrase", "seedphrase", "sid=", ".sid", "sid%", `"sid`, "_jwt", `"jwt`, "jwt=", "jwt:", `"pw`, "pw=", "pw:", "userpw", "security_code", "ticket=", "hmac=", "appid=", "listenkey", `mac="`, "functions-key", ".key:", ".key=", ".sess", `"device_code`, `"mfa_code`, "psk=", "psk:", `"psk`, "requirepass", "masterauth", "applicationkey", "consumerkey", "kagglekey", "unsealkey", "validationkey", "decryptionkey", "response=", "senha", "mot_de_passe", "motdepasse", "contrasena",
}

// foreign are words for password that have no other use, or letters that key
// names are not made of.
var foreign = []string{
	"contrase\u00f1a", "Contrase\u00f1a", "clave_secreta", "mot de passe", "Mot de passe", "has\u0142o", "Has\u0142o", "haslo", "l\u00f6senord", "L\u00f6senord", "losenord",
	"adgangskode", "Adgangskode", "passord", "Passord", "salasana", "Salasana", "jelsz\u00f3", "Jelsz\u00f3", "jelszo", "heslo", "Heslo", "parola", "Parola", "\u015fifre", "\u015eifre", "sifre",
	"cl\u00e9_api", "Zugangsschl\u00fcssel", "\u0643\u0644\u0645\u0629_\u0627\u0644\u0645\u0631\u0648\u0631", "\u0643\u0644\u0645\u0629 \u0627\u0644\u0645\u0631\u0648\u0631",
	"\u043f\u0430\u0440\u043e\u043b\u044c", "\u041f\u0430\u0440\u043e\u043b\u044c", "\u03ba\u03c9\u03b4\u03b9\u03ba\u03cc\u03c2", "\u05e1\u05d9\u05e1\u05de\u05d4",
	"\u5bc6\u7801", "\u5bc6\u78bc", "\u53e3\u4ee4", "\u30d1\u30b9\u30ef\u30fc\u30c9", "\ube44\ubc00\ubc88\ud638",
}

// nameRule judges key names by their end, in lower case and without separators.
type nameRule struct {
	suffix string
	whole  bool // the name must be the suffix, or a word of its own at the end
	class  secrecy
}

// nameRules are listed by the last two bytes of the suffix, see ending.
var nameRules = sync.OnceValue(buildNameRules)

// ending is where the rules are listed for names that end with these two bytes.
func ending(a, b byte) int { return int(a&31)<<5 | int(b&31) }

func buildNameRules() *[1 << 10][]nameRule {
	byEnding := new([1 << 10][]nameRule)
	add := func(class secrecy, whole bool, suffixes ...string) {
		for _, s := range suffixes {
			at := ending(s[len(s)-2], s[len(s)-1])
			byEnding[at] = append(byEnding[at], nameRule{s, whole, class})
		}
	}
	// First the exceptions: these end like secrets and are none.
	add(notSecret, false, "progresstoken", "nexttoken", "pagetoken", "continuationtoken", "synctoken", "canceltoken", "cursortoken", "csstoken", "publicapikey", "publickeytoken")
	add(notSecret, true, "nopassword", "haspassword", "ispassword", "usepassword", "requirepassword", "resetpassword", "forgotpassword", "showpassword", "hidepassword")
	add(isPassword, false, "password", "passwd", "passwort", "passphrase", "passcode", "kennwort", "wachtwoord", "passw", "userpw", "seedphrase", "mnemonic", "passwords", "requirepass", "masterauth", "storepass", "keypass", "passworddigest", "senha", "motdepasse", "contrasena")
	add(isPassword, true, "pass", "pwd", "pw", "psk")
	add(isPassword, false, "userpwd", "dbpwd", "dbpass", "userpass", "smtppass", "mailpass", "rootpass", "adminpass", "authpass")
	add(isToken, false, "token", "secret", "apikey", "accesskey", "secretkey", "privatekey", "privkey", "encryptionkey", "signingkey", "signkey", "authkey", "masterkey", "sharedkey", "accountkey",
		"storagekey", "subscriptionkey", "deploykey", "servicekey", "rolekey", "appkey", "cryptkey", "jwtkey", "sshkey", "webhookkey", "adminkey", "sessionkey", "keybase", "credential", "credentials", "jwt", "codeverifier", "clientassertion",
		"idtokenhint", "samlresponse", "initialresponse", "apikeys", "secrets", "licensekey", "hmackey", "tokensecret", "passkey", "presharedkey", "serverkey", "clientkey", "writekey", "anonkey", "userkey", "apitokens", "accesstokens", "applicationkey", "consumerkey", "kagglekey", "unsealkey", "recoverykey", "validationkey", "decryptionkey", "erlangcookie", "functionskey", "apikeyprivate", "aeskey")
	add(isRandom, true, "key", "code", "sig", "signature", "auth", "sid", "session", "sess", "hmac", "assertion", "response", "ticket", "appid", "mac", "tokens")
	add(isRandom, false, "sessionid", "sessid", "connectsid", "phpsessid", "laravelsession", "authcode", "devicecode", "authsession", "amzsignature", "googsignature", "oauthsignature", "listenkey", "racksession", "koasess", "koasesssig")
	add(isDigits, true, "cvc", "cvv", "cvc2", "cvv2", "otp", "pin", "totp", "otpcode", "mfacode", "pincode", "cardpin", "securitycode")
	add(isHeader, false, "authorization")
	add(isCookie, true, "cookie", "setcookie")
	return byEnding
}

// endings may follow a secret name and leave it one.
var endings = []string{"hash", "base64", "b64", "hex", "value", "raw", "plain", "plaintext", "encrypted", "prod", "live", "test", "dev", "old", "new", "current", "previous", "primary", "secondary", "string"}

const maxKey = 64

// folded is a key name in lower case without separators.
type folded struct {
	buf   [maxKey]byte
	bound uint64 // bit i: a word of the name starts at i
	n     int
}

func fold(name string) (f folded) {
	for i := range min(len(name), maxKey) {
		c := name[i]
		if !is(c, alnum) && (c == '_' || c == '-' || c == '.' || c == ' ') {
			f.bound |= 1 << f.n
			continue
		}
		upper := 'A' <= c && c <= 'Z'
		if i == 0 || upper && !('A' <= name[i-1] && name[i-1] <= 'Z') {
			f.bound |= 1 << f.n
		}
		f.buf[f.n] = lowered(c)
		f.n++
	}
	return f
}

// starts reports whether a word of the name starts at i.
func (f *folded) starts(i int) bool { return f.bound&(1<<i) != 0 }

func (f *folded) text() []byte { return f.buf[:f.n] }

// classify judges a key name.
func (t *table) classify(name string) secrecy {
	if len(name) > maxKey || name == "" {
		return notSecret
	}
	if class := common(name); class != notSecret && len(t.keys) == 0 {
		return class
	}
	f := fold(name)
	for _, key := range t.keys {
		if f.endsWith(key) {
			return isPassword
		}
	}
	return f.judge()
}

// common judges the names that are met most without a look at their endings.
func common(name string) secrecy {
	switch name {
	case "password", "Password", "PASSWORD", "passwd", "pwd":
		return isPassword
	case "token", "secret", "api_key", "apikey", "apiKey", "access_token", "refresh_token", "client_secret", "secret_key":
		return isToken
	case "authorization", "Authorization":
		return isHeader
	case "cookie", "Cookie", "set-cookie", "Set-Cookie":
		return isCookie
	}
	return notSecret
}

func (f *folded) judge() secrecy {
	for f.n > 1 && is(f.buf[f.n-1], digit) { // password2
		if class, found := f.rule(); found {
			return class
		}
		f.n--
	}
	if class, found := f.rule(); found {
		return class
	}
	for _, e := range endings {
		if f.n > 0 && f.buf[f.n-1] == e[len(e)-1] && f.endsWith(e) && f.n > len(e) {
			f.n -= len(e)
			class, _ := f.rule()
			if class != isPassword && class != isToken {
				class = notSecret
			}
			return class
		}
	}
	return notSecret
}

func (f *folded) rule() (secrecy, bool) {
	if f.n < 2 {
		return notSecret, false
	}
	rules := nameRules()[ending(f.buf[f.n-2], f.buf[f.n-1])]
	for i := range rules {
		r := &rules[i]
		if !f.endsWith(r.suffix) {
			continue
		}
		if !r.whole || f.n == len(r.suffix) || f.starts(f.n-len(r.suffix)) && r.class != isRandom {
			return r.class, true
		}
	}
	return notSecret, false
}

func (f *folded) endsWith(suffix string) bool {
	at := f.n - len(suffix)
	return at >= 0 && f.buf[at] == suffix[0] && string(f.buf[at:f.n]) == suffix
}
