package redact_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// generators make keys of 128 random bits or more, the UUID of 122, in the
// usual formats, from random bytes.
var generators = map[string]func(r *rand.Rand) string{
	"hex":          func(r *rand.Rand) string { return hex.EncodeToString(randomBytes(r, 16)) },
	"HEX":          func(r *rand.Rand) string { return strings.ToUpper(hex.EncodeToString(randomBytes(r, 16))) },
	"hex, grouped": func(r *rand.Rand) string { return strings.TrimSpace(fmt.Sprintf("% x", randomBytes(r, 16))) },
	"hex 32":       func(r *rand.Rand) string { return hex.EncodeToString(randomBytes(r, 32)) },
	"base64":       func(r *rand.Rand) string { return base64.StdEncoding.EncodeToString(randomBytes(r, 16)) },
	"base64url":    func(r *rand.Rand) string { return base64.RawURLEncoding.EncodeToString(randomBytes(r, 16)) },
	"base32":       func(r *rand.Rand) string { return base32.StdEncoding.EncodeToString(randomBytes(r, 16)) },
	"base62":       func(r *rand.Rand) string { return symbols(r, 22, letters+strings.ToUpper(letters)+"0123456789") },
	"base58": func(r *rand.Rand) string {
		return symbols(r, 22, "123456789ABCDEFGHJKLMNPQRSTUVWXYZ"+strings.ReplaceAll(letters, "l", ""))
	},
	"base36":    func(r *rand.Rand) string { return symbols(r, 25, letters+"0123456789") },
	"letters":   func(r *rand.Rand) string { return symbols(r, 28, letters) },
	"digits":    func(r *rand.Rand) string { return symbols(r, 39, "0123456789") },
	"printable": func(r *rand.Rand) string { return printable(r, 20) },
	"whsec": func(r *rand.Rand) string {
		return "whsec" + "_" + base64.StdEncoding.EncodeToString(randomBytes(r, 24))
	},
	"UUID": func(r *rand.Rand) string {
		b := randomBytes(r, 16)
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	},
}

const letters = "abcdefghijklmnopqrstuvwxyz"

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func symbols(r *rand.Rand, n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func printable(r *rand.Rand, n int) string {
	all := make([]byte, 0, 95)
	for c := byte('!'); c <= '~'; c++ {
		all = append(all, c)
	}
	return symbols(r, n, string(all))
}

func draws() int {
	if testing.Short() || raceEnabled {
		return 200
	}
	return 7_000 // times fifteen formats: over 100,000
}

// Random keys are what Check and CheckRandom are for: none may be refused.
func TestRandomKeysPass(t *testing.T) {
	t.Parallel()
	for name, generate := range generators {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 2))
			for range draws() {
				key := generate(r)
				if err := redact.NewSecret(key).CheckRandom(0); err != nil {
					t.Fatalf("%s: %v", key, err)
				}
			}
		})
	}
}

func TestCheckRandomRefuses(t *testing.T) {
	t.Parallel()
	for _, human := range humanKeys {
		err := redact.NewSecret(human).CheckRandom(0)
		if err == nil {
			t.Errorf("%q is taken for a random key", human)
		} else if len(human) > 6 && strings.Contains(err.Error(), human) {
			t.Errorf("the error quotes the value: %v", err)
		}
	}
}

