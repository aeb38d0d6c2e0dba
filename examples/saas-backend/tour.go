package main

import (
	"context"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A guide leads through all flows.
type guide struct {
	p  *tour.Printer
	in *standins
	b  *backend
}

func (g *guide) show(ctx context.Context, url string, tokens map[string]mcpsec.Secret) error {
	return nil
}
