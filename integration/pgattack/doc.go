// Package pgattack holds tests that attack a database through pg_query, with a
// real MCP client and a real PostgreSQL server: in front of a superuser, an
// ordinary reader, and a hardened role and database.
//
// # What counts as harm
//
// Written down before anything was counted. An attack has done harm if
//
//   - tx-escape, write, large-object, admin, exec: the state of the database, the
//     server or its files is afterwards what the attacker wanted;
//   - session-state: the next caller of the same connection notices something;
//   - file, leak-*: the answer, an error included, holds the secret;
//   - network: a listener was called, or another session did what was asked;
//   - lock, hidden-call, user-code, sql-as-text: the function that the attack is
//     about has run, even if its effect ended with the call;
//   - dos-time: the call took five seconds, with a limit of one;
//   - dos-mem: the most memory that the server's process had (VmHWM) grew by 150 MB;
//   - dos-disk: 100 MB of temporary files were written (temp_bytes);
//   - dos-output: the caller got the bytes that the attack names;
//   - parser-crash: our process died, or took five seconds.
//
// The attacks of memory and of disk that are not of the corpus (takers, fillers) are
// measured in the same way. With PGTOOL_SOAK=5m TestSoak takes five minutes.
package pgattack
