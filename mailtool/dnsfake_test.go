package mailtool

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/net/dns/dnsmessage"
)

// A zone is what a name server knows: by name, lines of "TXT text", "A address",
// "MX number host" and "CNAME name"; "SERVFAIL" alone is a failure, and "SILENT" no answer.
type zone map[string][]string

// resolver asks the zone, in the form that DNS has over TCP; integration/mailtool has
// servers.
func (z zone) resolver(asked *atomic.Int32) *net.Resolver {
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go z.serve(theirs, asked)
		return ours, nil
	}}
}

func (z zone) serve(c net.Conn, asked *atomic.Int32) {
	defer c.Close()
	for {
		var n [2]byte
		if _, err := io.ReadFull(c, n[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(n[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		if asked != nil {
			asked.Add(1)
		}
		b = z.answer(b)
		if b == nil {
			_, _ = io.Copy(io.Discard, c)
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
			return
		}
	}
}

func (z zone) answer(b []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	lines, ok := z[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	m.Header.Response, m.Header.RecursionAvailable, m.Additionals = true, true, nil
	if !ok {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, line := range lines {
		kind, value, _ := strings.Cut(line, " ")
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
		switch {
		case kind == "SILENT":
			return nil
		case kind == "SERVFAIL":
			m.RCode = dnsmessage.RCodeServerFailure
		case kind == "TXT" && q.Type == dnsmessage.TypeTXT:
			var parts []string
			for len(value) > 255 {
				parts, value = append(parts, value[:255]), value[255:]
			}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.TXTResource{TXT: append(parts, value)}})
		case kind == "A" && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: netip.MustParseAddr(value).As4()}})
		case kind == "MX" && q.Type == dnsmessage.TypeMX:
			pref, host, _ := strings.Cut(value, " ")
			n, _ := strconv.Atoi(pref)
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.MXResource{Pref: uint16(n), MX: dnsmessage.MustNewName(host)}})
		}
	}
	out, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return out
}

// with returns the zone with other lines for one name; without lines, it has the name no
// more.
func (z zone) with(name string, lines ...string) zone {
	out := zone{}
	for k, v := range z {
		out[k] = v
	}
	if out[name] = lines; len(lines) == 0 {
		delete(out, name)
	}
	return out
}
