package console

import (
	"errors"
	"net/url"
	"time"
)

// A query is what a page shows.
type query struct {
	span         time.Duration
	tool, caller string // "" for all
}

// ranges are the times that can be looked at, by their names in the URL.
var ranges = []struct {
	Name string
	span time.Duration
}{{"15m", 15 * time.Minute}, {"1h", time.Hour}, {"6h", 6 * time.Hour}, {"24h", 24 * time.Hour}}

func parseQuery(raw string) (query, error) {
	q := query{span: time.Hour}
	values, err := url.ParseQuery(raw)
	if err != nil || len(raw) > 2000 {
		return q, errors.New("the query of the URL cannot be read")
	}
	for name, all := range values {
		text := all[0]
		switch {
		case len(all) > 1 || len(text) > 4*maxName+4:
			return q, errors.New("the query of the URL has a value twice, or one that is too long")
		case name == "tool":
			q.tool = text
		case name == "caller":
			q.caller = text
		case name == "range":
			q.span = 0
			for _, r := range ranges {
				if r.Name == text {
					q.span = r.span
				}
			}
			if q.span == 0 {
				return q, errors.New("range is one of 15m, 1h, 6h and 24h")
			}
		default:
			return q, errors.New("the query of the URL has what is not known: there are range, tool and caller")
		}
	}
	return q, nil
}

// link is the URL of q with one thing changed.
func (q query) link(change func(*query)) string {
	change(&q)
	values := url.Values{}
	for _, r := range ranges {
		if r.span == q.span {
			values.Set("range", r.Name)
		}
	}
	if q.tool != "" {
		values.Set("tool", q.tool)
	}
	if q.caller != "" {
		values.Set("caller", q.caller)
	}
	return "/?" + values.Encode()
}
