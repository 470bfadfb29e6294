package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
)

var processVerbs = []verb{
	{"the process restarts", func(w *world, _ []string) { w.stop(); w.launch() }},
	{"the process stops", func(w *world, _ []string) { w.stop() }},
	{"the process starts[, and <time> passes]", func(w *world, a []string) {
		w.launch()
		time.Sleep(duration(a[0]))
	}},
	{"the process dies", func(w *world, _ []string) { w.die() }},
	{"a replica starts", func(w *world, _ []string) { w.launch() }},
	{"the store fails", func(w *world, _ []string) { w.storeFails(true) }},
	{"the store works", func(w *world, _ []string) { w.storeFails(false) }},
}

var (
	errDead  = errors.New("the process is dead")
	errStore = errors.New("the store is down")
)

// process is one process of the bot.
type process struct {
	h      *handover.Handover
	stop   func()
	dead   atomic.Bool   // nothing that it does has an effect any more
	gone   chan struct{} // closes then
	broken atomic.Bool   // its store fails
}

// err is why the process cannot reach its store.
func (p *process) err() error {
	switch {
	case p.dead.Load():
		return errDead
	case p.broken.Load():
		return errStore
	}
	return nil
}

// store is the store as one process sees it.
type store struct {
	handover.Store
	process *process
}

func (s store) Load(ctx context.Context, key string) (handover.Record, error) {
	if err := s.process.err(); err != nil {
		return handover.Record{}, err
	}
	return s.Store.Load(ctx, key)
}

func (s store) Find(ctx context.Context, id string) (handover.Record, error) {
	if err := s.process.err(); err != nil {
		return handover.Record{}, err
	}
	return s.Store.Find(ctx, id)
}

func (s store) Save(ctx context.Context, r handover.Record) (int64, error) {
	if err := s.process.err(); err != nil {
		return 0, err
	}
	return s.Store.Save(ctx, r)
}

// client makes the calls of the process, as long as it lives.
func (p *process) client(to *http.Client) *http.Client {
	return &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if p.dead.Load() {
			return nil, errDead
		}
		return to.Transport.RoundTrip(r)
	})}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// h is the process that the next call goes to: each in turn.
func (w *world) h() *handover.Handover {
	return w.processes[w.turns.Add(1)%int64(len(w.processes))].h
}

// launch starts a process on the store that all share.
func (w *world) launch() {
	p := &process{gone: make(chan struct{})}
	c := w.config(p)
	for _, set := range w.settings {
		set(&c)
	}
	h, err := handover.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	p.h = h
	detach := w.crisp.Attach(h)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = h.Run(ctx)
	}()
	done := false
	p.stop = func() {
		if done {
			return
		}
		done = true
		detach()
		cancel()
		<-stopped
		if err := h.Shutdown(context.Background()); err != nil && !p.dead.Load() {
			w.t.Errorf("Shutdown: %v", err)
		}
	}
	w.t.Cleanup(p.stop)
	w.processes = append(w.processes, p)
}

// stop ends the oldest process as a deployment does.
func (w *world) stop() {
	p := w.oldest()
	p.stop()
}

// die ends the oldest process in the middle of what it does.
func (w *world) die() {
	p := w.oldest()
	p.dead.Store(true)
	close(p.gone)
	p.stop()
}

func (w *world) oldest() *process {
	if len(w.processes) == 0 {
		w.t.Fatal("no process runs")
	}
	p := w.processes[0]
	w.processes = w.processes[1:]
	return p
}

func (w *world) storeFails(on bool) {
	for _, p := range w.processes {
		p.broken.Store(on)
	}
}

// config is the configuration of a healthy bot.
func (w *world) config(p *process) handover.Config {
	id, key := w.crisp.Token()
	c := handover.Config{
		WebsiteID:  w.crisp.WebsiteID(),
		Token:      handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook:    handover.Webhook{Secrets: handover.NewSecrets(w.crisp.Secret())},
		HTTPClient: p.client(w.crisp.Client()),
		BaseURL:    w.crisp.URL(),
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
		Store:      store{w.store, p},
		Texts:      w.textsOf,
		Deliver: func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			return w.deliver(ctx, p, s, m)
		},
		OnEnd: func(_ context.Context, s handover.Session, sum handover.Summary) error {
			if p.dead.Load() {
				return errDead
			}
			return w.onEnd(s, sum)
		},
		Observe: w.observe,
	}
	if w.managed.on {
		c.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
			return w.answer(ctx, p, m)
		}
	}
	return c
}

func (w *world) onEnd(s handover.Session, sum handover.Summary) error {
	line := fmt.Sprintf("(ended: %s", sum.Reason)
	if sum.Resume != "" {
		line += ", resume at " + sum.Resume
	}
	if len(sum.Unsent) > 0 {
		line += fmt.Sprintf(", unsent: %d", len(sum.Unsent))
	}
	w.hear(s.Conversation, line+")")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.summaries = append(w.summaries, sum)
	return nil
}

func (w *world) observe(_ context.Context, a handover.Activity) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(w.wanted, strings.TrimSpace(string(a.Kind))) {
		w.heard = append(w.heard, a)
	}
}
