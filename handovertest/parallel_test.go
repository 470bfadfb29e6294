package handovertest_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// Many conversations at once, with faults drawn from a seed: everything that was accepted is in
// the log, once, hooks keep their order where no fault took it from them, and a second run meets
// the same faults.
func TestManyConversationsAtOnce(t *testing.T) {
	const conversations, texts = 20, 20
	run := func(t *testing.T) (faults map[string]int) {
		synctest.Test(t, func(t *testing.T) {
			c := handovertest.NewCrisp(t, handovertest.Options{PageSize: 100, HookAttempts: 10})
			bot := &inbox{answer: func(h received) int {
				if h.header.Get("X-Delivery-Attempt-Count") == "1" && handovertest.Chance(0.1, 3, h.Data["nickname"], h.Data["content"]) {
					return 503
				}
				return 200
			}}
			c.Attach(bot)
			c.Attach(bot)
			c.SetFaults(func(i handovertest.CallInfo) handovertest.Fault {
				draw := func(p float64, kind string) bool {
					return i.Route == handovertest.RouteSend && handovertest.Chance(p, 7, kind, i.Nickname, i.Ordinal)
				}
				f := handovertest.Fault{CutAfter: draw(0.05, "after"), CutBefore: draw(0.05, "before")}
				if draw(0.1, "5xx") {
					f.Status = 502
				}
				if draw(0.2, "slow") {
					f.Delay = 3 * time.Second
				}
				return f
			})
			c.SetHookFaults(func(h handovertest.HookInfo) handovertest.HookFault {
				return handovertest.HookFault{
					Drop:  handovertest.Chance(0.1, 7, "drop", h.Event, h.Nickname, h.Ordinal),
					Twice: handovertest.Chance(0.1, 7, "twice", h.Event, h.Nickname, h.Ordinal),
					Swap:  handovertest.Chance(0.1, 7, "swap", h.Event, h.Nickname, h.Ordinal),
				}
			})
			var group sync.WaitGroup
			for i := range conversations {
				group.Go(func() { talk(t, c, "user "+strconv.Itoa(i), texts) })
			}
			group.Wait()
			require.NoError(t, c.Await(t.Context(), c.Idle))
			require.Len(t, c.Conversations(), conversations)
			for _, v := range c.Conversations() {
				require.GreaterOrEqual(t, len(v.Messages()), 2*texts)
			}
			require.Equal(t, c.CountCalls(""), len(c.Calls()))
			faults = c.FaultCounts()
		})
		return faults
	}
	first := run(t)
	for _, kind := range []string{"cut before", "cut after", "status 502", "delay", "hook dropped", "hook twice", "hook swapped"} {
		require.Positive(t, first[kind], kind)
	}
	require.Equal(t, first, run(t))
}

// talk opens a conversation and lets user and operator write in turn. What fails is repeated, so a
// text whose answer was lost is there twice.
func talk(t *testing.T, c *handovertest.Crisp, name string, texts int) {
	call := newCaller(t, c)
	created := call.ok("POST", "/conversation", "")
	path := "/conversation/" + string(created.Data[len(`{"session_id":"`):len(created.Data)-len(`"}`)])
	call.ok("PATCH", path+"/meta", fmt.Sprintf(`{"nickname":%q}`, name))
	v := c.ByNickname(name)
	for i := range texts {
		for {
			answer, err := call.send(call.request(t.Context(), "POST", path+"/message", userText(strconv.Itoa(i))))
			if err == nil && answer.status < 300 {
				break
			}
		}
		v.Operator("Ann").Say("answer " + strconv.Itoa(i))
	}
}
