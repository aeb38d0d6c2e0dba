package mailtool

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// linkKey is a secret that passes for random and is none.
func linkKey(n byte) mcpsec.Secret {
	return redact.NewSecret(strings.Repeat("q8Zr"+"4Lx0vB"+"n7", 2) + "Jw2Kp9tYd" + string('a'+rune(n)))
}

type left struct{ recipient, list string }

// unsubscribes makes an Unsubscribe and says who has left by it.
func unsubscribes(t *testing.T, change func(*UnsubscribeOptions)) (*Unsubscribe, *[]left) {
	t.Helper()
	gone := &[]left{}
	o := UnsubscribeOptions{
		URL: "https://mail.example.com/u", Keys: []mcpsec.Secret{linkKey(1)}, Log: slog.New(slog.DiscardHandler),
		Handle: func(_ context.Context, recipient, list string) error {
			*gone = append(*gone, left{recipient, list})
			return nil
		},
	}
	if change != nil {
		change(&o)
	}
	u, err := NewUnsubscribe(o)
	if err != nil {
		t.Fatal(err)
	}
	return u, gone
}

func linkOf(t *testing.T, u *Unsubscribe, recipient, list string) string {
	t.Helper()
	url, err := u.Link(recipient, list)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

const formType = "application/x-www-form-urlencoded"

func click(u *Unsubscribe, method, url, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	u.ServeHTTP(w, r)
	return w
}

func TestUnsubscribeLink(t *testing.T) {
	t.Parallel()
	u, _ := unsubscribes(t, nil)
	url := linkOf(t, u, "anna@example.org", "news")
	for _, clear := range []string{"anna", "example.org", "news", "YW5uYUBleGFtcGxl"} {
		if strings.Contains(url, clear) {
			t.Errorf("%s shows %s", url, clear)
		}
	}
	long := linkOf(t, u, strings.Repeat("a", maxRecipient), strings.Repeat("l", maxList))
	if n := len("List-Unsubscribe: <" + long + ">"); n > 998-maxUnsubscribeURL {
		t.Errorf("the longest header has %d bytes, which is more than a line of a mail", n)
	}
	for _, bad := range [][2]string{{"", "news"}, {"a@b.c", ""}, {"a@b.c\r\nBcc: x@y.z", "news"}, {"a@b.c", "ne\nws"}, {"a@b.c\u202e", "news"}, {strings.Repeat("a", 255), "news"}, {"a@b.c", strings.Repeat("l", 65)}, {"a\xff@b.c", "news"}} {
		if _, err := u.Link(bad[0], bad[1]); err == nil {
			t.Errorf("Link(%q) is not refused", bad)
		}
	}
}

func TestUnsubscribeOptions(t *testing.T) {
	t.Parallel()
	handle := func(context.Context, string, string) error { return nil }
	good := UnsubscribeOptions{URL: "https://mail.example.com/u", Keys: []mcpsec.Secret{linkKey(1)}, Handle: handle}
	for name, change := range map[string]func(*UnsubscribeOptions){
		"no key": func(o *UnsubscribeOptions) { o.Keys = nil }, "a short key": func(o *UnsubscribeOptions) { o.Keys = []mcpsec.Secret{redact.NewSecret("secret")} },
		"a key that repeats": func(o *UnsubscribeOptions) { o.Keys = []mcpsec.Secret{redact.NewSecret(strings.Repeat("a", 64))} },
		"no handler":         func(o *UnsubscribeOptions) { o.Handle = nil }, "no URL": func(o *UnsubscribeOptions) { o.URL = "" },
		"plaintext": func(o *UnsubscribeOptions) { o.URL = "http://mail.example.com/u" }, "a query": func(o *UnsubscribeOptions) { o.URL += "?a=b" },
		"a fragment": func(o *UnsubscribeOptions) { o.URL += "#" }, "credentials": func(o *UnsubscribeOptions) { o.URL = "https://a:b@example.com/u" },
		"brackets": func(o *UnsubscribeOptions) { o.URL += ">" }, "a comma": func(o *UnsubscribeOptions) { o.URL += "," },
		"a long URL": func(o *UnsubscribeOptions) { o.URL += strings.Repeat("u", 256) }, "the past": func(o *UnsubscribeOptions) { o.Lifetime = -1 },
	} {
		o := good
		change(&o)
		if _, err := NewUnsubscribe(o); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
	if _, err := NewUnsubscribe(good); err != nil {
		t.Error(err)
	}
}

// Scanners and previews follow links: only a POST of the form changes anything.
func TestUnsubscribeOneClick(t *testing.T) {
	t.Parallel()
	multi := "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"
	other := "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n--b--\r\n"
	for _, tc := range []struct {
		name, method, contentType, body string
		status                          int
		leaves                          bool
	}{
		{"a look", "GET", "", "", 200, false},
		{"a look at the header", "HEAD", "", "", 200, false},
		{"a form", "POST", formType, "List-Unsubscribe=One-Click", 200, true},
		{"a form with a charset", "POST", formType + "; charset=UTF-8", "List-Unsubscribe=One-Click", 200, true},
		{"a multipart form", "POST", "multipart/form-data; boundary=b", multi, 200, true},
		{"a multipart form with more", "POST", "multipart/form-data; boundary=b", strings.TrimSuffix(multi, "--b--\r\n") + other, 400, false},
		{"a multipart form that is cut", "POST", "multipart/form-data; boundary=b", multi[:len(multi)-8], 400, false},
		{"another multipart form", "POST", "multipart/form-data; boundary=b", other, 400, false},
		{"no boundary", "POST", "multipart/form-data", multi, 400, false},
		{"a form with a look's body", "GET", formType, "List-Unsubscribe=One-Click", 200, false},
		{"another value", "POST", formType, "List-Unsubscribe=yes", 400, false},
		{"twice", "POST", formType, "List-Unsubscribe=One-Click&List-Unsubscribe=One-Click", 400, false},
		{"more", "POST", formType, "List-Unsubscribe=One-Click&a=b", 400, false},
		{"nothing", "POST", formType, "", 400, false},
		{"JSON", "POST", "application/json", `{"List-Unsubscribe":"One-Click"}`, 400, false},
		{"plain text", "POST", "text/plain", "List-Unsubscribe=One-Click", 400, false},
		{"no type", "POST", "", "List-Unsubscribe=One-Click", 400, false},
		{"too much", "POST", formType, "List-Unsubscribe=One-Click" + strings.Repeat("&", maxOneTime), 400, false},
		{"PUT", "PUT", formType, "List-Unsubscribe=One-Click", 405, false},
		{"DELETE", "DELETE", "", "", 405, false},
	} {
		u, gone := unsubscribes(t, nil)
		w := click(u, tc.method, linkOf(t, u, "anna@example.org", "news"), tc.contentType, tc.body)
		if w.Code != tc.status || (len(*gone) == 1) != tc.leaves || tc.leaves && (*gone)[0] != (left{"anna@example.org", "news"}) {
			t.Errorf("%s: status %d, %v; want %d, %v", tc.name, w.Code, *gone, tc.status, tc.leaves)
		}
		for _, leak := range []string{"anna", "news", "example.org"} {
			if strings.Contains(w.Body.String(), leak) {
				t.Errorf("%s: the page shows %s", tc.name, leak)
			}
		}
		if h := w.Header(); !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" || h.Get("Set-Cookie") != "" {
			t.Errorf("%s: headers %v", tc.name, h)
		}
	}
}

func TestUnsubscribeForged(t *testing.T) {
	t.Parallel()
	u, gone := unsubscribes(t, nil)
	other, _ := unsubscribes(t, func(o *UnsubscribeOptions) { o.Keys = []mcpsec.Secret{linkKey(2)} })
	good := linkOf(t, u, "anna@example.org", "news")
	_, token, _ := strings.Cut(good, "?")
	bad := []string{linkOf(t, other, "anna@example.org", "news"), u.o.URL, u.o.URL + "?t=", good + "&x=1", good + "A", good[:len(good)-1], u.o.URL + "?x=1&" + token, u.o.URL + "?" + token + "&" + token, u.o.URL + "?t=" + strings.Repeat("A", maxToken+1)}
	for i := len(u.o.URL) + 3; i < len(good); i++ { // every character
		c := byte('A')
		if good[i] == c {
			c = 'B'
		}
		bad = append(bad, good[:i]+string(c)+good[i+1:])
	}
	for _, url := range bad {
		if w := click(u, "POST", url, formType, "List-Unsubscribe=One-Click"); w.Code != 404 || len(*gone) != 0 {
			t.Fatalf("%s: status %d, %v", url, w.Code, *gone)
		}
	}
	if _, ok := linkToken("t=" + strings.Repeat("A", maxToken+1)); ok {
		t.Error("a token of any length is looked at")
	}
	// What our own key has sealed for another purpose is no link.
	for _, plain := range []string{"", "12345678", "\x00\x00\x00\x00\x00\x00\x00\x00\xffnews", "\x00\x00\x00\x00\x00\x00\x00\x00\x04news", "\x00\x00\x00\x00\x00\x00\x00\x00\x04newsa@b\r\nc"} {
		if w := click(u, "POST", u.o.URL+"?t="+u.ring.Seal([]byte(plain)), formType, "List-Unsubscribe=One-Click"); w.Code != 404 || len(*gone) != 0 {
			t.Errorf("%q: status %d, %v", plain, w.Code, *gone)
		}
	}
}

func TestUnsubscribeRotationAndExpiry(t *testing.T) {
	t.Parallel()
	old, _ := unsubscribes(t, func(o *UnsubscribeOptions) { o.Lifetime = time.Hour })
	now := time.Unix(1_800_000_000, 0)
	old.now = func() time.Time { return now }
	url := linkOf(t, old, "anna@example.org", "news")
	next, gone := unsubscribes(t, func(o *UnsubscribeOptions) { o.Keys = []mcpsec.Secret{linkKey(2), linkKey(1)} })
	for _, tc := range []struct {
		after  time.Duration
		status int
	}{{0, 200}, {time.Hour - time.Second, 200}, {time.Hour, 410}, {24 * time.Hour, 410}} {
		next.now = func() time.Time { return now.Add(tc.after) }
		if w := click(next, "POST", url, formType, "List-Unsubscribe=One-Click"); w.Code != tc.status {
			t.Errorf("after %s: status %d, want %d", tc.after, w.Code, tc.status)
		}
	}
	if len(*gone) != 2 {
		t.Errorf("%v have left, want two clicks", *gone)
	}
	if w := click(old, "GET", linkOf(t, next, "anna@example.org", "news"), "", ""); w.Code != 404 {
		t.Errorf("status %d for a link of a key that is not known yet", w.Code)
	}
}

// A person must not be told that it worked when it did not.
func TestUnsubscribeFailure(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	u, _ := unsubscribes(t, func(o *UnsubscribeOptions) {
		o.Handle = func(context.Context, string, string) error { return errors.New("the store is away") }
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	w := click(u, "POST", linkOf(t, u, "anna@example.org", "news"), formType, "List-Unsubscribe=One-Click")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "store") {
		t.Error(w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "the store is away") || strings.Contains(log.String(), "anna") {
		t.Errorf("log: %s", &log)
	}
}

func FuzzUnsubscribe(f *testing.F) {
	u, err := NewUnsubscribe(UnsubscribeOptions{URL: "https://mail.example.com/u", Keys: []mcpsec.Secret{linkKey(1)}, Handle: func(context.Context, string, string) error { return nil }})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("t="+u.token("anna@example.org", "news"), "\x00\x00\x00\x00\x00\x00\x00\x00\x04newsa@b.c", formType, "List-Unsubscribe=One-Click")
	f.Add("t=", "", "multipart/form-data; boundary=b", "--b\r\n\r\n--b--")
	f.Fuzz(func(t *testing.T, query, plain, contentType, body string) {
		if token, ok := linkToken(query); ok {
			if r, l, err := u.open(token); err == nil && (r != "anna@example.org" || l != "news") {
				t.Fatalf("%q opens as %q, %q", query, r, l)
			}
		}
		// And what a seal vouches for, whatever it is.
		if r, l, err := u.open(u.ring.Seal([]byte(plain))); err == nil && (!plainText(r, maxRecipient) || !plainText(l, maxList)) {
			t.Fatalf("%q opens as %q, %q", plain, r, l)
		}
		oneClick(io.LimitReader(strings.NewReader(body), maxOneTime), []string{contentType})
	})
}
