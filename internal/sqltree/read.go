package sqltree

import (
	"errors"
	"fmt"
	"strconv"
)

// Uses is what a query uses, by OID.
type Uses struct {
	// Calls are the functions that are called by name.
	Calls map[uint32]bool
	// Implied are functions behind operators, casts and syntax of SQL.
	Implied map[uint32]bool
	// Operators are operators of which the tree does not tell the function.
	Operators map[uint32]bool
	// Types are the types of all values.
	Types map[uint32]bool
	// Relations are tables, views and the like.
	Relations map[uint32]bool
	// Columns are those that are read of each relation, by number. 0 is the whole
	// row, and negative ones are the system's.
	Columns map[uint32]map[int]bool
}

const (
	// MaxBytes is the longest tree.
	MaxBytes = 4 << 20
	maxDepth = 1_000
	// firstOfUsers is the lowest OID of what users have made.
	firstOfUsers = 16384
	// attributeOffset is what a set of columns adds to their numbers, so that none
	// is negative.
	attributeOffset = 7
)

var (
	errSize  = errors.New("the analysis is too large to be read")
	errDepth = errors.New("the analysis is nested too deeply to be read")
	errForm  = errors.New("the analysis cannot be read")
)

// Read reads the tree of one query. An error means that the statement must not be run:
// it holds no piece of the tree but names of the server's kinds of nodes and fields.
func Read(tree string) (*Uses, error) { return read(tree, false) }

// ReadRewritten reads what rewriting has made of one query: a list of one.
func ReadRewritten(tree string) (*Uses, error) { return read(tree, true) }

func read(tree string, rewritten bool) (*Uses, error) {
	if len(tree) > MaxBytes {
		return nil, errSize
	}
	if err := unbroken(tree); err != nil {
		return nil, err
	}
	return readUnbroken(tree, rewritten)
}

func readUnbroken(tree string, rewritten bool) (*Uses, error) {
	r := reader{scanner: scanner{text: tree}, rewritten: rewritten, uses: &Uses{
		Calls: map[uint32]bool{}, Implied: map[uint32]bool{}, Operators: map[uint32]bool{}, Types: map[uint32]bool{},
		Relations: map[uint32]bool{}, Columns: map[uint32]map[int]bool{},
	}}
	if err := r.top(); err != nil {
		return nil, err
	}
	return r.uses, nil
}

type reader struct {
	scanner
	uses      *Uses
	rewritten bool
	depth     int
	muted     int // within something that is left out
}

func (r *reader) top() error {
	r.next()
	if r.rewritten && r.token == "(" {
		r.next()
	} else if r.rewritten {
		return errForm
	}
	if r.token != "{" {
		return errForm
	}
	if label, err := r.node(); err != nil || label != "QUERY" {
		return errors.Join(err, errForm)
	}
	if r.rewritten {
		if r.token != ")" {
			return errForm // more than one query
		}
		r.next()
	}
	if r.token != "" {
		return errForm
	}
	return nil
}

// node reads {…} and what follows.
func (r *reader) node() (label string, err error) {
	if r.depth++; r.depth > maxDepth {
		return "", errDepth
	}
	defer func() { r.depth-- }()
	r.next()
	label = r.token
	if !labels[label] {
		return "", fmt.Errorf("the analysis has something of a kind that is not known (%s)", shown(label))
	}
	n := node{label: label}
	r.next()
	for r.token != "}" {
		if len(r.token) < 2 || r.token[0] != ':' {
			return "", errForm
		}
		field := r.token[1:]
		r.next()
		if err := r.value(&n, field, true); err != nil {
			return "", err
		}
		for r.token != "}" && r.token != "" && r.token[0] != ':' {
			if err := r.value(&n, field, false); err != nil {
				return "", err
			}
		}
	}
	r.next()
	return label, r.finish(&n)
}

// value reads one value of a field. The first may look like the name of a field: it
// can be a name that the caller has chosen.
func (r *reader) value(n *node, field string, first bool) error {
	switch r.token {
	case "", ")", "}":
		return errForm
	case "{":
		return r.inner(field, func() error { _, err := r.node(); return err })
	case "(":
		return r.inner(field, func() error { return r.list(n, field) })
	}
	if first {
		if err := r.scalar(n, field, r.token); err != nil {
			return err
		}
	} else if !extra[field] {
		return errForm
	}
	r.next()
	return nil
}

// inner reads what is in a field, and leaves out what is not the caller's.
func (r *reader) inner(field string, read func() error) error {
	if r.rewritten && field == "securityQuals" {
		r.muted++
		defer func() { r.muted-- }()
	}
	return read()
}

// list reads (…).
func (r *reader) list(n *node, field string) error {
	if r.depth++; r.depth > maxDepth {
		return errDepth
	}
	defer func() { r.depth-- }()
	r.next()
	kind := ""
	switch r.token {
	case "o", "i", "b", "x":
		kind = r.token
		r.next()
	}
	for r.token != ")" {
		var err error
		switch {
		case kind == "b" && field == "selectedCols":
			err = n.column(r.token)
			r.next()
		case kind != "":
			err = r.element(n, field, kind)
			r.next()
		case r.token == "{":
			_, err = r.node()
		case r.token == "(":
			err = r.list(n, field)
		case r.token == "" || r.token == "}":
			err = errForm
		case r.token[0] == '"' || r.token == "<>":
			r.next() // a name
		default:
			err = r.scalar(n, field, r.token)
			r.next()
		}
		if err != nil {
			return err
		}
	}
	r.next()
	return nil
}

// element reads one of a list of numbers. A modifier of a type may be -1.
func (r *reader) element(n *node, field, kind string) error {
	switch {
	case digits(r.token):
		return r.number(n, field, r.token, kind == "o")
	case kind == "i" && r.token == "-1":
		return nil
	}
	return errForm
}

// scalar reads a value that is one token.
func (r *reader) scalar(n *node, field, token string) error {
	switch field {
	case "commandType":
		if token != "1" {
			return errors.New("it is not a SELECT")
		}
	case "hasForUpdate", "hasModifyingCTE":
		if token != "false" {
			return errors.New("it locks or writes")
		}
	}
	if !digits(token) {
		return nil
	}
	return r.number(n, field, token, false)
}

// number reads a number, which in an unknown place may be no OID of users' things.
func (r *reader) number(n *node, field, token string, isOID bool) error {
	v, err := strconv.ParseUint(token, 10, 64)
	if err != nil {
		return errForm
	}
	role, known := fields[field]
	switch {
	case role == plain && known && !isOID:
		return nil
	case v > 1<<32-1:
		return errForm
	case !known && (isOID || v >= firstOfUsers):
		return fmt.Errorf("the analysis has a number in a place that is not known (%s)", shown(field))
	}
	n.add(role, uint32(v))
	return nil
}

// digits reports whether a token is a number that is not negative. As names, those
// have a backslash before them.
func digits(token string) bool {
	for i := range len(token) {
		if token[i] < '0' || token[i] > '9' {
			return false
		}
	}
	return token != ""
}

// shown returns a word of the server that is plain.
func shown(word string) string {
	for i := range len(word) {
		if c := word[i]; c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return "?"
		}
	}
	return word[:min(len(word), 40)]
}
