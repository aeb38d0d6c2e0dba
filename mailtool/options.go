package mailtool

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/text"
	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Options configures a [Client]. Host, From and Recipients.Allow are required; the
// zero value of every other field is the safest useful setting.
type Options struct {
	// Host is the server that mail is handed to, as in smtp.example.com: its
	// certificate must be of this name. Required.
	Host string
	// Port is the server's. 465 begins with TLS at once; any other one begins in
	// the clear and must offer STARTTLS, before which nothing of use is said.
	// Defaults to 587.
	Port int
	// ImplicitTLS begins with TLS at once at another port than 465, too. Defaults
	// to false.
	ImplicitTLS bool
	// Username and Password are the account's at the server. They are sent after
	// TLS only, to this machine neither. Default to none: then there is no AUTH.
	Username string
	Password mcpsec.Secret
	// RootCAs are the authorities that the server's certificate may come from.
	// Defaults to the system's.
	RootCAs *x509.CertPool
	// From is the address that all mail is from, in the envelope and in the header,
	// as in orders@example.com. No argument changes it. Required.
	From string
	// FromName is shown beside From. Defaults to none.
	FromName string
	// ReplyTo are the addresses that a message may have its answers sent to.
	// Defaults to none: to From only.
	ReplyTo []string
	// Domain is what the server is greeted with and what Message-IDs end with, so
	// that the machine's own name is told to nobody. Defaults to From's domain.
	Domain string
	// Recipients says who may be written to, and how often. Required.
	Recipients Recipients
	// Bcc allows recipients that others do not see. They are in the envelope and
	// in no header. Defaults to false.
	Bcc bool
	// Attachments are the endings of the files that may be attached, as in ".pdf".
	// The content must be of that type. Programs, scripts and web pages cannot be
	// listed; in a listed ".zip" there may be what is listed or in the default,
	// and no archive. Defaults to documents, pictures, tables and plain text: see
	// [Attachment].
	Attachments []string
	// MaxAttachments is how many files a message may have. Defaults to 5.
	MaxAttachments int
	// MaxBytes is how large a message may be with all that is in it, as it is
	// sent. Defaults to 10 MiB.
	MaxBytes int
	// Files holds files that may be attached by their names, and nothing else. It
	// must stay open. Defaults to none: then files come as bytes.
	Files *os.Root
	// DKIM are the keys that sign all messages; one of RSA and one of Ed25519 may
	// be used together. Defaults to none: then the server has to sign.
	DKIM []DKIM
	// Suppressed is asked before each message whether an address must not be
	// written to: because mail to it came back, its owner complained or does not
	// want any. An error refuses the message. Addresses are as in the envelope,
	// lower case and with domains in ASCII. Defaults to nobody.
	Suppressed func(ctx context.Context, address string) (bool, error)
	// State is what replicas share: what was sent already, and what of the caps
	// was used. Defaults to this process's memory, which is forgotten with it.
	State state.Store
	// Queue keeps mail that is sent later, and what became of mail. Defaults to
	// none: then there are no tools for either.
	Queue Queue
	// MaxConns is how many connections there are at once. Defaults to 4.
	MaxConns int
	// Idle is how long a connection is kept for the next message. Defaults to 30
	// seconds.
	Idle time.Duration
	// Timeout is how long one message may take, connecting and retries included.
	// Defaults to 60 seconds.
	Timeout time.Duration
	// Log is told what is sent, by Message-ID, when Go code sends it, what keeps
	// [Client.RunQueue] from sending, and at the start what is waived. Its records are
	// redacted. Defaults to slog.Default().
	Log *slog.Logger
	// Waive switches protections off: insecure.PlaintextMail and
	// insecure.AnyRecipient apply here, others go on to the tools. Defaults to
	// none.
	Waive []mcpsec.Waiver
}

// A DKIM is a key that messages are signed with (RFC 6376). All fields are required.
type DKIM struct {
	Domain   string        // of From, or one above it
	Selector string        // the record is at <Selector>._domainkey.<Domain>
	Key      mcpsec.Secret // PEM: PKCS #8 or PKCS #1; RSA of 2048 bits or more, or Ed25519
}

