package mailtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

const (
	maxPolicy    = 64 << 10   // bytes (RFC 8461, 3.3)
	maxPolicyAge = 31_557_600 // seconds
	minPolicyAge = 86_400
)

// stsClient goes to the one host that has the policy.
func stsClient(domain string) (*http.Client, error) {
	return outbound.New(outbound.Options{Allow: []string{"mta-sts." + domain}, MaxBody: maxPolicy, Timeout: 10 * time.Second, Retries: -1})
}

var stsID = lazy.Regexp(`^[A-Za-z0-9]{1,32}$`)

// sts looks at whether others must use TLS for mail to the domain (RFC 8461).
func (d DomainCheck) sts(ctx context.Context, l *lookups, hosts []string) Finding {
	f := Finding{Check: "mta-sts", Verdict: verdictPass}
	name := "_mta-sts." + d.Domain
	s := l.single(ctx, &f, name, "v=STSv1")
	if s == "" {
		if f.Verdict == verdictMissing {
			f.Publish = record(name, "TXT", "v=STSv1; id=1")
		}
		return f
	}
	if values, names, ok := tags(s); !ok || names[0] != "v" || !stsID().MatchString(values["id"]) {
		f.note(verdictWrong, "it is no MTA-STS record: v=STSv1; id= and up to 32 letters and digits")
		f.Publish = record(name, "TXT", "v=STSv1; id=1")
	}
	policy, err := fetchPolicy(ctx, d.Client, "https://mta-sts."+d.Domain+"/.well-known/mta-sts.txt")
	if err != nil {
		f.note(verdictWrong, "there is no policy at mta-sts.%s: %s", d.Domain, why(err))
		return f
	}
	f.stsPolicy(policy, hosts)
	return f
}

// why is what may be told of an error of fetchPolicy: our words, or package outbound's.
func why(err error) string {
	var ours *stsError
	var e *outbound.Error
	switch {
	case errors.As(err, &ours):
		return ours.text
	case errors.As(err, &e):
		return string(e.Reason)
	}
	return "it cannot be fetched"
}

type stsError struct{ text string }

func (e *stsError) Error() string { return e.text }

// fetchPolicy gets a policy as section 3.3 has it: over TLS with a certificate that is
// right, from that URL and no other, in plain text.
func fetchPolicy(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.Request == nil || resp.Request.URL.String() != url:
		return "", &stsError{"it redirects, which senders do not follow"}
	case resp.StatusCode != http.StatusOK:
		return "", &stsError{fmt.Sprintf("status %d", resp.StatusCode)}
	case kind != "text/plain":
		return "", &stsError{"its type is not text/plain"}
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxPolicy {
		return "", &stsError{"it is larger than 64 KiB"}
	}
	return string(b), nil
}

// stsPolicy reads a policy (section 3.2), and looks whether the MX are in it.
func (f *Finding) stsPolicy(policy string, hosts []string) {
	values, patterns := map[string]string{}, []string{}
	for line := range strings.Lines(policy) {
		key, value, ok := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !ok {
			continue
		}
		if key == "mx" {
			patterns = append(patterns, strings.ToLower(value))
		} else if _, twice := values[key]; !twice { // the first counts
			values[key] = value
		}
	}
	age, err := strconv.Atoi(values["max_age"])
	mode := values["mode"]
	if values["version"] != "STSv1" || err != nil || age < 0 || age > maxPolicyAge || !slices.Contains([]string{"enforce", "testing", "none"}, mode) || len(patterns) == 0 && mode != "none" {
		f.note(verdictWrong, "the policy must have version: STSv1, mode: enforce, testing or none, max_age: up to %d, and mx:", maxPolicyAge)
		return
	}
	if mode == "none" {
		f.note(verdictWeak, "mode none: TLS is up to whoever sends")
		return
	}
	for _, h := range hosts {
		if !slices.ContainsFunc(patterns, func(p string) bool { return stsMatches(p, h) }) {
			f.note(verdictWrong, "the MX %s is not in the policy: mail for it is not delivered, or will not be", ascii(h))
		}
	}
	if mode == "testing" {
		f.note(verdictWeak, "mode testing: failures are reported, and mail is delivered all the same")
	} else {
		f.note(verdictPass, "mode %s", mode)
	}
	if age < minPolicyAge {
		f.note(verdictWeak, "max_age of less than a day: an attacker need not wait long")
	}
}

// stsMatches compares a host with a pattern, whose *. stands for one label (section 4.1).
func stsMatches(pattern, host string) bool {
	below, ok := strings.CutPrefix(pattern, "*.")
	if !ok {
		return pattern == host
	}
	_, rest, found := strings.Cut(host, ".")
	return found && rest == below
}
