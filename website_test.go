package handover_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/internal/testhook"
	"github.com/crisphandover/handover/internal/testmain"
)

func TestSeveralWebsites(t *testing.T) {
	const second = "7a3c5e10-6f0b-4d55-9c1e-000000000002"
	o := rig.Options{
		Crisp:  handovertest.Options{Websites: []string{second}},
		Config: func(_ *rig.Rig, c *handover.Config) { c.Websites = []string{second} },
	}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Opened()
		r.Conv.WebsiteID = second
		conv := r.Opened()
		require.Len(t, r.Crisp.Conversations(), 2)
		r.Saw()
		conv.Operator("Ann").Say("hello from the second")
		require.Contains(t, r.Saw(), "agent Ann: hello from the second")
		require.Equal(t, second, r.Seen().Conversation.WebsiteID, "the conversation comes back as it was given")
		r.Crisp.SetHookFaults(rig.DropHooks)
		conv.Operator("Ann").Say("no hook told of this")
		r.After(7 * time.Minute)
		require.Contains(t, r.Saw(), "agent Ann: no hook told of this")
		require.NoError(t, r.H.Check(context.Background()).Err())
		r.Conv.WebsiteID = "7a3c5e10-6f0b-4d55-9c1e-000000000003"
		_, err := r.TrySay("hello")
		require.ErrorIs(t, err, handover.ErrBadMessage)
	})
}

func TestCreationIsPacedPerWebsite(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Limits.CreatesPerMinute = 3 }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		begin := time.Now()
		for _, id := range []string{"a", "b", "c", "d"} {
			r.Conv.ID = id
			turn, err := r.Receive(handover.Incoming{Text: "help"})
			require.NoError(t, err)
			outcome, err := r.H.Start(context.Background(), turn, handover.Request{Timeouts: handover.Timeouts{Open: 5 * time.Minute}})
			require.NoError(t, err)
			require.Equal(t, handover.OutcomeOpened, outcome)
		}
		require.GreaterOrEqual(t, time.Since(begin), time.Minute)
		require.Len(t, r.Crisp.Conversations(), 4)
	})
}

// Replicas that only take messages and hooks make calls as well.
func TestSpentCountsReplicasWithoutRun(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		running := r.H
		r.H = r.Replica(rig.Options{Still: true})
		r.Opened()
		for range 3 {
			r.After(time.Minute)
			require.False(t, r.Says("hello?").Bot)
		}
		r.Crisp.Settle()
		spent, err := running.Spent(context.Background())
		require.NoError(t, err)
		require.GreaterOrEqual(t, spent.Calls, int64(len(r.Crisp.Calls())-1), "all but what the last minute cost")
	})
}

// The day is the store's, whatever a replica's own clock says.
func TestSpentByTheClockOfTheStore(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		testhook.Set(r.H, testhook.Hooks{Skew: 24 * time.Hour})
		r.Opened()
		spent, err := r.H.Spent(context.Background())
		require.NoError(t, err)
		require.Positive(t, spent.Calls)
	})
}

// A clock that ran ahead, and was set right, does not stop the making of conversations.
func TestCreationAfterAClockThatRanAhead(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.After(time.Second)
		rec, err := r.Store.Load(context.Background(), "website/"+r.Crisp.WebsiteID())
		require.NoError(t, err)
		ahead := strings.Repeat(time.Now().Add(time.Hour).UTC().Format(`,"`+time.RFC3339+`"`), 25)
		rec.Data = fmt.Appendf(nil, `{"v":1,"creates":[%s]}`, ahead[1:])
		_, err = r.Store.Save(context.Background(), rec)
		require.NoError(t, err)
		begun := time.Now()
		r.Opened()
		require.Less(t, time.Since(begun), time.Minute)
	})
}

// editWebsite changes the members of the website's record, as a wrong clock might have written them.
func editWebsite(r *rig.Rig, members map[string]any) {
	r.After(time.Second)
	rec, err := r.Store.Load(context.Background(), "website/"+r.Crisp.WebsiteID())
	require.NoError(r.T, err)
	all := map[string]any{}
	require.NoError(r.T, json.Unmarshal(rec.Data, &all))
	maps.Copy(all, members)
	rec.Data, err = json.Marshal(all)
	require.NoError(r.T, err)
	_, err = r.Store.Save(context.Background(), rec)
	require.NoError(r.T, err)
}

