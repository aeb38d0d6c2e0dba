package redact_test

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/leakcorpus"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// Bodies of made-up keys; a line of formats names them as {20}, {36}, {48} and
// {hex}, so that no line looks like a key.
var bodies = strings.NewReplacer(
	"{20}", "Vw7kQz29xTpL4mNc8RbD",
	"{36}", "aB3dE5gH7jK9mN1p"+"Q3sT5vW7yZ9bC1dF3hJ5",
	"{48}", "aB3dE5gH7jK9mN1pQ3sT5vW7"+"yZ9bC1dF3hJ5kL8nP0rS2uV4",
	"{hex}", "9f8e7d6c5b4a3928"+"1706f5e4d3c2b1a0",
	"{b64}", "Ym9iOmh1"+"bnRlcjI=",
	"{pw}", "hunt"+"er2",
	"{s}", "pass"+"word",
)

// formats are ways to write a secret; what follows » must be gone, up to «.
var formats = []string{
	// URLs and DSNs
	"postgres://app:»p%40ss%2Fw0rd«@db/orders", "postgres://app:»a@b«@db.internal/orders", "mongodb+srv://u:»{20}«@c.mongodb.net/?w=1",
	"redis://:»{20}«@host:6379/0", "https://»{hex}«:@api.x.com/", "https:\\/\\/bob:»{pw}«@host\\/", "url=https%3A%2F%2Fbob%3A»{pw}«%40host%2F",
	"host=db {s}='»a b\\'c«' port=1", "user=app {s}=»a,b;c&d« dbname=x", "smb://dom;user:»{pw}«@host/share",
	// Headers
	"Authorization: »G3nieKey« »{hex}«", "Proxy-Authorization: Basic »{b64}«", "Authorization: »{20}{20}«", "x-amz-security-token: »{48}«", "X-Vault-Token: hvs.»{36}«", "Ocp-Apim-Subscription-Key: »{hex}«",
	"PRIVATE-TOKEN: »{20}«", "Cookie: sid=»{20}«; pw=»{pw}«; b=»{20}«", "{\"Cookie\":[\"sid=»{20}«; a=b\"]}", "{\"set-cookie\":\"sid=»{20}«; Path=/\"}", "Set-Cookie: session_id=\"»{20}«\"; Path=/", "bearer: »{20}«",
	// Keys and values
	"{s}: \"»correct horse battery«\"", "const {s} = \"»{pw}«\"", "{s} := \"»{pw}«\"", "let apiKey = '»{20}«';", "export API_KEY=\"»{20}«\"", "map[string]string{\"{s}\":\"»{pw}«\"}",
	"a: 1\n  {s}: »letmeinplease«\n", "  - name: DB_PASSWORD\n    value: »{pw}«\n", "{User:bob Password:»hunter« Port:5432}", "main.C{Password:\"»{pw}«\", Port:5432}", "Config(user='bob', {s}='»{pw}«')",
	"{:{s}=>\"»{pw}«\", :user=>\"bob\"}", "{s}%3D»{pw}«%26user", "%22{s}%22%3A%22»{pw}«%22", "&quot;{s}&quot;:&quot;»{pw}«&quot;", "\\u0022{s}\\u0022:\\u0022»{pw}«\\u0022", "{s}\\u003d»{pw}«\\u0026user=bob",
	"the {s} is »{pw}«", "token »{20}« rejected", "API key: »{20}«", "client secret: »{20}«", "invalid token \"»{20}«\"", "{\"otp\":\"»123456«\"}", "PIN: »1234«", "device_code=»{36}«",
	// What looks like a placeholder, code or prose, and is none
	`{"{s}":"»[{pw}]«"}`, `{"{s}":"»<{pw}>«"}`, `{"{s}":"»{{pw}}«"}`, `{"{s}":"»({pw})«"}`, `{"{s}":"») {pw}«"}`, `{"token":"»mytoken12345«"}`, "token=»mytoken12345«", `{"api_key":"»abc123realxxxxxx«"}`,
	"{s}=»get({pw}«", "{s}=»Kaffee(und)Kuchen9«", "private_key=»0x{hex}12345678«", "{s}: »0xdeadbeef1«", `{"signature":"»ab1/cd2.ef3/gh4ij5kl6mn7«"}`, `{"{s}":"»correct horse battery staple.«"}`, `{"{s}":"»correct horse battery staple gun«"}`, `{"{s}":"»ENC[{pw}«"}`,
	"{s}=»a!b(cd)«", "{s}: »anchor-maple-silver-falcon«", `JWT_SECRET="»swordfish-prod«"`,
	// Commands
	"cur" + "l -u bob:»{pw}« https://x", "redis-cli -a »{20}«", "mysqldump --{s}='»S3cret Pw«' db", "[--{s} »{pw}«]", "[\"--{s}\",\"»{pw}«\"]",
	// Keys in files
	"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2 (x)\n\n»{36}«\n-----END PGP PRIVATE KEY BLOCK-----", "Private-Lines: 1\n»{36}«", "{SSHA}»{36}«", "$6$rounds=5000$»saltsalt${48}{36}«",
	// Services
	"ghp_»{36}«", "github_pat_11ABCDEFG0»{36}_{36}«", "glpat-»{20}«", "sk-»{48}«", "sk-proj-»{48}{48}«", "sk-ant-api03-»{48}{36}«", "AIza»{36}«", "ya29.»{48}«", "npm_»{36}«", "pypi-AgE»Icm{48}«",
	"dckr_pat_»{36}«", "hf_»{36}«", "gsk_»{48}«", "shpat_»{hex}«", "key-»{hex}«", "SK»{hex}«", "rk_live_»{20}«", "whsec_»{36}«", "sq0csp-»{48}«", "lin_api_»{48}«", "ntn_»{48}«", "figd_»{48}«",
	"dop_v1_»{hex}{hex}«", "nfp_»{48}«", "rnd_»{36}«", "pcsk_»{48}«", "tvly-»{36}«", "nvapi-»{48}{20}«", "lsv2_pt_»{hex}_abcdef1234«", "phx_»{48}«", "EAAC»{48}{48}«", "xapp-1-»A0-123-{hex}«",
	"MTE4»{20}«.Gh3kLm.»{48}«", "abc8Q~»{48}«", "sntrys_»{48}_{36}«", "https://hooks.slack.com/workflows/»T00/A00/123/{36}«", "IQoJb3JpZ2lu»{48}{48}{48}«",
	// Cards
	"4111 »1111 1111 1111«", "4111-»1111-1111-1111«", "3782 »822463 10005«", "6011»111111111117«",
}

