package scenarios

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestHookAnswers(t *testing.T) {
	const foreign = "session_99999999-0000-4000-8000-000000000000"
	for name, tt := range map[string]struct {
		request func(r *rig.Rig) *http.Request
		want    int
	}{
		"a hook": {func(r *rig.Rig) *http.Request {
			return r.Hook("session:set_state", r.Session().CrispID, map[string]any{"state": "pending"})
		}, 200},
		"GET": {func(*rig.Rig) *http.Request { return httptest.NewRequest("GET", "/crisp/hooks", nil) }, 405},
		"PUT": {func(*rig.Rig) *http.Request {
			return httptest.NewRequest("PUT", "/crisp/hooks", strings.NewReader("{}"))
		}, 405},
		"unsigned": {func(*rig.Rig) *http.Request { return handovertest.Hook("/crisp/hooks", "", time.Now(), []byte("{}")) }, 401},
		"a wrong secret": {func(*rig.Rig) *http.Request {
			return handovertest.Hook("/crisp/hooks", "other", time.Now(), []byte("{}"))
		}, 403},
		"a key where none is": {func(*rig.Rig) *http.Request {
			return handovertest.Hook("/crisp/hooks?key=guess", "", time.Now(), []byte("{}"))
		}, 401},
		"signed, not JSON":       {func(r *rig.Rig) *http.Request { return r.Signed([]byte("hello")) }, 400},
		"signed, cut":            {func(r *rig.Rig) *http.Request { return r.Signed([]byte(`{"event":"message:send"`)) }, 400},
		"signed, empty":          {func(r *rig.Rig) *http.Request { return r.Signed(nil) }, 400},
		"signed, a list":         {func(r *rig.Rig) *http.Request { return r.Signed([]byte(`[1,2]`)) }, 200},
		"signed, an empty event": {func(r *rig.Rig) *http.Request { return r.Signed([]byte(`{}`)) }, 200},
		"1 MiB":                  {func(r *rig.Rig) *http.Request { return r.Signed(sized(r, 1<<20)) }, 200},
		"over 1 MiB":             {func(r *rig.Rig) *http.Request { return r.Signed(sized(r, 1<<20+1)) }, 413},
		"over 1 MiB, unsigned":   {func(r *rig.Rig) *http.Request { return handovertest.Hook("/", "", time.Now(), sized(r, 1<<20+1)) }, 401},
		"an unknown event":       {func(r *rig.Rig) *http.Request { return r.Hook("session:sang_a_song", r.Session().CrispID, nil) }, 200},
		"a website's event": {func(r *rig.Rig) *http.Request {
			return r.Hook("website:users:available", "", map[string]any{"available": true})
		}, 200},
		"a foreign conversation": {func(r *rig.Rig) *http.Request {
			return r.Hook("message:received", foreign, map[string]any{"type": "text", "from": "operator", "content": "hi", "fingerprint": 1, "timestamp": 1})
		}, 200},
		"a foreign website": {func(r *rig.Rig) *http.Request {
			return r.Signed(handovertest.HookBody("00000000-0000-4000-8000-000000000000", "message:received", time.Now(),
				map[string]any{"session_id": r.Session().CrispID, "type": "text", "from": "operator", "content": "hi", "fingerprint": 1, "timestamp": 1}))
		}, 200},
		"an id that is none": {func(r *rig.Rig) *http.Request { return r.Hook("session:removed", "../../x", nil) }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				r.Opened()
				r.Saw()
				w := r.Hooked(tt.request(r))
				require.Equal(t, tt.want, w.Code)
				require.Equal(t, tt.want == 405, w.Header().Get("Allow") == "POST")
				require.Empty(t, w.Header().Get("Retry-After"))
				require.Equal(t, tt.want != 200, strings.HasPrefix(w.Body.String(), "handover: "), "what is wrong is said")
				require.NotContains(t, w.Body.String(), r.Crisp.Secret())
				require.Empty(t, r.Saw())
				require.Equal(t, handover.StateWaiting, r.Session().State)
			})
		})
	}
}

// A wrong secret must not be a silent fault; strangers must not fill the log.
func TestRefusedHooksAreLoggedOnceAMinute(t *testing.T) {
	var log rig.Log
	config := func(_ *rig.Rig, c *handover.Config) { c.Logger = log.Logger() }
	rig.Bubble(t, rig.Options{Config: config}, func(r *rig.Rig) {
		for _, wait := range []time.Duration{0, time.Second, time.Minute} {
			time.Sleep(wait)
			r.Hooked(handovertest.Hook("/crisp/hooks", "other", time.Now(), []byte("{}")))
		}
		require.Equal(t, 2, log.Count("compare Webhook.Secrets and Webhook.URLKeys with those in Crisp"), log.String())
	})
}

