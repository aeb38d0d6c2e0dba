// Package docs holds pages whose contents are tested in other modules: go test runs
// a test again when a package that it imports has changed, and does not look at
// files outside of its module. It is for tests only.
package docs

import _ "embed"

// Postgres is postgres.md.
//
//go:embed postgres.md
var Postgres string

// Operations is operations.md, and PrometheusRules the alerts that it speaks of.
//
//go:embed operations.md
var Operations string

// Comparison is comparison.md.
//
//go:embed comparison.md
var Comparison string

//go:embed operations/prometheus-rules.yml
var PrometheusRules string
