package pgtool

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// TestHashKey compares what the server computes from the settings with HMAC.
func TestHashKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"sixteen bytes ok", strings.Repeat("k", 64), strings.Repeat("long", 50)} {
		settings := map[string]string{}
		Options{Mask: map[string]Mask{"*.a": Hashed}, MaskKey: redact.NewSecret(key)}.hashKey(settings)
		inner, err := hex.DecodeString(settings[sqlcatalog.InnerKey])
		if err != nil {
			t.Fatal(err)
		}
		outer, err := hex.DecodeString(settings[sqlcatalog.OuterKey])
		if err != nil {
			t.Fatal(err)
		}
		first := sha256.Sum256(append(inner, "value"...))
		got := sha256.Sum256(append(outer, first[:]...))
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte("value"))
		if !hmac.Equal(got[:], mac.Sum(nil)) {
			t.Errorf("a key of %d bytes is not that of an HMAC", len(key))
		}
	}
	a, b, none := map[string]string{}, map[string]string{}, map[string]string{}
	for _, settings := range []map[string]string{a, b} {
		o, err := Options{URL: redact.NewSecret("postgres://u@h/d"), Mask: map[string]Mask{"*.a": Hashed}}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		o.hashKey(settings)
		same := map[string]string{}
		if o.hashKey(same); same[sqlcatalog.InnerKey] != settings[sqlcatalog.InnerKey] {
			t.Error("a replica gets another key")
		}
	}
	Options{Mask: map[string]Mask{"*.a": Hidden}}.hashKey(none)
	if a[sqlcatalog.InnerKey] == b[sqlcatalog.InnerKey] || len(a[sqlcatalog.InnerKey]) != 128 || len(none) != 0 {
		t.Errorf("keys that are drawn: %v, %v, %v", a, b, none)
	}
}

// TestMaskPatterns pins what the server is asked for.
func TestMaskPatterns(t *testing.T) {
	t.Parallel()
	o := Options{Mask: map[string]Mask{"*_token": Hashed, "shop.customers.email": Partial, `a%.b\`: Hidden, "shop.*.pin": Hidden}}
	args, entries := o.maskPatterns()
	if got := strings.Join(entries, " "); got != `*_token a%.b\ shop.*.pin shop.customers.email` {
		t.Errorf("entries %s", got)
	}
	for i, want := range []string{`{"%","%","shop","shop"}`, `{"%","a\\%","%","customers"}`, `{"%\\_token","b\\\\","pin","email"}`, `{"k","h","h","p"}`} {
		if got := string(args[i]); got != want {
			t.Errorf("argument %d: %s, want %s", i, got, want)
		}
	}
	if got := string((Options{Mask: map[string]Mask{"a_.*": Hidden}}).guardPatterns()); got != "{\"%\x01a\\\\_\x01%\"}" {
		t.Errorf("guard: %q", got)
	}
}

func TestMaskedColumn(t *testing.T) {
	t.Parallel()
	for pattern, masked := range map[string]bool{
		"shop.people.ssn": true, "SHOP.People.SSN": true, "*.ssn": true, "ssn": true, "s*n": true, "*": true, "shop.*.*s*": true, "people.*": true, "*s*s*n*": true,
		"shop.people.pin": false, "other.*": false, "*.ss": false, "s*n*n": false, "*_ssn": false, "ssn*ssn": false, "shop.ssn": false, "*s*s*s*": false,
	} {
		o := Options{Mask: map[string]Mask{pattern: Hidden}}
		for _, table := range []Table{{Schema: "shop", Name: "people", Read: []string{"ssn"}}, {Schema: "shop", Name: "people", Key: []string{"ssn"}}} {
			if got := o.maskedColumn(table) != ""; got != masked {
				t.Errorf("%s: %v, want %v", pattern, got, masked)
			}
		}
	}
}

func TestMarkColumn(t *testing.T) {
	t.Parallel()
	masks := map[string]byte{"a": sqlcatalog.Hidden, "b": sqlcatalog.Hashed, "c": sqlcatalog.Partial}
	for in, want := range map[string]string{
		`{"name":"a","type":"int4","nullable":true,"default":"7"}`:               `{"name":"a","type":"int4","masked":"hidden","nullable":true}`,
		`{"name":"b","type":"int4","nullable":false,"comment":"x"}`:              `{"name":"b","type":"text","masked":"hashed","nullable":false,"comment":"x"}`,
		`{"name":"c","type":"varchar(9)","nullable":false,"default":"'secret'"}`: `{"name":"c","type":"text","masked":"partial","nullable":false}`,
		`{"name":"d","default":"7"}`:                                             `{"name":"d","default":"7"}`,
	} {
		if got, err := markColumn(json.RawMessage(in), masks); err != nil || string(got) != want {
			t.Errorf("%s became %s, %v", in, got, err)
		}
	}
}
