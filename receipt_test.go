package handover_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// A message that the channel repeats while the bot takes 30 s has one answer, on one replica and on three.
func TestReceiveRepeatedWhileTheBotAnswers(t *testing.T) {
	for _, n := range []int{1, 3} {
		for _, inside := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d replicas, within send %v", n, inside), func(t *testing.T) {
				rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
					all := []*handover.Handover{r.H}
					for range n - 1 {
						all = append(all, r.Replica(rig.Options{}))
					}
					var mu sync.Mutex
					var turns []handover.Turn
					var repeats sync.WaitGroup
					for i := range 6 {
						h := all[i%n]
						repeats.Go(func() {
							turn, err := h.Receive(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "m1", Text: "hello"})
							require.NoError(t, err)
							mu.Lock()
							turns = append(turns, turn)
							mu.Unlock()
							if !turn.Bot {
								return
							}
							if !inside {
								time.Sleep(30 * time.Second)
							}
							require.NoError(t, h.Reply(context.Background(), turn, func(context.Context) error {
								if inside {
									time.Sleep(30 * time.Second)
								}
								r.Spoke("hello")
								return nil
							}))
						})
						r.After(2 * time.Second)
					}
					repeats.Wait()
					require.Equal(t, []string{"bot: hello"}, r.Saw())
					require.True(t, turns[0].Bot)
					for _, turn := range turns[1:] {
						require.False(t, turn.Bot)
						require.Equal(t, handover.WhyRepeat, turn.Why)
					}
				})
			})
		}
	}
}

// A repeat does not wait for longer than its context, and says what it waited for.
func TestReceiveSaysThatTheBotAnswers(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		m := handover.Incoming{ID: "m1", Text: "hello", Conversation: r.Conv}
		turn, err := r.Receive(m)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err = r.H.Receive(ctx, m)
		require.ErrorIs(t, err, handover.ErrUnderWay)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, handover.Permanent(err))

		broken := errors.New("no model")
		require.ErrorIs(t, r.H.Reply(context.Background(), turn, func(context.Context) error { return broken }), broken)
		begin := time.Now()
		turn, err = r.Receive(m)
		require.NoError(t, err)
		require.True(t, turn.Bot, "a failed answer lets the next one begin")
		require.Zero(t, time.Since(begin))

		next, err := r.Receive(m) // whoever has the turn has died
		require.NoError(t, err)
		require.True(t, next.Bot)
		require.Equal(t, 2*time.Minute+10*time.Second, time.Since(begin))
		require.NoError(t, r.Reply(next, "hello"))
		require.Equal(t, []string{"bot: hello"}, r.Saw())
	})
}

// A reply that begins late has its whole time.
func TestReceiveRepeatedAfterALateReply(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		m := handover.Incoming{ID: "m1", Text: "hello", Conversation: r.Conv}
		turn, err := r.Receive(m)
		require.NoError(t, err)
		time.Sleep(100 * time.Second)
		go func() {
			_ = r.H.Reply(context.Background(), turn, func(ctx context.Context) error { return sleep(ctx, 100*time.Second) })
		}()
		r.After(time.Second)
		turn, err = r.Receive(m)
		require.NoError(t, err)
		require.Equal(t, handover.WhyRepeat, turn.Why)
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// A turn that a handover made void keeps nobody from the next one.
func TestReceiveRepeatedAfterAnOpeningThatFailed(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		m := handover.Incoming{ID: "m1", Text: "hello", Conversation: r.Conv}
		first, err := r.Receive(m)
		require.NoError(t, err)
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		asks, err := r.Receive(handover.Incoming{ID: "m2", Text: "a human!"})
		require.NoError(t, err)
		go func() { _, _ = r.H.Start(context.Background(), asks, handover.Request{}) }()
		r.After(5 * time.Second)
		require.ErrorIs(t, r.Reply(first, "hi"), handover.ErrNotYourTurn)
		r.After(time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
		begin := time.Now()
		again, err := r.Receive(m)
		require.NoError(t, err)
		require.True(t, again.Bot)
		require.Zero(t, time.Since(begin))
	})
}

// Two repeats that wait for Crisp hear of an end that gives the message back: one of them answers.
func TestReceiveTwiceOfWhatCameBack(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 503})
		var mu sync.Mutex
		var bots, repeats int
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				turn, err := r.H.Receive(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "m9", Text: "hello"})
				require.NoError(t, err)
				if turn.Bot {
					time.Sleep(time.Second)
					require.NoError(t, r.Reply(turn, "hi"))
				}
				mu.Lock()
				defer mu.Unlock()
				if turn.Bot {
					bots++
				} else if turn.Why == handover.WhyRepeat {
					repeats++
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, bots)
		require.Equal(t, 3, repeats)
		require.Empty(t, r.Ends()[0].Unsent)
	})
}

// Turn says why the bot is not to answer.
func TestTurnSaysWhy(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		why := func(text, id string) handover.Why {
			turn, err := r.Receive(handover.Incoming{Text: text, ID: id})
			require.NoError(t, err)
			require.Equal(t, turn.Bot, turn.Why == "")
			if turn.Bot {
				require.NoError(t, r.Reply(turn, "hi"))
			}
			return turn.Why
		}
		require.Empty(t, why("hello", "1"))
		require.Equal(t, handover.WhyRepeat, why("hello", "1"))
		r.Opened()
		require.Equal(t, handover.WhyHuman, why("my parcel", "2"))
		require.Equal(t, handover.WhyHuman, why("my parcel", "2"))
		require.Equal(t, handover.WhyChoice, why("Back to the bot", "3"))
		turn, err := r.Receive(handover.Incoming{Text: "be quiet"})
		require.NoError(t, err)
		require.NoError(t, r.H.Mute(context.Background(), turn))
		require.Equal(t, handover.WhyMuted, why("hello?", "4"))
	})
}
