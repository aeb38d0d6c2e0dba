package redact_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func TestCheckRefusesPlaceholders(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"changeme", "change-me", "CHANGE_ME", "ChangeMe!", "change me", "changeme123", "changethis", "changeit", "change-me-in-production",
		"your-api-key", "YOUR_TOKEN", "your-stripe-secret-key-here", "yourpassword", "yourApiKeyHere", "sk-your-key-here", "your_own_value", "your api key",
		"<token>", "<your token>", "<insert key here>", "[your-token]", "{token}", "__TOKEN__",
		"${TOKEN}", "$TOKEN", "${TOKEN:-}", "$(cat key)", "%TOKEN%", "{{ .Token }}", "{{token}}", "{{ secrets.API_KEY }}",
		"xxxxxx", "XXXXXXXXXXXXXXXX", "sk" + "_test_xxxxxxxxxxxx", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "********", "aaaa", "000000", "....", "…",
		"sk-...", "abc…", "TO" + "DO", "to" + "do: set this", "FIX" + "ME", "tbd", "n/a",
		"example", "example-key", "EXAMPLE_SECRET", "AKIAIOSFODNN7" + "EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
		"password", "Password", "passw" + "ord123", "secret", "my-secret", "mysecretkey", "super_secret_key", "api-key", "token", "the password",
		"placeholder", "insert-your-key-here", "insert_key_here", "put your token here", "paste-here", "replace_me", "replaceme", "REPLACE_WITH_KEY",
		`"changeme"`, "'secret'", " changeme ", "changeme\n", "redacted", redact.Mask, "null", "undefined",
		"postgres://app:changeme@db/orders", "postgres://user:password@localhost:5432/db?sslmode=disable", "https://u:<token>@host/",
		"postgres://app:${DB_PASSWORD}@db/orders", "amqp://svc:your-password@mq:5672/%2f", "Bearer ${API_TOKEN}",
	} {
		err := redact.NewSecret(value).Check()
		if err == nil || !strings.Contains(err.Error(), "placeholder") {
			t.Errorf("%q: got %v", value, err)
		}
	}
}

func TestCheckRefusesWhatIsNoText(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"": "is empty", " \n\t": "is empty", "a\x00b": "not plain text", "k\xff\xfe9": "not plain text", "\ufeffkey": "not plain text",
	} {
		if err := redact.NewSecret(value).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", value, err)
		}
	}
	if err := (redact.Secret{}).Check(); err == nil {
		t.Error("the zero Secret passes")
	}
}

func TestCheckTakesSecrets(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		hidden, "hunter2", "correct horse battery staple", "take your time and read", "your mother was a hamster", "put the kettle on here", "x", "xX-x",
		"change measure before winter sample", "replace item today", "secret garden party", "password-protected zip of 1998", "wait... what", "what <is> this",
		"postgres://app:" + hidden + "@db.example.com/orders", "postgres://app@db/orders", "postgres://password@db/secret", "https://example.com/?token=" + hidden,
		"-----BEGIN PRIVATE KEY-----\n" + hidden + "\n-----END PRIVATE KEY-----", "schlüssel über dem kamin", "key=" + hidden, "$2a$10$" + hidden, "$x", "{a}", "a,b",
		"todos los dias", "enter sandman there", "nullable", "exemplary", "tokenize this", "100%", "50%off%50",
	} {
		if err := redact.NewSecret(value).Check(); err != nil {
			t.Errorf("%q: got %v", value, err)
		}
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range draws() {
		for _, key := range []string{printable(r, 8), printable(r, 16), printable(r, 64), symbols(r, 12, letters), passphrase(r)} {
			if err := redact.NewSecret(key).Check(); err != nil {
				t.Errorf("%q: got %v", key, err)
			}
		}
	}
}

// passphrase draws words from a list in which those of the placeholders stand.
func passphrase(r *rand.Rand) string {
	words := strings.Fields("abandon change key item measure replace secret token you young sample master access private session example display " +
		"enter add put insert winter wisdom pass word default none empty hidden own value set type fill")
	pick := make([]string, 6)
	for i := range pick {
		pick[i] = words[r.IntN(len(words))]
	}
	return strings.Join(pick, []string{" ", "-", ""}[r.IntN(3)])
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"changeme", "${TOKEN}", "postgres://a:b@c", "\x00", hidden} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		err := redact.NewSecret(value).Check()
		if err != nil && len(value) > 60 && strings.Contains(err.Error(), value) {
			t.Errorf("the error quotes the value: %v", err)
		}
		if err == nil && strings.TrimSpace(value) == "" {
			t.Error("an empty value passes")
		}
	})
}
