package battery

var argumentChecks, wireChecks, leakChecks, stabilityChecks []Check
