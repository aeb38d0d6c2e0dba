package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// frontDoor are the settings of a server without an account, for whoever signs in.
// It lets all fields be read that PocketBase shows.
var frontDoor = []string{
	prefix + "TOOLS=read,write,auth",
	prefix + `COLLECTIONS=[{"Name":"goods"},{"Name":"orders","Write":["customer","item","quantity","status"]}]`,
}

const allOrders = `{"collection":"orders","total":true}`

// people has Ben sign in beside Ann, and compares what each is shown.
func (g *guide) people(ctx context.Context) (err error) {
	g.p.Say("A second server has no account: whoever calls it is a guest, until they sign in.")
	if g.ben, err = g.connect(ctx, "ben", frontDoor); err != nil {
		return err
	}
	g.p.Header()
	if err := g.ben.Each(ctx, g.p, []tour.Step{
		{Asked: "Goods, for a guest", Tool: "pb_list_records", Args: `{"collection":"goods","total":true}`, Want: `"total":7`, Why: `their list rule is "": the shop window is for everyone`},
		{Asked: "Orders, for a guest", Tool: "pb_list_records", Args: allOrders, Want: `"items":[],"total":0`, Why: "nobody's, so nothing"},
	}); err != nil {
		return err
	}
	if err := g.signIn(ctx); err != nil {
		return err
	}
	if err := g.compare(ctx); err != nil {
		return err
	}
	return g.strangers(ctx)
}

// signIn guesses twice, and then knows the password.
func (g *guide) signIn(ctx context.Context) error {
	login := func(asked, identity, password, why string) tour.Step {
		return tour.Step{Asked: asked, Tool: "pb_auth_password", Args: fmt.Sprintf(`{"identity":%q,"password":%q}`, identity, password), Failed: true, Want: "PocketBase refuses it", Why: why}
	}
	known, err := g.ben.Do(ctx, g.p, login("a guess at Ben's password", ben, "kingfisher", "attempts are counted, for each caller and each identity"))
	if err != nil {
		return err
	}
	unknown, err := g.ben.Do(ctx, g.p, login("the same, for nobody's address", "zoe@example.com", "kingfisher", "word for word the same answer: nobody learns who has an account"))
	if err != nil {
		return err
	}
	if known != unknown {
		return errors.New("a wrong password and an unknown account are told apart")
	}
	st := login("Ben, with his password", ben, g.shop.user, "the token stays in the server; the caller gets a handle, which is good for this caller only")
	st.Failed, st.Want, st.Never = false, `"sign_in":"pbs_`, tokenPrefix
	_, err = g.ben.Do(ctx, g.p, st)
	return err
}

// compare has both list all orders.
func (g *guide) compare(ctx context.Context) error {
	anns, err := g.orders(ctx, g.ann, "Ann")
	if err != nil {
		return err
	}
	bens, err := g.orders(ctx, g.ben, "Ben")
	if err != nil {
		return err
	}
	all, err := g.shop.app.CountRecords("orders")
	if err != nil {
		return err
	}
	first, err := g.shop.app.FindRecordById("orders", id("order", 1))
	if err != nil {
		return err
	}
	both := slices.DeleteFunc(slices.Clone(anns), func(id string) bool { return !slices.Contains(bens, id) })
	switch note := first.GetString("staff_note"); {
	case len(both) > 0:
		return fmt.Errorf("both Ann and Ben see the orders %s", both)
	case note == "":
		return errors.New("there is no staff's note to hide")
	default:
		g.p.Good("Of %d orders Ann sees %d and Ben %d, and none of them both. Ben's first has the staff's note %q,\n  which is in neither list: the field is hidden.", all, len(anns), len(bens), note)
	}
	return nil
}

