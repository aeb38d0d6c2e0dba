package pgstate

import "context"

// An outcome is what a statement has led to.
type outcome[T any] struct {
	value T
	err   error
}

// do runs f, which asks the database, for no longer than the store's timeout, and
// returns early when ctx ends. The statement then goes on by itself: to cancel it
// would cost its connection, and whoever makes calls and hangs up would have us do
// nothing but connect. No more run than there are connections.
func do[T any](ctx context.Context, s *Store, f func(context.Context) (T, error)) (none T, err error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	waiting, stop := context.WithTimeout(ctx, s.timeout)
	defer stop()
	select {
	case s.slots <- struct{}{}:
	case <-waiting.Done():
		if err := ctx.Err(); err != nil {
			return none, err
		}
		return none, plain("all connections to the database are in use")
	}
	done := make(chan outcome[T], 1)
	go func() {
		defer func() { <-s.slots }()
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		value, err := f(within)
		done <- outcome[T]{value, err}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return none, explain(o.err)
		}
		return o.value, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
