package mailtool

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

const (
	maxToken   = 1 << 10 // of a link; ours have at most 500
	maxOneTime = 4 << 10 // bytes of a POST
)

// The pages say nothing of who is meant: a link may be forwarded, or be looked at by a
// scanner.
const (
	pageStart = `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Unsubscribe</title>`
	pageAsk   = pageStart + `<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click"><p>Stop this mail?</p><button>Unsubscribe</button></form></html>`
	pageDone  = pageStart + `<p>You are unsubscribed.</p></html>`
	pageLink  = pageStart + `<p>This link is not valid. Please follow the one in the mail again.</p></html>`
	pageOld   = pageStart + `<p>This link is too old. Please follow the one in a newer mail.</p></html>`
	pageForm  = pageStart + `<p>This request cannot be read.</p></html>`
	pageLater = pageStart + `<p>This did not work. Please try again later.</p></html>`
)

// ServeHTTP shows a page with a button for GET, which changes nothing since scanners
// follow links, and unsubscribes for a POST of the form field
// List-Unsubscribe=One-Click, as mail services (RFC 8058) and the page's button send
// it. Cookies are neither read nor set.
func (u *Unsubscribe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
	status, page := u.answer(w, r)
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, POST")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, page) // whoever has gone does not want it
	}
}

func (u *Unsubscribe) answer(w http.ResponseWriter, r *http.Request) (int, string) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return http.StatusMethodNotAllowed, pageForm
	}
	token, ok := linkToken(r.URL.RawQuery)
	if !ok {
		return http.StatusNotFound, pageLink
	}
	recipient, list, err := u.open(token)
	switch {
	case errors.Is(err, errExpired):
		return http.StatusGone, pageOld
	case err != nil:
		return http.StatusNotFound, pageLink
	case r.Method != http.MethodPost:
		return http.StatusOK, pageAsk
	}
	if !oneClick(http.MaxBytesReader(w, r.Body, maxOneTime), r.Header.Values("Content-Type")) {
		return http.StatusBadRequest, pageForm
	}
	if err := u.o.Handle(r.Context(), recipient, list); err != nil {
		u.o.Log.ErrorContext(r.Context(), "unsubscribing", "list", list, "error", err)
		w.Header().Set("Retry-After", "300")
		return http.StatusServiceUnavailable, pageLater
	}
	return http.StatusOK, pageDone
}

// linkToken takes the token out of a query that is one of ours and has nothing else.
func linkToken(query string) (string, bool) {
	token, ok := strings.CutPrefix(query, "t=")
	return token, ok && token != "" && len(token) <= maxToken
}

// oneClick reports whether a body is the form of RFC 8058, section 3.2: one field, in
// either encoding.
func oneClick(body io.Reader, types []string) bool {
	if len(types) != 1 {
		return false
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil {
		return false
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		b, err := io.ReadAll(body)
		if err != nil {
			return false
		}
		form, err := url.ParseQuery(strings.TrimSuffix(string(b), "\r\n"))
		return err == nil && len(form) == 1 && len(form["List-Unsubscribe"]) == 1 && form.Get("List-Unsubscribe") == "One-Click"
	case "multipart/form-data":
		m := multipart.NewReader(body, params["boundary"])
		p, err := m.NextPart()
		if err != nil || p.FormName() != "List-Unsubscribe" {
			return false
		}
		b, err := io.ReadAll(p)
		if err != nil || strings.TrimSpace(string(b)) != "One-Click" {
			return false
		}
		_, err = m.NextPart()
		return errors.Is(err, io.EOF)
	}
	return false
}
