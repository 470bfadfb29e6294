package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// telegram is a bot on Telegram's Bot API, by long polling, as its author wrote it. What handing over added stands
// between the markers; TestWiringTelegram counts it.
type telegram struct {
	client *http.Client
	token  string
	think  func(ctx context.Context, text string) (answer string, needsHuman bool, err error)

	// handing over {
	handover *handover.Handover
	mu       sync.Mutex
	shown    map[string]string // Telegram's ids by Message.ID; a host with a database keeps them there
	// }
}

type tgChat struct {
	ID int64 `json:"id"`
}

type tgUser struct {
	ID        int64  `json:"id"`
	FirstName string `json:"first_name"`
	Username  string `json:"username"`
}

type tgMessage struct {
	ID   int64  `json:"message_id"`
	Date int64  `json:"date"`
	Chat tgChat `json:"chat"`
	From tgUser `json:"from"`
	Text string `json:"text"`
}

type tgUpdate struct {
	ID       int64      `json:"update_id"`
	Message  *tgMessage `json:"message"`
	Callback *struct {
		ID      string     `json:"id"`
		From    tgUser     `json:"from"`
		Data    string     `json:"data"`
		Message *tgMessage `json:"message"`
	} `json:"callback_query"`
}

// tgError is what the Bot API says of a call that failed.
type tgError struct {
	Code       int `json:"error_code"`
	Parameters struct {
		RetryAfter int `json:"retry_after"` // seconds
	} `json:"parameters"`
}

func (e *tgError) Error() string { return fmt.Sprintf("telegram answers %d", e.Code) }

// call calls a method of the Bot API.
func (b *telegram) call(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.telegram.invalid/bot"+b.token+"/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := b.client.Do(r)
	if err != nil {
		return errors.New("telegram cannot be reached") // the error has the token in its URL
	}
	defer response.Body.Close()
	answer := struct {
		OK     bool            `json:"ok"`
		Result json.RawMessage `json:"result"`
		tgError
	}{}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return errors.New("telegram's answer is not JSON")
	}
	if !answer.OK {
		return &answer.tgError
	}
	return json.Unmarshal(answer.Result, out)
}

type tgButton struct {
	Text string `json:"text"`
	Data string `json:"callback_data,omitempty"`
	URL  string `json:"url,omitempty"`
}

type tgKeyboard struct {
	Rows [][]tgButton `json:"inline_keyboard"`
}

// send writes to a chat, and returns the message's id.
func (b *telegram) send(ctx context.Context, chat, text string, buttons ...tgButton) (id string, err error) {
	in := map[string]any{"chat_id": chat, "text": text}
	if len(buttons) > 0 {
		in["reply_markup"] = tgKeyboard{[][]tgButton{buttons}}
	}
	var out tgMessage
	err = b.call(ctx, "sendMessage", in, &out)
	return strconv.FormatInt(out.ID, 10), err
}

// poll gets updates and has each of them handled, until ctx ends. One that fails comes again.
func (b *telegram) poll(ctx context.Context, handle func(context.Context, tgUpdate) error) {
	for offset := int64(0); ctx.Err() == nil; {
		var updates []tgUpdate
		err := b.call(ctx, "getUpdates", map[string]any{"offset": offset, "timeout": 50}, &updates)
		for _, u := range updates {
			if err = handle(ctx, u); err != nil {
				break
			}
			offset = u.ID + 1
		}
		if err != nil {
			time.Sleep(time.Second)
		}
	}
}

// plain is how the bot handled an update before: it answers.
func (b *telegram) plain(ctx context.Context, u tgUpdate) error {
	if u.Message == nil {
		return nil
	}
	answer, _, err := b.think(ctx, u.Message.Text)
	if err == nil {
		_, err = b.send(ctx, strconv.FormatInt(u.Message.Chat.ID, 10), answer)
	}
	return err
}

// handing over {

// handsOver has the bot hand its users over, as config says.
func (b *telegram) handsOver(config handover.Config) (err error) {
	b.shown = make(map[string]string)
	config.Answer, config.Deliver, config.Revise = b.answer, b.deliver, b.revise
	b.handover, err = handover.New(config)
	return err
}

// handle gives the library what the user did.
func (b *telegram) handle(ctx context.Context, u tgUpdate) error {
	in := handover.Incoming{ID: fmt.Sprint("update ", u.ID), Seq: u.ID}
	var chat int64
	switch {
	case u.Message != nil:
		chat, in.Text, in.At = u.Message.Chat.ID, u.Message.Text, time.Unix(u.Message.Date, 0)
	case u.Callback != nil && u.Callback.Message != nil:
		chat, in.Payload = u.Callback.Message.Chat.ID, u.Callback.Data
		_ = b.call(ctx, "answerCallbackQuery", map[string]any{"callback_query_id": u.Callback.ID}, new(bool))
	default:
		return nil
	}
	in.Conversation = handover.Conversation{Source: "telegram", ID: strconv.FormatInt(chat, 10)}
	if err := b.handover.Handle(ctx, in); !handover.Permanent(err) {
		return err
	}
	return nil // it is empty: a sticker, or somebody joined
}

// answer is the bot.
func (b *telegram) answer(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
	text, needsHuman, err := b.think(ctx, m.Text+m.Payload)
	if err == nil {
		_, err = b.send(ctx, m.Conversation.ID, text)
	}
	if err != nil && !errors.Is(meantByTelegram(err), handover.ErrUserAway) || !needsHuman {
		return nil, err
	}
	return &handover.Request{Segments: []string{"Telegram"}, Note: "The user writes: " + m.Text}, nil
}

// deliver shows what agents and the library say.
func (b *telegram) deliver(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
	b.mu.Lock()
	id, known := b.shown[m.ID]
	b.mu.Unlock()
	if known {
		return id, nil
	}
	text, buttons := m.WithoutMarkdown().Content.Text, []tgButton(nil)
	for _, q := range m.Content.QuickReplies {
		buttons = append(buttons, tgButton{Text: q.Title, Data: q.Payload})
	}
	if text == "" { // a file, or cards
		text, buttons = m.PlainText(), nil
	}
	if m.From == handover.FromAgent {
		text = m.Agent.Name + ": " + text
	}
	id, err := b.send(ctx, s.Conversation.ID, text, buttons...)
	if err != nil {
		return "", meantByTelegram(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown[m.ID] = id
	return id, nil
}

// revise edits and removes what agents have edited and removed.
func (b *telegram) revise(ctx context.Context, s handover.Session, r handover.Revision) error {
	in := map[string]any{"chat_id": s.Conversation.ID, "message_id": r.Message.ChannelID}
	if r.Removed {
		return meantByTelegram(b.call(ctx, "deleteMessage", in, new(bool)))
	}
	in["text"] = r.Message.Agent.Name + ": " + r.Message.PlainText()
	return meantByTelegram(b.call(ctx, "editMessageText", in, new(tgMessage)))
}

// meantByTelegram is what an error of the Bot API means to the library.
func meantByTelegram(err error) error {
	e, ok := errors.AsType[*tgError](err)
	switch {
	case !ok:
		return err
	case e.Parameters.RetryAfter > 0:
		return handover.RetryAfter(time.Duration(e.Parameters.RetryAfter)*time.Second, err)
	case e.Code == http.StatusForbidden: // the user has blocked the bot
		return handover.ErrUserAway
	case e.Code == http.StatusBadRequest:
		return errors.Join(errors.ErrUnsupported, err)
	}
	return err
}

// }
