package messenger

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// newChannel is the page "page-1".
func newChannel(t testing.TB) *Channel {
	c, err := New(Config{PageID: "page-1", Token: handover.NewSecret("page-token"), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return c
}
