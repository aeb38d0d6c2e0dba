package hostile

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A mutator makes messages and damages them. Each holds its marker wherever a
// value can be, but as an id, which the protocol repeats.
type mutator struct {
	*rand.Rand
	marker string
}

// Messages are trees that can be written in wrong ways, too.
type (
	member struct {
		name  string
		value any
	}
	members []member // an object, whose names may occur twice
	raw     string   // is written as it is
)

func write(b *strings.Builder, v any) {
	switch v := v.(type) {
	case members:
		b.WriteByte('{')
		for i, m := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, m.name)
			b.WriteByte(':')
			write(b, m.value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, e)
		}
		b.WriteByte(']')
	case raw:
		b.WriteString(string(v))
	default:
		j, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		b.Write(j)
	}
}

func (m *mutator) pick(of ...string) string { return of[m.IntN(len(of))] }

func (m *mutator) one(in int) bool { return m.IntN(in) == 0 }

// params of a method that is chosen, and the name in them.
func (m *mutator) params() (method, name string, params members) {
	switch m.IntN(10) {
	case 0, 1, 2:
		name = m.pick("order_get", "note_add", "orders_delete", "broken", "panics", "config", "slow", "unknown")
		args := map[string]members{
			"order_get": {{"id", m.pick("1", "2", "3")}}, "note_add": {{"text", m.marker}},
			"orders_delete": {{"ids", []any{1, 2}}, {"why", m.marker}, {"flags", members{{"a", m.marker[:8]}}}},
		}[name]
		return "tools/call", name, members{{"name", name}, {"arguments", args}}
	case 3:
		name = m.pick("review", "review", "admin", "unknown")
		return "prompts/get", name, members{{"name", name}, {"arguments", members{{"language", m.pick("go", "perl")}, {"code", m.pick(m.marker, "fail")}}}}
	case 4, 5:
		name = m.uri()
		return "resources/read", name, members{{"uri", name}}
	case 6:
		ref := members{{"type", "ref/prompt"}, {"name", m.pick("review", "admin", "unknown")}}
		if m.one(3) {
			ref = members{{"type", "ref/resource"}, {"uri", m.pick("orders://{id}", "docs:///{+path}")}}
		}
		return "completion/complete", "", members{{"ref", ref}, {"argument", members{{"name", m.pick("language", "code", "id", "path", m.marker)}, {"value", m.pick("g", "fail", m.marker)}}}}
	case 7:
		return "initialize", "", members{{"protocolVersion", m.pick("2025-11-25", "2024-11-05", "1900-01-01")}, {"capabilities", members{{"elicitation", members{}}}}, {"clientInfo", members{{"name", m.marker}, {"version", "1"}}}}
	case 8:
		return m.pick("resources/subscribe", "resources/unsubscribe", "logging/setLevel", "sampling/createMessage", "roots/list", "notifications/cancelled", "notifications/progress", "notifications/initialized", m.marker), "", members{{"uri", "orders://1"}, {"level", "debug"}, {"requestId", 1}}
	}
	return m.pick("ping", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "server/discover"), "", members{}
}

func (m *mutator) uri() string {
	path := m.pick("guide.md", ".env", "link.txt", "../outside.txt", "..%2foutside.txt", "%2e%2e/outside.txt", "..\\outside.txt", "a/../../outside.txt",
		"guide.md%00", "guide.md\x00.txt", "//outside.txt", "%c0%ae%c0%ae/outside.txt", "\u202egnp.txt", "guide.md?x="+m.marker, "guide.md#"+m.marker, m.marker, "/proc/self/environ", "...", "%25%32%65")
	return m.pick("orders://1", "orders://2", "orders://%31", "orders://1/..", "orders://"+m.marker, "docs:///"+path, "docs:///"+path, "docs:///"+path, "file:///etc/passwd", "DOCS:///guide.md", "admin://x")
}

