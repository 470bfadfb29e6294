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
)

// record is the stored record of the rig's conversation.
func (r *rig) record() handover.Record {
	r.t.Helper()
	rec, err := r.store.Load(context.Background(), r.key())
	require.NoError(r.t, err)
	return rec
}

func (r *rig) key() string { return r.crisp.WebsiteID() + "/" + r.conv.Source + "/" + r.conv.ID }

// alter changes the stored data of the rig's conversation.
func (r *rig) alter(change func(data []byte) []byte) {
	r.t.Helper()
	rec := r.record()
	rec.Data = change(rec.Data)
	_, err := r.store.Save(context.Background(), rec)
	require.NoError(r.t, err)
}

func TestRecordKeepsUnknownMembers(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.opened()
		const unknown = `"from_a_later_version":{"a":[1,2.50,"x"],"b":null}`
		r.alter(func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{`+unknown+`,`), 1) })
		require.False(t, r.says("hello").Bot)
		r.crisp.Last().Operator("Ann").Say("hi")
		r.crisp.Settle()
		var d map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(r.record().Data, &d))
		require.JSONEq(t, `{"a":[1,2.50,"x"],"b":null}`, string(d["from_a_later_version"]))
		require.Equal(t, handover.StateActive, r.session().State)
	})
}

func TestRecordOfALaterVersionIsLeftAlone(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		conv := r.opened()
		r.alter(func(b []byte) []byte { return bytes.Replace(b, []byte(`"v":1`), []byte(`"v":2`), 1) })
		before := r.record()
		_, err := r.h.Session(r.t.Context(), r.conv)
		require.ErrorContains(t, err, "upgrade")
		_, err = r.receive(handover.Incoming{Text: "hello"})
		require.ErrorContains(t, err, "upgrade")
		req := r.hook("session:set_state", conv.ID(), map[string]any{"state": "resolved"})
		require.Equal(t, 503, r.hooked(req).Code, "another process may be able to take it")
		r.after(time.Hour)
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
				r.opened()
				r.alter(func([]byte) []byte { return []byte(data) })
				before := r.record()
				for _, call := range calls {
					err := call(r.t.Context(), r, handover.Turn{Conversation: r.conv})
					if err != nil {
						require.NotContains(t, err.Error(), "private")
					}
					if r.record().Version == 0 {
						return // forgotten, as the host asked
					}
				}
				_, err := r.h.Session(r.t.Context(), r.conv)
				require.ErrorContains(t, err, "stored record")
				r.after(time.Hour)
				require.Equal(t, before, r.record())
			})
		})
	}
}

func TestRecordSurvivesOddText(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		odd := "\xff \xfe \u2028 \x00 </script> \U0001F600 " + strings.Repeat("\\", 50)
		outcome := r.asks(handover.Request{
			Resume: odd, Locale: "fr\xff", Note: odd, Segments: []string{"a\xffb"},
			User: handover.UserData{FirstName: odd, Data: map[string]any{odd: odd}},
		})
		require.Equal(t, handover.Opened, outcome)
		r.says(odd)
		require.Equal(t, handover.StateWaiting, r.session().State)
		want := strings.ReplaceAll(strings.ToValidUTF8(odd, "\uFFFD"), "\x00", "\uFFFD")
		require.Equal(t, want, strings.ToValidUTF8(r.session().Resume, "\uFFFD"))
		stored, err := r.store.Load(t.Context(), r.crisp.WebsiteID()+"/webchat/user-1")
		require.NoError(t, err)
		require.NotContains(t, string(stored.Data), `\u0000`, "databases refuse it")
	})
}

func TestTurnIsPlainData(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		r.conv = handover.Conversation{WebsiteID: r.crisp.WebsiteID(), Source: "tele/gram", ID: "1<2"}
		turn, err := r.receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		wire, err := json.Marshal(turn)
		require.NoError(t, err)
		var back handover.Turn
		require.NoError(t, json.Unmarshal(wire, &back))
		require.Equal(t, turn, back)
		require.Equal(t, r.conv, back.Conversation)
		require.NoError(t, r.reply(back, "hi"))
	})
}

func TestAnOldTurnNeverFitsAgain(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		turn, err := r.receive(handover.Incoming{Text: "hello"})
		require.NoError(t, err)
		require.NoError(t, r.h.Forget(r.t.Context(), r.conv))
		r.after(time.Second)
		require.ErrorIs(t, r.reply(turn, "too late"), handover.ErrNotYourTurn)
		_, err = r.h.Start(r.t.Context(), turn, handover.Request{})
		require.ErrorIs(t, err, handover.ErrNotYourTurn)
		require.NotEqual(t, turn.Epoch, r.session().Epoch)
		require.True(t, r.says("hello again").Bot)
	})
}

func TestForget(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		require.NoError(t, r.h.Forget(r.t.Context(), r.conv))
		require.NoError(t, r.h.Forget(r.t.Context(), r.conv), "twice does no harm")
		require.Zero(t, r.record().Version)
		found, err := r.store.Find(r.t.Context(), r.crisp.WebsiteID()+"/"+conv.ID())
		require.NoError(t, err)
		require.Empty(t, found.Key)
		ann.Say("nobody is there to hear it")
		ann.Resolve()
		r.after(time.Hour)
		require.Empty(t, r.saw())
		require.Empty(t, r.allEnds())
		require.False(t, conv.Removed(), "Crisp's own copy is not touched")
		require.Zero(t, r.record().Version, "nothing brings it back")
		require.Equal(t, handover.StateBot, r.session().State)
	})
}

func TestForgetWhileEverythingRuns(t *testing.T) {
	o := options{config: slowly(time.Second, nil)}
	active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("on its way")
		r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Delay: 2 * time.Second})
		var all sync.WaitGroup
		all.Go(func() { _, _ = r.receive(handover.Incoming{Text: "on its way as well"}) })
		synctest.Wait()
		require.NoError(t, r.h.Forget(r.t.Context(), r.conv))
		all.Wait()
		r.after(time.Minute)
		require.Zero(t, r.record().Version)
	})
}

func TestReceiveWhoseConversationIsForgotten(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		var all sync.WaitGroup
		all.Go(func() {
			_, err := r.receive(handover.Incoming{Text: "hello?"})
			require.Error(t, err, "nil means that Crisp has it")
		})
		synctest.Wait()
		require.NoError(t, r.h.Forget(r.t.Context(), r.conv))
		all.Wait()
		require.NotContains(t, userTexts(conv), "hello?")
	})
}
