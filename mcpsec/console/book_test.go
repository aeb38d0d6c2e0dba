package console

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func rand32() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// line is a record of the log, now.
func line(members string) []byte {
	return fmt.Appendf(nil, `{"seq":1,"time":%q,%s}`, time.Now().Format(time.RFC3339Nano), members)
}

// What each record counts as.
func TestBookCounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		records []string
		want    string // of the page: tiles, and questions
	}{
		{[]string{`"msg":"decision","call":"1","decision":"allowed"`}, "ran 0 refused 0 failed 0 asked 0 yes 0 no 0"},
		{[]string{`"msg":"decision","call":"1","decision":"allowed"`, `"msg":"outcome","call":"1","outcome":"ok","micros":5`}, "ran 1 refused 0 failed 0 asked 0 yes 0 no 0"},
		{[]string{`"msg":"decision","call":"1","decision":"refused","rule":"rate","more":41`}, "ran 0 refused 42 failed 0 asked 0 yes 0 no 0"},
		{[]string{`"msg":"decision","call":"1","decision":"asked","way":"mrtr"`}, "ran 0 refused 0 failed 0 asked 1 yes 0 no 0"},
		{[]string{`"msg":"decision","call":"1","decision":"allowed","confirmed":"mrtr"`, `"msg":"outcome","call":"1","outcome":"ok"`}, "ran 1 refused 0 failed 0 asked 0 yes 1 no 0"},
		{[]string{`"msg":"decision","call":"1","decision":"refused","rule":"declined"`}, "ran 0 refused 1 failed 0 asked 0 yes 0 no 1"},
		{[]string{`"msg":"outcome","call":"1","outcome":"panicked","rule":"panic"`}, "ran 1 refused 0 failed 1 asked 0 yes 0 no 0"},
		{[]string{`"msg":"outcome","call":"1","outcome":"timeout"`, `"msg":"outcome","call":"1","outcome":"ok","late":true`}, "ran 1 refused 0 failed 1 asked 0 yes 0 no 0"},
		{[]string{`"msg":"outcome","call":"1","outcome":"refused","rule":"cap"`}, "ran 0 refused 1 failed 0 asked 0 yes 0 no 0"},
		{[]string{`"msg":"webhook failed","receiver":"stripe"`, `"msg":"something"`}, "ran 0 refused 0 failed 0 asked 0 yes 0 no 0"},
	} {
		b := newBook()
		for _, r := range tc.records {
			b.add(line(r))
		}
		v := b.view(query{span: time.Hour}, time.Now(), "")
		got := fmt.Sprintf("ran %s refused %s failed %s asked %d yes %d no %d", v.Tiles[0].Value, v.Tiles[1].Value, v.Tiles[2].Value, v.Asked, v.Yes, v.No)
		if got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.records, got, tc.want)
		}
	}
}

// However much is in the log, this much is kept.
func TestBookIsBounded(t *testing.T) {
	t.Parallel()
	b := newBook()
	for i := range maxEvents + 1000 {
		b.keep(event{at: int64(i)})
		if i < 3*maxNames {
			b.add(line(fmt.Sprintf(`"msg":"decision","call":"%d","decision":"allowed","tool":"t%[1]d","principal":"p%[1]d","rule":"r%[1]d"`, i)))
			b.add(line(fmt.Sprintf(`"msg":"decision","call":"%d","decision":"allowed"`, i+100_000)))
		}
	}
	if len(b.events) != maxEvents || b.oldest() != 1000 {
		t.Errorf("%d events are kept, from %d on", len(b.events), b.oldest())
	}
	for _, n := range []names{b.tools, b.callers, b.rule} {
		if len(n.text) != maxNames+1 || len(n.number) != maxNames {
			t.Errorf("%d names are kept", len(n.text))
		}
	}
	if len(b.pending) > maxPending {
		t.Errorf("%d calls are kept that run", len(b.pending))
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	tl := &tail{path: path}
	read := func(want ...string) {
		t.Helper()
		var got []string
		if err := tl.read(func(line []byte) { got = append(got, string(line)) }); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %.80q, want %.80q", got, want)
		}
	}
	write := func(flags int, text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flags, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
			f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tl.read(nil); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	if err := (&tail{path: filepath.Dir(path)}).read(nil); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a directory: got %v", err)
	}
	write(0, "one\ntw")
	read("one")
	read()
	write(os.O_APPEND, "o\nthree\n")
	read("two", "three")
	long := strings.Repeat("x", 300_000)
	write(os.O_APPEND, long+"\n"+strings.Repeat("y", 3*maxLine)+"\nfour\n")
	read(long, "four")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(0, "five\n")
	read("five")
	if tl.cut {
		t.Error("another file is no cut one")
	}
	write(os.O_TRUNC, "")
	read()
	if !tl.cut {
		t.Error("a cut is not noticed")
	}
}

