package mailtool

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// Recipients say who may be written to, and how often. Allow is required.
//
// Entries of both lists are a domain ("example.com", not those below it), all domains
// below one ("*.example.com"), an address, or an address with * in its local part for
// any run of letters, digits and dots, dashes and underscores ("team-*@example.com").
// Upper and lower case are the same, and so are the Unicode form of a domain and its
// ASCII form. An entry of Allow for bob@example.com does not stand for
// bob+tag@example.com, which needs "bob+*@example.com"; one of Deny does.
type Recipients struct {
	// Allow are those who may be written to; everyone else is refused. Required,
	// without insecure.AnyRecipient.
	Allow []string
	// Deny are those who may not, whatever Allow says. Defaults to none.
	Deny []string
	// Internal are those to whom mail_send writes without asking a person, if all
	// recipients of a message are among them. They must be in Allow, too. Defaults
	// to none.
	Internal []string
	// MaxPerMessage is how many recipients one message may have. Defaults to 10,
	// at most 50.
	MaxPerMessage int
	// PerHour and PerDay are how many recipients all messages may have, on all
	// replicas that share Options.State, in an hour and in a day that begins at
	// midnight UTC. Default to 100 and 500.
	PerHour, PerDay int
	// PerRecipient is how many messages one mailbox may get in a day, whatever its
	// subaddresses, each of which counts. Defaults to 20.
	PerRecipient int
}

// A rule is an entry of a list.
type rule struct {
	local  string // "" for all of the domain, or with one *
	domain string
	below  bool // the domains below it, and not itself
}

func parseRule(s string) (rule, error) {
	local, domain, ok := strings.Cut(s, "@")
	if !ok {
		local, domain = "", s
	}
	r := rule{local: strings.ToLower(local)}
	if ok && (strings.Count(local, "*") > 1 || !dotAtom(strings.Replace(local, "*", "x", 1))) {
		return rule{}, fmt.Errorf("%q is no address, and no domain", s)
	}
	if !ok {
		domain, r.below = strings.CutPrefix(domain, "*.")
	}
	var err error
	if r.domain, err = parseDomain(domain); err != nil {
		return rule{}, fmt.Errorf("%q: %w", s, err)
	}
	return r, nil
}

func (r rule) matches(a address) bool {
	if r.below {
		return strings.HasSuffix(a.domain, "."+r.domain)
	}
	if a.domain != r.domain {
		return false
	}
	before, after, pattern := strings.Cut(r.local, "*")
	if !pattern {
		return r.local == "" || r.local == a.local
	}
	if len(a.local) < len(before)+len(after) || !strings.HasPrefix(a.local, before) || !strings.HasSuffix(a.local, after) {
		return false
	}
	for _, c := range []byte(a.local[len(before) : len(a.local)-len(after)]) {
		if !alnum(c) && !strings.ContainsRune(".-_", rune(c)) {
			return false
		}
	}
	return true
}

func (r rule) String() string {
	switch {
	case r.below:
		return "*." + r.domain
	case r.local == "":
		return r.domain
	}
	return r.local + "@" + r.domain
}

type rules []rule

func parseRules(list []string, field string) (rules, error) {
	out := make(rules, 0, len(list))
	for _, s := range list {
		r, err := parseRule(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func (rs rules) match(a address) bool {
	return slices.ContainsFunc(rs, func(r rule) bool { return r.matches(a) })
}

// A policy is what Recipients say, read once.
type policy struct {
	Recipients
	allow, deny, internal rules
	any                   bool // insecure.AnyRecipient, and no list
}

const maxRecipients = 50

func newPolicy(o Options) (policy, error) {
	p := policy{Recipients: o.Recipients}
	p.MaxPerMessage, p.PerHour, p.PerDay, p.PerRecipient = or(p.MaxPerMessage, 10), or(p.PerHour, 100), or(p.PerDay, 500), or(p.PerRecipient, 20)
	var errs [3]error
	p.allow, errs[0] = parseRules(p.Allow, "Options.Recipients.Allow")
	p.deny, errs[1] = parseRules(p.Deny, "Options.Recipients.Deny")
	p.internal, errs[2] = parseRules(p.Internal, "Options.Recipients.Internal")
	if err := errors.Join(errs[:]...); err != nil {
		return p, err
	}
	p.any = len(p.allow) == 0 && o.waived(waive.AnyRecipient)
	switch {
	case len(p.allow) == 0 && !p.any:
		return p, errors.New("Options.Recipients.Allow is required: who may be written to; without a list nothing is sent")
	case p.MaxPerMessage < 1 || p.MaxPerMessage > maxRecipients:
		return p, fmt.Errorf("Options.Recipients.MaxPerMessage must be 1 to %d", maxRecipients)
	case p.PerHour < p.MaxPerMessage || p.PerDay < p.PerHour || p.PerRecipient < 1:
		return p, errors.New("Options.Recipients: PerHour must not be less than MaxPerMessage, PerDay not less than PerHour, and PerRecipient at least 1")
	}
	return p, nil
}

// allows says in why an address may not be written to.
func (p policy) allows(a address) error {
	switch {
	case p.deny.match(a) || p.deny.match(a.base()):
		return errors.New("the operator has excluded it")
	case !p.any && !p.allow.match(a):
		return errors.New("it is not on the operator's list, see mail_list_recipients")
	}
	return nil
}
