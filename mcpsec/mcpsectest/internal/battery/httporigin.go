package battery

import (
	"context"
	"net/http"
	"strings"
)

var originChecks = []Check{
	{
		ID: "http/origin", Severity: Medium, Over: HTTP, Title: "a foreign web page may call the server",
		Proof:  "A request with the Origin of another page, or null, was answered with a result; the specification asks for 403. High where its CORS headers let any page call it and read the answers. Low where the server asks for credentials, which a page does not have, or is on another machine: its clients may be pages.",
		Remedy: "Compare Origin with a list, on each method, and answer others with 403.",
		Run:    foreignOrigin,
	},
	{
		ID: "http/host", Severity: Medium, Over: HTTP, Title: "a foreign name for the server is accepted",
		Proof:  "A request over plain HTTP was answered with a result though its Host and Origin named another host, as they do when a page's name is made to point at this server (DNS rebinding). High where the server is on this machine: whatever page its user opens can call it. Low where it asks for credentials, which a page does not have.",
		Remedy: "Compare Host with the names that the server is reached by, and answer others with 403.",
		Run:    foreignHost,
	},
	{
		ID: "http/form", Severity: Low, Over: HTTP, Title: "a message is accepted as what a web form sends",
		Proof:  "A message of type text/plain, application/x-www-form-urlencoded or multipart/form-data was answered with a result. Browsers send those to any server without asking it first. High where it was also with a foreign Origin, without credentials, on this machine.",
		Remedy: "Answer what is not application/json with 415.",
		Run:    formTypes,
	},
	{
		ID: "http/method", Severity: Low, Over: HTTP, Title: "a method of HTTP is served that should not be",
		Proof:  "A message sent with PUT or PATCH was answered with a result, or TRACE repeated the request's headers.",
		Remedy: "Answer all but POST (and GET and DELETE of sessions) with 405.",
		Run:    otherMethods,
	},
}

const (
	stranger    = "mcpsec-check.invalid"
	strangePage = "https://" + stranger
)

func fromPage(r *http.Request) {
	r.Header.Set("Origin", strangePage)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
}

func foreignOrigin(ctx context.Context, p *Probe) []Finding {
	exposed := p.local() && p.open(ctx)
	a := p.shoot(ctx, "a foreign Origin", fromPage)
	if !a.accepted() {
		if p.shoot(ctx, "Origin null", setHeader("Origin", "null")).accepted() {
			return one(worse(exposed, Medium, Low), "a request with Origin: null was answered with a result; %s was refused", strangePage)
		}
		return nil
	}
	if exposed && readable(a) && readable(p.preflight(ctx)) {
		f := one(High, "a request with Origin: %s was answered with a result and Access-Control-Allow-Origin: %s, and so was the preflight", strangePage, a.header.Get("Access-Control-Allow-Origin"))
		f[0].Title = "any web page can call the server and read its answers"
		return f
	}
	return one(worse(exposed, Medium, Low), "a request with Origin: %s was answered with a result", strangePage)
}

// readable reports whether a browser gives an answer to any page.
func readable(a answer) bool {
	allowed := a.header.Get("Access-Control-Allow-Origin")
	return a.status/100 == 2 && (allowed == "*" || allowed == strangePage)
}

func (p *Probe) preflight(ctx context.Context) answer {
	return p.fire(ctx, "a preflight", func(r *http.Request) {
		fromPage(r)
		r.Method, r.Body, r.ContentLength = http.MethodOptions, http.NoBody, 0
		r.Header.Del("Content-Type")
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
		r.Header.Set("Access-Control-Request-Headers", "content-type")
	})
}

func foreignHost(ctx context.Context, p *Probe) []Finding {
	u := p.address()
	if u.Scheme != "http" {
		return nil // the certificate names the server
	}
	host := strings.Replace(u.Host, u.Hostname(), stranger, 1)
	if strings.HasPrefix(u.Host, "[") {
		host = stranger + u.Host[strings.IndexByte(u.Host, ']')+1:]
	}
	a := p.shoot(ctx, "a foreign Host", func(r *http.Request) {
		r.Host = host
		r.Header.Set("Origin", "http://"+host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	})
	if !a.accepted() {
		return nil
	}
	severity := Low
	if p.open(ctx) {
		severity = worse(p.local(), High, Medium)
	}
	return one(severity, "a request with Host: %s and the Origin of its page was answered with a result", host)
}

func formTypes(ctx context.Context, p *Probe) []Finding {
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		if !p.shoot(ctx, kind, setHeader("Content-Type", kind)).accepted() {
			continue
		}
		foreign := p.shoot(ctx, kind+" from a foreign page", func(r *http.Request) {
			fromPage(r)
			r.Header.Set("Content-Type", kind)
		})
		if foreign.accepted() && p.local() && p.open(ctx) {
			f := one(High, "a message of type %s with Origin: %s was answered with a result", kind, strangePage)
			f[0].Title = "any web page can make calls (CSRF)"
			return f
		}
		return one(0, "a message of type %s was answered with a result", kind)
	}
	return nil
}

func otherMethods(ctx context.Context, p *Probe) []Finding {
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		if p.shoot(ctx, method, func(r *http.Request) { r.Method = method }).accepted() {
			return one(0, "a message sent with %s was answered with a result", method)
		}
	}
	a := p.fire(ctx, http.MethodTrace, func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodTrace, http.NoBody, 0
		r.Header.Set("X-Mcpsec-Check", marker)
	})
	if a.status/100 == 2 && strings.Contains(string(a.body), marker) {
		return one(0, "TRACE repeated the request's headers")
	}
	return nil
}
