package pbtool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A Query chooses records of a collection. The zero Query is its first page.
type Query struct {
	// Filter is which records. Defaults to all.
	Filter Filter
	// Sort are fields, with a - before them for descending order, at most 8.
	// Defaults to id.
	Sort []string
	// Fields are those that are returned, each possibly with :excerpt(200) or
	// :excerpt(200,true). Defaults to all.
	Fields []string
	// Expand are relations whose records are returned too, as in author.company.
	// Defaults to none.
	Expand []string
	// Page counts from 1, which it defaults to.
	Page int
	// PerPage is at most Options.MaxRecords, which it defaults to.
	PerPage int
	// Total asks for how many there are, which costs the server a second query.
	// Defaults to false.
	Total bool
}

// A Page is a part of a query's records, as JSON objects: with the fields that may
// be read, without passwords and token keys.
type Page struct {
	Items []json.RawMessage
	// Total is how many there are in all, or -1 if that was not asked for.
	Total int
	// More says that there may be another page.
	More bool
}

const (
	maxSort   = 8
	maxFields = 50
	maxPage   = 10_000
)

// List returns a page of a collection's records, with the rights of the user whose
// call ctx belongs to (see Options.As), or an error that a model may read. What
// Options.Collections does not list is refused.
func (c *Client) List(ctx context.Context, collection string, q Query) (Page, error) {
	k, err := c.collection(collection)
	if err != nil {
		return Page{}, err
	}
	return c.list(ctx, k, q, c.o.MaxRecords)
}

// list is List with a page of at most most records.
func (c *Client) list(ctx context.Context, k *Collection, q Query, most int) (Page, error) {
	if q.PerPage <= 0 || q.PerPage > most {
		q.PerPage = most
	}
	v, t, err := c.params(k, q)
	if err != nil {
		return Page{}, err
	}
	as, err := c.caller(ctx)
	if err != nil {
		return Page{}, err
	}
	if q.Filter.backslash {
		if err := c.probe(ctx, as, k); err != nil {
			return Page{}, err
		}
	}
	body, err := c.do(ctx, as, request{method: http.MethodGet, path: []string{"collections", k.Name, "records"}, query: v})
	if err != nil {
		return Page{}, err
	}
	items, total, err := t.page(body, k)
	if err != nil {
		return Page{}, err
	}
	return Page{items, total, len(items) >= q.PerPage}, nil
}

// params writes the query, and what may leave of its answer.
func (c *Client) params(k *Collection, q Query) (url.Values, trim, error) {
	v, t, err := c.shape(k, q.Fields, q.Expand)
	if err != nil {
		return nil, t, err
	}
	sort, err := c.sort(k, q.Sort)
	if err != nil {
		return nil, t, err
	}
	if err := q.Filter.check(); err != nil {
		return nil, t, badArgument(err)
	}
	if strings.Contains(q.Filter.text, "@collection.") || strings.Contains(q.Filter.text, "@request.") {
		return nil, t, badArgument(errors.New("PocketBase takes no filter of a user's that has @collection. or @request. in it, not even in a value"))
	}
	if q.Page < 0 || q.Page > maxPage {
		return nil, t, badArgument(errors.New("page must be 1 to 10000"))
	}
	v.Set("sort", sort)
	v.Set("page", strconv.Itoa(max(q.Page, 1)))
	v.Set("perPage", strconv.Itoa(q.PerPage))
	if q.Filter.text != "" {
		v.Set("filter", q.Filter.text)
	}
	if !q.Total {
		v.Set("skipTotal", "1")
	}
	return v, t, nil
}

