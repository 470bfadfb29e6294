package handover_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// A conversation whose messages pile up says so, and why.
func TestSessionSaysWhatWaitsForTheUser(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		fault string
	}{
		"failing":     {rig.ErrChannelDown, "error"},
		"busy":        {handover.RetryAfter(time.Hour, errors.New("flood")), "later"},
		"away":        {handover.ErrUserAway, "away"},
		"panicking":   {nil, "panicked"},
		"unsupported": {errors.ErrUnsupported, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
				require.Zero(t, r.Session().ForUser)
				require.Zero(t, r.Session().ForCrisp)
				r.Fails(func(m handover.Message) error {
					if tt.err == nil {
						panic("lost")
					}
					return tt.err
				})
				begun := time.Now()
				ann.Say("one")
				ann.Say("two")
				r.After(10 * time.Second)
				w := r.Session().ForUser
				require.Equal(t, tt.fault, w.Fault)
				if tt.fault == "" { // given up, and the agents were told
					require.Zero(t, w)
					return
				}
				require.Equal(t, 2, w.Messages)
				require.WithinDuration(t, begun, w.Since, time.Second)
				if name != "away" {
					require.Positive(t, w.Attempt)
					require.True(t, w.Next.After(time.Now()))
				}
				r.Fails(nil)
				r.Says("are you there?")
				r.After(2 * time.Hour)
				require.Zero(t, r.Session().ForUser)
			})
		})
	}
}

func TestSessionSaysWhatWaitsForCrisp(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, _ *handovertest.Operator) {
		r.Crisp.SetFaults(func(c handovertest.CallInfo) handovertest.Fault {
			return handovertest.Fault{Status: http.StatusServiceUnavailable}
		})
		begun := time.Now()
		for _, id := range []string{"1", "2"} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			_, err := r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: id, Text: "hello"})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		r.After(5 * time.Second)
		w := r.Session().ForCrisp
		require.Equal(t, 2, w.Messages)
		require.Equal(t, begun.UTC(), w.Since.UTC())
		require.Positive(t, w.Attempt)
		require.Contains(t, []string{"HTTP 503", "held"}, w.Fault)
		require.True(t, w.Next.After(time.Now()))
		r.Crisp.SetFaults(nil)
		r.After(time.Minute)
		require.Zero(t, r.Session().ForCrisp)
	})
}
