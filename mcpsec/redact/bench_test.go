package redact_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

var (
	cleanLine = `{"time":"2026-01-01T12:34:56Z","level":"INFO","msg":"order shipped","order":"ORD-2026-000123456","customer":"c_42","total":3980,"currency":"EUR","items":[{"sku":"A-100","qty":2}],"trace":"4bf92f3501"}`
	cleanJSON = "[" + strings.Repeat(`{"id":17,"items":[{"sku":"A-100","qty":2,"price":1990}],"customer":"c_42","total":3980,"currency":"EUR","note":"leave it at the back door, please"},`, 440) + "0]"
)

// oneSecret holds lines with one secret, written in the ways that are met most.
var oneSecret = map[string]string{
	"key=value": `time=2026-01-01T12:34:56Z level=ERROR msg="opening pool" err="failed to connect to host=db.internal user=app ` + `pass` + `word=Sommer2026! database=orders: dial tcp 10.0.3.7:5432: connect: connection refused"`,
	"member":    `{"time":"2026-01-01T12:34:56Z","level":"INFO","msg":"config loaded","host":"db.internal","user":"app","pass` + `word":"Sommer2026!","database":"orders","pool":{"max":20,"idle":5},"trace":"4bf92f3501"}`,
	"url":       `time=2026-01-01T12:34:56Z level=ERROR msg="opening pool" err="cannot parse postgres://app:` + `Sommer2026!@db.internal:5432/orders?sslmode=verify-full: invalid connection string" pool=main attempt=3`,
	"bearer":    `time=2026-01-01T12:34:56Z level=DEBUG msg="request sent" method=POST path=/v1/orders header="Authorization: Bearer ` + `c2VjcmV0LXRva2VuLXZhbHVl0123" status=401 took=12ms trace=4bf92f3501 attempt=3`,
	"token":     `time=2026-01-01T12:34:56Z level=DEBUG msg="request failed" method=POST path=/v1/charges err="no such key ` + `sk_` + `live_51HxAbCdEfGhIjKlMnOpQrSt" status=401 took=12ms trace=4bf92f3501 attempt=3 region=eu`,
}

func benchmark(b *testing.B, text string) {
	b.Helper()
	r := redact.New(redact.Options{})
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r.String(text)
	}
}

func BenchmarkCleanLine(b *testing.B) { benchmark(b, cleanLine) }
func BenchmarkCleanJSON(b *testing.B) { benchmark(b, cleanJSON) }
func BenchmarkCode(b *testing.B)      { benchmark(b, goSource(b, "src/net/http/server.go")) }
func BenchmarkProse(b *testing.B)     { benchmark(b, goSource(b, "doc/go_spec.html")) }

func BenchmarkOneSecret(b *testing.B) {
	for name, text := range oneSecret {
		b.Run(name, func(b *testing.B) { benchmark(b, text) })
	}
}

