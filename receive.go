package handover

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/textsplit"
)

// Incoming is a message of the user, as the channel brought it.
type Incoming struct {
	Conversation Conversation `json:"conversation"`
	// ID is the channel's id of the message. Required: a channel that repeats a message repeats
	// its id, and the message is taken once. At most 256 bytes.
	ID      string `json:"id"`
	Text    string `json:"text,omitempty"`
	Payload string `json:"payload,omitempty"` // of the quick reply or button that was chosen
	// Files are passed on by URL, which agents must be able to open.
	Files []File    `json:"files,omitempty"`
	At    time.Time `json:"at,omitzero"` // when the user wrote it; of an edit, when it was made
	// Edits says that this is an edit: the id of the message that the user changed, whose new words Text has.
	// ID is the edit's own id, or the same as Edits where the channel gives it none, as Telegram does.
	//
	// A message whose answer has not begun, or failed, is answered with its new words. One that the bot has
	// answered, or is answering, is not answered again, and Config.Answer does not hear of the edit: change the
	// message in the bot's own history yourself, before Handle or Receive. Agents see the new words in place of the old ones, or, where Crisp does not have
	// the message or does not change it, as a message that Texts.Edited marks. A text of more than some 1,900
	// characters is such a message as well. Files that the message had need not come again, and stay; others,
	// by their names, types and sizes, are posted. Set At, so that an edit that comes late does not undo a later one.
	Edits string `json:"edits,omitempty"`
	// Seq is the channel's own order, for Handle: numbers that grow within the conversation, with or
	// without gaps, such as Telegram's message_id or a time in milliseconds. A message that has one is
	// handed on a quarter of a second after it was stored, and before those of greater numbers that are not
	// handed on yet. So messages whose Handle is called at about the same time are in order. 0: the order
	// in which they are stored.
	Seq int64 `json:"seq,omitzero"`
	// TraceParent is the trace context that the message came in, a W3C traceparent. Default: what
	// Config.TraceParent gives. One that is not valid is left out.
	TraceParent string `json:"trace_parent,omitempty"`
}

// Turn is the right to answer one message of the user, as long as nobody else got the
// conversation meanwhile. It is plain data: a worker elsewhere may use it.
type Turn struct {
	Conversation Conversation `json:"conversation"`
	MessageID    string       `json:"message_id,omitempty"`
	Epoch        int64        `json:"epoch"`
	// Bot is true when the bot is to answer; else a human has the message, or nobody is to answer.
	Bot bool `json:"bot"`
	// Why says why the bot is not to answer; empty when it is.
	Why Why `json:"why,omitempty"`
	// Attempt counts the calls of Config.Answer for the message, from 1. It is 0 in all other turns.
	Attempt int `json:"attempt,omitempty"`
}

// Why says why the bot is not to answer a message.
type Why string

// The reasons for which the bot is not to answer.
const (
	WhyHuman   Why = "human"   // a human has the conversation, and the message
	WhyMuted   Why = "muted"   // the bot is muted (Mute); the message is kept
	WhyChoice  Why = "choice"  // it answered a question of the library's, or was the wish to leave
	WhyRepeat  Why = "repeat"  // the bot has answered it
	WhyEdit    Why = "edit"    // it edits a message that the bot has answered, or that the agents have
	WhyHandled Why = "handled" // Handle took it, and has the bot answer it
)

// Permanent reports whether an error of Handle or Receive stays, however often the channel repeats the
// message: take the message as done then.
func Permanent(err error) bool {
	return errors.Is(err, ErrBadMessage) || errors.Is(err, ErrIDReused) || errors.Is(err, ErrRefused)
}

