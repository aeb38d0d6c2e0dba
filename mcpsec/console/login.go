package console

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"html/template"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

const (
	cookieName  = "mcpsec-console"
	sessionTime = 12 * time.Hour
	maxSessions = 100
)

// guesses are how often the token may be tried from one address.
var guesses = state.Allowance{Limit: 10, Per: time.Minute}

// sessions are the browsers that have logged in, by a digest of their cookie.
type sessions struct {
	mu    sync.Mutex
	until map[[32]byte]time.Time
}

// open returns the cookie of a new session. The one that ends first makes room.
func (s *sessions) open(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = map[[32]byte]time.Time{}
	}
	var oldest [32]byte
	for id, end := range s.until {
		if end.Before(now) {
			delete(s.until, id)
		} else if first, ok := s.until[oldest]; !ok || end.Before(first) {
			oldest = id
		}
	}
	if len(s.until) >= maxSessions {
		delete(s.until, oldest)
	}
	value := rand.Text()
	s.until[sha256.Sum256([]byte(value))] = now.Add(sessionTime)
	return value
}

func (s *sessions) known(r *http.Request, now time.Time) bool {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.until[sha256.Sum256([]byte(cookie.Value))])
}

func (s *sessions) end(r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		delete(s.until, sha256.Sum256([]byte(cookie.Value)))
		s.mu.Unlock()
	}
}

// authenticated serves whoever has logged in, and leads others to where they can.
func (c *Console) authenticated(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case c.sessions.known(r, time.Now()):
			next(w, r)
		case r.Header.Get("X-Console-Live") != "":
			http.Error(w, "log in again", http.StatusUnauthorized)
		default:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		}
	}
}

type loginView struct{ Title, Problem string }

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, "login.html", loginView{Title: c.options.Title})
}

func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = "?" // a listener of another kind: all are one
	}
	if wait, err := c.attempts.Take(r.Context(), address, 1, guesses); err != nil || wait > 0 {
		w.WriteHeader(http.StatusTooManyRequests)
		c.render(w, r, "login.html", loginView{c.options.Title, "Too many attempts from this address: wait a minute."})
		return
	}
	got, want := sha256.Sum256([]byte(r.PostFormValue("token"))), sha256.Sum256([]byte(c.options.Token.Reveal()))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || c.options.Token.IsZero() {
		w.WriteHeader(http.StatusForbidden)
		c.render(w, r, "login.html", loginView{c.options.Title, "That is not the token."})
		return
	}
	http.SetCookie(w, c.cookie(r, c.sessions.open(time.Now()), int(sessionTime.Seconds())))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	c.sessions.end(r)
	http.SetCookie(w, c.cookie(r, "", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (c *Console) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || !local(hostname(r.Host)),
	}
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{"number": number}).ParseFS(assets, "*.html"))

// render shows a page, or nothing of it.
func (c *Console) render(w http.ResponseWriter, r *http.Request, name string, view any) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, view); err != nil {
		c.options.Errors.ErrorContext(r.Context(), "console: a page failed", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}
