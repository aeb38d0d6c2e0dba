package mcpsec_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const noSuchResource = `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"unknown resource: the lists name those that exist"}}`

// write makes a file with its directories.
func write(t testing.TB, elements ...string) string {
	t.Helper()
	name := filepath.Join(elements[:len(elements)-1]...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(elements[len(elements)-1]), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
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

func filesSpec() mcpsec.ResourceSpec {
	return mcpsec.ResourceSpec{Name: "docs", Description: "Documents.", URI: "files:///{+path}"}
}

func serveFiles(t testing.TB, dir string, serve func(string) bool) (*fixture, *raw) {
	t.Helper()
	f := newFixture(t, func(o *mcpsec.Options) { o.Secrets = []mcpsec.Secret{newSecret("hunter2-hunter2")} })
	f.AddResource(mcpsec.NewFiles(openRoot(t, dir), filesSpec(), serve))
	return f, f.dial(t)
}

// contents returns what a read gives: its type, then its text or blob.
func contents(t testing.TB, answer string) string {
	t.Helper()
	var m struct {
		Result struct {
			Contents []struct{ URI, MIMEType, Text, Blob string }
		}
	}
	if err := json.Unmarshal([]byte(answer), &m); err != nil || len(m.Result.Contents) != 1 {
		return answer
	}
	c := m.Result.Contents[0]
	return c.MIMEType + " " + c.Text + c.Blob
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.txt": "text", "sub/b c.md": "# é", "p.png": "\x89PNG\x00", "noext": "plain", "bin": "\x00\x01", "t.json": `{"a":1}`, "bad.txt": "a\xff",
		"hidden.txt": "a\u202Eb", "secret.txt": "key hunter2-hunter2", "empty": "", "UP.HTML": "<p>",
	} {
		write(t, dir, name, text)
	}
	f, r := serveFiles(t, dir, nil)
	for path, want := range map[string]string{
		"a.txt": "text/plain text", "sub/b%20c.md": "text/markdown # é", "p.png": "image/png iVBORwA=", "noext": "text/plain plain",
		"bin": "application/octet-stream AAE=", "t.json": `application/json {"a":1}`, "bad.txt": "application/octet-stream Yf8=",
		"hidden.txt": "text/plain ab", "secret.txt": "text/plain key [redacted]", "empty": "text/plain ", "UP.HTML": "text/html <p>",
	} {
		if got := contents(t, r.read1("files:///"+path)); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if log := f.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("logged %s", log)
	}
}

// Nothing outside the root is read, whatever the URI and whatever the links; all
// that is not to be read gets one answer. (RES-02, P13)
func TestFilesStayInside(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege")
	}
	outer := t.TempDir()
	dir := filepath.Join(outer, "base")
	outside := write(t, outer, "outside.txt", "SECRET")
	write(t, outer, "rooted.txt", "SECRET")
	write(t, dir, "in.txt", "inside")
	write(t, dir, "sub/in.txt", "inside")
	write(t, dir, ".env", "SECRET")
	write(t, dir, ".git/config", "SECRET")
	write(t, dir, "sub/.key", "SECRET")
	for link, to := range map[string]string{
		"abs": outside, "rel": "../outside.txt", "sub/deep": "../../outside.txt", "dir": outer, "up": "..", "loop": "loop", "chain": "rel",
		"sneaky": "sub/../../outside.txt", "ok": "sub/in.txt", "okdir": "sub", "void": "nowhere", "null": "/dev/null", "zero": "/dev/zero",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(write(t, dir, "denied.txt", "SECRET"), 0); err != nil {
		t.Fatal(err)
	}
	denied := "denied.txt"
	if os.Geteuid() == 0 {
		denied = "void"
	}
	f, r := serveFiles(t, dir, nil)
	for _, path := range []string{
		"abs", "rel", "sub/deep", "dir/outside.txt", "up/outside.txt", "up/base/in.txt", "loop", "chain", "sneaky", "void", "null", "zero", denied,
		"../outside.txt", "..", ".", "", "sub", "sub/", "/in.txt", "//in.txt", "sub//in.txt", "./in.txt", "sub/./in.txt", "sub/../in.txt", "sub/../../outside.txt",
		"%2e%2e/outside.txt", "%2E%2e%2foutside.txt", "..%2foutside.txt", "..%5coutside.txt", "sub%2fin.txt", "%252e%252e/outside.txt", "..%c0%afoutside.txt",
		"in.txt%00", "in.txt%00.png", "in.txt%0a", "in.txt?x", "in.txt#x", "in.txt/", "in.txt/x", "%2fetc/passwd", "in.txt%20/..", ".%2e/outside.txt", "....//outside.txt",
		".env", ".git/config", "sub/.key", "%2eenv", "%2egit/config", "nowhere", strings.Repeat("a/", 400) + "a", strings.Repeat("a", 300),
	} {
		if got := r.read1("files:///" + path); got != noSuchResource {
			t.Errorf("%.80q: got %s", path, got)
		}
	}
	for _, path := range []string{"in.txt", "sub/in.txt", "ok", "okdir/in.txt"} {
		if got := contents(t, r.read1("files:///"+path)); got != "text/plain inside" {
			t.Errorf("%s: got %s", path, got)
		}
	}
	if got := r.read1("files:///" + strings.Repeat("a", 1025)); !strings.Contains(got, "invalid arguments: path: must be at most 1024 characters") {
		t.Errorf("got %s", got)
	}
	if log := f.log.String(); !strings.Contains(log, "escapes from parent") || strings.Contains(strings.ReplaceAll(f.audit.String(), "outside.txt", ""), "outside") {
		t.Errorf("logged %s", log)
	}
}

// What serve does not take is not there.
func TestFilesByChoice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "sub/a.md", "a")
	write(t, dir, "b.txt", "b")
	write(t, dir, ".well-known/c.md", "c")
	_, r := serveFiles(t, dir, func(p string) bool { return strings.HasSuffix(p, ".md") })
	for path, want := range map[string]string{"sub/a.md": "text/markdown a", "b.txt": noSuchResource, ".well-known/c.md": "text/markdown c", "x.md": noSuchResource} {
		if got := contents(t, r.read1("files:///"+path)); got != want {
			t.Errorf("%s: got %s", path, got)
		}
	}
}

