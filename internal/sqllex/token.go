package sqllex

// Kind says what a token is.
type Kind uint8

const (
	// Word is a keyword or an identifier without quotes.
	Word Kind = iota + 1
	// QuotedWord is an identifier in double quotes. It is never a keyword.
	QuotedWord
	// UnicodeWord is a U&"…" identifier, with its UESCAPE clause if any.
	UnicodeWord
	// String is a character literal in any of its forms: '…', E'…', N'…',
	// U&'…' with its UESCAPE clause if any, and dollar quotes. Parts joined
	// across lines are one literal.
	String
	// Bits is a B'…' or X'…' literal.
	Bits
	// Number is a numeric literal. The sign is an operator of its own.
	Number
	// Param is $1 and so on.
	Param
	// Operator is a run of operator characters.
	Operator
	// Punct is one of ( ) [ ] , ; : . and :: := .. =>
	Punct
)

// Limits of the server and of this package.
const (
	// MaxName is the length in bytes beyond which the server cuts a name.
	MaxName = 63
	// MaxTokens is how many tokens Scan returns at most.
	MaxTokens = 50_000
	// maxParam is the highest parameter number the protocol can carry.
	maxParam = 65_535
)

// A Token is one lexical unit of the text.
type Token struct {
	Kind Kind
	// Pos is the byte offset of Text.
	Pos int
	// Text is the token as written.
	Text string
	// Value is what the server makes of Text: a word folded to lower case, a
	// quoted name or literal without quotes and escapes, names cut to MaxName
	// bytes, != as <>. Bit strings begin with b or x. Others are as written.
	Value string
	// Cut tells that Value lost bytes to the limit on names.
	Cut bool
}

// End returns the byte offset just after the token.
func (t Token) End() int { return t.Pos + len(t.Text) }

// Is tells whether the token is the punctuation p.
func (t Token) Is(p string) bool { return t.Kind == Punct && t.Text == p }

// A Reason is why a text cannot be read. It never holds a piece of the text.
type Reason string

// The reasons.
const (
	BadEncoding         Reason = "not valid UTF-8, or a zero byte"
	BadCharacter        Reason = "a character that has no meaning in SQL"
	BadNumber           Reason = "a number with something attached to it"
	BadParam            Reason = "a malformed parameter"
	BadEscape           Reason = "an escape sequence that is not valid"
	BadDollar           Reason = "a lone dollar sign"
	EmptyName           Reason = "an empty quoted identifier"
	LongOperator        Reason = "too many operator characters in a row"
	TooManyTokens       Reason = "too many tokens"
	UnterminatedString  Reason = "a string without its closing quote"
	UnterminatedName    Reason = "a quoted identifier without its closing quote"
	UnterminatedComment Reason = "a comment without its end"
)

// Error tells why and where a text cannot be read.
type Error struct {
	Reason Reason
	// Pos is the byte offset where the unreadable token begins.
	Pos int
}

func (e *Error) Error() string { return string(e.Reason) }
