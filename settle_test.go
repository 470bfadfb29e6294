package handover_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// deaf is a store whose answer to one save is lost, the first one of a record with some words in it.
type deaf struct {
	handover.Store
	words []byte
	lost  atomic.Bool
}

func (s *deaf) Save(ctx context.Context, r handover.Record) (int64, error) {
	version, err := s.Store.Save(ctx, r)
	if err == nil && bytes.Contains(r.Data, s.words) && s.lost.CompareAndSwap(false, true) {
		return 0, errors.New("the connection broke")
	}
	return version, err
}

// TestAResultWhoseSaveWasNotHeard has the store lose its answer to the save of a result. Written down twice, it
// would have Crisp asked for the message before Crisp has carried the call out.
func TestAResultWhoseSaveWasNotHeard(t *testing.T) {
	var store *deaf
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		store = &deaf{Store: c.Store, words: []byte(`"unsure":true`)}
		c.Store = store
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: http.StatusGatewayTimeout, LateCommit: 4 * time.Second})
		ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
		defer cancel()
		_, err := r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: "m", Text: "is it plugged in?"})
		require.ErrorIs(r.T, err, context.DeadlineExceeded)
		r.After(2 * time.Minute)
		require.True(r.T, store.lost.Load())
		n := 0
		for _, m := range conv.Messages() {
			if m.Text() == "is it plugged in?" {
				n++
			}
		}
		require.Equal(r.T, 1, n, "the message is in Crisp once")
	})
}

// The store loses its answer to a save that notes a result and begins what follows for the agents: that is not left until the
// claim ends, after half a minute.
func TestWhatASaveBeganThatWasNotHeard(t *testing.T) {
	var store *deaf
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		store = &deaf{Store: c.Store, words: []byte(`"kind":"note"`)}
		c.Store = store
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(handover.Message) error { return errors.ErrUnsupported })
		ann.Say("It is under the desk.")
		r.After(10 * time.Second)
		require.True(r.T, store.lost.Load())
		notes := 0
		for _, m := range conv.Messages() {
			if m.Type == "note" {
				notes++
			}
		}
		require.Equal(r.T, 1, notes, "the agents know that the user does not see it")
	})
}
