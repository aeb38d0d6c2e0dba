package mailtool

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// RFC 7208, 4.6.4.
const (
	maxSPFLookups = 10
	maxSPFVoid    = 2
	maxSPFHosts   = 10 // of one mx
)

// A term is a mechanism or a modifier of an SPF record.
type term struct {
	qualifier byte // + - ~ ? of a mechanism, 0 of a modifier
	name      string
	domain    string // "" is the record's own
	macro     bool   // the domain depends on the mail
	wide      bool   // the addresses are nearly all there are
}

var (
	mechanism = lazy.Regexp(`^([+?~-]?)([A-Za-z0-9]+)(?:([:/])(.*))?$`)
	modifier  = lazy.Regexp(`^([A-Za-z][A-Za-z0-9_.-]*)=(.*)$`)
	cidr      = lazy.Regexp(`^(.*?)(?:/(0|[1-9][0-9]{0,2}))?(?://(0|[1-9][0-9]{0,2}))?$`)
	macros    = lazy.Regexp(`%(?:\{[SLODIPHCRTVslodiphcrtv][0-9]*[Rr]?[.+,/_=-]*\}|%|_|-)`)
	spfDomain = lazy.Regexp(`^(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*\.?$`)
)

// parseSPF reads a record as RFC 7208, section 12, has it. The error names the kind of
// term, and holds nothing of the record.
func parseSPF(s string) ([]term, error) {
	rest, ok := cutFold(s, "v=spf1")
	if !ok || rest != "" && rest[0] != ' ' {
		return nil, fmt.Errorf("it does not begin with v=spf1")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, fmt.Errorf("it holds other characters than those of ASCII")
	}
	var out []term
	once := map[string]bool{}
	for word := range strings.FieldsSeq(rest) {
		t, err := parseTerm(word)
		if err != nil {
			return nil, err
		}
		if (t.name == "redirect" || t.name == "exp") && once[t.name] {
			return nil, fmt.Errorf("%s stands twice", t.name)
		}
		once[t.name] = true
		out = append(out, t)
	}
	return out, nil
}

func parseTerm(word string) (term, error) {
	if m := modifier().FindStringSubmatch(word); m != nil {
		t := term{name: strings.ToLower(m[1])}
		if t.name != "redirect" && t.name != "exp" {
			if macros().ReplaceAllString(m[2], "") != strings.ReplaceAll(macros().ReplaceAllString(m[2], ""), "%", "") {
				return t, fmt.Errorf("an unknown modifier holds a macro that cannot be read")
			}
			return t, nil
		}
		return t, t.setDomain(m[2])
	}
	m := mechanism().FindStringSubmatch(word)
	if m == nil {
		return term{}, fmt.Errorf("a term cannot be read")
	}
	t := term{qualifier: '+', name: strings.ToLower(m[2])}
	if m[1] != "" {
		t.qualifier = m[1][0]
	}
	value := m[3] + m[4]
	switch t.name {
	case "all":
		if value != "" {
			return t, fmt.Errorf("all takes no value")
		}
		return t, nil
	case "ip4", "ip6":
		return t, t.setNetwork(value)
	case "include", "exists":
		if m[3] != ":" {
			return t, fmt.Errorf("%s needs a domain", t.name)
		}
		return t, t.setDomain(m[4])
	case "ptr":
		if value == "" {
			return t, nil
		}
		if m[3] != ":" {
			return t, fmt.Errorf("ptr takes a domain alone")
		}
		return t, t.setDomain(m[4])
	case "a", "mx":
		return t, t.setHosts(value)
	}
	return t, fmt.Errorf("there is no mechanism of one name in it")
}

