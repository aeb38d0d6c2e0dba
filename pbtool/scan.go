package pbtool

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// maxScans is how many calls of one tool go through records at once.
const maxScans = 8

// scan calls f with each record that a filter chooses, in the order of ids, which
// no record's change upsets. It refuses to begin what goes beyond most.
func (c *Client) scan(ctx context.Context, k *Collection, filter Filter, fields []string, page, most int, f func(json.RawMessage) error) (int, error) {
	done, total := 0, 0
	q := Query{Filter: filter, Sort: []string{"id"}, Fields: fields, PerPage: page, Total: true}
	for {
		p, err := c.list(ctx, k, q, perPage)
		if err != nil {
			return done, err
		}
		if q.Total {
			if total = p.Total; total > most {
				return 0, &mcpsec.Error{Message: fmt.Sprintf("that is %d records, and a call goes through %d at most: narrow where", total, most), Rule: "records"}
			}
			q.Total = false
		}
		for _, r := range p.Items {
			if err := f(r); err != nil {
				return done, err
			}
		}
		if done += len(p.Items); done > most {
			return done, &mcpsec.Error{Message: fmt.Sprintf("there are more than %d records by now: narrow where", most), Rule: "records"}
		}
		mcpsec.Progress(ctx, float64(done), float64(max(total, done)), "")
		if !p.More {
			return done, nil
		}
		after, err := behind(next(p.Items[len(p.Items)-1], nil), nil)
		if err != nil {
			return done, errAnswer
		}
		q.Filter = filter.And(after)
	}
}
