package pgmask

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/pgtool"
)

// seams are statements that get edits of several kinds: masks, and the conditions that
// count what a statement holds.
var seams = []string{
	"SELECT string_agg((SELECT max(q.ssn) FROM lab.people q WHERE q.id = p.id), ',') FROM people p", "SELECT array_agg((SELECT lab.people.ssn FROM lab.people WHERE lab.people.id = p.id)) FILTER (WHERE p.ssn IS NOT NULL OR true) FROM lab.people p",
	"SELECT json_agg(lab.people.*) FROM lab.people", "SELECT json_agg(lab.people.ssn ORDER BY lab.people.pin) FROM lab.people", "SELECT jsonb_object_agg(lab.people.id, lab.people.ssn) FROM lab.people", "SELECT array_agg(lab.people.*) FROM lab.people", "SELECT string_agg(DISTINCT annex.people.email, ',') FROM annex.people, lab.people p",
	"SELECT ARRAY(SELECT ssn FROM lab.people ORDER BY pin)", "SELECT ARRAY(SELECT p FROM lab.people p)", "SELECT ARRAY(SELECT (SELECT string_agg(ssn, ',') FROM lab.people) FROM annex.people)", "SELECT id IN (SELECT pin FROM lab.people) FROM lab.people ORDER BY lab.people.id",
	"SELECT id FROM lab.cards WHERE owner IN (SELECT ssn FROM lab.people)", "SELECT id FROM lab.cards WHERE owner NOT IN (SELECT ssn FROM lab.people WHERE ssn IS NOT NULL)", "SELECT id FROM lab.cards WHERE 'qxzjkvwyqzxj' IN (SELECT ssn FROM lab.people)", "SELECT count(*) FILTER (WHERE id IN (SELECT pin FROM lab.people)) FROM lab.cards",
	"WITH RECURSIVE r(id, s) AS (SELECT 1, ''::text UNION ALL SELECT r.id + 1, lab.people.ssn FROM r JOIN lab.people ON lab.people.id = r.id AND r.id < 0) SELECT * FROM r", "WITH RECURSIVE r(s) AS (SELECT ssn FROM lab.people UNION SELECT ssn FROM r JOIN lab.people ON s = email) SELECT * FROM r",
	"WITH RECURSIVE r AS (SELECT 0, lab.people.* FROM lab.people UNION ALL SELECT 1, lab.people.* FROM r JOIN lab.people ON lab.people.id = r.id AND r.id < 0) SELECT * FROM r", "SELECT string_agg(ssn, ',') OVER (ORDER BY lab.people.id) FROM lab.people", "SELECT json_agg(lab.people.*) OVER (ORDER BY lab.people.id) FROM lab.people", "SELECT array_agg(max(lab.people.ssn)) OVER () FROM lab.people GROUP BY lab.people.ssn",
	"SELECT ssn FROM lab.people INTERSECT SELECT owner FROM lab.cards", "SELECT * FROM lab.people mcpsec WHERE mcpsec.ssn > 'q'", "SELECT array_agg(mcpsec.ssn) FROM lab.people mcpsec", "SELECT ARRAY(SELECT held.ssn FROM lab.people held)", "SELECT mcpsec FROM lab.people AS mcpsec WHERE id NOT IN (SELECT pin AS mcpsec FROM lab.people WHERE pin IS NOT NULL)",
	"SELECT xmlagg(xmlforest(lab.people.ssn, pin)) FROM lab.people", "SELECT (SELECT string_agg(x.v, ',') FROM jsonb_each_text(to_jsonb(lab.people.*)) x(k, v)) FROM lab.people", "SELECT json_agg((SELECT json_agg(lab.people.*) FROM lab.people)) FROM annex.people", "EXPLAIN (COSTS OFF, VERBOSE) SELECT array_agg(ssn) FROM lab.people WHERE pin NOT IN (SELECT pin FROM lab.people)",
	"SELECT id FROM lab.people WHERE (ssn, id) IN (SELECT ssn, id FROM lab.people)", "SELECT * FROM lab.people p WHERE p.id = ANY (SELECT id FROM lab.card_log UNION SELECT pin FROM lab.people)", "SELECT percentile_disc(ARRAY(SELECT 0.5::float8 FROM lab.people)) WITHIN GROUP (ORDER BY ssn) FROM lab.people", "SELECT range_agg(int8range(pin, pin + 1)) FROM lab.people",
}

// TestSeams tries them also where the server is asked about each, and where each is
// planned first.
func TestSeams(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*pgtool.Options){
		"plain": nil, "checked": func(o *pgtool.Options) { o.ServerCheck = true }, "planned": func(o *pgtool.Options) { o.MaxCost = 1e12 }, "superuser": roles["superuser"],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := opened(t, change)
			for _, sql := range seams {
				if text, failed, _ := p.holds(t, sql); failed {
					t.Errorf("%s: was not answered: %s", sql, text)
				}
			}
		})
	}
}
