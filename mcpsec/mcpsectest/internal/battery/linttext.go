package battery

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	unseen "github.com/mcpsec/mcpsec-go/internal/text"
)

// maxRead is how much of a text is read.
const maxRead = 64 << 10

func invisible(_ context.Context, p *Probe) []Finding {
	return p.eachPassage(func(s string) (string, Severity) {
		kept, n := unseen.Strip(s)
		switch hidden := spelled(s); {
		case hidden != "":
			return fmt.Sprintf("%d hidden characters, which spell %s", n, strings.ToValidUTF8(quote(hidden), "?")), High
		case n > 0:
			return fmt.Sprintf("%d hidden characters, the first %U, in %s", n, firstHidden(s, kept), kept), 0
		}
		return "", 0
	})
}

// firstHidden is the first rune of s that is not in what was kept of it.
func firstHidden(s, kept string) rune {
	for _, r := range s {
		k, n := utf8.DecodeRuneInString(kept)
		if k != r || n == 0 {
			return r
		}
		kept = kept[n:]
	}
	return utf8.RuneError
}

// spelled is the text that tag characters (U+E0020 on) or variation selectors (a byte
// each) spell; "" where fewer than four do. The flags of three countries are tags, too:
// they spell a region, and no more.
func spelled(s string) string {
	var b []byte
	for _, r := range s {
		switch {
		case r >= 0xE0020 && r <= 0xE007E:
			b = append(b, byte(r-0xE0000))
		case r >= 0xFE00 && r <= 0xFE0F:
			b = append(b, byte(r-0xFE00))
		case r >= 0xE0100 && r <= 0xE01EF:
			b = append(b, byte(r-0xE0100+16))
		}
	}
	letters := 0
	for _, c := range b {
		if c >= ' ' && c < 0x7f {
			letters++
		}
	}
	if letters < 4 || regions().Match(b) {
		return ""
	}
	return string(b)
}

var regions = lazy.Regexp(`^\x0f*(?:gb(?:eng|sct|wls)\x0f*)+$`)

// plainly is a text as it sounds: without hidden characters, look-alike letters, and
// the breaks of lines that would hide a sentence from a pattern.
func plainly(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unseen.Hidden(r):
			return -1
		case confusable[r] != 0:
			return confusable[r]
		}
		return r
	}, norm.NFKC.String(strings.ToValidUTF8(s[:min(len(s), maxRead)], "")))
	return strings.Join(strings.Fields(s), " ")
}

// An order is what no description has to say to a model.
type order struct {
	what     string
	severity Severity
	pattern  func() *regexp.Regexp
}

// keyFiles are files that hold what only their owner may see.
const keyFiles = `(?:~/\.(?:ssh|aws|gnupg|kube|netrc|npmrc|pgpass|bash_history)\b|\bid_(?:rsa|ed25519)(?:[^.\w]|$)|\bmcp\.json\b|\bclaude_desktop_config\b|\.aws/credentials|/etc/shadow\b|\.cursor/)`

const (
	never  = `\b(?:do not|don['’]t|never|must not|should not|avoid|without) (?:ever )?`
	person = `(?:the )?(?:user|human|person|operator|developer|anyone|anybody)s?`
)

