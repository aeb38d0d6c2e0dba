package pbtool

import (
	"context"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

//go:embed reference.md
var reference string

type collectionResourceIn struct {
	Name string `json:"name" validate:"required,max=100"`
}

// Resources returns the resources of a PocketBase: pb://collection/{name}, the first
// records of a collection as the caller's user sees them, and pb://reference, types of
// fields and the syntax of rules and filters for a model to read.
//
// Who subscribes to a collection is told when a record changes that the subscriber's
// user may list, or may have changed while there was no connection to PocketBase. A
// connection is tried again until the subscription ends, and the user's rights are
// asked for anew every 4 minutes at the latest. A principal watches at most 20
// collections at once, and all principals 1,000. Notifications say that something has
// changed, not what, and come at most ten times a second for each subscription.
func Resources(c *Client) []*mcpsec.Resource {
	records := mcpsec.ResourceSpec{
		Name: "pb_collection", Description: "The first records of a PocketBase collection, and whether there are more." + c.collections(readable),
		URI: collectionsPrefix + "{name}", MIMEType: "application/json", Labels: mcpsec.Private | mcpsec.Untrusted,
		Guards: []mcpsec.Guard{c.mayWatch}, Watch: c.watch, Timeout: 4 * c.o.Timeout, MaxResult: 2*c.o.MaxBytes + 16<<10, Waive: c.o.Waive,
		Complete: map[string]func(context.Context, string) ([]string, error){"name": c.completeCollection},
	}
	return []*mcpsec.Resource{
		mcpsec.NewResource(records, c.readCollection),
		mcpsec.NewResource(mcpsec.ResourceSpec{
			Name: "pb_reference", Description: "PocketBase's types of fields and the syntax of API rules and filters.", URI: "pb://reference", MIMEType: "text/markdown", Waive: c.o.Waive,
		}, func(context.Context, struct{}) (mcpsec.Content, error) { return mcpsec.Content{Text: reference}, nil }),
	}
}

// mayWatch refuses collections that may not be used, and too many subscriptions.
func (c *Client) mayWatch(_ context.Context, call *mcpsec.Call) error {
	in, ok := call.Args.(collectionResourceIn)
	if !ok || call.Method == "completion/complete" {
		return nil
	}
	if _, err := c.collection(in.Name); err != nil {
		return err
	}
	if call.Method == "resources/subscribe" && !c.mayFeed(call.Principal.ID) {
		return errManyFeeds
	}
	return nil
}

func (c *Client) readCollection(ctx context.Context, in collectionResourceIn) (mcpsec.Content, error) {
	k, err := c.collection(in.Name)
	if err != nil {
		return mcpsec.Content{}, err
	}
	p, err := c.list(ctx, k, Query{PerPage: c.o.MaxRecords}, c.o.MaxRecords)
	if err != nil {
		return mcpsec.Content{}, err
	}
	var out struct {
		Items []json.RawMessage `json:"items"`
		More  bool              `json:"more"`
	}
	out.Items, out.More = c.fit(p.Items, p.More)
	text, err := json.Marshal(out)
	return mcpsec.Content{Text: string(text)}, err
}

func (c *Client) completeCollection(_ context.Context, prefix string) (names []string, _ error) {
	for name := range c.known {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
