package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/config"
)

func file(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "test.env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadFile(t *testing.T) {
	t.Parallel()
	path := file(t, "# a comment\n\n  \nT_TEXT=a=b # c'd\"e\nT_INT=7\r\nT_BOOL=\nT_DURATION=3s\nT_SECRET="+canary+"\nT_LIST=a,b")
	_, err := config.LoadFileFrom[everything]("T_", path, nil)
	if err == nil || !strings.HasSuffix(err.Error(), "line 4 of the file sets T_TEXT to a value with # behind a space: give a comment a line of its own") {
		t.Errorf("got %v", err)
	}
	path = file(t, "# a comment\n\n  \nT_TEXT=a=b#c'd\"e f\nT_INT=7\r\nT_BOOL=\nT_DURATION=3s\nT_SECRET="+canary+"\nT_LIST=a,b")
	got, err := config.LoadFileFrom[everything]("T_", path, []string{"T_INT=8", "OTHER=x"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != "a=b#c'd\"e f" || got.Bool || got.Duration != 3*time.Second || got.Secret.Reveal() != canary || len(got.List) != 2 {
		t.Errorf("got %+v", got)
	}
	if got.Int != 8 {
		t.Errorf("the environment does not win: %d", got.Int)
	}
	if got, err := config.LoadFileFrom[everything]("T_", "", []string{"T_INT=8"}); err != nil || got.Int != 8 {
		t.Errorf("without a file: %+v, %v", got, err)
	}
}

func TestLoadFileReadsTheEnvironment(t *testing.T) {
	t.Setenv("T_INT", "9")
	got, err := config.LoadFile[everything]("T_", file(t, "T_TEXT=x"))
	if err != nil || got.Int != 9 || got.Text != "x" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// What one reader of such files takes and another does not, or otherwise, nobody
// relies on. Nothing is told of a line but its number and names that are known.
func TestLoadFileRefuses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"export T_TEXT=" + canary:              "line 1 of the file is not NAME=value",
		"T_TEXT: " + canary:                    "line 1 of the file is not NAME=value",
		"T_TEXT =" + canary:                    "line 1 of the file is not NAME=value",
		" T_TEXT=" + canary:                    "line 1 of the file is not NAME=value",
		canary:                                 "line 1 of the file is not NAME=value",
		"t_text=" + canary:                     "line 1 of the file is not NAME=value",
		"{\"T_TEXT\": \"" + canary + "\"}":     "line 1 of the file is not NAME=value",
		"T_TEXT=\"" + canary + "\"":            "sets T_TEXT to a value in quotes",
		"T_TEXT='" + canary + "'":              "sets T_TEXT to a value in quotes",
		"T_TEXT=`" + canary + "`":              "sets T_TEXT to a value in quotes",
		"T_TEXT= " + canary:                    "with a space at one end",
		"T_TEXT=" + canary + "\t":              "with a space at one end",
		"T_TEXT=" + canary + " # mine":         "# behind a space",
		"T_TEXT=" + canary + "\x1b[2J":         "with a character that is not seen",
		"T_TEXT=" + canary + "\rT_INT=1":       "with a character that is not seen",
		"T_TEXT=" + canary + "\u00a0":          "with a space at one end",
		"T_TEXT=a\u200b" + canary:              "with a character that is not seen",
		"T_TEXT=1\nT_INT=2\nT_TEXT=" + canary:  "line 3 of the file sets T_TEXT again, after line 1",
		"T_TEXT=1\nT_TEXT=1":                   "line 2 of the file sets T_TEXT again, after line 1",
		"T_TEXTS=" + canary:                    "T_TEXTS is not known: did you mean T_TEXT?",
		"TEXT=" + canary:                       "line 1 of the file sets what is not known: names begin with T_",
		strings.ToUpper(canary) + "X" + "====": "line 1 of the file sets what is not known: names begin with T_",
		"T_INT=" + canary:                      "T_INT must be a whole number",
		"T_SECRET=${" + "DATABASE_URL}":        "placeholder",
		"T_TEXT=a\x00b":                        "is not plain text",
		"\xef\xbb\xbfT_TEXT=" + canary:         "is not plain text",
		"":                                     "is empty",
	} {
		_, err := config.LoadFileFrom[everything]("T_", file(t, line), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", line, err, want)
		} else if strings.Contains(strings.ToUpper(err.Error()), strings.ToUpper(canary)) {
			t.Errorf("%q: the error shows a value: %v", line, err)
		}
	}
}

// What looks like a placeholder is looked for in each secret, and not in the rest.
func TestLoadFileMayTalkOfExamples(t *testing.T) {
	t.Parallel()
	cfg, err := config.LoadFileFrom[everything]("T_", file(t, "# see EXAMPLE.env: xxxxxx is your-api-key\nT_TEXT=EXAMPLE\n"), nil)
	if err != nil || cfg.Text != "EXAMPLE" {
		t.Errorf("got %q, %v", cfg.Text, err)
	}
}

func TestLoadFileWithoutPrefix(t *testing.T) {
	t.Parallel()
	type dsn struct {
		URL string `env:"DATABASE_URL"`
	}
	if _, err := config.LoadFileFrom[dsn]("", file(t, "DATABASE_URI="+canary), []string{"OTHER=x"}); err == nil || !strings.HasSuffix(err.Error(), "line 1 of the file sets what is not known") {
		t.Errorf("got %v", err)
	}
}

// All at once: of the file and of the environment.
func TestLoadFileReportsEverything(t *testing.T) {
	t.Parallel()
	_, err := config.LoadFileFrom[ruled]("T_", file(t, "nothing\nT_PORT=\"7\"\nT_MODE=x\nT_AA=1\nPORT=7\n"), []string{"T_ZZ=1"})
	want := `the configuration has 9 problems:
line 1 of the file is not NAME=value
line 2 of the file sets T_PORT to a value in quotes: leave them out
line 5 of the file sets what is not known: names begin with T_
T_URL is required: set it, or T_URL_FILE to the path of a file
T_PORT must be a whole number
T_MODE must be one of: read write`
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "T_AA is not known") || !strings.Contains(err.Error(), "T_ZZ is not known") {
		t.Errorf("got %v", err)
	}
}

