package pbtool

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func (k Collection) clone() *Collection {
	k.Fields, k.Write = slices.Clone(k.Fields), slices.Clone(k.Write)
	return &k
}

func denied(format string, args ...any) error {
	return &mcpsec.Error{Message: fmt.Sprintf(format, args...), Rule: "collection"}
}

func badArgument(err error) error { return &mcpsec.Error{Message: err.Error(), Rule: "arguments"} }

// collection returns what may be done with a collection, or why it may not be
// used.
func (c *Client) collection(name string) (*Collection, error) {
	switch {
	case !collectionName().MatchString(name):
		return nil, denied("a collection's name has letters, digits and underscores only")
	case c.isHistory(name) && c.known[name] == nil:
		return nil, denied("the history of changes is not for tools")
	case c.known != nil && c.known[name] == nil:
		return nil, denied("the collection may not be used, or there is none of that name; these may: %s", c.names())
	case c.known == nil && isSystem(name):
		return nil, denied("PocketBase's own collections may not be used, and collections are named by their names, not ids")
	case c.known == nil:
		return &Collection{Name: name}, nil
	}
	return c.known[name], nil
}

// names lists the collections that may be used.
func (c *Client) names() string {
	return strings.Join(slices.Sorted(maps.Keys(c.known)), ", ")
}

// mayRead says whether a path may be sorted or filtered by, or expanded. A path
// that leads to another collection's fields must be listed where anything is.
func (c *Client) mayRead(k *Collection, path string) error {
	bare, _, _ := strings.Cut(path, ":")
	switch {
	case isSecret(bare):
		return denied("passwords and token keys may not be read")
	case strings.Contains(bare, ".") && strings.Contains("."+bare, "._"):
		return denied("a path may not lead through PocketBase's own collections")
	case bare == "id", slices.Contains(k.Fields, bare):
		return nil
	case k.Fields == nil && (c.known == nil || !strings.Contains(bare, ".")):
		return nil
	case k.Fields == nil:
		return denied("a path through a relation may not be used unless it is listed")
	}
	return denied("a field may not be used, or there is none of that name%s", k.readable())
}

// shows reports whether a field of a record may leave.
func (k *Collection) shows(field string) bool {
	return !isSecret(field) && (k.Fields == nil || field == "id" || slices.Contains(k.Fields, field))
}

// where writes the filter of a call.
func (c *Client) where(k *Collection, w Where) (Filter, error) {
	f, err := w.filter(func(field string) error { return c.mayRead(k, field) })
	if err != nil {
		if _, ok := err.(*mcpsec.Error); !ok {
			err = badArgument(err)
		}
	}
	return f, err
}
