package pbtool

import (
	"strings"
	"testing"
)

// What a rule says of guests and of a user. That the server says the same is
// TestAuditIsWhatTheServerDoes.
func TestJudge(t *testing.T) {
	t.Parallel()
	user := asker{"users", "_pb_users_auth_"}
	for rule, want := range map[string][2]verdict{
		"":                                   {always, always},
		"1=1":                                {always, always},
		"1=2":                                {never, never},
		"1 < 2 && 'a' = \"a\"":               {always, always},
		"'1' = 1":                            {sometimes, sometimes},
		"id != ''":                           {always, always},
		"id = ''":                            {never, never},
		"title != ''":                        {sometimes, sometimes},
		"@request.auth.id != ''":             {never, always},
		"@request.auth.id = ''":              {always, never},
		"@request.auth.id = null":            {always, never},
		"'' != @request.auth.id":             {never, always},
		"@request.auth.id:lower != ''":       {sometimes, sometimes},
		"@request.auth.verified != true":     {always, sometimes},
		"@request.auth.role = 'admin'":       {never, sometimes},
		"@request.auth.role != 'admin'":      {always, sometimes},
		"@request.auth.level > 3":            {never, sometimes},
		"author = @request.auth.id":          {sometimes, sometimes},
		"@request.auth.id ?!= ''":            {never, always},
		"@request.query.x = 'y'":             {sometimes, sometimes},
		"@request.auth.id != '' && 1=1":      {never, always},
		"@request.auth.id != '' || 1=1":      {always, always},
		"1=2 && 1=2 || 1=1":                  {always, always},
		"1=1 || 1=2 && 1=2":                  {always, always},
		"(1=1 || 1=2) && 1=2":                {never, never},
		"null = ''":                          {always, always},
		"NULL != 'x'":                        {always, always},
		"true = false":                       {never, never},
		"open = true":                        {sometimes, sometimes}, // a field has the name
		"geoDistance(1,2,lon,lat) < 3":       {sometimes, sometimes},
		"title ~ null":                       {never, never},
		"@request.auth.id != (1=1)":          {sometimes, sometimes}, // not understood
		"1=2 // \n || 1=1":                   {sometimes, sometimes},
		`'\' = '\'`:                          {sometimes, sometimes},
		strings.Repeat("1=2 || ", 600) + "1": {sometimes, sometimes},
		"@request.auth.collectionName = 'users' && @request.auth.collectionId = '_pb_users_auth_'": {never, always},
		"@request.auth.collectionName = 'staff'":                                                   {never, never},
	} {
		for i, v := range []asker{{}, user} {
			if got := judge(&rule, v, []string{"title", "true"}[:1], false); got != want[i] {
				t.Errorf("%s: got %d for %q, want %d", rule, got, v.collection, want[i])
			}
		}
	}
	if judge(nil, user, nil, false) != never {
		t.Error("a rule that is null lets somebody in")
	}
	one, id := "1 = true", "id != ''"
	if judge(&one, asker{}, []string{"True"}, false) != sometimes || judge(&id, asker{}, nil, true) != sometimes {
		t.Error("a field that is called true is taken for true, or an id for one that is there")
	}
}

func FuzzJudge(f *testing.F) {
	for _, s := range []string{"", "a = 1", "((a ?!~ 'x'))", "f(g(1,'2'),b) >= -1.5", "@collection.x:y.z:each = @now", "1=1 (2=2)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		ws, err := words(rule)
		if err == nil && strings.ContainsAny(strings.Join(ws, ""), " ()'\"") {
			t.Errorf("%q: words %q", rule, ws)
		}
		if err != nil && judge(&rule, asker{}, nil, false) != sometimes {
			t.Errorf("%q is judged, and not understood", rule)
		}
	})
}
