package mailtool

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A Client hands mail to one server, from one sender. It is safe for concurrent use.
type Client struct {
	o      Options
	policy policy
	keys   []signer
	pool   *pool
	now    func() time.Time
	pause  time.Duration                       // before the first retry
	queue  *queue                              // nil without
	hand   func(context.Context, *built) error // attempts

	mu    sync.Mutex
	jobs  map[string]*plan
	plans map[string]*built // by the id of the call that a person is asked about
}

// New makes a client from o, or says what is wrong with o; the error holds no
// password and no key. It makes no connection.
func New(o Options) (*Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("mailtool: %w", err)
	}
	c := &Client{o: o, now: time.Now, pause: 200 * time.Millisecond, plans: map[string]*built{}, jobs: map[string]*plan{}}
	if c.policy, err = newPolicy(o); err != nil {
		return nil, fmt.Errorf("mailtool: %w", err)
	}
	if c.keys, err = newSigners(o); err != nil {
		return nil, fmt.Errorf("mailtool: %w", err)
	}
	if c.queue, err = newQueue(o); err != nil {
		return nil, fmt.Errorf("mailtool: %w", err)
	}
	c.pool, c.hand = newPool(o), c.attempts
	o.warn()
	return c, nil
}

// Close closes the connections that are kept for later messages; those that are in
// use are closed when they are done. After it nothing is sent.
func (c *Client) Close() error {
	c.pool.close()
	return nil
}

// Send sends m, by the same policy that the tools have: recipients, caps,
// suppressions, and the check of the envelope before the content is sent. It asks
// nobody, and sends again what it is called with again.
//
// The error tells whether the message was sent: [ErrUnknown] is in the chain of one
// that does not know, after which the message must not be sent again. With any other
// error nothing was sent.
func (c *Client) Send(ctx context.Context, m Message) (Receipt, error) {
	b, err := c.build(m)
	if err != nil {
		return Receipt{}, err
	}
	return c.deliver(ctx, b)
}
