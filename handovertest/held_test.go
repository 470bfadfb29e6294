package handovertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

func TestHeldHooksComeInAChosenOrder(t *testing.T) {
	rows := []struct {
		name  string
		order []int
		want  []string
	}{
		{"as they came about", nil, []string{"session:set_state resolved 1", "session:set_state unresolved 1", "message:received ? 1"}},
		{"the other way round", []int{2, 1, 0}, []string{"message:received ? 1", "session:set_state unresolved 1", "session:set_state resolved 1"}},
		{"one lost, one twice", []int{2, 0, 2}, []string{"message:received ? 1", "session:set_state resolved 1", "message:received ? 2"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call, v, _, bot := odd(t, handovertest.Options{})
				held := v.HoldHooks()
				require.Same(t, held, v.HoldHooks())
				ann := v.Operator("Ann")
				ann.Resolve()
				ann.Reopen()
				ann.Say("?")
				c := call.c
				require.True(t, c.Idle())
				time.Sleep(20 * time.Second)
				require.Empty(t, bot.hooks())
				require.Equal(t, "message:received", held.Hooks()[2].Event)
				held.Release(row.order...)
				ann.Note("later")
				held.Release() // nothing is left
				c.Settle()
				got := []string{}
				for _, h := range bot.hooks() {
					what, _ := h.Data["state"].(string)
					if what == "" {
						what, _ = h.Data["content"].(string)
					}
					got = append(got, h.Event+" "+what+" "+h.header.Get("X-Delivery-Attempt-Count"))
				}
				require.Equal(t, append(row.want, "message:received later 1"), got)
			})
		})
	}
}

func TestHeldHooksOfOneConversationOnly(t *testing.T) {
	call, v, _, bot := odd(t, handovertest.Options{AllowViolations: true})
	other := call.c.Open("Joe")
	other.SetState("unresolved")
	held := v.HoldHooks()
	v.Operator("Ann").Note("held")
	other.Operator("Ann").Note("not held")
	call.c.Settle()
	require.Contains(t, bot.texts(), "not held")
	held.Release(1)
	require.Len(t, call.c.Violations(), 1)
	require.Len(t, held.Hooks(), 1)
	held.Release(0)
	call.c.Settle()
	require.Equal(t, []string{"held"}, bot.texts())
}

func TestHooksWithAnotherTime(t *testing.T) {
	for _, row := range []struct {
		name    string
		rewrite func([]byte) []byte
		want    string
	}{
		{"none", handovertest.WithoutTime, `"event":"session:set_block","website_id"`},
		{"in seconds", handovertest.TimeInSeconds, `"timestamp":946684800,"website_id"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call, v, _, bot := odd(t, handovertest.Options{})
				call.c.SetHookFaults(func(h handovertest.HookInfo) handovertest.HookFault {
					if h.Event == "session:set_block" {
						return handovertest.HookFault{Rewrite: row.rewrite}
					}
					return handovertest.HookFault{}
				})
				v.Block(true)
				v.SetState("resolved")
				call.c.Settle()
				got := bot.hooks()
				require.Contains(t, string(got[0].body), row.want)
				require.Equal(t, true, got[0].Data["is_blocked"])
				require.Equal(t, call.c.Sign(got[0].header.Get("X-Crisp-Request-Timestamp"), got[0].body), got[0].header.Get("X-Crisp-Signature"))
				require.Equal(t, time.Now().UnixMilli(), got[1].Timestamp/1000*1000)
			})
		})
	}
	require.Equal(t, "{", string(handovertest.WithoutTime([]byte("{"))))
}

func TestHookFaultsKnowTheMessage(t *testing.T) {
	call, v, _, bot := odd(t, handovertest.Options{})
	lost := int64(163240180126629)
	call.c.SetHookFaults(func(h handovertest.HookInfo) handovertest.HookFault {
		return handovertest.HookFault{Drop: h.Fingerprint == lost || h.Type == "note"}
	})
	ann := v.Operator("Ann")
	ann.Note("a note")
	ann.Fingerprint(lost).Say("lost")
	ann.Say("told")
	ann.Type(true)
	call.c.Settle()
	require.Equal(t, []string{"message:received", "message:compose:receive"}, eventsOf(bot.hooks()))
}