// shape writes which fields and relations an answer has. PocketBase is asked for
// no more than will leave.
func (c *Client) shape(k *Collection, fields, expand []string) (url.Values, trim, error) {
	v, t := url.Values{}, trim{c: c}
	if len(fields) > maxFields || len(expand) > maxFields {
		return nil, t, badArgument(errors.New("at most 50 fields and 50 relations"))
	}
	var ask []string
	if len(fields) > 0 {
		t.keep = map[string]bool{"id": true}
		ask = []string{"id", "expand"}
		for _, f := range fields {
			m := pickedField().FindStringSubmatch(f)
			if m == nil || !k.shows(m[1]) {
				return nil, t, denied("a field may not be read, or fields has more than names with :excerpt(200) behind them%s", k.readable())
			}
			t.keep[m[1]] = true
			ask = append(ask, f)
		}
	} else if k.Fields != nil {
		ask = append([]string{"id", "expand"}, slices.DeleteFunc(slices.Clone(k.Fields), func(f string) bool { return strings.Contains(f, ".") })...)
	}
	if ask != nil {
		v.Set("fields", strings.Join(ask, ","))
	}
	for _, e := range expand {
		if !expandPath().MatchString(e) {
			return nil, t, badArgument(errors.New("expand has names of relations, and paths of up to 4 of them with dots"))
		}
		if first, _, _ := strings.Cut(e, "."); !k.shows(first) {
			return nil, t, denied("a relation may not be expanded%s", k.readable())
		}
	}
	if len(expand) > 0 {
		v.Set("expand", strings.Join(expand, ","))
	}
	return v, t, nil
}

// readable ends a refusal with the fields that may be read, if they are listed.
func (k *Collection) readable() string {
	if k.Fields == nil {
		return ""
	}
	others := slices.DeleteFunc(slices.Clone(k.Fields), func(f string) bool { return f == "id" })
	return "; for " + k.Name + " these may: " + strings.Join(append([]string{"id"}, others...), ", ")
}

// sort writes the order. Without, records would come in any.
func (c *Client) sort(k *Collection, fields []string) (string, error) {
	if len(fields) > maxSort {
		return "", badArgument(errors.New("sort has at most 8 fields"))
	}
	for _, f := range fields {
		f = strings.TrimPrefix(f, "-")
		if !fieldPath().MatchString(f) || len(f) > 255 {
			return "", badArgument(errField)
		}
		if err := c.mayRead(k, f); err != nil {
			return "", err
		}
	}
	if len(fields) == 0 {
		return "id", nil
	}
	return strings.Join(fields, ","), nil
}

// Get returns one record, as List does.
func (c *Client) Get(ctx context.Context, collection, id string, fields, expand []string) (json.RawMessage, error) {
	k, err := c.collection(collection)
	if err != nil {
		return nil, err
	}
	return c.get(ctx, k, id, fields, expand)
}

func (c *Client) get(ctx context.Context, k *Collection, id string, fields, expand []string) (json.RawMessage, error) {
	if !recordID().MatchString(id) {
		return nil, badArgument(errID)
	}
	v, t, err := c.shape(k, fields, expand)
	if err != nil {
		return nil, err
	}
	as, err := c.caller(ctx)
	if err != nil {
		return nil, err
	}
	body, err := c.do(ctx, as, request{method: http.MethodGet, path: []string{"collections", k.Name, "records", id}, query: v})
	if err != nil {
		return nil, err
	}
	return t.record(jsontext.NewDecoder(bytes.NewBuffer(body)), nil, k, t.keep, 0)
}

var errID = errors.New("an id has letters, digits, dashes and underscores only")

// probed is how long the answer to a probe is believed: a server may be replaced
// by an older one.
const probed = 5 * time.Minute

// probe asks whether the server reads a backslash in a filter's text as we write
// it. One before 0.39.9 takes '\\' for an open text and refuses it; it cannot
// read a value that ends in a backslash at all, and what stands behind it would
// become a part of the filter.
func (c *Client) probe(ctx context.Context, as actor, k *Collection) error {
	c.mu.Lock()
	fine := time.Since(c.probedAt) < probed
	c.mu.Unlock()
	if fine {
		return nil
	}
	v := url.Values{"filter": {`'a\\'='a\\'`}, "perPage": {"1"}, "skipTotal": {"1"}, "fields": {"id"}}
	_, err := c.do(ctx, as, request{method: http.MethodGet, path: []string{"collections", k.Name, "records"}, query: v})
	if isStatus(err, http.StatusBadRequest) {
		return &mcpsec.Error{Message: "this PocketBase cannot compare with a value that has a backslash (0.39.9 and later can)", Rule: "backslash", Err: err}
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.probedAt = time.Now()
	c.mu.Unlock()
	return nil
}
