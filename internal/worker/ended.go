package worker

import (
	"context"
	"errors"
	"fmt"
)

// Ended returns why a context has ended: its error, together with the cause where that is another one. The
// cause alone is no context.Canceled when it is the signal that signal.NotifyContext got, say.
func Ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
