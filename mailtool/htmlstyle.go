package mailtool

import (
	"regexp"
	"strconv"
	"strings"
)

// A form reports whether a value, in lower case, is one that shows what it is given: a
// person is asked about the text, and nothing may hide some of it from the recipient,
// or hold more of it than the person sees.
type form func(string) bool

func like(pattern string) form { return regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString }

const (
	family  = `(-apple-system|arial|blinkmacsystemfont|calibri|cambria|consolas|courier|courier new|garamond|georgia|helvetica|helvetica neue|lato|menlo|monaco|monospace|open sans|palatino|roboto|sans-serif|segoe ui|serif|system-ui|tahoma|times|times new roman|trebuchet ms|ubuntu|verdana)`
	length  = `(0|auto|[0-9]{1,2}(px|pt)|[0-3](\.[0-9]{1,2})?em)`
	lengths = length + `( ` + length + `){0,3}`
	fonts   = `["']?` + family + `["']?( ?, ?["']?` + family + `["']?){0,7}`
	edge    = `0|none|[0-9]{1,2}px( (solid|dashed|dotted|double)( (#[0-9a-f]{3}|#[0-9a-f]{6}|[a-z]{3,12}))?)?`
)

// values are the attributes.
var values = map[string]form{
	"align": like(`[a-z]{1,10}`), "valign": like(`[a-z]{1,10}`), "role": like(`presentation|none|table|heading|list|listitem`), "dir": like(`ltr|rtl|auto`), "lang": like(`[a-z]{2,3}(-[a-z0-9]{2,8}){0,2}`),
	"border": like(`[0-9]{1,2}`), "cellpadding": like(`[0-9]{1,2}`), "cellspacing": like(`[0-9]{1,2}`), "colspan": like(`[0-9]{1,3}`), "height": like(`[0-9]{1,3}(px|%)?`), "width": like(`[0-9]{1,4}(px|%)?`), "start": like(`[0-9]{1,6}`),
	"size": like(`[+-]?[1-7]`), "face": like(fonts), "color": dark, "bgcolor": light, "style": nil, "href": nil, "title": nil,
}

// lettering are the styles of any element. There is none that hides, moves, covers or
// shrinks a text, or fetches anything.
var lettering = map[string]form{
	"color": dark, "font-family": like(fonts), "font-size": like(`(1[1-9]|[2-9][0-9])(\.[0-9]{1,2})?px|(9|[1-9][0-9])(\.[0-9]{1,2})?pt`), "font-style": like(`normal|italic`), "font-weight": like(`normal|bold|[1-9]00`), "text-decoration": like(`none|underline`),
}

// boxes are the styles of elements that are not within a line: there, padding, borders
// and backgrounds cover what is above, and narrow boxes what is beside. So does a line
// that is lower than its letters.
var boxes = map[string]form{
	"background": light, "background-color": light, "line-height": like(`normal|1\.[2-9][0-9]?|[23](\.[0-9]{1,2})?`), "list-style-type": like(`[a-z-]{1,20}`), "text-align": like(`left|right|center|justify|start|end`),
	"vertical-align": like(`top|middle|bottom|baseline`), "white-space": like(`normal|pre-wrap|pre-line`), "width": like(`auto|` + wide), "max-width": like(`none|` + wide),
	"border": like(edge), "border-top": like(edge), "border-right": like(edge), "border-bottom": like(edge), "border-left": like(edge), "border-collapse": like(`collapse|separate`), "border-radius": like(length), "border-spacing": like(length),
	"margin": like(lengths), "margin-top": like(length), "margin-right": like(length), "margin-bottom": like(length), "margin-left": like(length),
	"padding": like(lengths), "padding-top": like(length), "padding-right": like(length), "padding-bottom": like(length), "padding-left": like(length),
}

const wide = `100%|[1-9][0-9]{2,3}px`

// style reads the styles of an element, which is of a line or not.
func style(s string, inline bool) bool {
	for declaration := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(declaration, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		form := lettering[name]
		if form == nil && !inline {
			form = boxes[name]
		}
		if strings.TrimSpace(declaration) != "" && (form == nil || !form(value)) {
			return false
		}
	}
	return true
}

var colours = map[string]string{"black": "#000", "blue": "#00f", "green": "#008000", "maroon": "#800000", "navy": "#000080", "purple": "#800080", "red": "#f00", "white": "#fff"}

// Each text is dark and each background light, so that none is white on white,
// whatever is in what.
func dark(s string) bool  { l, ok := luma(s); return ok && l <= 140 }
func light(s string) bool { l, ok := luma(s); return ok && l >= 215 }

// luma is how light a colour is, of 255 (ITU-R BT.709).
func luma(s string) (int64, bool) {
	if named, ok := colours[s]; ok {
		s = named
	}
	if len(s) == 4 {
		s = "#" + s[1:2] + s[1:2] + s[2:3] + s[2:3] + s[3:] + s[3:]
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 16, 24)
	r, g, b := int64(n>>16), int64(n>>8&255), int64(n&255)
	return (2126*r + 7152*g + 722*b) / 10_000, err == nil && len(s) == 7 && s[0] == '#'
}
