package whatsapp

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// newChannel is the number whose id is 1555.
func newChannel(t testing.TB) *Channel {
	c, err := New(Config{PhoneNumberID: "1555", Token: handover.NewSecret("access-token"), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return c
}
