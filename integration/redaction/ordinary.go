package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// text is one kind of ordinary text, and how many of its lines are changed.
type text struct {
	name           string
	lines, changed int
}

func measureOrdinary(r *redact.Redactor, show bool) ([]text, error) {
	var all []text
	for _, source := range []struct {
		name string
		read func(io.Writer) error
	}{{"Go's source", goSource}, {"output of Go's tests as JSON", testOutput}, {"this repository's history", history}, {"access logs", accessLog}} {
		t := text{name: source.name}
		lines, w := io.Pipe()
		go func() { w.CloseWithError(source.read(w)) }()
		sc := bufio.NewScanner(lines)
		sc.Buffer(nil, 16<<20)
		for sc.Scan() {
			t.lines++
			if clean := r.Bytes(sc.Bytes()); !bytes.Equal(clean, sc.Bytes()) {
				t.changed++
				if show {
					fmt.Fprintf(os.Stderr, "- %s\n+ %s\n", sc.Bytes(), clean)
				}
			}
		}
		if err := sc.Err(); err != nil {
			return nil, fmt.Errorf("reading %s: %w", source.name, err)
		}
		all = append(all, t)
	}
	return all, nil
}

// goRoot is where the go command's own files are.
func goRoot() (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	return strings.TrimSpace(string(root)), err
}

func goSource(w io.Writer) error {
	root, err := goRoot()
	if err != nil {
		return err
	}
	return filepath.WalkDir(filepath.Join(root, "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = w.Write(append(data, '\n'))
		return err
	})
}

// testOutput runs tests of the standard library that talk much.
func testOutput(w io.Writer) error {
	cmd := exec.Command("go", "test", "-json", "-v", "strings", "bytes", "strconv", "net/url", "net/netip", "encoding/json", "text/template", "regexp", "time", "go/parser", "net/http/httptest", "log/slog")
	cmd.Stdout, cmd.Stderr = w, io.Discard
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) { // the output of a test that fails is output too
		return err
	}
	return nil
}

// history is what was committed, without the patches: those hold the corpora
// and the tests of this very package.
func history(w io.Writer) error {
	cmd := exec.Command("git", "log", "--stat", "--format=fuller")
	cmd.Stdout, cmd.Stderr = w, io.Discard
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "no history here:", err)
	}
	return nil
}

// accessLog is what a real server logs of real requests, in the combined
// format and as JSON.
func accessLog(w io.Writer) error {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		n++
		status := []int{200, 200, 200, 304, 404, 301, 500}[n%7]
		rw.WriteHeader(status)
		fmt.Fprintf(w, "%s - - [%s] %q %d %d %q %q rt=0.%03d\n", strings.Split(req.RemoteAddr, ":")[0], time.Unix(1767225600+int64(n), 0).UTC().Format("02/Jan/2006:15:04:05 -0700"), req.Method+" "+req.RequestURI+" "+req.Proto, status, n*37%90000, req.Referer(), req.UserAgent(), n%1000)
		fmt.Fprintf(w, `{"ts":%d.%03d,"method":%q,"uri":%q,"status":%d,"bytes":%d,"trace_id":"%016x%016x","remote":%q}`+"\n", 1767225600+n, n%1000, req.Method, req.RequestURI, status, n*37%90000, n*2654435761, n*40503, req.RemoteAddr)
	}))
	defer srv.Close()
	paths := []string{"/", "/orders/%d?page=%d&sort=created_at&per_page=50", "/static/app.%x.js", "/api/v1/customers/c_%d/orders?cursor=b3JkZXI6%d&limit=20", "/search?q=password+reset&lang=en&n=%d", "/login?next=%%2Forders%%2F%d", "/items?sku=A-%d&token_type=bearer&key=color", "/.well-known/openid-configuration?x=%d", "/img/%d.png?v=%d"}
	client := srv.Client()
	for i := range 10_000 {
		path := paths[i%len(paths)]
		if strings.Count(path, "%d")+strings.Count(path, "%x") == 2 {
			path = fmt.Sprintf(path, i, i*7)
		} else if strings.Contains(path, "%") {
			path = fmt.Sprintf(path, i)
		}
		req, err := http.NewRequest(http.MethodGet, srv.URL+path, nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
		req.Header.Set("Referer", (&url.URL{Scheme: "https", Host: "shop.example", Path: "/orders"}).String())
		resp, err := client.Transport.RoundTrip(req)
		if err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
	}
	return nil
}
