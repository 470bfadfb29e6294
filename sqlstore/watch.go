package sqlstore

import (
	"context"
	"errors"
	"fmt"
)

// Watch implements handover.Watcher, by Options.Listen; without that it is not supported.
//
// Other Stores in the same database with the same Options.Prefix, but other schemas, are heard too:
// their keys may be told.
func (s *Store) Watch(ctx context.Context, changed func(key string)) error {
	if s.listen == nil {
		return fmt.Errorf("handover: sqlstore: Watch without Options.Listen: %w", errors.ErrUnsupported)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("handover: sqlstore: Watch: %w", err)
	}
	err := s.listen(ctx, s.channel, changed)
	switch {
	case err == nil:
		err = errors.New("Options.Listen returned")
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return fmt.Errorf("handover: sqlstore: Watch: %w", err)
}