// Handle takes a message of the user; call it for each of them. Nil means that it is stored: the library
// has the bot answer it (Config.Answer), or gives it to the agent who has the conversation, through crashes
// and whatever fails, over all replicas. So Handle returns at once, and fits web hooks, long polling,
// sockets and queues alike. On an error make the channel repeat the message with the same id, unless
// Permanent says that it will never be taken. A message that is repeated after nil is taken once.
//
// The messages of a conversation are answered, and reach the agents, one after the other, in the order in
// which they were stored: that of the nil returns, if you call Handle for one after the other. Of calls
// that race, any may be stored first. Where the channel's SDK starts a goroutine for each message, set
// Incoming.Seq.
//
// ctx bounds the access to the store, which takes 20 s at the most. ErrCrowded is returned when as much as
// Limits.Waiting waits in the conversation already.
//
// Use either Handle or Receive for a conversation's messages, not both.
func (h *Handover) Handle(ctx context.Context, m Incoming) error {
	if err := h.made(); err != nil {
		return err
	}
	if h.cfg.Answer == nil {
		return errNoAnswer
	}
	if h.pool.Closed() {
		return ErrShutdown
	}
	if err := h.cfg.checkIncoming(&m); err != nil {
		return err
	}
	m.TraceParent = cmp.Or(validTrace(m.TraceParent), h.cfg.traceOf(ctx))
	k, err := h.locate(ctx, m.Conversation)
	if err != nil {
		return err
	}
	hash, size := m.hash(), m.size()
	gathers := false
	_, err = h.update(ctx, k, func(rec *record) error {
		gathers = false
		in, err := rec.handled(m, hash, size)
		if err != nil {
			return err
		}
		gathers = in.Next.After(rec.env.now)
		rec.env.free = true
		return nil
	})
	if err == nil && gathers {
		time.AfterFunc(gatherFor, func() { h.pool.Nudge(jobOf(k.key, toBot)) })
	}
	return err
}

// Receive takes a message of the user; call it first, for each of them. Without an error, either
// Turn.Bot says that the bot is to answer, or Crisp has the message, or nobody is to answer: the
// bot is muted, or the message answered a question of the library's, or it is a repeat of one that
// the bot has answered. On an error that is not Permanent make the channel repeat the message, with
// the same id: it is never passed on twice. ctx bounds the wait for Crisp, which is at most half a
// minute longer than Timeouts.Relay also where ctx has no end; the message goes on without it.
//
// One caller at a time has a message to answer it. A repeat waits until that one has, as long as ctx
// allows (ErrUnderWay), and then says so (WhyRepeat). When the answer fails, or Reply is not called within
// Timeouts.Reply, the repeat gets the turn.
func (h *Handover) Receive(ctx context.Context, m Incoming) (Turn, error) {
	if err := h.made(); err != nil {
		return Turn{}, err
	}
	if h.cfg.reentrant(ctx, m.Conversation) {
		return Turn{}, errReentrant
	}
	if h.pool.Closed() {
		return Turn{}, ErrShutdown
	}
	if err := h.cfg.checkIncoming(&m); err != nil {
		return Turn{}, err
	}
	m.TraceParent = cmp.Or(validTrace(m.TraceParent), h.cfg.traceOf(ctx))
	k, err := h.locate(ctx, m.Conversation)
	if err != nil {
		return Turn{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeouts.Relay+30*time.Second)
	defer cancel()
	for {
		got := receipt{message: m, hash: m.hash(), size: m.size()}
		l := h.listen(k.key, got.read)
		l.works = true
		var e *env // of the update
		rec, err := h.update(ctx, k, func(rec *record) error {
			l.stop()
			e = rec.env
			if err := got.takeIn(rec); err != nil {
				return err
			}
			l.begin(rec)
			e.free = true
			return nil
		})
		if err == nil {
			err = h.await(ctx, l, rec, e, &got)
		}
		l.stop()
		if err != nil || !got.turn.Bot || got.mine {
			return got.turn, err
		}
		k = known{key: k.key, conversation: m.Conversation} // it has become a turn, which is not given to anybody yet
	}
}

// await waits until it is known what becomes of a message. The record belongs to others by now if it was saved.
func (h *engine) await(ctx context.Context, l *listening, rec *record, e *env, got *receipt) error {
	wait := func(ctx context.Context) error { return l.wait(ctx, rec) }
	if e.saved() {
		wait = func(ctx context.Context) error { return l.waitOn(ctx, e) }
	}
	if got.held > 0 {
		held, cancel := context.WithTimeout(ctx, got.held)
		defer cancel()
		if err := wait(held); err != nil && ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrUnderWay, err)
		} else if err != nil {
			got.turn = Turn{Bot: true}
			return nil
		}
		return got.fault
	}
	renewed := h.keepWaiting(ctx, l.key, got.id)
	err := wait(ctx)
	renewed()
	if err != nil {
		// The message stays on its way. Nobody waits for it now: an end must tell the user.
		h.waited(ctx, l.key, got.id)
		return fmt.Errorf("handover: the message is stored and on its way: repeat it with the same id: %w", err)
	}
	return got.fault
}

