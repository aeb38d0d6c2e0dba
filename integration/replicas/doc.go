// Package replicas holds tests of what several processes of one server share: three
// of them, behind a proxy and on one PostgreSQL, are killed and started again under
// load, and what each wrote down is compared afterwards.
package replicas
