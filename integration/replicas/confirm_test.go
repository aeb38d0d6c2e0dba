package replicas

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Keys of questions, put together so that they look like none elsewhere.
var (
	sealKey  = "q7Zt-mX2v_" + "Lr9Kc4Wd8" + "Jb3Ns6Ph1Fy5Tg0"
	otherKey = "v0Bx-kR8n_" + "Qm5Yh2Zc7" + "Lw4Td9Gj1Sf6Pa3"
)

const askMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}`

// erase calls a replica's tool that a person must confirm, with further members of
// the request, and returns the answer.
func erase(t *testing.T, r *replica, principal, key, members string) string {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"erase","arguments":{"key":"` + key + `"},` + members + askMeta + `}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.Address+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Authorization": {"Bearer " + principal},
		"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"erase"},
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// question takes the state out of an answer that asks.
func question(t *testing.T, answer string) string {
	t.Helper()
	var m struct {
		Result struct{ ResultType, RequestState string }
	}
	if err := json.Unmarshal([]byte(answer), &m); err != nil || m.Result.ResultType != "input_required" {
		t.Fatalf("does not ask: %s", answer)
	}
	return `"requestState":"` + m.Result.RequestState + `","inputResponses":{"confirm":{"action":"accept","content":{"confirm":true}}},`
}

// A person's yes to a question of one replica counts on any that has the key, when
// the one that has asked is dead too; once among all of them, however many get it at
// one moment; and not on a replica with another key.
func TestConfirmationAcrossReplicas(t *testing.T) {
	t.Parallel()
	all := newReplicas(t)
	yes := question(t, erase(t, all[0], "bob", "race", ""))
	var mu sync.Mutex
	outcomes := map[string]int{}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			answer := erase(t, all[i%replicas], "bob", "race", yes)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case strings.Contains(answer, `"status":"erased"`):
				outcomes["erased"]++
			case strings.Contains(answer, "was used already"):
				outcomes["used"]++
			default:
				outcomes[answer]++
			}
		})
	}
	wg.Wait()
	if outcomes["erased"] != 1 || outcomes["used"] != 11 {
		t.Errorf("got %v", outcomes)
	}

	yes = question(t, erase(t, all[0], "bob", "orphan", ""))
	all[0].Kill()
	if answer := erase(t, all[1], "bob", "orphan", yes); !strings.Contains(answer, `"status":"erased"`) {
		t.Errorf("the question of a replica that died: %s", answer)
	}
	all[0].Start(t)
	if answer := erase(t, all[0], "bob", "orphan", yes); !strings.Contains(answer, "was used already") {
		t.Errorf("used by another: %s", answer)
	}

	yes = question(t, erase(t, all[2], "bob", "rotated", ""))
	all[1].Kill()
	all[1].Env = append(all[1].Env, "REPLICA_SEAL="+otherKey) // the last one counts
	all[1].Start(t)
	if answer := erase(t, all[1], "bob", "rotated", yes); !strings.Contains(answer, "of a server with other keys") {
		t.Errorf("a replica with another key: %s", answer)
	}

	lines := ""
	for _, r := range all {
		b, err := os.ReadFile(filepath.Join(r.dir, "effects"))
		if err != nil {
			t.Fatal(err)
		}
		lines += string(b)
	}
	if strings.Count(lines, "race ") != 1 || strings.Count(lines, "orphan ") != 1 || strings.Contains(lines, "rotated ") {
		t.Errorf("effects:\n%s", lines)
	}
}