// Each wants the imperative, as one who wants to be obeyed uses: "reads ~/.ssh/config"
// describes a tool, "you must read ~/.ssh/config" does not.
var orders = []order{
	{"an order to forget instructions", High, lazy.Regexp(`(?i)\b(?:ignore|disregard|forget|override|bypass)\b (?:(?:all|any|the|your|of|these|those|and) )*(?:previous|prior|above|earlier|preceding|other|system|safety|original|existing|developer)(?:,? (?:and |or )?(?:previous|prior|above|earlier|system|safety))? (?:instructions?|prompts?|rules?|guidelines?|directions?|messages?|directives?|constraints?)\b`)},
	{"an order to keep something from the user", High, lazy.Regexp(`(?i)` + never + `(?:(?:tell|inform|telling|informing) ` + person + `(?: (?:about|of) (?:this|it|that|these)\b| (?:this|it|anything)\b|[.!;:]|$)|(?:mention|reveal|disclose|mentioning|revealing|disclosing) (?:this|that|it|any of (?:this|it)|these (?:steps|instructions))\b(?: \w+){0,3} to ` + person + `\b|(?:alert|notify|warn) ` + person + ` (?:about|of) (?:this|it)\b)`)},
	{"an order to keep something from the user", Medium, lazy.Regexp(`(?i)` + never + `(?:tell|inform|telling|informing) ` + person + ` that (?:you|it|this)\b`)},
	{"an order to keep something from the user", High, lazy.Regexp(`(?i)\b(?:hide|conceal|keep) (?:this|it|these steps|this step|that) (?:secret |hidden )?from (?:the )?(?:user|human|person)\b`)},
	{"a mark that models are steered by", High, lazy.Regexp(`<\|(?:im_start|im_end|system|assistant|user|endoftext|start_header_id|eot_id)\|>|\[/?INST\]|<</?SYS>>`)},
	{"a mark that asks for obedience", Medium, lazy.Regexp(`(?i)<\s*/?\s*(?:important|system|secret|hidden|critical|system[_ -]?prompt|system[_ -]?message|admin)\s*>`)},
	{"an order to read what is not its own", High, lazy.Regexp(`(?i)\b(?:you (?:must|should|need to|have to)|before (?:using|calling|you use|you call) (?:this|the)|first,?|please)\b[^.!?]{0,40}\b(?:read|open|cat|load|upload|print|output|fetch)\b[^.!?]{0,40}` + keyFiles)},
	{"an order to pass on what is not its own", High, lazy.Regexp(`(?i)` + keyFiles + `[^!?]{0,80}\b(?:pass|send|include|put|provide|add|attach|paste|insert)\b[^!?]{0,40}\b(?:as|in|into|via|through)\b[^.!?]{0,20}(?:\bargument|\bparameter|\bfield|\bsidenote|\bthis tool|['‘"]\w+['’"])`)},
	{"an order to pass on what is not its own", High, lazy.Regexp(`(?i)\b(?:pass|put|include|send|provide|add|insert|append|copy) (?:the |its |their |all |full )*contents? of\b[^.!?]{0,40}` + keyFiles)},
	{"an order to send mail or money elsewhere", High, lazy.Regexp(`(?i)\b(?:all|every|any) (?:e-?mails?|messages?|payments?|transfers?|invoices?)\b[^.!?]{0,40}\b(?:must|should|have to|need to|has to|shall)\b[^.!?]{0,40}\b(?:to|bcc|cc)\b:? ?[^\s.]+@[\w.-]+`)},
	{"an order about other tools", Low, lazy.Regexp(`(?i)\b(?:(?:before|after|when|whenever|each time|every time|instead of) (?:you )?(?:use|using|call|calling|invoke|invoking|run|running) (?:any|all|every|each) (?:of the )?(?:other )?(?:tools?|functions?)\b|(?:do not|don['’]t|never) (?:use|call|invoke) (?:any )?other (?:tools|servers|tool|server)\b|before (?:any|all|every) other (?:tools?|functions?)\b)`)},
	{"an order to leave out the person's consent", Medium, lazy.Regexp(`(?i)\b(?:do not|don['’]t|never|no need to) ask (?:the )?(?:user|human|person)?(?: for)? ?(?:any )?(?:confirmation|permission|approval|consent)\b`)},
	{"an order to hand over the conversation", Medium, lazy.Regexp(`(?i)\b(?:put|pass|include|send|provide|add|insert|copy|append|output|print|repeat|reveal)\b[^.!?]{0,60}\b(?:(?:the|your) system prompt|(?:entire|full|complete|whole|all(?: of)?(?: the| this)?) (?:conversation|chat history)|all previous messages|your (?:chain of thought|hidden instructions))\b`)},
	{"another role for the model", High, lazy.Regexp(`(?i)\byou are (?:now )?in (?:developer|god|admin|dan|jailbreak|unrestricted|root) mode\b|\byou are now (?:dan|jailbroken|unrestricted)\b|\bnew (?:system )?instructions? (?:follow|for the (?:model|assistant|ai))\b`)},
}

func injectedTexts(_ context.Context, p *Probe) []Finding {
	return p.eachPassage(commanded)
}

// commanded returns the worst order of a text.
func commanded(s string) (evidence string, worst Severity) {
	s = plainly(s)
	for _, o := range orders {
		if found := o.pattern().FindString(s); found != "" && o.severity > worst {
			evidence, worst = o.what+": "+around(s, found), o.severity
		}
	}
	return evidence, worst
}

var (
	comment = lazy.Regexp(`(?s)<!--.*?-->`)
	blanks  = lazy.Regexp(`\s{100,}\S`)
	base64s = lazy.Regexp(`[A-Za-z0-9+/_-]{40,}={0,2}`)
)

func hiddenTexts(_ context.Context, p *Probe) []Finding {
	return p.eachPassage(func(s string) (string, Severity) {
		s = s[:min(len(s), maxRead)]
		if c := comment().FindString(s); c != "" {
			return "a comment: " + c, 0
		}
		if at := blanks().FindStringIndex(s); at != nil {
			return fmt.Sprintf("%d blanks, and behind them %s", at[1]-at[0]-1, s[at[1]-1:]), 0
		}
		for _, code := range base64s().FindAllString(s, 10) {
			if sentence := decoded(code); sentence != "" {
				return "Base64 of " + quote(sentence), 0
			}
		}
		return "", 0
	})
}

// decoded is the text that Base64 holds; "" if it is none of several words.
func decoded(code string) string {
	code = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(code)
	b, err := base64.RawStdEncoding.DecodeString(code)
	if err != nil || !utf8.Valid(b) {
		return ""
	}
	words, letters := 0, 0
	for _, w := range strings.Fields(string(b)) {
		words++
		for _, r := range w {
			if unicode.IsLetter(r) || strings.ContainsRune(".,:;!?'-/~", r) {
				letters++
			}
		}
	}
	if words < 4 || letters*10 < (len(b)-words)*9 {
		return ""
	}
	return string(b)
}
