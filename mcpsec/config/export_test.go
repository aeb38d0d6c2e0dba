package config

import "reflect"

// LoadInto is LoadFrom that lets the test see what an error leaves behind.
func LoadInto[T any](cfg *T, prefix string, environ []string) error {
	return planFor(prefix, reflect.TypeFor[T]()).load(reflect.ValueOf(cfg).Elem(), readEnviron(environ))
}
