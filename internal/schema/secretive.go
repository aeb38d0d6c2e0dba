package schema

import "strings"

// secretWords are in the names of fields that hold secrets, without what
// separates their words.
var secretWords = []string{
	"password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "accesskey", "privatekey", "signingkey", "credential",
	"otp", "cvv", "cvc", "cardnumber", "creditcard", "ssn", "socialsecurity", "mnemonic", "seedphrase", "recoverycode",
}

// Secretive reports whether a name speaks of a secret. Short words count only by
// themselves.
func Secretive(name string) bool {
	words := strings.FieldsFunc(splitCamel(name), func(c rune) bool { return c == '_' || c == '-' || c == '.' || c == ' ' })
	joined := strings.Join(words, "")
	for _, s := range secretWords {
		if len(s) > 3 && strings.Contains(joined, s) {
			return true
		}
		for _, w := range words {
			if w == s || w == "pin" || w == "pwd" {
				return true
			}
		}
	}
	return false
}

// splitCamel puts a space before each capital that begins a word.
func splitCamel(name string) string {
	var b strings.Builder
	lower := false
	for _, c := range name {
		if c >= 'A' && c <= 'Z' && lower {
			b.WriteByte(' ')
		}
		lower = c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		b.WriteRune(c)
	}
	return strings.ToLower(b.String())
}
