package scenarios

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// mortal is a process that dies at a call to Crisp: nothing that it does later has any effect.
type mortal struct {
	dead   atomic.Bool
	method string
	path   string // a part of it
	after  bool   // dies when Crisp has done the call, not before
}

var errDead = errors.New("the process is dead")

// config makes a process mortal.
func (m *mortal) config(r *rig.Rig, c *handover.Config) {
	crisp := c.HTTPClient
	c.Timeouts.Open = 5 * time.Minute
	c.Store = mortalStore{c.Store, m}
	c.HTTPClient = &http.Client{Transport: rig.RoundTrip(func(req *http.Request) (*http.Response, error) {
		mine := req.Method == m.method && strings.HasSuffix(req.URL.Path, m.path)
		if m.dead.Load() || mine && !m.after {
			m.dead.Store(true)
			return nil, errDead
		}
		resp, err := crisp.Transport.RoundTrip(req)
		if mine {
			m.dead.Store(true)
			return nil, errDead
		}
		return resp, err
	})}
	c.Deliver = func(ctx context.Context, s handover.Session, msg handover.Message) (string, error) {
		if m.dead.Load() {
			return "", errDead
		}
		return r.Deliver(ctx, s, msg)
	}
}

// mortalStore is the store as a mortal process sees it.
type mortalStore struct {
	handover.Store
	m *mortal
}

func (s mortalStore) Load(ctx context.Context, key string) (handover.Record, error) {
	if s.m.dead.Load() {
		return handover.Record{}, errDead
	}
	return s.Store.Load(ctx, key)
}

func (s mortalStore) Find(ctx context.Context, id string) (handover.Record, error) {
	if s.m.dead.Load() {
		return handover.Record{}, errDead
	}
	return s.Store.Find(ctx, id)
}

func (s mortalStore) Save(ctx context.Context, rec handover.Record) (int64, error) {
	if s.m.dead.Load() {
		return 0, errDead
	}
	return s.Store.Save(ctx, rec)
}

func (s mortalStore) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	if s.m.dead.Load() {
		return nil, errDead
	}
	return s.Store.Claim(ctx, limit, ttl)
}

func (s mortalStore) Delete(ctx context.Context, key string, version int64) error {
	if s.m.dead.Load() {
		return errDead
	}
	return s.Store.Delete(ctx, key, version)
}

const inbox = "bf690000-0000-4000-8000-000000000001"

func TestOpeningIsResumedByAnotherReplica(t *testing.T) {
	for _, step := range []string{"POST /conversation", "PATCH /meta", "PATCH /inbox", "PATCH /routing", "POST /message"} {
		method, path, _ := strings.Cut(step, " ")
		for when, after := range map[string]bool{"before": false, "after": true} {
			t.Run("killed "+when+" "+step, func(t *testing.T) { resumed(t, &mortal{method: method, path: path, after: after}) })
		}
	}
}

// resumed has a replica die in the middle of an opening, and another one finish it.
func resumed(t *testing.T, m *mortal) {
	rig.Bubble(t, rig.Options{Config: m.config}, func(r *rig.Rig) {
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Drop: i.Event == "message:send"} // no echo helps
		})
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(t, err)
		_, err = r.H.Start(r.T.Context(), turn, handover.Request{
			Segments: []string{"Customer"}, User: handover.UserData{FirstName: "Ann"}, Inbox: inbox, Operator: inbox,
		})
		require.Error(t, err)
		require.True(t, m.dead.Load())
		r.H = r.Replica(rig.Options{})
		r.After(4 * time.Minute)
		require.Equal(t, handover.StateWaiting, r.Session().State)
		require.Equal(t, "A person will be with you soon. You can already describe your question. [Back to the bot]", systemIn(r.Saw())[0])
		conv := r.Crisp.Last()
		require.Equal(t, []string{"Hi, this user need your help."}, rig.UserTexts(conv))
		require.Equal(t, []string{"Customer"}, conv.Segments())
		require.Equal(t, "Ann", conv.Meta().Nickname)
		require.Equal(t, inbox, conv.Inbox())
		for _, other := range r.Crisp.Conversations()[:conv.Number()] {
			require.Empty(t, other.Messages(), "never a second conversation with a message in it")
		}
	})
}

// systemIn are the texts that the library said.
func systemIn(lines []string) (texts []string) {
	for _, l := range lines {
		if text, ok := strings.CutPrefix(l, "system: "); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

func TestOpeningIsResumedByACall(t *testing.T) {
	for name, call := range map[string]func(r *rig.Rig){
		"Receive": func(r *rig.Rig) { require.False(r.T, r.Says("are you there?").Bot) },
		"Start": func(r *rig.Rig) {
			outcome, err := r.H.Start(r.T.Context(), r.Session().Turn(), handover.Request{})
			require.NoError(r.T, err)
			require.Equal(r.T, handover.OutcomeAlreadyOpen, outcome)
			r.Crisp.Settle()
		},
	} {
		t.Run(name, func(t *testing.T) {
			first := &mortal{method: "none"}
			rig.Bubble(t, rig.Options{Config: first.config, Still: true}, func(r *rig.Rig) {
				r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RoutePatchMeta, Status: 503})
				turn, err := r.Receive(handover.Incoming{Text: "help"})
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(r.T.Context(), time.Second/2)
				defer cancel()
				outcome, err := r.H.Start(ctx, turn, handover.Request{})
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, handover.OutcomeOpening, outcome)
				first.dead.Store(true) // while it waits for the next attempt
				r.After(10 * time.Second)
				r.H = r.Replica(rig.Options{Still: true})
				call(r)
				require.Equal(t, handover.StateWaiting, r.Session().State)
				require.Len(t, r.Crisp.Conversations(), 1)
			})
		})
	}
}

func TestHookIsStoredBeforeIts200(t *testing.T) {
	var first mortal
	rig.Active(t, rig.Options{Config: first.config, Still: true}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		req := r.Hook("message:received", conv.ID(), map[string]any{
			"type": "text", "from": "operator", "origin": "chat", "content": "said just before the crash", "fingerprint": 163240180126629,
			"timestamp": time.Now().UnixMilli(), "user": map[string]any{"nickname": "Ann", "user_id": ann.ID()},
		})
		require.Equal(t, 200, r.Hooked(req).Code)
		first.dead.Store(true)
		r.Replica(rig.Options{})
		r.After(2 * time.Minute)
		require.Len(t, rig.AgentsIn(r.Saw()), 1)
	})
}
