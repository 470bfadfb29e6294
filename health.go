package handover

import (
	"time"

	"github.com/crisphandover/handover/internal/times"
	"github.com/crisphandover/handover/internal/website"
)

// Health says how this process is. All times are by the store's clock, as far as this process knows it; zero: never.
type Health struct {
	At time.Time `json:"at"` // now
	// Running says that Run works in this process, and ShutDown that it takes no more work. A process that only takes
	// hooks or messages needs no Run, if another one has it.
	Running  bool `json:"running"`
	ShutDown bool `json:"shut_down,omitzero"`
	// LastPoll is when Run last asked the store what is due and got an answer: a second ago, where all is well. While
	// Full it does not ask.
	LastPoll time.Time `json:"last_poll,omitzero"`
	// Full says that too much waits in this process: hooks are answered 503, so that Crisp brings them again.
	Full bool `json:"full,omitzero"`
	// Queues are the jobs in this process: "to_user", "to_crisp" and "to_bot" are the directions of the work, the others
	// are signs of who is typing ("agent_typing", "user_typing"), and records read for those who wait ("wake").
	Queues   map[string]QueueHealth `json:"queues,omitempty"`
	Store    StoreHealth            `json:"store"`
	Websites []WebsiteHealth        `json:"websites"` // Config.WebsiteID first
}

// QueueHealth is how much one queue of this process has to do.
type QueueHealth struct {
	Waiting int `json:"waiting"`
	Running int `json:"running"`
}

// StoreHealth is how the store answers this process.
type StoreHealth struct {
	// Failing says that the last access of some kind failed, FailingSince since when, and Fails how many did since.
	Failing      bool      `json:"failing,omitzero"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	Fails        int       `json:"fails,omitzero"`
	// LastFault is when an access last failed, and LastFaultAt what that was: "load", "find", "save", "claim", "delete" or
	// "list". The log has the error.
	LastFault   time.Time `json:"last_fault,omitzero"`
	LastFaultAt string    `json:"last_fault_at,omitempty"`
}

// WebsiteHealth is what this process knows of a website. It hears from the store what other replicas know, at most
// about a minute late where Run works.
type WebsiteHealth struct {
	ID string `json:"id"`
	// LastHook is when a hook of the website last came, to any replica: of the others up to an hour late.
	LastHook time.Time `json:"last_hook,omitzero"`
	// CaughtUp is when Crisp's list of conversations was last read to its end, by any replica: hooks that never came are
	// found by that. CatchUpEvery is how often it is to be read, and Lag for how long it has not been besides, since this
	// process was made at the most.
	CaughtUp     time.Time     `json:"caught_up,omitzero"`
	CatchUpEvery time.Duration `json:"catch_up_every"`
	Lag          time.Duration `json:"lag,omitzero"`
	// Held says that no call to Crisp is made for the website, but for one that tries, from HeldUntil on: after the answer
	// HeldStatus (0: none) with the reason HeldReason. HeldCalls are calls that alone are held back, such as "set metas".
	Held       bool      `json:"held,omitzero"`
	HeldUntil  time.Time `json:"held_until,omitzero"`
	HeldStatus int       `json:"held_status,omitzero"`
	HeldReason string    `json:"held_reason,omitempty"`
	HeldCalls  []string  `json:"held_calls,omitempty"`
}

// Health tells how this process is, at once: it calls neither the store nor Crisp, and costs nothing of the quota. It
// suits probes that are made every second; Check is for a person. The zero Handover is shut down.
func (h *Handover) Health() Health {
	if h.made() != nil {
		return Health{At: time.Now(), ShutDown: true}
	}
	health := Health{
		At: h.store.now(), ShutDown: h.pool.Closed(), Full: h.pool.Full(), LastPoll: unixTime(h.polled.Load()),
		Queues: map[string]QueueHealth{}, Store: h.store.health(),
	}
	health.Running, _ = h.overdue.Works()
	for name, lane := range h.pool.Stats() {
		health.Queues[name] = QueueHealth{Waiting: lane.Queued, Running: lane.Running}
	}
	for _, id := range h.cfg.websites() {
		health.Websites = append(health.Websites, h.siteHealth(h.sites[id]))
	}
	return health
}

// unixTime is the time of so many nanoseconds; zero of none.
func unixTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// health tells how the store answers.
func (s *storage) health() (h StoreHealth) {
	since, fails := s.outage.Failing()
	if h.Failing = fails > 0; h.Failing {
		h.FailingSince, h.Fails = since.Add(time.Duration(s.ahead.Load())).Round(0).UTC(), fails
	}
	if last := s.fault.Load(); last != nil {
		h.LastFault, h.LastFaultAt = last.at, last.what
	}
	return h
}

// siteHealth tells what is known of a website.
func (h *engine) siteHealth(s *website.Site) WebsiteHealth {
	known, ahead := s.Known(), time.Duration(h.store.ahead.Load())
	w := WebsiteHealth{ID: s.ID, CatchUpEvery: s.Every, LastHook: s.LastHook(&known), CaughtUp: known.CaughtUp, HeldCalls: s.API.HeldOps()}
	w.Lag = max(h.store.now().Sub(times.Later(w.CaughtUp, h.began.Add(ahead)))-w.CatchUpEvery, 0)
	if state := s.API.State(); !state.Until.IsZero() {
		w.Held, w.HeldStatus, w.HeldReason = true, state.StatusCode, state.Reason
		w.HeldUntil = state.Until.Add(ahead).Round(0)
	}
	return w
}