// What a clock wrote that ran ahead, and was set right, stops nothing for long.
func TestWaitsOfAClockThatRanAhead(t *testing.T) {
	const year = 365 * 24 * time.Hour
	t.Run("calls to Crisp", func(t *testing.T) {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			editWebsite(r, map[string]any{"crisp": map[string]any{"until": time.Now().Add(year), "pause": 60, "status": 429}})
			r.After(2 * time.Hour)
			r.Opened()
		})
	})
	t.Run("catch-up", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			then := time.Now().Add(year)
			editWebsite(r, map[string]any{"list": map[string]any{"paid": then}, "next": then, "claim": map[string]any{"holder": "gone", "until": then}})
			r.Crisp.SetHookFaults(rig.DropHooks)
			tally := r.Crisp.Tally()
			ann.Say("one")
			r.After(15 * time.Minute)
			require.Equal(t, []string{"agent Ann: one"}, r.Saw())
			require.Positive(t, tally.Count(handovertest.RouteList))
		})
	})
	t.Run("notes", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
			editWebsite(r, map[string]any{"no_notes": time.Now().Add(year)})
			require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
			r.After(time.Second)
			all := conv.Messages()
			require.Equal(t, "note", all[len(all)-1].Type)
		})
	})
}

// A website's record that cannot be read begins anew. One of a later version is left alone.
func TestAWebsiteRecordThatCannotBeRead(t *testing.T) {
	for data, outcome := range map[string]handover.Outcome{
		`{"v":1,"list":[`:     handover.OutcomeOpened,
		`{"v":99,"list":"x"}`: handover.OutcomeOpenFailed,
	} {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			r.After(time.Second)
			rec, err := r.Store.Load(context.Background(), "website/"+r.Crisp.WebsiteID())
			require.NoError(t, err)
			rec.Data = []byte(data)
			_, err = r.Store.Save(context.Background(), rec)
			require.NoError(t, err)
			require.Equal(t, outcome, r.Asks(handover.Request{}), data)
		})
	}
}

// A conversation that names no website stays where it began when the default changes, whoever asks.
func TestTheDefaultWebsiteChanges(t *testing.T) {
	const other = "7a3c5e10-6f0b-4d55-9c1e-00000000000b"
	o := rig.Options{Still: true}
	o.Crisp.Websites = []string{other}
	for name, before := range map[string]func(r *rig.Rig) *handovertest.Conversation{
		"while the bot answers": func(r *rig.Rig) *handovertest.Conversation { r.Says("hello"); return nil },
		"while an agent does":   func(r *rig.Rig) *handovertest.Conversation { return r.Opened() },
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, o, func(r *rig.Rig) {
				first := r.Crisp.WebsiteID()
				conv := before(r)
				require.NoError(r.T, r.H.Shutdown(r.T.Context()))
				r.H = r.Replica(rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
					c.Store, c.WebsiteID, c.Websites = r.Store, other, []string{first}
				}})
				if conv == nil {
					require.True(r.T, r.Says("still there?").Bot)
					conv = r.Opened()
				}
				require.Equal(r.T, first, conv.WebsiteID())
				require.Equal(r.T, handover.StateWaiting, r.Session().State)
				require.False(r.T, r.Says("a human?").Bot)
				require.Contains(r.T, rig.UserTexts(conv), "a human?")
				conv.Operator("Ann").Say("hello")
				r.After(time.Minute) // the process that ended refuses the hook
				require.Contains(r.T, rig.Unlate(r.Saw()), "agent Ann: hello")
				require.NoError(r.T, r.H.UserTyping(r.Conv, true))
				_, err := r.H.Available(r.T.Context(), r.Conv)
				require.NoError(r.T, err)
				require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
				r.After(time.Minute)
				require.Len(r.T, r.Ends(), 1)
				require.True(r.T, r.Says("bot?").Bot)
				require.Equal(r.T, first, r.Opened().WebsiteID(), "it goes on where it began")

				r.Conv.ID = "new"
				require.True(r.T, r.Says("hello").Bot)
				require.Equal(r.T, other, r.Opened().WebsiteID())

				r.Conv.ID = "user-1"
				require.NoError(r.T, r.H.Forget(r.T.Context(), r.Conv))
				require.Equal(r.T, handover.StateBot, r.Session().State)
			})
		})
	}
}

func TestCatchUpFindsWhatNoHookTold(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.SetHookFaults(rig.DropHooks)
		ann.Say("one")
		ann.Note("private")
		ann.Say("two")
		r.After(4 * time.Minute)
		require.Equal(t, []string{"agent Ann: one", "agent Ann: two"}, r.Saw())
		ann.Resolve()
		r.After(6 * time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, handover.EndResolved, r.Ends()[0].Reason)
		r.Saw()
		ann.Say("and one more thing")
		r.After(4 * time.Minute)
		require.Contains(t, r.Saw(), "agent Ann: and one more thing", "ended conversations are included")
	})
}