// sized is a hook of that many bytes, of an event that nobody knows.
func sized(r *rig.Rig, n int) []byte {
	body := handovertest.HookBody(r.Crisp.WebsiteID(), "session:sang_a_song", time.Now(), map[string]any{"song": ""})
	return bytes.Replace(body, []byte(`"song":"`), []byte(`"song":"`+strings.Repeat("a", n-len(body))), 1)
}

func TestHookAnswers503(t *testing.T) {
	var blocked chan struct{}
	var stuck atomic.Bool
	for name, tt := range map[string]struct {
		config func(r *rig.Rig, c *handover.Config)
		breaks func(r *rig.Rig) (heal func())
		err    string
	}{
		"when the store fails": {nil, func(r *rig.Rig) func() {
			r.Store.Fails(true)
			return func() { r.Store.Fails(false) }
		}, rig.ErrStoreDown.Error()},
		"after Shutdown": {nil, func(r *rig.Rig) func() {
			require.NoError(r.T, r.H.Shutdown(r.T.Context()))
			return nil
		}, handover.ErrShutdown.Error()},
		"when too much waits": {func(r *rig.Rig, c *handover.Config) {
			c.Limits.Workers, c.Limits.Queue = 1, 1
			blocked = make(chan struct{})
			stuck.Store(false)
			c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
				if stuck.Load() {
					<-blocked
				}
				return r.Deliver(ctx, s, m)
			}
		}, func(r *rig.Rig) func() {
			all := append(r.Crisp.Conversations(), r.Crowd(1)...)
			stuck.Store(true)
			for _, conv := range all { // one holds the worker, one waits for it
				conv.Operator("Ann").Say("hello")
				r.Crisp.Settle()
			}
			return func() { close(blocked); r.Crisp.Settle() }
		}, "too many conversations wait"},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Config: tt.config}, func(r *rig.Rig) {
				conv := r.Opened()
				heal := tt.breaks(r)
				hook := func() *http.Request {
					return r.Hook("message:received", conv.ID(), map[string]any{"type": "text", "from": "operator", "content": "hi", "fingerprint": 1, "timestamp": 1})
				}
				w := r.Hooked(hook())
				require.Equal(t, 503, w.Code)
				require.NotEmpty(t, w.Header().Get("Retry-After"))
				ev, err := handover.ReadEvent(nil, hook(), handover.Webhook{Secrets: handover.NewSecrets(r.Crisp.Secret())})
				require.NoError(t, err)
				require.ErrorContains(t, r.H.HandleEvent(r.T.Context(), ev), tt.err)
				if heal != nil {
					heal()
					require.Equal(t, 200, r.Hooked(hook()).Code)
				}
			})
		})
	}
}

func TestHookOfACancelledRequest(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		ctx, cancel := context.WithCancel(r.T.Context())
		cancel()
		req := r.Hook("session:set_state", conv.ID(), map[string]any{"state": "resolved"})
		require.Equal(t, 503, r.Hooked(req.WithContext(ctx)).Code, "it was not stored")
	})
}

func TestSecretsAreRotated(t *testing.T) {
	for name, tt := range map[string]struct {
		secrets []string
		want    map[string]int // by the secret that signs
	}{
		"none":  {nil, map[string]int{"the old secret": 401, "the new secret": 401}},
		"one":   {[]string{"the old secret"}, map[string]int{"the old secret": 200, "the new secret": 403}},
		"both":  {[]string{"the new secret", "the old secret"}, map[string]int{"the old secret": 200, "the new secret": 200, "other": 403}},
		"later": {[]string{"the new secret"}, map[string]int{"the old secret": 403, "the new secret": 200}},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Webhook.Secrets = handover.NewSecrets(tt.secrets...) }}, func(r *rig.Rig) {
				for secret, want := range tt.want {
					require.Equal(t, want, r.Hooked(handovertest.Hook("/", secret, time.Now(), []byte("{}"))).Code, secret)
				}
			})
		})
	}
}

func TestKeysAreRotated(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Webhook = handover.Webhook{URLKeys: map[string][]handover.Secret{c.WebsiteID: handover.NewSecrets("the old key&", "the new key")}}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		for key, want := range map[string]int{"the old key&": 200, "the new key": 200, "another key": 403, "": 401} {
			req := handovertest.Hook("/?"+url.Values{"key": {key}}.Encode(), "", time.Now(), []byte("{}"))
			require.Equal(t, want, r.Hooked(req).Code, key)
		}
	})
}