// orders are the ids of those that somebody is shown.
func (g *guide) orders(ctx context.Context, s *tour.Session, name string) (ids []string, err error) {
	text, err := s.Do(ctx, g.p, tour.Step{Asked: "All orders, for " + name, Tool: "pb_list_records", Args: allOrders, Want: `"items":[{`, Never: "staff_note",
		Why: "PocketBase's rule is joined to the question with AND; the staff's notes are hidden"})
	if err != nil {
		return nil, err
	}
	var said struct{ Items []struct{ ID string } }
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		return nil, fmt.Errorf("reading a list: %w", err)
	}
	for _, r := range said.Items {
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// strangers opens the address of Ann's invoice without signing in.
func (g *guide) strangers(ctx context.Context) error {
	text, err := g.ann.Do(ctx, g.p, tour.Step{Asked: "The address of her invoice", Tool: "pb_file_url", Args: `{"collection":"files","id":"` + id("file", 0) + `","field":"file"}`, Want: `"protected":true`, Never: "token",
		Why: "for a person; it opens nothing by itself"})
	if err != nil {
		return err
	}
	var said struct{ URL string }
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		return fmt.Errorf("reading an address: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, said.URL, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusNotFound || strings.Contains(string(body), "Invoice"):
		return fmt.Errorf("a stranger who opens the address of a protected file is answered %s", resp.Status)
	}
	g.p.Good("A stranger who opens that address is answered %q.", resp.Status)
	return nil
}

// setRules are operations that set a rule of a collection.
func setRules(collection, action, rule string) string {
	return fmt.Sprintf(`[{"op":"set_rules","collection":%q,"rules":{%q:%q}}]`, collection, action, rule)
}

// rules reviews the shop's, mends the worst one, and lets nothing be opened.
func (g *guide) rules(ctx context.Context) error {
	g.p.Header()
	before, err := g.audit(ctx, "Who may do what? What is dangerous?", "in the shop's rules there is one mistake, made on purpose")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(before, func(f finding) bool { return f.Severity == "high" && f.Collection == "reviews" })
	if i < 0 {
		return fmt.Errorf("the shop's mistake was not found: %v", before)
	}
	g.p.Good("The worst of %d findings: in %s, %s.\n  It is %s. Remedy: %s", len(before), before[i].Collection, before[i].What, before[i].Evidence, before[i].Remedy)

	mend := setRules("reviews", "delete", *is("author"))
	plan, err := g.plan(ctx, "That rule, mended: what would it change?", mend, "sets the delete rule", "planned as it would be sent, and nothing is changed")
	if err != nil {
		return err
	}
	apply := func(plan, ops string) string { return fmt.Sprintf(`{"plan":%q,"ops":%s}`, plan, ops) }
	if err := g.ann.Each(ctx, g.p, []tour.Step{
		{Asked: "The plan, to be applied", Tool: "pb_apply_schema", Args: apply(plan, mend), Want: `"applied":[`, Question: "sets the delete rule of reviews", Why: "a person sees what the server computed, not what the model says of it"},
		{Asked: "the same plan once more", Tool: "pb_apply_schema", Args: apply(plan, mend), Failed: true, Want: "others than those that were planned", Why: "the schema is another by now: a plan is good for what it was made of"},
	}); err != nil {
		return err
	}
	after, err := g.audit(ctx, "And now?", "the same review")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(after, func(f finding) bool { return f.Severity == "high" && f.Collection == "reviews" }) {
		return errors.New("the mended rule is found again")
	}
	g.p.Good("%d findings became %d.", len(before), len(after))
	return g.opening(ctx, apply)
}

// opening tries to open collections to everyone.
func (g *guide) opening(ctx context.Context, apply func(plan, ops string) string) error {
	if _, err := g.ann.Do(ctx, g.p, tour.Step{Asked: "orders, opened to everyone", Tool: "pb_plan_schema", Args: `{"ops":` + setRules("orders", "list", "") + `}`, Failed: true, Want: "would let in guests",
		Why: "the operator has not listed orders as what may be public: not even a plan"}); err != nil {
		return err
	}
	const warning = "OPEN TO EVERYONE: anybody on the network may list all of posts without signing in"
	open := setRules("posts", "list", "")
	plan, err := g.plan(ctx, "Posts, which may be public, opened", open, warning, "it says so in words")
	if err != nil {
		return err
	}
	if _, err := g.ann.Do(ctx, g.p, tour.Step{Asked: "that plan, while the person is wide awake", Tool: "pb_apply_schema", Args: apply(plan, open), Failed: true, Want: "said no", Question: warning, Declined: true,
		Why: "the warning is in the question"}); err != nil {
		return err
	}
	k, err := g.shop.app.FindCachedCollectionByNameOrId("posts")
	if err != nil {
		return err
	}
	if k.ListRule == nil || *k.ListRule == "" {
		return errors.New("posts are open, though a person said no")
	}
	g.p.Good("They said no, and the list rule of posts still is %s", *k.ListRule)
	return nil
}

func (g *guide) plan(ctx context.Context, asked, ops, want, why string) (plan string, err error) {
	text, err := g.ann.Do(ctx, g.p, tour.Step{Asked: asked, Tool: "pb_plan_schema", Args: `{"ops":` + ops + `}`, Want: want, Why: why})
	if err != nil {
		return "", err
	}
	var said struct{ Plan string }
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		return "", fmt.Errorf("reading a plan: %w", err)
	}
	return said.Plan, nil
}

// A finding is one of pb_audit_rules.
type finding struct{ Severity, Collection, What, Evidence, Remedy string }

func (g *guide) audit(ctx context.Context, asked, why string) ([]finding, error) {
	text, err := g.ann.Do(ctx, g.p, tour.Step{Asked: asked, Tool: "pb_audit_rules", Args: `{}`, Want: `"findings":[`, Why: why})
	if err != nil {
		return nil, err
	}
	var said struct{ Findings []finding }
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		return nil, fmt.Errorf("reading findings: %w", err)
	}
	return said.Findings, nil
}

// news has Ann subscribe to orders, and both place one.
func (g *guide) news(ctx context.Context) error {
	const uri = "pb://collection/orders"
	order := func(user int, quantity int) string {
		return fmt.Sprintf(`{"collection":"orders","data":{"customer":%q,"item":"Linen apron","quantity":%d,"status":"open"}}`, id("user", user), quantity)
	}
	if err := g.ann.Subscribe(ctx, uri); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	if !g.ann.Told(ctx, uri, g.patience) {
		return errors.New("the subscription did not begin")
	}
	g.p.Say("Ann's client has subscribed to %s.", uri)
	g.p.Header()
	if _, err := g.ben.Do(ctx, g.p, tour.Step{Asked: "An order of Ben's", Tool: "pb_create_record", Args: order(1, 13), Want: "Linen apron", Why: "as Ben, by his sign-in"}); err != nil {
		return err
	}
	if g.ann.Told(ctx, uri, g.quiet) {
		return errors.New("an order of Ben's was told to Ann")
	}
	g.p.Good("Ann was told nothing: PocketBase asks the list rule for each event, with her rights.")
	began := time.Now()
	if _, err := g.ann.Do(ctx, g.p, tour.Step{Asked: "An order of Ann's", Tool: "pb_create_record", Args: order(0, 1), Want: "Linen apron", Why: "as Ann"}); err != nil {
		return err
	}
	if !g.ann.Told(ctx, uri, g.patience) {
		return errors.New("an order of hers was not told to Ann")
	}
	g.p.Good("Ann was told that %s has changed, %d ms after she asked; what, her client reads with her rights.", uri, time.Since(began).Milliseconds())
	return nil
}
