package battery

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

var documentChecks = []Check{
	{
		ID: "resource/path", Severity: High, Title: "a resource leads to files of the system",
		Proof:  "Reading a resource with .. or an absolute path in the place of a template's variable gave the content of /etc/passwd or win.ini.",
		Remedy: "Open files through os.Root, or what is like it elsewhere, after the URI was decoded once.",
		Run:    resourceTraversal,
	},
	{
		ID: "resource/unknown", Severity: Low, Title: "a resource that does not exist can be read",
		Proof:  "A URI of a scheme that no server has was answered with a result. The protocol asks for an error, so that an empty document is not taken for one.",
		Remedy: "Answer with error -32602 (-32002 before 2026-07-28).",
		Run:    unknownResource,
	},
	{
		ID: "prompt/missing", Severity: Low, Title: "a required argument of a prompt may be left out",
		Proof:  "The prompt declares the argument as required, and was answered without it.",
		Remedy: "Check the arguments of prompts as those of tools.",
		Run:    promptWithout,
	},
}

var variable = lazy.Regexp(`\{[^{}]*\}`)

func (p *Probe) read(ctx context.Context, subject, uri string) Reply {
	return p.Request(ctx, subject, "resources/read", `{"uri":`+quote(uri)+`}`)
}

func resourceTraversal(ctx context.Context, p *Probe) []Finding {
	var out []Finding
	try := func(subject string, uris ...string) {
		for _, uri := range uris {
			if text := p.read(ctx, subject, uri).Text(); systemFile().MatchString(text) {
				out = append(out, Finding{Subject: subject, Evidence: "read " + uri + ", the answer has " + around(text, systemFile().FindString(text))})
				return
			}
		}
	}
	for _, t := range p.Templates[:min(len(p.Templates), maxAttacked)] {
		var uris []string
		for _, path := range escapes {
			uris = append(uris, variable().ReplaceAllLiteralString(t.Name, path))
		}
		try(t.Name, uris...)
	}
	for _, r := range p.Resources {
		if strings.HasPrefix(r.Name, "file:") {
			base := r.Name[:strings.LastIndexByte(r.Name, '/')+1]
			try("", "file:///etc/passwd", base+"../../../../../../../../etc/passwd", base+"..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd", "file:///C:/Windows/win.ini")
			break
		}
	}
	return out
}

func unknownResource(ctx context.Context, p *Probe) []Finding {
	const uri = "mcpsec-none://nothing/here"
	if p.Hello.Capabilities["resources"] == nil || !p.read(ctx, "", uri).Accepted() {
		return nil
	}
	return []Finding{{Evidence: "reading " + uri + " was answered with a result"}}
}

func promptWithout(ctx context.Context, p *Probe) []Finding {
	var out []Finding
	for _, prompt := range p.Prompts[:min(len(p.Prompts), maxAttacked)] {
		var d struct {
			Arguments []struct {
				Name     string
				Required bool
			}
		}
		_ = json.Unmarshal(prompt.Raw, &d)
		for _, a := range d.Arguments {
			if a.Required && p.Request(ctx, prompt.Name, "prompts/get", `{"name":`+quote(prompt.Name)+`,"arguments":{}}`).Accepted() {
				out = append(out, Finding{Subject: prompt.Name, Evidence: "answered without " + quote(a.Name)})
			}
			if a.Required {
				break // once is enough: none of them was sent
			}
		}
	}
	return out
}
