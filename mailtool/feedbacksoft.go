package mailtool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// countSoft counts a soft bounce, and reports whether the address has had as many
// within the window as suppress it. Each takes one of as many keys of the Once, for as
// long as the window is, and is not counted again while it has it.
func (f *Feedback) countSoft(ctx context.Context, e event) (bool, error) {
	id := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s", e.Provider, e.id, e.MessageID, e.Address))
	var free []state.Claim
	taken, known := 0, false
	for slot := range f.o.SoftBounces {
		claim, err := f.o.Once.Claim(ctx, fmt.Sprintf("mailtool/soft %d %s", slot, e.Address), time.Minute)
		switch {
		case err != nil:
			return false, errors.Join(err, f.giveBack(ctx, free))
		case claim.Status == state.Busy:
			return false, errors.Join(errors.New("another delivery counts one of the same address"), f.giveBack(ctx, free))
		case claim.Status == state.Taken:
			free = append(free, claim)
		default:
			taken++
			known = known || bytes.Equal(claim.Result, id[:])
		}
	}
	if !known && len(free) > 0 {
		if err := f.o.Once.Complete(ctx, free[0], id[:], f.o.Window); err != nil {
			return false, errors.Join(err, f.giveBack(ctx, free))
		}
		free, taken = free[1:], taken+1
	}
	return taken >= f.o.SoftBounces, f.giveBack(ctx, free)
}

// giveBack frees what was claimed for looking at it.
func (f *Feedback) giveBack(ctx context.Context, claims []state.Claim) (err error) {
	for _, c := range claims {
		err = errors.Join(err, f.o.Once.Fail(ctx, c))
	}
	return err
}
