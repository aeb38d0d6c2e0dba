package redact

import "strings"

const (
	maxColumns = 32
	maxRow     = 2048 // bytes
)

// columns masks the cells beneath the secret names of a table's first row, in which
// the name [from, to) stands:
//
//	user,password        | user | token |       user | password
//	bob,hunter2          | ---- | ----- |      ------+----------
//	                     | bob  | s3cr3t |      bob  | hunter2
//
// It returns the end of what was masked, or 0. A row is looked at once.
func (m *scanner) columns(from, to int) int {
	mark := m.columnMark(from, to)
	if from < m.rowsEnd {
		return 0
	}
	if mark == 0 {
		return m.fixedColumn(from, to)
	}
	start := m.rowStart(from)
	end, next := m.rowEnd(from)
	m.rowsEnd = max(to, end)
	if start < 0 || next == 0 {
		return 0
	}
	marks := strings.Count(m.s[start:end], string(mark))
	classes, n := m.header(m.s[start:end], mark)
	ruled := n > 1 && isRule(m.s[next:m.lineEnd(next)])
	if n < 2 || mark == '|' && !ruled {
		return 0
	}
	if ruled {
		_, next = m.rowEnd(next)
	}
	masked := 0
	for next > 0 {
		row := next
		end, next = m.rowEnd(row)
		if strings.Count(m.s[row:end], string(mark)) != marks {
			break
		}
		masked = max(masked, m.cells(row, end, mark, classes[:n]))
		m.rowsEnd = end
	}
	return masked
}

// fixedColumn masks the words beneath a name in capitals, of a table whose columns
// start at the same place in each row: one such column of a table.
func (m *scanner) fixedColumn(from, to int) (masked int) {
	name := m.s[from:to]
	class := m.t.classify(name)
	start := m.rowStart(from)
	if start < 0 || hasLower(name) || from > start && !hasAt(m.s, from-len("  "), "  ") || to < len(m.s) && m.s[to] != '\n' && !hasAt(m.s, to, "  ") {
		return 0
	}
	_, next := m.rowEnd(from)
	for next > 0 {
		cell := next + from - start
		var end int
		end, next = m.rowEnd(next)
		m.rowsEnd = end
		if cell >= end || m.s[cell] == ' ' || cell > 0 && m.s[cell-1] != ' ' && m.s[cell-1] != '\n' {
			break
		}
		if last := m.run(cell, opaque); last <= end && secretValue(class, styleTable, false, m.s[cell:last]) {
			masked = m.mask(cell, last)
		}
	}
	return masked
}

// columnMark returns what stands between the cells of a row in which [from, to) is
// one, or 0.
func (m *scanner) columnMark(from, to int) byte {
	s := m.s
	after := skipBlank(s, to)
	if after < len(s) && strings.IndexByte(",;|\t", s[after]) >= 0 {
		return s[after]
	}
	if to < len(s) && s[to] == '\t' {
		return '\t'
	}
	before := from
	for before > 0 && from-before < 32 && s[before-1] == ' ' {
		before--
	}
	if last := after == len(s) || s[after] == '\n' || s[after] == '\r' || hasAt(s, after, `\n`); last && before > 0 && strings.IndexByte(",;|\t", s[before-1]) >= 0 {
		return s[before-1]
	}
	return 0
}

// rowStart returns where the line around i starts, or -1 if that is far away.
func (m *scanner) rowStart(i int) int {
	start := m.runBack(i, oneLine, maxRow/4)
	if quote := strings.LastIndexByte(m.s[start:i], '"'); quote >= 0 { // a string of JSON
		return start + quote + 1
	}
	switch {
	case start == 0 || m.s[start-1] == '\n':
		return start
	case hasAt(m.s, start-1, `\n`):
		return start + 1
	}
	return -1
}

// rowEnd returns the end of the line at i, and where the next one starts, or 0. A
// line may end with \n as JSON writes it.
func (m *scanner) rowEnd(i int) (end, next int) {
	end = m.lineEnd(i)
	m.work += end - i + 1
	quote := strings.IndexByte(m.s[i:end], '"')
	switch {
	case quote >= 0 && hasAt(m.s, i-2, `\n`): // the last line of a string of JSON
		return i + quote, 0
	case end >= len(m.s) || end-i >= maxRow:
		return end, 0
	case m.s[end] == '\n':
		return end, end + 1
	case hasAt(m.s, end, "\r\n"), hasAt(m.s, end, `\n`):
		return end, end + 2
	case hasAt(m.s, end, `\r\n`):
		return end, end + 4
	}
	return end, 0
}

func (m *scanner) lineEnd(i int) int {
	for end := min(len(m.s), i+maxRow); i < end && is(m.s[i], oneLine); i++ {
		continue
	}
	return i
}

// header judges the names of a first row. It returns how many there are, or 0 if it
// is none.
func (m *scanner) header(row string, mark byte) (list [maxColumns]secrecy, n int) {
	for cell := range strings.SplitSeq(row, string(mark)) {
		name := strings.Trim(cell, " ")
		if n == maxColumns || len(name) > maxKey || !words(name) || mark != '|' && (name == "" || name != cell) {
			return list, 0
		}
		list[n] = m.t.classify(name)
		n++
	}
	return list, n
}

func hasLower(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return 'a' <= r && r <= 'z' })
}

// words reports whether a name is made of the bytes of key names and spaces.
func words(name string) bool {
	for i := range len(name) {
		if !is(name[i], ident) && name[i] != ' ' {
			return false
		}
	}
	return true
}

// isRule reports whether a row is the line beneath the first: ---+---, |:--|--:|.
func isRule(row string) bool {
	return strings.Contains(row, "--") && strings.Trim(row, "-+|: ") == ""
}

// cells masks the secret cells of a row.
func (m *scanner) cells(row, end int, mark byte, classes []secrecy) (masked int) {
	i := row
	for _, class := range classes {
		to := end
		if n := strings.IndexByte(m.s[i:end], mark); n >= 0 {
			to = i + n
		}
		from, last := i, to
		for from < last && (m.s[from] == ' ' || m.s[from] == '"') {
			from++
		}
		for last > from && (m.s[last-1] == ' ' || m.s[last-1] == '"') {
			last--
		}
		if class != notSecret && class != isHeader && class != isCookie && from < last && secretValue(class, styleMember, true, m.s[from:last]) {
			masked = m.mask(from, last)
		}
		i = min(to+1, end)
	}
	return masked
}
