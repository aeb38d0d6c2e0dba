package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// refuses calls Load for a T that is wrong, with an environment that is empty.
func refuses[T any](t *testing.T, prefix, want string) {
	t.Helper()
	for how, try := range map[string]func(){
		"Load":  func() { _, _ = config.LoadFrom[T](prefix, nil) },
		"Usage": func() { config.Usage[T](prefix) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "config: ") || !strings.Contains(got, want) {
					t.Errorf("%s: got %q, want %q", how, got, want)
				}
			}()
			try()
		}()
	}
}

type named redact.Secret

func TestWrongProgram(t *testing.T) {
	t.Parallel()
	type ok struct {
		A int `env:"A"`
	}
	refuses[int](t, "T_", "is not a struct")
	refuses[*ok](t, "T_", "is not a struct")
	refuses[ok](t, "T", "prefix")
	refuses[ok](t, "t_", "prefix")
	refuses[ok](t, "T-_", "prefix")
	refuses[struct{ A int }](t, "T_", ".A: needs a tag")
	refuses[struct {
		A int `env:"a"`
	}](t, "T_", ".A: needs a tag")
	refuses[struct {
		A int `env:""`
	}](t, "T_", ".A: needs a tag")
	refuses[struct {
		A map[string]string `env:"A"`
	}](t, "T_", ".A: has the type map[string]string")
	refuses[struct {
		A any `env:"A"`
	}](t, "T_", ".A: has the type interface")
	refuses[struct {
		A []int `env:"A"`
	}](t, "T_", ".A: has the type []int")
	refuses[struct {
		A *ok `env:"A_"`
	}](t, "T_", ".A: has the type")
	refuses[struct {
		A **int `env:"A"`
	}](t, "T_", ".A: has the type **int")
	refuses[struct {
		A []redact.Secret `env:"A"`
	}](t, "T_", ".A: has the type []redact.Secret")
	refuses[struct {
		a int `env:"A"`
	}](t, "T_", ".a: is not exported")
	refuses[struct {
		A ok `env:"A"`
	}](t, "T_", ".A: is a struct and needs a tag")
	refuses[struct{ A ok }](t, "T_", ".A: is a struct and needs a tag")
	refuses[struct {
		A ok `env:"A_" validate:"required"`
	}](t, "T_", ".A: is a struct: put rules")
	refuses[struct {
		A named `env:"A_"`
	}](t, "T_", ".A: has no field that is read")
	refuses[struct {
		A struct{ redact.Secret } `env:"A"`
	}](t, "T_", ".A: is a struct and needs a tag")
	refuses[struct {
		A int `env:"A,secret"`
	}](t, "T_", `.A: has the unknown option "secret"`)
	refuses[struct {
		A string `env:"A,random"`
	}](t, "T_", ".A: is random, and so must be a redact.Secret")
	refuses[struct {
		A redact.Secret `env:"A" default:"hunter2"`
	}](t, "T_", ".A: is a secret with a default")
	refuses[struct {
		A *int `env:"A" default:"1"`
	}](t, "T_", ".A: has a default and is a pointer")
	refuses[struct {
		A time.Duration `env:"A" default:"10"`
	}](t, "T_", ".A: has a default that is no duration")
}

func TestWrongNames(t *testing.T) {
	t.Parallel()
	refuses[struct {
		A int `env:"A"`
		B int `env:"A"`
	}](t, "T_", ".B: is read from T_A, as A is")
	refuses[struct {
		A redact.Secret `env:"A"`
		B string        `env:"A_FILE"`
	}](t, "T_", ".B: is read from T_A_FILE, as A is")
	refuses[struct {
		A string        `env:"A_FILE"`
		B redact.Secret `env:"A"`
	}](t, "T_", ".B: is read from T_A_FILE, as A is")
	refuses[struct {
		A struct {
			B int `env:"B"`
		} `env:"A_"`
		C int `env:"A_B"`
	}](t, "T_", ".C: is read from T_A_B, as A.B is")
}

func TestWrongRules(t *testing.T) {
	t.Parallel()
	refuses[struct {
		A int `env:"A" validate:"no_such_rule"`
	}](t, "T_", ".A: has a validate tag")
	refuses[struct {
		A int `env:"A" validate:"min=1,max=x"`
	}](t, "T_", ".A: has a validate tag")
	refuses[struct {
		A bool `env:"A" validate:"required,min=1"`
	}](t, "T_", ".A: has a validate tag")
	refuses[struct {
		A *bool `env:"A" validate:"omitempty,min=1"`
	}](t, "T_", ".A: has a validate tag")
	refuses[struct {
		A string `env:"A" validate:"required_with=B"`
	}](t, "T_", ".A: has the rule required_with=B, and there is no field B")
	refuses[struct {
		A string `env:"A" validate:"required_if"`
	}](t, "T_", ".A: has the rule required_if without a field")
	refuses[struct {
		A int `env:"A" validate:"gtfield=b"`
		B int `env:"B"`
	}](t, "T_", ".A: has the rule gtfield=b, and there is no field b")
}

// Some rules are found wrong only when a value comes along. The panic of the
// validator is not passed on: it may quote.
func TestWrongRuleIsNamedLate(t *testing.T) {
	t.Parallel()
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, ".A: has a validate tag") || strings.Contains(got, canary) {
			t.Errorf("got %s", got)
		}
	}()
	_, _ = config.LoadFrom[struct {
		A string `env:"A" validate:"omitempty,excluded_if=B x"`
		B int    `env:"B"`
	}]("T_", []string{"T_A=" + canary})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	want := `T_URL      secret, or a file named by T_URL_FILE; required
T_KEY      secret, or a file named by T_KEY_FILE; random, such as by openssl rand -hex 32; min=20
T_PORT     whole number; default 8080; min=1; max=65535
T_MODE     text; default read; oneof=read write
T_PAUSE    duration such as 30s; default 1s; min=1s; max=1m
T_HOSTS    list of texts between commas; max=3; dive; hostname
T_COUNT    whole number; default 1; required
T_LEAST    whole number; min=3
T_NOZERO   whole number; min=2
T_TLS_CERT text; required_with=T_TLS_KEY
`
	got := config.Usage[ruled]("T_")
	for line := range strings.Lines(want) {
		name, facts, _ := strings.Cut(line, " ")
		if !strings.Contains(got, name+" ") || !strings.Contains(got, strings.TrimSpace(facts)) {
			t.Errorf("got %s, want %s", got, line)
		}
	}
	if strings.Count(got, "\n") != 15 {
		t.Errorf("got %s", got)
	}
}

// Whatever the environment holds, Load returns, and its error holds no value.
func FuzzLoad(f *testing.F) {
	f.Add("URL", "postgres://app:", "MODE", "x")
	f.Add("KEY_FILE", "/", "PORT", "1e3")
	f.Add("TLS_CERT", "\x00", "HOSTS", "a,b,,")
	f.Add("", "", "UNKNOWN", "")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		environ := []string{"T_" + name1 + "=" + value1 + canary, "T_" + name2 + "=" + canary + value2}
		if strings.Contains(name1, canary) || strings.Contains(name2, canary) {
			t.Skip("names are shown")
		}
		for _, err := range []error{second(config.LoadFrom[ruled]("T_", environ)), second(config.LoadFrom[everything]("T_", environ))} {
			if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), canary) {
				t.Errorf("the error shows a value: %v", err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
