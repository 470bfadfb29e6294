package systemtest

import (
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"sync/atomic"

	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

func TestUserAwayKeepsTheMessageForTheNextSign(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(handover.Message) error { return handover.ErrUserAway })
		fp := ann.Say("are you there?")
		r.After(time.Minute)
		r.Fails(nil)
		require.Empty(t, r.Saw())
		m, _ := conv.Message(fp)
		require.Empty(t, m.Read, "not marked as read")
		r.Says("back again")
		require.Equal(t, []string{"agent Ann (late): are you there?"}, r.Saw())
		m, _ = conv.Message(fp)
		require.NotEmpty(t, m.Read)
	})
}

// TestAwayAndChanged has an agent change what the user has not seen yet: they find it as it is then.
func TestAwayAndChanged(t *testing.T) {
	for name, row := range map[string]struct {
		revises, names bool // the host has Revise; it names messages that it keeps for later
		change         func(ann *handovertest.Operator, fp int64)
		saw            []string
		revised        int
	}{
		"edited":                       {change: func(ann *handovertest.Operator, fp int64) { ann.Edit(fp, "at six") }, saw: []string{"agent Ann (late): at six"}},
		"edited, with Revise":          {revises: true, change: func(ann *handovertest.Operator, fp int64) { ann.Edit(fp, "at six") }, saw: []string{"agent Ann (late): at six"}},
		"edited, kept by the host":     {revises: true, names: true, change: func(ann *handovertest.Operator, fp int64) { ann.Edit(fp, "at six") }, saw: []string{"agent Ann (late): at six"}, revised: 1},
		"edited, kept, no Revise":      {names: true, change: func(ann *handovertest.Operator, fp int64) { ann.Edit(fp, "at six") }, saw: []string{"agent Ann (late): at six"}},
		"removed":                      {change: func(ann *handovertest.Operator, fp int64) { ann.Remove(fp) }},
		"removed, with Revise":         {revises: true, change: func(ann *handovertest.Operator, fp int64) { ann.Remove(fp) }},
		"removed, kept by the host":    {revises: true, names: true, change: func(ann *handovertest.Operator, fp int64) { ann.Remove(fp) }, revised: 1},
		"edited to what makes several": {change: func(ann *handovertest.Operator, fp int64) { ann.Edit(fp, strings.Repeat("x", 2001)) }, saw: []string{"agent Ann (late): " + strings.Repeat("x", 2000), "agent Ann (late): x"}},
	} {
		t.Run(name, func(t *testing.T) {
			var away atomic.Bool
			var revised []handover.Revision
			o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
				deliver := c.Deliver
				c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
					switch {
					case !away.Load():
						return deliver(ctx, s, m)
					case row.names:
						return "kept " + m.ID, handover.ErrUserAway
					}
					return "", handover.ErrUserAway
				}
				if row.revises {
					c.Revise = func(_ context.Context, _ handover.Session, v handover.Revision) error {
						revised = append(revised, v)
						return nil
					}
				}
			}}
			rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				away.Store(true)
				fp := ann.Say("at five")
				r.Crisp.Settle()
				ann.Say("or later")
				r.Crisp.Settle()
				row.change(ann, fp)
				r.After(time.Minute)
				away.Store(false)
				require.Empty(t, r.Saw())
				r.Says("back again")
				require.Equal(t, append(row.saw, "agent Ann (late): or later"), r.Saw())
				require.Len(t, revised, row.revised)
				for _, v := range revised {
					require.Equal(t, "kept "+v.Message.Corrects, v.Message.ChannelID)
				}
			})
		})
	}
}

// TestEditedWhileTried has an agent edit a message whose delivery is still tried. What Deliver
// returns at last is what Revise gets.
func TestEditedWhileTried(t *testing.T) {
	var revised []handover.Revision
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Revise = func(_ context.Context, _ handover.Session, v handover.Revision) error {
			revised = append(revised, v)
			return nil
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(handover.Message) error { return errors.New("down") })
		fp := ann.Say("at five")
		r.After(time.Second)
		ann.Edit(fp, "at six")
		r.Crisp.Settle()
		r.Fails(nil)
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: at five"}, r.Saw())
		require.Len(t, revised, 1)
		require.Equal(t, fmt.Sprintf("channel-%d", len(r.Shown())), revised[0].Message.ChannelID)
	})
}

