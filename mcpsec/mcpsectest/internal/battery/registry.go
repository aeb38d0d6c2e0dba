package battery

import "slices"

// Checks are all there are, in the order in which they run. Those of leaks and of
// stability judge what the others have seen, and so come last.
var Checks = slices.Concat(
	toolChecks,
	lintChecks,
	argumentChecks,
	attackChecks,
	sqlChecks,
	documentChecks,
	stateChecks,
	wireChecks,
	loadChecks,
	originChecks,
	sessionChecks,
	credentialChecks,
	headerChecks,
	limitChecks,
	driftChecks,
	leakChecks,
	stabilityChecks,
)
