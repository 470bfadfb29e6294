package integration

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// whatsapp is a bot on WhatsApp's Cloud API, behind its web hooks, as its author wrote it. What handing over added
// stands between the markers; TestWiringWhatsApp counts it.
type whatsapp struct {
	client                    *http.Client
	phone, token, secret, url string
	think                     func(ctx context.Context, text string) (answer string, needsHuman bool, err error)

	mu   sync.Mutex
	done map[string]bool // ids of messages that were answered; no more needed once handover has them

	// handing over {
	handover *handover.Handover
	shown    map[string]string // WhatsApp's ids by Message.ID; a host with a database keeps them there
	// }
}

type waMessage struct {
	From        string `json:"from"`
	ID          string `json:"id"`
	Timestamp   string `json:"timestamp"` // in seconds
	Type        string `json:"type"`
	Text        struct{ Body string }
	Interactive struct {
		ButtonReply struct{ ID, Title string } `json:"button_reply"`
		ListReply   struct{ ID, Title string } `json:"list_reply"`
	}
}

type waHook struct {
	Entry []struct {
		Changes []struct {
			Value struct {
				Contacts []struct {
					ID      string `json:"wa_id"`
					Profile struct{ Name string }
				}
				Messages []waMessage
			}
		}
	}
}

// waError is what the Cloud API says of a call that failed.
type waError struct {
	Status int `json:"-"`
	Code   int `json:"code"`
}

func (e *waError) Error() string {
	return fmt.Sprintf("whatsapp answers %d, code %d", e.Status, e.Code)
}

// send sends a message, and returns its id.
func (b *whatsapp) send(ctx context.Context, to string, message map[string]any) (id string, err error) {
	message["messaging_product"], message["to"] = "whatsapp", to
	body, err := json.Marshal(message)
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+b.phone+"/messages", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	r.Header.Set("Content-Type", "application/json")
	response, err := b.client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		Messages []struct{ ID string }
		Error    waError
	}
	err = json.NewDecoder(response.Body).Decode(&answer)
	switch {
	case response.StatusCode != http.StatusOK:
		answer.Error.Status = response.StatusCode
		return "", &answer.Error
	case err != nil || len(answer.Messages) == 0:
		return "", errors.New("whatsapp's answer has no message id")
	}
	return answer.Messages[0].ID, nil
}

func waText(text string) map[string]any {
	return map[string]any{"type": "text", "text": map[string]any{"body": text}}
}

// hook verifies a web hook and has each of its messages handled. On an error Meta repeats the whole hook.
func (b *whatsapp) hook(handle func(context.Context, waMessage, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		mac := hmac.New(sha256.New, []byte(b.secret))
		mac.Write(body)
		if err != nil || !hmac.Equal([]byte("sha256="+hex.EncodeToString(mac.Sum(nil))), []byte(r.Header.Get("X-Hub-Signature-256"))) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		var in waHook
		if json.Unmarshal(body, &in) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, e := range in.Entry {
			for _, c := range e.Changes {
				names := map[string]string{}
				for _, p := range c.Value.Contacts {
					names[p.ID] = p.Profile.Name
				}
				for _, m := range c.Value.Messages {
					if err := handle(r.Context(), m, names[m.From]); err != nil {
						w.WriteHeader(http.StatusServiceUnavailable)
						return
					}
				}
			}
		}
	}
}

// plain is how the bot handled a message before: it answers, unless it has.
func (b *whatsapp) plain(ctx context.Context, m waMessage, _ string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done == nil {
		b.done = make(map[string]bool)
	}
	if b.done[m.ID] || m.Type != "text" {
		return nil
	}
	answer, _, err := b.think(ctx, m.Text.Body)
	if err == nil {
		_, err = b.send(ctx, m.From, waText(answer))
	}
	b.done[m.ID] = err == nil
	return err
}

// handing over {

// handsOver has the bot hand its users over, as config says.
func (b *whatsapp) handsOver(config handover.Config) (err error) {
	b.shown = make(map[string]string)
	config.Answer, config.Deliver = b.answer, b.deliver // WhatsApp can neither edit nor remove
	b.handover, err = handover.New(config)
	return err
}

// handle gives the library what the user did.
func (b *whatsapp) handle(ctx context.Context, m waMessage, _ string) error {
	in := handover.Incoming{Conversation: handover.Conversation{Source: "whatsapp", ID: m.From}, ID: m.ID, Text: m.Text.Body}
	if m.Type == "interactive" {
		in.Payload, in.Text = m.Interactive.ButtonReply.ID+m.Interactive.ListReply.ID, m.Interactive.ButtonReply.Title+m.Interactive.ListReply.Title
	}
	if seconds, err := strconv.ParseInt(m.Timestamp, 10, 64); err == nil {
		in.At = time.Unix(seconds, 0)
	}
	if err := b.handover.Handle(ctx, in); !handover.Permanent(err) {
		return err
	}
	return nil // a reaction, a sticker
}

// answer is the bot.
func (b *whatsapp) answer(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
	text, needsHuman, err := b.think(ctx, m.Text)
	if err == nil {
		_, err = b.send(ctx, m.Conversation.ID, waText(text))
	}
	if err != nil && !errors.Is(meantByWhatsApp(err), handover.ErrUserAway) || !needsHuman {
		return nil, err
	}
	return &handover.Request{Segments: []string{"WhatsApp"}, Note: "The user writes: " + m.Text, User: handover.UserData{Phone: "+" + m.Conversation.ID}}, nil
}

// deliver shows what agents and the library say.
func (b *whatsapp) deliver(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
	b.mu.Lock()
	id, known := b.shown[m.ID]
	b.mu.Unlock()
	if known {
		return id, nil
	}
	id, err := b.send(ctx, s.Conversation.ID, waRendered(m))
	if err != nil {
		return "", meantByWhatsApp(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown[m.ID] = id
	return id, nil
}

// waRendered is a message as WhatsApp shows it: up to three choices are buttons, more are a list in the text.
func waRendered(m handover.Message) map[string]any {
	from := ""
	if m.From == handover.FromAgent {
		from = m.Agent.Name + ": "
	}
	all := m.Content.QuickReplies
	if f := m.File; f != nil && m.Content.Attachment != nil && m.Content.Attachment.Type == "image" {
		return map[string]any{"type": "image", "image": map[string]any{"link": f.URL, "caption": from + f.Name}}
	}
	if len(all) == 0 || len(all) > 3 || m.Content.Text == "" {
		return waText(from + m.PlainText())
	}
	var buttons []any
	for _, q := range all {
		buttons = append(buttons, map[string]any{"type": "reply", "reply": map[string]any{"id": q.Payload, "title": q.Title}})
	}
	return map[string]any{"type": "interactive", "interactive": map[string]any{
		"type": "button", "body": map[string]any{"text": from + m.WithoutMarkdown().Content.Text}, "action": map[string]any{"buttons": buttons},
	}}
}

// meantByWhatsApp is what an error of the Cloud API means to the library.
func meantByWhatsApp(err error) error {
	e, ok := errors.AsType[*waError](err)
	if !ok {
		return err
	}
	switch e.Code {
	case 131047, 131026: // 24 hours since the user's last message; the user cannot be reached
		return handover.ErrUserAway
	case 130429, 131048, 131056: // too much at once, by number, as spam, by pair
		return handover.RetryAfter(3*time.Minute, err)
	case 100, 131008, 131009, 131051: // what it cannot show
		return errors.Join(errors.ErrUnsupported, err)
	}
	return err
}

// }