// message returns a message in either era, its headers by which proxies decide,
// and possibly an answer that nobody has asked for.
func (m *mutator) message() (headers []string, msg members) {
	method, name, params := m.params()
	if m.one(6) {
		params = append(params, member{"requestState", m.pick(m.marker, strings.Repeat("A", 4000), "eyJhbGciOiJub25lIn0")})
		params = append(params, member{"inputResponses", members{{"confirm", members{{"action", "accept"}, {"content", members{{"confirm", true}}}}}}})
	}
	var meta members
	if version := "2025-11-25"; m.one(2) {
		if version = "2026-07-28"; m.one(10) {
			version = m.pick("2099-01-01", m.marker)
		}
		meta = members{{"io.modelcontextprotocol/protocolVersion", version}, {"io.modelcontextprotocol/clientInfo", members{{"name", m.marker}, {"version", "1"}}},
			{"io.modelcontextprotocol/clientCapabilities", members{{"elicitation", members{{"form", members{}}}}}}}
		headers = []string{"Mcp-Protocol-Version: " + version, "Mcp-Method: " + clean(method)}
		if name != "" {
			headers = append(headers, "Mcp-Name: "+clean(name))
		}
	} else {
		headers = []string{"Mcp-Protocol-Version: " + version}
	}
	if m.one(5) {
		meta = append(meta, member{"progressToken", 7})
	}
	if meta != nil {
		params = append(params, member{"_meta", meta})
	}
	msg = members{{"jsonrpc", "2.0"}, {"id", 1 + m.IntN(1e6)}, {"method", method}, {"params", params}}
	if strings.HasPrefix(method, "notifications/") {
		msg = slices.Delete(msg, 1, 2)
	}
	return headers, msg
}

// clean makes of a value what fits into a header's line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, s)
}

// A slot is a place in a tree where something else can be put.
type slot struct {
	at   *any
	name string // of the member; none in an array
}

func slots(v any, found []slot) []slot {
	switch v := v.(type) {
	case members:
		for i := range v {
			found = slots(v[i].value, append(found, slot{&v[i].value, v[i].name}))
		}
	case []any:
		for i := range v {
			found = slots(v[i], append(found, slot{&v[i], ""}))
		}
	}
	return found
}

// oddID is one without a marker, since it may be repeated.
func (m *mutator) oddID() any {
	return []any{raw("2.7"), raw("1e3"), nil, -1, "a\u202eb", strings.Repeat("i", 257), raw(`"\u0061"`), members{}, raw("9007199254740992")}[m.IntN(9)]
}

func (m *mutator) odd() any {
	deep := 1 + m.IntN(3000)
	q := `"` + m.marker
	return []any{
		nil, true, -1, 0, 1e308, raw("1e999"), raw("-0"), raw("1.0"), raw("9007199254740993"), raw("18446744073709551616"), raw(strings.Repeat("9", 400)), raw("1E400"),
		raw("NaN"), raw("01"), raw("+1"), raw("'" + m.marker + "'"), raw(""), raw("/**/1"), raw(q), raw(q + `\ud800"`), raw(q + `\u0000"`), raw(q + "\x00\""), raw(q + "\xff\xfe\""), raw(q + "\xc0\xae\""), raw(q + `\x"`),
		m.marker, m.marker + "\u202e\u200b\ufeff", m.marker + "\r\nX-Injected: 1", "", strings.Repeat(m.marker, 1+m.IntN(300)), strings.Repeat("é", 1+m.IntN(20_000)),
		members{}, []any{}, members{{m.marker, m.marker}}, []any{m.marker, members{{m.marker, 1}}}, raw(strings.Repeat("[", deep) + strings.Repeat("]", deep)), raw(strings.Repeat(`{"a":`, deep)),
		members{{"__proto__", members{{"admin", true}}}}, members{{"$ref", "file:///etc/passwd"}}, "${jndi:ldap://x/" + m.marker + "}", "' OR 1=1 --" + m.marker, "\x1b[2J" + m.marker,
		raw("[" + strings.Repeat("1,", m.IntN(5000)) + "1]"),
	}[m.IntN(40)]
}