func (o Options) withDefaults() (Options, error) {
	o.Port, o.MaxAttachments, o.MaxBytes, o.MaxConns = or(o.Port, 587), or(o.MaxAttachments, 5), or(o.MaxBytes, 10<<20), or(o.MaxConns, 4)
	o.Idle, o.Timeout = or(o.Idle, 30*time.Second), or(o.Timeout, time.Minute)
	o.ReplyTo, o.DKIM, o.Waive, o.Attachments = slices.Clone(o.ReplyTo), slices.Clone(o.DKIM), slices.Clone(o.Waive), slices.Clone(o.Attachments)
	if err := o.Queue.setDefaults(o.State); err != nil {
		return o, err
	}
	if o.State == nil {
		o.State = new(state.Memory)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Log = slog.New(redact.NewHandler(o.Log.Handler(), redact.New(redact.Options{Secrets: []mcpsec.Secret{o.Password}})))
	switch {
	case o.Port < 1 || o.Port > 65535:
		return o, errors.New("Options.Port must be 1 to 65535")
	case o.MaxAttachments < 1 || o.MaxAttachments > 50:
		return o, errors.New("Options.MaxAttachments must be 1 to 50")
	case o.MaxBytes < 4<<10 || o.MaxBytes > 50<<20:
		return o, errors.New("Options.MaxBytes must be 4 KiB to 50 MiB")
	case o.MaxConns < 1 || o.MaxConns > 100:
		return o, errors.New("Options.MaxConns must be 1 to 100")
	case o.Idle < time.Millisecond || o.Idle > 10*time.Minute:
		return o, errors.New("Options.Idle must be 1ms to 10m")
	case o.Timeout < time.Millisecond || o.Timeout > 10*time.Minute:
		return o, errors.New("Options.Timeout must be 1ms to 10m")
	}
	o.ImplicitTLS = o.ImplicitTLS || o.Port == 465
	return o, errors.Join(o.checkServer(), o.checkSender(), o.checkFiles())
}

func or[T int | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

var hostForm = lazy.Regexp(`^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$`)

// checkServer never quotes a credential.
func (o *Options) checkServer() error {
	plain := o.waived(waive.PlaintextMail)
	password := o.Password.Reveal()
	switch {
	case o.Host == "":
		return errors.New("Options.Host is required: the server that mail is handed to")
	case !hostForm().MatchString(o.Host):
		return errors.New("Options.Host must be a name or an IP address, without a port")
	case (o.Username == "") != (password == ""):
		return errors.New("Options.Username and Password must be given together, or neither")
	case !printable(o.Username, 320) || !printable(password, 1024):
		return errors.New("Options.Username and Password must be of visible characters: a line break or a NUL in them would be another command or another name")
	case plain && o.Username != "":
		return errors.New("Options.Username must be left out with insecure.PlaintextMail: a password is not sent in the clear, to this machine neither")
	case plain && o.ImplicitTLS:
		return errors.New("Options.Waive has insecure.PlaintextMail, and TLS is used: leave it out")
	}
	return nil
}

// printable reports whether s is UTF-8 of at most max bytes, without control and
// hidden characters.
func printable(s string, max int) bool {
	return len(s) <= max && utf8.ValidString(s) && text.FirstHidden(s) < 0 && !strings.ContainsAny(s, "\t\r\n")
}

func (o *Options) checkSender() error {
	if o.From == "" {
		return errors.New("Options.From is required: the address that all mail is from")
	}
	from, err := parseAddress(o.From)
	if err != nil {
		return fmt.Errorf("Options.From: %w", err)
	}
	o.From = from.String()
	if o.Domain == "" {
		o.Domain = from.domain
	}
	if o.Domain, err = parseDomain(o.Domain); err != nil {
		return fmt.Errorf("Options.Domain: %w", err)
	}
	if !printable(o.FromName, 100) || strings.Contains(o.FromName, "@") {
		return errors.New("Options.FromName must be at most 100 bytes of visible characters, and no address")
	}
	for i, r := range o.ReplyTo {
		a, err := parseAddress(r)
		if err != nil {
			return fmt.Errorf("Options.ReplyTo: %w", err)
		}
		o.ReplyTo[i] = a.String()
	}
	return nil
}

func (o *Options) waived(k waive.Kind) bool { return waive.Has(o.Waive, k) }

// warn tells what people who run the server should know.
func (o *Options) warn() {
	for _, w := range o.Waive {
		if w.Kind == waive.PlaintextMail || w.Kind == waive.AnyRecipient {
			o.Log.Warn("mailtool: a protection is waived", "waived", string(w.Kind), "reason", w.Reason)
		}
	}
}
