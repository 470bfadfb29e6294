package crispapi

import "context"

// forcedKey is the key of contexts that Force made.
type forcedKey struct{}

// Force returns a context whose calls are made even while the breaker is open, so that a person who has
// mended the token or a setting sees it at once, and calls go on. They are not made while Crisp has asked
// for fewer calls.
func Force(ctx context.Context) context.Context { return context.WithValue(ctx, forcedKey{}, true) }

func forced(ctx context.Context) bool { return ctx.Value(forcedKey{}) != nil }

// lastTryKey is the key of contexts that LastTry made.
type lastTryKey struct{}

// LastTry returns a context whose calls are made even while the breaker is open, for what is given up if it does not
// pass now: one in two seconds for a website, and none before a time that Crisp told. One that goes well closes the
// breaker; one that fails does not keep it open for longer.
func LastTry(ctx context.Context) context.Context {
	return context.WithValue(ctx, lastTryKey{}, true)
}

func lastTry(ctx context.Context) bool { return ctx.Value(lastTryKey{}) != nil }
