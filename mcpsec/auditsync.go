package mcpsec

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// SyncEvery makes records outlive the machine, and not only the process. With zero, a
// record is on the disk when Handle returns, and what waits for the disk at the same
// time shares one fsync. With more, a record is there so much later at the latest: that
// is what a power failure may take, and calls do not wait for it.
//
// A record that cannot be brought to the disk is one that cannot be written: with zero,
// Handle returns the error, and a record "withdrawn" follows; with more, Handle refuses
// the next records until it can. After an error of the disk, what was written before it
// may be lost: see that the log is whole, with [VerifyAuditLog].
//
// Call SyncEvery before the log is used. It is an error for a log whose writer has no
// Sync method, as files have, and panics on a negative duration.
func (l *AuditLog) SyncEvery(d time.Duration) error {
	if d < 0 {
		panic("mcpsec: AuditLog.SyncEvery needs zero or a positive duration")
	}
	w, ok := l.chain.w.(interface{ Sync() error })
	if !ok {
		return errors.New("mcpsec: the audit log's writer cannot be synced: it has no method Sync")
	}
	l.chain.disk = &disk{syncer: w.Sync, every: d}
	return nil
}

// disk brings what was written to where it lasts.
type disk struct {
	syncer func() error
	every  time.Duration

	mu     sync.Mutex
	synced uint64 // records up to this one were there
	runs   *round
	timer  *time.Timer // of a sync that is to come
	failed error       // of the last one, with every
}

// A round is one fsync, for all records that were written when it began.
type round struct {
	done chan struct{}
	upto uint64 // set before done is closed, as is err
	err  error
}

func (d *disk) sync() error {
	if err := d.syncer(); err != nil {
		return fmt.Errorf("syncing audit log: %w", err)
	}
	return nil
}

// commit returns when the record is as safe as it is to be.
func (c *chain) commit(seq uint64) error {
	if c.disk.every > 0 {
		err := c.disk.later()
		if err != nil {
			c.disown(seq)
		}
		return err
	}
	for {
		r, leads := c.disk.join(seq)
		switch {
		case r == nil:
			return nil
		case leads:
			c.run(r)
		default:
			<-r.done
		}
		if r.err != nil && seq <= r.upto {
			c.disown(seq)
			return r.err
		}
	}
}

// disown withdraws a record that was written. Its caller holds no lock.
func (c *chain) disown(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.withdraw(seq)
}

// join returns the round that runs, or a new one, which the caller leads, or nil when
// the record is on the disk.
func (d *disk) join(seq uint64) (r *round, leads bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.synced >= seq {
		return nil, false
	}
	if d.runs != nil {
		return d.runs, false
	}
	d.runs = &round{done: make(chan struct{})}
	return d.runs, true
}

func (c *chain) run(r *round) {
	c.mu.Lock()
	r.upto = c.end.records
	c.mu.Unlock()
	r.err = c.disk.sync()
	d := c.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.runs = nil; r.err == nil {
		d.synced = max(d.synced, r.upto)
	}
	close(r.done)
}

// later sees that a sync is to come, and makes up for one that failed.
func (d *disk) later() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		if d.failed = d.sync(); d.failed != nil {
			return d.failed
		}
	}
	if d.timer == nil {
		d.timer = time.AfterFunc(d.every, d.tick)
	}
	return nil
}

func (d *disk) tick() {
	d.mu.Lock()
	d.timer = nil // what is written from now on asks for another
	d.mu.Unlock()
	err := d.sync()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = err
}

func (d *disk) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}
