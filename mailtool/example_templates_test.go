package mailtool_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/mcpsec/mcpsec-go/mailtool"
)

// The operator's templates come from an fs.FS: an embed.FS, or os.DirFS. Their values are
// checked, and escaped for their place.
func ExampleOpenTemplates() {
	files := fstest.MapFS{
		"shipped.json": {Data: []byte(`{
			"name": "shipped", "subject": "Order {{.order}} is on its way",
			"variables": [{"name": "order", "type": "number"}, {"name": "name", "type": "text", "max": 100}]
		}`)},
		"shipped.txt":  {Data: []byte("Dear {{.name}}, it comes tomorrow.")},
		"shipped.html": {Data: []byte("<p>Dear {{.name}}, it comes <b>tomorrow</b>.</p>")},
	}
	templates, err := mailtool.OpenTemplates(mailtool.TemplateOptions{FS: files})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := templates.Render(context.Background(), "shipped", map[string]any{"order": 17, "name": "Ann & Bob <3"})
	fmt.Println(err, m.Subject)
	fmt.Println(m.HTML)
	_, err = templates.Render(context.Background(), "shipped", map[string]any{"order": 17, "name": "Ann\r\nBcc: all@example.com"})
	fmt.Println(err)
	// Output:
	// <nil> Order 17 is on its way
	// <p>Dear Ann &amp; Bob &lt;3, it comes <b>tomorrow</b>.</p>
	// name holds invisible, bidirectional or control characters
}

// Markdown becomes the text of a message, and HTML of text, tables, lists and links.
func ExampleMessage_SetMarkdown() {
	var m mailtool.Message
	fmt.Println(m.SetMarkdown("Your order is **here**: [look](https://shop.example/17)."))
	fmt.Print(m.HTML)
	fmt.Println(m.SetMarkdown("![](https://tracker.example/p.gif)") != nil)
	// Output:
	// <nil>
	// <p>Your order is <strong>here</strong>: <a href="https://shop.example/17">look</a>.</p>
	// true
}
