package pgtool

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// printable reports whether a password is one that SASLprep leaves as it is (RFC
// 4013): of printable ASCII, and of a sane length.
func printable(password string) bool {
	for _, r := range password {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return len(password) >= 8 && len(password) <= 128
}

const scramIterations = 4096 // as PostgreSQL's own, and all that RFC 7677 asks for

// scramVerifier returns what the server keeps of a password for SCRAM-SHA-256 (RFC
// 5802, section 3; RFC 7677), in PostgreSQL's form. The salt is random.
func scramVerifier(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("making a salt: %w", err)
	}
	return scramWith(password, salt, scramIterations)
}

func scramWith(password string, salt []byte, iterations int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	key := func(name string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(name))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(key("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(key("Server Key"))), nil
}
