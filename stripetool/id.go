package stripetool

import (
	"regexp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// objectID is what an id of Stripe's looks like. What is none never gets into a
// path: "" would ask for a list, and ".." for something else.
var objectID = regexp.MustCompile(`^[a-z]{2,12}_[A-Za-z0-9_]{1,200}$`)

var (
	accountID = regexp.MustCompile(`^acct_[A-Za-z0-9]{1,64}$`)
	requestID = regexp.MustCompile(`^req_[A-Za-z0-9]{1,64}$`)
	apiKey    = regexp.MustCompile(`^(sk|rk)_(test|live)_[A-Za-z0-9_]{10,240}$`)
	ownName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`) // of coupons and their like, whose ids the account chooses
	errorWord = regexp.MustCompile(`^[a-z][a-z0-9_]{0,99}$`)
	keyForm   = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)
)

var errID = &mcpsec.Error{Message: "that is no id of the resource: ids look like ch_3N1… or cus_P2…, see stripe_list", Rule: "id"}

// id refuses what is no id of the resource.
func (r *resource) id(s string) error {
	switch {
	case len(r.prefixes) == 0 && ownName.MatchString(s) && s != "search": // which is a route
		return nil
	case !objectID.MatchString(s):
		return errID
	}
	for _, p := range r.prefixes {
		if len(s) > len(p) && s[:len(p)] == p {
			return nil
		}
	}
	return errID
}