// body writes a message, mostly with damage.
func (m *mutator) body(msg members) string {
	var b strings.Builder
	if m.one(3) {
		write(&b, msg)
		return b.String()
	}
	places := slots(msg, nil)
	for range m.IntN(3) {
		s := places[m.IntN(len(places))]
		if s.name == "id" || s.name == "progressToken" {
			*s.at = m.oddID()
		} else {
			*s.at = m.odd()
		}
	}
	switch i := m.IntN(len(msg)); m.IntN(12) {
	case 0:
		msg = append(msg, msg[i])
	case 1:
		msg = append(msg, member{m.pick(m.marker, "Method", "ID", "result", "error", "\u0000", "params\u200b"), m.odd()})
	case 2:
		msg = slices.Delete(slices.Clone(msg), i, i+1)
	}
	write(&b, msg)
	s := b.String()
	switch m.IntN(16) {
	case 0:
		return "[" + s + "," + s + "]"
	case 1:
		return s[:m.IntN(len(s))]
	case 2:
		return s + m.pick("x", s, "{}", "\x00", "\n\n", "]")
	case 3:
		at := m.IntN(len(s))
		return s[:at] + string(rune(m.IntN(256))) + s[at+1:]
	case 4:
		return m.pick("\ufeff", " \n\t", "\x00", "//x\n", ")]}'\n") + s
	case 5:
		return strings.Replace(s, `"method"`, m.pick(`"m\u0065thod"`, `"METHOD"`, `'method'`, "method"), 1)
	}
	return s
}

// An attack is a request, as bytes that may be none.
type attack struct {
	kind  string
	bytes []byte
	// mustFail: nothing may be done, not even what it asks for properly.
	mustFail bool
	// hangUp: the client sends no more, and the server need not answer.
	hangUp bool
}

const marks = "zq"

