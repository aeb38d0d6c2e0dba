package main

import (
	"fmt"
	"strings"
)

// page writes the document.
func page(checks [][2]string, reports []report, finished []facts) string {
	var b strings.Builder
	fmt.Fprint(&b, `# Comparison

The same small server on four frameworks, each written as that framework's own README
shows it: a tool with three arguments, one with a bug that some arguments meet, and one
that fails with an error that names its database, password included. Each was attacked over
standard input and output by [mcpsec-check](check.md), with the same options. A program has
written this page, and has typed in no result; it needs Go, npm and the network:

    make comparison

What is compared is where one begins, and not what can be built on it. Where a cell surprises
you, read the server, and run the command below the table on your own.

| | framework | version | the server's source |
| --- | --- | --- | --- |
`)
	for _, r := range reports {
		fmt.Fprintf(&b, "| %s | %s | %s | [%s](../integration/comparison/%s) |\n", r.title, r.frameworkLink(), r.atVersion(), r.source[strings.LastIndex(r.source, "/")+1:], r.source)
	}
	matrix(&b, checks, reports)
	numbers(&b, reports)
	listed(&b, finished)
	fmt.Fprint(&b, worse)
	return b.String()
}

func (r report) frameworkLink() string {
	switch {
	case r.module == "":
		return "this module"
	case strings.HasPrefix(r.module, "@"):
		return "`" + r.module + "`"
	}
	return "[" + r.module + "](https://pkg.go.dev/" + r.module + ")"
}

func (r report) atVersion() string {
	if r.version == "" {
		return "this tree"
	}
	return r.version
}

// matrix has a row for each check that was made and found something anywhere, and counts
// the others.
func matrix(b *strings.Builder, checks [][2]string, reports []report) {
	fmt.Fprint(b, "\n## Attacks\n\nA word is a finding, with its severity; a dot means that the attack did not work.\n\n| check | what is wrong |")
	for _, r := range reports {
		fmt.Fprintf(b, " %s |", r.title)
	}
	fmt.Fprint(b, "\n| --- | --- |"+strings.Repeat(" --- |", len(reports))+"\n")
	made, silent := 0, []string{}
	for _, c := range checks {
		id, title := c[0], c[1]
		cells, found := "", false
		for _, r := range reports {
			cell := "·"
			if word := r.worst[id]; word != "" {
				cell, found = word, true
			}
			cells += " " + cell + " |"
		}
		switch {
		case !reports[0].checks[id]: // of another transport
		case found:
			made++
			fmt.Fprintf(b, "| `%s` | %s |%s\n", id, title, cells)
		default:
			made++
			silent = append(silent, "`"+id+"`")
		}
	}
	fmt.Fprint(b, "| **from medium on** | |")
	for _, r := range reports {
		n := 0
		for _, word := range r.worst {
			if rank(word) >= rank("medium") {
				n++
			}
		}
		fmt.Fprintf(b, " **%d** |", n)
	}
	fmt.Fprintf(b, "\n\nOf %d checks, %d found nothing anywhere: %s.\n", made, len(silent), strings.Join(silent, ", "))
	fmt.Fprint(b, `
    go run github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/cmd/mcpsec-check -canary env:DB_PASSWORD -- ./your-server
`)
}

func numbers(b *strings.Builder, reports []report) {
	fmt.Fprint(b, "\n## Figures of the same servers\n\n| | lines of code | start-up to the answer to tools/list | memory (RSS) then | bytes of tools/list |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, r := range reports {
		fmt.Fprintf(b, "| %s | %d | %.1f ms | %.1f MB | %d |\n", r.title, r.lines, float64(r.start.Microseconds())/1000, r.rss, r.bytes)
	}
	fmt.Fprint(b, "\nWhat calls cost, with intervals, is in [benchmarks.md](benchmarks.md).\n")
}

func listed(b *strings.Builder, finished []facts) {
	fmt.Fprint(b, `
## Finished servers

What mcpsec-check finds in a finished server is for those who maintain it to hear first, so
no findings stand here. These are the commands, each of which was run for this page at least as
far as the list of tools; put

    go run github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/cmd/mcpsec-check --

in front of one to see for yourself, on data that may be lost.

| command | tools | that say that they only read | bytes of tools/list |
| --- | ---: | ---: | ---: |
`)
	for _, f := range finished {
		fmt.Fprintf(b, "| `%s` | %d | %d | %d |\n", strings.Join(f.argv(), " "), f.tools, f.readOnly, f.bytes)
	}
}

const worse = `
## What mcpsec does worse, or not at all

| what | see it |
| --- | --- |
| It starts later than the bare SDK, and needs more memory | ` + "`make bench`" + `, under Start |
| It brings more modules | the table in [design.md](design.md), which a test keeps |
| It is for Go, and for servers: there are no clients, and no other languages | |
| It has no authorization server: it verifies tokens of one | [auth](../mcpsec/auth/doc.go) |
| It refuses what others take: unknown, repeated and oversized arguments, batches, tools without an effect | ` + "`go run ./examples/tour`" + ` |
| It asks a person where others go on; a client that cannot ask is refused | [design.md](design.md) |
| It is new: nobody has run it for years | [CHANGELOG.md](../CHANGELOG.md) |
`