// goSource returns 64 KB of a file that comes with Go.
func goSource(b *testing.B, name string) string {
	b.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skipf("no go command: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), name))
	if err != nil {
		b.Skipf("Go's own files are not here: %v", err)
	}
	return string(text[:64<<10])
}

func BenchmarkHostile(b *testing.B) {
	for name, unit := range hostile {
		text := strings.Repeat(unit, 1<<20/len(unit))
		b.Run(name, func(b *testing.B) { benchmark(b, text) })
	}
}

// hostile holds what makes a careless matcher read the same bytes again.
var hostile = map[string]string{
	"jwt":          "eyJ-",
	"jwt dots":     "eyJhbGciOiJI.",
	"jwt blob":     "eyJhbGciOiJIUzI1NiIs ",
	"password":     "password=",
	"password x":   "password=x ",
	"password: ":   "password: a ",
	"masked":       "password=****",
	"stars":        "password=" + strings.Repeat("*", 130),
	"our mask":     "password=[redacted]",
	"key":          "key_key_",
	"session":      "session=",
	"sid":          "sid=",
	"code":         "code=a&",
	"url":          "://",
	"url user":     "a://b:c",
	"url at":       "a://b:c/@",
	"quote":        `password="`,
	"quote sid":    `sid="`,
	"slashes":      `password\\\\\\\\\\\\"`,
	"slash quote":  `sid:\"1a \\"`,
	"pem":          "-----BEGIN",
	"pem key":      "-----BEGIN PRIVATE KEY-----",
	"pem open":     "-----BEGIN PRIVATE KEY-----\"x",
	"pem end":      "-----BEGIN PRIVATE KEY----------END",
	"cookie":       "Cookie: a=",
	"cookies":      "cookie:a=b;",
	"set-cookie":   "set-cookie: a=b; cookie=",
	"auth":         "authorization: ",
	"authorized":   "authorization:a b",
	"bearer":       "bearer ",
	"basic":        "basic.basic ",
	"digits":       "4",
	"groups":       "4111 ",
	"card":         "4111-1111-",
	"mysql":        ":@tcp(",
	"pgpass":       ":5432:",
	"smtp":         "auth plain ",
	"334":          "334 ugfzc3dvcmq6",
	"sk":           "sk-",
	"sk digits":    "sk-1",
	"hash":         "$2a$",
	"scram":        "SCRAM-SHA-256$:",
	"blob":         "cGFzc3dvcm",
	"blob secret":  "cGFzc3dvcmQ9aHVudGVyMi1wcm9k",
	"jwk":          `"d":"`,
	"discord":      "MTA",
	"telegram":     "12345678:AA",
	"mailchimp":    "-us1",
	"airtable":     "pat",
	"percent":      "token%3D",
	"value":        `"password","value":`,
	"yaml value":   "name: password\n ",
	"array":        `"password":["`,
	"elements":     `"a","`,
	"zero width":   "token\u200b",
	"flag":         "--password ",
	"user flag":    " -u ",
	"multipart":    `name="password"` + "\n\n",
	"amp":          "token=a&amp;",
	"separators":   "password=a,a",
	"brackets":     "password=)a",
	"backslashes":  `password=\`,
	"xml":          "<password>",
	"base64 again": "LS0tLS1CRUdJTi",
	"base64 url":   "Oi8v",
	"element":      "<password a",
	"element open": "<password>\n",
	"bracketed":    "[password]=[",
	"print_r":      "[password] => ",
	"tuple":        "('password','",
	"newtype":      `Password("`,
	"block":        "password: |\n ",
	"wrapped":      "password: string(1) ",
	"table":        "password    a1b2c3d4e5",
	"arrow":        "password -> a",
	"plan":         `password="x" -> "`,
	"braces":       ";pwd={}}",
	"brackets own": "password=([{",
	"netrc":        "login x password ",
	"colour":       "\x1b[1mpassword\x1b[0m",
	"unseal":       "unseal key 1",
	"foreign":      "contrase\u00f1a=",
	"identified":   "identified by ",
	"with":         "identified with by",
	"set password": "set password for '",
	"pgcrypto":     "pgp_sym_encrypt, ",
	"salt":         "', gen_salt('",
	"mysql -p":     "mysql -p ",
	"openssl":      "openssl -",
	"htpasswd":     "htpasswd -b a ",
	"imap":         "a1 LOGIN ",
	"pop3":         "USER x\nPASS",
	"redis":        `"AUTH" "`,
	"redis line":   "\nAUTH x ",
	"oracle":       "a/b@//",
	"thin":         ":thin:a/",
	"any pgpass":   ":*:*:a",
	"azure":        "ACDb",
	"adyen":        "AQEaaaaa",
	"firebase":     ":APA91b",
	"ssh2":         "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\na: b",
	"groups of 4":  "4111 1111 ",
	"groups long":  "411 ",
	"curve":        `"crv":"x","d":"`,
	"rows":         "password,a\n",
	"one row":      "password,",
	"ruled rows":   "a|password\n--|--\n",
	"tabs":         "token\t",
	"short rows":   "a,token\nb\n",
	"quoted rows":  `"a,password\n`,
	"token rest":   "ghp_0123456789abcdef0123.",
}

var testTime = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
