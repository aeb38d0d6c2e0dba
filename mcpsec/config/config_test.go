package config_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// canary is a value that no error may show; randomKey a key that was made.
var (
	canary    = "Vw7kQz" + "29xTpL"
	randomKey = base64.StdEncoding.EncodeToString([]byte("\x9b\x1d\x02\xf3\x81\xc7\x44\x5e\xa9\x6c\x30\xd8\x17\xbb\xe2\x59\x74\x0a\xc5\x3f"))
)

type nested struct {
	URL redact.Secret `env:"URL"`
	Max int           `env:"MAX" default:"4"`
}

type common struct {
	Level slog.Level `env:"LEVEL" validate:"max=8"`
}

type everything struct {
	common
	Text     string          `env:"TEXT"`
	Bool     bool            `env:"BOOL"`
	Int      int             `env:"INT"`
	Small    int8            `env:"SMALL"`
	Uint     uint16          `env:"UINT"`
	Float    float64         `env:"FLOAT"`
	Duration time.Duration   `env:"DURATION"`
	Default  time.Duration   `env:"DEFAULT" default:"90s"`
	Secret   redact.Secret   `env:"SECRET"`
	Random   redact.Secret   `env:"RANDOM,random"`
	Pointer  *redact.Secret  `env:"POINTER"`
	List     []string        `env:"LIST"`
	Addr     netip.Addr      `env:"ADDR"`
	Prefixes *netip.Prefix   `env:"NET"`
	Time     time.Time       `env:"TIME"`
	URL      url.URL         `env:"LINK"`
	Optional *int            `env:"OPTIONAL"`
	DB       nested          `env:"DB_"`
	Ignored  map[string]bool `env:"-"`
	private  int
}

