package mailtool

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func mcpsecSecret(s string) mcpsec.Secret { return redact.NewSecret(s) }

// The bytes of a message are those of the golden file, but for its stamp.
func TestGolden(t *testing.T) {
	t.Parallel()
	c := testClient(t, func(o *Options) {
		o.Bcc, o.ReplyTo, o.FromName = true, []string{"help@example.com"}, "Bücher & Söhne"
	})
	full := Message{
		To: []string{"bob@example.com", "Ann@Customer.example"}, Cc: []string{"carl@example.com"}, Bcc: []string{"hidden@example.com"}, ReplyTo: "help@example.com",
		Subject: "Größe =?utf-8?q?x?= — " + strings.Repeat("weit ", 15), Text: "Guten Tag,\r\n.\nein Punkt\rund = und \"Ende\"", HTML: `<p style="color:red">Guten <b>Tag</b> &amp; <a href="https://example.com/?a=1&amp;b=2">mehr</a></p>`,
		InReplyTo: "<1@example.com>", References: []string{"<0@example.com>", "<1@example.com>"}, Unsubscribe: "https://example.com/u?t=abc",
		Attachments: []Attachment{{Name: "Rechnung Nr. 1 für Ann.csv", Content: []byte("a;b\n1;2\n")}, {Name: "plain.txt", Content: bytes.Repeat([]byte("0123456789"), 12)}},
	}
	for name, m := range map[string]Message{"plain": testMessage(), "full": full} {
		b := mustBuild(t, c, m)
		got := bytes.ReplaceAll(b.signed(), []byte(b.messageID), []byte("<message-id>"))
		mcptest.Golden(t, name+".eml", got)
	}
}

func TestMessageIsRefused(t *testing.T) {
	t.Parallel()
	c := testClient(t, func(o *Options) { o.MaxBytes = 20_000 })
	for name, change := range map[string]func(*Message){
		"no recipient":       func(m *Message) { m.To = nil },
		"bcc is off":         func(m *Message) { m.Bcc = []string{"eve@example.com"} },
		"twice":              func(m *Message) { m.Cc = []string{"BOB@example.com"} },
		"reply-to":           func(m *Message) { m.ReplyTo = "bob@example.com" },
		"no text":            func(m *Message) { m.Text, m.HTML = " \n", "<p>x</p>" },
		"no subject":         func(m *Message) { m.Subject = "" },
		"subject, two lines": func(m *Message) { m.Subject = "a\nb" },
		"long subject":       func(m *Message) { m.Subject = strings.Repeat("é", 251) },
		"hidden text":        func(m *Message) { m.Text = "a\u202eb" },
		"no UTF-8":           func(m *Message) { m.Text = "a\xff" },
		"many links":         func(m *Message) { m.Text = strings.Repeat("https://a.example ", 51) },
		"many links, HTML":   func(m *Message) { m.HTML = strings.Repeat("<a href='https://a.example'>x</a>", 51) },
		"a script":           func(m *Message) { m.HTML = "<script>x</script>" },
		"no Message-ID":      func(m *Message) { m.InReplyTo = "x" },
		"many references":    func(m *Message) { m.References = make([]string, 21) },
		"unsubscribe":        func(m *Message) { m.Unsubscribe = "http://example.com/" },
		"unsubscribe >":      func(m *Message) { m.Unsubscribe = "https://example.com/>,<https://evil.example/" },
		"many files":         func(m *Message) { m.Attachments = make([]Attachment, 6) },
		"no files here":      func(m *Message) { m.Attachments = []Attachment{{Name: "a.txt"}} },
		"too large":          func(m *Message) { m.Text = strings.Repeat("x", 19_900) },
		"a large file": func(m *Message) {
			m.Attachments = []Attachment{{Name: "a.txt", Content: bytes.Repeat([]byte("x"), 15_000)}}
		},
	} {
		m := testMessage()
		change(&m)
		if _, err := c.build(m); err == nil {
			t.Errorf("%s: it is built", name)
		} else if strings.Contains(err.Error(), "example.com") && !strings.Contains(err.Error(), "as in") {
			t.Errorf("%s: the error quotes a value: %v", name, err)
		}
	}
}

