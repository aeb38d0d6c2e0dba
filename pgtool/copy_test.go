package pgtool

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func TestCopyToolsGolden(t *testing.T) {
	t.Parallel()
	o := writeOptions()
	o.Execute = true
	tools := []*mcpsec.Tool{ExportTool(&DB{o: o.Options}, FileOptions{}), ImportTool(offline(t, o), FileOptions{})}
	for _, tool := range WriteTools(offline(t, o)) {
		if tool.Name() == "pg_execute" {
			tools = append(tools, tool)
		}
	}
	mcptest.GoldenTools(t, "copytools.json", tools, 2_800)
	want := []mcpsec.Effect{mcpsec.Read, mcpsec.Write, mcpsec.Destroy}
	for i, tool := range tools {
		if tool.Effect() != want[i] {
			t.Errorf("%s: effect %v", tool.Name(), tool.Effect())
		}
	}
}

func TestFileOptions(t *testing.T) {
	t.Parallel()
	root := openRoot(t, t.TempDir())
	for name, f := range map[string]func(){
		"no URI":      func() { ExportTool(&DB{}, FileOptions{Root: root}) },
		"no slash":    func() { ExportTool(&DB{}, FileOptions{Root: root, URI: "exports:"}) },
		"MaxRows":     func() { ExportTool(&DB{}, FileOptions{MaxRows: -1}) },
		"MaxBytes":    func() { ExportTool(&DB{}, FileOptions{MaxBytes: -1}) },
		"MaxFiles":    func() { ExportTool(&DB{}, FileOptions{MaxFiles: -1}) },
		"import rows": func() { ImportTool(&Writer{}, FileOptions{MaxRows: 2_000_000}) },
		"import size": func() { ImportTool(&Writer{}, FileOptions{MaxBytes: 1 << 30}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// cells exports one column and returns the lines below its name.
func cellText(t testing.TB, raw bool, oid uint32, value []byte) string {
	t.Helper()
	d := &folder{FileOptions: FileOptions{MaxBytes: 1 << 30}}
	e := &exporter{form: forms["csv"], types: &types{}, raw: raw, out: spool{folder: d, keep: 1 << 20}}
	if err := e.begin([]field{{"a", 23}, {"b", oid}}); err != nil {
		t.Fatal(err)
	}
	if err := e.row([][]byte{[]byte("1"), value}); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(string(e.out.buf), "a,b\r\n1,")
}

func TestCSVCells(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"": `""`, "a": "a", "a b": "a b", " a": `" a"`, "a ": `"a "`, "a,b": `"a,b"`, `a"b`: `"a""b"`, "a\nb": "\"a\nb\"", "a\rb": "\"a\rb\"", "a;b": `"a;b"`, `\.`: `"\."`, `\N`: `\N`, "NULL": "NULL",
		"=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "\"'\tx\"", "\rx": "\"'\rx\"", "\nx": "\"'\nx\"", " =1": `"' =1"`, "\u00a0=1": "'\u00a0=1", "\u200b=1": "'\u200b=1", "\uFEFF=1": "'\uFEFF=1",
		"\uFF1D1": "'\uFF1D1", "\uFF0B1": "'\uFF0B1", "\uFF0D1": "'\uFF0D1", "\uFF201": "'\uFF201", "a=1": "a=1", `="x"`: `"'=""x"""`, "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "'=1": "'=1", "\x01=1": "'\x01=1",
	} {
		if got := cellText(t, false, 25, []byte(value)); got != want+"\r\n" {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
		if got := cellText(t, true, 25, []byte(value)); strings.Contains(got, "'") != strings.Contains(value, "'") {
			t.Errorf("raw %q: got %q", value, got)
		}
	}
	for _, oid := range []uint32{20, 21, 23, 700, 701, 790, 1186, 1700} {
		if got := cellText(t, false, oid, []byte("-1")); got != "-1\r\n" {
			t.Errorf("type %d: got %q", oid, got)
		}
	}
	if got := cellText(t, false, 25, nil); got != "\r\n" {
		t.Errorf("NULL: got %q", got)
	}
}

// FuzzCSV writes two cells and reads them again.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "a", `"`, "a,b", "\r\n", "\n", "\\.", " x ", "\uFEFF", "=1", "a;b"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var data []byte
		e := &exporter{raw: true, fields: []field{{"a", 25}, {"b", 25}, {"c", 25}}}
		data = e.cells([]byte("a,b,c\r\n"), [][]byte{[]byte(a), []byte(b), nil})
		s, err := readSheet("csv", data, 10)
		if err != nil {
			if strings.ToValidUTF8(a+b, "") == a+b && !strings.Contains(a+b, "\x00") {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if want := [][][]byte{{[]byte(a), []byte(b), nil}}; !reflect.DeepEqual(s.rows, want) {
			t.Errorf("%q became %q", want, s.rows)
		}
	})
}

// FuzzSheet reads texts of strangers. What is read has the same columns in each row,
// and is no more than the text.
func FuzzSheet(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a\n\"x\"\"y\"\n", `[{"a": 1}, {"a": null}]`, "{\"a\": [1]}\n{\"a\": {}}\n", "\uFEFFa\r\n\r\n", "a\n\"", "[{", "{}\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range []string{"csv", "json", "ndjson"} {
			s, err := readSheet(format, []byte(text), 5)
			if err != nil {
				if s := err.Error(); len(s) > 200 {
					t.Errorf("a long error: %s", s)
				}
				continue
			}
			size := 0
			for _, row := range s.rows {
				if len(row) != len(s.columns) {
					t.Errorf("%q: %d cells, %d columns", text, len(row), len(s.columns))
				}
				for _, c := range row {
					size += len(c)
				}
			}
			if len(s.rows) > 5 || len(s.rows) == 0 || size > len(text) {
				t.Errorf("%q: %d rows, %d bytes", text, len(s.rows), size)
			}
		}
	})
}

