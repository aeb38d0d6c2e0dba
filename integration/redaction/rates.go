package main

import (
	"bytes"
	"encoding/json"

	"github.com/mcpsec/mcpsec-go/internal/leakcorpus"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// rate is how many of some lines are as they should be.
type rate struct {
	name  string
	n, of int
}

func (r *rate) count(good bool) {
	r.of++
	if good {
		r.n++
	}
}

func measureRates(plain *redact.Redactor) []rate {
	pii := redact.New(redact.Options{PII: true})
	found, hard, personal := rate{name: "lines of the first tier without a trace"}, rate{name: "lines of the second tier (encoded, split, in tables and prose)"}, rate{name: "lines with personal data, when asked for"}
	keep, twice, valid := rate{name: "texts around the secrets kept"}, rate{name: "lines that a second pass leaves as they are"}, rate{name: "JSON that stays JSON"}
	for _, l := range append(append(leakcorpus.Leaks(), leakcorpus.WideLeaks()...), leakcorpus.Services()...) {
		r, tier := plain, &found
		if l.Tier == 2 {
			tier = &hard
		}
		if l.Optional {
			r, tier = pii, &personal
		}
		out := r.String(l.Text)
		tier.count(l.Trace(out) == "")
		twice.count(r.String(out) == out)
		for range l.Keep {
			keep.of++
			keep.n++
		}
		if l.Lost(out) != "" {
			keep.n--
		}
		if json.Valid([]byte(l.Text)) {
			valid.count(json.Valid(r.JSON([]byte(l.Text))))
		}
	}
	benign := rate{name: "harmless lines left byte for byte"}
	for _, l := range append(leakcorpus.Benign(), leakcorpus.WideBenign()...) {
		benign.count(bytes.Equal(plain.Bytes([]byte(l.Text)), []byte(l.Text)))
	}
	return []rate{found, hard, personal, services(plain), keep, benign, twice, valid}
}

// services counts the services of which every line is clean.
func services(r *redact.Redactor) rate {
	clean := map[string]bool{}
	for _, l := range leakcorpus.Services() {
		if _, seen := clean[l.Service]; !seen {
			clean[l.Service] = true
		}
		clean[l.Service] = clean[l.Service] && l.Trace(r.String(l.Text)) == ""
	}
	out := rate{name: "services whose credentials are found in neutral sentences"}
	for _, ok := range clean {
		out.count(ok)
	}
	return out
}
