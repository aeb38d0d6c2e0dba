package mcpsec_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// dialAsking initializes an older session by hand whose client can ask.
func (f *fixture) dialAsking(t testing.TB) *raw {
	t.Helper()
	r := newRaw(t, f.serve(t, t.Context()))
	r.ask(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}`)
	r.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return r
}

const legacyRemove = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"remove","arguments":{"name":"ada"}}}`

// What a hostile client of the older protocol may answer. ID is that of the
// server's request.
func TestHostileElicitationAnswers(t *testing.T) {
	t.Parallel()
	const good = `{"jsonrpc":"2.0","id":ID,"result":{"action":"accept","content":{"confirm":true}}}`
	for name, tc := range map[string]struct {
		lines []string
		ran   int32
	}{
		"a yes":                   {[]string{good}, 1},
		"a yes, twice":            {[]string{good, good}, 1},
		"null":                    {[]string{`{"jsonrpc":"2.0","id":ID,"result":null}`}, 0},
		"nothing":                 {[]string{`{"jsonrpc":"2.0","id":ID,"result":{}}`}, 0},
		"a list":                  {[]string{`{"jsonrpc":"2.0","id":ID,"result":[]}`}, 0},
		"an error":                {[]string{`{"jsonrpc":"2.0","id":ID,"error":{"code":-1,"message":"accept"}}`}, 0},
		"action in capitals":      {[]string{`{"jsonrpc":"2.0","id":ID,"result":{"Action":"accept","content":{"confirm":true}}}`}, 0},
		"two actions":             {[]string{`{"jsonrpc":"2.0","id":ID,"result":{"action":"decline","Action":"accept","content":{"confirm":true}}}`}, 0},
		"a text in the box":       {[]string{`{"jsonrpc":"2.0","id":ID,"result":{"action":"accept","content":{"confirm":"true"}}}`}, 0},
		"boxes of two spellings":  {[]string{`{"jsonrpc":"2.0","id":ID,"result":{"action":"accept","content":{"confirm":true,"Confirm":true}}}`}, 0},
		"no, then yes":            {[]string{`{"jsonrpc":"2.0","id":ID,"result":{"action":"decline"}}`, good}, 0},
		"an answer and an error":  {[]string{`{"jsonrpc":"2.0","id":ID,"result":{"action":"accept","content":{"confirm":true}},"error":{"code":1,"message":"x"}}`, `{"jsonrpc":"2.0","id":ID,"result":{}}`}, 0},
		"a yes under another id":  {[]string{strings.Replace(good, "ID", `"ID"`, 1), strings.Replace(good, "ID", "99", 1), `{"jsonrpc":"2.0","id":ID,"result":{}}`}, 0},
		"a yes that is a request": {[]string{`{"jsonrpc":"2.0","id":ID,"method":"elicitation/create","params":{"action":"accept","content":{"confirm":true}}}`, `{"jsonrpc":"2.0","id":ID,"result":{}}`}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRemover(nil)
			f := newFixture(t, destroyMode, r.Tool)
			conn := f.dialAsking(t)
			id := requestID(t, conn.ask(legacyRemove))
			go func() { // answers and refusals cross
				for _, line := range tc.lines {
					conn.send(strings.ReplaceAll(line, "ID", id))
				}
				conn.send(`{"jsonrpc":"2.0","id":"end","method":"ping"}`)
			}()
			var answer string
			for ended := false; answer == "" || !ended; {
				line := conn.read()
				ended = ended || strings.Contains(line, `"id":"end"`)
				if strings.Contains(line, `"id":7,`) {
					answer = line
				}
			}
			if r.ran.Load() != tc.ran || (tc.ran == 0) != strings.Contains(answer, `"isError":true`) {
				t.Errorf("got %s, ran %d times", answer, r.ran.Load())
			}
		})
	}
}

func requestID(t testing.TB, line string) string {
	t.Helper()
	var req struct {
		ID     json.RawMessage
		Method string
	}
	if err := json.Unmarshal([]byte(line), &req); err != nil || req.Method != "elicitation/create" {
		t.Fatalf("not asked: %s", line)
	}
	return string(req.ID)
}

// An answer to a question that will be asked, under an id that can be guessed,
// is none.
func TestEarlyAnswersDoNotCount(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newFixture(t, destroyMode, r.Tool)
	conn := f.dialAsking(t)
	for _, id := range []string{"0", "1", "2", "3", `"1"`} {
		conn.send(`{"jsonrpc":"2.0","id":` + id + `,"result":{"action":"accept","content":{"confirm":true}}}`)
	}
	id := requestID(t, conn.ask(legacyRemove))
	if got := conn.ask(`{"jsonrpc":"2.0","id":` + id + `,"result":{"action":"decline"}}`); !strings.Contains(got, "said no") || r.ran.Load() != 0 {
		t.Errorf("got %s, ran %d times", got, r.ran.Load())
	}
}
