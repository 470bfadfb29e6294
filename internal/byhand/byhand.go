// Package byhand is what a bot writes on Crisp's official client without this library: it verifies web hooks,
// shows agents' messages to the user and posts the user's messages. It keeps none of the library's promises:
// what it was told is gone when the process ends or a call fails. Benchmarks and load tests compare the
// library with it.
package byhand

import (
	"io"
	"net/http"
	"sync"

	crisp "github.com/crisp-im/go-crisp-api/crisp/v3"
)

// Bot is one bot on one website.
type Bot struct {
	WebsiteID string
	Secret    string // signs web hooks
	Client    *crisp.Client
	// Deliver shows an agent's message to the user of a Crisp session. It is called on a goroutine of its own,
	// as the official client does it: in no order.
	Deliver func(sessionID, text string)
}

// listens is held because the official client has one listener in a process, and the newest takes the hooks of all.
var listens sync.Mutex

// Listen makes the bot the one that hears web hooks in this process.
func (b *Bot) Listen() error {
	listens.Lock()
	defer listens.Unlock()
	failed := make(chan error, 1)
	err := b.Client.Events.Listen(crisp.EventsModeWebHooks, []string{"message:received"}, func(on *crisp.EventsRegister) {
		failed <- on.On("message:received/text", b.received)
	}, nil, func(error) {})
	if err != nil {
		return err
	}
	return <-failed
}

func (b *Bot) received(m crisp.EventsReceiveTextMessage) {
	if m.Content != nil && m.SessionID != nil && m.From != nil && *m.From == "operator" {
		b.Deliver(*m.SessionID, *m.Content)
	}
}

// ServeHTTP takes Crisp's web hooks.
func (b *Bot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, "the body was not read", http.StatusBadRequest)
		return
	}
	if !b.Client.Events.VerifyHook(b.Secret, &body, r.Header.Get("X-Crisp-Request-Timestamp"), r.Header.Get("X-Crisp-Signature")) {
		http.Error(w, "the signature is wrong", http.StatusForbidden)
		return
	}
	if _, err := b.Client.Events.ReceiveHook(&body); err != nil {
		http.Error(w, "the hook was not understood", http.StatusBadRequest)
	}
}

// Open opens a Crisp conversation with a first message.
func (b *Bot) Open(nickname, text string) (sessionID string, err error) {
	c, _, err := b.Client.Website.CreateNewConversation(b.WebsiteID)
	if err != nil {
		return "", err
	}
	_, err = b.Client.Website.UpdateConversationMetas(b.WebsiteID, *c.SessionID, crisp.ConversationMetaUpdate{Nickname: nickname})
	if err != nil {
		return "", err
	}
	return *c.SessionID, b.Post(*c.SessionID, text)
}

// Post posts a message of the user.
func (b *Bot) Post(sessionID, text string) error {
	_, _, err := b.Client.Website.SendTextMessageInConversation(b.WebsiteID, sessionID, crisp.ConversationTextMessageNew{
		Type: "text", From: "user", Origin: "chat", Content: text,
	})
	return err
}
