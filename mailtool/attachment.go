package mailtool

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/rootfile"
	"github.com/mcpsec/mcpsec-go/internal/text"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A file is an attachment that was checked.
type file struct {
	name, kind string
	data       []byte
}

// kinds are the types of endings, and what their content looks like to
// http.DetectContentType.
var kinds = map[string]struct{ kind, sniffed string }{
	".csv":  {"text/csv; charset=utf-8", "text/plain"},
	".docx": {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/zip"},
	".gif":  {"image/gif", "image/gif"},
	".jpeg": {"image/jpeg", "image/jpeg"},
	".jpg":  {"image/jpeg", "image/jpeg"},
	".json": {"application/json", "text/plain"},
	".md":   {"text/markdown; charset=utf-8", "text/plain"},
	".odp":  {"application/vnd.oasis.opendocument.presentation", "application/zip"},
	".ods":  {"application/vnd.oasis.opendocument.spreadsheet", "application/zip"},
	".odt":  {"application/vnd.oasis.opendocument.text", "application/zip"},
	".pdf":  {"application/pdf", "application/pdf"},
	".png":  {"image/png", "image/png"},
	".pptx": {"application/vnd.openxmlformats-officedocument.presentationml.presentation", "application/zip"},
	".txt":  {"text/plain; charset=utf-8", "text/plain"},
	".webp": {"image/webp", "image/webp"},
	".xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/zip"},
	".zip":  {"application/zip", "application/zip"}, // if the operator lists it
}

// programs are endings of what does something when it is opened, or holds what we
// cannot look into.
var programs = strings.Fields(`.7z .accdb .accde .ace .ade .adp .apk .app .appimage .appinstaller .application .appref-ms .appx .appxbundle .arj .asp .aspx .bash .bat .bin .bz .bz2 .cab
	.cdxml .cer .chm .class .cmd .com .command .cpio .cpl .csh .deb .desktop .diagcab .dll .dmg .doc .docm .dot .dotm .dylib .egg .elf .eml .exe .fish .flatpakref
	.gadget .gz .hlp .hta .htm .html .img .inetloc .inf .ins .ipa .iqy .iso .isp .jar .jnlp .job .js .jse .jsp .ksh .library-ms .lnk .lua .lz .lzh .mdb .mde .mht
	.mhtml .mjs .mobileconfig .mpkg .msc .msg .msi .msix .msixbundle .msp .mst .ocx .one .oqy .osdx .out .php .pif .pkg .pl .pot .potm .ppam .ppt .pptm .ps1 .ps1xml
	.psc1 .psd1 .psm1 .py .pyc .pyw .pyz .pyzw .rar .rb .rdp .reg .rpm .rqy .run .scf .scpt .scr .sct .search-ms .settingcontent-ms .sh .shb .shs .shtml .slk .snap
	.so .svg .svgz .swf .sys .tar .tbz .tcl .terminal .tgz .theme .txz .udl .url .vb .vbe .vbs .vhd .vhdx .vxd .war .wasm .webarchive .webloc .website .whl .wim
	.wll .workflow .ws .wsc .wsf .wsh .xbap .xht .xhtml .xla .xlam .xll .xls .xlsb .xlsm .xlt .xltm .xml .xpi .xsl .xslt .xz .z .zsh .zst`)

// magic are the beginnings of programs, and of containers of programs.
var magic = []string{"MZ", "\x7fELF", "#!", "\xca\xfe\xba\xbe", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "!<arch>", "dex\n",
	"L\x00\x00\x00\x01\x14\x02\x00", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"}

// checkFiles reads the list of endings.
func (o *Options) checkFiles() error {
	if o.Attachments == nil {
		for ending := range kinds {
			if ending != ".zip" {
				o.Attachments = append(o.Attachments, ending)
			}
		}
	}
	for i, ending := range o.Attachments {
		ending = strings.ToLower(ending)
		switch {
		case len(ending) < 2 || path.Ext(ending) != ending || !dotAtom(ending[1:]):
			return errors.New("Options.Attachments must be endings, as in .pdf")
		case slices.Contains(programs, ending):
			return errors.New("Options.Attachments: " + ending + " is of programs, or of what cannot be looked into: it is not sent")
		}
		o.Attachments[i] = ending
	}
	slices.Sort(o.Attachments)
	return nil
}

func (c *Client) readFiles(list []Attachment) ([]file, error) {
	if len(list) > c.o.MaxAttachments {
		return nil, wrong("attachments", "a message may have at most %d attachments", c.o.MaxAttachments)
	}
	var out []file
	left := c.o.MaxBytes
	for i, a := range list {
		ending, err := c.ending(a.Name)
		if err != nil {
			return nil, wrong("attachments", "attachments[%d]: %s", i, err)
		}
		data := a.Content
		if len(data) == 0 {
			if data, err = c.stored(a.Name, left); err != nil {
				return nil, err
			}
		}
		if left -= len(data); left < 0 {
			return nil, errSize(c.o.MaxBytes)
		}
		if err := c.fits(ending, data); err != nil {
			return nil, wrong("attachments", "attachments[%d]: %s", i, err)
		}
		kind := kinds[ending].kind
		if kind == "" {
			kind = "application/octet-stream"
		}
		out = append(out, file{a.Name, kind, data})
	}
	return out, nil
}

var errName = errors.New("its name must be one that every system shows as it is: letters, digits, single spaces and ( ) + , - . _ with one ending, at most 100 bytes")

// ending is that of a name, if a file of that name may be sent.
func (c *Client) ending(name string) (string, error) {
	if !fileName(name) {
		return "", errName
	}
	ending := strings.ToLower(path.Ext(name))
	for e := range strings.SplitSeq(strings.ToLower(name), ".") {
		if slices.Contains(programs, "."+strings.TrimSpace(e)) && e != strings.ToLower(name) {
			return "", errors.New("it is a program, or called like one")
		}
	}
	if !slices.Contains(c.o.Attachments, ending) {
		return "", errors.New("files of its ending are not sent: the operator lists " + strings.Join(c.o.Attachments, " "))
	}
	return ending, nil
}

// fileName reports whether a name can be read in one way.
func fileName(s string) bool {
	if s == "" || len(s) > 100 || text.FirstHidden(s) >= 0 || !norm.NFKC.IsNormalString(s) || strings.Contains(s, "  ") || strings.Contains(s, "..") || strings.Trim(s, " .") != s {
		return false
	}
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" ()+,-._", r) {
			return false
		}
	}
	return true
}