func TestFormats(t *testing.T) {
	t.Parallel()
	testFormats(t, formats, [][2]string{{"", ""}, {"got ", " now"}, {`"`, `"`}, {"\n", "\n"}, {"(", ")."}})
}

// oddities are ways of writing that one language, tool or page has.
var oddities = []string{
	`["password","»a1{pw}«"]`, `[["host","pg1"],["api_key","»{20}«"]]`, `cfg.setPassword("»{pw}1«");`, "<tr><td>password</td><td>»{pw}1«</td></tr>", "<dt>Password</dt><dd>»{pw}1«</dd>",
	"Le mot de passe est »{pw}1«", "La contrase\u00f1a es »{pw}1«", "Zugangsschl\u00fcssel: »{20}«", "{\"cl\u00e9_api\":\"»{20}«\"}", "password&#61;»{pw}1«", "u=https%253A%252F%252Fx.io%253Fapi_key%253D»{20}«",
	"::set-output name=password::»{pw}«", "Key: db_password\nValue: »{pw}1«", "enable password 7 »97183106D85F936F«", "password: &pw »{pw}1«\nuser: a", "password:\n  »{pw}12«\nuser: a", `{"tokens":["»{20}«","»{36}«"]}`,
	"psexec h1 -u ana -p »{pw}« cmd", "winrs -r:h1 -u:ana -p:»{pw}« ipconfig", "snmpwalk -v3 -u mon -A »{pw}« -X »{pw}2« 10.1.1.1", "gh secret set KEY --body »{20}« -R a/b", "aws ssm put-parameter --name /p --type SecureString --value »{pw}«",
	"openssl enc -aes-256-cbc -k »{pw}« -in f", "nsec1»{36}{20}ab«", "{AQAAABAAAA»{48}«}", "https://acme.io/invite/accept/»{20}«",
}