// setNetwork reads ":address/bits".
func (t *term) setNetwork(value string) error {
	s, ok := strings.CutPrefix(value, ":")
	bits := 32
	if t.name == "ip6" {
		bits = 128
	}
	addr, length, cut := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(addr)
	if !ok || err != nil || ip.Is4() != (t.name == "ip4") || ip.Zone() != "" {
		return fmt.Errorf("%s needs an address", t.name)
	}
	n := bits
	if cut {
		if n, err = strconv.Atoi(length); err != nil || n < 0 || n > bits || strconv.Itoa(n) != length {
			return fmt.Errorf("the length of a prefix of %s is wrong", t.name)
		}
	}
	t.wide = n < bits/4 // /8 and /32 are what one owner can have
	return nil
}

// setHosts reads ":domain/bits//bits", of which all may be missing.
func (t *term) setHosts(value string) error {
	m := cidr().FindStringSubmatch(value)
	for i, bits := range []int{32, 128} {
		if m[2+i] == "" {
			continue
		}
		n, _ := strconv.Atoi(m[2+i]) // three digits
		if n > bits {
			return fmt.Errorf("the length of a prefix of %s is wrong", t.name)
		}
		t.wide = t.wide || n < bits/4
	}
	if m[1] == "" {
		return nil
	}
	domain, ok := strings.CutPrefix(m[1], ":")
	if !ok {
		return fmt.Errorf("%s cannot be read", t.name)
	}
	return t.setDomain(domain)
}

func (t *term) setDomain(s string) error {
	plain := macros().ReplaceAllString(s, "x")
	if t.macro = plain != s; t.macro {
		if strings.ContainsAny(plain, "%") || len(s) > 253 || strings.Contains(plain, "..") {
			return fmt.Errorf("a macro of %s cannot be read", t.name)
		}
		return nil
	}
	if len(s) > 253 || !spfDomain().MatchString(s) {
		return fmt.Errorf("the domain of %s is none", t.name)
	}
	t.domain = strings.ToLower(strings.TrimSuffix(s, "."))
	return nil
}

// spfWalk goes through a record and those that it leads to, all branches of them: which
// of them a receiver takes depends on the mail.
type spfWalk struct {
	l       *lookups
	f       *Finding
	lookups int
	void    int
	path    []string // of records that are being read
	top     []term   // of the domain's own
}

func (d DomainCheck) spf(ctx context.Context, l *lookups) Finding {
	f := Finding{Check: "spf", Verdict: verdictPass}
	w := &spfWalk{l: l, f: &f}
	all := w.record(ctx, d.Domain)
	switch {
	case w.top == nil: // has been told
	case all == 0:
		f.note(verdictWeak, "it says nothing of all others: end it with -all")
	case all == '+':
		f.note(verdictWrong, "+all lets everybody send as this domain")
	case all == '?':
		f.note(verdictWeak, "?all says nothing of all others: end it with -all")
	}
	if w.lookups > maxSPFLookups {
		f.note(verdictWrong, "it needs more than %d lookups, so receivers give up (RFC 7208, 4.6.4): leave out includes that are not in use", maxSPFLookups)
	}
	if w.void > maxSPFVoid {
		f.note(verdictWrong, "more than %d of its lookups find nothing, so receivers give up (RFC 7208, 4.6.4)", maxSPFVoid)
	}
	switch {
	case f.Verdict == verdictPass:
		f.note(verdictPass, "%d of %d lookups", w.lookups, maxSPFLookups)
	case w.top == nil && f.Verdict != verdictUnknown:
		f.Publish = record(d.Domain, "TXT", "v=spf1 "+d.Senders+" -all")
	case all != '-' && all != '~' && len(f.Found) == 1 && w.lookups <= maxSPFLookups:
		f.Publish = record(d.Domain, "TXT", ended(f.Found[0]))
	}
	return f
}

// ended is a record with -all in place of what it ends with.
func ended(s string) string {
	words := strings.Fields(s)
	words = slices.DeleteFunc(words, func(w string) bool {
		w = strings.ToLower(w)
		return strings.TrimLeft(w, "+?~-") == "all" || strings.HasPrefix(w, "redirect=")
	})
	return strings.Join(append(words, "-all"), " ")
}

