package battery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A Report is what a run found.
type Report struct {
	Server   string    `json:"server"`   // its name and version, as it says
	Protocol string    `json:"protocol"` // that was spoken
	Tools    int       `json:"tools"`
	Called   int       `json:"called"` // of these tools
	Checks   []string  `json:"checks"` // that were made
	Findings []Finding `json:"findings"`
}

// Worst returns the highest severity; Info if there is nothing.
func (r *Report) Worst() Severity {
	worst := Info
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

// maxFindings is what is kept of one check.
const maxFindings = 50

func newProbe(target Target, o Options) *Probe {
	return &Probe{Options: o, Target: target, Log: &record{}, baselines: map[string]Reply{}, failures: map[string]int{}, took: map[string]time.Duration{}, redactor: redact.New(redact.Options{}), plain: redact.New(redact.Options{})}
}

// Run attacks a target with all checks. It returns an error if the server cannot be
// opened, or ctx ends before all is done.
func Run(ctx context.Context, target Target, o Options) (*Report, error) {
	return run(ctx, target, o, Checks)
}

func run(ctx context.Context, target Target, o Options, checks []Check) (*Report, error) {
	p := newProbe(target, o)
	for _, c := range o.Canaries {
		if !p.redactor.Register(redact.NewSecret(c)) {
			return nil, errors.New("a canary is too short to be told from other text")
		}
	}
	for _, values := range target.Header { // which are no canaries, but secret
		for _, v := range values {
			_, credentials, _ := strings.Cut(v, " ")
			p.redactor.Register(redact.NewSecret(cmp.Or(credentials, v)))
			p.plain.Register(redact.NewSecret(cmp.Or(credentials, v)))
		}
	}
	defer p.drop()
	if err := p.discover(ctx); err != nil {
		p.drop()
		if log := p.Log.String(); log != "" {
			err = fmt.Errorf("%w; on standard error: %s", err, log)
		}
		return nil, errors.New(p.show(err.Error()))
	}
	r := &Report{Findings: []Finding{}, Server: p.show(p.Hello.Name + " " + p.Hello.Version), Protocol: p.shared.Version, Tools: len(p.Tools), Called: len(p.callable())}
	for _, c := range checks {
		if c.Over != 0 && c.Over&target.transport() == 0 {
			continue
		}
		if o.Progress != nil {
			o.Progress(c.ID)
		}
		r.Checks = append(r.Checks, c.ID)
		r.Findings = append(r.Findings, p.complete(c, c.Run(ctx, p))...)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return r, nil
}

// complete adds to findings what their check says, masks what nobody may see, and
// puts them in order.
func (p *Probe) complete(c Check, found []Finding) []Finding {
	for i := range found {
		f := &found[i]
		f.Check = c.ID
		f.Severity = cmp.Or(f.Severity, c.Severity)
		f.Title = cmp.Or(f.Title, c.Title)
		f.Remedy = cmp.Or(f.Remedy, c.Remedy)
		f.Subject, f.Evidence = p.show(f.Subject), p.show(f.Evidence)
		if slices.Contains(p.Options.Accept, c.ID) || slices.Contains(p.Options.Accept, c.ID+" "+f.Subject) {
			f.Severity, f.Title = Info, "accepted: "+f.Title
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Evidence, b.Evidence))
	})
	found = slices.CompactFunc(found, func(a, b Finding) bool { return a == b })
	return found[:min(len(found), maxFindings)]
}