func TestCatchUpStaysWithinItsShareOfTheQuota(t *testing.T) {
	t.Parallel()
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		before := r.Crisp.CountCalls(handovertest.RouteList)
		r.After(24 * time.Hour)
		require.LessOrEqual(t, r.Crisp.CountCalls(handovertest.RouteList)-before, 501)
		spent, err := r.H.Spent(context.Background())
		require.NoError(t, err)
		require.Less(t, spent.Calls, int64(5000))
	})
}

func TestCatchUpAfterOurOwnRefusals(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{HookAttempts: 1}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(time.Minute)
		r.Store.Fails(true)
		ann.Say("hello?")
		r.Crisp.Settle()
		r.Store.Fails(false)
		r.After(5 * time.Second)
		require.Equal(t, []string{"agent Ann: hello?"}, r.Saw(), "at once, not at the next turn")
	})
}

// The list of conversations may tell of a message that the log does not show yet.
func TestCatchUpOnALogThatLags(t *testing.T) {
	ended(t, rig.OftenListed, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(time.Minute)
		r.Crisp.SetHookFaults(rig.DropHooks)
		r.Lags(6 * time.Second)
		ann.Say("one more thing")
		r.After(time.Minute)
		require.Contains(t, r.Saw(), "agent Ann: one more thing")
	})
}

// Another hook meanwhile does not stand in for the second read that a lagging log needs.
func TestCatchUpOnALogThatLagsWhileAHookComes(t *testing.T) {
	ended(t, rig.OftenListed, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(time.Minute)
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) (f handovertest.HookFault) {
			if i.Event == "message:received" {
				f.Delay, f.Drop = 4*time.Second, i.Ordinal > 1
			}
			return f
		})
		ann.Note("for the team")
		r.After(1500 * time.Millisecond)
		r.Lags(6 * time.Second)
		ann.Say("one more thing")
		r.After(time.Minute)
		require.Contains(t, r.Saw(), "agent Ann: one more thing")
	})
}

// A record that nobody can read does not keep the other conversations from being caught up with.
func TestCatchUpPassesARecordThatCannotBeRead(t *testing.T) {
	rig.Active(t, rig.OftenListed, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Conv.ID = "another"
		other := r.Opened()
		r.After(time.Minute)
		r.Saw()
		r.Crisp.SetHookFaults(rig.DropHooks)
		ann.Say("hello")
		r.After(time.Millisecond)
		other.Operator("Bob").Say("never read") // the newest change, which is listed first
		r.Alter(func([]byte) []byte { return []byte("not JSON") })
		r.After(10 * time.Second)
		require.Contains(t, r.Saw(), "agent Ann: hello")
	})
}

// Crisp documents an order by state where order_date_updated is not understood.
func TestCatchUpWhereTheListIsOrderedByState(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{ListOrder: handovertest.ListByState}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		for i := range 120 {
			r.Crisp.Open("somebody else").UserByChat("hello " + strconv.Itoa(i))
		}
		r.After(10 * time.Minute)
		r.Saw()
		r.Crisp.SetHookFaults(rig.DropHooks)
		tally := r.Crisp.Tally()
		for _, text := range []string{"one", "two"} {
			ann.Say(text)
			r.After(30 * time.Minute)
			require.Equal(t, []string{"agent Ann: " + text}, r.Saw())
		}
		t.Logf("reads of the list in an hour, where it is ordered by state and 120 are pending: %d", tally.Count(handovertest.RouteList))
		require.LessOrEqual(t, tally.Count(handovertest.RouteList), 20+10)
	})
}

// More has changed than one look may read: the next one goes on.
func TestCatchUpWithMorePagesThanOneLookReads(t *testing.T) {
	o := rig.Options{Config: rig.OftenListed.Config, Crisp: handovertest.Options{ListPageSize: 20}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(time.Minute)
		r.Saw()
		r.Crisp.SetHookFaults(rig.DropHooks)
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteList, Status: 503, For: 2 * time.Minute})
		ann.Say("the oldest change of all")
		for i := range 900 {
			r.Crisp.Open("").UserByChat("hello " + strconv.Itoa(i))
		}
		tally := r.Crisp.Tally()
		r.After(10 * time.Minute)
		require.Equal(t, []string{"agent Ann: the oldest change of all"}, r.Saw())
		t.Logf("reads of the list: %d", tally.Count(handovertest.RouteList))
	})
}