// modern is a bubble whose clock has more than 1e12 ms, like today's: Crisp's time header may be in
// seconds, and is told apart by that.
func modern(t *testing.T, o rig.Options, test func(r *rig.Rig)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(2 * 365 * 24 * time.Hour)
		test(rig.New(t, o))
	})
}

func TestOldHooksAreRefusedOnRequest(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Webhook.MaxAge = 15 * time.Minute }}
	modern(t, o, func(r *rig.Rig) {
		for ago, want := range map[time.Duration]int{0: 200, 14 * time.Minute: 200, 16 * time.Minute: 403, -16 * time.Minute: 403} {
			require.Equal(t, want, r.Hooked(handovertest.Hook("/", r.Crisp.Secret(), time.Now().Add(-ago), []byte("{}"))).Code, ago)
		}
	})
}

func TestHooksOfEveryKindOfCrisp(t *testing.T) {
	for name, crisp := range map[string]handovertest.Options{
		"seconds in the header":        {HeaderSeconds: true},
		"repeats keep their signature": {KeepSignature: true},
		"website hooks":                {Hooks: handovertest.WebsiteHooks},
	} {
		t.Run(name, func(t *testing.T) {
			o := rig.Options{Crisp: crisp, Config: func(r *rig.Rig, c *handover.Config) {
				c.Webhook.MaxAge = time.Hour
				c.Webhook.URLKeys = r.HookKeys()
			}}
			modern(t, o, func(r *rig.Rig) {
				ann := r.Opened().Operator("Ann")
				r.Saw()
				r.Store.Fails(true)
				ann.Say("the first attempt fails")
				r.Crisp.Settle()
				r.Store.Fails(false)
				r.After(time.Minute)
				require.Equal(t, []string{"agent Ann: the first attempt fails"}, rig.AgentsIn(r.Saw()))
			})
		})
	}
}

func TestHandleEventForHostsWithAQueue(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
		ann.Say("through the queue")
		r.Crisp.Settle()
		var queue [][]byte
		for _, call := range r.Crisp.Hooks() {
			if !call.Dropped {
				continue
			}
			ev, err := handover.ReadEvent(nil, r.Signed(call.Body), handover.Webhook{Secrets: handover.NewSecrets(r.Crisp.Secret())})
			require.NoError(t, err)
			wire, err := json.Marshal(ev)
			require.NoError(t, err)
			queue = append(queue, wire)
		}
		require.NotEmpty(t, queue)
		for _, wire := range append(queue, queue...) {
			var ev handover.Event
			require.NoError(t, json.Unmarshal(wire, &ev))
			require.NoError(t, r.H.HandleEvent(r.T.Context(), ev))
		}
		require.Equal(t, []string{"agent Ann: through the queue"}, r.Saw())
		require.NoError(t, r.H.HandleEvent(r.T.Context(), handover.Event{}), "an empty one is not ours")
	})
}

func TestAmbiguousHookIsOnlyAReasonToRead(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: true} })
		ann.Say("what the log says")
		body := fmt.Sprintf(`{"website_id":%q,"event":"message:received","timestamp":1,"data":{"website_id":%q,"session_id":%q,
			"type":"note","type":"text","from":"operator","origin":"chat","content":"a private note","fingerprint":163240180126629,"timestamp":%d}}`,
			r.Crisp.WebsiteID(), r.Crisp.WebsiteID(), conv.ID(), time.Now().UnixMilli())
		require.Equal(t, 200, r.Hooked(r.Signed([]byte(body))).Code)
		require.Equal(t, []string{"agent Ann: what the log says"}, r.Saw())
		require.Equal(t, 1, r.Count(handover.ActivityHook))

		twice := strings.Replace(body, `"session_id"`, `"session_id":"session_x","session_id"`, 1)
		before := r.Crisp.CountCalls(handovertest.RouteMessages)
		require.Equal(t, 200, r.Hooked(r.Signed([]byte(twice))).Code)
		r.Crisp.Settle()
		require.Equal(t, before, r.Crisp.CountCalls(handovertest.RouteMessages), "it could be about any conversation")
		r.After(time.Minute)
		require.Empty(t, rig.AgentsIn(r.Saw()))
	})
}

func TestEchoesOfOurOwnCostNoRead(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		before := r.Crisp.CountCalls("GET")
		for i := range 20 {
			r.Says(fmt.Sprint("message ", i))
		}
		r.Crisp.Settle()
		require.Equal(t, before, r.Crisp.CountCalls("GET"))
		require.Len(t, rig.UserTexts(conv), 21)
		require.GreaterOrEqual(t, r.Crisp.CountHooks("message:send"), 21)
	})
}