// TestACorrectionHasAnIDOfItsOwn has an agent change a message again and again: a host that remembers
// the ids that it has shown misses nothing.
func TestACorrectionHasAnIDOfItsOwn(t *testing.T) {
	test := func(t *testing.T, o rig.Options, want []string, edits func(r *rig.Rig, edit func(text string))) {
		rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.Saw()
			first := r.Last()
			edits(r, func(text string) {
				r.After(time.Minute)
				ann.Edit(fp, text)
				r.Crisp.Settle()
			})
			require.Equal(t, want, r.AgentLines())
			ids := make(map[string]bool)
			for _, m := range r.Shown() {
				require.False(t, ids[m.ID], m.ID)
				ids[m.ID] = true
			}
			require.Equal(t, first.ID, r.Last().Corrects)
		})
	}
	t.Run("there and back", func(t *testing.T) {
		test(t, rig.Options{}, []string{"agent Ann: at six", "agent Ann: at five", "agent Ann: at six", "agent Ann: at five"}, func(_ *rig.Rig, edit func(string)) {
			edit("at six")
			edit("at five")
			edit("at six")
			edit("at five")
		})
	})
	revises := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Revise = func(context.Context, handover.Session, handover.Revision) error { return errors.ErrUnsupported }
	}}
	for name, o := range map[string]rig.Options{"": {}, ", in a channel that cannot edit": revises} {
		t.Run("twice while the user is away"+name, func(t *testing.T) {
			test(t, o, []string{"agent Ann (late): at seven"}, func(r *rig.Rig, edit func(string)) {
				r.Fails(func(handover.Message) error { return handover.ErrUserAway })
				edit("at six")
				edit("at seven")
				r.Fails(nil)
				r.Says("back again")
				r.Crisp.Settle()
			})
		})
	}
}

// TestEditedWhenAPartWasShown has the user leave in the middle of a message in parts.
func TestEditedWhenAPartWasShown(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		deliveries := 0
		r.Fails(func(handover.Message) error {
			if deliveries++; deliveries > 1 {
				return handover.ErrUserAway
			}
			return nil
		})
		fp := ann.Say(strings.Repeat("a", 2000) + "b")
		r.Crisp.Settle()
		shown := r.Last()
		ann.Edit(fp, strings.Repeat("x", 2000)+"y")
		r.Crisp.Settle()
		r.Fails(nil)
		r.Saw()
		r.Says("back again")
		require.Equal(t, []string{"agent Ann (late): " + strings.Repeat("x", 2000), "agent Ann (late): y"}, r.Saw())
		corrected := r.Shown()[len(r.Shown())-2]
		require.NotEqual(t, shown.ID, corrected.ID)
		require.Equal(t, shown.ID, corrected.Corrects)
	})
}

// That the user was away is no fault: however often that was, a message is still tried as often as any.
func TestBeingAwayUsesUpNoAttempts(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Limits.Attempts = 3 }}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(handover.Message) error { return handover.ErrUserAway })
		ann.Say("are you there?")
		for i := range 5 {
			r.After(time.Minute)
			r.Says(fmt.Sprint("a sign ", i)) // and gone again
		}
		faults := 0
		r.Fails(func(m handover.Message) error {
			if faults++; faults < 3 {
				return errChannelDown
			}
			return nil
		})
		r.Says("back")
		r.After(time.Minute)
		require.Contains(r.T, rig.Unlate(r.AgentLines()), "agent Ann: are you there?")
		require.Zero(r.T, r.Count(handover.ActivityGivenUp))
	})
}

// A sign of the user that comes while Deliver finds out that nobody is there gives the message back all the same.
func TestASignWhileDeliverFindsNobody(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		tries := 0
		r.Fails(func(handover.Message) error {
			if tries++; tries == 1 {
				r.Says("I am back")
				return handover.ErrUserAway
			}
			return nil
		})
		ann.Say("are you there?")
		r.After(time.Minute)
		require.Contains(r.T, rig.Unlate(r.AgentLines()), "agent Ann: are you there?")
	})
}

// What an agent has changed of a message that was kept comes first all the same, and is not tried more often than what
// stands behind it.
func TestAMessageThatWasKeptAndChangedIsTriedInItsPlace(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(handover.Message) error { return handover.ErrUserAway })
		one := ann.Say("one")
		ann.Say("two")
		r.After(time.Second)
		ann.Edit(one, "uno")
		r.After(time.Second)
		var tried []string
		r.Fails(func(m handover.Message) error {
			if tried = append(tried, m.Content.Text); len(tried) > 1000 {
				return handover.ErrUserAway // it would go on for ever
			}
			return errors.New("down")
		})
		r.Says("I am back")
		r.After(time.Hour)
		require.Less(r.T, len(tried), 200)
		r.Fails(nil)
		r.After(2 * time.Minute)
		require.Equal(r.T, []string{"agent Ann (late): uno", "agent Ann (late): two"}, r.AgentLines()[len(r.AgentLines())-2:])
	})
}

// A message that is late stays so when its agent changes it while it waits behind another one.
func TestALateMessageThatWasChangedIsLate(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(handover.Message) error { return handover.ErrUserAway })
		ann.Say("one")
		two := ann.Say("two")
		r.After(time.Second)
		r.Fails(func(handover.Message) error { return errors.New("down") })
		r.Says("I am back")
		r.After(time.Second)
		ann.Edit(two, "due")
		r.After(time.Second)
		r.Fails(nil)
		r.After(2 * time.Minute)
		require.Equal(r.T, []string{"agent Ann (late): one", "agent Ann (late): due"}, r.AgentLines()[len(r.AgentLines())-2:])
	})
}
