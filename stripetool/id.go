package stripetool

import (
	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// objectID is what an id of Stripe's looks like. What is none never gets into a
// path: "" would ask for a list, and ".." for something else.
var objectID = lazy.Regexp(`^[a-z]{2,12}_[A-Za-z0-9_]{1,200}$`)

var (
	accountID = lazy.Regexp(`^acct_[A-Za-z0-9]{1,64}$`)
	requestID = lazy.Regexp(`^req_[A-Za-z0-9]{1,64}$`)
	apiKey    = lazy.Regexp(`^(sk|rk)_(test|live)_[A-Za-z0-9_]{10,240}$`)
	ownName   = lazy.Regexp(`^[A-Za-z0-9_-]{1,200}$`) // of coupons and their like, whose ids the account chooses
	errorWord = lazy.Regexp(`^[a-z][a-z0-9_]{0,99}$`)
	keyForm   = lazy.Regexp(`^[A-Za-z0-9_.:-]{1,64}$`)
)

var errID = &mcpsec.Error{Message: "that is no id of the resource: ids look like ch_3N1… or cus_P2…, see stripe_list", Rule: "id"}

// id refuses what is no id of the resource.
func (r *resource) id(s string) error {
	switch {
	case len(r.prefixes) == 0 && ownName().MatchString(s) && s != "search": // which is a route
		return nil
	case !objectID().MatchString(s):
		return errID
	}
	for _, p := range r.prefixes {
		if len(s) > len(p) && s[:len(p)] == p {
			return nil
		}
	}
	return errID
}
