package redact_test

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// mostPerByte bounds the bytes that matchers look at for each byte of a text.
const mostPerByte = 60

// TestLinear counts steps, not time: the cost of a byte may neither be high
// nor grow with the text.
func TestLinear(t *testing.T) {
	t.Parallel()
	const small, large = 16 << 10, 1 << 20
	r := redact.New(redact.Options{PII: true})
	for name, unit := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			perByte := func(size int) float64 {
				text := strings.Repeat(unit, size/len(unit)+1)
				return float64(r.Work(text)) / float64(len(text))
			}
			a, b := perByte(small), perByte(large)
			if b > mostPerByte {
				t.Errorf("%.1f steps a byte at 1 MB, want at most %d", b, mostPerByte)
			}
			if b > 1.1*a+0.5 {
				t.Errorf("%.2f steps a byte at 16 KB, %.2f at 1 MB: grows with the text", a, b)
			}
		})
	}
}

// TestLinearMixed puts two units in turn, so that one resets what the other
// remembers.
func TestLinearMixed(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{PII: true})
	for name, first := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for other, second := range hostile {
				for _, glue := range []string{"", `"`} {
					text := strings.Repeat(first+glue+second, 4<<10/(len(first)+len(second)+1))
					if n := float64(r.Work(text)) / float64(len(text)); n > mostPerByte {
						t.Errorf("with %s and glue %q: %.1f steps a byte, want at most %d", other, glue, n, mostPerByte)
					}
				}
			}
		})
	}
}

func TestCleanTextCostsNoAllocation(t *testing.T) {
	r := redact.New(redact.Options{Secrets: []redact.Secret{redact.NewSecret("correct horse")}})
	data := []byte(cleanJSON)
	for name, f := range map[string]func(){
		"String": func() { r.String(cleanLine) },
		"Bytes":  func() { r.Bytes(data) },
		"JSON":   func() { r.JSON(data) },
		"empty":  func() { r.String("") },
		"cursor": func() { r.String("cursor=eyJvZmZzZXQiOjEwMH0=") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, n)
		}
	}
	for _, h := range harmless { // which matchers look at, and leave
		text := bodies.Replace(h)
		if n := testing.AllocsPerRun(10, func() { r.String(text) }); n != 0 {
			t.Errorf("%q: got %v allocations, want 0", text, n)
		}
	}
}
