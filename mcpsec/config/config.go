package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// Load reads the struct T from the environment variables whose names begin with
// prefix, such as "ORDERS_". All problems are reported in one error, a line
// each, fields in their order and then unknown variables by name; it holds no
// values. With an error, the T is zero and secrets that were read are closed.
//
// A wrong T or prefix is a wrong program, and panics: a field without an env
// tag or of an unknown type, a name that is there twice, a default that is none
// or a secret's, a rule that does not exist or cannot apply.
func Load[T any](prefix string) (T, error) { return LoadFrom[T](prefix, os.Environ()) }

// LoadFrom is [Load] from an environment of its own, in the form of
// os.Environ: for tests. Files that NAME_FILE variables name are read.
func LoadFrom[T any](prefix string, environ []string) (T, error) {
	return loadWith[T](prefix, "", environ)
}

// loadWith reads a file too, unless path is "".
func loadWith[T any](prefix, path string, environ []string) (T, error) {
	var cfg T
	p := planFor(prefix, reflect.TypeFor[T]())
	if err := p.loadWith(reflect.ValueOf(&cfg).Elem(), path, environ); err != nil {
		return *new(T), err
	}
	return cfg, nil
}

// Close closes every [redact.Secret] in the configuration that cfg points to,
// in nested structs too. Copies of these secrets are closed with them.
func Close[T any](cfg *T) { closeAll(reflect.ValueOf(cfg).Elem()) }

func closeAll(v reflect.Value) {
	switch {
	case v.Type() == secretType && v.CanInterface():
		v.Interface().(redact.Secret).Close()
	case v.Kind() == reflect.Pointer && !v.IsNil():
		closeAll(v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			closeAll(v.Field(i))
		}
	}
}

// readEnviron takes the first of several settings of a variable, as os.Getenv.
func readEnviron(environ []string) map[string]string {
	env := map[string]string{}
	for _, setting := range environ {
		name, value, _ := strings.Cut(setting, "=")
		if _, twice := env[name]; !twice {
			env[name] = value
		}
	}
	return env
}

// load fills v, or returns all that is wrong.
func (p *plan) load(v reflect.Value, env map[string]string) (problems []error) {
	read, set := map[string]error{}, map[string]bool{}
	for _, f := range p.fields {
		set[f.path], read[f.path] = f.read(v.FieldByIndex(f.index), env)
	}
	for _, f := range p.fields {
		switch {
		case read[f.path] != nil:
			problems = append(problems, read[f.path])
		case !f.dependsOn(read): // else its rules would judge what is not there
			problems = append(problems, p.check(f, v, set[f.path])...)
		}
	}
	return append(problems, p.unknown(env)...)
}

// loadWith fills v from the environment and the file at path, if there is one, or
// returns all that is wrong and closes the secrets in v.
func (p *plan) loadWith(v reflect.Value, path string, environ []string) error {
	where := "the environment"
	var problems []error
	if path != "" {
		where = "the configuration"
		settings, err := p.readFile(path)
		if err != nil {
			return err
		}
		environ = append(slices.Clone(environ), settings.environ()...) // the first of several counts
		problems = settings.problems
	}
	problems = append(problems, p.load(v, readEnviron(environ))...)
	if len(problems) == 0 {
		return nil
	}
	closeAll(v)
	return fmt.Errorf("%s has %s:\n%w", where, count(len(problems)), errors.Join(problems...))
}

func count(n int) string {
	if n == 1 {
		return "1 problem"
	}
	return fmt.Sprintf("%d problems", n)
}