// A file that is another one is not told line by line.
func TestLoadFileReportsSome(t *testing.T) {
	t.Parallel()
	_, err := config.LoadFileFrom[struct{}]("T_", file(t, strings.Repeat("a log\n", 1000)), nil)
	if err == nil || strings.Count(err.Error(), "\n") != 21 || !strings.HasSuffix(err.Error(), "and 980 more lines of the file are wrong") {
		t.Errorf("got %v", err)
	}
}

// A file with secrets in it is kept as one.
func TestLoadFileIsFitForSecrets(t *testing.T) {
	t.Parallel()
	if _, err := config.LoadFileFrom[everything]("T_", filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	path := file(t, "T_SECRET="+canary)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.LoadFileFrom[everything]("T_", path, nil); err == nil || !strings.Contains(err.Error(), "may be read by every user") {
		t.Errorf("got %v", err)
	}
}

func FuzzLoadFile(f *testing.F) {
	f.Add("T_TEXT=", "\nT_INT=1")
	f.Add("# ", "\r\n\"")
	f.Add("", "====")
	f.Fuzz(func(t *testing.T, before, after string) {
		got, err := config.LoadFileFrom[everything]("T_", file(t, before+canary+after), nil)
		// A name that begins with T_ is shown, as that of a variable is.
		if err != nil && strings.Contains(err.Error(), canary) && !strings.Contains(before, "T_") {
			t.Errorf("the error shows a value: %v", err)
		}
		if err == nil && got.Text != "" && !strings.Contains(before+canary+after, "T_TEXT="+got.Text) {
			t.Errorf("got %q", got.Text)
		}
	})
}
