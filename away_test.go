package handover_test

import (
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
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.fails(func(handover.Message) error { return handover.ErrUserAway })
		fp := ann.Say("are you there?")
		r.after(time.Minute)
		r.fails(nil)
		require.Empty(t, r.saw())
		m, _ := conv.Message(fp)
		require.Empty(t, m.Read, "not marked as read")
		r.says("back again")
		require.Equal(t, []string{"agent Ann (late): are you there?"}, r.saw())
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
			away, revised := false, []handover.Revision(nil)
			o := options{config: func(_ *rig, c *handover.Config) {
				deliver := c.Deliver
				c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
					switch {
					case !away:
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
			active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				away = true
				fp := ann.Say("at five")
				r.crisp.Settle()
				ann.Say("or later")
				r.crisp.Settle()
				row.change(ann, fp)
				r.after(time.Minute)
				away = false
				require.Empty(t, r.saw())
				r.says("back again")
				require.Equal(t, append(row.saw, "agent Ann (late): or later"), r.saw())
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
	o := options{config: func(_ *rig, c *handover.Config) {
		c.Revise = func(_ context.Context, _ handover.Session, v handover.Revision) error {
			revised = append(revised, v)
			return nil
		}
	}}
	active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.fails(func(handover.Message) error { return errors.New("down") })
		fp := ann.Say("at five")
		r.after(time.Second)
		ann.Edit(fp, "at six")
		r.crisp.Settle()
		r.fails(nil)
		r.after(time.Minute)
		require.Equal(t, []string{"agent Ann: at five"}, r.saw())
		require.Len(t, revised, 1)
		require.Equal(t, fmt.Sprintf("channel-%d", len(r.shown)), revised[0].Message.ChannelID)
	})
}

// TestACorrectionHasAnIDOfItsOwn has an agent change a message again and again: a host that remembers
// the ids that it has shown misses nothing.
func TestACorrectionHasAnIDOfItsOwn(t *testing.T) {
	test := func(t *testing.T, o options, want []string, edits func(r *rig, edit func(text string))) {
		active(t, o, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.saw()
			first := r.last()
			edits(r, func(text string) {
				r.after(time.Minute)
				ann.Edit(fp, text)
				r.crisp.Settle()
			})
			require.Equal(t, want, r.agentLines())
			ids := make(map[string]bool)
			for _, m := range r.shown {
				require.False(t, ids[m.ID], m.ID)
				ids[m.ID] = true
			}
			require.Equal(t, first.ID, r.last().Corrects)
		})
	}
	t.Run("there and back", func(t *testing.T) {
		test(t, options{}, []string{"agent Ann: at six", "agent Ann: at five", "agent Ann: at six", "agent Ann: at five"}, func(_ *rig, edit func(string)) {
			edit("at six")
			edit("at five")
			edit("at six")
			edit("at five")
		})
	})
	revises := options{config: func(_ *rig, c *handover.Config) {
		c.Revise = func(context.Context, handover.Session, handover.Revision) error { return errors.ErrUnsupported }
	}}
	for name, o := range map[string]options{"": {}, ", in a channel that cannot edit": revises} {
		t.Run("twice while the user is away"+name, func(t *testing.T) {
			test(t, o, []string{"agent Ann (late): at seven"}, func(r *rig, edit func(string)) {
				r.fails(func(handover.Message) error { return handover.ErrUserAway })
				edit("at six")
				edit("at seven")
				r.fails(nil)
				r.says("back again")
				r.crisp.Settle()
			})
		})
	}
}

// TestEditedWhenAPartWasShown has the user leave in the middle of a message in parts.
func TestEditedWhenAPartWasShown(t *testing.T) {
	active(t, options{}, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		deliveries := 0
		r.fails(func(handover.Message) error {
			if deliveries++; deliveries > 1 {
				return handover.ErrUserAway
			}
			return nil
		})
		fp := ann.Say(strings.Repeat("a", 2000) + "b")
		r.crisp.Settle()
		shown := r.last()
		ann.Edit(fp, strings.Repeat("x", 2000)+"y")
		r.crisp.Settle()
		r.fails(nil)
		r.saw()
		r.says("back again")
		require.Equal(t, []string{"agent Ann (late): " + strings.Repeat("x", 2000), "agent Ann (late): y"}, r.saw())
		corrected := r.shown[len(r.shown)-2]
		require.NotEqual(t, shown.ID, corrected.ID)
		require.Equal(t, shown.ID, corrected.Corrects)
	})
}

// That the user was away is no fault: however often that was, a message is still tried as often as any.
func TestBeingAwayUsesUpNoAttempts(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) { c.Limits.Attempts = 3 }}
	active(t, o, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.fails(func(handover.Message) error { return handover.ErrUserAway })
		ann.Say("are you there?")
		for i := range 5 {
			r.after(time.Minute)
			r.says(fmt.Sprint("a sign ", i)) // and gone again
		}
		faults := 0
		r.fails(func(m handover.Message) error {
			if faults++; faults < 3 {
				return errChannelDown
			}
			return nil
		})
		r.says("back")
		r.after(time.Minute)
		require.Contains(r.t, unlate(r.agentLines()), "agent Ann: are you there?")
		require.Zero(r.t, r.count(handover.ActivityGivenUp))
	})
}
