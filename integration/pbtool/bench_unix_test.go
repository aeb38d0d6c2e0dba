//go:build !race && unix

package pbtool

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// TestServeForBenchmarks is the server of BenchmarkList, in a process of its own so
// that its work does not count as ours.
func TestServeForBenchmarks(t *testing.T) {
	if os.Getenv("PBTOOL_SERVE") == "" {
		t.Skip("it is started by BenchmarkList")
	}
	s := start(t)
	s.posts(500)
	text, err := s.ann.NewStaticAuthToken(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("serving %s %s\n", s.url, text)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// serving starts that process.
func serving(b *testing.B) (url, token string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestServeForBenchmarks$", "-test.v")
	cmd.Env = append(os.Environ(), "PBTOOL_SERVE=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "serving "); ok {
			url, token, _ = strings.Cut(rest, " ")
			return url, token
		}
	}
	b.Fatal("the server does not start")
	return "", ""
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkList compares a page of 50 records as Client.List returns it, and as
// pb_list_records does with all of the pipeline, with a hand-written GET that
// decodes the answer, and one that only reads it. cpu-ns/op is of this process.
func BenchmarkList(b *testing.B) {
	url, token := serving(b)
	by := "/api/collections/posts/records?" + "filter=total+%3E%3D+0&page=1&perPage=50&skipTotal=1&sort=id"
	get := func(b *testing.B, decode bool) {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url+by, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp.Status, err)
		}
		var page struct{ Items []map[string]any }
		if decode && (json.Unmarshal(body, &page) != nil || len(page.Items) != 50) {
			b.Fatalf("got %s", body)
		}
	}
	c, err := pbtool.Open(b.Context(), pbtool.Options{URL: url, As: func(context.Context, mcpsec.Principal) (pbtool.User, error) {
		return pbtool.User{Token: redact.NewSecret(token)}, nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	filter, err := pbtool.Bind("total >= {:n}", map[string]any{"n": 0})
	if err != nil {
		b.Fatal(err)
	}
	s := serve(b, c)
	ways := []way{
		{"hand-written, read", func(b *testing.B) { get(b, false) }},
		{"hand-written, decoded", func(b *testing.B) { get(b, true) }},
		{"Client.List", func(b *testing.B) {
			if p, err := c.List(b.Context(), "posts", pbtool.Query{Filter: filter, PerPage: 50}); err != nil || len(p.Items) != 50 {
				b.Fatal(len(p.Items), err)
			}
		}},
		{"pb_list_records", func(b *testing.B) {
			line := s.Request("tools/call", `{"name":"pb_list_records","arguments":{"collection":"posts","limit":50,"where":[{"field":"total","op":"ge","value":0}]}}`)
			if len(line) < 10_000 {
				b.Fatalf("got %s", line)
			}
			s.said.Reset()
			s.log.Reset()
		}},
	}
	for _, tc := range ways {
		b.Run(tc.name, func(b *testing.B) {
			tc.f(b)
			before := cpu(b)
			b.ResetTimer()
			for range b.N {
				tc.f(b)
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
	b.Run("ratios", func(b *testing.B) { ratios(b, ways) })
}

// A way is one of getting the same page.
type way struct {
	name string
	f    func(*testing.B)
}

// ratios goes the ways in turns, so that what else the machine does falls on all of
// them, and reports the medians of time against the second way's.
func ratios(b *testing.B, ways []way) {
	took := make([][]time.Duration, len(ways))
	for range b.N {
		for i, w := range ways {
			began := time.Now()
			w.f(b)
			took[i] = append(took[i], time.Since(began))
		}
	}
	median := func(i int) float64 {
		slices.Sort(took[i])
		return float64(took[i][len(took[i])/2])
	}
	for i, w := range ways {
		b.ReportMetric(median(i)/median(1), strings.ReplaceAll(w.name, " ", "-")+"/hand-written")
	}
}
