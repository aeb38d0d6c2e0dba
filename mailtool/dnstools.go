package mailtool

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// CheckTools returns mail_check_address and mail_diagnose. The zero DomainCheck is of the
// client's sender and of the keys that sign; what is set of it is used. Disposable are
// domains whose addresses last for minutes; there is no list of them by default.
//
// mail_check_address asks a name server about a domain that the caller chooses, which is
// a way to tell that domain's owner something. It connects to nobody's mail server.
// CheckTools panics on a DomainCheck or a domain that cannot be right.
func CheckTools(c *Client, d DomainCheck, disposable ...string) []*mcpsec.Tool {
	throwaway, err := parseRules(disposable, "a disposable domain")
	if err == nil {
		d, err = c.ownDomain(d)
	}
	if err != nil {
		panic(fmt.Sprintf("mailtool: CheckTools: %v", err))
	}
	address := c.spec("mail_check_address", "Check an address without writing to it: its form, its domain's MX, whether it may be written to. It cannot tell whether the mailbox is there.", mcpsec.Read)
	address.Labels = mcpsec.Egress
	diagnose := c.spec("mail_diagnose", "Tell why mail to an allowed address may not arrive: the DNS records of the sender's domain, what the mail server says to sender and recipient (nothing is sent), and suppression.", mcpsec.Read)
	diagnose.Labels, diagnose.Timeout = mcpsec.Private|mcpsec.Untrusted, c.o.Timeout+d.Timeout+time.Second
	return []*mcpsec.Tool{
		mcpsec.NewTool(address, func(ctx context.Context, in addressIn) (addressOut, error) {
			return c.checkAddress(ctx, &lookups{resolver: d.Resolver, left: 10}, throwaway, in.Address)
		}),
		mcpsec.NewTool(diagnose, func(ctx context.Context, in addressIn) (diagnosis, error) { return c.diagnose(ctx, d, in.Address) }),
	}
}

// ownDomain completes a check by what the client sends with.
func (c *Client) ownDomain(d DomainCheck) (DomainCheck, error) {
	if d.Domain == "" {
		_, d.Domain, _ = strings.Cut(c.o.From, "@")
	}
	if d.DKIM == nil {
		d.DKIM = map[string]crypto.PublicKey{}
		for _, k := range c.keys {
			if k.domain == d.Domain {
				d.DKIM[k.selector] = k.key.Public()
			}
		}
	}
	return d, d.complete()
}

type addressIn struct {
	Address string `json:"address" validate:"required,max=320"`
}

type addressOut struct {
	Valid      bool     `json:"valid" jsonschema:"the form is right and the domain takes mail"`
	Address    string   `json:"address,omitempty" jsonschema:"as it is written in mail"`
	Domain     string   `json:"domain,omitempty" jsonschema:"as people read it"`
	Allowed    bool     `json:"allowed" jsonschema:"may be written to"`
	Suppressed bool     `json:"suppressed"`
	Disposable bool     `json:"disposable" jsonschema:"of a domain whose addresses do not last"`
	Mail       string   `json:"mail" jsonschema:"what the domain says: mx, address (no MX, but a host), null (takes no mail), none or unknown"`
	Warnings   []string `json:"warnings"`
}

// checkAddress asks a name server, and nobody else.
func (c *Client) checkAddress(ctx context.Context, l *lookups, disposable rules, s string) (addressOut, error) {
	out := addressOut{Mail: "unknown", Warnings: []string{}}
	a, err := parseAddress(s)
	if err != nil {
		out.Warnings = append(out.Warnings, err.Error()) // a constant text
		return out, nil
	}
	out.Address, out.Domain = a.String(), readable(a.domain)
	out.Allowed, out.Disposable = c.policy.allows(a) == nil, disposable.match(a)
	if out.Domain != a.domain && mixesScripts(out.Domain) {
		out.Warnings = append(out.Warnings, "a label of the domain mixes scripts, as names do that are made to be mistaken")
	}
	c.domainRisk(a.domain, func(w string) { out.Warnings = append(out.Warnings, w) })
	if c.o.Suppressed != nil {
		if out.Suppressed, err = c.o.Suppressed(ctx, a.String()); err != nil {
			return out, fmt.Errorf("looking for a suppression: %w", err)
		}
	}
	out.Mail = l.takesMail(ctx, a.domain)
	out.Valid = out.Mail == "mx" || out.Mail == "address"
	return out, ctx.Err()
}

