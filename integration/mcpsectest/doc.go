// Package mcpsectest tests package mcpsec/mcpsectest with other people's mail clients.
package mcpsectest