// waitingHooks are the names of the hooks that wait in the conversation's record, "" for one that only
// says what to read.
func waitingHooks(r *rig.Rig, key string) (names []string) {
	rec, err := r.Store.Load(context.Background(), key)
	require.NoError(r.T, err)
	var d struct {
		Hooks []struct{ Raw struct{ Event string } }
	}
	require.NoError(r.T, json.Unmarshal(rec.Data, &d))
	for _, k := range d.Hooks {
		names = append(names, k.Raw.Event)
	}
	return names
}

func TestHookQueueOverflow(t *testing.T) {
	// Opening keeps hooks waiting: what agents write belongs to the handover that is about to be.
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.ClaimOnAssign = true }}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.After(time.Minute) // the catch-up of the start is over
		r.Saw()
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RoutePatchMeta, Status: 503})
		turn, err := r.Receive(handover.Incoming{Text: "again"})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
		defer cancel()
		outcome, _ := r.H.Start(ctx, turn, handover.Request{})
		require.Equal(t, handover.OutcomeOpening, outcome)
		require.Equal(t, conv.ID(), r.Session().CrispID)
		var want []string
		for i := range 100 {
			ann.Say(fmt.Sprint("message ", i))
			want = append(want, fmt.Sprint("agent Ann (late): message ", i)) // older than the opening message
		}
		gone := ann.Say("I should not have said that")
		ann.Remove(gone)
		conv.Operator("Bob").Assign()
		r.Crisp.Settle()
		key := r.Crisp.WebsiteID() + "/webchat/user-1"
		names := waitingHooks(r, key)
		require.LessOrEqual(t, len(names), 70)
		count := map[string]int{}
		for _, name := range names {
			count[name]++
		}
		require.Greater(t, count["message:received"], 50)
		require.Equal(t, 1, count[""], "one read finds all the others")
		require.Equal(t, 1, count["message:removed"], "the log does not show it")
		require.Equal(t, 1, count["session:set_routing"])
		require.Less(t, len(r.Saw()), 5)
		r.Crisp.Heal()
		r.After(10 * time.Minute)
		require.Equal(t, want, rig.AgentsIn(r.Saw()), "each once, in the log's order")
		require.Empty(t, waitingHooks(r, key))
	})
}

func TestHookStorm(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		fp := ann.Say("once")
		r.Saw()
		reads := r.Crisp.CountCalls("GET")
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: "GET", Delay: 50 * time.Millisecond, For: time.Minute})
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				m, _ := conv.Message(fp)
				req := r.Hook("message:received", conv.ID(), map[string]any{
					"type": "text", "from": "operator", "origin": "chat", "content": "once", "fingerprint": fp, "timestamp": m.Timestamp, "n": i,
				})
				require.Equal(t, 200, r.Hooked(req).Code)
			})
		}
		all.Wait()
		r.After(time.Minute)
		require.Empty(t, r.Saw())
		require.Less(t, r.Crisp.CountCalls("GET")-reads, 10, "a burst is read together")
		ann.Say("and on")
		require.Equal(t, []string{"agent Ann: and on"}, r.Saw())
	})
}

func TestEventsThatOnlyPluginHooksHave(t *testing.T) {
	for name, tt := range map[string]struct {
		event   string
		members map[string]any
		want    handover.EndReason
	}{
		"removed": {"session:removed", nil, handover.EndRemoved},
		"blocked": {"session:set_block", map[string]any{"is_blocked": true}, handover.EndBlocked},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				r.After(time.Second) // the fake's messages may be a few ms ahead of its clock
				require.Equal(t, 200, r.Hooked(r.Hook(tt.event, conv.ID(), tt.members)).Code)
				r.After(time.Minute)
				require.Len(t, r.Ends(), 1)
				require.Equal(t, tt.want, r.Ends()[0].Reason)
			})
		})
	}
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		require.Equal(t, 200, r.Hooked(r.Hook("session:set_block", conv.ID(), map[string]any{"is_blocked": false})).Code)
		r.After(time.Minute)
		require.Equal(t, handover.StateActive, r.Session().State, "let in again is no end")
	})
}

// That no hook comes is said in the log, once, when catch-up finds what one should have told of.
func TestTheLogTellsThatNoHookComes(t *testing.T) {
	for name, lost := range map[string]bool{"hooks come": false, "no hook comes": true} {
		t.Run(name, func(t *testing.T) {
			l := new(rig.Log)
			rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = l.Logger() }}, func(r *rig.Rig) {
				r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Drop: lost} })
				conv := r.Opened()
				for range 3 {
					conv.Operator("Ann").Say("hello")
					r.After(10 * time.Minute)
				}
				require.Len(r.T, r.AgentLines(), 3)
				require.Equal(r.T, map[bool]int{true: 1}[lost], l.Count("no hook has come yet"))
			})
		})
	}
}