func TestSpikes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		counts []int
		want   []int
	}{
		"nothing":           {nil, nil},
		"few":               {[]int{0, 0, 9, 0}, nil},
		"one":               {[]int{1, 2, 1, 0, 44, 1}, []int{4}},
		"a busy service":    {[]int{100, 120, 90, 110, 150, 105}, nil},
		"a spike of it":     {[]int{100, 120, 90, 110, 400, 105}, []int{4}},
		"a step stays":      {[]int{1, 1, 1, 50, 50, 50, 50}, nil},
		"the last one":      {[]int{1, 1, 1, 1, 30}, []int{4}},
		"a ragged one":      {[]int{0, 40, 0, 38, 0, 41, 0, 39}, nil},
		"after a long rest": {[]int{0, 0, 0, 0, 0, 10}, []int{5}},
	} {
		if got, _ := spikes(tc.counts); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"": true, "range=24h": true, "range=15m&tool=a%26b&caller=c": true,
		"range=2h": false, "range=": false, "x=1": false, "tool=a&tool=b": false, "tool=%zz": false,
		"tool=" + strings.Repeat("x", 300): false,
	} {
		q, err := parseQuery(raw)
		if (err == nil) != ok {
			t.Errorf("%s: got %v", raw, err)
		}
		if err == nil && raw != "" {
			if again, err := parseQuery(strings.TrimPrefix(q.link(func(*query) {}), "/?")); err != nil || again != q {
				t.Errorf("%s: its link leads to %+v, %v", raw, again, err)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		number(7): "7", number(1234): "1,234", number(1234567): "1,234,567",
		duration(0): "–", duration(321): "321 µs", duration(1500): "1.5 ms", duration(10_000_000): "10 s",
		short(90 * time.Second): "2 min", short(6 * time.Hour): "6 h", ago(time.Second): "now", ago(3 * time.Hour): "3 h ago",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Whatever is in a file, reading it ends, and what is shown is bounded.
func FuzzBook(f *testing.F) {
	f.Add([]byte(`{"seq":1,"msg":"decision","decision":"refused","tool":"t","more":4294967295}` + "\n"))
	f.Add([]byte(`{"msg":"outcome","micros":-1,"time":"0001-01-01T00:00:00Z"}` + "\n{\n\x00\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b := newBook()
		tl := &tail{}
		if err := tl.lines(strings.NewReader(string(text)), b.add, false); err != nil {
			t.Fatal(err)
		}
		if end := int64(strings.LastIndexByte(string(text), '\n') + 1); tl.offset != end {
			t.Errorf("read up to %d of %d", tl.offset, end)
		}
		v := b.view(query{span: time.Hour}, time.Now(), "")
		if strings.Contains(string(v.Calls+v.Latency), "NaN") || strings.Contains(string(v.Calls+v.Latency), "Inf") {
			t.Error("a number in a plot is none")
		}
		for _, n := range b.tools.text {
			if len(n) > 4*(maxName+1) {
				t.Errorf("a name has %d bytes", len(n))
			}
		}
	})
}

// A log of a hundred thousand records.
func BenchmarkRead(b *testing.B) {
	path := filepath.Join(b.TempDir(), "log")
	var text strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&text, `{"seq":%d,"prev":"%064d","time":"2026-11-26T20:00:00Z","level":"INFO","msg":"decision","call":"C%d","method":"tools/call","tool":"order_lookup","principal":"ada","effect":"read","arg_bytes":17,"args":"id=int","decision":"allowed","hash":"%064d"}`+"\n", 2*i+1, i, i, i)
		fmt.Fprintf(&text, `{"seq":%d,"prev":"%064d","time":"2026-11-26T20:00:00Z","level":"INFO","msg":"outcome","call":"C%d","tool":"order_lookup","micros":321,"outcome":"ok","result_bytes":43,"hash":"%064d"}`+"\n", 2*i+2, i, i, i)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		book := newBook()
		if err := (&tail{path: path}).read(book.add); err != nil {
			b.Fatal(err)
		}
	}
}

// The page of a full book.
func BenchmarkView(b *testing.B) {
	book := newBook()
	now := time.Now()
	for i := range maxEvents {
		book.keep(event{at: now.Add(-time.Duration(i) * time.Second / 100).UnixMilli(), micros: uint32(i), count: 1, kind: kind(i % 4)})
	}
	for b.Loop() {
		book.view(query{span: time.Hour}, now, "")
	}
}
