package channel_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

func TestRefusals(t *testing.T) {
	old := handover.Incoming{Conversation: handover.Conversation{Source: "x", ID: "ann"}, ID: "1", At: time.Unix(1, 0)}
	for name, tt := range map[string]struct {
		errs    []error // one every ten minutes
		givesUp bool    // after the last one
	}{
		"at first":                       {[]error{handover.ErrCrowded}, false},
		"soon":                           {[]error{handover.ErrCrowded, handover.ErrRecord}, false},
		"after a quarter of an hour":     {[]error{handover.ErrCrowded, handover.ErrRecord, handover.ErrCrowded}, true},
		"once it was taken":              {[]error{handover.ErrCrowded, nil, handover.ErrCrowded}, false},
		"once something else was wrong":  {[]error{handover.ErrCrowded, errors.New("down"), handover.ErrCrowded}, false},
		"for a reason that others share": {[]error{errors.New("down"), errors.New("down"), errors.New("down")}, false},
		"what can never be taken":        {[]error{handover.ErrBadMessage}, true},
		"what was taken":                 {[]error{nil}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r channel.Refusals
				for i, err := range tt.errs {
					require.Equal(t, tt.givesUp && i == len(tt.errs)-1, r.GiveUp(old, err), i)
					other := old
					other.Conversation.ID = "bob"
					require.False(t, r.GiveUp(other, nil))
					time.Sleep(10 * time.Minute)
				}
			})
		})
	}
}

// TestRefusalsAreBounded forgets the message that was refused first, which is repeated for longer then.
func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := channel.Refusals{Max: 2}
		for _, id := range []string{"1", "2", "3"} {
			require.False(t, r.GiveUp(handover.Incoming{ID: id}, handover.ErrCrowded))
		}
		time.Sleep(16 * time.Minute)
		require.True(t, r.GiveUp(handover.Incoming{ID: "2"}, handover.ErrCrowded))
		require.True(t, r.GiveUp(handover.Incoming{ID: "3"}, handover.ErrCrowded))
		require.False(t, r.GiveUp(handover.Incoming{ID: "1"}, handover.ErrCrowded))
	})
}

// TestNoRefusals repeats what may be taken some day, for ever.
func TestNoRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var none *channel.Refusals
		require.False(t, none.GiveUp(handover.Incoming{ID: "1"}, handover.ErrCrowded))
		time.Sleep(time.Hour)
		require.False(t, none.GiveUp(handover.Incoming{ID: "1"}, handover.ErrCrowded))
		require.True(t, none.GiveUp(handover.Incoming{ID: "1"}, handover.ErrBadMessage))
	})
}
