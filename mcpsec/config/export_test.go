package config

import "reflect"

// LoadInto is LoadFrom that lets the test see what an error leaves behind.
func LoadInto[T any](cfg *T, prefix string, environ []string) error {
	return planFor(prefix, reflect.TypeFor[T]()).loadWith(reflect.ValueOf(cfg).Elem(), "", environ)
}

// LoadFileFrom is LoadFile with an environment of its own.
func LoadFileFrom[T any](prefix, path string, environ []string) (T, error) {
	return loadWith[T](prefix, path, environ)
}
