package mailtool

import (
	"context"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/text"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Suppressed returns what Options.Suppressed asks. A Client asks for an address, and for
// the one that it is a subaddress of: who complained as bob@example.com gets no mail as
// bob+news@example.com either. It panics without a list.
func Suppressed(list suppress.Store) func(ctx context.Context, address string) (bool, error) {
	if list == nil {
		panic("mailtool: Suppressed needs a list")
	}
	return func(ctx context.Context, address string) (bool, error) {
		_, ok, err := list.Check(ctx, address)
		return ok && err == nil, err
	}
}

// SuppressionTools returns the tools for who gets no mail: mail_list_suppressions,
// mail_check_suppression, mail_add_suppression, and mail_remove_suppression, which asks
// a person, with why the address is on the list. It panics without a list.
func SuppressionTools(list suppress.Store) []*mcpsec.Tool {
	if list == nil {
		panic("mailtool: SuppressionTools needs a list")
	}
	l := suppressionList{list}
	remove := suppressionSpec("mail_remove_suppression", "Let an address get mail again. Give the reason that mail_check_suppression tells. A person confirms it.", mcpsec.Destroy)
	remove.Guards = []mcpsec.Guard{mcpsec.Preview(l.question)}
	add := suppressionSpec("mail_add_suppression", "Send no more mail to an address. For those who ask for that, give the reason unsubscribe.", mcpsec.Write)
	add.Idempotent = true
	return []*mcpsec.Tool{
		mcpsec.NewTool(suppressionSpec("mail_list_suppressions", "List the addresses that get no mail, and why, in the order of the addresses.", mcpsec.Read), l.list),
		mcpsec.NewTool(suppressionSpec("mail_check_suppression", "Tell whether an address gets no mail, and why.", mcpsec.Read), l.check),
		mcpsec.NewTool(add, l.add),
		mcpsec.NewTool(remove, l.remove),
	}
}

// suppressionSpec: whose addresses these are, and that they complained, is private; the
// notes were written by whoever called.
func suppressionSpec(name, description string, effect mcpsec.Effect) mcpsec.ToolSpec {
	return mcpsec.ToolSpec{Name: name, Description: description, Effect: effect, Labels: mcpsec.Private | mcpsec.Untrusted, Narrow: "lower limit"}
}

type suppressionList struct{ store suppress.Store }

func unknown(err error) error {
	return &mcpsec.Error{Message: "the suppression list cannot be asked now: nothing is known, and nothing was changed or it is not known whether it was", Rule: "suppression", Err: err}
}

func readAddress(s string) (address, error) {
	a, err := parseAddress(s)
	if err != nil {
		return a, &mcpsec.Error{Message: err.Error(), Rule: "address"}
	}
	return a, nil
}

type suppressionsIn struct {
	After string `json:"after" validate:"max=254" jsonschema:"next of the answer before"`
	Limit int    `json:"limit" validate:"gte=0,lte=500" jsonschema:"defaults to 50"`
}

type suppressionsOut struct {
	Suppressions []suppressionOut `json:"suppressions"`
	Next         string           `json:"next,omitempty"`
}

type suppressionOut struct {
	Address string `json:"address"`
	Reason  string `json:"reason"`
	Time    string `json:"time"`
	Source  string `json:"source"`
	Detail  string `json:"detail,omitempty"`
}

func entryOut(e suppress.Entry) suppressionOut {
	return suppressionOut{e.Address, string(e.Reason), e.Time.UTC().Format(time.RFC3339), e.Source, e.Detail}
}

func (l suppressionList) list(ctx context.Context, in suppressionsIn) (suppressionsOut, error) {
	n := or(in.Limit, 50)
	if suppress.CheckList(in.After, n) != nil {
		return suppressionsOut{}, &mcpsec.Error{Message: "after: must be next of the answer before", Rule: "after"}
	}
	entries, err := l.store.List(ctx, in.After, n)
	if err != nil {
		return suppressionsOut{}, unknown(err)
	}
	out := suppressionsOut{Suppressions: []suppressionOut{}}
	for _, e := range entries {
		out.Suppressions = append(out.Suppressions, entryOut(e))
	}
	if len(entries) == n {
		out.Next = entries[n-1].Address
	}
	return out, nil
}

type suppressionIn struct {
	Address string `json:"address" validate:"required,max=1000"`
}

type checkOut struct {
	Suppressed bool            `json:"suppressed"`
	By         *suppressionOut `json:"by,omitempty"`
}

// check looks an address up as a Client does.
func (l suppressionList) check(ctx context.Context, in suppressionIn) (checkOut, error) {
	a, err := readAddress(in.Address)
	if err != nil {
		return checkOut{}, err
	}
	e, ok, err := l.store.Check(ctx, a.String())
	if base := a.base(); err == nil && !ok && base != a {
		e, ok, err = l.store.Check(ctx, base.String())
	}
	switch {
	case err != nil:
		return checkOut{}, unknown(err)
	case !ok:
		return checkOut{}, nil
	}
	by := entryOut(e)
	return checkOut{true, &by}, nil
}

type addIn struct {
	Address string `json:"address" validate:"required,max=1000"`
	Reason  string `json:"reason" validate:"omitempty,oneof=manual unsubscribe" jsonschema:"defaults to manual"`
	Note    string `json:"note" validate:"max=200" jsonschema:"one line"`
}

type addOut struct {
	Changed bool           `json:"changed"`
	Entry   suppressionOut `json:"entry"`
}

func (l suppressionList) add(ctx context.Context, in addIn) (addOut, error) {
	a, err := readAddress(in.Address)
	if err != nil {
		return addOut{}, err
	}
	if !printable(in.Note, 200) {
		return addOut{}, &mcpsec.Error{Message: "note: must be one line of visible characters, of at most 200 bytes", Rule: "note"}
	}
	e := suppress.Entry{Address: a.String(), Reason: suppress.Manual, Time: time.Now(), Source: "tool", Detail: in.Note}
	if in.Reason != "" {
		e.Reason = suppress.Reason(in.Reason)
	}
	changed, err := l.store.Add(ctx, e)
	if err != nil {
		return addOut{}, unknown(err)
	}
	kept, ok, err := l.store.Check(ctx, e.Address)
	if err != nil || !ok {
		kept = e // it was added; what there is now is not known
	}
	return addOut{changed, entryOut(kept)}, nil
}

type removeIn struct {
	Address string `json:"address" validate:"required,max=1000"`
	Reason  string `json:"reason" validate:"required,oneof=bounces manual hard_bounce unsubscribe complaint"`
}

type removeOut struct {
	Removed bool `json:"removed"`
}

var whys = map[suppress.Reason]string{
	suppress.Bounces:     "mail to it came back several times",
	suppress.Manual:      "it was put on the list by hand",
	suppress.HardBounce:  "mail to it came back, because there is no such mailbox",
	suppress.Unsubscribe: "its owner does not want any mail",
	suppress.Complaint:   "ITS OWNER COMPLAINED of mail as spam",
}

// question is what a person is asked. What they say yes to is one reason: one that has
// come since is not removed.
func (l suppressionList) question(ctx context.Context, in removeIn) (string, error) {
	a, err := readAddress(in.Address)
	if err != nil {
		return "", err
	}
	e, ok, err := l.store.Check(ctx, a.String())
	switch {
	case err != nil:
		return "", unknown(err)
	case !ok:
		return "", &mcpsec.Error{Message: "the address is not on the list", Rule: "suppression"}
	case string(e.Reason) != in.Reason:
		return "", otherReason(e)
	}
	visible, _ := text.Strip(e.Detail)
	return fmt.Sprintf("let mail go to %s again: %s, on %s, says %s %q", e.Address, whys[e.Reason], e.Time.UTC().Format(time.DateOnly), e.Source, visible), nil
}

func otherReason(e suppress.Entry) error {
	return &mcpsec.Error{Message: "the address is on the list for another reason: " + string(e.Reason), Rule: "suppression"}
}

func (l suppressionList) remove(ctx context.Context, in removeIn) (removeOut, error) {
	a, err := readAddress(in.Address)
	if err != nil {
		return removeOut{}, err
	}
	ok, err := l.store.Remove(ctx, a.String(), suppress.Reason(in.Reason))
	switch {
	case err != nil:
		return removeOut{}, unknown(err)
	case !ok:
		return removeOut{}, &mcpsec.Error{Message: "the address is not on the list for that reason any more", Rule: "suppression"}
	}
	return removeOut{true}, nil
}
