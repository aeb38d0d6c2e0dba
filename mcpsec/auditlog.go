package mcpsec

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An AuditLog is a [slog.Handler] that writes one JSON object a line, each with
// a sequence number, the hash of the line before and a hash of its own, so that
// [VerifyAuditLog] finds a record that was removed, edited or moved.
//
// Without a key, whoever can write the file can also compute all hashes anew:
// [OpenAuditLog] takes one. With or without, whoever can shorten the file can cut
// off its end: only an [AuditHead] that is kept in another place shows that.
// Records are written before Handle returns, so that they outlive the process;
// [AuditLog.SyncEvery] makes them outlive the machine. An AuditLog is safe for
// concurrent use.
//
// A record that Handle returned an error for is not in the log, or it is
// followed by one with the message "withdrawn" and its number in seq_withdrawn:
// a writer that fails may have taken a part of the line, and what it took cannot
// be taken back. See [AuditLog.Handle].
type AuditLog struct {
	chain *chain
	json  slog.Handler // writes into chain.line, under its lock
}

// chain is the state that the derived handlers of one log share.
type chain struct {
	mu      sync.Mutex
	w       io.Writer
	sum     hash.Hash
	end     place
	line    bytes.Buffer // the record as slog writes it
	out     []byte       // the record with its place in the chain
	pending []byte       // what a failed write owes to the log
	before  place        // the last whole record before pending
	closed  bool
	disk    *disk // nil without SyncEvery
}

// A place in a chain is a record's number and its hash, in hex.
type place struct {
	records uint64
	hash    [2 * sha256.Size]byte
}

const (
	hashMember = `,"hash":"`
	maxLogLine = 1 << 20
	maxRecord  = maxLogLine - 256 // as slog writes it, without its place in the chain
)

// An AuditHead names the state of an audit log: its number of records and the
// hash of the last one, in hex. Two logs with equal heads are equal.
type AuditHead struct {
	Records uint64
	Hash    string
}

var emptyHead = AuditHead{Hash: strings.Repeat("0", 2*sha256.Size)}

// NewAuditLog returns an audit log that starts a new chain on w. The writer must
// be the log's own: whatever else is written there breaks the chain, and so does
// a second log. Do not use it on a file that holds records already: that is what
// [OpenAuditLog] is for.
func NewAuditLog(w io.Writer) *AuditLog {
	return newAuditLog(w, Secret{}, emptyHead)
}

func newAuditLog(w io.Writer, key Secret, head AuditHead) *AuditLog {
	c := &chain{w: w, sum: newSum(key), end: place{records: head.Records}}
	copy(c.end.hash[:], head.Hash)
	return &AuditLog{chain: c, json: slog.NewJSONHandler(&c.line, nil)}
}

func newSum(key Secret) hash.Hash {
	if key.IsZero() {
		return sha256.New()
	}
	return hmac.New(sha256.New, []byte(key.Reveal()))
}

