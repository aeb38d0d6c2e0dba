package stripetool

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// settings are parameters of a request, and how a person reads them.
type settings struct {
	form    [][2]string
	texts   []string
	differs bool // from what Stripe has
}

// add takes what was given for a new object.
func (s *settings) add(name, value string) {
	if value != "" {
		s.form = append(s.form, [2]string{name, value})
		s.texts = append(s.texts, name+" "+shown(name, value))
	}
}

// change takes what was given for an object that has something else, or the same. An
// empty text takes away what is there.
func (s *settings) change(name, now string, value *string) {
	if value == nil {
		return
	}
	s.form = append(s.form, [2]string{name, *value})
	if *value == now {
		s.texts = append(s.texts, name+" "+quoted(now)+" as it is")
		return
	}
	s.differs = true
	s.texts = append(s.texts, name+" "+shown(name, *value)+" in place of "+quoted(now))
}

var (
	metadataKey = lazy.Regexp(`^[A-Za-z0-9_.-]{1,40}$`)
	errMetadata = refuse("a name in metadata must be 1 to 40 letters, digits, dots, dashes and underscores, and that of no secret", "text")
)

// metadata takes an object's own names and values; a new object has none now. An empty
// text takes a value away.
func (s *settings) metadata(now, in map[string]string) error {
	for _, k := range slices.Sorted(maps.Keys(in)) {
		if v := in[k]; !metadataKey().MatchString(k) || secretive(k) {
			return errMetadata
		} else if now == nil {
			s.add("metadata["+k+"]", v)
		} else {
			s.change("metadata["+k+"]", now[k], &v)
		}
	}
	return nil
}

// quoted is a text in a question: enough of it to know it.
func quoted(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return strconv.Quote(string(r[:most])) + fmt.Sprintf("… of %d characters", len(r))
	}
	return strconv.Quote(s)
}

// shown is a text that would be set, in a question: all of it where customers read it.
func shown(name, value string) string {
	if strings.HasPrefix(name, "metadata[") || strings.HasPrefix(name, "evidence[") {
		return quoted(value)
	}
	return strconv.Quote(value)
}

func (s *settings) String() string { return strings.Join(s.texts, ", ") }

// creation is the plan of a new object.
func (s *settings) creation(what string, path ...string) plan {
	if len(s.texts) > 0 {
		what += ": " + s.String()
	}
	return plan{Text: "create " + what, Path: path, Form: s.form}
}

// update is the plan of another state of an object.
func (s *settings) update(what string, path ...string) (plan, error) {
	if len(s.form) == 0 {
		return plan{}, refuse("there is nothing to change", "argument")
	}
	return plan{Text: "update " + what + ": " + s.String(), Path: path, Form: s.form, Same: !s.differs}, nil
}

// amount reads an amount that no call may exceed.
func (c *Client) amount(s string) (Money, error) {
	m, err := ParseMoney(s)
	if err != nil || m.Amount == 0 {
		return Money{}, refuse("amount: "+errMoney.Error()+", and more than nothing", "amount")
	}
	_, err = c.cap(m)
	return m, err
}

// money writes an amount as Stripe takes it.
func (s *settings) money(name string, m Money) {
	s.form = append(s.form, [2]string{name, strconv.FormatInt(m.Amount, 10)}, [2]string{"currency", strings.ToLower(m.Currency)})
}

// object reads one object into out, by an id of the resource.
func (c *Client) object(ctx context.Context, resource, id string, out any) error {
	r := resources[resource]
	if err := r.id(id); err != nil {
		return err
	}
	return c.get(ctx, out, nil, append(r.path[:len(r.path):len(r.path)], id)...)
}

// texts are properties of a schema, bounded by their type's own rules.
func texts(names string) []string {
	var all []string
	for name := range strings.FieldsSeq(names) {
		all = append(all, `"`+name+`":{"type":"string"}`)
	}
	return all
}

const (
	metadataProperty = `"metadata":{"type":"object","additionalProperties":{"type":"string"}}`
	amountProperty   = `"amount":{"type":"string","description":"as EUR 19.00, JPY 500"}`
)
