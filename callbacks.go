package handover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/worker"
	json "github.com/go-json-experiment/json"
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
func (h *engine) reentrant(ctx context.Context, c Conversation) bool {
	return scopeOf(ctx, h.key(c)) != nil
}

// callback calls the host, for at most callbackTimeout: a callback that does not return is left alone.
// A panic is a failed attempt.
func callback[T any](ctx context.Context, h *engine, rec *record, call func(context.Context) (T, error)) (T, error) {
	ctx = context.WithValue(ctx, scopeKey{}, &scope{key: h.key(rec.Conversation)})
	result, err := worker.Call(ctx, h.calls, rec.Conversation.Source, callbackTimeout, call)
	if err != nil && (errors.Is(err, worker.ErrAbandoned) || errors.Is(err, worker.ErrPanicked) || errors.Is(err, worker.ErrExited) || errors.Is(err, worker.ErrCrowded)) {
		err = fmt.Errorf("handover: %w", err)
	}
	return result, err
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
func (h *engine) deliver(ctx context.Context, rec *record, e *effect) (id string, err error) {
	m, s := e.message(rec), h.view(rec)
	return callback(ctx, h, rec, func(ctx context.Context) (string, error) { return h.cfg.Deliver(ctx, s, m) })
}

// copied returns a copy for the host to do with as it likes.
func (m *Message) copied() Message {
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
	if s := rec.Sessions.byID(e.Crisp); s != nil && m.Corrects != "" {
		m.ChannelID, _ = s.Log.named(e.FP, e.Part)
	}
	return m
}

// revise edits or removes a message that was shown. If it was not shown, the user at most got it by
// mail: they get the new content as a correction, and nothing for a removal.
func (h *engine) revise(ctx context.Context, rec *record, e *effect) error {
	s := rec.Sessions.byID(e.Crisp)
	if s == nil {
		return nil
	}
	if _, ok := s.Log.named(e.FP, e.Part); !ok && e.Removed {
		return nil
	} else if !ok {
		return errors.ErrUnsupported
	}
	r, view := Revision{Message: e.message(rec), Removed: e.Removed}, h.view(rec)
	_, err := callback(ctx, h, rec, func(ctx context.Context) (struct{}, error) { return struct{}{}, h.cfg.Revise(ctx, view, r) })
	return err
}

// sayText says a system text, and returns the title of the way out that went with it.
func (h *engine) sayText(ctx context.Context, rec *record, e *effect) (string, error) {
	s := h.view(rec)
	if e.Locale != "" {
		s.Locale = e.Locale
	}
	texts := h.textsOf(s)
	content, ok := texts.render(e.Text, e.Agent, rec.choice(h.cfg.Choices.Bot))
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
	s = h.view(rec)
	_, err := callback(ctx, h, rec, func(ctx context.Context) (string, error) { return h.cfg.Deliver(ctx, s, m) })
	return leave, err
}

// texts are the conversation's texts.
func (h *engine) texts(rec *record) Texts { return h.textsOf(h.view(rec)) }

func (h *engine) textsOf(s Session) Texts {
	texts := DefaultTexts()
	if h.cfg.Texts != nil {
		h.guard(func() { texts = h.cfg.Texts(s) })
	}
	return texts
}

// onEnd tells the host that a handover has ended. What the agents and the user said is read from Crisp
// for the first attempts only.
func (h *engine) onEnd(ctx context.Context, rec *record, e *effect, r result) result {
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
		sum.Messages, sum.Unread = h.humanPart(reading, rec, e)
		cancel()
		r.reads++
		if b, err := json.Marshal(sum.Messages, recordJSON); err == nil && !sum.Unread { // before the host has it
			r.human = b
		}
	}
	s := h.view(rec)
	_, err := callback(ctx, h, rec, func(ctx context.Context) (struct{}, error) { return struct{}{}, h.cfg.OnEnd(ctx, s, sum) })
	if err != nil {
		r.err = fmt.Errorf("handover: OnEnd: %w", err)
	}
	return r
}

