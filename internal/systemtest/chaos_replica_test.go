package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/testhook"
)

// errKilled is all that a killed replica hears of the world.
var errKilled = errors.New("this process was killed")

// replica is one process of the bot's backend. It can be killed: from that moment on its store, its
// network and its callbacks fail, whatever of it still runs.
type replica struct {
	w      *world
	n      int
	h      *handover.Handover
	ctx    context.Context // ends with its death
	cancel context.CancelFunc
	detach func()

	under  atomic.Int64  // what it has under way outside of itself
	armed  chan string   // holds the point where it will be killed
	struck chan struct{} // closed when it was
	died   time.Time     // set before struck closes
	caught int64         // what else was under way then
	spared int           // how often it passed the point with nothing else under way
}

// The points where a replica is killed: each time something was done, and it will never know.
const (
	atCall    = "call"    // Crisp has done what it was asked for
	atDeliver = "deliver" // the user sees a message
	atSave    = "save"    // the store has a record
)

var killPoints = []string{atCall, atDeliver, atSave}

// newReplica starts a replica. Its Run goes on after a kill, as a zombie.
func (w *world) newReplica(n int) *replica {
	r := &replica{w: w, n: n, armed: make(chan string, 1), struck: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(w.ctx)
	id, key := w.crisp.Token()
	cfg := handover.Config{
		WebsiteID:  w.crisp.WebsiteID(),
		Token:      handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook:    handover.Webhook{Secrets: handover.NewSecrets(w.crisp.Secret())},
		Deliver:    r.deliver,
		OnEnd:      r.onEnd,
		Observe:    func(_ context.Context, a handover.Activity) { w.observe(n, a) },
		Store:      replicaStore{r},
		HTTPClient: &http.Client{Transport: r},
		BaseURL:    w.crisp.URL(),
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
		// The bot's conversations all begin within seconds: pacing them has its own test. All change all
		// the time: with a plugin's quota catch-up could look at their list four times an hour.
		Limits: handover.Limits{CreatesPerMinute: -1, DailyCalls: 50_000},
		// A death costs the lease's 30 s and an unknown outcome 10 s, several times in a row:
		// these two deadlines would end handovers, which has its own test.
		Timeouts: handover.Timeouts{Open: 15 * time.Minute, Relay: 15 * time.Minute},
	}
	if w.o.managed {
		cfg.Answer = r.answer
		cfg.Timeouts.Answer, cfg.Timeouts.Unanswered = time.Minute, time.Hour // giving up has its own test
	}
	cfg.Policy.AskRating = w.o.hard[refusedSteps]
	if w.o.hard[hungCallbacks] {
		cfg.Limits.Workers = 16 // in a run of full size more callbacks hang
	}
	h, err := handover.New(cfg)
	if err != nil {
		panic(err)
	}
	hooks := w.o.hooks
	if w.o.hard[skewedReplicas] {
		hooks.Skew = between(-time.Hour, time.Hour, w.o.seed, "clock", n)
		w.suffers(skewedReplicas)
	}
	testhook.Set(h, hooks)
	r.h = h
	r.detach = w.crisp.Attach(r)
	w.work.Go(func() { _ = h.Run(w.ctx) })
	return r
}

func (r *replica) dead() bool { return r.ctx.Err() != nil }

// arm has the replica killed the next time that it passes the point.
func (r *replica) arm(point string) { r.armed <- point }

// outside does something in the world, unless the replica is dead, and keeps the outcome from one
// that is dead by then.
func (r *replica) outside(point string, do func() error) error {
	r.under.Add(1)
	defer r.under.Add(-1)
	if r.dead() {
		return errKilled
	}
	err := do()
	if err == nil {
		r.strike(point)
	}
	if r.dead() {
		return errKilled
	}
	return err
}

// strike kills the replica if this is the point.
func (r *replica) strike(point string) {
	select {
	case p := <-r.armed:
		alone := r.under.Load() <= 1 && r.spared < 200 // a death in the middle of more is worth waiting for
		if p != point || r.dead() || alone {
			if alone && p == point {
				r.spared++
			}
			r.armed <- p
			return
		}
	default:
		return
	}
	r.caught = r.under.Load() - 1 // besides what it is killed in
	r.died = time.Now()
	r.cancel()
	close(r.struck)
}

// killedAt says when the replica was killed.
func (r *replica) killedAt() (at time.Time, killed bool) {
	select {
	case <-r.struck:
		return r.died, true
	default:
		return time.Time{}, false
	}
}

// ServeHTTP takes hooks. A dead process answers none.
func (r *replica) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if !r.dead() {
		r.w.took(w, q, r.h)
	}
	if r.dead() {
		panic(http.ErrAbortHandler)
	}
}

// Drain is what handovertest asks of receivers.
func (r *replica) Drain(ctx context.Context) error { return handovertest.Drain(ctx, r.h) }

// RoundTrip is the replica's network. Its death cuts the calls that are under way.
func (r *replica) RoundTrip(q *http.Request) (resp *http.Response, err error) {
	ctx, cancel := context.WithCancel(q.Context())
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	err = r.outside(atCall, func() (err error) {
		resp, err = r.w.network.RoundTrip(q.WithContext(ctx))
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// deliver shows a message to the user.
func (r *replica) deliver(_ context.Context, s handover.Session, m handover.Message) (string, error) {
	c := r.w.chat(s.Conversation)
	return m.ID, c.callback(r, atDeliver, false, func(failed bool) { c.show(r, m, failed) })
}

// onEnd hears of an end.
func (r *replica) onEnd(_ context.Context, s handover.Session, sum handover.Summary) error {
	c := r.w.chat(s.Conversation)
	return c.callback(r, "end", c.tooEarly(), func(failed bool) { c.end(r, sum, failed) })
}

// took has a hook answered, and notes of which message it is if it is taken.
func (w *world) took(answer http.ResponseWriter, q *http.Request, h http.Handler) {
	var told struct {
		Data struct {
			Session     string `json:"session_id"`
			Fingerprint int64  `json:"fingerprint"`
		} `json:"data"`
	}
	body, err := io.ReadAll(q.Body)
	q.Body = io.NopCloser(bytes.NewReader(body))
	known := err == nil && json.Unmarshal(body, &told) == nil && told.Data.Fingerprint > 0
	status := &statusWriter{ResponseWriter: answer, status: http.StatusOK}
	h.ServeHTTP(status, q)
	if !known || status.status != http.StatusOK {
		return
	}
	id := fmt.Sprintf("%s/%d", told.Data.Session, told.Data.Fingerprint)
	w.change(func() {
		if _, again := w.taken[id]; !again {
			w.taken[id] = time.Now()
		}
	})
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
