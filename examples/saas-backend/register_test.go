package main

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/examples/internal/bank"
)

var ann = map[string]any{"email": "Ann@example.com", "name": "Ann"}

// whole is a registration that is done.
var whole = sums{Users: 1, Customers: 1, Letters: 1, Events: 1}

// The same call again, and many at one moment, make one user, one customer and one letter.
func TestRegisterOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.must("support", "user_register", ann)
	w.want("registered", whole)
	if again := w.must("admin", "user_register", map[string]any{"email": "ann@EXAMPLE.com", "name": "Ann"}); again.User != first.User || again.Flow.ID != first.Flow.ID {
		t.Errorf("got %+v, and then %+v", first, again)
	}
	if text, failed, _ := w.call("support", "user_register", map[string]any{"email": "ann@example.com", "name": "Mallory"}); !failed || !strings.Contains(text, "other values") {
		t.Errorf("another name: %s", text)
	}
	w.want("registered again", whole)

	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { w.call("support", "user_register", map[string]any{"email": "ben@example.com", "name": "Ben"}) })
	}
	all.Wait()
	w.want("eight at one moment", sums{Users: 2, Customers: 2, Letters: 2, Events: 2})
	found := w.must("billing", "user_find", map[string]any{"email": "ann@example.com"})
	if found.ID != first.User || found.Status != "registered" {
		t.Errorf("found %+v", found)
	}
}

// Whatever fails at whatever step, what is half done is on record, and the same call or
// flow_resume makes it whole; or what was refused leaves nothing.
func TestRegisterFaults(t *testing.T) {
	t.Parallel()
	failing := errors.New("the disk is full")
	for _, tc := range []struct {
		name   string
		spoil  func(*world) (repair func())
		answer string // of the call; "" of one that succeeds
		then   sums   // with the fault
		end    sums   // repaired, and the same call again
	}{
		{"the user cannot be written", spoilRecords("users", true, failing), "stopped at: user", sums{Half: "register running, user"}, whole},
		{"Stripe is down", spoilStripe("/v1/customers", bank.Down), "stopped at: customer", sums{Users: 1, Half: "register running, customer trying"}, whole},
		{"Stripe's answer is lost", spoilStripe("/v1/customers", bank.Lost), "stopped at: customer", sums{Users: 1, Customers: 1, Half: "register running, customer trying"}, whole},
		{"Stripe refuses", spoilStripe("/v1/customers", bank.Refused), "declined", sums{}, whole},
		{"the user cannot be linked", spoilRecords("users", false, failing), "stopped at: link", sums{Users: 1, Customers: 1, Half: "register running, link"}, whole},
		{"no mail is taken", spoilMail, "", sums{Users: 1, Customers: 1, Events: 1, Half: "register waiting, welcome mail"}, whole},
		{"the mail server's answer is lost", func(w *world) func() { w.box.ResetNext(); return func() {} }, "", sums{Users: 1, Customers: 1, Letters: 1, Events: 1, Half: "register waiting, welcome mail unknown"},
			sums{Users: 1, Customers: 1, Letters: 1, Events: 1, Half: "register waiting, welcome mail unknown"}},
		{"nothing can be counted", spoilPostgres, "", sums{Users: 1, Customers: 1, Letters: 1, Half: "register waiting, analytics trying"}, whole},
		{"the journal cannot be written", spoilRecords("flows", false, failing), "stopped at: user", sums{Half: "register running, user"}, whole},
		{"the journal cannot be begun", spoilRecords("flows", true, failing), "internal error", sums{}, whole},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			repair := tc.spoil(w)
			text, failed, _ := w.call("support", "user_register", ann)
			if failed != (tc.answer != "") || !strings.Contains(text, tc.answer) {
				t.Errorf("answered %s", text)
			}
			w.want("with the fault", tc.then)
			repair()
			w.must("support", "user_register", ann)
			w.want("repaired", tc.end)
		})
	}
}

// spoilRecords has PocketBase fail to make, or to change, records of a collection.
func spoilRecords(collection string, making bool, err error) func(*world) func() {
	return func(w *world) func() {
		var mu sync.Mutex
		broken := true
		hook := func(e *core.RecordEvent) error {
			mu.Lock()
			defer mu.Unlock()
			if broken {
				return err
			}
			return e.Next()
		}
		if making {
			w.b.pb.OnRecordCreate(collection).BindFunc(hook)
		} else {
			w.b.pb.OnRecordUpdate(collection).BindFunc(hook)
		}
		return func() {
			mu.Lock()
			defer mu.Unlock()
			broken = false
		}
	}
}

func spoilStripe(path string, f bank.Fault) func(*world) func() {
	return func(w *world) func() {
		w.bank.Fail(func(_, p string) bank.Fault {
			if strings.HasPrefix(p, path) {
				return f
			}
			return bank.None
		})
		return func() { w.bank.Fail(nil) }
	}
}

func spoilMail(w *world) func() {
	w.box.Refuse(true)
	return func() { w.box.Refuse(false) }
}

func spoilPostgres(w *world) func() {
	sql := func(text string) {
		if _, err := w.db.Exec(w.t.Context(), text); err != nil {
			w.t.Fatal(err)
		}
	}
	sql("ALTER TABLE analytics.events RENAME TO away")
	sql("CREATE VIEW analytics.events AS SELECT * FROM analytics.away") // so that it can be counted, by us
	return func() { sql("DROP VIEW analytics.events"); sql("ALTER TABLE analytics.away RENAME TO events") }
}

// Of a letter nobody knows whether it went: it goes again only if a person says so.
func TestUnknownMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box.ResetNext()
	id := w.must("support", "user_register", ann).Flow.ID
	text, failed, asked := w.call("admin", "flow_resume", map[string]any{"id": id})
	if failed || asked != "" || !strings.Contains(text, "welcome mail") {
		t.Errorf("resumed: %s, asked %q", text, asked)
	}
	w.b.sweep(t.Context(), true)
	w.no = true
	if text, failed, asked := w.call("admin", "flow_resume", map[string]any{"id": id, "again": true}); !failed || !strings.Contains(asked, "may have been done already") {
		t.Errorf("they say no: %s, asked %q", text, asked)
	}
	w.want("resumed", sums{Users: 1, Customers: 1, Letters: 1, Events: 1, Half: "register waiting, welcome mail unknown"})
	w.no = false
	w.must("admin", "flow_resume", map[string]any{"id": id, "again": true})
	w.want("they say yes", sums{Users: 1, Customers: 1, Letters: 2, Events: 1})
}

// The user is removed while Stripe is asked: then the customer goes, too.
func TestRegisterUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var once sync.Once
	w.b.pass = func(point string) {
		if point == "customer sent" {
			once.Do(func() { w.removeAnn(); w.failDeletes() })
		}
	}
	text, failed, _ := w.call("support", "user_register", ann)
	if !failed || !strings.Contains(text, "stopped at: undoing customer") {
		t.Errorf("answered %s", text)
	}
	w.want("Stripe is down", sums{Customers: 1, Half: "register undoing, customer undoing"})
	w.bank.Fail(nil)
	w.b.sweep(t.Context(), true)
	w.want("swept", sums{})
	w.must("support", "user_register", ann)
	w.want("registered anew", whole)
}

func (w *world) removeAnn() {
	r, err := w.b.pb.FindFirstRecordByData("users", "name", "Ann")
	if err == nil {
		err = w.b.pb.Delete(r)
	}
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) failDeletes() {
	w.bank.Fail(func(method, _ string) bank.Fault {
		if method == "DELETE" {
			return bank.Down
		}
		return bank.None
	})
}