func archive(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range names {
		f, err := z.CreateHeader(&zip.FileHeader{Name: n})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("x")); err != nil && !strings.HasSuffix(n, "/") {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encrypted(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.CreateRaw(&zip.FileHeader{Name: "a.txt", Flags: 1, CompressedSize64: 1, UncompressedSize64: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Of an ending that we know nothing of, a program and a web page are not sent either.
func TestUnknownEnding(t *testing.T) {
	t.Parallel()
	c := testClient(t, func(o *Options) { o.Attachments = []string{".step"} })
	for data, allow := range map[string]bool{"ISO-10303-21;": true, "MZ\x90": false, "\x7fELF": false, "#!/bin/sh": false, "<html>": false, "<?xml version=\"1.0\"?>": false, "x <svg onload=x>": false, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": false} {
		m := testMessage()
		m.Attachments = []Attachment{{Name: "a.step", Content: []byte(data)}}
		if _, err := c.build(m); (err == nil) != allow {
			t.Errorf("%q: got %v", data, err)
		}
	}
}

// An archive may be sent if the operator lists it, and if no program is in it; an office
// document if it has no macros.
func TestArchives(t *testing.T) {
	t.Parallel()
	listed := testClient(t, func(o *Options) { o.Attachments = []string{".zip", ".docx"} })
	for _, a := range []struct {
		c     *Client
		name  string
		data  []byte
		allow bool
	}{
		{listed, "a.zip", archive(t, "a.txt", "b/c.pdf"), true},
		{listed, "a.docx", archive(t, "[Content_Types].xml", "word/document.xml"), true},
		{listed, "a.docx", archive(t, "[Content_Types].xml", "word/vbaProject.bin"), false},
		{listed, "a.zip", archive(t, "a.txt", "b/RUN.EXE"), false},
		{listed, "a.zip", archive(t, "run.exe. ."), false},
		{listed, "a.zip", archive(t, "inner.zip"), false},
		{listed, "a.zip", archive(t, "a\u202etxt.scr"), false},
		{listed, "a.zip", archive(t, make([]string, maxEntries+1)...), false},
		{listed, "a.zip", append([]byte("MZ"), archive(t, "a.txt")...), false},
		{listed, "a.zip", encrypted(t), false},
		{testClient(t), "a.zip", archive(t, "a.txt"), false},
	} {
		m := testMessage()
		m.Attachments = []Attachment{{Name: a.name, Content: a.data}}
		if _, err := a.c.build(m); (err == nil) != a.allow {
			t.Errorf("%s of %d bytes: got %v", a.name, len(a.data), err)
		}
	}
}

// Files come from the operator's directory, by plain names, and nothing else does.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"in/a.txt": "inside", "secret.txt": "outside", "in/big.txt": strings.Repeat("x", 1<<20)} {
		if err := os.MkdirAll(filepath.Join(dir, "in"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret.txt", filepath.Join(dir, "in", "link.txt")); err != nil {
		t.Log(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "in", "dir.txt"), 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	c := testClient(t, func(o *Options) { o.Files, o.MaxBytes = root, 100_000 })
	for name, allow := range map[string]bool{"a.txt": true, "../secret.txt": false, "link.txt": false, "dir.txt": false, "none.txt": false, "big.txt": false} {
		m := testMessage()
		m.Attachments = []Attachment{{Name: name}}
		if _, err := c.build(m); (err == nil) != allow {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAttachmentsOption(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{{".exe"}, {".EXE"}, {".html"}, {".svg"}, {".7z"}, {"pdf"}, {""}, {"."}, {".tar.gz"}, {".docm"}, {".p df"}} {
		o := Options{Attachments: list}
		if o.checkFiles() == nil {
			t.Errorf("%q may be listed", list)
		}
	}
}

// FuzzHTML: what is let through is let through again as it is, and shows what is told.
func FuzzHTML(f *testing.F) {
	for _, s := range []string{"<p>a</p>", "<a href=https://example.com>x", "<p style='color:red'>", "a<b", "<<a>>", "<p title=\"a&quot;>b\">", "<ul><li>a<li>b</ul>", "&lt;script&gt;", "<a href='mailto:a@example.com'>m</a>", "<script>", "<p\x00>", "<!doctype html><html><body>x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := readHTML(s)
		if err != nil {
			return
		}
		again, err := readHTML(d.html)
		if err != nil || again.html != d.html || again.text != d.text || len(again.links) != len(d.links) {
			t.Errorf("%q is %q, which is %q, %v", s, d.html, again.html, err)
		}
		for _, bad := range []string{"<script", "<img", "<svg", "<style", "javascript:", "<iframe", "<form", "<!--", "<meta", "<base", "<link"} {
			if strings.Contains(strings.ToLower(d.html), bad) && !strings.Contains(strings.ToLower(d.text), bad) && bad != "javascript:" {
				t.Errorf("%q became %q", s, d.html)
			}
		}
	})
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"a.txt", "a.exe.txt", "a\u202etxt.exe", "Größe.pdf", "..", "a/b.txt"} {
		f.Add(s)
	}
	c := testClient(f)
	f.Fuzz(func(t *testing.T, s string) {
		ending, err := c.ending(s)
		if err != nil {
			return
		}
		d := disposition(s)
		if !strings.HasSuffix(strings.ToLower(s), ending) || strings.ContainsAny(s, "/\\\"\r\n\x00:;<>%*?|") || filepath.Base(s) != s || strings.ContainsFunc(d, func(r rune) bool { return r > '~' || r < ' ' && r != '\r' && r != '\n' }) {
			t.Errorf("%q is sent as %q", s, d)
		}
	})
}

// An attachment is what its ending says, down to what is packed in it.
func TestArchivesHoldNoPrograms(t *testing.T) {
	t.Parallel()
	c := testClient(t, func(o *Options) { o.Attachments = []string{".zip", ".docx", ".xlsx", ".odt", ".step"} })
	for _, a := range []struct {
		ending string
		names  []string
		allow  bool
	}{
		{".docx", []string{"[Content_Types].xml", "word/document.xml", "word/media/a.png", "word/printerSettings/printerSettings1.bin"}, true},
		{".odt", []string{"mimetype", "content.xml", "Pictures/a.png", "META-INF/manifest.xml"}, true},
		{".zip", []string{"dir/", "dir/a.TXT", "b.docx", "c.step"}, true},
		{".odt", []string{"mimetype", "content.xml", "Basic/Standard/Module1.xml"}, false},
		{".odt", []string{"mimetype", "content.xml", "Scripts/python/x.py"}, false},
		{".odt", []string{"mimetype", "content.xml", "Object 1"}, false},
		{".docx", []string{"word/document.xml", "word/embeddings/oleObject1.bin"}, false},
		{".docx", []string{"word/document.xml", "word/activeX/activeX1.xml"}, false},
		{".docx", []string{"word/document.xml", "word/embeddings/run.exe"}, false},
		{".xlsx", []string{"xl/workbook.xml", "xl/macrosheets/sheet1.xml"}, false},
		{".xlsx", []string{"word/document.xml"}, false},
		{".docx", []string{"META-INF/MANIFEST.MF", "Main.class"}, false},
		{".docx", []string{"a.txt"}, false},
		{".zip", []string{"a.jnlp"}, false}, {".zip", []string{"a.appimage"}, false}, {".zip", []string{"noending"}, false}, {".zip", []string{"a.txt.lnk"}, false}, {".zip", []string{"a.exe "}, false}, {".zip", []string{`a.exe\a.txt`}, false}, {".zip", []string{"a.exe:x.txt"}, false},
		{".zip", []string{"a.zip/"}, true}, {".zip", []string{"a.newkind"}, false},
	} {
		if err := c.fits(a.ending, archive(t, a.names...)); (err == nil) != a.allow {
			t.Errorf("%s with %q: got %v", a.ending, a.names, err)
		}
	}
}
