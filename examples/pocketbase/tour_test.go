package main

import (
	"bufio"
	"context"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// The tour shows every step, and ends well.
func TestPocketBaseTour(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := command(dir, []string{"-tour"}, prefix+"URL=https://pb.example.com") // which is not toured
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const others = 7 + 2 + 9 + 3 + 2 + 2 + 3 // steps and results of chapters: people, rules, news, records
	if got, want := strings.Count(string(out), "✓"), len(honest)+len(attacks)+others; got != want || strings.Contains(string(out), "✗") {
		t.Errorf("%d steps went well, want %d:\n%s", got, want, out)
	}
	for _, want := range []string{"the person is asked: ", "They say no.", "Of 50 orders Ann sees 10 and Ben 8", "The worst of ", "records verify", "refused by", "Ann was told that ", "Connect a real client"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v: left is %s", err, left)
	}
}

// Nobody reads to the end: nothing is left behind all the same.
func TestPocketBaseTourUnread(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := command(dir, []string{"-tour"})
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('1'); err != nil {
		t.Fatalf("%v: got %q", err, line)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ends well")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v: left is %s", err, left)
	}
}

// spoils take a protection from the shop. The tour must notice, in these words.
var spoils = map[string]struct {
	spoil func(core.App) error
	want  string
}{
	"Ben sees all orders":             {setList("orders", `@request.auth.id != "" && (customer = @request.auth.id || @request.auth.name = "Ben Okafor")`), "both Ann and Ben see the orders"},
	"everyone sees all orders":        {setList("orders", ""), "All orders: the server answered"},
	"the window is shut":              {setList("goods", `@request.auth.id != ""`), "Goods, for a guest: the server answered"},
	"the staff's notes are shown":     {change("orders", func(c *core.Collection) { c.Fields.GetByName("staff_note").SetHidden(false) }), "All orders, for Ben: the server answered"},
	"files are given to anyone":       {change("files", func(c *core.Collection) { c.Fields.GetByName("file").(*core.FileField).Protected = false }), "The address of her invoice: the server answered"},
	"files may be of any type":        {change("files", func(c *core.Collection) { c.Fields.GetByName("file").(*core.FileField).MimeTypes = nil }), "a picture, called invoice.txt: the server answered"},
	"there is no mistake to be found": {change("reviews", func(c *core.Collection) { c.DeleteRule = is("author") }), "the shop's mistake was not found"},
	"Ann is told of others' orders":   {setList("orders", `@request.auth.id != "" && (customer = @request.auth.id || quantity = 13)`), "an order of Ben's was told to Ann"},
	"nobody is told of anything": {func(app core.App) error {
		app.OnRealtimeMessageSend().BindFunc(func(e *core.RealtimeMessageEvent) error {
			if strings.HasPrefix(e.Message.Name, "orders") {
				return nil
			}
			return e.Next()
		})
		return nil
	}, "an order of hers was not told to Ann"},
}

// change changes a collection of the shop.
func change(collection string, f func(*core.Collection)) func(core.App) error {
	return func(app core.App) error {
		c, err := app.FindCollectionByNameOrId(collection)
		if err != nil {
			return err
		}
		f(c)
		return app.Save(c)
	}
}

func setList(collection, list string) func(core.App) error {
	return change(collection, func(c *core.Collection) { c.ListRule = rule(list) })
}

// spoiledTour runs the tour of a shop without a protection.
func spoiledTour(name string) {
	g := guide{p: tour.NewPrinter(os.Stdout), spoil: spoils[name].spoil, quiet: 2 * time.Second, patience: 5 * time.Second}
	if err := g.show(context.Background()); err != nil {
		log.Fatal(err)
	}
	os.Exit(0)
}

// Whatever protection is missing, the tour ends with an error that names what it saw.
func TestPocketBaseTourNotices(t *testing.T) {
	t.Parallel()
	for name, c := range spoils {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t.TempDir(), nil)
			cmd.Env = append(cmd.Env, asProgram+"=spoiled "+name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("it ends well:\n%s", out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if last := lines[len(lines)-1]; !strings.Contains(last, c.want) {
				t.Errorf("it ends with %s, want %s", last, c.want)
			}
		})
	}
}