// humanPart reads the conversation of the user with the agents from Crisp's log. unread is true
// when it cannot be read.
func (h *engine) humanPart(ctx context.Context, rec *record, e *effect) (all []Message, unread bool) {
	if e.Crisp == "" {
		return nil, false
	}
	msgs, _, cut, err := h.siteOf(rec).crisp.log(ctx, e.Crisp, e.At, []int64{e.FP})
	if err != nil {
		return nil, true
	}
	for _, l := range inOrder(msgs) {
		if l.Timestamp < e.At {
			continue // before the takeover
		}
		if rec.beganLater(e, l) {
			break // OnEnd hears of its end late
		}
		from := FromUser
		var agent Agent
		if l.From == "operator" {
			if isPrivate(l.Type) || l.Automated || h.cfg.Policy.isBot(l.Origin) {
				continue
			}
			from, agent = FromAgent, agentOf(l)
		}
		if l.Fingerprint == e.FP {
			all = nil // what came before belongs to an earlier handover
			continue
		}
		parts, err := fromCrisp(l.Type, l.Content, l.Fingerprint)
		if err != nil {
			continue
		}
		for i, p := range parts {
			all = append(all, Message{ID: messageID(e.Crisp, l.Fingerprint, i), From: from, Agent: agent, Content: p.Content, File: p.File, At: time.UnixMilli(l.Timestamp).UTC()})
		}
	}
	return all, cut
}

// inOrder returns messages in the order of Crisp's log.
func inOrder(msgs []EventMessage) []*EventMessage {
	all := make([]*EventMessage, len(msgs))
	for i := range msgs {
		all[i] = &msgs[i]
	}
	slices.SortStableFunc(all, func(a, b *EventMessage) int {
		return position{a.Timestamp, a.Fingerprint}.compare(position{b.Timestamp, b.Fingerprint})
	})
	return all
}

// beganLater reports whether a message opened, or took over, a handover after the one that has ended.
func (rec *record) beganLater(end *effect, m *EventMessage) bool {
	began := func(opening, from int64) bool { return m.Fingerprint == opening || from != 0 && m.Timestamp >= from }
	for _, e := range rec.ToUser {
		if e.Kind == kindOnEnd && e.Crisp == end.Crisp && e.N > end.N && began(e.FP, e.At) {
			return true
		}
	}
	ho := rec.Handover
	return ho != nil && ho.ID != end.HandoverID && ho.CrispID == end.Crisp && began(ho.Opening, ho.From)
}

// Typing says that an agent began or stopped typing.
type Typing struct {
	Agent Agent
	On    bool
}

// typed tells the host that an agent is typing. Nothing is stored: a hint that is late is of no use.
func (h *engine) typed(ctx context.Context, rec *record, ev Event) {
	c := ev.Compose
	if h.cfg.Typing == nil || c == nil || !ev.Signed || ev.Name != eventComposeReceive || c.Automated || !rec.human() || rec.Handover.CrispID != ev.SessionID {
		return
	}
	agent := agentOf(&EventMessage{User: c.User})
	s := h.view(rec)
	_, _ = callback(context.WithoutCancel(ctx), h, rec, func(ctx context.Context) (struct{}, error) {
		h.cfg.Typing(ctx, s, Typing{Agent: agent, On: c.Type == "start"})
		return struct{}{}, nil
	})
}

// callbackTimeout bounds a callback of the host's.
const callbackTimeout = 10 * time.Second

// ErrUserAway is returned by Deliver when the user is gone. The message is not marked as shown:
// with an email address in Crisp the mail follows up, else it is kept until the user writes again, or
// nothing has happened in the conversation for Timeouts.Late. A host whose user will find the message
// all the same returns the channel's id with it: edits and removals are passed on then.
var ErrUserAway = errors.New("handover: the user is away")

// Revision is an edit or a removal of a message that was shown.
type Revision struct {
	// Message holds the new content. Its Corrects is the ID of the message shown, its ChannelID
	// what Deliver returned for that.
	Message Message
	Removed bool // the message is to disappear; Message has no content
}