// humanKeys are what people put where a random key should be.
var humanKeys = []string{
	"hunter2", "Tr0ub4dor&3", "correct horse battery staple", "correcthorsebatterystaple", "CorrectHorseBatteryStaple1!",
	"P@ssw0rd123!P@ssw0rd123!", "my super secret signing key for production", "MySuperSecretSigningKey2024!",
	"the quick brown fox jumps over the lazy dog", "TheQuickBrownFoxJumpsOverTheLazyDog", "to be or not to be that is the question",
	"a key of the operator", "dev-signing-key-do-not-use-in-production", "this-is-my-jwt-secret-key-please-change",
	letters, letters + "0123456789", "0123456789" + letters, strings.ToUpper(letters), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
	"zyxwvutsrqponmlkjihgfedcba9876543210", "12345678901234567890123456789012", "1234567890123456789012345678901234567890",
	"0123456789abcdef0123456789abcdef", "0123456789ABCDEF0123456789ABCDEF", "fedcba9876543210fedcba9876543210",
	"00112233445566778899aabbccddeeff", "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6", "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6",
	"deadbeefdeadbeefdeadbeefdeadbeef", "cafebabedeadbeef0123456789abcdef", "00000000000000000000000000000001",
	"0102030405060708090a0b0c0d0e0f10", "11111111222222223333333344444444", "abababababababababababababababab",
	"qwertyuiopasdfghjklzxcvbnm", "qwertyuiopasdfghjklzxcvbnm1234567890", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "QwErTyUiOpAsDfGhJkLzXcVbNm",
	"Wq3x9ZWq3x9ZWq3x9ZWq3x9ZWq3x9Z", "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd", "2024-01-15T10:30:00Z-2025-01-15T10:30:00Z",
	"20240115202401162024011720240118", "00000000-0000-4000-8000-000000000000", "123e4567-e89b-12d3-a456-426614174000",
	"01932c07-209e-7f7c-8c1d-3c5d6e7f8a9b", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----",
	"-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----",
	"9f86d081884c7d65", "whsec" + "_" + "9f86d081884c7d659a2feaa0", "sk" + "_live_" + "9f86d081884c7d659a2feaa0", // not enough behind the prefix
	"correct-horse-battery-staple-tortoise-lamp",
	"iloveyouiloveyouiloveyouiloveyou", "monkeydragonmasterletmeinwelcome", "P4ssw0rdP4ssw0rdP4ssw0rdP4ssw0rd", strings.Repeat("Ab1!", 16),
	"!@#$%^&*()_+!@#$%^&*()_+!@#$%^&*", "31415926535897932384626433832795"[:30], "", "changeme",
	"1101001110101101011010001110100110100101110001011010011101011000", // few symbols
	"${SIGNING_KEY_9F86D081884C7D659A2FEAA0C55AD015}",
}

func TestCheckRandomBits(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for bytes, want := range map[int][3]bool{8: {}, 12: {}, 13: {}, 16: {true, true, false}, 32: {true, true, true}} {
		s := redact.NewSecret(hex.EncodeToString(randomBytes(r, bytes)))
		for i, bits := range []int{0, 128, 256} {
			if err := s.CheckRandom(bits); (err == nil) != want[i] {
				t.Errorf("%d random bytes for %d bits: got %v", bytes, bits, err)
			}
		}
	}
	s := redact.NewSecret(hex.EncodeToString(randomBytes(r, 32)))
	s.Close()
	if err := s.CheckRandom(0); err == nil {
		t.Error("a closed secret passes")
	}
	defer func() {
		if recover() == nil {
			t.Error("negative bits: no panic")
		}
	}()
	_ = s.CheckRandom(-1)
}

// Keys in PEM have lines and a frame; only the private ones are secrets.
func TestCheckRandomTakesPrivateKeys(t *testing.T) {
	t.Parallel()
	body := base64.StdEncoding.EncodeToString(randomBytes(rand.New(rand.NewPCG(5, 6)), 48))
	for _, label := range []string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"} {
		text := "-----BEGIN " + label + "-----\n" + body[:32] + "\n" + body[32:] + "\n-----END " + label + "-----\n"
		if err := redact.NewSecret(text).CheckRandom(0); err != nil {
			t.Errorf("%s: %v", label, err)
		}
	}
}

func FuzzCheckRandom(f *testing.F) {
	for _, s := range humanKeys {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		s := redact.NewSecret(value)
		err := s.CheckRandom(0)
		if err != nil && len(value) > 40 && strings.Contains(err.Error(), value) {
			t.Errorf("the error quotes the value: %v", err)
		}
		if err == nil && len(value) < 13 {
			t.Errorf("%q has no 112 bits", value)
		}
	})
}

func BenchmarkCheckRandom(b *testing.B) {
	s := redact.NewSecret(hex.EncodeToString(randomBytes(rand.New(rand.NewPCG(1, 2)), 32)))
	for b.Loop() {
		_ = s.CheckRandom(0)
	}
}
