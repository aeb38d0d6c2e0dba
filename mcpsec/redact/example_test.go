package redact_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func Example() {
	apiKey := redact.NewSecret("correct horse")
	r := redact.New(redact.Options{Secrets: []redact.Secret{apiKey}})

	fmt.Println(r.String("dial postgres://app:hunter2@db/orders: refused"))
	fmt.Println(r.String("GET /search?q=correct+horse 200"))
	fmt.Println("using", apiKey)
	// Output:
	// dial postgres://app:[redacted]@db/orders: refused
	// GET /search?q=[redacted] 200
	// using [redacted]
}

func ExampleRedactor_JSON() {
	r := redact.New(redact.Options{Keys: []string{"tan"}})
	fmt.Printf("%s\n", r.JSON([]byte(`{"user":"bob","password":"hunter2","tan":123456,"n":7}`)))
	// Output:
	// {"user":"bob","password":"[redacted]","tan":"[redacted]","n":7}
}

func ExampleNewHandler() {
	plain := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
	log := slog.New(redact.NewHandler(plain, redact.New(redact.Options{})))

	err := errors.New("dial amqp://svc:hunter2@mq:5672: refused")
	log.Error("connecting", "err", err, "password", "hunter2", "attempt", 3)
	// Output:
	// level=ERROR msg=connecting err="dial amqp://svc:[redacted]@mq:5672: refused" password=[redacted] attempt=3
}

func ExampleSecretFromFile() {
	path := os.TempDir() + "/redact-example-key"
	_ = os.WriteFile(path, []byte("hunter2\n"), 0o600)
	defer func() { _ = os.Remove(path) }()

	key, err := redact.SecretFromFile(path)
	fmt.Println(key, err, len(key.Reveal()))
	// Output:
	// [redacted] <nil> 7
}
