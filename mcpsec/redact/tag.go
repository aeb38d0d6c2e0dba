package redact

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Tag is the struct tag that marks a field as secret for the log handler,
// whatever it is called: `redact:"true"`.
const Tag = "redact"

const (
	maxDepth = 16
	maxNodes = 1 << 12
)

// tagCache remembers which types can hold a tagged field: a reflect.Type to a
// bool. Types are as many as the program has, so it is bounded.
var tagCache sync.Map

// taggedSecrets returns the values of the tagged fields in x, as fmt prints
// them, exported or not.
func taggedSecrets(x any) []string {
	if !tagged(reflect.TypeOf(x), 0) {
		return nil
	}
	c := collector{nodes: maxNodes}
	c.walk(reflect.ValueOf(x), 0)
	return c.found
}

// tagged reports whether a value of type t may hold a tagged field. What an
// interface holds is known only at run time: it may.
func tagged(t reflect.Type, depth int) bool {
	if known, ok := tagCache.Load(t); ok {
		return known.(bool)
	}
	if depth > maxDepth {
		return false
	}
	found := false
	switch t.Kind() {
	case reflect.Interface:
		found = true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		found = tagged(t.Elem(), depth+1)
	case reflect.Map:
		found = tagged(t.Key(), depth+1) || tagged(t.Elem(), depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			found = found || t.Field(i).Tag.Get(Tag) == "true" || tagged(t.Field(i).Type, depth+1)
		}
	}
	if depth == 0 { // deeper ones may have been cut short by a recursive type
		tagCache.Store(t, found)
	}
	return found
}

type collector struct {
	found []string
	nodes int
}

func (c *collector) walk(v reflect.Value, depth int) {
	if c.nodes--; c.nodes < 0 || depth > maxDepth || !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		c.walk(v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			c.walk(v.Index(i), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			c.walk(it.Key(), depth+1)
			c.walk(it.Value(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get(Tag) == "true" {
				c.take(v.Field(i))
				continue
			}
			c.walk(v.Field(i), depth+1)
		}
	}
}

// take collects the forms of a tagged field: %v reads unexported fields too.
func (c *collector) take(v reflect.Value) {
	if v.IsZero() {
		return
	}
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	c.found = append(c.found, strings.Trim(fmt.Sprintf("%v", v), "[]"))
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		c.found = append(c.found, string(v.Bytes()))
	}
}

// scrub masks the hidden values in text, in all their forms. A value so short
// that it would be met by chance takes the whole text with it.
func scrub(text string, hidden []string) string {
	for _, h := range hidden {
		if h == "" || strings.Contains(Mask, h) {
			continue
		}
		if len(h) < 4 && strings.Contains(text, h) {
			return Mask
		}
		for _, form := range forms(h) {
			if len(form) >= 4 {
				text = strings.ReplaceAll(text, form, Mask)
			}
		}
	}
	return text
}
