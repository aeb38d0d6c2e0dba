package mcpsec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/racing"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func record(l *mcpsec.AuditLog, texts ...string) {
	for _, s := range texts {
		slog.New(l).Info(s, "n", len(s))
	}
}

func TestVerifyAuditLog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	l := mcpsec.NewAuditLog(&b)
	record(l, "one", "two \"quoted\" \n line", "three", "four")
	good := strings.SplitAfter(b.String(), "\n")[:4]
	join := func(lines ...string) string { return strings.Join(lines, "") }
	other := func() string {
		var b bytes.Buffer
		record(mcpsec.NewAuditLog(&b), "another", "log")
		return b.String()
	}()
	for name, tc := range map[string]struct{ log, want string }{
		"intact":           {join(good...), ""},
		"empty":            {"", ""},
		"first removed":    {join(good[1:]...), "audit record 1: a record before it was removed"},
		"middle removed":   {join(good[0], good[1], good[3]), "audit record 3: a record before it was removed"},
		"reordered":        {join(good[0], good[2], good[1], good[3]), "audit record 2: a record before it was removed"},
		"repeated":         {join(good[0], good[0]), "audit record 2: a record before it was removed"},
		"edited":           {strings.Replace(join(good...), "three", "thre3", 1), "audit record 3: it was edited"},
		"edited last":      {strings.Replace(join(good...), "four", "f0ur", 1), "audit record 4: it was edited"},
		"edited time":      {strings.Replace(join(good...), `"time":"2`, `"time":"3`, 1), "audit record 1: it was edited"},
		"edited number":    {strings.Replace(join(good...), `"seq":2`, `"seq":9`, 1), "audit record 2: it was edited"},
		"edited hash":      {strings.Replace(join(good...), `"hash":"`, `"hash":"0`, 1), "audit record 1: not a record"},
		"added space":      {strings.Replace(join(good...), `,"level"`, `, "level"`, 1), "audit record 1: it was edited"},
		"foreign line":     {join(good[0], "hello\n", good[1]), "audit record 2: not a record"},
		"another log":      {join(good...) + other, "audit record 5: a record before it was removed"},
		"blank line":       {join(good[0], "\n", good[1]), "audit record 2: not a record"},
		"cut short":        {join(good[0], good[1][:20]), "after record 1: the last record was cut short"},
		"another cut":      {join(good[0], good[2][:20]), "audit record 2: not a record"},
		"newline missing":  {strings.TrimSuffix(join(good...), "\n"), "audit record 4: the newline after the last record is missing"},
		"member after":     {strings.Replace(join(good...), "\"}\n", "\",\"x\":1}\n", 1), "audit record 1: not a record"},
		"carriage returns": {strings.ReplaceAll(join(good...), "\n", "\r\n"), "audit record 1: not a record"},
	} {
		head, err := mcpsec.VerifyAuditLog(strings.NewReader(tc.log), mcpsec.Secret{})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)):
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		case name == "intact" && head != l.Head():
			t.Errorf("%s: got head %v, want %v", name, head, l.Head())
		}
	}
	// What no chain can see, the head does.
	if head, err := mcpsec.VerifyAuditLog(strings.NewReader(join(good[:3]...)), mcpsec.Secret{}); err != nil || head == l.Head() {
		t.Errorf("a log without its end: %v, %v", head, err)
	}
}

// tornWriter takes a part of each write that fails, and has room again after.
type tornWriter struct {
	bytes.Buffer
	take []int // what the next writes take; -1 and after the last: everything
}

func (w *tornWriter) Write(p []byte) (int, error) {
	if len(w.take) == 0 {
		return w.Buffer.Write(p)
	}
	take := w.take[0]
	w.take = w.take[1:]
	if take < 0 {
		return w.Buffer.Write(p)
	}
	n, _ := w.Buffer.Write(p[:min(take, len(p))])
	return n, errors.New("no space left")
}

