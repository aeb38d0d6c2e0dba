package pgstate

import "time"

// SetTimeout changes how long calls may take.
func SetTimeout(s *Store, d time.Duration) { s.timeout = d }

// SetClock lets a Store's statements ask another clock than the database's.
func SetClock(s *Store, schema, expr string) { s.prepare(quote(schema), expr) }

// DatabaseClock is the expression that they ask otherwise.
const DatabaseClock = databaseClock
