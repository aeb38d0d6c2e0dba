// Package pgmask holds tests that try to see masked columns of a database through
// pgtool, on a real PostgreSQL server.
//
// They have two oracles. An answer, or an error, must not hold four letters in a row
// of a secret, plain or in an encoding. And two databases that differ in their
// secrets only must give the same answer to every statement: so a secret that can be
// guessed by comparing, ordering, counting or measuring shows too.
package pgmask
