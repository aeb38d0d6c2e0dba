package schema

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// outside are the rules that ask the file system or the network about a value,
// which tells its sender what is there and lets it reach out.
var outside = map[string]string{
	"file": "the file system", "filepath": "the file system", "image": "the file system",
	"dir": "the file system", "dirpath": "the file system", "uds_exists": "the file system",
	"tcp_addr": "the name service", "tcp4_addr": "the name service", "tcp6_addr": "the name service",
	"udp_addr": "the name service", "udp4_addr": "the name service", "udp6_addr": "the name service",
	"ip_addr": "the name service", "ip4_addr": "the name service", "ip6_addr": "the name service",
	"unix_addr": "the network",
}

// presence are the rules that hold for a value of any kind.
var presence = []string{"required", "omitempty", "omitnil", "omitzero", "isdefault"}

// bounds are the rules that compare a number, or a size.
var bounds = []string{"min", "max", "len", "gt", "gte", "lt", "lte", "eq", "ne"}

// forKind are the further rules that do what they say on a kind that is no
// string. The validator takes others too, and then panics or looks at a text
// such as "<int Value>".
func forKind(t reflect.Type) []string {
	switch k := t.Kind(); {
	case t == reflect.TypeFor[time.Time]():
		return []string{"gt", "gte", "lt", "lte"}
	case ownForm(t):
		return nil
	case k >= reflect.Int && k <= reflect.Uint64:
		return slices.Concat(bounds, []string{"oneof", "noneof", "port", "latitude", "longitude", "iso3166_1_alpha_numeric", "iso4217_numeric"})
	case k == reflect.Float32 || k == reflect.Float64:
		return slices.Concat(bounds, []string{"latitude", "longitude"})
	case k == reflect.Slice || k == reflect.Map || k == reflect.Array:
		return slices.Concat(bounds, []string{"unique"})
	}
	return nil
}

// checkRules refuses rules of a field of struct type owner that do not do on a
// value of type t what they say.
func checkRules(t reflect.Type, tg *tag, owner reflect.Type) error {
	for _, r := range tg.rules {
		for _, a := range r.alts {
			if err := checkRule(t, a, owner); err != nil {
				return fmt.Errorf("rule %s: %w", a.name, err)
			}
		}
	}
	if tg.dive != nil && !hasElements(t) {
		return fmt.Errorf("rule dive: it does not apply to %s", t)
	}
	return nil
}

func checkRule(t reflect.Type, a alt, owner reflect.Type) error {
	if where := outside[a.name]; where != "" {
		return fmt.Errorf("it asks %s about the value, which tells its sender what is there: check the form only", where)
	}
	if err := checkCross(t, a, owner); err != nil || crossField(a.name) {
		return err
	}
	if slices.Contains(presence, a.name) {
		return nil
	}
	if t.Kind() != reflect.String && !slices.Contains(forKind(t), a.name) {
		return fmt.Errorf("it does not apply to %s", t)
	}
	switch {
	case a.name == "unique":
		return checkUnique(t, a)
	case t == reflect.TypeFor[time.Time]() && a.param != "":
		return errors.New("a time is compared with now, without a parameter")
	case slices.Contains(bounds, a.name) && t != reflect.TypeFor[time.Time]():
		return checkBound(t, a)
	}
	return nil
}

