package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// overHTTP measures calls on one connection, by a client that does as little as
// it can: client and server are one process. The hardened server verifies a
// token with each; the bare one is stateless, too, and asks for none.
func overHTTP(ctx context.Context, hardened bool, calls int) (sample, error) {
	h, err := handler(hardened)
	if err != nil {
		return sample{}, err
	}
	web := httptest.NewServer(h)
	defer web.Close()
	ask := func() error {
		body := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + orderCall + `}`)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, web.URL+"/mcp", body)
		if err != nil {
			return err
		}
		r.Header = http.Header{
			"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
			"Authorization": {"Bearer bench"}, "Mcp-Protocol-Version": {"2025-11-25"},
		}
		res, err := web.Client().Do(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err == nil && !strings.Contains(string(answer), `"structuredContent"`) {
			err = fmt.Errorf("the server answered %s %.200s", res.Status, answer)
		}
		return err
	}
	if err := ask(); err != nil {
		return sample{}, err
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for range calls {
		if err := ask(); err != nil {
			return sample{}, err
		}
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	n := float64(calls)
	return sample{micros: float64(took.Microseconds()) / n, allocs: float64(after.Mallocs-before.Mallocs) / n}, nil
}

func handler(hardened bool) (http.Handler, error) {
	if !hardened {
		return bareHandler()
	}
	srv, err := hardenedServer(false)
	if err != nil {
		return nil, err
	}
	return srv.HTTP(mcpsec.HTTPOptions{Verifier: func(_ context.Context, token string) (mcpsec.Principal, error) {
		if token != "bench" {
			return mcpsec.Principal{}, mcpsec.ErrInvalidToken
		}
		return mcpsec.Principal{ID: "bench"}, nil
	}})
}
