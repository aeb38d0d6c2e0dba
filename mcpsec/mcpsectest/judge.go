package mcpsectest

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"net/mail"
	"net/textproto"
	"strings"
)

// judge compares a message's envelope, those in it that were refused included, with
// what its header tells a reader.
func (s *SMTPServer) judge(m Mail, refused []string) {
	header, err := readHeader(m.Data)
	if err != nil {
		s.blame("a message has a header that cannot be read")
		return
	}
	for name := range header {
		switch fold(strings.TrimSpace(name)) {
		case "bcc", "resent-bcc":
			s.blame("a message has a header %.20s: whoever gets it reads whom it hides", name)
		}
	}
	named, err := recipients(header)
	if err != nil {
		s.blame("a message has a To or Cc that cannot be read")
		return
	}
	got := map[string]bool{}
	for _, to := range append(refused, m.To...) {
		got[fold(to)] = true
		if !named[fold(to)] && !s.hidden[fold(to)] {
			s.blame("the envelope has the recipient %.200q, whom neither To nor Cc names", to)
		}
	}
	for to := range named {
		if !got[to] {
			s.blame("To or Cc names %.200q, who is not in the envelope", to)
		}
	}
}

// readHeader reads the header of a message. A message without a body is one, too.
func readHeader(data []byte) (mail.Header, error) {
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(data))).ReadMIMEHeader()
	if err == io.EOF && len(h) > 0 {
		err = nil
	}
	return mail.Header(h), err
}

// Names may be in any charset: they are not looked at.
var addresses = mail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: func(_ string, in io.Reader) (io.Reader, error) { return in, nil }}}

// recipients are the addresses of every To and Cc there is.
func recipients(h mail.Header) (map[string]bool, error) {
	named := map[string]bool{}
	for _, name := range []string{"To", "Cc"} {
		for _, text := range h[name] {
			list, err := addresses.ParseList(text)
			if err != nil && strings.TrimSpace(text) != "" {
				return nil, err
			}
			for _, a := range list {
				named[fold(a.Address)] = true
			}
		}
	}
	return named, nil
}
