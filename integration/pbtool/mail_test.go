//go:build !race

package pbtool

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// A sink takes mail and delivers none (RFC 5321).
type sink struct {
	t     *testing.T
	mails chan string
}

// mail has the server send its mail to a sink, and sign in by one-time codes, bob with
// two factors.
func (s *server) mail(t *testing.T) *sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	k := &sink{t, make(chan string, 100)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go k.serve(conn)
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	settings := s.app.Settings()
	settings.SMTP.Enabled, settings.SMTP.Host, settings.Meta.SenderAddress = true, "127.0.0.1", "pb@example.com"
	if settings.SMTP.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	if err := s.app.Save(settings); err != nil {
		t.Fatal(err)
	}
	s.users(func(u *core.Collection) {
		u.OTP.Enabled, u.OTP.Duration, u.OTP.Length = true, 300, 8
		u.MFA.Enabled, u.MFA.Duration, u.MFA.Rule = true, 300, "email = '"+bobEmail+"'"
		u.AuthAlert.Enabled = false
	})
	return k
}

func (s *server) users(change func(*core.Collection)) {
	s.t.Helper()
	u, err := s.app.FindCollectionByNameOrId("users")
	if err != nil {
		s.t.Fatal(err)
	}
	change(u)
	if err := s.app.Save(u); err != nil {
		s.t.Fatal(err)
	}
}

func (k *sink) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	say := func(line string) { _, _ = fmt.Fprint(conn, line+"\r\n") }
	say("220 sink")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " "); verb {
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for line, err = in.ReadString('\n'); err == nil && line != ".\r\n"; line, err = in.ReadString('\n') {
				b.WriteString(line)
			}
			k.mails <- strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(b.String())
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// wait returns what a pattern finds in the next mail.
func (k *sink) wait(pattern string) string {
	k.t.Helper()
	select {
	case m := <-k.mails:
		found := regexp.MustCompile(pattern).FindStringSubmatch(m)
		if found == nil {
			k.t.Fatalf("no %s in %s", pattern, m)
		}
		return found[1]
	case <-time.After(20 * time.Second):
		k.t.Fatal("no mail")
	}
	return ""
}

func (k *sink) none(why string) {
	k.t.Helper()
	select {
	case m := <-k.mails:
		k.t.Errorf("%s: %s", why, m)
	case <-time.After(200 * time.Millisecond):
	}
}

const (
	codeIn  = `\b([0-9]{8})\b`
	tokenIn = `/auth/confirm-[a-z-]+/(eyJ[A-Za-z0-9_.-]+)`
)

// onlyOwn has posts shown to their authors only.
func (s *server) onlyOwn() {
	s.t.Helper()
	posts, err := s.app.FindCollectionByNameOrId("posts")
	if err != nil {
		s.t.Fatal(err)
	}
	posts.ListRule = types.Pointer("@request.auth.id != '' && author = @request.auth.id")
	if err := s.app.Save(posts); err != nil {
		s.t.Fatal(err)
	}
	s.save("posts", map[string]any{"title": "ann's", "author": s.ann.Id}, map[string]any{"title": "bob's", "author": s.bob.Id})
}
