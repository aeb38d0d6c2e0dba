package pgserver

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entry is a file of a package that a test makes up.
type entry struct {
	name, content string
	kind          byte // 0 means a plain file
	mode          int64
}

func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Size: int64(len(e.content)), Mode: e.mode, Typeflag: tar.TypeReg}
		if e.kind != 0 {
			h.Typeflag, h.Linkname, h.Size, e.content = e.kind, e.content, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func links(list string) entry {
	return entry{name: "package/native/pg-symlinks.json", content: list}
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tree")
	err := unpack(archive(t,
		entry{name: "package/README.md", content: "hello", mode: 0o644},
		entry{name: "package/native/bin/initdb", content: "#!", mode: 0o755},
		entry{name: "package/native/lib/libpq.so.5.18", content: "lib"},
		links(`[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so"}]`),
	), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "native/lib/libpq.so")); err != nil || string(got) != "lib" {
		t.Errorf("the link leads to %q, %v; want lib", got, err)
	}
	for name, want := range map[string]os.FileMode{"README.md": 0o644, "native/bin/initdb": 0o755} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm() & 0o700; got != want&0o700 {
			t.Errorf("mode of %s: got %o, want %o", name, got, want)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	plain := entry{name: "package/native/lib/a/real", content: "x"}
	for name, entries := range map[string][]entry{
		"a name that climbs":          {{name: "package/../../x", content: "x"}},
		"a name that climbs at once":  {{name: "../x", content: "x"}},
		"an absolute name":            {{name: "/etc/x", content: "x"}},
		"an absolute name inside":     {{name: "package//etc/x", content: "x"}},
		"a file outside the package":  {{name: "other/x", content: "x"}},
		"a symbolic link":             {{name: "package/x", content: "/etc/passwd", kind: tar.TypeSymlink}},
		"a hard link":                 {{name: "package/x", content: "/etc/passwd", kind: tar.TypeLink}},
		"a device":                    {{name: "package/x", kind: tar.TypeChar}},
		"the same file twice":         {plain, plain},
		"a file below a file":         {plain, {name: plain.name + "/x", content: "x"}},
		"a listed link that climbs":   {plain, links(`[{"source":"../../etc/passwd","target":"native/x"}]`)},
		"a listed absolute source":    {plain, links(`[{"source":"/etc/passwd","target":"native/x"}]`)},
		"a listed link placed above":  {plain, links(`[{"source":"native/lib/a/real","target":"../x"}]`)},
		"a listed link to nothing":    {plain, links(`[{"source":"native/none","target":"native/x"}]`)},
		"a listed link over a file":   {plain, links(`[{"source":"native/lib","target":"native/lib/a/real"}]`)},
		"a link list that is no list": {plain, links(`{"a":`)},
		"a link that climbs through another": {
			{name: "package/top/real", content: "x"},
			links(`[{"source":"top","target":"native/one/two/three"},{"source":"top/real","target":"native/one/two/three/x"}]`),
		},
		"too many files": {plain, {name: "package/1"}, {name: "package/2"}, {name: "package/3"}},
		"too large":      {{name: "package/x", content: strings.Repeat("x", 1001)}},
		"too large in sum": {
			{name: "package/x", content: strings.Repeat("x", 600)},
			{name: "package/y", content: strings.Repeat("x", 600)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "tree")
			if err := unpackWithin(archive(t, entries...), dir, 3, 1000); err == nil {
				t.Error("it was accepted")
			}
			left, err := os.ReadDir(parent)
			if err != nil {
				t.Fatal(err)
			}
			if len(left) != 1 {
				t.Errorf("it wrote outside its directory: %v", left)
			}
		})
	}
}

func TestUnpackRefusesDamage(t *testing.T) {
	t.Parallel()
	whole := archive(t, entry{name: "package/x", content: strings.Repeat("x", 900)})
	for name, content := range map[string][]byte{
		"no gzip":   []byte("hello"),
		"cut short": whole[:len(whole)-20],
	} {
		if err := unpack(content, filepath.Join(t.TempDir(), "tree")); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	const empty = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
	if err := verify(nil, empty); err != nil {
		t.Errorf("the right content was refused: %v", err)
	}
	for name, integrity := range map[string]string{
		"another checksum": strings.Replace(empty, "z4Ph", "z4Pi", 1),
		"no checksum":      "",
		"a weaker kind":    "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
	} {
		if err := verify(nil, integrity); !errors.Is(err, errChanged) {
			t.Errorf("%s: got %v, want errChanged", name, err)
		}
	}
	if err := verify([]byte("x"), empty); !errors.Is(err, errChanged) {
		t.Errorf("changed content: got %v, want errChanged", err)
	}
}
