package strictjson

// A Kind is what a [Shape] expects.
type Kind uint8

// The kinds. Scalar stands for whatever the Go type alone decides on, such as
// a number, and Raw for JSON that stays undecoded.
const (
	Scalar Kind = iota
	Raw
	Text
	Object
	List
	Map
)

// A Shape says what a value may look like and how large it may be. It is
// compiled once from a type, so that a call needs no reflection, and is safe
// for concurrent use when it is no longer changed.
type Shape struct {
	Kind    Kind
	Name    string            // of the member that holds it; empty for others
	Null    bool              // null is taken
	Members map[string]*Shape // of an Object
	Names   []string          // of an Object's members, in order
	Key     *Shape            // of a Map; may be nil
	Elem    *Shape            // of a List or a Map
	Bounded bool              // Max counts
	Max     int               // the most characters, elements or members
	TooMuch string            // the rule that more than Max breaks
}

// over reports whether n is more than the shape allows.
func (s *Shape) over(n int) bool { return s.Bounded && n > s.Max }
