package outbound

import (
	"context"
	"net/http"
	"net/url"
)

// failure is an error in the form of a response. An http.Client wraps each error
// of its transport together with the request's URL, query included, and has no
// hook to change that. So it gets a redirect to the bare host instead. It
// follows; RoundTrip knows the redirect for its own by the request in it, sends
// nothing and returns the error, which the client now wraps with the redirect's
// URL.
//
// To whoever does not follow, it is no success either: its status is no 2xx, and
// reading its body returns the error.
func failure(req *http.Request, err *Error) *http.Response {
	to := &url.URL{Scheme: "https", Host: err.Host}
	if req.URL != nil && req.URL.Scheme == "http" {
		to.Scheme = "http"
	}
	marked := &http.Request{Method: http.MethodGet, URL: to, Header: http.Header{}}
	return &http.Response{
		Status: "303 See Other", StatusCode: http.StatusSeeOther,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Location": {to.String()}},
		Body:          failedBody{err},
		ContentLength: -1,
		Request:       marked.WithContext(context.WithValue(req.Context(), failureKey{}, err)),
	}
}

type failureKey struct{}

// failed returns the error that a request is the redirect of, if it is one. It
// refuses any other redirect: those of servers are followed in RoundTrip, so
// this one is of a client that uses several transports, or has lost ours.
func failed(req *http.Request) error {
	if req.Response == nil {
		return nil
	}
	if r := req.Response.Request; r != nil {
		if err, ok := r.Context().Value(failureKey{}).(*Error); ok {
			return err
		}
	}
	return &Error{Reason: RedirectRefused, text: "a redirect of another transport is not followed"}
}

// failedBody is the body of a failure.
type failedBody struct{ err *Error }

func (b failedBody) Read([]byte) (int, error) { return 0, b.err }
func (b failedBody) Close() error             { return nil }

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