// TestSpool looks at the file of an export through its life.
func TestSpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &folder{FileOptions: FileOptions{Root: openRoot(t, dir), MaxBytes: 100, MaxFiles: 2}}
	entries := func() (names []string) {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			names = append(names, e.Name())
		}
		return names
	}
	s := &spool{folder: d, name: "x.csv", keep: 10}
	write := func(n int) error {
		_, err := s.Write(bytes.Repeat([]byte("x"), n))
		return err
	}
	if err := write(10); err != nil || len(entries()) != 0 {
		t.Errorf("%v, %q", err, entries())
	}
	if err := write(1); err != nil || !reflect.DeepEqual(entries(), []string{".x.csv"}) {
		t.Errorf("%v, %q", err, entries())
	}
	if err := write(89); err != nil {
		t.Error(err)
	}
	if err := write(1); err == nil || !strings.Contains(err.Error(), "more than 100 bytes") {
		t.Error(err)
	}
	if err := s.discard(); err != nil || len(entries()) != 0 {
		t.Errorf("%v, %q", err, entries())
	}
	s = &spool{folder: d, name: "y.csv"}
	if err := write(20); err != nil {
		t.Fatal(err)
	}
	if err := s.finish(); err != nil || !reflect.DeepEqual(entries(), []string{"y.csv"}) {
		t.Errorf("%v, %q", err, entries())
	}
	if data, err := os.ReadFile(filepath.Join(dir, "y.csv")); err != nil || len(data) != 20 {
		t.Errorf("%v, %d bytes", err, len(data))
	}
	if err := os.Symlink(filepath.Join(t.TempDir(), "out"), filepath.Join(dir, ".z.csv")); err == nil {
		s = &spool{folder: d, name: "z.csv"}
		if err := write(20); err != errFull {
			t.Errorf("MaxFiles: %v", err)
		}
		d.MaxFiles = 5
		s = &spool{folder: d, name: "z.csv"}
		if err := write(20); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a link in the place of the file: %v", err)
		}
	}
}

