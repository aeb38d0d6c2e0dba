// Package guard has guards for [mcpsec.Options] and [mcpsec.ToolSpec]: which tools
// there may be, how often each may be called, how much work a caller may cause, and that
// private data does not follow a stranger's instruction out.
//
//	store := new(state.Memory) // or a pgstate.Store, which replicas share
//	srv, err := mcpsec.NewServer(impl, mcpsec.Options{
//		Audit: audit,
//		State: store,
//		Guards: []mcpsec.Guard{
//			guard.Allow("order_lookup", "order_search"),
//			guard.Rate(store, state.Allowance{Limit: 1000, Per: 24 * time.Hour, Calendar: true}),
//			guard.Work(store, state.Allowance{Limit: 60_000, Per: time.Hour}),
//			guard.Flow(store, guard.FlowOptions{}),
//		},
//	})
//
// # What it protects, and from whom
//
// It protects what tools reach from a caller, or a prompt that has talked the model
// into it, who uses more tools, or uses them more, than what the server is for. What
// is refused is recorded with the rule allow, rate or work, and the model reads when
// to come back.
//
// And it protects whose data is read from whoever can put text before the model: see
// [Flow].
//
// A guard that cannot count refuses: a limiter's error is a no, its cause goes to the
// log. Calls that run at one moment, on whatever replica, have no more than the
// allowance together, because each takes its share before it runs.
//
// # What it does not protect
//
// Allowances belong to a principal: whoever has many tokens has many. Servers that
// share a store share the allowances of guards that are equal, also if the servers'
// names differ: give them stores of their own if they should not. A guard with another
// Limit, Per or Calendar counts anew, so a change of configuration forgives what was
// taken. Work is what handlers were seen to take, not what they made others do; a
// handler that does not heed its context can take more than was reserved.
package guard