// attack makes the nth attack: the seed and n decide what it is.
func (p *process) attack(seed uint64, n int, mallory, alice string) attack {
	m := &mutator{rand.New(rand.NewPCG(seed, uint64(n))), fmt.Sprintf("%s%08xqz", marks, uint32(n)*2654435761)}
	headers, msg := m.message()
	good := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"note_add","arguments":{"text":"` + m.marker + `"}}}`
	switch m.IntN(8) {
	case 0: // a good message with a bad token
		return attack{"token", m.request("/mcp", append(m.standard(""), m.badToken(p)), good), true, false}
	case 1, 2: // alice's own message, lured here
		return m.lured(good, alice)
	case 3: // no HTTP any more
		b := m.request("/mcp", append(append(m.standard(""), headers...), "Authorization: Bearer "+mallory), m.body(msg))
		for range 1 + m.IntN(4) {
			b[m.IntN(min(len(b), 700))] = byte(m.IntN(256))
		}
		return attack{"bytes", b, false, true}
	}
	h := append(append(m.standard(""), headers...), "Authorization: Bearer "+mallory)
	if m.one(4) {
		h = m.oddHeaders(h)
	}
	return attack{"message", m.request("/mcp", h, m.body(msg)), false, false}
}

// standard are the headers of a good request, without those of one name.
func (m *mutator) standard(but string) []string {
	h := []string{"Host: localhost", "Content-Type: application/json", "Accept: application/json, text/event-stream", "Connection: close"}
	return slices.DeleteFunc(h, func(l string) bool { return but != "" && strings.HasPrefix(l, but) })
}

func (m *mutator) request(path string, headers []string, body string) []byte {
	if m.one(10) {
		body = fmt.Sprintf("%x;%s\r\n%s\r\n0\r\nX-Trailer: %s\r\n\r\n", len(body), m.marker, body, m.marker)
		headers = append(headers, "Transfer-Encoding: chunked")
	} else {
		headers = append(headers, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return []byte("POST " + path + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body)
}

func (m *mutator) badToken(p *process) string {
	token := p.forged(m.Rand, m.marker)
	return m.pick("Authorization: Bearer ", "Authorization: Bearer ", "Authorization: Bearer ", "authorization: bearer ", "Authorization: Basic ", "Authorization: Bearer  ",
		"Proxy-Authorization: Bearer ", "Authorization: Bearer \xff", "Authorization: Bearer \t", "Cookie: access_token=", "Authorization: Bearer null\r\nAuthorization: Bearer ") + token
}

// oddHeaders adds what confuses servers.
func (m *mutator) oddHeaders(h []string) []string {
	return append(h, m.pick(
		"Content-Type: text/plain", "Content-Encoding: gzip", "Accept: text/html", "Expect: "+m.marker, "Mcp-Protocol-Version: "+m.marker, "Mcp-Name: "+m.marker, "Mcp-Method: "+m.marker,
		"Mcp-Session-Id: "+m.marker, "Last-Event-Id: "+m.marker, "X-Forwarded-For: "+m.marker, "X-Http-Method-Override: DELETE", "X-Original-Url: /healthz", "X-"+m.marker+": "+strings.Repeat("x", m.IntN(30_000)),
		strings.TrimSuffix(strings.Repeat("A: "+m.marker+"\r\n", 1+m.IntN(300)), "\r\n"), "Cookie: "+strings.Repeat(m.marker, 100), "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk", "Accept: "+strings.Repeat("a/b;q=0.1,", m.IntN(500)),
		"Sec-Fetch-Site: none", "Access-Control-Request-Method: DELETE", "Range: bytes=0-1", "Mcp-Param-X: "+m.marker, "Te: trailers", "Trailer: Authorization", "Authorization: Bearer "+m.marker))
}

// lured is alice's own good request as it must not come: from a stranger's page,
// to another name or path, by another method, or in a body that two readers
// would end in different places.
func (m *mutator) lured(good, alice string) attack {
	path, h := "/mcp", append(m.standard(""), "Authorization: Bearer "+alice)
	a := attack{kind: "lured", mustFail: true}
	switch m.IntN(8) {
	case 0:
		h = append(h, "Origin: "+m.pick("https://"+m.marker+".example.com", "null", page+".evil.example", page+":444", "http://chat.example.com", page+" "+page, "https://CHAT.example.com", "\xff"))
	case 1:
		h = append(m.standard("Host"), "Authorization: Bearer "+alice, "Host: "+m.pick(m.marker+".example.com", "localhost.evil.example", "", "localhost@evil.example", "[::1", "127.0.0.1.nip.io", "localhost:80a", "localhost/", "loca\xc5\x82host", "127.1", "2130706433", "orders.example.com."))
	case 2:
		path = m.pick("/", "/MCP", "/mcp/", "//mcp", "/./mcp", "/x/../mcp", "/%6dcp", "/mcp%00", "/mcp;x", "/mcp%2f", "/mcp?"+m.marker, "/mcp?access_token="+m.marker, "/mcp?", "/mcp#"+m.marker, "*", "/"+m.marker, "/healthz", "/.well-known/oauth-protected-resource/mcp", "http://"+m.marker+".example.com/mcp", "/mcp\xff", "/sse", "/message")
	case 3:
		a.bytes = []byte(m.pick("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "post", "POST\x00", strings.ToUpper(m.marker), "PRI") + " /mcp HTTP/" + m.pick("1.1", "1.0", "2.0", "1.1x") + "\r\n" + strings.Join(h, "\r\n") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(good), good))
		return a
	case 4:
		h = append(h, "Sec-Fetch-Site: "+m.pick("cross-site", "same-site", m.marker))
	default:
		return m.smuggled(good, h)
	}
	a.bytes = m.request(path, h, good)
	return a
}

// smuggled hides alice's request in the body of one that must be refused.
func (m *mutator) smuggled(good string, h []string) attack {
	h = slices.DeleteFunc(h, func(l string) bool { return l == "Connection: close" })
	hidden := string(m.request("/mcp", append(slices.Clone(h), "Connection: close"), good))
	n := len(hidden)
	framing := m.pick(
		fmt.Sprintf("Content-Length: %d\r\nContent-Length: 0", n), fmt.Sprintf("Content-Length: 0, %d", n), fmt.Sprintf("Content-Length: +%d", n), "Content-Length: 0x10", "Content-Length: -1", "Content-Length: 1e1",
		"Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding : chunked", "Transfer-Encoding\x00: chunked",
		fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked", n), fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d", n), "Content-Length: 99999999999999999999")
	body := hidden
	if strings.Contains(framing, "Transfer-Encoding: chunked") {
		body = "0\r\n\r\n" + hidden
	}
	return attack{"smuggled", []byte("POST /mcp HTTP/1.1\r\n" + strings.Join(h, "\r\n") + "\r\n" + framing + "\r\n\r\n" + body), true, true}
}