// What is not served cannot be subscribed to either.
func TestFilesAreNotWatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.txt", "a")
	write(t, dir, ".env", "SECRET")
	f, r := serveFiles(t, dir, nil)
	for uri, want := range map[string]string{
		"files:///a.txt": `{"jsonrpc":"2.0","id":1,"result":{}}`, "files:///.env": noSuchResource, "files:///%2eenv": noSuchResource, "files:///../a": noSuchResource,
	} {
		if got := r.subscription("subscribe", uri); got != want {
			t.Errorf("%s: got %s", uri, got)
		}
	}
	f.update(t, "files:///.env", "files:///%2eenv", "files:///a.txt")
	if got := r.read(); got != updated("files:///a.txt") {
		t.Errorf("got %s", got)
	}
}

// A large file is refused, and not read whole first. The test is not parallel
// because it counts what is allocated.
func TestFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "large.txt", strings.Repeat("x", 300<<10))
	name := write(t, dir, "huge.bin", "")
	if err := os.Truncate(name, 1<<40); err != nil { // a hole: reading it whole would end the process
		t.Skipf("no sparse files: %v", err)
	}
	_, r := serveFiles(t, dir, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	defer func() {
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 64<<20 {
			t.Errorf("%d bytes were allocated", after.TotalAlloc-before.TotalAlloc)
		}
	}()
	for _, path := range []string{"large.txt", "huge.bin"} {
		if got := r.read1("files:///" + path); !strings.Contains(got, `"message":"the result is larger than 262144 bytes: ask for less"`) {
			t.Errorf("%s: got %.200s", path, got)
		}
	}
}

func TestNewFilesRefuses(t *testing.T) {
	t.Parallel()
	root := openRoot(t, t.TempDir())
	changed := func(change func(*mcpsec.ResourceSpec)) func() {
		s := filesSpec()
		change(&s)
		return func() { mcpsec.NewFiles(root, s, nil) }
	}
	for name, f := range map[string]func(){
		"no root":        func() { mcpsec.NewFiles(nil, filesSpec(), nil) },
		"fixed URI":      changed(func(s *mcpsec.ResourceSpec) { s.URI = "files:///x" }),
		"one segment":    changed(func(s *mcpsec.ResourceSpec) { s.URI = "files:///{path}" }),
		"other variable": changed(func(s *mcpsec.ResourceSpec) { s.URI = "files:///{+file}" }),
		"two variables":  changed(func(s *mcpsec.ResourceSpec) { s.URI = "files:///{x}/{+path}" }),
		"no name":        changed(func(s *mcpsec.ResourceSpec) { s.Name = "" }),
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.HasPrefix(p, "mcpsec: resource ") {
					t.Errorf("%s: panicked with %q", name, p)
				}
			}()
			f()
		}()
	}
}

// A closed root reads nothing and ends nothing.
func TestFilesOfAClosedRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "a")
	root := openRoot(t, dir)
	f := newFixture(t, nil)
	f.AddResource(mcpsec.NewFiles(root, filesSpec(), nil))
	root.Close()
	if got := f.dial(t).read1("files:///a"); got != noSuchResource {
		t.Errorf("got %s", got)
	}
}