// takesMail tells where mail to a domain goes (RFC 5321, 5.1; RFC 7505).
func (l *lookups) takesMail(ctx context.Context, domain string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	records, err := l.mx(ctx, domain)
	switch {
	case err != nil:
		return "unknown"
	case len(records) == 1 && strings.TrimSuffix(records[0].Host, ".") == "":
		return "null"
	case len(records) > 0:
		return "mx"
	}
	switch ok, err := l.addresses(ctx, domain); {
	case err != nil:
		return "unknown"
	case ok:
		return "address"
	}
	return "none"
}

// together are scripts that stand in one label honestly (UTS 39, 5.1).
var together = [][]string{{"Han", "Hiragana", "Katakana", "Latin"}, {"Han", "Bopomofo", "Latin"}, {"Han", "Hangul", "Latin"}}

// mixesScripts reports whether a label of a domain is of scripts that do not go together.
func mixesScripts(domain string) bool {
	for label := range strings.SplitSeq(domain, ".") {
		scripts := map[string]bool{}
		for _, r := range label {
			scripts[script(r)] = true
		}
		delete(scripts, "")
		ok := len(scripts) < 2
		for _, set := range together {
			n := 0
			for _, s := range set {
				if scripts[s] {
					n++
				}
			}
			ok = ok || n == len(scripts)
		}
		if !ok {
			return true
		}
	}
	return false
}

func script(r rune) string {
	if unicode.In(r, unicode.Common, unicode.Inherited) {
		return ""
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "none"
}

type diagnosis struct {
	Domain     []Finding    `json:"domain" jsonschema:"the sender's domain"`
	Server     []serverStep `json:"server" jsonschema:"what the mail server said, up to the first refusal"`
	Suppressed bool         `json:"suppressed"`
	Last       *noteOut     `json:"last,omitempty" jsonschema:"what became of your last message to the address"`
}

type serverStep struct {
	Step     string `json:"step"`
	OK       bool   `json:"ok"`
	Code     int    `json:"code,omitzero"`
	Enhanced string `json:"enhanced,omitempty"`
	Problem  string `json:"problem,omitempty"`
}

func (c *Client) diagnose(ctx context.Context, d DomainCheck, s string) (diagnosis, error) {
	out := diagnosis{Server: []serverStep{}}
	a, err := parseAddress(s)
	if err == nil {
		err = c.policy.allows(a)
	}
	if err != nil {
		return out, wrong("recipients", "the address may not be written to: %s", err)
	}
	if c.o.Suppressed != nil {
		if out.Suppressed, err = c.o.Suppressed(ctx, a.String()); err != nil {
			return out, fmt.Errorf("looking for a suppression: %w", err)
		}
	}
	if out.Last, err = c.lastNote(ctx, a.String()); err != nil {
		return out, err
	}
	if out.Server, err = c.rehearse(ctx, a); err != nil {
		return out, err
	}
	out.Domain, err = d.Run(ctx)
	return out, err
}

// rehearse speaks with the operator's server as for a message, and stops before one: no
// DATA can pass the gate, which expects no message.
func (c *Client) rehearse(ctx context.Context, to address) ([]serverStep, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	if err := c.pool.enter(ctx); err != nil {
		return nil, modelError(ctx, err)
	}
	defer c.pool.leave()
	s, err := c.dialAnew(ctx)
	out := []serverStep{step("connect, TLS and login", err)}
	if err != nil {
		return out, nil
	}
	unbind := s.bind(ctx)
	defer unbind()
	defer s.quit()
	for _, do := range []struct {
		name string
		run  func() error
	}{
		{"MAIL", func() error { return s.c.Mail("<" + c.o.From + ">") }},
		{"RCPT", func() error { return s.c.Rcpt("<" + to.String() + ">") }},
	} {
		err := failed(do.name, do.run())
		if out = append(out, step(do.name, err)); err != nil {
			break
		}
	}
	_ = s.c.Reset() // and QUIT, whatever the server says
	return out, nil
}

// step tells of an error what may be told.
func step(name string, err error) serverStep {
	out := serverStep{Step: name, OK: err == nil}
	var said *refusal
	var off *unmet
	switch {
	case errors.As(err, &said):
		out.Step, out.Code, out.Enhanced = said.step, said.code, said.enhanced
		out.Problem = "the server refuses it"
		if said.code/100 == 4 {
			out.Problem = "the server refuses it for now"
		}
	case errors.As(err, &off):
		out.Problem = off.what
	case err != nil:
		out.Problem = "the server does not answer"
	}
	return out
}
