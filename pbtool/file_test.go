package pbtool

import (
	"strings"
	"testing"
)

// What a field takes is decided by the content, where that tells anything.
func TestFileFieldTakes(t *testing.T) {
	t.Parallel()
	const png, pdf, plain, page, drawing = "\x89PNG\r\n\x1a\n", "%PDF-1.7", "a,b\n1,2\n", "<html><body>", `<svg xmlns="x"/>`
	images := []string{"image/png", "image/jpeg"}
	for _, tc := range []struct {
		name, data string
		f          fileField
		why        string // "" is taken
	}{
		{"a.png", png, fileField{}, ""},
		{"a.png", png, fileField{mimeTypes: images}, ""},
		{"a.png", pdf, fileField{mimeTypes: images}, "application/pdf"},
		{"a.csv", plain, fileField{mimeTypes: []string{"text/csv"}}, ""}, // PocketBase looks deeper
		{"a.txt", page, fileField{}, "web page"},
		{"a.txt", page, fileField{mimeTypes: []string{"text/html"}}, ""},
		{"a.png", drawing, fileField{}, "web page"},
		{"a.svg", drawing, fileField{mimeTypes: []string{"image/svg+xml"}}, ""},
		{"a.SVG", plain, fileField{}, "web page"},
		{"a.js", plain, fileField{}, "web page"},
		{"a.txt", plain, fileField{maxSize: 3}, "more than 3 bytes"},
		{"a.txt", plain, fileField{maxSize: len(plain)}, ""},
	} {
		err := tc.f.takes(tc.name, []byte(tc.data))
		if (err == nil) != (tc.why == "") || err != nil && !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%s %.10q into %+v: got %v, want %q", tc.name, tc.data, tc.f, err, tc.why)
		}
	}
}

// A name holds nothing that a path, a header or a shell would read.
func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"", "..", "a/../b", `c:\x\y.txt`, "a\r\nb", `"x".png`, ".htaccess", strings.Repeat("x", 500) + ".tar.gz", "é.txt", "x." + strings.Repeat("y", 500)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := cleanName(s); !segmentName().MatchString(got) || len(got) > 100 || strings.HasSuffix(got, ".") || strings.HasPrefix(got, "-") {
			t.Errorf("%q: got %q", s, got)
		}
	})
}
