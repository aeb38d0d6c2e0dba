package sqltree

import "strconv"

// A node gathers what one node says, of which the order of the fields does not tell
// the meaning.
type node struct {
	label   string
	oids    []mention
	columns []int
	format  uint32 // how a function is called
}

type mention struct {
	role role
	oid  uint32
}

func (n *node) add(r role, v uint32) {
	if r == callFormat {
		n.format = v
	} else if v != 0 && r != plain {
		n.oids = append(n.oids, mention{r, v})
	}
}

// column adds an element of a set of columns.
func (n *node) column(token string) error {
	v, err := strconv.Atoi(token)
	if err != nil || v < 0 {
		return errForm
	}
	n.columns = append(n.columns, v-attributeOffset)
	return nil
}

// finish adds what a node uses to Uses.
func (r *reader) finish(n *node) error {
	if r.muted > 0 {
		return nil
	}
	relation := uint32(0)
	for _, m := range n.oids {
		switch m.role {
		case function:
			if n.label == "FUNCEXPR" && n.format != 0 { // a cast, or syntax such as EXTRACT
				r.uses.Implied[m.oid] = true
			} else {
				r.uses.Calls[m.oid] = true
			}
		case behind:
			r.uses.Implied[m.oid] = true
		case operator:
			r.uses.Operators[m.oid] = true
		case typ:
			r.uses.Types[m.oid] = true
		case table:
			relation = m.oid
			r.uses.Relations[m.oid] = true
		}
	}
	if len(n.columns) == 0 {
		return nil
	}
	if relation == 0 {
		return errForm
	}
	if r.uses.Columns[relation] == nil {
		r.uses.Columns[relation] = map[int]bool{}
	}
	for _, c := range n.columns {
		r.uses.Columns[relation][c] = true
	}
	return nil
}
