package mcpsec

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

const (
	hashEnd     = len(hashMember) + 2*sha256.Size + len(`"}`)
	notARecord  = "not a record of this log"
	wrongHash   = "it was edited, or the key is another"
	wrongPlace  = "a record before it was removed, added or moved"
	recordError = "audit record %d: %s"
)

var (
	errTorn    = errors.New("the last record was cut short")
	errUnended = errors.New("the newline after the last record is missing")
)

// VerifyAuditLog reads an audit log to its end and returns its head. The error
// names the first record that was edited, or before which one was removed,
// added or moved. key is the one the log was opened with, zero for none. A log
// that lost its last records still verifies: compare the head with one that was
// kept elsewhere.
func VerifyAuditLog(r io.Reader, key Secret) (AuditHead, error) {
	head, _, err := verify(r, key)
	return head, err
}

// verify also returns where the last whole line ends.
func verify(r io.Reader, key Secret) (head AuditHead, good int64, err error) {
	head = emptyHead
	sum := newSum(key)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLogLine)
	lines.Split(wholeLines)
	for lines.Scan() {
		line, ended := bytes.CutSuffix(lines.Bytes(), []byte("\n"))
		if !ended {
			head, err = tail(sum, head, line)
			return head, good, err
		}
		next, fault := step(sum, head, line)
		if fault != "" {
			return head, good, fmt.Errorf(recordError, head.Records+1, fault)
		}
		head, good = next, good+int64(len(line)+1)
	}
	if err := lines.Err(); err != nil {
		return head, good, fmt.Errorf(recordError+": %w", head.Records+1, notARecord, err)
	}
	return head, good, nil
}

// wholeLines splits at newlines, which stay, so that the last line tells whether it has
// one.
func wholeLines(data []byte, atEnd bool) (advance int, line []byte, err error) {
	if n := bytes.IndexByte(data, '\n'); n >= 0 {
		return n + 1, data[:n+1], nil
	}
	if atEnd && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
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
	if !bytes.HasPrefix(line, start(head)) {
		return head, wrongPlace
	}
	return AuditHead{head.Records + 1, string(want)}, ""
}

// tail tells what stands after the last newline, and the head with it. Only what
// begins as this log's next record would is taken for the rest of a crash: a
// file of anything else is not ours to shorten.
func tail(sum hash.Hash, head AuditHead, line []byte) (AuditHead, error) {
	if next, fault := step(sum, head, line); fault == "" {
		return next, fmt.Errorf("audit record %d: %w", next.Records, errUnended)
	}
	want := start(head)
	n := min(len(line), len(want))
	if !bytes.Equal(line[:n], want[:n]) {
		return head, fmt.Errorf(recordError, head.Records+1, notARecord)
	}
	return head, fmt.Errorf("after record %d: %w", head.Records, errTorn)
}

// start is how the record after head begins.
func start(head AuditHead) []byte {
	return fmt.Appendf(nil, `{"seq":%d,"prev":"%s",`, head.Records+1, head.Hash)
}
