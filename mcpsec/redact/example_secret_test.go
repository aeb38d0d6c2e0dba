package redact_test

import (
	"fmt"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func ExampleSecret() {
	key := redact.NewSecret("correct horse battery staple")
	fmt.Printf("%v %+v %q\n", key, struct{ Key redact.Secret }{key}, []redact.Secret{key})
	fmt.Println(key.CheckRandom(0))
	key.Close()
	fmt.Println(key.Reveal() == "", key.IsZero(), key.Equal(key))
	// Output:
	// [redacted] {Key:[redacted]} [[redacted]]
	// is guessable or too short for a random key of 128 bits: make one by openssl rand -hex 32
	// true false false
}

func ExampleSecret_Check() {
	fmt.Println(redact.NewSecret("postgres://app:changeme@db/orders").Check())
	// Output:
	// looks like a placeholder: set the real value
}