// keepWaiting lets it stand in the record that a Receive waits for a message, until stop is called or
// this process dies.
func (h *engine) keepWaiting(ctx context.Context, key, id string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	timer := time.AfterFunc(claims.RenewEvery, func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = h.update(ctx, known{key: key}, func(rec *record) error {
				in := rec.UserMessages.find(id)
				if in == nil || in.Status != messagePosting {
					return errKeep
				}
				in.heard(rec)
				return nil
			})
			select {
			case <-ctx.Done():
			case <-time.After(claims.RenewEvery):
			}
		}
	})
	return func() {
		cancel()
		if !timer.Stop() {
			<-done
		}
	}
}

// waited notes that a Receive waits no more.
func (h *engine) waited(ctx context.Context, key, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	_, _ = h.update(ctx, known{key: key}, func(rec *record) error {
		in := rec.UserMessages.find(id)
		if in == nil || in.Waits.IsZero() {
			return errKeep
		}
		rec.waited(in, false)
		return nil
	})
}

// checkIncoming refuses what cannot be taken, before anything is stored, and gives files their links.
func (c *Config) checkIncoming(m *Incoming) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrBadMessage}, args...)...)
	}
	if err := c.checkConversation(m.Conversation); err != nil {
		return err
	}
	switch {
	case m.Edits != "" && !validID(m.Edits):
		return bad("Incoming.Edits must be the channel's id of the message that was edited")
	case !validID(m.ID):
		return bad("Incoming.ID must be set to the channel's id: UTF-8 of at most %d bytes, without NUL", maxID)
	case len(m.Text) > c.Limits.Text:
		return bad("the text is longer than Limits.Text, %d bytes", c.Limits.Text)
	case len(m.Payload) > c.Limits.Text:
		return bad("the payload is longer than Limits.Text, %d bytes", c.Limits.Text)
	case textsplit.Blank(m.Text) && textsplit.Blank(m.Payload) && len(m.Files) == 0:
		return bad("it holds no text, no payload and no file")
	case len(m.Files) > c.Limits.Files:
		return bad("it has more files than Limits.Files, %d", c.Limits.Files)
	}
	for _, f := range m.Files {
		if err := c.checkFile(f); err != nil {
			return err
		}
	}
	c.linkFiles(m, time.Now())
	return nil
}

// maxID bounds ids that come from channels, in bytes.
const maxID = 256

// validID reports whether a channel's id can be stored and given back as it is.
func validID(id string) bool {
	return id != "" && len(id) <= maxID && storable(id)
}

// storable reports whether each store takes a text as it is.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// checkConversation refuses conversations that cannot be a key.
func (c *Config) checkConversation(conv Conversation) error {
	switch {
	case !validID(conv.ID) || len(conv.Source) > 64 || conv.Source != "" && !validID(conv.Source):
		return fmt.Errorf("%w: Conversation.ID must be set: UTF-8 of at most %d bytes, without NUL; Source likewise, of at most 64", ErrBadMessage, maxID)
	case !c.speaksFor(c.website(conv)):
		return fmt.Errorf("%w: Conversation.WebsiteID is neither Config.WebsiteID nor among Config.Websites", ErrBadMessage)
	}
	return nil
}

// hash tells whether an id came with the same content before.
func (m *Incoming) hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", m.Text, m.Payload)
	for _, f := range m.Files {
		fmt.Fprintf(h, " %q", f.Name+f.MIMEType+f.ID)
		if f.Size != 0 { // all that tells photos without names apart: URLs may differ when a message is repeated
			fmt.Fprintf(h, " %d", f.Size)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}