func TestLoadTypes(t *testing.T) {
	t.Parallel()
	got, err := config.LoadFrom[everything]("T_", []string{
		"T_LEVEL=warn", "T_TEXT=a b", "T_BOOL=true", "T_INT=-7", "T_SMALL=127", "T_UINT=65535", "T_FLOAT=0.5", "T_DURATION=1m30s",
		"T_SECRET=" + canary, "T_RANDOM=" + randomKey, "T_POINTER=" + canary, "T_LIST=a, b,c", "T_ADDR=10.0.0.1", "T_NET=10.0.0.0/8",
		"T_TIME=2026-01-02T03:04:05Z", "T_LINK=https://host/path?q=1", "T_OPTIONAL=0", "T_DB_URL=" + canary, "T_TEXT=twice", "OTHER=x", "NOVALUE",
	})
	if err != nil {
		t.Fatal(err)
	}
	zero := 0
	network := netip.MustParsePrefix("10.0.0.0/8")
	for name, pair := range map[string][2]any{
		"level": {got.Level, slog.LevelWarn}, "text": {got.Text, "a b"}, "bool": {got.Bool, true}, "int": {got.Int, -7}, "small": {got.Small, int8(127)},
		"uint": {got.Uint, uint16(65535)}, "float": {got.Float, 0.5}, "duration": {got.Duration, 90 * time.Second}, "default": {got.Default, 90 * time.Second},
		"secret": {got.Secret.Reveal(), canary}, "random": {got.Random.Reveal(), randomKey}, "pointer": {got.Pointer.Reveal(), canary},
		"list": {got.List, []string{"a", "b", "c"}}, "addr": {got.Addr, netip.MustParseAddr("10.0.0.1")}, "net": {got.Prefixes, &network},
		"time": {got.Time.Unix(), int64(1767323045)}, "url": {got.URL.String(), "https://host/path?q=1"}, "optional": {got.Optional, &zero},
		"nested": {got.DB.URL.Reveal(), canary}, "nested default": {got.DB.Max, 4}, "ignored": {got.Ignored, map[string]bool(nil)}, "private": {got.private, 0},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
	if strings.Contains(fmt.Sprintf("%+v", got), canary) {
		t.Error("the configuration prints a secret")
	}
}

func TestLoadOptional(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{nil, {"T_OPTIONAL=", "T_INT=", "T_DEFAULT=", "T_LIST="}} {
		got, err := config.LoadFrom[everything]("T_", environ)
		if err != nil || got.Optional != nil || got.Pointer != nil || got.Int != 0 || got.List != nil || got.Default != 90*time.Second || !got.Secret.IsZero() {
			t.Errorf("%v: got %+v, %v", environ, got, err)
		}
	}
}

type ruled struct {
	URL    redact.Secret `env:"URL" validate:"required"`
	Key    redact.Secret `env:"KEY,random" validate:"omitempty,min=20"`
	Port   int           `env:"PORT" default:"8080" validate:"min=1,max=65535"`
	Mode   string        `env:"MODE" default:"read" validate:"oneof=read write"`
	Pause  time.Duration `env:"PAUSE" default:"1s" validate:"min=1s,max=1m"`
	Hosts  []string      `env:"HOSTS" validate:"max=3,dive,hostname"`
	Count  int           `env:"COUNT" default:"1" validate:"required"`
	Least  *int          `env:"LEAST" validate:"min=3"`
	NoZero int           `env:"NOZERO" validate:"min=2"`
	TLS    struct {
		Cert string        `env:"CERT" validate:"required_with=Key"`
		Key  redact.Secret `env:"KEY" validate:"required_with=Cert"`
		Old  string        `env:"OLD" validate:"excluded_with=Cert"`
		More string        `env:"MORE" validate:"required_if=Old yes"`
	} `env:"TLS_"`
	Low  int `env:"LOW"`
	High int `env:"HIGH" validate:"gtefield=Low"`
}

// Each row is an environment beside one that is right, and what is wrong then.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, weak := file("good", canary+"\n"), file("weak", "changeme\n")
	for want, environ := range map[string][]string{
		"": nil,
		"T_URL is required: set it, or T_URL_FILE to the path of a file": {"-T_URL"},
		"T_URL is empty": {"T_URL="},
		"T_URL looks like a placeholder: set the real value":       {"T_URL=your-" + "key"},
		"T_URL and T_URL_FILE are both set: unset one":             {"T_URL_FILE=" + good},
		"T_URL_FILE: looks like a placeholder: set the real value": {"-T_URL", "T_URL_FILE=" + weak},
		"T_URL_FILE: ": {"-T_URL", "T_URL_FILE=" + canary},
		"T_KEY is guessable or too short for a random key of 128 bits":                                 {"T_KEY=" + canary},
		"T_PORT must be a whole number":                                                                {"T_PORT=" + canary},
		"T_PORT must satisfy max=65535":                                                                {"T_PORT=70000"},
		"T_PORT must satisfy min=1":                                                                    {"T_PORT=0"},
		"T_MODE must be one of: read write":                                                            {"T_MODE=" + canary},
		"T_PAUSE must be a duration such as 30s":                                                       {"T_PAUSE=5"},
		"T_PAUSE must satisfy max=1m":                                                                  {"T_PAUSE=61s"},
		"T_HOSTS must satisfy max=3":                                                                   {"T_HOSTS=a,b,c,d"},
		"T_HOSTS, element 2, must satisfy hostname":                                                    {"T_HOSTS=a,b c,d"},
		"T_HOSTS must be a list of texts between commas":                                               {"T_HOSTS=a,,d"},
		"T_COUNT must not be zero or false (required)":                                                 {"T_COUNT=0"},
		"T_LEAST must satisfy min=3":                                                                   {"T_LEAST=2"},
		"T_NOZERO is not set, and must satisfy min=2":                                                  {"-T_NOZERO"},
		"T_TLS_CERT is required (required_with=T_TLS_KEY): set it":                                     {"T_TLS_KEY=" + canary},
		"T_TLS_KEY is required (required_with=T_TLS_CERT): set it, or T_TLS_KEY_FILE to the path of a": {"T_TLS_CERT=" + canary},
		"T_TLS_OLD must not be set (excluded_with=T_TLS_CERT)":                                         {"T_TLS_OLD=x", "T_TLS_CERT=x", "T_TLS_KEY=" + canary},
		"T_TLS_MORE is required (required_if=T_TLS_OLD yes): set it":                                   {"T_TLS_OLD=yes"},
		"T_HIGH must satisfy gtefield=T_LOW":                                                           {"T_LOW=2", "T_HIGH=1"},
		"T_URLS is not known: did you mean T_URL?":                                                     {"T_URLS=" + canary},
		"T_PROT is not known: did you mean T_PORT?":                                                    {"T_PROT=1"},
		`"T_mode" is not known: did you mean T_MODE?`:                                                  {"T_mode=" + canary},
		"T_PORT_FILE is not known: only secrets are read from files":                                   {"T_PORT_FILE=" + good},
		"T_WHATEVER is not known: unset it, or correct its name":                                       {"T_WHATEVER=" + canary},
		"T_SERVICE_HOST is not known: if it comes from a Kubernetes service":                           {"T_SERVICE_HOST=10.0.0.1"},
		`"T_\x1b[31m" is not known`:                                                                    {"T_\x1b[31m=" + canary},
	} {
		env := map[string]string{"T_URL": "postgres://app:" + canary + "@db/orders", "T_NOZERO": "2"}
		for _, setting := range environ {
			name, value, set := strings.Cut(setting, "=")
			if env[name] = value; !set {
				delete(env, name[1:])
				delete(env, name)
			}
		}
		var list []string
		for name, value := range env {
			list = append(list, name+"="+value)
		}
		got, err := config.LoadFrom[ruled]("T_", list)
		if want == "" {
			if err != nil || got.Port != 8080 {
				t.Errorf("got %v", err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "the environment has 1 problem:\n"+want) {
			t.Errorf("%v: got %v, want %s", environ, err, want)
			continue
		}
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, canary) || strings.Contains(text, "changeme") || strings.Contains(text, "10.0.0.1") {
			t.Errorf("the error shows a value: %s", text)
		}
		if !reflect.DeepEqual(got, ruled{}) {
			t.Errorf("%v: got a configuration beside the error", environ)
		}
	}
}

// Rules see what a secret holds; their messages do not.
func TestRulesOfSecrets(t *testing.T) {
	t.Parallel()
	type keyed struct {
		Key   redact.Secret `env:"KEY" validate:"min=8,startswith=Vw7"`
		Again redact.Secret `env:"AGAIN" validate:"omitempty,eqfield=Key"`
	}
	for want, environ := range map[string][]string{
		"":                                      {"T_KEY=" + canary, "T_AGAIN=" + canary},
		"T_KEY must satisfy min=8":              {"T_KEY=hunter2"},
		"T_KEY must satisfy startswith=Vw7":     {"T_KEY=x" + canary},
		"T_KEY is not set, and must satisfy":    nil,
		"T_AGAIN must satisfy eqfield=T_KEY":    {"T_KEY=" + canary, "T_AGAIN=x" + canary},
		"T_AGAIN looks like a placeholder: set": {"T_KEY=" + canary, "T_AGAIN=" + "changeme"},
	} {
		_, err := config.LoadFrom[keyed]("T_", environ)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%v: got %v, want %s", environ, err, want)
		}
	}
}

