package schema

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestForm(t *testing.T) {
	t.Parallel()
	type form struct {
		Name  string   `json:"name" validate:"required,max=40" jsonschema:"your name" default:"Ada"`
		Mail  string   `json:"mail" validate:"omitempty,email,max=80"`
		Age   int      `json:"age" validate:"min=0,max=150" default:"30"`
		Score float64  `json:"score" validate:"min=0.5,max=9.5" default:"1.5"`
		Sure  bool     `json:"sure" default:"true"`
		Size  string   `json:"size" validate:"required,oneof=s m l" default:"m"`
		Named string   `json:"named" validate:"required,oneof=a b" titles:"One|Two"`
		Old   string   `json:"old" validate:"required,oneof=a b" enumNames:"One|Two"`
		Some  []string `json:"some" validate:"min=1,max=2,dive,oneof=a b"`
		Many  []string `json:"many" validate:"min=1,max=2,dive,oneof=a b" titles:"One|Two"`
	}
	_, raw, err := Form(reflect.TypeFor[form]())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"object","properties":{` +
		`"name":{"type":"string","description":"your name","default":"Ada","minLength":1,"maxLength":40},` +
		`"mail":{"type":"string","maxLength":80,"format":"email"},` +
		`"age":{"type":"integer","default":30,"minimum":0,"maximum":150},` +
		`"score":{"type":"number","default":1.5,"minimum":0.5,"maximum":9.5},` +
		`"sure":{"type":"boolean","default":true},` +
		`"size":{"type":"string","default":"m","enum":["s","m","l"]},` +
		`"named":{"type":"string","oneOf":[{"const":"a","title":"One"},{"const":"b","title":"Two"}]},` +
		`"old":{"type":"string","enum":["a","b"],"enumNames":["One","Two"]},` +
		`"some":{"type":"array","items":{"type":"string","enum":["a","b"]},"minItems":1,"maxItems":2},` +
		`"many":{"type":"array","items":{"anyOf":[{"const":"a","title":"One"},{"const":"b","title":"Two"}]},"minItems":1,"maxItems":2}},` +
		`"required":["name","score","size","named","old","some","many"]}`
	var got, exp any
	if json.Unmarshal(raw, &got) != nil || json.Unmarshal([]byte(want), &exp) != nil || !reflect.DeepEqual(got, exp) {
		t.Errorf("got\n%s\nwant\n%s", raw, want)
	}
}

// What a form could not show as it is checked, or must not ask for, is refused.
// (ELI-01)
func TestFormRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		typ  any
		want string
	}{
		"no struct": {"", "must be a struct"},
		"empty":     {struct{}{}, "needs a field"},
		"nested":    {struct{ A struct{ B string } }{}, "strings, numbers, booleans"},
		"list":      {struct{ L []string }{}, "must be of choices"},
		"numbers":   {struct{ L []int }{}, "must be of choices"},
		"bytes":     {struct{ B []byte }{}, "cannot show this rule"},
		"a map": {struct {
			M map[string]string `validate:"max=2,dive,keys,max=3,endkeys,max=3"`
		}{}, "strings, numbers, booleans"},
		"raw": {struct {
			R json.RawMessage `mcpsec:"any"`
		}{}, "cannot show this rule"},
		"pattern": {struct {
			S string `validate:"alphanum,max=3"`
		}{}, "cannot show this rule"},
		"format": {struct {
			S string `validate:"uuid"`
		}{}, "cannot show the format"},
		"numbers to choose": {struct {
			N int `validate:"oneof=1 2"`
		}{}, "strings, numbers, booleans"},
		"logged": {struct {
			S string `mcpsec:"log"`
		}{}, "the input itself"},
		"password": {struct{ Password string }{}, "no place for a secret"},
		"token": {struct {
			S string `json:"apiToken"`
		}{}, "no place for a secret"},
		"pin": {struct {
			S string `json:"card_pin"`
		}{}, "no place for a secret"},
		"default of another type": {struct {
			N int `default:"x"`
		}{}, "no value of the field"},
		"default over the bound": {struct {
			N int `validate:"max=3" default:"4"`
		}{}, "no value of the field"},
		"default of no choice": {struct {
			S string `validate:"oneof=a b" default:"c"`
		}{}, "no value of the field"},
		"default of a list": {struct {
			L []string `validate:"dive,oneof=a b" default:"a"`
		}{}, "has no default"},
		"too few titles": {struct {
			S string `validate:"oneof=a b" titles:"A"`
		}{}, "2 values and 1 titles"},
		"titles of nothing": {struct {
			S string `titles:"A"`
		}{}, "for the values of oneof"},
		"two sorts of titles": {struct {
			S string `validate:"oneof=a b" titles:"A|B" enumNames:"A|B"`
		}{}, "not beside titles"},
	} {
		if _, _, err := Form(reflect.TypeOf(tc.typ)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, typ := range []any{struct {
		S string `default:"a"`
	}{}, struct {
		S string `validate:"oneof=a" titles:"A"`
	}{}} {
		if _, err := Input(reflect.TypeOf(typ)); err == nil || !strings.Contains(err.Error(), "for the forms of Elicit") {
			t.Errorf("as an input: got %v", err)
		}
	}
}

func TestSecretive(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"password", "newPassword", "PASSWORD", "user_passwd", "client_secret", "clientSecret", "api-key", "apiKey", "API_KEY", "access_token", "otp", "pin", "cardPin",
		"cvv", "card.number", "ssn", "private_key", "seed phrase", "credentials", "pwd",
	} {
		if !Secretive(name) {
			t.Errorf("%s passes", name)
		}
	}
	for _, name := range []string{"name", "pinned", "opinion", "shipping", "spinner", "keyboard", "monkey", "passenger", "compass", "apiVersion", "lesson", "adopt"} {
		if Secretive(name) {
			t.Errorf("%s is refused", name)
		}
	}
}

// A member stands in a header only if it fits and is no secret. (TOOL-08)
func TestHeaders(t *testing.T) {
	t.Parallel()
	p, err := Input(reflect.TypeFor[struct {
		Region string `json:"region" mcpsec:"header=Region"`
		Level  int    `json:"level" mcpsec:"header=Log-Level"`
		Other  string `json:"other"`
	}]())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Headers(); len(got) != 2 || got["region"] != "Region" || got["level"] != "Log-Level" {
		t.Errorf("got %v", got)
	}
	if b, err := json.Marshal(p.Schema.Properties["region"]); err != nil || !strings.Contains(string(b), `"x-mcp-header":"Region"`) {
		t.Errorf("got %s, %v", b, err)
	}
	for name, tc := range map[string]struct {
		typ  any
		want string
	}{
		"a secret": {struct {
			T string `json:"token" mcpsec:"header=Region"`
		}{}, "speaks of a secret"},
		"a secret's header": {struct {
			R string `json:"r" mcpsec:"header=Api-Key"`
		}{}, "speaks of a secret"},
		"no name": {struct {
			R string `mcpsec:"header="`
		}{}, "name of a header"},
		"a bad name": {struct {
			R string `mcpsec:"header=A B"`
		}{}, "name of a header"},
		"a line end": {struct {
			R string "mcpsec:\"header=A\\r\\nB\""
		}{}, "name of a header"},
		"twice": {struct {
			R string `json:"r" mcpsec:"header=Region"`
			S string `json:"s" mcpsec:"header=region"`
		}{}, "another member"},
		"a number with a point": {struct {
			R float64 `mcpsec:"header=Region"`
		}{}, "only a string"},
		"a list": {struct {
			R []string `mcpsec:"header=Region"`
		}{}, "only a string"},
		"nested": {struct {
			A struct {
				R string `mcpsec:"header=Region"`
			}
		}{}, "the input itself"},
	} {
		if _, err := Input(reflect.TypeOf(tc.typ)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
