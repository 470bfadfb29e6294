package handover_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// forgetfulStore saves, and once says that it failed.
type forgetfulStore struct {
	handover.Store
	forgets atomic.Pointer[string] // what the record holds then
}

func (s *forgetfulStore) Save(ctx context.Context, r handover.Record) (int64, error) {
	version, err := s.Store.Save(ctx, r)
	if what := s.forgets.Load(); err == nil && what != nil && strings.Contains(string(r.Data), *what) {
		s.forgets.Store(nil)
		return 0, rig.ErrStoreDown
	}
	return version, err
}

// A step whose begin was stored, and said to have failed, is taken up by the process itself, though its
// other work goes on and keeps its claim.
func TestAStepWhoseBeginWasStoredUnheard(t *testing.T) {
	store := &forgetfulStore{}
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		store.Store = c.Store
		c.Store = store
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(10 * time.Second)
		begins := `"running":`
		store.forgets.Store(&begins)
		ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
		defer cancel()
		_, err := r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: "m-lost", Text: "are you there?"})
		require.Error(t, err)
		require.Nil(t, store.forgets.Load(), "nothing was forgotten")
		for range 12 {
			ann.Say("a moment")
			r.After(10 * time.Second)
		}
		require.Contains(t, conv.Transcript(), "user: are you there?")
	})
}

// A conversation whose making was stored, and said to have failed to be stored, is not taken for one that
// nobody needs.
func TestAConversationThatWasStoredUnheard(t *testing.T) {
	store := &forgetfulStore{}
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		store.Store = c.Store
		c.Store = store
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		made := "session_"
		store.forgets.Store(&made)
		conv := r.Opened()
		require.Nil(t, store.forgets.Load(), "nothing was forgotten")
		r.After(time.Minute)
		require.Equal(t, handover.StateWaiting, r.Session().State)
		require.NotEqual(t, "resolved", conv.State())
	})
}

// What a process keeps of a record that it saved is what it stored, and nothing older.
func TestARecordIsRememberedAsItIsStored(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		key := r.Crisp.WebsiteID() + "/webchat/user-1"
		other := r.Replica(rig.Options{})
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"an agent writes", func() { ann.Say("hello") }},
			{"an agent edits", func() { ann.Edit(ann.Say("helo"), "hello again") }},
			{"the user writes", func() { r.Says("are you there?") }},
			{"Crisp resolves", func() { conv.SetState("resolved") }},
			{"an agent adds more", func() { ann.Say("one more thing") }},
		} {
			step.do()
			r.Crisp.Settle()
			ann.Say("after all")
			r.Crisp.Settle()
			stored, err := r.Store.Load(r.T.Context(), key)
			require.NoError(t, err, step.name)
			data, here := handover.Recalled(r.H, stored)
			if !here {
				data, here = handover.Recalled(other, stored)
			}
			require.True(t, here, step.name)
			require.Equal(t, string(stored.Data), string(data), step.name)
			_, here = handover.Recalled(r.H, stored)
			require.False(t, here, "only one may have it")
		}
	})
}
