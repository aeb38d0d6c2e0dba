// Package mailtool tests mailtool against go-smtp, another implementation of SMTP, and
// against a server that fails at any step.
package mailtool