// TestSpoolOnAFullDisk has a file that takes nothing.
func TestSpoolOnAFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	dir := t.TempDir()
	d := &folder{FileOptions: FileOptions{Root: openRoot(t, dir), MaxBytes: 1 << 20, MaxFiles: 2}}
	for _, n := range []int{20, 200_000} {
		s := &spool{folder: d, name: "x.csv"}
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		s.file.Close()
		s.file = full
		s.w.Reset(full)
		_, err := s.Write(make([]byte, n))
		if err == nil {
			err = s.finish()
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "could not be written") {
			t.Errorf("%d: got %v", n, err)
		}
		if err := s.discard(); err != nil {
			t.Error(err)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
			t.Errorf("left %v, %v", list, err)
		}
		if full, err = os.OpenFile("/dev/full", os.O_WRONLY, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// A stuck sink takes a row and never comes back, until the test is over.
type stuck struct{ until chan struct{} }

func (s stuck) begin([]field) error { return nil }
func (s stuck) row([][]byte) error  { <-s.until; return nil }
func (s stuck) pause()              {}

// TestStreamIntoWhatHangs has a disk that does not answer: the server is rid of its
// transaction all the same.
func TestStreamIntoWhatHangs(t *testing.T) {
	t.Parallel()
	tag := func(s string) pgproto3.BackendMessage { return &pgproto3.CommandComplete{CommandTag: []byte(s)} }
	parsed, bound := &pgproto3.ParseComplete{}, &pgproto3.BindComplete{}
	c, hungUp := fakeParts(t,
		[]pgproto3.BackendMessage{
			parsed, bound, tag("BEGIN"), parsed, bound, tag("SELECT 1"), parsed, bound,
			&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a"), DataTypeOID: 23}}}, &pgproto3.ReadyForQuery{TxStatus: openStatus},
		},
		[]pgproto3.BackendMessage{&pgproto3.DataRow{Values: [][]byte{[]byte("1")}}},
	)
	p := newPool(nil, 1, nil)
	c.used = time.Now()
	p.idle = []*conn{c}
	s := stuck{make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- p.stream(t.Context(), &query{sql: "x", maxRows: 10}, s, 500*time.Millisecond-grace) }()
	<-hungUp
	close(s.until)
	if err := <-done; err == nil {
		t.Error("no error")
	}
}

// TestExportNames are not to be guessed.
func TestExportNames(t *testing.T) {
	t.Parallel()
	a, b := exportName(".csv"), exportName(".csv")
	if a == b || len(a) != len("export-.csv")+26 || !importName().MatchString(a) {
		t.Errorf("got %s and %s", a, b)
	}
}

// fakeParts is fake for a transaction in parts: the server answers each Sync with
// the next of them. The channel is closed when the client hangs up.
func fakeParts(t *testing.T, parts ...[]pgproto3.BackendMessage) (*conn, <-chan struct{}) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		backend := pgproto3.NewBackend(theirs, theirs)
		for {
			m, err := backend.Receive()
			if _, over := m.(*pgproto3.Terminate); over || err != nil {
				theirs.Close()
				return
			}
			if _, ok := m.(*pgproto3.Sync); ok && len(parts) > 0 {
				for _, m := range parts[0] {
					backend.Send(m)
				}
				parts = parts[1:]
				_ = backend.Flush()
			}
		}
	}()
	return &conn{pg: construct(t, ours), prologue: "SELECT limits", ownPrologue: "SELECT own"}, gone
}

// TestStreamStatus has a server whose transaction is not the one that was begun: the
// connection is not used again.
func TestStreamStatus(t *testing.T) {
	t.Parallel()
	tag := func(s string) pgproto3.BackendMessage { return &pgproto3.CommandComplete{CommandTag: []byte(s)} }
	parsed, bound := &pgproto3.ParseComplete{}, &pgproto3.BindComplete{}
	described := &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a"), DataTypeOID: 23}}}
	for _, status := range []byte{openStatus, idleStatus, failedStatus} {
		c, _ := fakeParts(t,
			[]pgproto3.BackendMessage{parsed, bound, tag("BEGIN"), parsed, bound, tag("SELECT 1"), parsed, bound, described, &pgproto3.ReadyForQuery{TxStatus: openStatus}},
			[]pgproto3.BackendMessage{&pgproto3.DataRow{Values: [][]byte{[]byte("1")}}, tag("SELECT 1"), &pgproto3.ReadyForQuery{TxStatus: status}},
		)
		s := stuck{make(chan struct{})}
		close(s.until)
		err, taken := c.stream(&query{sql: "x", maxRows: 10}, s, time.Now().Add(time.Hour))
		if taken != nil || (err == nil) != (status == openStatus) {
			t.Errorf("status %c: got %v, %v", status, err, taken)
		}
	}
}
