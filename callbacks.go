package handover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	json "github.com/go-json-experiment/json"

	"github.com/crisphandover/handover/internal/worker"
)

// scopeKey is the context key of a callback's scope.
type scopeKey struct{}

// scope tells calls on a callback's context that they must not wait for that callback.
type scope struct {
	key   string
	reply string // of a send or an Answer
	end   context.CancelCauseFunc
}

// scopeOf returns the scope of ctx for this conversation, or nil.
func scopeOf(ctx context.Context, key string) *scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok && s.key == key {
		return s
	}
	return nil
}

// lost ends the context of a send or an Answer that has lost the conversation.
func (s *scope) lost() {
	if s != nil && s.end != nil {
		s.end(ErrNotYourTurn)
	}
}

// reentrant reports whether ctx is that of a callback for the same conversation.
func (c *Config) reentrant(ctx context.Context, conv Conversation) bool {
	return scopeOf(ctx, c.key(conv)) != nil
}

// host calls the callbacks of Config. None of them is waited for longer than Timeouts.Callback. Those that must
// return at once, Observe and Texts, are waited for shortly. Of these, and of AgentTyping, a few may hang; then
// they are not called any more until these return.
type host struct {
	cfg      *Config
	bulkhead *worker.Bulkhead
	prompt   *worker.Bulkhead // of Observe, Texts and AgentTyping
	hangs    atomic.Int64     // when one of these was last logged that hangs, in Unix seconds
}

const (
	// promptTimeout bounds a callback that must return at once.
	promptTimeout = time.Second
	// maxPromptHung is how many of each may hang until no more are called.
	maxPromptHung = 16
)

func newHost(cfg *Config) *host {
	h := &host{cfg: cfg}
	h.bulkhead = worker.NewBulkhead(worker.BulkheadOptions{})
	h.prompt = worker.NewBulkhead(worker.BulkheadOptions{Abandoned: maxPromptHung, Grace: promptTimeout / 10})
	return h
}

// promptly calls Observe or Texts, and reports whether it has returned.
func promptly[T any](ctx context.Context, h *host, name string, call func(context.Context) T) (T, bool) {
	return within(ctx, h, name, promptTimeout, call)
}

// within calls a callback without an error, for at most limit, and reports whether it has returned. While
// maxPromptHung of its calls hang it is not called.
func within[T any](ctx context.Context, h *host, name string, limit time.Duration, call func(context.Context) T) (T, bool) {
	result, err := worker.Call(ctx, h.prompt, name, limit, named(h, name, func(ctx context.Context) (T, error) { return call(ctx), nil }))
	if err == nil || hung(err) == "panicked" { // that is logged
		return result, err == nil
	}
	now, last := time.Now().Unix(), h.hangs.Load()
	if now-last >= 60 && h.hangs.CompareAndSwap(last, now) {
		h.cfg.Logger.Error("handover: a callback hangs: it is left out", "callback", name, "hanging", h.prompt.Abandoned())
	}
	return result, false
}

// panicked logs which callback panicked and where, and not what with, which may quote users.
func (h *host) panicked(name string) func(stack string) {
	return func(stack string) {
		h.cfg.Logger.Error("handover: a callback panicked", "callback", name, "stack", stack)
	}
}

// named is a callback whose panic is logged with its name.
func named[T any](h *host, name string, call func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (result T, err error) {
		if !worker.Guard(h.panicked(name), func() { result, err = call(ctx) }) {
			err = worker.ErrPanicked
		}
		return result, err
	}
}

// callback calls the host, for at most Timeouts.Callback: a callback that does not return is left alone.
// A panic is a failed attempt.
func callback[T any](ctx context.Context, h *host, c Conversation, name string, call func(context.Context) (T, error)) (T, error) {
	ctx = context.WithValue(ctx, scopeKey{}, &scope{key: h.cfg.key(c)})
	result, err := worker.Call(ctx, h.bulkhead, c.Source, h.cfg.Timeouts.Callback, named(h, name, call))
	if hung(err) != "" {
		err = fmt.Errorf("handover: %w", err)
	}
	return result, err
}

