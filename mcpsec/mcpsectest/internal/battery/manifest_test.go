package battery

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

var update = flag.Bool("update", false, "write the golden files")

const fakeManifest = "testdata/fake.manifest.json"

// The file is the same for the same definitions, whatever order they come in.
func TestManifestIsStable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "manifest.json")
	if *update {
		path = fakeManifest
	}
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Manifest, o.Update = path, true
		if got := found(t, inside(""), o, Low); len(got) != 0 {
			t.Errorf("got %q", got)
		}
		o.Update = false
		if got := found(t, inside(""), o, Low); len(got) != 0 {
			t.Errorf("compared with what was written: got %q", got)
		}
	})
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(fakeManifest)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A manifest is written when it is asked for, and only then.
func TestManifestIsNotWrittenUnasked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "manifest.json")
	p := probeWith(t, toolOf(`{"type":"object"}`))
	p.Options.Manifest = path
	got := againstManifest(t.Context(), p)
	if len(got) != 1 || got[0].Evidence != "there is no manifest yet" {
		t.Errorf("got %+v", got)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("there are files: %v", files)
	}
	p.Options.Update = true
	if got := againstManifest(t.Context(), p); got != nil {
		t.Errorf("got %+v", got)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("beside the manifest there are files: %v", files)
	}
	p.Options.Manifest = filepath.Join(dir, "none", "manifest.json")
	if got := againstManifest(t.Context(), p); len(got) != 1 || got[0].Title != "the manifest cannot be written" {
		t.Errorf("got %+v", got)
	}
}

func manifestOf(t *testing.T, tools ...string) *manifest {
	t.Helper()
	p := newProbe(Target{}, Options{})
	for _, raw := range tools {
		p.Tools = append(p.Tools, p.newTool([]byte(raw)))
	}
	m, err := p.reviewed()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	const a, b = `{"name":"a","description":"Read a note."}`, `{"name":"b"}`
	for name, tc := range map[string]struct {
		then, now []string
		want      string
	}{
		"nothing":      {[]string{a, b}, []string{b, a}, ""},
		"the form":     {[]string{a}, []string{`{ "description": "Read a\u0020note.", "name":"a" }`}, ""},
		"_meta":        {[]string{a}, []string{`{"name":"a","description":"Read a note.","_meta":{"x":1}}`}, ""},
		"added":        {[]string{a}, []string{a, b}, "new is the tool b"},
		"removed":      {[]string{a, b}, []string{a}, "low gone is the tool b"},
		"a text":       {[]string{a}, []string{`{"name":"a","description":"Read a note, and send it."}`}, `tool: description was "Read a note." and is "Read a note, and send it."`},
		"out of sight": {[]string{a}, []string{`{"name":"a","description":"Read a note.` + "\u200b" + `"}`}, `tool: description was "Read a note." and is "Read a note.\u200b"`},
		"far behind": {[]string{`{"name":"a","description":"` + strings.Repeat("x", 500) + `"}`}, []string{`{"name":"a","description":"` + strings.Repeat("x", 500) + `y"}`},
			`tool: description was …xxxxxxxxxxxxxxxxxxxx" and is …xxxxxxxxxxxxxxxxxxxxy"`},
		"an integer":    {[]string{`{"name":"a","n":9007199254740992}`}, []string{`{"name":"a","n":9007199254740993}`}, "tool: n was 9007199254740992 and is 9007199254740993"},
		"a member":      {[]string{b}, []string{`{"name":"b","annotations":{"readOnlyHint":true}}`}, `tool: annotations was not there and is {\"readOnlyHint\":true}`},
		"deep inside":   {[]string{`{"name":"a","s":{"p":{"q":{"maxLength":3}}}}`}, []string{`{"name":"a","s":{"p":{"q":{}}}}`}, "tool: s.p.q.maxLength was 3 and is gone"},
		"one of twins":  {[]string{b, b}, []string{b, `{"name":"b","x":1}`}, "tool: x was not there and is 1"},
		"a second twin": {[]string{b}, []string{b, b}, "tool: is there more or less often"},
	} {
		var got []string
		for _, f := range differences(manifestOf(t, tc.then...), manifestOf(t, tc.now...)) {
			if f.Severity == Low {
				f.Evidence = "low " + f.Evidence
			}
			got = append(got, f.Evidence)
		}
		if all := strings.Join(got, " | "); all != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, all, tc.want)
		}
	}
}

