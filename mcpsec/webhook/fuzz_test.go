package webhook_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutate changes one byte of one part: replaces, removes, doubles or inserts it.
func mutate(parts []string, part, pos uint16, how, with byte) {
	p := &parts[int(part)%len(parts)]
	if *p == "" {
		*p = string(with)
		return
	}
	i := int(pos) % len(*p)
	switch how % 5 {
	case 0:
		*p = (*p)[:i] + string([]byte{(*p)[i] ^ max(1, with)}) + (*p)[i+1:]
	case 1:
		*p = (*p)[:i] + (*p)[i+1:]
	case 2:
		*p = (*p)[:i] + (*p)[i:i+1] + (*p)[i:]
	case 3:
		*p = (*p)[:i] + string([]byte{with}) + (*p)[i:]
	case 4:
		*p = (*p)[:i] // cut off
	}
}

// No delivery verifies in which what a signature binds, or the signature, was
// changed. Where the sender does not sign the body, the body is let be.
func FuzzMutatedDelivery(f *testing.F) {
	all := senders(f)
	for i := range all {
		for how := range byte(5) {
			f.Add(uint8(i), []byte{0, 0, 0, 3, how, 1}, false)
			f.Add(uint8(i), []byte{0, 1, 0, 9, how, ' ', 0, 2, 0, 0, how, '0'}, true)
		}
	}
	now := time.Unix(1_764_000_000, 0)
	f.Fuzz(func(t *testing.T, which uint8, steps []byte, move bool) {
		s := all[int(which)%len(all)]
		genuine := s.parts(s.body, now)
		parts := slices.Clone(genuine)
		bound := len(parts)
		if s.unsigned {
			bound--
		}
		for ; len(steps) >= 6; steps = steps[6:] {
			mutate(parts[:bound], uint16(steps[0])<<8|uint16(steps[1]), uint16(steps[2])<<8|uint16(steps[3]), steps[4], steps[5])
		}
		if move && bound > 1 { // the end of one part to the beginning of the next
			if a, b := &parts[0], &parts[1]; len(*a) > 0 {
				*a, *b = (*a)[:len(*a)-1], (*a)[len(*a)-1:]+*b
			}
		}
		if slices.Equal(parts, genuine) || s.harmless != nil && s.harmless(parts) {
			return
		}
		h, body := s.join(parts)
		if gh, gb := s.join(genuine); bytes.Equal(body, gb) && equalHeaders(h, gh) {
			return
		}
		if ev, err := s.verifier(t).At(t.Context(), h, body, now); err == nil {
			t.Fatalf("%s: %q verifies, as %+v; genuine is %q", s.name, parts, ev, genuine)
		}
	})
}

func equalHeaders(a, b map[string][]string) bool {
	for name, values := range a {
		if !slices.Equal(values, b[name]) {
			return false
		}
	}
	return len(a) == len(b)
}

// Every single bit of what is bound counts.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_764_000_000, 0)
	for _, s := range senders(t) {
		v, genuine := s.verifier(t), s.parts(s.body, now)
		bound := len(genuine)
		if s.unsigned {
			bound--
		}
		for i, part := range genuine[:bound] {
			for at := range len(part) {
				for bit := range 8 {
					parts := slices.Clone(genuine)
					parts[i] = part[:at] + string([]byte{part[at] ^ 1<<bit}) + part[at+1:]
					if s.harmless != nil && s.harmless(parts) {
						continue
					}
					h, body := s.join(parts)
					if _, err := v.At(t.Context(), h, body, now); err == nil {
						t.Errorf("%s: part %d without bit %d of byte %d verifies: %q", s.name, i, bit, at, parts[i])
					}
				}
			}
		}
		// Nor does a signature count that is somebody else's, or none.
		for _, sig := range []string{"", "0", strings.Repeat("0", 64), b64(make([]byte, 32))} {
			for i := range genuine[:bound] {
				parts := slices.Clone(genuine)
				parts[i] = sig
				h, body := s.join(parts)
				if _, err := v.At(t.Context(), h, body, now); err == nil {
					t.Errorf("%s: part %d as %q verifies", s.name, i, sig)
				}
			}
		}
	}
}