// callbackOf is callback for a callback without a result.
func callbackOf(ctx context.Context, h *host, c Conversation, name string, call func(context.Context) error) error {
	_, err := callback(ctx, h, c, name, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

// hung says in one word how a callback failed that did not return its own error; "" for any other error.
func hung(err error) string {
	switch {
	case errors.Is(err, worker.ErrAbandoned):
		return "abandoned"
	case errors.Is(err, worker.ErrPanicked), errors.Is(err, worker.ErrExited):
		return "panicked"
	case errors.Is(err, worker.ErrCrowded):
		return "crowded"
	}
	return ""
}

// deliver shows a message to the user.
func (h *host) deliver(ctx context.Context, rec *record, e *effect) (id string, err error) {
	m, s := e.message(rec), rec.view()
	return callback(ctx, h, rec.Conversation, "Deliver", func(ctx context.Context) (string, error) { return h.cfg.Deliver(ctx, s, m) })
}

// copied returns a copy for the host to do with as it likes.
func (m *Message) copied() Message {
	if r := &m.Content; r.QuickReplies == nil && r.Attachment == nil && r.Unknown == nil && m.File == nil {
		return *m // it points to nothing
	}
	var c Message
	if b, err := json.Marshal(m, recordJSON); err != nil || json.Unmarshal(b, &c, recordJSON) != nil {
		return *m
	}
	return c
}

// message is what a callback gets of an effect. The channel's id of what it corrects may have come
// after the correction.
func (e *effect) message(rec *record) Message {
	m := e.Message.copied()
	m.Attempt = e.Attempts
	if s := rec.Sessions.ByID(e.Crisp); s != nil && m.Corrects != "" {
		m.ChannelID, _ = s.Log.Named(e.FP, e.Part)
	}
	return m
}

// revise edits or removes a message that was shown. If it was not shown, the user at most got it by
// mail: they get the new content as a correction, and nothing for a removal.
func (h *host) revise(ctx context.Context, rec *record, e *effect) error {
	s := rec.Sessions.ByID(e.Crisp)
	if s == nil {
		return nil
	}
	if _, ok := s.Log.Named(e.FP, e.Part); !ok && e.Removed {
		return nil
	} else if !ok {
		return errors.ErrUnsupported
	}
	r, view := Revision{Message: e.message(rec), Removed: e.Removed}, rec.view()
	return callbackOf(ctx, h, rec.Conversation, "Revise", func(ctx context.Context) error { return h.cfg.Revise(ctx, view, r) })
}

// sayText says a system text, and returns the title of the way out that went with it.
func (h *host) sayText(ctx context.Context, rec *record, e *effect) (string, error) {
	s := rec.view()
	if e.Locale != "" {
		s.Locale = e.Locale
	}
	texts := h.textsOf(s)
	content, ok := texts.render(e.Text, e.Agent, rec.Offer.choice(h.cfg.Choices.Bot, h.cfg))
	if !ok {
		return "", nil
	}
	var leave string
	if len(content.QuickReplies) > 0 && content.QuickReplies[0].Payload == payloadLeave {
		leave = content.QuickReplies[0].Title // before the host has it, to do with as it likes
	}
	m := Message{ID: systemID(e.HandoverID, string(e.Text), e.N), From: FromSystem, Content: content, Attempt: e.Attempts, At: e.Since.UTC()}
	if e.Plain {
		m.Content = RichMessage{Text: content.PlainText()}
	}
	s = rec.view()
	_, err := callback(ctx, h, rec.Conversation, "Deliver", func(ctx context.Context) (string, error) { return h.cfg.Deliver(ctx, s, m) })
	return leave, err
}

// texts are the conversation's texts.
func (h *host) texts(rec *record) Texts { return h.textsOf(rec.view()) }

func (h *host) textsOf(s Session) Texts {
	if h.cfg.Texts != nil {
		if texts, ok := promptly(context.Background(), h, "Texts", func(context.Context) Texts { return h.cfg.Texts(s) }); ok {
			return texts
		}
	}
	return DefaultTexts()
}

// humanPart reads what the user and the agents said in a handover that has ended. unread is true when it
// cannot be read.
type humanPart func(ctx context.Context, rec *record, end *effect) (all []Message, unread bool)

// onEnd tells the host that a handover has ended. The human part is read for the first attempts only.
func (h *host) onEnd(ctx context.Context, rec *record, e *effect, r result, read humanPart) result {
	if h.cfg.OnEnd == nil {
		return r
	}
	sum := *e.Summary
	sum.Agents, sum.Unsent = slices.Clone(sum.Agents), slices.Clone(sum.Unsent)
	switch r.reads = e.Reads; {
	case len(e.Human) > 0:
		r.human = e.Human
		sum.Unread = json.Unmarshal(e.Human, &sum.Messages, recordJSON) != nil
	case e.Reads >= maxEndReads:
		sum.Unread = true
	default:
		reading, cancel := context.WithTimeout(ctx, 2*callTimeout)
		sum.Messages, sum.Unread = read(reading, rec, e)
		cancel()
		r.reads++
		if b, err := json.Marshal(sum.Messages, recordJSON); err == nil && !sum.Unread { // before the host has it
			r.human = b
		}
	}
	s := rec.view()
	if err := callbackOf(ctx, h, rec.Conversation, "OnEnd", func(ctx context.Context) error { return h.cfg.OnEnd(ctx, s, sum) }); err != nil {
		r.err = fmt.Errorf("handover: OnEnd: %w", err)
	}
	return r
}

// agentTypes tells the host that an agent is typing. While too many calls hang that did, it is not called.
func (h *host) agentTypes(key string, s Session, sign AgentTyping) {
	ctx := context.WithValue(context.Background(), scopeKey{}, &scope{key: key})
	within(ctx, h, "AgentTyping", h.cfg.Timeouts.Callback, func(ctx context.Context) struct{} { h.cfg.AgentTyping(ctx, s, sign); return struct{}{} })
}

// presence lets Config.Presence have the last word on whether somebody is there.
func (h *host) presence(ctx context.Context, rec *record, there Presence) Presence {
	if h.cfg.Presence == nil {
		return there
	}
	s := rec.view()
	said, err := callback(context.WithoutCancel(ctx), h, rec.Conversation, "Presence", func(ctx context.Context) (Presence, error) {
		return h.cfg.Presence(ctx, s, there), nil
	})
	if err != nil {
		return there
	}
	return said
}

// tell hands saved activities to the host, and logs the faults.
func (h *host) tell(activity ...Activity) {
	for _, a := range activity {
		switch a.Kind {
		case ActivityGivenUp:
			h.log(slog.LevelError, a)
		case ActivityNotSent, ActivityNotShown:
			h.log(slog.LevelWarn, a)
		case ActivityFault:
			switch {
			case a.Why == "person":
				h.log(slog.LevelError, a)
			case a.Attempt&(a.Attempt-1) == 0: // 1, 2, 4, 8, …: an outage would fill the log
				h.log(slog.LevelWarn, a)
			}
		}
		h.observed(a)
	}
}

// log logs an activity. A fault of a callback is logged without its words, which may quote users: Observe gets them.
func (h *host) log(level slog.Level, a Activity) {
	if a.Why == "" && calledFor(a.Effect) != "" {
		a.Why = faultWord(a.Err)
	}
	var attrs []any
	for _, f := range []struct{ name, value string }{
		{"conversation", a.Conversation.ID}, {"source", a.Conversation.Source}, {"handover", a.HandoverID},
		{"session", a.CrispID}, {"effect", a.Effect}, {"callback", calledFor(a.Effect)}, {"why", a.Why},
	} {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.name, f.value))
		}
	}
	attrs = append(attrs, slog.Int("attempt", a.Attempt))
	if api := (*APIError)(nil); errors.As(a.Err, &api) {
		attrs = append(attrs, slog.Any("error", api))
	}
	h.cfg.Logger.Log(context.Background(), level, "handover: "+string(a.Kind), attrs...)
}

// calledFor names the field of Config whose call an effect is; "" for none.
func calledFor(effect string) string {
	switch {
	case effect == effectAnswer:
		return "Answer"
	case effectKind(effect).shows():
		return "Deliver"
	case effectKind(effect) == kindOnEnd:
		return "OnEnd"
	}
	return ""
}

// observed hands one activity to the host.
func (h *host) observed(a Activity) {
	if h.cfg.Observe != nil {
		promptly(context.Background(), h, "Observe", func(ctx context.Context) struct{} { h.cfg.Observe(ctx, a); return struct{}{} })
	}
}
