package mailtool

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// What a server does at a step instead of what it should.
const (
	hang = "hang" // it says nothing more
	drop = "drop" // it closes the connection
)

// A wire is a server that fails where it is told to. It notes all that it is told.
type wire struct {
	port int
	t    testing.TB
	cert tls.Certificate
	at   func(step string, n int) string // hang, drop, what it answers, or "" to do what it should; n counts the step from 1
	ext  []string                        // what it offers

	maxTLS uint16

	mu    sync.Mutex
	steps map[string]int
	lines []string // commands
	sent  []string // contents that it took
	live  map[net.Conn]bool
	ended *sync.Cond // of a connection
}

func newWire(t testing.TB, at func(step string, n int) string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := authority()
	w := &wire{port: ln.Addr().(*net.TCPAddr).Port, t: t, cert: cert, at: at, steps: map[string]int{}, ext: []string{"STARTTLS", "AUTH PLAIN LOGIN", "SIZE 1000000"}, live: map[net.Conn]bool{}}
	w.ended = sync.NewCond(&w.mu)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			w.note(conn, true)
			go func() {
				defer w.note(conn, false)
				defer conn.Close()
				w.serve(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		w.mu.Lock()
		for conn := range w.live {
			conn.Close()
		}
		w.mu.Unlock()
		w.wait()
	})
	return w
}

func (w *wire) note(conn net.Conn, live bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if live {
		w.live[conn] = true
	} else {
		delete(w.live, conn)
		w.ended.Broadcast()
	}
}

// wait waits until no connection is left.
func (w *wire) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.live) > 0 {
		w.ended.Wait()
	}
}

func (w *wire) contents() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.sent...)
}

// stepped is how often a step was reached.
func (w *wire) stepped(step string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.steps[step]
}

func (w *wire) commands() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

// step answers, and returns what it has said; of a connection that is over, nothing. A
// hung one lasts until the client ends it.
func (w *wire) step(conn net.Conn, in *bufio.Reader, step, ok string) string {
	say := w.does(step)
	switch say {
	case hang:
		_, _ = io.Copy(io.Discard, in)
		return ""
	case drop:
		return ""
	case "":
		say = ok
	}
	if _, err := conn.Write([]byte(say + "\r\n")); err != nil || strings.HasPrefix(say, "421") {
		return ""
	}
	return say
}

// answers are what a good server says.
var answers = map[string]string{"MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok", "RSET": "250 ok", "NOOP": "250 ok"}

func (w *wire) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	if w.step(conn, in, "connect", "220 localhost") == "" {
		return
	}
	secure := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		w.mu.Lock()
		w.lines = append(w.lines, line)
		w.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		step, ok := verb+secure, answers[verb]
		switch verb {
		case "EHLO":
			ok = "250-localhost\r\n250-" + strings.Join(w.ext, "\r\n250-") + "\r\n250 8BITMIME"
		case "STARTTLS":
			ok = "220 go"
		case "AUTH":
			step, ok = "AUTH", "235 2.7.0 ok"
		case "DATA":
			step, ok = verb, "354 go"
		case "MAIL", "RCPT", "RSET", "NOOP":
			step = verb
		case "QUIT":
			return
		default:
			ok = "500 what?"
		}
		said := w.step(conn, in, step, ok)
		switch {
		case said == "":
			return
		case verb == "STARTTLS" && said == ok:
			if w.does("handshake") == hang {
				_, _ = io.Copy(io.Discard, conn)
				return
			}
			t := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{w.cert}, MinVersion: tls.VersionTLS10, MaxVersion: w.maxTLS})
			conn, in, secure = t, bufio.NewReader(t), "+"
		case verb == "DATA" && said == ok && w.took(conn, in):
			return
		}
	}
}

// does is what the server is told to do at a step at which it says nothing.
func (w *wire) does(step string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps[step]++
	if w.at == nil {
		return ""
	}
	return w.at(step, w.steps[step])
}

// took reads a content, and reports whether the connection is over. It takes lines that end
// with LF, too, as careless servers do.
func (w *wire) took(conn net.Conn, in *bufio.Reader) bool {
	switch w.does("content") {
	case hang:
		_, _ = io.Copy(io.Discard, in)
		return true
	case drop:
		return true
	}
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return true
		}
		if strings.TrimRight(line, "\r\n") == "." {
			break
		}
		b.WriteString(line)
	}
	w.mu.Lock()
	w.sent = append(w.sent, b.String())
	w.mu.Unlock()
	return w.step(conn, in, "end", "250 2.0.0 taken") == ""
}

// credential is how AUTH PLAIN says who we are.
var credential = base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
