package mailtool

import "errors"

// A Message is what is sent. From is the operator's. To is required, and Text;
// everything else may be empty.
//
// Addresses are bare, as in ann@example.com: one a string, without names, comments,
// quotes or lists.
type Message struct {
	To, Cc []string
	Bcc    []string // in the envelope only; needs Options.Bcc
	// ReplyTo is one of Options.ReplyTo.
	ReplyTo string
	Subject string // one line of at most 250 characters
	Text    string // plain text, for all readers
	// HTML is the same as Text for those who show it: without scripts, forms,
	// frames and styles from elsewhere, and with those styles only that hide
	// nothing. Elements within a line are closed in the order they were opened.
	HTML string
	// InReplyTo and References are Message-IDs, as in <id@example.com>.
	InReplyTo   string
	References  []string
	Attachments []Attachment
	// Unsubscribe is an https URL that List-Unsubscribe names, for one click
	// (RFC 8058). No tool takes it from a caller.
	Unsubscribe string
}

// An Attachment is a file that goes with a message. What it may be, its name's ending
// says, which must be one of Options.Attachments: by default .csv .docx .gif .jpeg
// .jpg .json .md .odp .ods .odt .pdf .png .pptx .txt .webp and .xlsx. The content must
// be what the ending says.
type Attachment struct {
	// Name is what the recipient sees: without directories, hidden characters and
	// a second ending that is a program's.
	Name string
	// Content is the file. Without, it is the one that Options.Files has by that
	// name.
	Content []byte
}

// A Receipt tells what became of a message.
type Receipt struct {
	// MessageID names the message in logs, here and at the servers that it passes.
	MessageID string `json:"message_id"`
	// Status is "sent", when the server has taken the message for all recipients,
	// or "unknown".
	Status string `json:"status"`
	// Recipients is how many there are, and RecipientsHash the SHA-256 of their
	// addresses, as in the log.
	Recipients     int    `json:"recipients"`
	RecipientsHash string `json:"recipients_hash"`
	// Digest is the SHA-256 of envelope and message, as a person has confirmed it:
	// without the lines that are the moment's, Date, Message-ID and signatures.
	Digest string `json:"digest"`
}

// ErrUnknown says that a message was handed over and no answer came: it may have been
// sent. It is not sent again.
var ErrUnknown = errors.New("it is not known whether the message was sent")
