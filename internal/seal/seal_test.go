package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func secret(b byte) []byte { return bytes.Repeat([]byte{b, ^b}, 16) }

func ring(t testing.TB, purpose string, secrets ...[]byte) *Ring {
	t.Helper()
	r, err := New(purpose, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRotation(t *testing.T) {
	t.Parallel()
	old, both, fresh := ring(t, "p", secret(1)), ring(t, "p", secret(2), secret(1)), ring(t, "p", secret(2))
	allow := func(by, at *Ring) {
		t.Helper()
		if got, err := at.Open(by.Seal([]byte("x"))); err != nil || string(got) != "x" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	deny := func(by, at *Ring, want error) {
		t.Helper()
		if _, err := at.Open(by.Seal([]byte("x"))); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	allow(old, old)
	allow(old, both)
	allow(both, both)
	allow(both, fresh) // the first key seals
	deny(both, old, ErrKey)
	deny(old, fresh, ErrKey)
	deny(ring(t, "q", secret(1)), old, ErrKey) // another purpose
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	r := ring(t, "p", secret(1))
	token := r.Seal([]byte("plain"))
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("plain")) {
		t.Error("the token can be read")
	}
	for name, bad := range map[string]string{
		"empty": "", "short": token[:6], "cut": token[:len(token)-1], "longer": token + "A", "line end": token + "\n", "line end within": token[:9] + "\r\n" + token[9:],
		"padded": token + "=", "standard alphabet": strings.Repeat("+", len(token)), "two": token + token, "long": strings.Repeat("A", MaxToken+1),
	} {
		if _, err := r.Open(bad); !errors.Is(err, ErrForged) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for i := range raw {
		for bit := range 8 {
			b := bytes.Clone(raw)
			b[i] ^= 1 << bit
			if _, err := r.Open(base64.RawURLEncoding.EncodeToString(b)); err == nil {
				t.Errorf("byte %d, bit %d: opened", i, bit)
			}
		}
	}
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		if bad := token[:len(token)-1] + string(c); bad != token {
			if _, err := r.Open(bad); err == nil {
				t.Errorf("another spelling opens: %c at the end", c)
			}
		}
	}
	if _, err := r.Open(r.Seal(make([]byte, MaxToken))); !errors.Is(err, ErrForged) {
		t.Errorf("too long a token: got %v", err)
	}
	newer := append([]byte{version + 1}, r.keys[0].id[:]...)
	newer = r.keys[0].aead.Seal(newer, nil, nil, newer[:header:header])
	if _, err := r.Open(base64.RawURLEncoding.EncodeToString(newer)); !errors.Is(err, ErrForged) {
		t.Errorf("another version: got %v", err)
	}
	if a, b := r.Seal(nil), r.Seal(nil); a == b {
		t.Error("two tokens are equal")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][][]byte{"none": nil, "short": {secret(1)[:31]}, "second short": {secret(1), nil}} {
		if _, err := New("p", keys...); err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

// Nothing opens but what was sealed, in one spelling.
func FuzzOpen(f *testing.F) {
	r := ring(f, "p", secret(1), secret(2))
	token := r.Seal([]byte("plain"))
	f.Add(token)
	f.Add(token[:20])
	f.Add("AQAAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := r.Open(s)
		if err != nil {
			return
		}
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != s || string(got) != "plain" {
			t.Errorf("%q opened as %q", s, got)
		}
	})
}

// A box opens where it was put, under its key, as it was.
func TestBox(t *testing.T) {
	t.Parallel()
	r, other := ring(t, "p", secret(1)), ring(t, "p", secret(2))
	box := r.Box([]byte("plain"), "here")
	if got, err := ring(t, "p", secret(2), secret(1)).Unbox(box, "here"); err != nil || string(got) != "plain" || len(box) != len("plain")+33 {
		t.Errorf("got %q of %d, %v", got, len(box), err)
	}
	deny := func(r *Ring, box []byte, place string, want error) {
		t.Helper()
		if got, err := r.Unbox(box, place); !errors.Is(err, want) {
			t.Errorf("got %q, %v, want %v", got, err, want)
		}
	}
	deny(r, box, "there", ErrForged)
	deny(other, box, "here", ErrKey)
	deny(ring(t, "q", secret(1)), box, "here", ErrKey)
	deny(r, nil, "here", ErrForged)
	deny(r, box[:4], "here", ErrForged)
	for i := range box {
		changed := bytes.Clone(box)
		changed[i] ^= 1
		if _, err := r.Unbox(changed, "here"); err == nil {
			t.Errorf("byte %d was changed, and it opens", i)
		}
	}
}
