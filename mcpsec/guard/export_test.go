package guard

// Filled is how much of an allowance fills up in a time.
var Filled = filled
