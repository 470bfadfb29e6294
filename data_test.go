package handover_test

import (
	"bytes"
	"context"
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
		require.Equal(t, before, r.record())
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
		require.Equal(t, strings.ToValidUTF8(odd, "\uFFFD"), strings.ToValidUTF8(r.session().Resume, "\uFFFD"))
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

func TestRecordsAreDeletedWhenNothingIsLeft(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(r *rig)
		after  time.Duration
	}{
		"a conversation with its bot, after a day": {func(r *rig) { r.says("hello") }, 24 * time.Hour},
		"an ended handover, after Timeouts.Late": {func(r *rig) {
			r.opened().Operator("Ann").Resolve()
			r.after(time.Minute)
		}, 7 * 24 * time.Hour},
		"an expired offer": {func(r *rig) {
			r.crisp.Away()
			require.Equal(r.t, handover.NobodyThere, r.asks(handover.Request{}))
			time.Sleep(7 * 24 * time.Hour)
			r.runs(time.Second)
		}, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{still: true}, func(r *rig) {
				tt.before(r)
				time.Sleep(tt.after - 2*time.Minute)
				r.runs(time.Second)
				require.NotZero(t, r.record().Version)
				time.Sleep(2 * time.Minute)
				r.runs(time.Second)
				r.runs(time.Second)
				require.Zero(t, r.record().Version)
			})
		})
	}
}

// runs lets the library run for a while: a process that sleeps for days is quicker than one that
// polls for days.
func (r *rig) runs(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	require.ErrorIs(r.t, r.h.Run(ctx), context.DeadlineExceeded)
	r.crisp.Settle()
}

func TestRecordsWithSomethingOpenStay(t *testing.T) {
	o := options{still: true, config: func(_ *rig, c *handover.Config) {
		c.Timeouts = handover.Timeouts{Max: 1000 * 24 * time.Hour, Claim: -1, Idle: -1, Remind: -1}
	}}
	for name, open := range map[string]func(r *rig){
		"a mute":     func(r *rig) { require.NoError(r.t, r.h.Mute(r.t.Context(), r.says("hush"))) },
		"a handover": func(r *rig) { r.opened() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(r *rig) {
				open(r)
				state := r.session().State
				for range 10 {
					time.Sleep(30 * 24 * time.Hour)
					r.runs(time.Second)
				}
				require.Equal(t, state, r.session().State)
			})
		})
	}
}

// table is a record's data with one Crisp session whose table has these rows.
func table(t *testing.T, watermark int64, rows []map[string]any, seen []map[string]any) []byte {
	b, err := json.Marshal(map[string]any{
		"v": 1, "conversation": map[string]any{"id": "1"}, "state": "bot", "in": map[string]any{}, "out": map[string]any{},
		"sessions": []any{map[string]any{"id": "session_x", "watermark": watermark, "table": rows}}, "seen": seen,
	})
	require.NoError(t, err)
	return b
}

func TestTrimDropsByWatermarkNotByCount(t *testing.T) {
	const watermark = int64(1_800_000_000_000)
	minutes := func(n int64) int64 { return watermark + n*60_000 }
	var rows []map[string]any
	add := func(fate string, at int64) {
		rows = append(rows, map[string]any{"fp": len(rows) + 1, "at": at, "fate": fate})
	}
	for range 5000 {
		add("withheld", minutes(-9)) // a read may show it again
	}
	add("withheld", minutes(-11))
	add("removed", minutes(-11))
	add("failed", minutes(-11))
	add("ours", minutes(-11))
	add("ours", 0)
	add("removed", minutes(-9))
	for i := range int64(handover.MaxShown + 100) {
		add("shown", minutes(-10_000+i))
	}
	trimmed, err := handover.Trimmed(table(t, watermark, rows, nil))
	require.NoError(t, err)
	var d struct {
		Sessions []struct {
			Table []struct {
				FP   int64
				Fate string
			}
		}
	}
	require.NoError(t, json.Unmarshal(trimmed, &d))
	count, oldest := map[string]int{}, int64(0)
	for _, row := range d.Sessions[0].Table {
		count[row.Fate]++
		if row.Fate == "shown" && oldest == 0 {
			oldest = row.FP
		}
	}
	require.Equal(t, map[string]int{"withheld": 5000, "ours": 2, "removed": 1, "shown": handover.MaxShown}, count)
	require.Equal(t, int64(5006+100+1), oldest, "the newest shown ones are kept, for edits")
}

func TestTrimKeepsWhatIsOnItsWay(t *testing.T) {
	var seen []map[string]any
	for i := range handover.MaxSeen + 50 {
		outcome := "answered"
		if i < 10 {
			outcome = "posting"
		}
		seen = append(seen, map[string]any{"id": fmt.Sprint(i), "outcome": outcome})
	}
	trimmed, err := handover.Trimmed(table(t, 0, nil, seen))
	require.NoError(t, err)
	var d struct {
		Seen []struct{ ID, Outcome string }
	}
	require.NoError(t, json.Unmarshal(trimmed, &d))
	require.Len(t, d.Seen, handover.MaxSeen)
	for i := range 10 {
		require.Equal(t, fmt.Sprint(i), d.Seen[i].ID)
	}
	require.Equal(t, fmt.Sprint(handover.MaxSeen+49), d.Seen[handover.MaxSeen-1].ID)
}

func TestManyMessagesKeepTheRecordSmall(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		for burst := range 6 {
			for range 20 {
				ann.Say("from the agent")
			}
			r.says(fmt.Sprint("user ", burst))
			r.after(time.Second)
		}
		require.Len(t, agentsIn(r.saw()), 120)
		require.Less(t, len(r.record().Data), 60<<10)
		require.Len(t, userTexts(conv), 7)
	})
}
