package outbound

import (
	"io"
	"net/http"
	"testing"
)

// A request over a kept TLS connection on this machine, bare and with all the
// rules. The difference is what they cost.
func BenchmarkRequest(b *testing.B) {
	srv, _ := serve(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) })
	for name, c := range map[string]*http.Client{"bare": srv.Client(), "outbound": client(b, srv, Options{})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := get(b, c, srv.URL); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
