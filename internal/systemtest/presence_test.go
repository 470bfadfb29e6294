package systemtest

import (
	"github.com/crisphandover/handover/internal/systemtest/rig"

	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

func TestAvailableTellsOnlineAwayAndUnknownApart(t *testing.T) {
	for status, want := range map[string]handover.Presence{
		"online": handover.PresenceOnline, "away": handover.PresenceAway, "offline": handover.PresenceUnknown, "ONLINE": handover.PresenceUnknown, "": handover.PresenceUnknown,
	} {
		t.Run(status, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				r.Crisp.Availability(status)
				got, err := r.H.Available(r.T.Context(), r.Conv)
				require.NoError(t, err)
				require.Equal(t, want, got)
			})
		})
	}
}

func TestAvailableNeedsAConversation(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		there, err := r.H.Available(r.T.Context(), handover.Conversation{})
		require.ErrorIs(t, err, handover.ErrBadMessage)
		require.Equal(t, handover.PresenceUnknown, there)
		require.Zero(t, r.Crisp.CountCalls(handovertest.RouteAvailability))
	})
}

func TestAvailabilityThatCouldNotBeAskedIsAskedAgainSoon(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteAvailability, Status: 503})
		there, err := r.H.Available(r.T.Context(), r.Conv)
		require.Error(t, err)
		require.Equal(t, handover.PresenceUnknown, there)
		r.After(10 * time.Second)
		there, err = r.H.Available(r.T.Context(), r.Conv)
		require.NoError(t, err)
		require.Equal(t, handover.PresenceOnline, there)
	})
}

func TestAvailableWithAContextThatEnds(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteAvailability, DelayAnswer: 5 * time.Second})
		ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
		defer cancel()
		there, err := r.H.Available(ctx, r.Conv)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, handover.PresenceUnknown, there)
		there, err = r.H.Available(r.T.Context(), r.Conv)
		require.NoError(t, err, "one caller's end is not another's answer")
		require.Equal(t, handover.PresenceOnline, there)
	})
}

func TestAvailableDoesNotWaitForAnotherCallersContext(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteAvailability, DelayAnswer: 5 * time.Second})
		var all sync.WaitGroup
		all.Go(func() {
			there, err := r.H.Available(r.T.Context(), r.Conv)
			require.NoError(t, err)
			require.Equal(t, handover.PresenceOnline, there)
		})
		r.Crisp.Settle()
		ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		there, err := r.H.Available(ctx, r.Conv)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, handover.PresenceUnknown, there)
		require.Equal(t, time.Second, time.Since(begun))
		all.Wait()
		require.Equal(t, 1, r.Crisp.CountCalls(handovertest.RouteAvailability))
	})
}

func TestABurstAsksOnce(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteAvailability, DelayAnswer: time.Second})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				there, err := r.H.Available(r.T.Context(), r.Conv)
				require.NoError(t, err)
				require.Equal(t, handover.PresenceOnline, there)
			})
		}
		all.Wait()
		require.Equal(t, 1, r.Crisp.CountCalls(handovertest.RouteAvailability))
	})
}

func TestPresenceGetsWhatCrispSaysAndTheRequest(t *testing.T) {
	type heard struct {
		conv   handover.Conversation
		locale string
		crisp  handover.Presence
	}
	var last heard
	say := handover.PresenceAway
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Presence = func(_ context.Context, s handover.Session, p handover.Presence) handover.Presence {
			last = heard{s.Conversation, s.Locale, p}
			return say
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		there, err := r.H.Available(r.T.Context(), r.Conv)
		require.NoError(t, err)
		require.Equal(t, handover.PresenceAway, there)
		require.Equal(t, heard{r.Conv, "", handover.PresenceOnline}, last)

		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(handover.Request{Locale: "fr"}))
		require.Equal(t, heard{r.Conv, "fr", handover.PresenceOnline}, last)

		r.After(time.Minute)
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteAvailability, Status: 500})
		say = handover.PresenceOnline
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		require.Equal(t, handover.PresenceUnknown, last.crisp)
	})
}

func TestPresenceThatPanics(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Presence = func(context.Context, handover.Session, handover.Presence) handover.Presence { panic("a bug") }
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		there, err := r.H.Available(r.T.Context(), r.Conv)
		require.NoError(t, err)
		require.Equal(t, handover.PresenceOnline, there, "what Crisp says stands")
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
	})
}

func TestASourceThatIsNotAllowedAsksNobody(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Sources = []string{"telegram"} }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeNotAllowed, r.Asks(handover.Request{}))
		require.Zero(t, r.Crisp.CountCalls(""))
		require.True(t, r.Says("well then").Bot)
	})
}

// However long it takes to find out who is there, what the user asked for is stored.
func TestPresenceThatTakesItsTime(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Presence = func(ctx context.Context, _ handover.Session, p handover.Presence) handover.Presence {
			<-ctx.Done()
			return p
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteAvailability, Delay: time.Minute})
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
	})
}
