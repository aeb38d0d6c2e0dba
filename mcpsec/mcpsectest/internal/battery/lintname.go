package battery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

var properName = lazy.Regexp(`^[A-Za-z0-9_.-]{1,128}$`)

func oddNames(_ context.Context, p *Probe) []Finding {
	var out []Finding
	for _, t := range p.Tools {
		switch {
		case t.Name == "":
			out = append(out, Finding{Evidence: "a tool has no name"})
		case len(t.Name) > 128:
			out = append(out, Finding{Subject: t.Name, Evidence: fmt.Sprintf("the name has %d bytes", len(t.Name))})
		case !properName().MatchString(t.Name):
			out = append(out, Finding{Subject: t.Name, Evidence: fmt.Sprintf("the name is %+q", t.Name)})
		}
	}
	return out
}

// confusable are letters that look like ones of Latin, which they are mapped to.
var confusable = pairs("АAВBЕEКKМMНHОOРPСCТTХXУYІIЈJЅSԌGаaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwӏlΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXοoνvαaιiᴏoɑaɡgıi")

func pairs(s string) map[rune]rune {
	m := map[rune]rune{}
	letters := []rune(s)
	for i := 0; i+1 < len(letters); i += 2 {
		m[letters[i]] = letters[i+1]
	}
	return m
}

// skeleton is what a name looks like.
func skeleton(name string) string {
	return strings.Map(func(r rune) rune {
		if l := confusable[r]; l != 0 {
			r = l
		}
		switch r {
		case 'I', '1', '|':
			return 'l'
		case '0':
			return 'O'
		}
		return r
	}, norm.NFKC.String(strings.ToValidUTF8(name, string(utf8.RuneError))))
}

func lookalikes(_ context.Context, p *Probe) []Finding {
	var tools, prompts []string
	for _, t := range p.Tools {
		tools = append(tools, t.Name)
	}
	for _, d := range p.Prompts {
		prompts = append(prompts, d.Name)
	}
	return append(alike("tools", tools), alike("prompts", prompts)...)
}

func alike(kind string, names []string) []Finding {
	var out []Finding
	first := map[string]string{}
	for _, name := range names {
		looks := []string{"case " + strings.ToLower(norm.NFKC.String(name)), "look " + skeleton(name)}
		for _, look := range looks {
			if other, ok := first[look]; ok && name != "" {
				out = append(out, Finding{Subject: name, Evidence: fmt.Sprintf("there are %s %+q and %+q", kind, other, name)})
				break
			}
		}
		for _, look := range looks {
			first[look] = name
		}
	}
	return out
}

// builtIn are tools that clients bring along: agents for code, editors, and those of
// model providers.
var builtIn = words(`Bash bash BashOutput KillShell Read Write Edit MultiEdit NotebookEdit Glob Grep LS Task TodoWrite WebFetch WebSearch
	shell local_shell apply_patch update_plan python code_interpreter code_execution computer text_editor str_replace_editor
	str_replace_based_edit_tool file_search web_search web_fetch image_generation browser
	run_terminal_cmd run_shell_command run_in_terminal codebase_search grep_search edit_file write_file read_file replace_string_in_file
	execute_command write_to_file replace_in_file list_code_definition_names ask_followup_question attempt_completion`)

func shadows(_ context.Context, p *Probe) []Finding {
	var names []string
	for _, t := range p.Tools {
		if slices.Contains(builtIn, t.Name) {
			names = append(names, t.Name)
		}
	}
	return named(names, "the name of a built-in tool: ")
}

func withoutOutput(_ context.Context, p *Probe) []Finding {
	var names []string
	for _, t := range p.Tools {
		m, _ := decode(t.Raw).(map[string]any)
		if _, ok := m["outputSchema"].(map[string]any); !ok {
			names = append(names, t.Name)
		}
	}
	return named(names, "no outputSchema: ")
}

func descriptions(_ context.Context, p *Probe) []Finding {
	var out []Finding
	for _, t := range p.Tools {
		out = append(out, length(t)...)
		if len(t.Raw) > maxDefinition {
			continue
		}
		var missing []string
		properties, _ := t.Schema["properties"].(map[string]any)
		for name, v := range properties {
			if d, _ := expand(t.Schema, v)["description"].(string); strings.TrimSpace(d) == "" {
				missing = append(missing, name)
			}
		}
		for _, f := range named(missing, "arguments without a description: ") {
			f.Severity, f.Subject, f.Title = Info, t.Name, "arguments have no description"
			out = append(out, f)
		}
	}
	return out
}

// length judges how much there is to read before a person approves a tool.
func length(t Tool) []Finding {
	const long, shown = 8 << 10, 1024
	n := utf8.RuneCountInString(t.Description)
	switch {
	case strings.TrimSpace(t.Description) == "":
		return []Finding{{Subject: t.Name, Evidence: "there is no description"}}
	case n > long:
		return []Finding{{Subject: t.Name, Title: "a tool's description is too long to be read", Evidence: fmt.Sprintf("the description has %d characters", n)}}
	case len(t.Raw) > maxDefinition:
		return []Finding{{Subject: t.Name, Title: "a tool's definition is too long to be read", Evidence: fmt.Sprintf("the definition has %d bytes", len(t.Raw))}}
	case n > shown:
		return []Finding{{Severity: Info, Subject: t.Name, Title: "a tool's description is long", Evidence: fmt.Sprintf("the description has %d characters, and some clients show %d", n, shown)}}
	}
	return nil
}
