package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// scalar reports whether a value of type t can be read from one variable.
func scalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.String
	}
	return t == secretType || t == urlType || reflect.PointerTo(t).Implements(textType) && !embedsSecret(t)
}

// embedsSecret reports whether t has its text form from a Secret in it, which
// would be filled without a check.
func embedsSecret(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	_, found := t.FieldByNameFunc(func(name string) bool { return name == secretType.Name() })
	return found
}

// read sets v from the environment, and reports whether a variable is set.
func (f *field) read(v reflect.Value, env map[string]string) (set bool, err error) {
	text, set := env[f.env]
	if f.secret() {
		return f.readSecret(v, env, text, set)
	}
	if set = text != ""; !set {
		text = f.def
	}
	if text == "" {
		return false, nil
	}
	if problem := f.parse(f.target(v), text); problem != "" {
		return set, fmt.Errorf("%s %s", f.env, problem)
	}
	return set, nil
}

// target returns what v, or the pointer in v, has to hold.
func (f *field) target(v reflect.Value) reflect.Value {
	if !f.opt {
		return v
	}
	v.Set(reflect.New(f.typ))
	return v.Elem()
}

func (f *field) readSecret(v reflect.Value, env map[string]string, text string, set bool) (bool, error) {
	path, name := env[f.env+"_FILE"], f.env
	var s redact.Secret
	var err error
	switch {
	case text != "" && path != "":
		return true, fmt.Errorf("%s and %[1]s_FILE are both set: unset one", f.env)
	case path != "":
		name += "_FILE"
		if s, err = redact.SecretFromFile(path); err != nil {
			// Without the path: it may be the secret itself, by a slip.
			return true, fmt.Errorf("%s: %w", name, errors.Unwrap(err))
		}
	case !set:
		return false, nil
	default:
		s = redact.NewSecret(strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"))
		err = s.Check()
	}
	if err == nil && f.random {
		err = s.CheckRandom(0)
	}
	if err != nil {
		s.Close()
		return true, fmt.Errorf("%s %w", name, err)
	}
	f.target(v).Set(reflect.ValueOf(s))
	return true, nil
}

// parse sets v to what text says, or tells what is wrong. It does not pass on
// the errors of others: they quote the value.
func (f *field) parse(v reflect.Value, text string) (problem string) {
	if f.typ == urlType {
		return parseURL(v, text)
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if unmarshal(u, text) != nil {
			return "must be a " + kind(f.typ)
		}
		return ""
	}
	ok := false
	switch {
	case f.typ == durationType:
		var d time.Duration
		d, ok = parsed(time.ParseDuration(text))
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
		ok = true
	case v.Kind() == reflect.Bool:
		var b bool
		b, ok = parsed(strconv.ParseBool(text))
		v.SetBool(b)
	case v.CanInt():
		var n int64
		n, ok = parsed(strconv.ParseInt(text, 10, f.typ.Bits()))
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, ok = parsed(strconv.ParseUint(text, 10, f.typ.Bits()))
		v.SetUint(n)
	case v.CanFloat():
		var x float64
		x, ok = parsed(strconv.ParseFloat(text, f.typ.Bits()))
		ok = ok && !math.IsNaN(x) && !math.IsInf(x, 0) // with which no bound is of use
		v.SetFloat(x)
	default:
		ok = parseList(v, text)
	}
	if !ok {
		return "must be a " + kind(f.typ)
	}
	return ""
}

func parsed[T any](value T, err error) (T, bool) { return value, err == nil }

func parseList(v reflect.Value, text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			return false
		}
		v.Set(reflect.Append(v, reflect.ValueOf(part).Convert(v.Type().Elem())))
	}
	return true
}

func parseURL(v reflect.Value, text string) (problem string) {
	u, err := url.Parse(text)
	if err != nil || !u.IsAbs() {
		return "must be a " + kind(urlType)
	}
	if _, has := u.User.Password(); has {
		return "must not hold a password, since it would be printed (in the program, such a URL is a redact.Secret)"
	}
	v.Set(reflect.ValueOf(*u))
	return ""
}

// unmarshal ends a panic too: its text may hold the value.
func unmarshal(u encoding.TextUnmarshaler, text string) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panic")
		}
	}()
	return u.UnmarshalText([]byte(text))
}

// kind says what a value has to be, for "must be a ...".
func kind(t reflect.Type) string {
	v := reflect.New(t).Elem()
	own, tells := v.Addr().Interface().(interface{ Kind() string })
	switch {
	case tells:
		return own.Kind()
	case t == secretType:
		return "secret"
	case t == durationType:
		return "duration such as 30s"
	case t == urlType:
		return "URL such as https://host/path"
	case reflect.PointerTo(t).Implements(textType):
		return t.String()
	case t.Kind() == reflect.Bool:
		return "boolean, true or false"
	case v.CanInt() && t.Bits() == 64:
		return "whole number" // its bounds are nobody's concern
	case v.CanInt():
		return fmt.Sprintf("whole number from %d to %d", int64(-1)<<(t.Bits()-1), int64(1)<<(t.Bits()-1)-1)
	case v.CanUint() && t.Bits() == 64:
		return "whole number from 0"
	case v.CanUint():
		return fmt.Sprintf("whole number from 0 to %d", uint64(math.MaxUint64)>>(64-t.Bits()))
	case v.CanFloat():
		return "number"
	case t.Kind() == reflect.Slice:
		return "list of texts between commas"
	}
	return "text"
}