func hasElements(t reflect.Type) bool {
	k := t.Kind()
	return !ownForm(t) && !isBytes(t) && (k == reflect.Slice || k == reflect.Array || k == reflect.Map)
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// checkUnique refuses to compare what the validator compares by address, or
// panics on.
func checkUnique(t reflect.Type, a alt) error {
	e := deref(t.Elem())
	if a.param != "" {
		f, ok := reflect.StructField{}, false
		if e.Kind() == reflect.Struct && t.Kind() != reflect.Map {
			f, ok = e.FieldByName(a.param)
		}
		if !ok || !f.IsExported() {
			return fmt.Errorf("the elements have no field %s", a.param)
		}
		e = deref(f.Type)
	}
	if k := e.Kind(); k != reflect.String && (k < reflect.Bool || k > reflect.Float64) {
		return fmt.Errorf("elements of type %s are not compared by value: name a field, as in unique=ID", e)
	}
	return nil
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// The one way to write a number that the schema and the validator, which takes
// 010 for 8, read alike.
func plainNumber(s string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return digits(whole) && (whole == "0" || whole[0] != '0') && (!point || digits(fraction))
}

// plainSize is the same for a size, which is a whole number below a billion.
func plainSize(s string) bool {
	return len(s) <= 9 && digits(s) && (s == "0" || s[0] != '0')
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// maxExact is where a float, which is what a schema's bound is here, begins to
// miss whole numbers: the one after it reads the same.
const maxExact = 1 << 53

// checkBound refuses a bound that is not shown as it is enforced.
func checkBound(t reflect.Type, a alt) error {
	k := t.Kind()
	if k < reflect.Int || k > reflect.Float64 {
		if k == reflect.String && (a.name == "eq" || a.name == "ne") {
			return nil
		}
		if !plainSize(a.param) || a.name == "lt" && a.param == "0" {
			return fmt.Errorf("it needs a whole number, not %q", a.param)
		}
		return nil
	}
	n, err := strconv.ParseFloat(a.param, 64)
	if err != nil || !plainNumber(a.param) {
		return fmt.Errorf("it needs a number, not %q", a.param)
	}
	switch {
	case n >= maxExact || n <= -maxExact:
		return fmt.Errorf("%s cannot be shown exactly: bounds end before 2 to the power of 53", a.param)
	case k < reflect.Float32 && strings.Contains(a.param, "."):
		return fmt.Errorf("it needs a whole number, not %q", a.param)
	case k >= reflect.Uint && k < reflect.Float32 && n < 0:
		return fmt.Errorf("%s is never negative", t)
	}
	return nil
}

// checkCross refuses a rule that names a member of owner which does not exist,
// or a value that it cannot have: the validator would take it as absent, or
// panic in the call.
func checkCross(t reflect.Type, a alt, owner reflect.Type) error {
	if strings.HasSuffix(a.name, "csfield") {
		return fmt.Errorf("compare members of one struct, with %s", strings.Replace(a.name, "cs", "", 1))
	}
	if a.name == "postcode_iso3166_alpha2_field" {
		return errors.New("name the country, with postcode_iso3166_alpha2")
	}
	if !crossField(a.name) {
		return nil
	}
	names := splitWords(a.param)
	if len(names) == 0 || conditional(a.name) && len(names)%2 != 0 {
		return errors.New("it names no member")
	}
	if len(names) > 1 && (a.name == "excluded_without" || compares(a.name)) {
		return errors.New("it takes one member") // the validator would look for one whose name has spaces
	}
	for i := 0; i < len(names); i++ {
		f, ok := owner.FieldByName(names[i])
		if !ok || strictjson.Ignored(f) {
			return fmt.Errorf("there is no field %s", names[i])
		}
		if compares(a.name) && !areComparable(a.name, t, deref(f.Type)) {
			return fmt.Errorf("%s and field %s, of %s, are not comparable", t, f.Name, f.Type)
		}
		if !conditional(a.name) {
			continue
		}
		if i++; !canBe(f.Type, names[i]) {
			return fmt.Errorf("%q is no value that field %s can have", names[i], f.Name)
		}
	}
	return nil
}

// compares reports whether a rule compares two members.
func compares(name string) bool {
	return strings.HasPrefix(name, "field") || strings.HasSuffix(name, "field")
}

// areComparable reports whether the validator compares t and u by value: of other
// types it compares the lengths, or nothing.
func areComparable(name string, t, u reflect.Type) bool {
	k, isTime := t.Kind(), t == reflect.TypeFor[time.Time]()
	switch {
	case k != u.Kind() || isTime != (u == reflect.TypeFor[time.Time]()):
		return false
	case strings.HasPrefix(name, "field"):
		return k == reflect.String
	case isTime || k >= reflect.Int && k <= reflect.Float64:
		return true
	}
	return (name == "eqfield" || name == "nefield") && (k == reflect.String || k == reflect.Bool)
}

// canBe reports whether the validator can compare a value of type t with
// text, which must be written in one way only.
func canBe(t reflect.Type, text string) bool {
	t = deref(t)
	switch k := t.Kind(); {
	case ownForm(t) && k != reflect.String:
		return false
	case k == reflect.String:
		return true
	case k == reflect.Bool:
		return text == "true" || text == "false"
	case k >= reflect.Int && k <= reflect.Int64:
		n, err := strconv.ParseInt(text, 10, t.Bits())
		return err == nil && strconv.FormatInt(n, 10) == text
	case k >= reflect.Uint && k <= reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, t.Bits())
		return err == nil && strconv.FormatUint(n, 10) == text
	case k == reflect.Float32 || k == reflect.Float64:
		return plainNumber(text)
	case k == reflect.Slice || k == reflect.Map || k == reflect.Array: // compared by length
		return plainSize(text)
	}
	return false
}

var enumWord = lazy.Regexp(`'[^']*'|\S+`) // as validator/v10 splits oneof

// splitWords splits a parameter as the validator does: at spaces, but not
// within single quotes.
func splitWords(param string) []string {
	if !strings.Contains(param, "'") {
		return strings.FieldsFunc(param, func(r rune) bool { return strings.ContainsRune(" \t\n\f\r", r) })
	}
	words := enumWord().FindAllString(param, -1)
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "'", "")
	}
	return words
}
