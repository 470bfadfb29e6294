package handover_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestRecordKeepsUnknownMembers(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		const unknown = `"from_a_later_version":{"a":[1,2.50,"x"],"b":null}`
		r.Alter(func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{`+unknown+`,`), 1) })
		require.False(t, r.Says("hello").Bot)
		r.Crisp.Last().Operator("Ann").Say("hi")
		r.Crisp.Settle()
		var d map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(r.Record().Data, &d))
		require.JSONEq(t, `{"a":[1,2.50,"x"],"b":null}`, string(d["from_a_later_version"]))
		require.Equal(t, handover.StateActive, r.Session().State)
	})
}

func TestRecordOfALaterVersionIsLeftAlone(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Alter(func(b []byte) []byte { return bytes.Replace(b, []byte(`"v":1`), []byte(`"v":2`), 1) })
		before := r.Record()
		_, err := r.H.Session(r.T.Context(), r.Conv)
		require.ErrorContains(t, err, "upgrade")
		_, err = r.Receive(handover.Incoming{Text: "hello"})
		require.ErrorContains(t, err, "upgrade")
		req := r.Hook("session:set_state", conv.ID(), map[string]any{"state": "resolved"})
		require.Equal(t, 503, r.Hooked(req).Code, "another process may be able to take it")
		r.After(time.Hour)
		require.Equal(t, string(before.Data), string(r.Record().Data))
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
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				r.Opened()
				r.Alter(func([]byte) []byte { return []byte(data) })
				before := r.Record()
				for _, call := range calls {
					err := call(r.T.Context(), r, handover.Turn{Conversation: r.Conv})
					if err != nil {
						require.NotContains(t, err.Error(), "private")
					}
					if r.Record().Version == 0 {
						return // forgotten, as the host asked
					}
				}
				_, err := r.H.Session(r.T.Context(), r.Conv)
				require.ErrorContains(t, err, "stored record")
				r.After(time.Hour)
				require.Equal(t, before, r.Record())
			})
		})
	}
}

func TestRecordSurvivesOddText(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
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
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
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
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
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
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv), "twice does no harm")
		require.Zero(t, r.Record().Version)
		found, err := r.Store.Find(r.T.Context(), r.Crisp.WebsiteID()+"/"+conv.ID())
		require.NoError(t, err)
		require.Empty(t, found.Key)
		ann.Say("nobody is there to hear it")
		ann.Resolve()
		r.After(time.Hour)
		require.Empty(t, r.Saw())
		require.Empty(t, r.Ends())
		require.False(t, conv.Removed(), "Crisp's own copy is not touched")
		require.Zero(t, r.Record().Version, "nothing brings it back")
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestForgetWhileEverythingRuns(t *testing.T) {
	o := rig.Options{Config: rig.Slowly(time.Second, nil)}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("on its way")
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Delay: 2 * time.Second})
		var all sync.WaitGroup
		all.Go(func() { _, _ = r.Receive(handover.Incoming{Text: "on its way as well"}) })
		synctest.Wait()
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		all.Wait()
		r.After(time.Minute)
		require.Zero(t, r.Record().Version)
	})
}

func TestReceiveWhoseConversationIsForgotten(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		var all sync.WaitGroup
		all.Go(func() {
			_, err := r.Receive(handover.Incoming{Text: "hello?"})
			require.Error(t, err, "nil means that Crisp has it")
		})
		synctest.Wait()
		require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
		all.Wait()
		require.NotContains(t, rig.UserTexts(conv), "hello?")
	})
}

// TestRecordThatCannotBeWorkedOn is told apart from what goes away by itself, so that a channel can go on with others.
func TestRecordThatCannotBeWorkedOn(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		r.Alter(func([]byte) []byte { return []byte("{damaged") })
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
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		r.Alter(func(b []byte) []byte { return bytes.Replace(b, []byte(`"v":1`), []byte(`"v":2`), 1) })
		_, err := r.H.Receive(r.T.Context(), handover.Incoming{Conversation: r.Conv, ID: "new", Text: "hello"})
		require.ErrorContains(r.T, err, "upgrade this process")
		require.NotErrorIs(r.T, err, handover.ErrRecord)
		require.False(r.T, handover.Permanent(err))
	})
}

// recordOf is the data of a record with one Crisp session, whose log has these entries.
func recordOf(t *testing.T, watermark int64, rows []map[string]any, seen []map[string]any) []byte {
	b, err := json.Marshal(map[string]any{
		"v": 1, "conversation": map[string]any{"id": "1"}, "state": "bot", "in": map[string]any{}, "out": map[string]any{},
		"sessions": []any{map[string]any{"id": "session_x", "log": map[string]any{"sampled": true, "watermark": watermark, "entries": rows}}}, "user_messages": seen,
	})
	require.NoError(t, err)
	return b
}

// Of most messages of a log it is only kept that they are known.
func TestTrimKeepsOfAMessageWhatIsNeeded(t *testing.T) {
	var rows []map[string]any
	add := func(status string, at int64) {
		rows = append(rows, map[string]any{"fp": len(rows) + 1, "at": at, "status": status})
	}
	for i := range int64(500) {
		add("withheld", 1+i)
		add("ours", 1+i)
	}
	for _, status := range []string{"removed", "failed", "shown"} {
		add(status, 600)
	}
	add("ours", 0)
	trimmed, err := handover.Trimmed(recordOf(t, 600, rows, nil))
	require.NoError(t, err)
	var d struct {
		Sessions []struct {
			Log struct {
				Entries []string // each with its time, fingerprint and the letter of its status
				Known   string
			}
		}
	}
	require.NoError(t, json.Unmarshal(trimmed, &d))
	log := d.Sessions[0].Log
	var kept []string
	for _, row := range log.Entries {
		kept = append(kept, strings.Fields(row)[2])
	}
	require.Equal(t, []string{"o", "o", "r", "f", "s", "o"}, kept)
	require.Less(t, len(log.Known), 1000)
}

func TestTrimKeepsWhatIsOnItsWay(t *testing.T) {
	var seen []map[string]any
	for i := range handover.MaxSeen + 50 {
		outcome := "answered"
		if i < 10 {
			outcome = "posting"
		}
		seen = append(seen, map[string]any{"id": fmt.Sprint(i), "status": outcome, "incoming": map[string]any{"id": fmt.Sprint(i)}})
	}
	trimmed, err := handover.Trimmed(recordOf(t, 0, nil, seen))
	require.NoError(t, err)
	status, err := handover.MessageStatuses(trimmed)
	require.NoError(t, err)
	for i := range handover.MaxSeen + 50 {
		want := ""
		if i < 10 {
			want = "posting"
		} else if i >= 60 {
			want = "answered"
		}
		require.Equal(t, want, status(fmt.Sprint(i)), i)
	}
}
