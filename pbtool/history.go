package pbtool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A History is a collection in which each change of a record by [RecordWriteTools] and
// [FileTools] leaves an entry: which collection and record, what was done, for which
// principal, in which call, when by the server's clock, and which fields were set.
//
// A change and its entry are one transaction of PocketBase's: there is neither without
// the other. Where the entry cannot be written the change is refused. Nobody but a
// superuser can make, change or delete an entry otherwise, since the collection's
// create rule wants Key and there are no rules to update and delete; tools read the
// collection where Options.Collections lists it, and never write it.
//
// What cascades from a deletion, what PocketBase's hooks do, and what is done to
// schemas, accounts and backups is not in it.
type History struct {
	// Collection is its name. [History.Import] makes it. Defaults to none: there is no
	// history.
	Collection string
	// Key is what the create rule asks for: 20 to 100 letters and digits, that only this
	// program and PocketBase's superusers know. Required with Collection.
	Key mcpsec.Secret
	// Values says that entries have the values of fields too: before, as the caller's
	// user could read them, and after, as they were set. They never are those of
	// hidden fields and passwords. Who may list the history reads them. Defaults to
	// false.
	Values bool
}

const (
	historyHeader = "Mcpsec-History"
	historyRule   = `@request.headers.mcpsec_history = "`

	keptKey         = "..." // what is shown in a key's place
	keptHistoryRule = historyRule + keptKey + `"`
)

var historyKey = lazy.Regexp(`^[A-Za-z0-9]{20,100}$`)

// historyFields are what a history's collection needs, with their types; before and
// after only for values.
var historyFields = [][2]string{
	{"collection", "text"}, {"record", "text"}, {"action", "text"}, {"principal", "text"}, {"call", "text"}, {"fields", "json"}, {"created", "autodate"}, {"before", "json"}, {"after", "json"},
}

func (h History) fields() [][2]string {
	if h.Values {
		return historyFields
	}
	return historyFields[:7]
}

// Import returns the collection as JSON, for PocketBase's dashboard (Settings, Import
// collections; there, keep the others) or PUT /api/collections/import. Superusers alone
// read it. It holds the key.
func (h History) Import() []byte {
	fields := []map[string]any{}
	for _, f := range historyFields {
		m := map[string]any{"name": f[0], "type": f[1]}
		if f[1] == "autodate" {
			m["onCreate"] = true
		}
		fields = append(fields, m)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	_ = e.Encode([]map[string]any{{
		"name": h.Collection, "type": "base", "fields": fields, "createRule": h.rule(),
		"indexes": []string{"CREATE INDEX `idx_" + h.Collection + "` ON `" + h.Collection + "` (`collection`, `record`)"},
	}}) // texts and booleans can be encoded
	return b.Bytes()
}

func (h History) rule() string { return historyRule + h.Key.Reveal() + `"` }

func (o *Options) checkHistory() error {
	h := o.History
	writes := func(k Collection) bool {
		return strings.EqualFold(k.Name, h.Collection) && (len(k.Write) > 0 || k.Delete)
	}
	switch {
	case h.Collection == "" && h.Key.IsZero() && !h.Values:
		return nil
	case !collectionName().MatchString(h.Collection) || isSystem(h.Collection):
		return errors.New("Options.History.Collection must be the name of a collection that is not PocketBase's own")
	case !historyKey().MatchString(h.Key.Reveal()):
		return errors.New("Options.History.Key must be 20 to 100 letters and digits")
	case o.Superuser.isZero():
		return errors.New("Options.History needs Options.Superuser, which looks whether its collection is right")
	case slices.ContainsFunc(o.Collections, writes), slices.ContainsFunc(o.Public, o.isHistory):
		return errors.New("the collection of Options.History must not be one that tools write or open")
	}
	return nil
}

func (o *Options) isHistory(name string) bool {
	return o.History.Collection != "" && strings.EqualFold(name, o.History.Collection)
}

// isHistory also knows the collection by its id, which PocketBase takes for its name.
func (c *Client) isHistory(name string) bool {
	return c.o.isHistory(name) || c.historyID != "" && name == c.historyID
}

// findHistory looks whether the collection is what a history needs, and whether an
// entry could be written now.
func (c *Client) findHistory(ctx context.Context) error {
	as, err := c.superuser()
	if err != nil {
		return err
	}
	h := c.o.History
	body, err := c.do(ctx, as, request{method: http.MethodGet, path: []string{"collections", h.Collection}})
	if isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("there is no collection %s: import what History.Import returns", h.Collection)
	}
	if err != nil {
		return startError(err)
	}
	var s schema
	if json.Unmarshal(body, &s) != nil || s.Name != h.Collection {
		return fmt.Errorf("there is no collection %s written so", h.Collection)
	}
	c.historyID = s.ID
	if err := h.fits(s); err != nil {
		return fmt.Errorf("%s: %w; History.Import has a collection that is right", h.Collection, err)
	}
	return c.tryHistory(ctx)
}

// fits says what is wrong with a collection.
func (h History) fits(s schema) error {
	var lacks []string
	for _, f := range h.fields() {
		if !slices.ContainsFunc(s.Fields, func(g map[string]any) bool {
			return g["name"] == f[0] && g["type"] == f[1] && (f[1] != "autodate" || g["onCreate"] == true)
		}) {
			lacks = append(lacks, f[0]+" ("+f[1]+")")
		}
	}
	open := func(rule *string) bool { return judge(rule, asker{}, fieldNames(s.Fields), false) != never }
	switch {
	case s.Type != "base":
		return errors.New("it must be a base collection")
	case lacks != nil:
		return fmt.Errorf("it lacks the fields %s", strings.Join(lacks, ", "))
	case s.CreateRule == nil || *s.CreateRule != h.rule():
		return errors.New(`its create rule must be ` + historyRule + `...", with the key: others could make entries`)
	case s.UpdateRule != nil || s.DeleteRule != nil:
		return errors.New("its update and delete rules must be null: entries could be taken back")
	case open(s.ListRule) || open(s.ViewRule):
		return errors.New("its list and view rules must shut out who has not signed in")
	}
	return nil
}

// tryHistory writes an entry in a transaction whose last request fails.
func (c *Client) tryHistory(ctx context.Context) error {
	entry, err := c.entry(ctx, op{method: http.MethodDelete, k: &Collection{Name: c.o.History.Collection}, id: absent()})
	if err != nil {
		return err
	}
	_, err = c.transaction(ctx, actor{}, []op{entry, {method: http.MethodDelete, k: entry.k, id: absent()}})
	switch s := statusOf(err); {
	case err == nil:
		return errors.New("an entry that was to be undone was made")
	case s != nil && s.index == 1:
		return nil
	case s != nil && s.index == 0:
		return fmt.Errorf("PocketBase takes no entry%s", s.fieldList())
	}
	return err
}
