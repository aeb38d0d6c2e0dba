package config_test

import (
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

type Config struct {
	DatabaseURL redact.Secret `env:"DATABASE_URL" validate:"required"`
	SigningKey  redact.Secret `env:"SIGNING_KEY,random" validate:"required"`
	Timeout     time.Duration `env:"TIMEOUT" default:"10s" validate:"min=1s,max=1m"`
	Mode        string        `env:"MODE" default:"read" validate:"oneof=read write"`
}

func ExampleLoadFrom() {
	cfg, err := config.LoadFrom[Config]("ORDERS_", []string{
		"ORDERS_DATABASE_URL=postgres://orders:hunter2@db/orders",
		"ORDERS_SIGNING_KEY=" + randomKey, // as from: openssl rand -base64 20
		"ORDERS_TIMEOUT=30s",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer config.Close(&cfg)
	fmt.Printf("%+v\n", cfg)
	// Output:
	// {DatabaseURL:[redacted] SigningKey:[redacted] Timeout:30s Mode:read}
}

func ExampleLoadFrom_problems() {
	_, err := config.LoadFrom[Config]("ORDERS_", []string{
		"ORDERS_DATABASE_URL=postgres://orders:changeme@db/orders",
		"ORDERS_SIGNING_KEY=correct horse battery staple",
		"ORDERS_TIMEOUT=30",
		"ORDERS_MOD=write",
	})
	fmt.Println(err)
	// Output:
	// the environment has 4 problems:
	// ORDERS_DATABASE_URL looks like a placeholder: set the real value
	// ORDERS_SIGNING_KEY is guessable or too short for a random key of 128 bits: make one by openssl rand -hex 32
	// ORDERS_TIMEOUT must be a duration such as 30s
	// ORDERS_MOD is not known: did you mean ORDERS_MODE?
}

func ExampleUsage() {
	fmt.Print(config.Usage[Config]("ORDERS_"))
	// Output:
	// ORDERS_DATABASE_URL  secret, or a file named by ORDERS_DATABASE_URL_FILE; required
	// ORDERS_SIGNING_KEY   secret, or a file named by ORDERS_SIGNING_KEY_FILE; random, such as by openssl rand -hex 32; required
	// ORDERS_TIMEOUT       duration such as 30s; default 10s; min=1s; max=1m
	// ORDERS_MODE          text; default read; oneof=read write
}
