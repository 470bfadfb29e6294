package handover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	systemrig "github.com/crisphandover/handover/internal/systemtest/rig"
)

// record is the stored record of the rig's conversation.
func (r *rig) record() handover.Record {
	r.T.Helper()
	rec, err := r.Store.Load(context.Background(), r.key())
	require.NoError(r.T, err)
	return rec
}

func (r *rig) key() string { return r.Crisp.WebsiteID() + "/" + r.Conv.Source + "/" + r.Conv.ID }

// alter changes the stored data of the rig's conversation.
func (r *rig) alter(change func(data []byte) []byte) {
	r.T.Helper()
	rec := r.record()
	rec.Data = change(rec.Data)
	_, err := r.Store.Save(context.Background(), rec)
	require.NoError(r.T, err)
}

func TestRecordKeepsUnknownMembers(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.Opened()
		const unknown = `"from_a_later_version":{"a":[1,2.50,"x"],"b":null}`
		r.alter(func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{`+unknown+`,`), 1) })
		require.False(t, r.Says("hello").Bot)
		r.Crisp.Last().Operator("Ann").Say("hi")
		r.Crisp.Settle()
		var d map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(r.record().Data, &d))
		require.JSONEq(t, `{"a":[1,2.50,"x"],"b":null}`, string(d["from_a_later_version"]))
		require.Equal(t, handover.StateActive, r.Session().State)
	})
}

func TestRecordOfALaterVersionIsLeftAlone(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		conv := r.Opened()
		r.alter(func(b []byte) []byte { return bytes.Replace(b, []byte(`"v":1`), []byte(`"v":2`), 1) })
		before := r.record()
		_, err := r.H.Session(r.T.Context(), r.Conv)
		require.ErrorContains(t, err, "upgrade")
		_, err = r.Receive(handover.Incoming{Text: "hello"})
		require.ErrorContains(t, err, "upgrade")
		req := r.hook("session:set_state", conv.ID(), map[string]any{"state": "resolved"})
		require.Equal(t, 503, r.hooked(req).Code, "another process may be able to take it")
		r.After(time.Hour)
		require.Equal(t, string(before.Data), string(r.record().Data))
	})
}

func TestRecordThatCannotBeRead(t *testing.T) {
	for name, data := range map[string]string{
		"not JSON":    "private words",
		"a list":      `["private words"]`,
		"wrong types": `{"v":1,"state":["private words"]}`,
		"cut":         `{"v":1,"conversation":{"id":"private words"`,
		"empty":       "",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{}, func(r *rig) {
				r.Opened()
				r.alter(func([]byte) []byte { return []byte(data) })
				before := r.record()
				for _, call := range calls {
					err := call(r.T.Context(), r, handover.Turn{Conversation: r.Conv})
					if err != nil {
						require.NotContains(t, err.Error(), "private")
					}
					if r.record().Version == 0 {
						return // forgotten, as the host asked
					}
				}
				_, err := r.H.Session(r.T.Context(), r.Conv)
				require.ErrorContains(t, err, "stored record")
				r.After(time.Hour)
				require.Equal(t, before, r.record())
			})
		})
	}
}

func TestRecordSurvivesOddText(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		odd := "\xff \xfe \u2028 \x00 </script> \U0001F600 " + strings.Repeat("\\", 50)
		outcome := r.Asks(handover.Request{
			Resume: odd, Locale: "fr\xff", Note: odd, Segments: []string{"a\xffb"},
			User: handover.UserData{FirstName: odd, Data: map[string]any{odd: odd}},
		})
		require.Equal(t, handover.OutcomeOpened, outcome)
		r.Says(odd)
		require.Equal(t, handover.StateWaiting, r.Session().State)
		want := strings.ReplaceAll(strings.ToValidUTF8(odd, "\uFFFD"), "\x00", "\uFFFD")
		require.Equal(t, want, strings.ToValidUTF8(r.Session().Resume, "\uFFFD"))
		stored, err := r.Store.Load(t.Context(), r.Crisp.WebsiteID()+"/webchat/user-1")
		require.NoError(t, err)
		require.NotContains(t, string(stored.Data), `\u0000`, "databases refuse it")
	})
}

func TestTurnIsPlainData(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.Conv = handover.Conversation{WebsiteID: r.Crisp.WebsiteID(), Source: "tele/gram", ID: "1<2"}
		turn, err := r.Receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		wire, err := json.Marshal(turn)
		require.NoError(t, err)
		var back handover.Turn
		require.NoError(t, json.Unmarshal(wire, &back))
		require.Equal(t, turn, back)
		require.Equal(t, r.Conv, back.Conversation)
		require.NoError(t, r.Reply(back, "hi"))
	})
}

func TestAnOldTurnNeverFitsAgain(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		turn, err := r.Receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		r.After(time.Second)
		require.ErrorIs(t, r.Reply(turn, "too late"), handover.ErrNotYourTurn)
		_, err = r.H.Start(r.T.Context(), turn, handover.Request{})
		require.ErrorIs(t, err, handover.ErrNotYourTurn)
		require.NotEqual(t, turn.Epoch, r.Session().Epoch)
		require.True(t, r.Says("hello again").Bot)
	})
}

func TestForget(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv), "twice does no harm")
		require.Zero(t, r.record().Version)
		found, err := r.Store.Find(r.T.Context(), r.Crisp.WebsiteID()+"/"+conv.ID())
		require.NoError(t, err)
		require.Empty(t, found.Key)
		ann.Say("nobody is there to hear it")
		ann.Resolve()
		r.After(time.Hour)
		require.Empty(t, r.Saw())
		require.Empty(t, r.Ends())
		require.False(t, conv.Removed(), "Crisp's own copy is not touched")
		require.Zero(t, r.record().Version, "nothing brings it back")
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestForgetWhileEverythingRuns(t *testing.T) {
	o := options{config: slowly(time.Second, nil)}
	active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("on its way")
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Delay: 2 * time.Second})
		var all sync.WaitGroup
		all.Go(func() { _, _ = r.Receive(handover.Incoming{Text: "on its way as well"}) })
		synctest.Wait()
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		all.Wait()
		r.After(time.Minute)
		require.Zero(t, r.record().Version)
	})
}

func TestReceiveWhoseConversationIsForgotten(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		var all sync.WaitGroup
		all.Go(func() {
			_, err := r.Receive(handover.Incoming{Text: "hello?"})
			require.Error(t, err, "nil means that Crisp has it")
		})
		synctest.Wait()
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		all.Wait()
		require.NotContains(t, systemrig.UserTexts(conv), "hello?")
	})
}

// TestRecordThatCannotBeWorkedOn is told apart from what goes away by itself, so that a channel can go on with others.
func TestRecordThatCannotBeWorkedOn(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.Opened()
		r.alter(func([]byte) []byte { return []byte("{damaged") })
		_, err := r.H.Receive(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "new", Text: "hello"})
		require.ErrorIs(r.T, err, handover.ErrRecord)
		require.False(r.T, handover.Permanent(err), "somebody may mend it")
		r.Store.Fails(true)
		_, err = r.H.Receive(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "new", Text: "hello"})
		require.Error(r.T, err)
		require.NotErrorIs(r.T, err, handover.ErrRecord)
		r.Store.Fails(false)
	})
}

// TestRecordOfALaterVersion is for another process to work on: its messages are not to be given up.
func TestRecordOfALaterVersion(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.Opened()
		r.alter(func(b []byte) []byte { return bytes.Replace(b, []byte(`"v":1`), []byte(`"v":2`), 1) })
		_, err := r.H.Receive(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "new", Text: "hello"})
		require.ErrorContains(r.T, err, "upgrade this process")
		require.NotErrorIs(r.T, err, handover.ErrRecord)
		require.False(r.T, handover.Permanent(err))
	})
}
