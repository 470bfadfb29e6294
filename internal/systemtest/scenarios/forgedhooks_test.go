package scenarios

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/internal/testmain"
)

// Whoever knows the key can make the library read, some times a minute, and nothing else.
func TestForgedHooksOnlyAskForBoundedReads(t *testing.T) {
	if testmain.Raced() {
		t.Skip("it runs tens of thousands of hooks or records, without goroutines that other tests lack: too slow with the race detector")
	}
	word := func(at time.Time, i int) map[string]any {
		return map[string]any{"type": "text", "from": "operator", "origin": "chat", "content": "forged", "fingerprint": 500_000_000_000_000 + i,
			"timestamp": at.UnixMilli(), "user": map[string]any{"nickname": "Mallory"}}
	}
	for name, forge := range map[string]func(at time.Time, i int) (string, time.Time, map[string]any){
		"messages": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "message:received", at, word(at, i)
		},
		"messages of the user": func(at time.Time, i int) (string, time.Time, map[string]any) {
			m := word(at, i)
			m["from"] = "user"
			return "message:send", at, m
		},
		"messages a year ahead": func(at time.Time, i int) (string, time.Time, map[string]any) {
			at = at.AddDate(1, 0, 0)
			return "message:received", at, word(at, i)
		},
		"messages of long ago": func(at time.Time, i int) (string, time.Time, map[string]any) {
			at = at.AddDate(-1, 0, 0)
			return "message:received", at, word(at, i)
		},
		"messages of all times": func(at time.Time, i int) (string, time.Time, map[string]any) {
			at = at.Add(time.Duration(i%3-1) * time.Hour)
			return "message:received", at, word(at, i)
		},
		"edits": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "message:updated", at, map[string]any{"fingerprint": 500_000_000_000_000 + i, "content": "forged"}
		},
		"removals": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "message:removed", at, map[string]any{"fingerprint": 500_000_000_000_000 + i}
		},
		"resolved": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:set_state", at, map[string]any{"state": "resolved"}
		},
		"resolved in a year": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:set_state", at.AddDate(1, 0, 0), map[string]any{"state": "resolved"}
		},
		"blocked": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:set_block", at, map[string]any{"is_blocked": true}
		},
		"removed": func(at time.Time, i int) (string, time.Time, map[string]any) { return "session:removed", at, nil },
		"assigned": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:set_routing", at, map[string]any{"routing_id": "a4c32c68-0000-4e29-8a05-000000000001"}
		},
		"ratings": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:sync:rating", at, map[string]any{"rating": map[string]any{"stars": 1 + i%5}}
		},
		"typing": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "message:compose:receive", at, map[string]any{"type": "start", "user": map[string]any{"nickname": "Mallory"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var typed atomic.Int64
			o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
				bothHooks.Config(r, c)
				c.Policy.ClaimOnAssign = true
				c.AgentTyping = func(_ context.Context, _ handover.Session, _ handover.AgentTyping) { typed.Add(1) }
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				conv := r.Opened()
				r.After(20 * time.Second)
				r.Saw()
				calls := conv.CountCalls("")
				before, _ := r.Logged()
				require.NotEmpty(t, before)
				for i := range 300 {
					event, at, members := forge(time.Now(), i)
					require.Equal(t, 200, r.Hooked(keyed(r, event, conv.ID(), at, members)).Code)
					time.Sleep(200 * time.Millisecond)
				}
				spent := conv.CountCalls("") - calls
				t.Logf("300 forged hooks in a minute cost %d calls", spent)
				require.LessOrEqual(t, spent, 60)
				r.After(15 * time.Second)
				require.Empty(t, r.Saw())
				require.Equal(t, handover.StateWaiting, r.Session().State)
				require.LessOrEqual(t, r.Count(handover.ActivityRated), 1)
				require.Zero(t, typed.Load())
				after, _ := r.Logged()
				require.LessOrEqual(t, len(after)-len(before), 20)

				conv.Operator("Ann").Say("I am here")
				r.After(40 * time.Second)
				require.Equal(t, []string{"agent Ann: I am here"}, rig.AgentsIn(r.Saw()))
				conv.Operator("Ann").Resolve()
				r.After(40 * time.Second)
				require.Equal(t, handover.StateBot, r.Session().State)
				conv.Operator("Ann").Reopen()
				conv.Operator("Ann").Say("One more thing")
				r.After(40 * time.Second)
				require.Equal(t, handover.StateActive, r.Session().State, "takeovers live")
			})
		})
	}
}

// Forged hooks put off no deadline.
func TestForgedHooksPutOffNoDeadline(t *testing.T) {
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		bothHooks.Config(r, c)
		c.Timeouts.Claim, c.Timeouts.Remind = 2*time.Minute, -1
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		for i := range 400 {
			r.Hooked(keyed(r, "message:received", conv.ID(), time.Now(), map[string]any{"type": "text", "from": "operator", "origin": "chat", "content": "forged",
				"fingerprint": 500_000_000_000_000 + i, "timestamp": time.Now().UnixMilli()}))
			time.Sleep(500 * time.Millisecond)
		}
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, handover.EndClaimTimeout, r.Ends()[0].Reason)
	})
}

// keyed is a hook that is not signed, as anybody sends it who knows the key of its URL.
func keyed(r *rig.Rig, event, session string, at time.Time, members map[string]any) *http.Request {
	data := map[string]any{"website_id": r.Crisp.WebsiteID(), "session_id": session}
	for name, v := range members {
		data[name] = v
	}
	body := handovertest.HookBody(r.Crisp.WebsiteID(), event, at, data)
	return handovertest.Hook("/crisp/hooks?key="+r.Crisp.HookKey(), "", at, body)
}

// bothHooks takes signed hooks and those of a key.
var bothHooks = rig.Options{Config: func(r *rig.Rig, c *handover.Config) { c.Webhook.URLKeys = r.HookKeys() }}
