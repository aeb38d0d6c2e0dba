package pbtool

import (
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// Names are taken if they have the form that PocketBase's own have, and are
// escaped all the same: a segment ".." would be cleaned away by the server's
// router, and the request would be another one.
var (
	collectionName = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
	fieldName      = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
	recordID       = lazy.Regexp(`^[A-Za-z0-9_-]{1,100}$`)
	segmentName    = lazy.Regexp(`^[A-Za-z0-9_@-][A-Za-z0-9_.-]{0,254}$`) // of a URL's path: files have dots, backups an @
	fieldPath      = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_]{0,99}(\.[A-Za-z0-9_]{1,100}){0,5}(:(lower|length|each))?$`)
	expandPath     = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_]{0,99}(\.[A-Za-z_][A-Za-z0-9_]{0,99}){0,3}$`)
	pickedField    = lazy.Regexp(`^([A-Za-z_][A-Za-z0-9_]{0,99})(:excerpt\([1-9][0-9]{0,3}(,true)?\))?$`)
)

// superusers is the collection whose tokens open everything.
const superusers = "_superusers"

// superusersID is its id on every server: a migration of PocketBase's makes it
// of the name.
const superusersID = "pbc_3142635823"

// isSystem reports whether a name may lead to one of PocketBase's own
// collections. The server takes ids for names, and its own have this form.
func isSystem(name string) bool {
	return strings.HasPrefix(name, "_") || len(name) >= 4 && strings.EqualFold(name[:4], "pbc_")
}

// secretFields are never read, written, sorted or filtered by, whatever a
// collection's rules say. In auth collections they are what their names say.
var secretFields = map[string]bool{
	"password": true, "passwordconfirm": true, "oldpassword": true, "passwordhash": true, "tokenkey": true,
}

// isSecret reports whether one of a path's fields is a secret. The columns of a
// database are found whatever the case of their names.
func isSecret(path string) bool {
	path, _, _ = strings.Cut(path, ":")
	for f := range strings.SplitSeq(path, ".") {
		if secretFields[strings.ToLower(f)] {
			return true
		}
	}
	return false
}