// Enabled implements [slog.Handler]: every level is recorded.
func (l *AuditLog) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements [slog.Handler].
func (l *AuditLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &AuditLog{chain: l.chain, json: l.json.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (l *AuditLog) WithGroup(name string) slog.Handler {
	return &AuditLog{chain: l.chain, json: l.json.WithGroup(name)}
}

// Handle implements [slog.Handler]. A record of more than 1 MiB is an error, as
// it is after Close.
//
// An error means that the record does not count. It is not in the log, unless
// the writer failed with a part of the line taken: then the line is completed
// before anything else is written, and a record "withdrawn" follows it. A
// process that ends before that leaves the beginning of a line, which
// [OpenAuditLog] removes, or a line that lacks its newline at most and so counts
// as a record. When the writer works again, later records join the chain.
func (l *AuditLog) Handle(ctx context.Context, r slog.Record) error {
	seq, err := l.write(ctx, r)
	if err != nil || l.chain.disk == nil {
		return err
	}
	return l.chain.commit(seq)
}

// write returns the number of the record that it has written.
func (l *AuditLog) write(ctx context.Context, r slog.Record) (uint64, error) {
	c := l.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, fmt.Errorf("writing audit record: %w", os.ErrClosed)
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	c.line.Reset()
	if err := l.json.Handle(ctx, r); err != nil {
		return 0, fmt.Errorf("encoding audit record: %w", err)
	}
	if n := c.line.Len(); n > maxRecord {
		c.line = bytes.Buffer{} // keeps no memory of that size
		return 0, fmt.Errorf("audit record of %d bytes: more than %d are not verified", n, maxRecord)
	}
	err := c.append(bytes.TrimSuffix(c.line.Bytes(), []byte("\n")))
	return c.end.records, err
}

// Head returns the log's state, to be kept where the log's writer cannot reach.
// After a failed write, this is the state before it, until a later one succeeds.
func (l *AuditLog) Head() AuditHead {
	l.chain.mu.Lock()
	defer l.chain.mu.Unlock()
	p := &l.chain.end
	if len(l.chain.pending) > 0 {
		p = &l.chain.before
	}
	return AuditHead{p.records, string(p.hash[:])}
}

// Close writes what a failed write left over, closes the writer if it can be
// closed, and with it gives up the lock of [OpenAuditLog]. Closing again does
// nothing.
func (l *AuditLog) Close() error {
	c := l.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	err := c.flush()
	if c.disk != nil {
		c.disk.stop()
		err = errors.Join(err, c.disk.sync())
	}
	if w, ok := c.w.(io.Closer); ok {
		err = errors.Join(err, w.Close())
	}
	return err
}

// append writes a record into the log.
func (c *chain) append(object []byte) error {
	c.out = c.link(c.out[:0], object)
	n, err := c.write(c.out)
	if n == 0 && err != nil {
		return err
	}
	before := c.end
	c.advance(c.out) // a part is in the log: the chain goes through this record
	if err != nil {
		seq := c.end.records
		c.pending = bytes.Clone(c.out[n:])
		c.withdraw(seq)
		c.before = before
	}
	return err
}

// link makes {"seq":…,"prev":…,<object's members>,"hash":…}, the chain's next
// line.
func (c *chain) link(line, object []byte) []byte {
	line = append(line, `{"seq":`...)
	line = strconv.AppendUint(line, c.end.records+1, 10)
	line = append(append(line, `,"prev":"`...), c.end.hash[:]...)
	line = append(append(line, `",`...), object[1:len(object)-1]...)
	line = appendHash(append(line, hashMember...), c.sum, line)
	return append(line, "\"}\n"...)
}

// advance moves the chain's end to a line that link made.
func (c *chain) advance(line []byte) {
	c.end.records++
	copy(c.end.hash[:], line[len(line)-len("\"}\n")-len(c.end.hash):])
}

// withdraw makes the log owe a record which says that the caller was told of the
// failure of another: a reader would believe that one.
func (c *chain) withdraw(seq uint64) {
	line := c.link(nil, fmt.Appendf(nil, `{"time":%q,"level":"ERROR","msg":"withdrawn","seq_withdrawn":%d}`,
		time.Now().Format(time.RFC3339Nano), seq))
	if len(c.pending) == 0 {
		c.before = c.end
	}
	c.pending = append(c.pending, line...)
	c.advance(line)
}

// flush writes what is owed.
func (c *chain) flush() error {
	if len(c.pending) == 0 {
		return nil
	}
	n, err := c.write(c.pending)
	c.pending = c.pending[n:]
	return err
}

// write returns how many bytes the writer took, all of them if there is no
// error.
func (c *chain) write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	n = max(0, min(n, len(b))) // a wrong number must not end the log in a panic
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return n, fmt.Errorf("writing audit record: %w", err)
	}
	return n, nil
}

// appendHash appends the hash of text in hex. The plain hash stands behind it for
// a moment, so that nothing is allocated.
func appendHash(b []byte, h hash.Hash, text []byte) []byte {
	h.Reset()
	h.Write(text)
	plain := len(b) + 2*sha256.Size
	b = h.Sum(append(b, make([]byte, 2*sha256.Size)...))
	hex.Encode(b[plain-2*sha256.Size:], b[plain:])
	return b[:plain]
}
