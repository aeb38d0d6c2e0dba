// Package stripetool gives a model an account at Stripe: objects to read, and what may
// be done with customers, products, payments, pages, invoices, subscriptions, refunds, discounts and disputes, by listed
// permission, which a person confirms.
//
//	sc, err := stripetool.New(stripetool.Options{
//		Key:       key, // rk_test_…
//		Resources: []string{"customers", "charges", "invoices"},
//		Permissions: map[string][]string{"refunds": {"create"}, "customers": {"create", "update"}},
//		Caps: []stripetool.Cap{{
//			PerCall: stripetool.Money{Amount: 100_00, Currency: "EUR"},
//			PerDay:  stripetool.Money{Amount: 1_000_00, Currency: "EUR"},
//		}},
//	})
//	if err != nil {
//		return err
//	}
//	srv.Add(stripetool.ReadTools(sc)...)
//	srv.Add(stripetool.WriteTools(sc)...) // served with Options.Mode: mcpsec.Destroy
//
// There are two sets: [ReadTools] and [WriteTools]. Events that Stripe sends are
// received with [NewWebhook], below.
//
// # What it protects, and from whom
//
// It protects an account's money, and the data of those who pay, from a caller who
// chooses ids, amounts and queries: a model that was talked into something, or whoever
// talks through it.
//
// Which account, which resources and how much money is the operator's choice: the key
// and a connected account are options and never arguments. A live key is refused
// without a waiver. An amount is text with its currency, as in "EUR 19.00", that is
// read in one way. What a call and a day may move is capped by currency, to the
// smallest unit, on all replicas that share Options.State together; what is not capped
// is not moved.
//
// What is billed takes of the caps like what is refunded: an invoice that is finalized, a
// subscription's first period and its changes, recorded usage. A draft of an invoice waits
// for stripe_finalize_invoice. Pages that Stripe hosts lead to Options.Redirects and
// nowhere else.
//
// [Paid] makes calls of another tool cost something: a unit of a metered subscription
// item for each that succeeds.
//
// A change is made once, however often and wherever an equal call is made within 24
// hours: its key is made of tool, principal, arguments and the caller's
// idempotency_key, and is one at Stripe, too. When no answer has come, also to a process
// that died meanwhile, the call that repeats it sends the very same request, and Stripe
// does it once in all. What sets a
// state, as a customer's name, is set anew, once, when others have changed it since. A
// person is asked with what was read just before, as amounts, names and what is lost.
//
// An amount takes of the caps once, when it moves: at the confirmation of a payment, or
// at the capture of one that is held; what is prepared or held is no more than a call
// may move. A payment is charged to a method that its customer has saved, or is
// completed by the customer on the operator's own page, whose server reads the intent by
// its id: what a browser needs for that never comes by here.
//
// Ids have the form of the resource's before they get into a path. Card numbers and
// their security codes are refused in any argument: they belong on Stripe's own pages.
// What comes back holds the fields that are listed for its resource, or of what may be
// changed and not read, an id, an amount and a status. They are none that let a reader
// act: no client_secret, no page of a customer's but from the tool that makes it. Of an
// error a model reads type, code, decline code, status and request id, and no message, which
// may quote values.
//
// The library beneath, stripe-go v76, is kept inside: no retries and no logger of its
// own, no telemetry, nothing that is sent without a context, nothing of its errors.
//
// # Events
//
//	w, err := stripetool.NewWebhook(stripetool.WebhookOptions{
//		Secrets: []mcpsec.Secret{secret}, // whsec_…
//		Handlers: []stripetool.WebhookHandler{
//			stripetool.On("invoice.paid", func(ctx context.Context, ev stripetool.WebhookEvent, in Invoice) error {
//				return ship(ctx, in.ID) // Invoice is a struct of yours; an error has Stripe try again
//			}),
//			stripetool.On("customer.subscription.updated", keep).InOrder(),
//		},
//		State:      store, // a pgstate.Store, to know what was handled after a restart, and on all replicas
//		DeadLetter: bury,  // what fails all the time
//	})
//	if err != nil {
//		return err
//	}
//	http.Handle("/webhooks/stripe", w)
//
// They are no tools: no model sees them. This protects what an event sets in motion from
// whoever can reach the URL, and from events that are genuine and not for it: of test
// mode, of an API version that the handlers cannot read, of an account that nobody has
// named, about another object than the type says. A handler runs for an event until it
// is done, and once then. Create the endpoint with api_version=2023-10-16.
//
// Events come late and in any order: [WebhookHandler.InOrder] leaves out what is older
// than what was handled, and [Client.Fetch] reads the object as it is now, which is
// better. Stripe may send two events about one happening, with two ids: let the effect be
// named by the object. What fails WebhookOptions.MaxFailures times goes to DeadLetter;
// [Webhook.Replay] handles it when the cause is gone. With WebhookOptions.KeepBody keep
// the letters where you would keep the orders.
//
// Go code of yours reads with [Client.Fetch], whose errors of Stripe's are an [Error]. It
// changes nothing: a change is a person's yes, caps, and once for all equal calls, which
// only a call of a tool has. [Paid] is the exception, for calls of your own tools.
//
// # For those who add tools
//
// A request is made by Client.call, of segments. What may be read of an object, a tree
// says. What has an effect is a plan, and a change says of which
// action: changeTool makes the tool of it, with a person's yes, caps, and once.
// Client.spec has the guard that all tools need.
//
// # What it does not protect
//
// Whoever has the key can use it elsewhere: give it the fewest permissions. A card
// number that is spread over several arguments is not seen.
//
// Caps count what was sent from here, not what others do with the account. What had no
// answer counts as moved. Stripe forgets its keys after 24 hours at the earliest; an
// equal call after that is another one. With the state in this process's memory, a
// restart forgets what was used of the caps.
//
// Between the question and the request others can change what was read, and refund the
// same charge; Stripe refuses what goes beyond what was paid. A price, a percentage and
// how often a discount is used are told to a person, and not capped.
// Between a yes and its request others than these tools can add to the same draft, which
// is finalized then.
//
// The address of a page is given to the caller: whoever reads it can use it, and that of a
// billing portal is a customer's log-in. Options.State holds it for a day. A subscription
// renews without taking of a cap again. A page of the operator's that leads on to any
// address makes a listed origin a way there: list exact addresses.
package stripetool
