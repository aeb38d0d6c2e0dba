// Package suppress keeps the addresses that get no mail any more: because mail to them
// came back, or because their owners complained or want none.
//
//	list := suppress.New(store) // a pgstate.Store, which replicas share
//	mc, err := mailtool.New(mailtool.Options{
//		Suppressed: mailtool.Suppressed(list),
//		// …
//	})
//
// # What it protects, and from whom
//
// It protects people from mail that they have refused, and a sender's reputation, from
// a caller who sends to whomever it is told to. What is on a list stays on it until it
// is removed: a later and lesser reason does not replace a complaint, a full list
// refuses a new address rather than forget one, and an error means that nothing is
// known, so that nothing is sent.
//
// # What it does not protect
//
// Addresses are in it as they are, in memory and in a database: whoever reads it reads
// them.
package suppress

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A Reason says why an address gets no mail.
type Reason string

// The reasons, from the least to the one that weighs most: a Store keeps for an
// address the one that weighs more, and of two the same, the first.
const (
	Bounces     Reason = "bounces"     // mail came back for now, several times
	Manual      Reason = "manual"      // somebody who runs the server wants it so
	HardBounce  Reason = "hard_bounce" // there is no such mailbox
	Unsubscribe Reason = "unsubscribe" // its owner wants no mail
	Complaint   Reason = "complaint"   // its owner called mail spam
)

// weights also says which reasons there are.
var weights = map[Reason]int{Bounces: 1, Manual: 2, HardBounce: 3, Unsubscribe: 4, Complaint: 5}

// Weight returns 1 to 5, the more the worse, and 0 for what is no reason.
func (r Reason) Weight() int { return weights[r] }

// An Entry is one address that gets no mail.
type Entry struct {
	// Address is one bare mailbox in lower case, with its domain in ASCII: as
	// mailtool has it in envelopes. At most 254 bytes, without spaces and
	// non-ASCII characters.
	Address string `json:"address"`
	Reason  Reason `json:"reason"`
	// Time is when it happened, to the microsecond.
	Time time.Time `json:"time"`
	// Source is who said so, as in "postmark" or "tool"; at most 200 bytes of
	// printable UTF-8, not empty.
	Source string `json:"source"`
	// Detail is the source's own code for it, or a note; at most 200 bytes of
	// printable UTF-8. It may be empty.
	Detail string `json:"detail,omitempty"`
}

// MaxList is how many entries one List may return.
const MaxList = 1000

// A Store is a list of suppressions. An error means that nothing is known: nothing may
// be sent on the strength of it. Implementations are safe for concurrent use, and
// refuse entries and addresses that [Entry.Check] refuses. They compare addresses byte
// by byte.
type Store interface {
	// Add suppresses an address, and reports whether that changed anything. An
	// address that is there keeps its entry, unless the new reason weighs more.
	Add(ctx context.Context, e Entry) (bool, error)
	// Remove lets an address get mail again that gets none for just that reason,
	// and reports whether it does now. With another reason it stays: whoever
	// decided to remove it did not know of that one.
	Remove(ctx context.Context, address string, r Reason) (bool, error)
	// Check returns the entry of an address, and whether there is one.
	Check(ctx context.Context, address string) (Entry, bool, error)
	// List returns up to n entries, of 1 to [MaxList], with addresses greater than
	// after, in the order of their bytes.
	List(ctx context.Context, after string, n int) ([]Entry, error)
}

// Check refuses what no Store keeps. Its errors hold nothing of the entry.
func (e Entry) Check() error {
	switch {
	case CheckAddress(e.Address) != nil:
		return CheckAddress(e.Address)
	case e.Reason.Weight() == 0:
		return errors.New("the reason is none that there is")
	case e.Time.Year() < 1970 || e.Time.Year() > 9999:
		return errors.New("the time is missing, or none that can be")
	case e.Source == "" || !printable(e.Source) || !printable(e.Detail):
		return errors.New("source and detail must be up to 200 bytes of printable UTF-8, and the source not empty")
	}
	return nil
}

// CheckAddress refuses what cannot be a mailbox in the form that a Store keeps. It does
// not judge any further: see mailtool's parser.
func CheckAddress(a string) error {
	local, domain, ok := strings.Cut(a, "@")
	if !ok || local == "" || domain == "" || len(a) > 254 || strings.Contains(domain, "@") {
		return errors.New("an address must be one bare mailbox of at most 254 bytes")
	}
	for _, c := range []byte(a) {
		if c <= ' ' || c > '~' || c >= 'A' && c <= 'Z' {
			return errors.New("an address must be in lower case, and its domain in ASCII")
		}
	}
	return nil
}

// CheckList refuses what cannot be asked of List.
func CheckList(after string, n int) error {
	if n < 1 || n > MaxList {
		return fmt.Errorf("a list has 1 to %d entries", MaxList)
	}
	if len(after) > 254 || !utf8.ValidString(after) || strings.ContainsRune(after, 0) {
		return errors.New("a list begins after an address")
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return false
		}
	}
	return len(s) <= 200 && utf8.ValidString(s)
}
