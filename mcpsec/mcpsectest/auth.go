package mcpsectest

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

// auth takes a password. Over a connection without TLS it is gone already.
func (c *session) auth(rest string) error {
	mechanism, initial, given := strings.Cut(rest, " ")
	switch mechanism = strings.ToUpper(mechanism); {
	case !c.secure:
		c.s.blame("AUTH %.20q over a connection without TLS: the password can be read by all on the way", mechanism)
		return errors.Join(errEnd, c.reply("538 5.7.11 encryption required"))
	case !c.greeted || c.known || c.mail:
		return c.reply("503 5.5.1 bad sequence of commands")
	case mechanism == "PLAIN":
		return c.authPlain(initial, given)
	case mechanism == "LOGIN":
		return c.authLogin(initial, given)
	}
	return c.reply("504 5.5.4 unknown mechanism")
}

func (c *session) authPlain(initial string, given bool) error {
	if !given {
		var err error
		if initial, err = c.challenge(""); err != nil {
			return err
		}
	}
	text, _ := base64.StdEncoding.DecodeString(initial)
	parts := strings.Split(string(text), "\x00") // authorization, user, password: RFC 4616
	if len(parts) != 3 || parts[0] != "" && parts[0] != parts[1] {
		return c.reply("535 5.7.8 authentication failed")
	}
	return c.login(parts[1], parts[2])
}

func (c *session) authLogin(initial string, given bool) (err error) {
	if !given {
		if initial, err = c.challenge("Username:"); err != nil {
			return err
		}
	}
	password, err := c.challenge("Password:")
	if err != nil {
		return err
	}
	user, _ := base64.StdEncoding.DecodeString(initial)
	pass, _ := base64.StdEncoding.DecodeString(password)
	return c.login(string(user), string(pass))
}

func (c *session) challenge(text string) (string, error) {
	if err := c.reply("334 " + base64.StdEncoding.EncodeToString([]byte(text))); err != nil {
		return "", err
	}
	return c.line()
}

func (c *session) login(user, password string) error {
	if user != c.s.User || subtle.ConstantTimeCompare([]byte(password), []byte(c.s.Password)) != 1 {
		return c.reply("535 5.7.8 authentication failed")
	}
	c.known = true
	return c.reply("235 2.7.0 ok")
}
