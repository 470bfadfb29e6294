package scenarios

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestEditsAndRemovals(t *testing.T) {
	var revised []handover.Revision
	revise := func(r *rig.Rig, c *handover.Config) {
		revised = nil
		c.Revise = func(_ context.Context, _ handover.Session, v handover.Revision) error {
			revised = append(revised, v)
			return nil
		}
	}
	t.Run("without Revise an edit is a correction", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.Saw()
			first := r.Last()
			ann.Edit(fp, "at six")
			require.Equal(t, []string{"agent Ann: at six"}, r.Saw())
			second := r.Last()
			require.Equal(t, first.ID, second.Corrects)
			require.NotEqual(t, first.ID, second.ID)
			require.NotEmpty(t, second.ChannelID)
			ann.Remove(fp)
			require.Empty(t, r.Saw())
		})
	})
	t.Run("with Revise", func(t *testing.T) {
		rig.Active(t, rig.Options{Config: revise}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.Crisp.Settle()
			first := r.Last()
			ann.Edit(fp, "at six")
			r.Crisp.Settle()
			ann.Remove(fp)
			r.Crisp.Settle()
			require.Len(t, revised, 2)
			require.Equal(t, "at six", revised[0].Message.Content.Text)
			require.Equal(t, first.ID, revised[0].Message.Corrects)
			require.Equal(t, fmt.Sprintf("channel-%d", len(r.Shown())), revised[0].Message.ChannelID)
			require.True(t, revised[1].Removed)
			require.Equal(t, revised[0].Message.ChannelID, revised[1].Message.ChannelID)
		})
	})
	t.Run("removed before it was seen", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
				if i.Event == "message:received" {
					return handovertest.HookFault{Delay: 3 * time.Second}
				}
				return handovertest.HookFault{}
			})
			ann.Remove(ann.Say("oops"))
			r.After(time.Minute)
			require.Empty(t, r.Saw())
		})
	})
	t.Run("edited before it was delivered", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
			ann.Say("blocks the queue")
			r.Crisp.Settle()
			fp := ann.Say("at five")
			r.Crisp.Settle()
			ann.Edit(fp, "at six")
			r.Crisp.Settle()
			r.Fails(nil)
			r.After(time.Minute)
			require.Equal(t, []string{"agent Ann: blocks the queue", "agent Ann: at six"}, r.Saw())
		})
	})
	t.Run("a stale read is no edit back", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.After(3 * time.Second)
			ann.Edit(fp, "at six")
			require.Equal(t, []string{"agent Ann: at five", "agent Ann: at six"}, r.Saw())
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteMessages, Stale: 2 * time.Second})
			r.After(time.Second)
			ann.Note("hm")
			require.Empty(t, r.Saw())
			ann.Edit(fp, "at five")
			require.Equal(t, []string{"agent Ann: at five"}, r.Saw(), "a real one is")
		})
	})
	t.Run("an edit whose message's hook never came", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
				return handovertest.HookFault{Drop: i.Event == "message:received"}
			})
			fp := ann.Say("at five")
			note := ann.Note("hm")
			ann.Edit(fp, "at six")
			ann.Edit(note, "hm hm")
			r.After(time.Minute)
			require.Equal(t, []string{"agent Ann: at six"}, r.Saw())
		})
	})
}
