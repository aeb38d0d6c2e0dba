// Package proxies tests the configurations in docs/operations with the proxies
// themselves.
package proxies
