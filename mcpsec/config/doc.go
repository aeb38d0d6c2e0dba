// Package config reads a program's configuration from environment variables,
// and a file of such, into a struct:
//
//	type Config struct {
//		DatabaseURL redact.Secret `env:"DATABASE_URL" validate:"required"`
//		SigningKey  redact.Secret `env:"SIGNING_KEY,random" validate:"required"`
//		Timeout     time.Duration `env:"TIMEOUT" default:"10s" validate:"min=1s,max=1m"`
//		Mode        string        `env:"MODE" default:"read" validate:"oneof=read write"`
//	}
//
//	cfg, err := config.Load[Config]("ORDERS_")
//	if err != nil {
//		log.Fatal(err) // all that is wrong, by the names of the variables
//	}
//	defer config.Close(&cfg)
//
// It protects the operator from a server that starts with a setting that is
// missing, misspelled or out of bounds, with "changeme" for a password, or with
// a key that can be guessed; and the secrets from error messages: what is wrong
// is told by variable and rule, never by value.
//
// # Tags
//
//   - env:"NAME" is the variable behind the prefix. On a nested struct,
//     env:"DB_" is put before the names of its fields; an embedded struct needs
//     no tag. env:"-" leaves a field alone, and so does being unexported.
//   - env:"NAME,random", on a secret, demands a random key of 128 bits or more:
//     [redact.Secret.CheckRandom].
//   - default:"..." is the value when the variable is unset.
//   - validate:"..." are rules of validator/v10, those across fields included.
//     A field that is unset, without default, is checked as its zero value: a
//     pointer, or omitempty, makes it optional.
//
// Fields are strings, booleans, numbers, durations, secrets, lists of strings
// (separated by commas), [net/url.URL], what implements encoding.TextUnmarshaler,
// and pointers to them, which stay nil when the variable is unset. What a value of
// a type of yours must be, errors and [Usage] tell by its method Kind() string.
//
// An empty variable counts as unset, but not for a secret: there it is an
// error. A secret NAME is also read from the file that NAME_FILE names, as
// Docker and Kubernetes mount them: [redact.SecretFromFile].
//
// # Files
//
// [LoadFile] takes what the environment does not set from a file of NAME=value
// lines. It reads less than others do, so that no two readers differ about a file
// that it takes.
//
// # What it does not protect
//
// A value that is not a [redact.Secret] prints as it is. The environment keeps
// what it holds, and child processes get it; a file does neither. Without a
// prefix, other programs' variables cannot be told from misspelled ones, and
// unknown variables pass. [Close] does not reach what was revealed before:
// [redact.Secret.Close].
package config
