package auth_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Keys are known by their hashes only (AUTH-10), for as long as they are valid.
func TestKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second, old, job := rand.Text(), rand.Text(), rand.Text(), rand.Text()
		secret := redact.NewSecret(first)
		scopes := []string{"orders:read"}
		v, err := auth.Keys(
			auth.Key{Name: "nightly", Secret: secret, Scopes: scopes},
			auth.Key{Name: "nightly", SHA256: hashed(second), Scopes: scopes},
			auth.Key{Name: "old", Secret: redact.NewSecret(old), Expires: time.Now().Add(time.Hour)},
			auth.Key{Name: "job", SHA256: strings.ToUpper(hashed(job))},
		)
		if err != nil {
			t.Fatal(err)
		}
		secret.Close()
		scopes[0] = "root"
		for key, want := range map[string]string{first: "nightly", second: "nightly", old: "old", job: "job"} {
			if p := allow(t, v, key); p.ID != want || (want == "nightly") != slices.Equal(p.Scopes, []string{"orders:read"}) {
				t.Errorf("got %+v, want %s", p, want)
			}
		}
		allow(t, v, first).Scopes[0] = "root" // a copy
		if p := allow(t, v, first); p.Scopes[0] != "orders:read" {
			t.Errorf("got %q", p.Scopes)
		}
		for _, token := range []string{"", "x", first[:25], first + " ", strings.ToLower(first), hashed(first), hashed(job)} {
			deny(t, v, token, "")
		}
		time.Sleep(time.Hour - 1)
		allow(t, v, old)
		time.Sleep(time.Nanosecond)
		deny(t, v, old, "expired")
	})
}

// Every key is compared, and each in constant time: the loop has one statement.
func TestKeysTakeConstantTime(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("keys.go")
	if err != nil {
		t.Fatal(err)
	}
	loop := regexp.MustCompile(`(?s)\nfunc match\(.*?\n\tfor n := range set \{\n(.*?)\n\t\}\n`).FindSubmatch(source)
	const want = "\t\tfound = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], set[n].sum[:]), n, found)"
	if loop == nil || string(loop[1]) != want {
		t.Errorf("got %q", loop)
	}
}

func TestKeysRefuses(t *testing.T) {
	t.Parallel()
	key := rand.Text()
	good := auth.Key{Name: "job", Secret: redact.NewSecret(key)}
	for name, tc := range map[string]struct {
		keys []auth.Key
		want string
	}{
		"none":            {nil, "needs a key"},
		"no name":         {[]auth.Key{{Secret: good.Secret}}, "its Name must have"},
		"e-mail":          {[]auth.Key{{Name: "ann@example.com", Secret: good.Secret}}, "Name must have"},
		"separator":       {[]auth.Key{{Name: "https|ann", Secret: good.Secret}}, "Name must have"},
		"line break":      {[]auth.Key{{Name: "job\n", Secret: good.Secret}}, "Name must have"},
		"neither":         {[]auth.Key{{Name: "job"}}, "either Secret or SHA256"},
		"both":            {[]auth.Key{{Name: "job", Secret: good.Secret, SHA256: hashed(key)}}, "either Secret or SHA256"},
		"placeholder":     {[]auth.Key{{Name: "job", Secret: redact.NewSecret("changeme")}}, "placeholder"},
		"guessable":       {[]auth.Key{{Name: "job", Secret: redact.NewSecret("correct horse battery staple")}}, "guessable"},
		"short":           {[]auth.Key{{Name: "job", Secret: redact.NewSecret(key[:12])}}, "too short"},
		"not hex":         {[]auth.Key{{Name: "job", SHA256: "hunter2"}}, "64 hexadecimal"},
		"too short hash":  {[]auth.Key{{Name: "job", SHA256: hashed(key)[:62]}}, "64 hexadecimal"},
		"more than hex":   {[]auth.Key{{Name: "job", SHA256: hashed(key) + "zz"}}, "64 hexadecimal"},
		"twice":           {[]auth.Key{good, {Name: "other", SHA256: hashed(key)}}, "key 2: is given twice"},
		"scope of two":    {[]auth.Key{{Name: "job", Secret: good.Secret, Scopes: []string{"a b"}}}, "Scopes may hold"},
		"wildcard":        {[]auth.Key{{Name: "job", Secret: good.Secret, Scopes: []string{"orders:*"}}}, "wildcards"},
		"hash of $KEY":    {[]auth.Key{{Name: "job", SHA256: hashed("")}}, "hash of nothing"},
		"line break, key": {[]auth.Key{{Name: "job", Secret: redact.NewSecret(key + "\n")}}, "letters, digits"},
		"no token":        {[]auth.Key{{Name: "job", Secret: redact.NewSecret(key + "!")}}, "letters, digits"},
		"empty scope":     {[]auth.Key{{Name: "job", Secret: good.Secret, Scopes: []string{""}}}, "Scopes may hold"},
	} {
		v, err := auth.Keys(tc.keys...)
		if v != nil || err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), key) {
			t.Errorf("%s: got %v, want %q in it", name, err, tc.want)
		}
	}
	closed := redact.NewSecret(key)
	closed.Close()
	if _, err := auth.Keys(auth.Key{Name: "job", Secret: closed}); err == nil {
		t.Error("a closed Secret: accepted")
	}
}