func TestCatchUpPassesOddRows(t *testing.T) {
	rig.Active(t, rig.OftenListed, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.SetHookFaults(rig.DropHooks)
		ann.Say("one")
		for i, odd := range []map[string]any{
			{"updated_at": "yesterday"}, {"updated_at": 0}, {"updated_at": -1}, {"updated_at": 1e30}, {"updated_at": nil},
			{"state": 1, "meta": []any{}}, {"session_id": 5}, {"updated_at": time.Now().AddDate(1, 0, 0).UnixMilli()},
		} {
			c := r.Crisp.Open("somebody else")
			c.UserByChat("hello " + strconv.Itoa(i))
			c.OddRow(odd)
		}
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: one"}, r.Saw())
		ann.Say("two")
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: two"}, r.Saw(), "the mark has not moved ahead")
	})
}

// Whatever time the list tells of a conversation, what is said in it is found, also if that time never
// changes; and so is what is said in the others.
func TestCatchUpOfARowWithAnOddTime(t *testing.T) {
	if testmain.Raced() {
		t.Skip("with -race it takes minutes, and runs nothing that the other tests of catch-up do not")
	}
	for name, odd := range map[string]any{
		"a year ahead": time.Now().AddDate(1, 0, 0).UnixMilli(), "two days ahead": int64(47 * time.Hour / time.Millisecond),
		"no time": "yesterday", "1970": 1, "a year ago": -int64(365 * 24 * time.Hour / time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Limits.DailyCalls = 100_000 }} // it is listed every nine seconds
			rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				first := r.Conv
				r.Conv.ID = "another"
				other := r.Opened()
				other.Operator("Bob").Say("hello")
				r.After(time.Hour)
				r.Saw()
				r.Conv = first
				r.Crisp.SetHookFaults(rig.DropHooks)
				switch n := odd.(type) {
				case int64:
					odd = time.Now().UnixMilli() + n
				}
				conv.OddRow(map[string]any{"updated_at": odd})
				for _, text := range []string{"one", "two"} {
					ann.Say(text)
					r.After(20 * time.Minute)
					require.Equal(t, []string{"agent Ann: " + text}, r.AgentLines())
					r.Saw()
				}
				calls := conv.CountCalls("")
				r.After(time.Hour)
				require.LessOrEqual(t, conv.CountCalls("")-calls, 8, "it is not read for ever")
				r.Saw()
				other.Operator("Bob").Say("three")
				for i := range 45 {
					r.Crisp.Open("").UserByChat("hello " + strconv.Itoa(i))
				}
				r.After(time.Minute)
				require.Equal(t, []string{"agent Bob: three"}, r.AgentLines())
				r.Saw()
				conv.OddRow(nil)
				ann.Say("four")
				r.After(20 * time.Minute)
				require.Equal(t, []string{"agent Ann: four"}, r.AgentLines())
			})
		})
	}
}

// One refused hook in a second does not make catch-up dearer than its share.
func TestCatchUpKeepsItsShareWhileHooksAreRefused(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{HookAttempts: 1}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		tally := r.Crisp.Tally()
		for range 900 {
			r.Store.Fails(true)
			ann.Note("for the team")
			r.Crisp.Settle()
			r.Store.Fails(false)
			time.Sleep(time.Second)
		}
		t.Logf("reads of the list in a quarter of an hour with one hook a second that is refused: %d", tally.Count(handovertest.RouteList))
		require.LessOrEqual(t, tally.Count(handovertest.RouteList), 5+10+1)
	})
}

// A hook for a record that nobody can read is answered 200, and the record is named now and then.
func TestHooksOfARecordThatCannotBeRead(t *testing.T) {
	var log rig.Log
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) }}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Alter(func([]byte) []byte { return []byte("not JSON") })
		tally := r.Crisp.Tally()
		for range 600 {
			ann.Say("hello?")
			r.After(time.Second)
		}
		for _, hook := range r.Crisp.Hooks() {
			require.Equal(t, http.StatusOK, hook.Status)
		}
		hook := r.Hook("session:set_state", r.Crisp.Last().ID(), map[string]any{"state": "resolved"})
		ev, err := handover.ReadEvent(nil, hook, handover.Webhook{Secrets: handover.NewSecrets(r.Crisp.Secret())})
		require.NoError(t, err)
		require.NoError(t, r.H.HandleEvent(r.T.Context(), ev), "a host's own queue does not repeat it either")
		named := strings.Count(log.String(), "a record cannot be worked on")
		t.Logf("in ten minutes the record was named %d times, and the list read %d times", named, tally.Count(handovertest.RouteList))
		require.Greater(t, named, 2)
		require.Less(t, named, 20)
		require.LessOrEqual(t, tally.Count(handovertest.RouteList), 5)
	})
}