// All at once, in the order of the fields.
func TestLoadReportsEverything(t *testing.T) {
	t.Parallel()
	_, err := config.LoadFrom[ruled]("T_", []string{"T_ZZ=1", "T_PORT=x", "T_MODE=x", "T_AA=1", "T_PAUSE=1h", "T_TLS_CERT=c", "T_LOW=x", "T_HIGH=-5"})
	want := `the environment has 9 problems:
T_URL is required: set it, or T_URL_FILE to the path of a file
T_PORT must be a whole number
T_MODE must be one of: read write
T_PAUSE must satisfy max=1m
T_NOZERO is not set, and must satisfy min=2
T_TLS_KEY is required (required_with=T_TLS_CERT): set it, or T_TLS_KEY_FILE to the path of a file
T_LOW must be a whole number
T_AA is not known: unset it, or correct its name
T_ZZ is not known: unset it, or correct its name`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf("T_UNKNOWN_%d=1", i))
	}
	if _, err := config.LoadFrom[struct{}]("T_", many); err == nil || strings.Count(err.Error(), "\n") != 21 || !strings.HasSuffix(err.Error(), "and 30 more variables that begin with T_ are not known") {
		t.Errorf("got %v", err)
	}
}

// Types have words of their own, and none passes on what a parser says.
func TestLoadNeverQuotes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"LEVEL", "BOOL", "INT", "SMALL", "UINT", "FLOAT", "DURATION", "DEFAULT", "ADDR", "NET", "TIME", "LINK", "OPTIONAL", "DB_MAX", "RANDOM"} {
		for _, value := range []string{canary, "https://u:" + canary + "@h", "99999999999999999999999999", "%zz" + canary, "\x00" + canary} {
			_, err := config.LoadFrom[everything]("T_", []string{"T_" + name + "=" + value})
			if err == nil {
				if name != "FLOAT" || !strings.HasPrefix(value, "999") {
					t.Errorf("%s=%q passes", name, value)
				}
				continue
			}
			if !strings.Contains(err.Error(), "T_"+name+" ") || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "9999999999999999999999") {
				t.Errorf("%s=%q: got %v", name, value, err)
			}
		}
	}
	for _, value := range []string{"NaN", "Inf", "-inf", "1e999"} {
		if _, err := config.LoadFrom[everything]("T_", []string{"T_FLOAT=" + value}); err == nil {
			t.Errorf("FLOAT=%s passes", value)
		}
	}
}

type told struct{ panicky }

func (told) Kind() string { return "colour such as red" }

