package handover_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// long is a conversation in which an agent has written 100 messages. It returns their fingerprints.
func long(t *testing.T, o rig.Options, test func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator, said []int64)) {
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		var said []int64
		for i := range 100 {
			said = append(said, ann.Say(fmt.Sprint("message ", i)))
			r.After(time.Second)
		}
		require.Len(t, rig.AgentsIn(r.Saw()), 100)
		require.NotZero(t, oldLog(r, conv).Version)
		test(r, conv, ann, said)
	})
}

// oldLog is the stored old log of a Crisp session.
func oldLog(r *rig.Rig, conv *handovertest.Conversation) handover.Record {
	r.T.Helper()
	rec, err := r.Store.Load(context.Background(), oldLogKey(r, conv))
	require.NoError(r.T, err)
	return rec
}

func oldLogKey(r *rig.Rig, conv *handovertest.Conversation) string {
	return "log/" + r.Crisp.WebsiteID() + "/" + conv.ID()
}

func TestEditOfAnOldMessage(t *testing.T) {
	long(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator, said []int64) {
		ann.Edit(said[3], "corrected")
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: corrected"}, r.Saw())
		require.True(t, strings.HasSuffix(r.Last().Corrects, fmt.Sprint("/", said[3])))
		for range 30 {
			ann.Say("more")
			r.After(time.Second)
		}
		r.Saw()
		ann.Edit(said[3], "corrected again")
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: corrected again"}, r.Saw())
	})
}

func TestEditOfAnOldMessageIsRevised(t *testing.T) {
	var revised []handover.Revision
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Revise = func(_ context.Context, _ handover.Session, v handover.Revision) error {
			revised = append(revised, v)
			return nil
		}
	}}
	long(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator, said []int64) {
		ann.Edit(said[3], "corrected")
		r.After(time.Minute)
		ann.Remove(said[4])
		r.After(time.Minute)
		require.Len(t, revised, 2)
		require.NotEmpty(t, revised[0].Message.ChannelID)
		require.Equal(t, "corrected", revised[0].Message.Content.Text)
		require.True(t, revised[1].Removed)
		require.NotEqual(t, revised[0].Message.ChannelID, revised[1].Message.ChannelID)
		require.Empty(t, r.Saw())
	})
}

// What Crisp tells again is not shown again, whether the log can be read or not.
func TestAnOldMessageIsShownOnce(t *testing.T) {
	for name, broken := range map[string]bool{"healthy": false, "the log cannot be read": true} {
		t.Run(name, func(t *testing.T) {
			long(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator, said []int64) {
				if broken {
					r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteMessages, Status: 500})
				}
				at := make(map[int64]int64)
				for _, m := range conv.Messages() {
					at[m.Fingerprint] = m.Timestamp
				}
				for i, fp := range said {
					req := r.Hook("message:received", conv.ID(), map[string]any{
						"type": "text", "from": "operator", "origin": "chat", "content": fmt.Sprint("message ", i), "fingerprint": fp,
						"timestamp": at[fp], "user": map[string]any{"nickname": "Ann", "user_id": ann.ID()},
					})
					require.Equal(t, 200, r.Hooked(req).Code)
				}
				r.After(10 * time.Minute)
				require.Empty(t, rig.AgentsIn(r.Saw()))
			})
		})
	}
}

func TestAMessageThatBecomesVisibleVeryLate(t *testing.T) {
	long(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator, _ []int64) {
		ann.SayLate("where were we?", 70*time.Second)
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann (late): where were we?"}, r.Saw())
	})
}

func TestOldLogsGoWithTheirConversation(t *testing.T) {
	for name, end := range map[string]func(r *rig.Rig, ann *handovertest.Operator){
		"forgotten": func(r *rig.Rig, _ *handovertest.Operator) {
			require.NoError(r.T, r.H.Forget(r.T.Context(), r.Conv))
		},
		"expired": func(r *rig.Rig, ann *handovertest.Operator) {
			ann.Resolve()
			r.After(time.Minute)
			for range 8 {
				time.Sleep(24 * time.Hour)
				r.Runs(time.Second)
			}
			require.Zero(r.T, r.Record().Version)
		},
		"gone without a word": func(r *rig.Rig, _ *handovertest.Operator) {
			require.NoError(r.T, r.Store.Delete(r.T.Context(), r.Key(), r.Record().Version))
			time.Sleep(25 * time.Hour)
			r.Runs(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			long(t, rig.Options{Still: true}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator, _ []int64) {
				end(r, ann)
				require.Zero(t, oldLog(r, conv).Version)
			})
		})
	}
}

func TestAnOldLogThatCannotBeRead(t *testing.T) {
	for name, data := range map[string]string{"not JSON": "private words", "null": `{"v":1,"entries":[null]}`} {
		t.Run(name, func(t *testing.T) {
			long(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator, said []int64) {
				old := oldLog(r, conv)
				old.Data = []byte(data)
				_, err := r.Store.Save(t.Context(), old)
				require.NoError(t, err)
				ann.Edit(said[3], "corrected")
				for i := range 30 {
					ann.Say(fmt.Sprint("more ", i))
					r.After(time.Second)
				}
				require.Len(t, rig.AgentsIn(r.Saw()), 30)
			})
		})
	}
}

// A store that has lost the old log loses no more than the edits of old messages.
func TestAnOldLogThatIsLost(t *testing.T) {
	long(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator, said []int64) {
		require.NoError(t, r.Store.Delete(t.Context(), oldLogKey(r, conv), oldLog(r, conv).Version))
		ann.SayLate("late", 70*time.Second)
		ann.Edit(said[3], "corrected")
		ann.Say("more")
		r.After(10 * time.Minute)
		require.Contains(t, r.Saw(), "agent Ann: more")
		require.True(t, slices.ContainsFunc(r.Activities(), func(a handover.Activity) bool { return a.Why == "too_old" }))
	})
}

// While a read is under way, messages that it brings go to the old log, and are no longer among those that
// the record knows. They are not shown again.
func TestMessagesThatMoveDuringARead(t *testing.T) {
	long(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator, _ []int64) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteMessages, DelayAnswer: 8 * time.Second})
		ann.Say("next")
		r.After(time.Second)
		for i := range 130 { // more than are kept whole until Crisp shows their time
			r.Says(fmt.Sprint("words ", i))
		}
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: next"}, rig.AgentsIn(r.Saw()))
	})
}
