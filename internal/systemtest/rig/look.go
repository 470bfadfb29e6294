package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/crisplog"
)

// Key is the key of the record of the user's conversation.
func (r *Rig) Key() string { return r.Crisp.WebsiteID() + "/" + r.Conv.Source + "/" + r.Conv.ID }

// Record is the stored record of the user's conversation.
func (r *Rig) Record() handover.Record {
	r.T.Helper()
	rec, err := r.Store.Load(context.Background(), r.Key())
	r.must(err)
	return rec
}

// Logged are the messages of which the stored record keeps more than that they are known, of the log of the user's newest
// Crisp conversation; sent are those of ours that count as posted.
func (r *Rig) Logged() (all, sent []int64) {
	r.T.Helper()
	var rec struct {
		Sessions crisplog.Sessions `json:"sessions"`
	}
	r.must(json.Unmarshal(r.Record().Data, &rec))
	for _, e := range rec.Sessions.Last().Log.Entries {
		all = append(all, e.FP)
		if e.Status == crisplog.Ours && (e.At != 0 || e.Sent != 0) {
			sent = append(sent, e.FP)
		}
	}
	return all, sent
}

// Alter changes the stored data of the user's conversation.
func (r *Rig) Alter(change func(data []byte) []byte) {
	r.T.Helper()
	rec := r.Record()
	rec.Data = change(rec.Data)
	_, err := r.Store.Save(context.Background(), rec)
	r.must(err)
}

// Hooked gives the library a request, as a server would.
func (r *Rig) Hooked(req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.H.ServeHTTP(w, req)
	return w
}

// Hook is a signed hook about a Crisp session.
func (r *Rig) Hook(event, session string, members map[string]any) *http.Request {
	data := map[string]any{"website_id": r.Crisp.WebsiteID(), "session_id": session}
	for name, v := range members {
		data[name] = v
	}
	return r.Signed(handovertest.HookBody(r.Crisp.WebsiteID(), event, time.Now(), data))
}

// Signed is a signed hook with that body.
func (r *Rig) Signed(body []byte) *http.Request {
	return handovertest.Hook("/crisp/hooks", r.Crisp.Secret(), time.Now(), body)
}

// RoundTrip is an http.RoundTripper.
type RoundTrip func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Crowd opens a handover for each of n users, and returns their Crisp conversations.
func (r *Rig) Crowd(n int) (all []*handovertest.Conversation) {
	for i := range n {
		r.Conv.ID = fmt.Sprint("user ", i)
		all = append(all, r.Opened())
	}
	r.After(time.Minute)
	r.Saw()
	return all
}

// OpensSlowly has the user ask for a human, and the opening wait at a route.
func (r *Rig) OpensSlowly(req handover.Request, route string) {
	r.T.Helper()
	r.Crisp.Fail(1, handovertest.Fault{Route: route, Delay: 5 * time.Second})
	turn, err := r.Receive(handover.Incoming{Text: "me again"})
	r.must(err)
	ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
	defer cancel()
	if _, err = r.H.Start(ctx, turn, req); !errors.Is(err, context.DeadlineExceeded) {
		r.T.Fatalf("the rig: the opening ended: %v", err)
	}
	if s := r.Session().State; s != handover.StateOpening {
		r.T.Fatalf("the rig: opening, the conversation is %s", s)
	}
}

// Runs lets the library of a Still rig run for a while: a process that sleeps for days is quicker
// than one that polls for days.
func (r *Rig) Runs(d time.Duration) {
	r.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := r.H.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		r.T.Fatalf("the rig: Run returned %v", err)
	}
	r.Crisp.Settle()
}

// SystemDelivered counts the deliveries that are not of agents' messages.
func (r *Rig) SystemDelivered() (n int) {
	for _, a := range r.Activities() {
		if a.Kind == handover.ActivityDelivered && !strings.HasPrefix(a.MessageID, "session_") {
			n++
		}
	}
	return n
}

// Notes are the notes in a Crisp conversation.
func Notes(c *handovertest.Conversation) (notes []string) {
	for _, m := range c.Messages() {
		if m.Type == "note" {
			notes = append(notes, fmt.Sprint(m.Content))
		}
	}
	return notes
}

// DropHooks loses every hook.
func DropHooks(handovertest.HookInfo) handovertest.HookFault {
	return handovertest.HookFault{Drop: true}
}

// WithoutStateHooks loses the hooks that tell of states: only the list of conversations tells, which
// OftenListed has read each second.
func (r *Rig) WithoutStateHooks() {
	r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
		return handovertest.HookFault{Drop: i.Event == "session:set_state"}
	})
}

// OftenListed has Crisp's list of conversations read each second.
var OftenListed = Options{Config: func(_ *Rig, c *handover.Config) { c.Limits.DailyCalls = 10_000_000 }}

// Lags has reads of the log show, for a time, nothing that is newer than now. It returns how many
// there were.
func (r *Rig) Lags(during time.Duration) (reads *atomic.Int64) {
	reads, begun := new(atomic.Int64), time.Now()
	r.Crisp.SetFaults(func(i handovertest.CallInfo) (f handovertest.Fault) {
		if i.Route == handovertest.RouteMessages && time.Since(begun) < during {
			reads.Add(1)
			f.Stale, f.Delay = time.Since(begun)+time.Second, 20*time.Millisecond
		}
		return f
	})
	return reads
}

// Slowly makes Deliver take that long for each message, whatever its context says. The count is how
// many there were at once at the most, if it is not nil.
func Slowly(d time.Duration, count *atomic.Int64) func(*Rig, *handover.Config) {
	var running atomic.Int64
	return func(r *Rig, c *handover.Config) {
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if n := running.Add(1); count != nil && n > count.Load() {
				count.Store(n)
			}
			defer running.Add(-1)
			time.Sleep(d)
			return r.Deliver(ctx, s, m)
		}
	}
}