// A type says itself what it has to be.
func TestKind(t *testing.T) {
	t.Parallel()
	type painted struct {
		C told `env:"C"`
	}
	_, err := config.LoadFrom[painted]("T_", []string{"T_C=" + canary})
	if err == nil || !strings.Contains(err.Error(), "T_C must be a colour such as red") || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
	if got := config.Usage[painted]("T_"); got != "T_C  colour such as red\n" {
		t.Errorf("got %s", got)
	}
}

type panicky struct{}

func (*panicky) UnmarshalText(text []byte) error { panic("cannot read " + string(text)) }

func TestLoadSurvivesUnmarshalers(t *testing.T) {
	t.Parallel()
	_, err := config.LoadFrom[struct {
		P panicky `env:"P"`
	}]("T_", []string{"T_P=" + canary})
	if err == nil || !strings.Contains(err.Error(), "T_P must be a config_test.panicky") || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutPrefix(t *testing.T) {
	t.Parallel()
	type dsn struct {
		URL redact.Secret `env:"DATABASE_URL" validate:"required"`
	}
	if got, err := config.LoadFrom[dsn]("", []string{"DATABASE_URL=" + canary, "DATABASE_URI=x", "HOME=/"}); err != nil || got.URL.Reveal() != canary {
		t.Errorf("got %v", err)
	}
}

func TestLoadReadsTheEnvironment(t *testing.T) {
	t.Setenv("CONFIG_TEST_URL", canary)
	got, err := config.Load[struct {
		URL redact.Secret `env:"URL"`
	}]("CONFIG_TEST_")
	if err != nil || got.URL.Reveal() != canary {
		t.Errorf("got %v", err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	cfg, err := config.LoadFrom[everything]("T_", []string{"T_SECRET=" + canary, "T_POINTER=" + canary, "T_DB_URL=" + canary})
	if err != nil {
		t.Fatal(err)
	}
	copied := cfg
	config.Close(&cfg)
	for name, s := range map[string]redact.Secret{"field": cfg.Secret, "pointer": *cfg.Pointer, "nested": cfg.DB.URL, "copy": copied.Secret} {
		if s.Reveal() != "" || s.IsZero() {
			t.Errorf("%s: still reveals", name)
		}
	}
}

// What was read before the first problem is not left in memory.
func TestLoadClosesOnError(t *testing.T) {
	t.Parallel()
	var left everything
	err := config.LoadInto(&left, "T_", []string{"T_SECRET=" + canary, "T_DB_URL=" + canary, "T_INT=x"})
	if err == nil || left.Secret.IsZero() || left.Secret.Reveal() != "" || left.DB.URL.Reveal() != "" {
		t.Errorf("a secret outlived the error: %v", err)
	}
}

func TestErrorKeepsCauses(t *testing.T) {
	t.Parallel()
	_, err := config.LoadFrom[nested]("T_", []string{"T_URL_FILE=" + filepath.Join(t.TempDir(), "none")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

type generic[V any] struct {
	Port  int `env:"PORT" validate:"max=9"`
	Other V   `env:"OTHER"`
	In    struct {
		Max int `env:"MAX" validate:"max=9"`
	} `env:"IN_"`
}

// Rules hold wherever a field stands, whatever its struct is called.
func TestRulesHoldEverywhere(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"embedded":         second(config.LoadFrom[everything]("T_", []string{"T_LEVEL=ERROR+8"})),
		"generic":          second(config.LoadFrom[generic[redact.Secret]]("T_", []string{"T_PORT=10"})),
		"nested":           second(config.LoadFrom[generic[netip.Addr]]("T_", []string{"T_IN_MAX=10"})),
		"nested, embedded": second(config.LoadFrom[struct{ generic[string] }]("T_", []string{"T_IN_MAX=10"})),
		"anonymous": second(config.LoadFrom[struct {
			Port int `env:"PORT" validate:"max=9"`
		}]("T_", []string{"T_PORT=10"})),
		"text": second(config.LoadFrom[struct {
			At time.Time `env:"AT" validate:"required"`
		}]("T_", nil)),
		"url": second(config.LoadFrom[struct {
			Link url.URL `env:"LINK" validate:"required"`
		}]("T_", nil)),
		"pointer to secret": second(config.LoadFrom[struct {
			Key *redact.Secret `env:"KEY" validate:"min=20"`
		}]("T_", []string{"T_KEY=" + canary})),
		"pointer required": second(config.LoadFrom[struct {
			Key *redact.Secret `env:"KEY" validate:"required"`
		}]("T_", nil)),
		"bounded list": second(config.LoadFrom[struct {
			List []string `env:"LIST" validate:"min=2,unique"`
		}]("T_", []string{"T_LIST=a,a"})),
	} {
		if err == nil || !strings.Contains(err.Error(), "1 problem:") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
