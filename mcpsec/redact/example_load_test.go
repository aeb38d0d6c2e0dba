package redact_test

import (
	"context"
	"fmt"
	"os"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A secret comes from the environment, or from the file that NAME_FILE names.
func ExampleSecretFromEnv() {
	key, err := redact.SecretFromEnv("EXAMPLE_API_KEY")
	if err != nil {
		fmt.Println(err) // a program ends here
	}
	fmt.Println(key)
	// Output:
	// environment variable EXAMPLE_API_KEY is not set: set it, or EXAMPLE_API_KEY_FILE to the path of a file
	// [redacted]
}

// A password manager prints it.
func ExampleSecretFromCommand() {
	program, err := os.Executable() // such as /usr/bin/pass
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := redact.SecretFromCommand(context.Background(), program, "show", "orders/api-key")
	if err != nil {
		fmt.Println("ask somebody to unlock it")
		return
	}
	defer key.Close()
}
