package handoverotel

// ErrorType is errorType, for tests.
var ErrorType = errorType