// A write that fails, even half-way, is an error; the chain stays whole; and no
// reader takes the record for one that was acknowledged.
func TestAuditLogSurvivesAFailedWrite(t *testing.T) {
	t.Parallel()
	const all = 10_000 // the writer takes the line and fails all the same
	for _, tc := range []struct {
		take           []int
		failed, stored string
	}{
		{[]int{-1, 0}, "b", "a c d"},
		{[]int{-1, 1}, "b", "a b withdrawn:2 c d"},
		{[]int{-1, 50}, "b", "a b withdrawn:2 c d"},
		{[]int{-1, all}, "b", "a b withdrawn:2 c d"},
		{[]int{1}, "a", "a withdrawn:1 b c d"},
		{[]int{-1, 1, 0}, "b c", "a b withdrawn:2 d"},
		{[]int{-1, 1, 50}, "b c", "a b withdrawn:2 d"},  // within the line that is owed
		{[]int{-1, 1, 300}, "b c", "a b withdrawn:2 d"}, // within the withdrawal
		{[]int{-1, 1, -1, 1}, "b c", "a b withdrawn:2 c withdrawn:4 d"},
		{[]int{-1, -1, -1, 1}, "d", "a b c d withdrawn:4"}, // by Close
	} {
		w := &tornWriter{take: tc.take}
		l := mcpsec.NewAuditLog(w)
		var failed []string
		for _, m := range []string{"a", "b", "c", "d"} {
			if err := l.Handle(t.Context(), slog.Record{Message: m}); err != nil {
				failed = append(failed, m)
			}
			whole := strings.SplitAfter(w.String(), "\n")
			whole = whole[:min(l.Head().Records, uint64(len(whole)))]
			if head, err := mcpsec.VerifyAuditLog(strings.NewReader(strings.Join(whole, "")), mcpsec.Secret{}); err != nil || head != l.Head() {
				t.Errorf("take %v: after %s, the head is %v, the log's %v, %v", tc.take, m, l.Head(), head, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Errorf("take %v: closing: %v", tc.take, err)
		}
		head, err := mcpsec.VerifyAuditLog(bytes.NewReader(w.Bytes()), mcpsec.Secret{})
		if err != nil || head != l.Head() {
			t.Errorf("take %v: %v, got head %v, want %v", tc.take, err, head, l.Head())
		}
		if got := strings.Join(failed, " "); got != tc.failed {
			t.Errorf("take %v: %q failed, want %q", tc.take, got, tc.failed)
		}
		if got := messages(t, w.Bytes()); got != tc.stored {
			t.Errorf("take %v: got %q, want %q", tc.take, got, tc.stored)
		}
	}
}

// messages lists the records of a log.
func messages(t *testing.T, log []byte) string {
	t.Helper()
	var out []string
	for line := range bytes.Lines(log) {
		var r struct {
			Msg       string
			Withdrawn int `json:"seq_withdrawn"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if r.Withdrawn > 0 {
			r.Msg += fmt.Sprintf(":%d", r.Withdrawn)
		}
		out = append(out, r.Msg)
	}
	return strings.Join(out, " ")
}

// What could not be verified is not written, and the chain goes on without it.
func TestOversizedRecordIsRefused(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	l := mcpsec.NewAuditLog(&b)
	refused, longest := 0, 0
	for _, n := range []int{1, 1<<20 - 400, 1<<20 - 300, 1<<20 - 200, 1 << 20, 1 << 21, 2} {
		before := b.Len()
		err := l.Handle(t.Context(), slog.Record{Message: strings.Repeat("m", n)})
		if err != nil {
			refused++
		}
		if (err != nil) != (b.Len() == before) {
			t.Errorf("message of %d bytes: error %v, %d bytes written", n, err, b.Len()-before)
		}
		longest = max(longest, b.Len()-before)
	}
	head, err := mcpsec.VerifyAuditLog(bytes.NewReader(b.Bytes()), mcpsec.Secret{})
	if err != nil || head != l.Head() || refused != 3 || longest < 1<<20-400 {
		t.Errorf("got %v, %v, want %v; %d refused, longest line %d", head, err, l.Head(), refused, longest)
	}
}

// closer counts how often it was closed.
type closer struct {
	bytes.Buffer
	closed int
}

func (c *closer) Close() error {
	c.closed++
	return nil
}

func TestClosedAuditLog(t *testing.T) {
	t.Parallel()
	w := &closer{}
	l := mcpsec.NewAuditLog(w)
	record(l, "one")
	want := w.String()
	derived := l.WithGroup("g")
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	for _, h := range []slog.Handler{l, derived} {
		if err := h.Handle(t.Context(), slog.Record{Message: "two"}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: got %v, want %v", err, os.ErrClosed)
		}
	}
	if w.closed != 1 || w.String() != want {
		t.Errorf("closed %d times, got %q, want %q", w.closed, w.String(), want)
	}
}

func TestAuditLogIsConcurrent(t *testing.T) {
	t.Parallel()
	var b mcptest.Buffer
	l := mcpsec.NewAuditLog(&b)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { record(l, strings.Split(strings.Repeat("x ", 50), " ")...) })
	}
	wg.Wait()
	if head, err := mcpsec.VerifyAuditLog(strings.NewReader(b.String()), mcpsec.Secret{}); err != nil || head.Records != 8*51 {
		t.Errorf("got %v, %v", head, err)
	}
}

func TestAuditLogIsAHandler(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return mcpsec.NewAuditLog(&b)
	}, func(t *testing.T) map[string]any {
		var m map[string]any
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}

func FuzzVerifyAuditLog(f *testing.F) {
	var b bytes.Buffer
	record(mcpsec.NewAuditLog(&b), "one", "two", "three")
	good := b.String()
	f.Add(uint(10), byte('x'))
	f.Add(uint(len(good)-3), byte('"'))
	f.Fuzz(func(t *testing.T, at uint, c byte) {
		edited := []byte(good)
		i := at % uint(len(edited))
		if edited[i] == c {
			return
		}
		edited[i] = c
		head, err := mcpsec.VerifyAuditLog(bytes.NewReader(edited), mcpsec.Secret{})
		if err == nil && head.Records == 3 {
			t.Errorf("byte %d changed to %q unseen", i, c)
		}
	})
}

// A record costs no allocation, however many attributes it has.
func TestAuditLogAllocatesNothing(t *testing.T) { // not parallel: it counts
	if racing.Enabled {
		t.Skip("the race detector throws away slog's buffers at random")
	}
	l := mcpsec.NewAuditLog(io.Discard)
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "decision", 0)
	for _, k := range strings.Split("abcdefgh", "") {
		r.AddAttrs(slog.String(k, "value "+k))
	}
	ctx := t.Context()
	got := testing.AllocsPerRun(200, func() {
		if err := l.Handle(ctx, r); err != nil {
			t.Error(err)
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
