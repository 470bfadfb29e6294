package systemtest

import (
	"github.com/crisphandover/handover/internal/systemtest/rig"

	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// What a user sends is bounded, and the error names the bound.
func TestMessagesBeyondALimit(t *testing.T) {
	files := func(n int, f handover.File) (all []handover.File) {
		for range n {
			all = append(all, f)
		}
		return all
	}
	good := handover.File{URL: "https://example.com/a.png", Name: "a.png"}
	for name, tt := range map[string]struct {
		files []handover.File
		says  string
	}{
		"as many as may be": {files(20, good), ""},
		"too many":          {files(21, good), "Limits.Files"},
		"800":               {files(800, good), "Limits.Files"},
		"a long name":       {files(1, handover.File{URL: good.URL, Name: strings.Repeat("a", 1<<20)}), "name"},
		"a long type":       {files(1, handover.File{URL: good.URL, MIMEType: strings.Repeat("a", 1<<20)}), "type"},
		"a long URL":        {files(1, handover.File{URL: good.URL + strings.Repeat("a", 1<<20)}), "URL"},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, _ *handovertest.Operator) {
				_, err := r.Receive(handover.Incoming{Files: tt.files})
				if tt.says == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, handover.ErrBadMessage)
				require.True(t, handover.Permanent(err))
				require.ErrorContains(t, err, tt.says)
				require.Less(t, len(err.Error()), 300)
			})
		})
	}
}

func TestNotesBeyondALimit(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		_, err = r.H.Start(r.T.Context(), turn, handover.Request{Note: strings.Repeat("a", 100_001)})
		require.ErrorContains(t, err, "Request.Note is longer than Limits.Text")
		err = r.H.End(r.T.Context(), r.Conv, handover.EndOptions{Note: strings.Repeat("a", 100_001)})
		require.ErrorContains(t, err, "EndOptions.Note is longer than Limits.Text")
	})
}

// Many greedy users at once: the queue of each is bounded, and nobody else waits for them.
func TestGreedyUsers(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Limits.Workers, c.Limits.Waiting = 2, 40
		c.Timeouts.Relay = time.Hour
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		convs := map[string]*handovertest.Conversation{}
		for _, id := range []string{"greedy 1", "greedy 2", "greedy 3", "modest"} {
			r.Conv.ID = id
			convs[id] = r.Opened()
		}
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteSend, DelayAnswer: 500 * time.Millisecond})
		var all sync.WaitGroup
		var mu sync.Mutex
		crowded := 0
		for _, id := range []string{"greedy 1", "greedy 2", "greedy 3"} {
			for i := range 15 {
				all.Go(func() {
					m := handover.Incoming{Conversation: handover.Conversation{Source: "webchat", ID: id}, ID: fmt.Sprint(i), Text: strings.Repeat("word ", 7_999)}
					if _, err := r.H.Receive(context.Background(), m); err != nil {
						require.ErrorIs(t, err, handover.ErrCrowded)
						require.ErrorContains(t, err, "Limits.Waiting")
						require.False(t, handover.Permanent(err), "the channel repeats it")
						mu.Lock()
						crowded++
						mu.Unlock()
					}
				})
			}
		}
		time.Sleep(5 * time.Second)
		begun := time.Now()
		_, err := r.H.Receive(r.T.Context(), handover.Incoming{Conversation: handover.Conversation{Source: "webchat", ID: "modest"}, ID: "x", Text: "hello"})
		require.NoError(t, err)
		waited := time.Since(begun)
		all.Wait()
		t.Logf("with 3 greedy users, 2 workers and half a second a call another user's message took %v; %d of 45 were told to come later", waited, crowded)
		require.LessOrEqual(t, waited, 20*time.Second)
		require.Equal(t, 45-3*2, crowded, "as many fit as Limits.Waiting lets")
	})
}

// A host may tell of each key that is pressed.
func TestTypingIsThrottled(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		tally := r.Crisp.Tally()
		for range 1000 {
			require.NoError(t, r.H.UserTyping(r.Conv, true))
			time.Sleep(10 * time.Millisecond)
		}
		require.NoError(t, r.H.UserTyping(r.Conv, false))
		require.NoError(t, r.H.UserTyping(r.Conv, false))
		r.After(time.Minute)
		t.Logf("calls for 1,000 signs of typing in 10 s: %d", tally.Count(handovertest.RouteCompose))
		require.LessOrEqual(t, tally.Count(handovertest.RouteCompose), 4)
		require.GreaterOrEqual(t, tally.Count(handovertest.RouteCompose), 3)
		require.NoError(t, r.H.UserTyping(r.Conv, true))
		r.Crisp.Settle()
		require.LessOrEqual(t, tally.Count(handovertest.RouteCompose), 5, "at once after a pause")
	})
}

// A channel that hangs delays no other one.
func TestChannelThatHangsDelaysNoOther(t *testing.T) {
	shown := make(chan time.Time, 1)
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Limits.CreatesPerMinute = -1
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			switch {
			case m.From != handover.FromAgent:
			case s.Conversation.Source == "slow":
				<-ctx.Done()
				return "", ctx.Err()
			default:
				shown <- time.Now()
			}
			return m.ID, nil
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		var slow []*handovertest.Conversation
		for i := range 400 {
			r.Conv = handover.Conversation{Source: "slow", ID: fmt.Sprint(i)}
			slow = append(slow, r.Opened())
		}
		r.Conv = handover.Conversation{Source: "fast", ID: "1"}
		fast := r.Opened()
		for _, conv := range slow {
			conv.Operator("Ann").Say("hello")
		}
		time.Sleep(30 * time.Second)
		begun := time.Now()
		fast.Operator("Bob").Say("hello")
		waited := (<-shown).Sub(begun)
		t.Logf("with 400 conversations of a channel that hangs, another channel's message took %v", waited)
		require.LessOrEqual(t, waited, 5*time.Second)
	})
}
