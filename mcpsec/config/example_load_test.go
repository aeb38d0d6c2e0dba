package config_test

import (
	"fmt"
	"log"
	"os"

	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A program begins with this. What is wrong is told at once, all of it, and by name.
func ExampleLoad() {
	type settings struct {
		Address string        `env:"ADDRESS" default:"127.0.0.1:8080" validate:"hostname_port"`
		APIKey  redact.Secret `env:"API_KEY"`
	}
	cfg, err := config.Load[settings]("EXAMPLE_")
	if err != nil {
		log.Fatal(err)
	}
	defer config.Close(&cfg) // overwrites its secrets
	fmt.Println(cfg.Address, cfg.APIKey.IsZero())
	// Output: 127.0.0.1:8080 true
}

// The same with a file for what the environment does not say.
func ExampleLoadFile() {
	type settings struct {
		Mode string `env:"MODE" default:"read" validate:"oneof=read write"`
	}
	path := os.TempDir() + "/config-example.env"
	if err := os.WriteFile(path, []byte("# of the staging system\nEXAMPLE_MODE=write\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	defer os.Remove(path)
	cfg, err := config.LoadFile[settings]("EXAMPLE_", path)
	fmt.Printf("%+v %v\n", cfg, err)
	// Output: {Mode:write} <nil>
}
