package mcpsec

import (
	"bufio"
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
)

// An AuditLog is a [slog.Handler] that writes one JSON object a line, each with
// a sequence number, the hash of the line before and a hash of its own, so that
// [VerifyAuditLog] finds a record that was removed, edited or moved.
//
// Without a key, whoever can write the file can also compute all hashes anew,
// and whoever can shorten it can cut off its end: keep the [AuditHead] in another
// place, or use [OpenAuditLog] with a key. Records are written before Handle
// returns, without fsync. An AuditLog is safe for concurrent use.
type AuditLog struct {
	chain *chain
	json  slog.Handler // writes into chain.line, under its lock
}

// chain is the state that the derived handlers of one log share.
type chain struct {
	mu      sync.Mutex
	w       io.Writer
	sum     hash.Hash
	records uint64
	last    [2 * sha256.Size]byte // hash of the last record, in hex
	line    bytes.Buffer          // the record as slog writes it
	out     []byte                // the record with its place in the chain
	pending []byte                // the rest of a line of which the writer took a part
}

// An AuditHead names the state of an audit log: its number of records and the
// hash of the last one, in hex. Two logs with equal heads are equal.
type AuditHead struct {
	Records uint64
	Hash    string
}

var emptyHead = AuditHead{Hash: strings.Repeat("0", 2*sha256.Size)}

// NewAuditLog returns an audit log that starts a new chain on w. Do not use it
// on a file that holds records already: that is what [OpenAuditLog] is for.
func NewAuditLog(w io.Writer) *AuditLog {
	return newAuditLog(w, Secret{}, emptyHead)
}

// OpenAuditLog opens or creates the audit log in a file that only its owner can
// read, verifies it, and goes on with its chain. With a key, the hashes are
// HMAC-SHA-256 and cannot be made without it; the zero Secret means no key. The
// beginning of a record that a crash cut short was never acknowledged and is
// removed. Any other damage is an error, and the file stays as it is.
func OpenAuditLog(path string, key Secret) (*AuditLog, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening audit log: %w", err)
	}
	head, good, err := verify(f, key)
	if errors.Is(err, errTorn) {
		err = f.Truncate(good)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit log %s: %w", path, err), f.Close())
	}
	return newAuditLog(f, key, head), nil
}

func newAuditLog(w io.Writer, key Secret, head AuditHead) *AuditLog {
	c := &chain{w: w, sum: newSum(key), records: head.Records}
	copy(c.last[:], head.Hash)
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

// Handle implements [slog.Handler]. An error means that the record is not in
// the log. When the writer works again, later records join the chain.
func (l *AuditLog) Handle(ctx context.Context, r slog.Record) error {
	c := l.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.flush(); err != nil {
		return err
	}
	c.line.Reset()
	if err := l.json.Handle(ctx, r); err != nil {
		return fmt.Errorf("encoding audit record: %w", err)
	}
	return c.append(bytes.TrimSuffix(c.line.Bytes(), []byte("\n")))
}

// Head returns the log's state, to be kept where the log's writer cannot reach.
func (l *AuditLog) Head() AuditHead {
	l.chain.mu.Lock()
	defer l.chain.mu.Unlock()
	return AuditHead{l.chain.records, string(l.chain.last[:])}
}

// Close closes the writer if it can be closed.
func (l *AuditLog) Close() error {
	l.chain.mu.Lock()
	defer l.chain.mu.Unlock()
	if c, ok := l.chain.w.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// append writes {"seq":…,"prev":…,<object's members>,"hash":…}.
func (c *chain) append(object []byte) error {
	line := append(c.out[:0], `{"seq":`...)
	line = strconv.AppendUint(line, c.records+1, 10)
	line = append(append(line, `,"prev":"`...), c.last[:]...)
	line = append(append(line, `",`...), object[1:len(object)-1]...)
	cut := len(line)
	line = appendHash(append(line, hashMember...), c.sum, line)
	sum := line[cut+len(hashMember):]
	line = append(line, "\"}\n"...)
	c.out = line
	n, err := c.w.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if n > 0 { // a part is in the log: the chain goes through this record
		c.records++
		copy(c.last[:], sum)
	}
	if err != nil {
		if n > 0 {
			c.pending = bytes.Clone(line[n:])
		}
		return fmt.Errorf("writing audit record: %w", err)
	}
	return nil
}

// flush completes a line that was cut short by a failed write.
func (c *chain) flush() error {
	if len(c.pending) == 0 {
		return nil
	}
	n, err := c.w.Write(c.pending)
	c.pending = c.pending[n:]
	if err == nil && len(c.pending) > 0 {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("writing audit record: %w", err)
	}
	return nil
}

// appendHash appends the hash of text in hex.
func appendHash(b []byte, h hash.Hash, text []byte) []byte {
	h.Reset()
	h.Write(text)
	var sum [sha256.Size]byte
	return hex.AppendEncode(b, h.Sum(sum[:0]))
}

const (
	hashMember  = `,"hash":"`
	hashEnd     = len(hashMember) + 2*sha256.Size + len(`"}`)
	maxLogLine  = 1 << 20
	cutShort    = "the last record was cut short"
	notARecord  = "not a record of this log"
	wrongHash   = "it was edited, or the key is another"
	wrongPlace  = "a record before it was removed, added or moved"
	recordError = "audit record %d: %s"
)

var errTorn = errors.New(cutShort)

// VerifyAuditLog reads an audit log to its end and returns its head. The error
// names the first record that was edited, or before which one was removed,
// added or moved. key is the one the log was opened with, zero for none. A log
// that lost its last records still verifies: compare the head with one that was
// kept elsewhere.
func VerifyAuditLog(r io.Reader, key Secret) (AuditHead, error) {
	head, _, err := verify(r, key)
	return head, err
}

// verify also returns where the last good record ends.
func verify(r io.Reader, key Secret) (head AuditHead, good int64, err error) {
	head = emptyHead
	sum := newSum(key)
	br := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, err := br.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return head, good, nil
		case errors.Is(err, io.EOF):
			return head, good, fmt.Errorf("after record %d: %w", head.Records, errTorn)
		case err != nil:
			return head, good, fmt.Errorf(recordError+": %w", head.Records+1, notARecord, err)
		}
		next, fault := step(sum, head, line[:len(line)-1])
		if fault != "" {
			return head, good, fmt.Errorf(recordError, head.Records+1, fault)
		}
		head, good = next, good+int64(len(line))
	}
}

// step checks one line against the head before it.
func step(sum hash.Hash, head AuditHead, line []byte) (AuditHead, string) {
	cut := len(line) - hashEnd
	if cut < 0 || !bytes.HasPrefix(line[cut:], []byte(hashMember)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return head, notARecord
	}
	want := appendHash(nil, sum, line[:cut])
	if !hmac.Equal(want, line[cut+len(hashMember):len(line)-2]) {
		return head, wrongHash
	}
	start := fmt.Sprintf(`{"seq":%d,"prev":"%s",`, head.Records+1, head.Hash)
	if !bytes.HasPrefix(line, []byte(start)) {
		return head, wrongPlace
	}
	return AuditHead{head.Records + 1, string(want)}, ""
}
