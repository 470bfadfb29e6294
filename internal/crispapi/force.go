package crispapi

import "context"

// forcedKey is the key of contexts that Force made.
type forcedKey struct{}

// Force returns a context whose calls are made even while the breaker is open, so that a person who has
// mended the token or a setting sees it at once, and calls go on. They are not made while Crisp has asked
// for fewer calls.
func Force(ctx context.Context) context.Context { return context.WithValue(ctx, forcedKey{}, true) }

func forced(ctx context.Context) bool { return ctx.Value(forcedKey{}) != nil }
