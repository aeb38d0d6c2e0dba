package pbtool

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type logsIn struct {
	MinLevel int    `json:"min_level" validate:"min=-10,max=100"`
	Since    string `json:"since" validate:"max=24"`
	Limit    int    `json:"limit" validate:"min=0,max=200"`
	Page     int    `json:"page" validate:"min=0,max=1000"`
}

// query are the parameters of a request for logs. There is no search for a text: it
// would be one for what is not shown.
func (in logsIn) query() (url.Values, error) {
	level, err := Bind("level >= {:v}", map[string]any{"v": in.MinLevel})
	if err == nil && in.Since != "" {
		if !dateText().MatchString(in.Since) {
			return nil, badArgument(fmt.Errorf("since must be a date as 2026-01-31 23:59:59.000Z"))
		}
		var since Filter
		since, err = Bind("created >= {:v}", map[string]any{"v": in.Since})
		level = level.And(since)
	}
	return url.Values{"filter": {level.text}, "sort": {"-created"}, "perPage": {fmt.Sprint(or(in.Limit, 50))}, "page": {fmt.Sprint(max(in.Page, 1))}, "skipTotal": {"1"}}, err
}

func (m *admin) logsTool() *mcpsec.Tool {
	spec := m.spec("pb_logs", "Show PocketBase's log, newest first: time, level (-4 debug, 0 info, 4 warning, 8 error), message; of requests method, path, status, milliseconds.", mcpsec.Read)
	spec.InputSchema = schemaOf(``, `"min_level":{"type":"integer"}`, `"since":{"type":"string"}`, `"limit":{"type":"integer","maximum":200}`, pageProperty)
	return mcpsec.NewTool(spec, func(ctx context.Context, in logsIn) (mcpsec.Content, error) {
		v, err := in.query()
		if err != nil {
			return mcpsec.Content{}, err
		}
		body, err := m.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"logs"}, query: v})
		if err != nil {
			return mcpsec.Content{}, err
		}
		var said struct {
			Items []logEntry `json:"items"`
		}
		if json.Unmarshal(body, &said) != nil {
			return mcpsec.Content{}, errAnswer
		}
		var out []string
		for _, e := range said.Items {
			out = append(out, e.line())
		}
		return lines(out, len(out) == or(in.Limit, 50))
	})
}

// A logEntry has what is shown of one: not addresses, not who it was, not what an
// error or a hook has quoted.
type logEntry struct {
	Created string `json:"created"`
	Level   int    `json:"level"`
	Message string `json:"message"`
	Data    struct {
		Type   any `json:"type"`
		Method any `json:"method"`
		URL    any `json:"url"`
		Status any `json:"status"`
		Millis any `json:"execTime"`
	} `json:"data"`
}

var (
	logMethod = lazy.Regexp(`^[A-Z]{3,10}$`)
	logQuery  = lazy.Regexp(`[?#]\S*`)
)

const maxMessage = 200

func (e logEntry) line() string {
	method, _ := e.Data.Method.(string)
	path, _ := e.Data.URL.(string)
	text := e.Message
	if e.Data.Type == "request" && logMethod().MatchString(method) {
		status, _ := e.Data.Status.(float64)
		millis, _ := e.Data.Millis.(float64)
		text = fmt.Sprintf("%s %s %.0f %.0fms", method, path, status, millis)
	}
	text = logQuery().ReplaceAllString(text, "?…")
	if r := []rune(text); len(r) > maxMessage {
		text = string(r[:maxMessage]) + "…"
	}
	return fmt.Sprintf("%s %d %s", e.Created, e.Level, strings.Join(strings.Fields(text), " "))
}

const maxHours = 200

func (m *admin) logStatsTool() *mcpsec.Tool {
	spec := m.spec("pb_log_stats", "Count PocketBase's log entries by the hour, newest first. min_level and since are as in pb_logs.", mcpsec.Read)
	spec.InputSchema = schemaOf(``, `"min_level":{"type":"integer"}`, `"since":{"type":"string"}`)
	return mcpsec.NewTool(spec, func(ctx context.Context, in logsIn) (mcpsec.Content, error) {
		v, err := in.query()
		if err != nil {
			return mcpsec.Content{}, err
		}
		body, err := m.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"logs", "stats"}, query: url.Values{"filter": v["filter"]}})
		if err != nil {
			return mcpsec.Content{}, err
		}
		var said []struct {
			Date  string `json:"date"`
			Total int    `json:"total"`
		}
		if json.Unmarshal(body, &said) != nil {
			return mcpsec.Content{}, errAnswer
		}
		var out []string
		slices.Reverse(said)
		for _, h := range said[:min(len(said), maxHours)] {
			out = append(out, fmt.Sprintf("%s: %d", h.Date, h.Total))
		}
		return lines(out, len(said) > maxHours)
	})
}
