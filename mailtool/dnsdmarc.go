package mailtool

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// dmarc looks at the policy for mail that is not the domain's (RFC 7489), and reports
// whether it is enforced for all mail.
func (d DomainCheck) dmarc(ctx context.Context, l *lookups) (Finding, bool) {
	f := Finding{Check: "dmarc", Verdict: verdictPass}
	name, inherited := d.Domain, false
	s := l.single(ctx, &f, "_dmarc."+name, "v=DMARC1")
	if org, err := publicsuffix.EffectiveTLDPlusOne(d.Domain); f.Verdict == verdictMissing && err == nil && org != d.Domain {
		name, inherited = org, true // 6.6.3
		f = Finding{Check: "dmarc", Verdict: verdictPass}
		s = l.single(ctx, &f, "_dmarc."+name, "v=DMARC1")
	}
	enforced := false
	if s != "" {
		enforced = f.dmarcPolicy(s, inherited)
		d.dmarcReports(ctx, l, &f, name, s)
	}
	if f.Verdict != verdictPass && f.Verdict != verdictUnknown {
		f.Publish = record("_dmarc."+name, "TXT", "v=DMARC1; p=reject; rua=mailto:"+d.Reports)
		if !enforced {
			f.note(verdictPass, "begin with p=none and read the reports before going on to p=quarantine and p=reject")
		}
	}
	return f, enforced
}

func (f *Finding) dmarcPolicy(s string, inherited bool) bool {
	values, names, ok := tags(s)
	policy, has := values["p"]
	policy = strings.ToLower(policy)
	known := map[string]bool{"none": true, "quarantine": true, "reject": true}
	if !ok || names[0] != "v" || values["v"] != "DMARC1" || has && !known[policy] || !has && values["rua"] == "" {
		f.note(verdictWrong, "it is no DMARC record: v=DMARC1 and then p=none, p=quarantine or p=reject")
		return false
	}
	if !has {
		policy = "none" // 6.6.3
	} else if names[1] != "p" {
		f.note(verdictWeak, "p= should stand right after v= (RFC 7489, 6.3)")
	}
	if sp, ok := values["sp"]; ok {
		if sp = strings.ToLower(sp); !known[sp] {
			f.note(verdictWrong, "sp= must be none, quarantine or reject")
		} else if inherited {
			policy = sp
		} else if sp == "none" && policy != "none" {
			f.note(verdictWeak, "sp=none lets everybody send as any name below this domain")
		}
	}
	pct, err := 100, error(nil)
	if v, ok := values["pct"]; ok {
		if pct, err = strconv.Atoi(v); err != nil || pct < 0 || pct > 100 {
			f.note(verdictWrong, "pct= must be 0 to 100")
			pct = 0
		} else if pct < 100 {
			f.note(verdictWeak, "pct=%d: the policy holds for a part of the mail", pct)
		}
	}
	for _, a := range []string{"adkim", "aspf"} {
		if v := strings.ToLower(values[a]); v != "" && v != "r" && v != "s" {
			f.note(verdictWrong, "%s= must be r or s", a)
		}
	}
	if policy == "none" {
		f.note(verdictWeak, "p=none: mail that is not from this domain is delivered all the same")
	} else {
		f.note(verdictPass, "p=%s, alignment %s of DKIM and %s of SPF", policy, strictness(values["adkim"]), strictness(values["aspf"]))
	}
	return policy != "none" && pct == 100
}

func strictness(s string) string {
	if strings.EqualFold(s, "s") {
		return "strict"
	}
	return "relaxed"
}

const maxReportURIs = 5

// dmarcReports looks at where reports go. Another domain must have agreed (7.1).
func (d DomainCheck) dmarcReports(ctx context.Context, l *lookups, f *Finding, name, s string) {
	values, _, _ := tags(s)
	if values["rua"] == "" {
		f.note(verdictWeak, "without rua= nobody is told of mail that fails")
		return
	}
	for i, uri := range strings.Split(values["rua"], ",") {
		if i == maxReportURIs {
			return
		}
		uri, _, _ = strings.Cut(strings.TrimSpace(uri), "!") // a limit of size
		to, ok := cutFold(uri, "mailto:")
		a, err := parseAddress(to)
		if !ok || err != nil {
			f.note(verdictWrong, "rua= holds something that is no mailto address")
			continue
		}
		own, err1 := publicsuffix.EffectiveTLDPlusOne(name)
		theirs, err2 := publicsuffix.EffectiveTLDPlusOne(a.domain)
		if err1 == nil && err2 == nil && own == theirs || a.domain == name {
			continue
		}
		agreed, err := l.versioned(ctx, name+"._report._dmarc."+a.domain, "v=DMARC1")
		switch {
		case err != nil:
			f.note(verdictUnknown, "the name server gave no answer about reports to %s", ascii(a.domain))
		case len(agreed) == 0:
			f.note(verdictWeak, "%s has not agreed to get reports, so none are sent: it must publish %s", ascii(a.domain), record(name+"._report._dmarc."+a.domain, "TXT", "v=DMARC1"))
		}
	}
}

// tlsReports looks at where failures of TLS are reported (RFC 8460).
func (d DomainCheck) tlsReports(ctx context.Context, l *lookups) Finding {
	f := Finding{Check: "tls-rpt", Verdict: verdictPass}
	name := "_smtp._tls." + d.Domain
	if s := l.single(ctx, &f, name, "v=TLSRPTv1"); s != "" {
		values, names, ok := tags(s)
		if !ok || names[0] != "v" || values["rua"] == "" {
			f.note(verdictWrong, "it is no TLSRPT record: v=TLSRPTv1; rua=...")
		}
		for uri := range strings.SplitSeq(values["rua"], ",") {
			u, err := url.Parse(strings.TrimSpace(uri))
			if err != nil || u.Scheme != "mailto" && u.Scheme != "https" {
				f.note(verdictWrong, "rua= must hold mailto and https URLs")
			}
		}
	}
	switch f.Verdict {
	case verdictPass:
		f.note(verdictPass, "failures of TLS are reported")
	case verdictMissing, verdictWrong:
		f.Publish = record(name, "TXT", "v=TLSRPTv1; rua=mailto:"+d.Reports)
	}
	return f
}

// bimi looks at the record of the logo. It does nothing without an enforced DMARC policy.
func (d DomainCheck) bimi(ctx context.Context, l *lookups, enforced bool) Finding {
	f := Finding{Check: "bimi", Verdict: verdictPass}
	s := l.single(ctx, &f, "default._bimi."+d.Domain, "v=BIMI1")
	switch {
	case f.Verdict == verdictMissing:
		f.note(verdictMissing, "a logo is shown by some mail programs, and needs no record to do without")
		return f
	case s == "":
		return f
	}
	values, names, ok := tags(s)
	if !ok || names[0] != "v" {
		f.note(verdictWrong, "it is no BIMI record: v=BIMI1; l=https://...svg")
		return f
	}
	for _, tag := range []string{"l", "a"} {
		if v := values[tag]; v != "" {
			if u, err := url.Parse(v); err != nil || u.Scheme != "https" || u.Host == "" {
				f.note(verdictWrong, "%s= must be an https URL", tag)
			}
		}
	}
	switch {
	case values["l"] == "":
		f.note(verdictWeak, "it names no logo")
	case !enforced:
		f.note(verdictWrong, "it has no effect: DMARC must be p=quarantine or p=reject for all mail")
	case values["a"] == "":
		f.note(verdictWeak, "it names no certificate (a=), which some mail programs want")
	default:
		f.note(verdictPass, "logo and certificate are named")
	}
	return f
}