// What was edited by hand was not reviewed as it is.
func TestManifestMustHoldTogether(t *testing.T) {
	t.Parallel()
	b, err := manifestOf(t, `{"name":"a","description":"Read."}`, `{"name":"b"}`).bytes()
	if err != nil {
		t.Fatal(err)
	}
	file := string(b)
	if _, err := parseManifest(b); err != nil {
		t.Fatal(err)
	}
	for name, edited := range map[string]string{
		"a definition":     strings.Replace(file, "Read.", "Read all.", 1),
		"a name":           strings.Replace(file, `"name": "a",`+"\n      \"sha", `"name": "c",`+"\n      \"sha", 1),
		"one less":         strings.Replace(file, file[strings.LastIndex(file, ",\n    {\n"):strings.LastIndex(file, "\n  ]")], "", 1),
		"another format":   strings.Replace(file, `"format": 1`, `"format": 2`, 1),
		"no format":        strings.Replace(file, `"format": 1,`, "", 1),
		"an unknown word":  strings.Replace(file, `"format": 1,`, `"format": 1, "accept": "all",`, 1),
		"more behind it":   file + file,
		"nothing":          "",
		"a member twice":   strings.Replace(file, `"description": "Read."`, `"description": "Read all.", "description": "Read."`, 1),
		"another document": "[]",
	} {
		if edited == file {
			t.Fatalf("%s: nothing was edited in %s", name, file)
		}
		if _, err := parseManifest([]byte(edited)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestManifestShowsWhatNobodySees(t *testing.T) {
	t.Parallel()
	m := manifestOf(t, `{"name":"a","description":"`+"x\u200b\U000E0041\u202e"+`"}`)
	b, err := m.bytes()
	if err != nil {
		t.Fatal(err)
	}
	if want := `"x\u200b\udb40\udc41\u202e"`; !strings.Contains(string(b), want) {
		t.Errorf("got %s, want %s", b, want)
	}
	if _, err := parseManifest(b); err != nil {
		t.Error(err)
	}
}

// A member that is there twice means one thing to one reader and another to the next.
func TestAmbiguousDefinitionIsRefused(t *testing.T) {
	t.Parallel()
	p := probeWith(t, Tool{Name: "a", Raw: []byte(`{"name":"a","name":"b"}`)})
	p.Options.Manifest = filepath.Join(t.TempDir(), "manifest.json")
	p.Options.Update = true
	if got := againstManifest(t.Context(), p); len(got) != 1 || got[0].Title != "a definition cannot be compared" {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(p.Options.Manifest); err == nil {
		t.Error("a manifest was written")
	}
}

func FuzzManifest(f *testing.F) {
	golden, err := os.ReadFile(fakeManifest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"format":1,"sha256":"","definitions":[{"kind":"tool","sha256":"","definition":1}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		again, err := m.bytes()
		if err != nil {
			t.Fatal(err)
		}
		second, err := parseManifest(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if got := differences(m, second); got != nil {
			t.Errorf("got %+v", got)
		}
	})
}

// The canonical form of a definition is its own.
func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"b":1.0,"a":"\u0041\ud83d\ude00","_meta":{"x":1},"n":12345678901234567890}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := canonical(b)
		if err != nil {
			return
		}
		if twice, err := canonical(once); err != nil || string(twice) != string(once) {
			t.Errorf("%s became %s (%v)", once, twice, err)
		}
		if len(once) > 0 && decode(once) == nil && string(once) != "null" {
			t.Errorf("%s cannot be read", once)
		}
	})
}