// record reads the record of a name, and returns the qualifier of its all, or 0.
func (w *spfWalk) record(ctx context.Context, name string) byte {
	if slices.Contains(w.path, name) {
		w.f.note(verdictWrong, "%s leads to itself", ascii(name))
		return 0
	}
	w.path = append(w.path, name)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	own := Finding{Verdict: verdictPass}
	s := w.l.single(ctx, &own, name, "v=spf1")
	if len(w.path) == 1 {
		w.f.Found = own.Found
	}
	if s == "" {
		w.unread(ctx, name, own)
		return 0
	}
	terms, err := parseSPF(s)
	if err != nil {
		w.f.note(verdictWrong, "the record of %s is no SPF: %v", ascii(name), err)
		return 0
	}
	if len(w.path) == 1 {
		w.top = append([]term{}, terms...)
	}
	return w.terms(ctx, name, terms)
}

// unread tells of a name whose record cannot be had. For those that a record leads to,
// none is as bad as a wrong one.
func (w *spfWalk) unread(ctx context.Context, name string, own Finding) {
	if len(w.path) > 1 && own.Verdict == verdictMissing {
		if all, err := w.l.txt(ctx, name); err == nil && len(all) == 0 {
			w.void++
		}
		w.f.note(verdictWrong, "it leads to %s, which has no SPF record", ascii(name))
		return
	}
	w.f.note(own.Verdict, "%s", own.Text)
}

func (w *spfWalk) terms(ctx context.Context, name string, terms []term) byte {
	var all byte
	redirect := ""
	for _, t := range terms {
		if t.qualifier == 0 {
			if t.name == "redirect" && !t.macro {
				redirect = t.domain
			}
			continue
		}
		if all != 0 {
			w.f.note(verdictWeak, "what stands after all in the record of %s has no effect", ascii(name))
			break
		}
		if t.wide && t.qualifier == '+' {
			w.f.note(verdictWrong, "%s of %s is of so many addresses that nearly everybody may send", t.name, ascii(name))
		}
		if t.name == "all" {
			all = t.qualifier
			continue
		}
		w.mechanism(ctx, name, t)
	}
	if all == 0 && redirect != "" && w.count() {
		return w.record(ctx, redirect)
	}
	return all
}

// count counts a lookup, and reports whether it is one that receivers make.
func (w *spfWalk) count() bool {
	w.lookups++
	return w.lookups <= maxSPFLookups
}

func (w *spfWalk) mechanism(ctx context.Context, name string, t term) {
	if t.name == "ip4" || t.name == "ip6" || !w.count() {
		return
	}
	if t.name == "ptr" {
		w.f.note(verdictWeak, "ptr of %s should not be used (RFC 7208, 5.5)", ascii(name))
		return
	}
	if t.macro {
		return
	}
	target := t.domain
	if target == "" {
		target = name
	}
	var n int
	var err error
	switch t.name {
	case "include":
		if w.record(ctx, target) == '+' && t.qualifier == '+' {
			w.f.note(verdictWrong, "it includes %s, which lets everybody send", ascii(target))
		}
		return
	case "mx":
		var hosts []string
		hosts, err = w.mxHosts(ctx, target)
		if n = len(hosts); n > maxSPFHosts {
			w.f.note(verdictWrong, "%s has more than %d MX, so receivers give up (RFC 7208, 4.6.4)", ascii(target), maxSPFHosts)
		}
	default:
		var ok bool
		if ok, err = w.l.addresses(ctx, target); ok {
			n = 1
		}
	}
	switch {
	case err != nil:
		w.f.note(verdictUnknown, "the name server gave no answer for %s", ascii(target))
	case n == 0:
		w.void++
	}
}

func (w *spfWalk) mxHosts(ctx context.Context, name string) ([]string, error) {
	records, err := w.l.mx(ctx, name)
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = r.Host
	}
	return out, err
}
