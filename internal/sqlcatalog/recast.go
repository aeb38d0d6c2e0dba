package sqlcatalog

// mostHeld returns how many bytes the query may hold: less if it makes something else
// of values than what they were gathered as, or have become in a recursion. What stands in the arguments of a call
// that gathers, and gathers nothing itself, is about single rows.
func (c *checker) mostHeld() int {
	if len(c.holds) == 0 && !c.recursive {
		return MaxHeld
	}
	for i := 0; i < len(c.tokens); i++ {
		if end := c.leaf(i); end > 0 {
			i = end
			continue
		}
		if c.recasts(i) {
			return MaxRecast
		}
	}
	return MaxHeld
}

// leaf returns where the call at token i ends, if it gathers, and nothing within it
// does.
func (c *checker) leaf(i int) (end int) {
	for n, h := range c.holds {
		if h.name == i && h.cost != nil && (n+1 == len(c.holds) || c.holds[n+1].name > h.end) {
			return h.end
		}
	}
	return 0
}

// recasts reports whether token i is a cast, or the call of a function that reads a
// text, or writes one.
func (c *checker) recasts(i int) bool {
	t := c.tokens[i]
	switch {
	case t.Is("::"):
		return true
	case !named(t):
		return false
	case c.is(i+1, "("):
		return t.Value == "cast" || recasting[t.Value]
	}
	return c.is(i-1, ".") && recasting[t.Value] // t.text is text(t)
}

var recasting = set(`
	array_to_json array_to_string convert_from convert_to decode encode format json json_array_elements json_array_elements_text json_each
	json_each_text json_populate_recordset json_to_recordset jsonb jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text
	jsonb_path_query jsonb_path_query_array jsonb_populate_recordset jsonb_pretty jsonb_to_recordset phraseto_tsquery plainto_tsquery
	quote_literal quote_nullable range_agg regexp_instr regexp_match regexp_matches regexp_replace regexp_split_to_array
	regexp_split_to_table replace row_to_json string_to_array string_to_table text textcat to_json to_jsonb to_tsquery to_tsvector
	translate ts_headline varchar websearch_to_tsquery xml xmlparse xmlserialize xmltable xpath json_table`)