func TestOddities(t *testing.T) {
	t.Parallel()
	testFormats(t, oddities, [][2]string{{"", ""}, {"\n", "\n"}})
}

// tables have the names of their columns in the first row.
var tables = []string{
	"user,password\nbob,»{pw}«\neve,»{pw}2«\n", "id;api_key;name\n1;»{20}«;bob", "id\ttoken\n1\t»{20}«\r\n", " user | password   \n------+------------\n bob  | »{pw}«\n(1 row)", "| name | token |\n|---|:--:|\n| bob | »{20}« |\n| eve | »{36}« |",
	"NAME    TOKEN                 AGE\nci      »{20}«  17d\ncd      »{20}«  3h\n", "USER   PASSWORD\nana    »S9RZ2Lv5nCRIoWCB«", "| password | »{pw}1« |\n",
	`{"text":"id,name,password\n1,bob,»{pw}«\n2,eve,»{pw}3«","rows":2}`, "token,user,password\n»{20}«,bob,»{pw}«",
}

func TestTables(t *testing.T) {
	t.Parallel()
	testFormats(t, tables, [][2]string{{"", ""}, {`"`, `"`}, {"\n", "\n"}, {"rows:\n", "\n"}})
}

func testFormats(t *testing.T, list []string, arounds [][2]string) {
	t.Helper()
	r := redact.New(redact.Options{})
	for _, f := range list {
		text := bodies.Replace(f)
		var secrets []string
		for _, part := range strings.Split(text, "»")[1:] {
			secret, _, _ := strings.Cut(part, "«")
			secrets = append(secrets, secret)
		}
		text = strings.NewReplacer("»", "", "«", "").Replace(text)
		for _, around := range arounds {
			in := around[0] + text + around[1]
			out := r.String(in)
			for _, s := range secrets {
				if strings.Contains(out, s) || (leakcorpus.Line{Secrets: secrets}).Trace(out) != "" && len(s) >= 6 {
					t.Errorf("%q became %q", in, out)
				}
			}
			if again := r.String(out); again != out {
				t.Errorf("second pass: got %q want %q", again, out)
			}
		}
	}
}