var errNoFile = errors.New("there is no such file, or it may not be read")

// stored reads a file of Options.Files.
func (c *Client) stored(name string, limit int) ([]byte, error) {
	if c.o.Files == nil {
		return nil, wrong("attachments", "an attachment needs its content: the operator has put no files here")
	}
	data, err := rootfile.Read(c.o.Files, name, int64(limit))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &mcpsec.Error{Message: errNoFile.Error(), Rule: "attachments", Err: err}
	}
	if err != nil || len(data) == 0 {
		return nil, wrong("attachments", "%s", errNoFile)
	}
	return data, nil
}

// fits reports whether a content is what its ending says.
func (c *Client) fits(ending string, data []byte) error {
	for _, m := range magic {
		if bytes.HasPrefix(data, []byte(m)) {
			return errors.New("its content is a program's")
		}
	}
	sniffed, _, _ := strings.Cut(http.DetectContentType(data), ";")
	want := kinds[ending].sniffed
	switch {
	case sniffed == "text/html" || sniffed == "text/xml" || svg(data):
		return errors.New("its content is a web page's")
	case want != "" && sniffed != want:
		return errors.New("its content is not what its ending says")
	case want == "text/plain" && !clean(string(data)):
		return errors.New("its content is no text of UTF-8, or has invisible characters")
	case sniffed == "application/zip":
		return c.looksInto(ending, data)
	}
	return nil
}

func svg(data []byte) bool {
	return bytes.Contains(bytes.ToLower(data[:min(len(data), 1024)]), []byte("<svg"))
}

const maxEntries = 5000

// macroFiles are where documents have what is run: OpenDocument's, controls, and objects
// that may be any file.
var macroFiles = lazy.Regexp(`(^|/)(basic|scripts|activex|macrosheets)/|(^|/)oleobject[^/]*$|^object [0-9]+$|vbaproject\.bin$`)

// inside is where documents have their text.
var inside = map[string]string{".docx": "word/", ".odp": "content.xml", ".ods": "content.xml", ".odt": "content.xml", ".pptx": "ppt/", ".xlsx": "xl/"}

// looksInto refuses archives that hold programs, or what cannot be looked into.
func (c *Client) looksInto(ending string, data []byte) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(z.File) > maxEntries {
		return errors.New("its content is no archive that can be read")
	}
	is := false
	for _, f := range z.File {
		name := strings.ToLower(f.Name)
		is = is || strings.HasPrefix(name, inside[ending])
		switch {
		case f.Flags&1 != 0:
			return errors.New("it is encrypted: nobody can look into it")
		case ending == ".zip" && !c.packed(name):
			return errors.New("there is something in it that may not be sent itself, or another archive")
		case ending != ".zip" && (macroFiles().MatchString(name) || isProgram(name)):
			return errors.New("it has macros, or a program in it")
		}
	}
	if !is {
		return errors.New("its content is not what its ending says")
	}
	return nil
}

// packed reports whether a file of that name may be in an archive.
func (c *Client) packed(name string) bool {
	ending := path.Ext(name)
	_, known := kinds[ending]
	return text.FirstHidden(name) < 0 && !strings.ContainsAny(name, `\:`) &&
		(strings.HasSuffix(name, "/") || ending != ".zip" && (known || slices.Contains(c.o.Attachments, ending)))
}

// isProgram knows names in documents, which are of XML and have settings in .bin.
func isProgram(name string) bool {
	ending := path.Ext(name)
	return ending != ".xml" && ending != ".bin" && slices.Contains(programs, ending)
}
