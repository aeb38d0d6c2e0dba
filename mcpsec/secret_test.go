package mcpsec_test

import (
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func newSecret(s string) mcpsec.Secret { return redact.NewSecret(s) }