// harmless are texts with the words and shapes of secrets.
var harmless = []string{
	"{s} reset for bob", "{s}: required", "{s} is required", "{s} is 8 characters", "token expired", "the token was revoked", "--- PASS: TestToken (0.00s)", "PASS: all", "PWD=/root", "{s}_hash_algorithm=bcrypt",
	"b.Run(\"Key=smallType/Elem=int32\")", "max_tokens: 4096", "\"tokens\":[1,2,3]", "next_page_token=abc", "identified by name", "Secret: secret,", "Password: cfg.Password,", "token := lexer.next()", "if token == \"(\" {",
	"func (t *Token) String() string", "earlySecret *tls13.EarlySecret", "SecretKey: []byte{0xd9, 0x0c}", "fmt.Printf(\"{s}=%#v\", p)", "Get \"http://host/{s}\": dummy", "http://localhost:3000/users/@me", "git@github.com:org/repo.git",
	"https://modules.example.org/x/@v/list", "https://host/a:b", "$1,234.56", "1767225600000000", "2026-01-01 12:34:56.789012345", "4111111111111112", "session started", "cookie: accepted", "basic support", "bearer of news",
	"pk_live_{20}", "{hex}", "sha256:{hex}{hex}", "{s}=xxxxxxxx", "{s}=ab****yz", "connect({s}=db_{s}, token=self.auth_token)", "{s}=<nil>", "{s}=${DB_PASSWORD}", "{s}=[redacted]", "api_key: {{ .Values.key }}", "/price?token=0x52908400098527886E0F7030069857D2E4169EE7&chain=1", "s/{s}=.*/{s}=/",
	// Source code
	`f("{s}", "abc123def" + name)`, "{s} = crypt($1, gen_salt('bf'))", "{s} = conf.value", "user_pass = '%s:%s' % (user, word)", "NETKIT_PASS     = 0x2", "ENCRYPTION_KEY = 0xc0506617", `println("previous token:", err.Error())`,
	`b.Run("Key=int32/Elem=int32", f)`, "key=customer_records_by_region2", `<a class="token">abc12345def</a>`, "API_TOKEN=abc", "A basic HTTP/1.1 client",
	// Tables, listings, dates and messages
	"542A 542B 542C 542D 542E 542F 5430 5431 5432 5433", "41111 11111 111111", "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxx", `{"Key":"photos/2026/03/cat.jpg"}`, "{s} was 2026-11-25T10:00:00Z", "connect({s}=conf.value)", `println("old {s}:", fmt.Sprint(err2))`,
	`{"{s}":"Please take another one."}`, `{"{s}":["is too short"]}`, `{"{s}":"choose one that is easy for you"}`, "AUTH PLAIN LOGIN CRAM-MD5", "data:image/png;base64,{48}", "user, password\nhost, port9876\n", "Enter user,password or token\nbob,abc12345\n", "password,x\nplain", "| password | b |\n| abc12345 | c |", "name,password\nbob,\neve,null\n", "password:\n  type: string\n", "<td>password</td><td>The password to log in with</td>", `["password","username"]`, `["token","sha256","md5"]`, "password 5 times", "tokens: [1, 2]",
	"NAME   TOKEN\na      the-name-of-it\n", "setup(\"abc12345\")", "SECRET NAME   KEY COUNT\nabc12345def   1\n", "WWW-Authenticate: Basic realm=\"x\"",
}

func TestHarmless(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{})
	for _, h := range harmless {
		in := bodies.Replace(h)
		if out := r.String(in); out != in {
			t.Errorf("got %q, want %q", out, in)
		}
	}
}

// What stands around a secret stays as it is, byte for byte.
func TestWhatStays(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{})
	body := strings.Repeat("Ym9iOmh1bnRlcjI", 4)
	for in, want := range map[string]string{
		"-----BEGIN PRIVATE KEY-----\n" + body + "\n-----END PRIVATE KEY-----": "-----BEGIN PRIVATE KEY-----\n[redacted]\n-----END PRIVATE KEY-----",
		`{"k":"-----BEGIN PRIVATE KEY-----\n` + body + `\n-----END"}`:          `{"k":"-----BEGIN PRIVATE KEY-----\n[redacted]\n-----END"}`,
		`{s}={pw}\nuser=bob`:                     `{s}=[redacted]\nuser=bob`,
		"{s}=\"{pw}\r\nuser=bob":                 `{s}="[redacted]` + "\r\nuser=bob",
		"PATH=/bin\x00{s}={pw}\x00HOME=/x":       "PATH=/bin\x00{s}=[redacted]\x00HOME=/x",
		"card 4111 1111 1111 1111 exp 12/27":     "card [redacted] exp 12/27",
		"order 1234 4111 1111 1111 1111 shipped": "order 1234 [redacted] shipped",
		"lftp -u bob,{pw} ftp.x.io [a,verbose]":  "lftp -u bob,[redacted] ftp.x.io [a,verbose]",
		"lftp -u an:a,{pw} ftp.x.io":             "lftp -u an:[redacted] ftp.x.io",
		"smbclient //nas/x -U bob%{pw} 50% done": "smbclient //nas/x -U bob%[redacted] 50% done",
		"psql postgres://app:{pw}@db/orders ok":  "psql postgres://app:[redacted]@db/orders ok",
	} {
		in, want = bodies.Replace(in), bodies.Replace(want)
		if got := r.String(in); got != want {
			t.Errorf("%q:\n got %q\nwant %q", in, got, want)
		}
	}
}
