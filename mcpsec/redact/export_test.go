package redact

// Work returns how many bytes the matchers looked at to redact s, besides the
// one look at each byte of the prefilter.
func (r *Redactor) Work(s string) int {
	m := scanner{t: r.current(), s: s}
	m.scan()
	return m.work
}
