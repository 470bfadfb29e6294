package channel

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/crispcontent"
)

// Screen shows the parts of messages one after the other, and none twice: what a platform has accepted is kept in a
// Sent, by the message's id. A message that was shown in half goes on where it stopped. An attempt whose answer never
// came is made again: platforms do not tell whether it was carried out.
type Screen struct {
	source string
	sent   Sent
	log    *slog.Logger

	mu    sync.Mutex
	shows map[string]bool // messages that are being shown
}

// NewScreen returns the screen of the channel with this source. If sent is nil it is a new Memory. log hears when sent
// fails; nil is slog.Default.
func NewScreen(source string, sent Sent, log *slog.Logger) *Screen {
	if sent == nil {
		sent = &Memory{}
	}
	if log == nil {
		log = slog.Default()
	}
	return &Screen{source: source, sent: sent, log: log, shows: make(map[string]bool)}
}

var (
	errNothing = fmt.Errorf("channel: nothing of the message can be shown: %w", errors.ErrUnsupported)
	errShown   = errors.New("channel: a call that was given up still shows the message: try again")
)

// keepTime bounds how long it may take to keep what was shown.
const keepTime = 5 * time.Second

// none is the id of a part of which the platform gave none.
const none = "-"

// Show shows the parts of a message in a conversation by calling show for each, unless the part was shown before
// under this messageID; with an empty messageID all are shown. The channelID has the ids that show returned, with
// spaces between them, as Revise needs it. It returns show's error, and errors.ErrUnsupported if there are no parts.
func (s *Screen) Show(ctx context.Context, conversation, messageID string, parts []Part, show func(context.Context, Part) (id string, err error)) (channelID string, err error) {
	if len(parts) == 0 {
		return "", errNothing
	}
	if messageID != "" {
		if !s.begin(messageID) {
			return "", errShown
		}
		defer s.end(messageID)
	}
	var ids []string
	known := false
	for i, p := range parts {
		id, err := s.part(ctx, messageID, i, p, show)
		if err != nil {
			return "", err
		}
		known = known || id != ""
		if id == "" {
			id = none
		}
		ids = append(ids, id)
	}
	s.offer(ctx, conversation, parts)
	if !known {
		return "", nil
	}
	return strings.Join(ids, " "), nil
}

func (s *Screen) begin(messageID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := s.shows[messageID]
	s.shows[messageID] = true
	return !busy
}

func (s *Screen) end(messageID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shows, messageID)
}

// part shows one part, unless it was shown before. Its content is part of the key: a message that could not be shown
// comes again as plain text, with the same id.
func (s *Screen) part(ctx context.Context, messageID string, i int, p Part, show func(context.Context, Part) (string, error)) (string, error) {
	if messageID == "" {
		return show(ctx, p)
	}
	content, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("channel: %w", err)
	}
	key := s.key("shown", messageID+"/"+strconv.Itoa(i+1)+"/"+short(string(content)))
	id, ok, err := s.sent.Recall(ctx, key)
	if err != nil {
		return "", fmt.Errorf("channel: Sent.Recall: %w", err)
	}
	if ok {
		return id, nil
	}
	if id, err = show(ctx, p); err == nil {
		s.note(ctx, key, id, "a message that was shown may be shown again")
	}
	return id, err
}

// note keeps what came of a message that was shown: that it fails is no reason to show it again at once. lost says
// what comes of that.
func (s *Screen) note(ctx context.Context, key, value, lost string) {
	if err := s.keep(ctx, key, value); err != nil {
		s.log.Warn("channel: Sent failed: "+lost, "source", s.source, "error", err)
	}
}

// keep keeps a value, also when ctx has ended.
func (s *Screen) keep(ctx context.Context, key, value string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	if err := s.sent.Keep(ctx, key, value); err != nil {
		return fmt.Errorf("channel: Sent.Keep: %w", err)
	}
	return nil
}

// Revise changes or removes a message that Show has shown, whose channelID is r.Message.ChannelID. It calls edit for
// each part that stays, and remove for the others. It returns their error, and errors.ErrUnsupported if the message
// has become one that no edit can show: with files, or with more parts than before.
func (s *Screen) Revise(ctx context.Context, r handover.Revision, parts []Part, edit func(ctx context.Context, id string, p Part) error, remove func(ctx context.Context, id string) error) error {
	ids := strings.Fields(r.Message.ChannelID)
	if r.Removed {
		parts = nil
	} else if len(parts) == 0 {
		return errNothing
	}
	if len(ids) == 0 || len(parts) > len(ids) || len(parts) < len(ids) && remove == nil || len(parts) > 0 && edit == nil {
		return errors.ErrUnsupported
	}
	for _, p := range parts {
		if p.File != nil || len(p.Cards) > 0 {
			return errors.ErrUnsupported
		}
	}
	for i, id := range ids {
		var err error
		switch {
		case id == none:
			err = errors.ErrUnsupported
		case i < len(parts):
			err = edit(ctx, id, parts[i])
		default:
			err = remove(ctx, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// offer notes which numbered choices the last message of a conversation offers.
func (s *Screen) offer(ctx context.Context, conversation string, parts []Part) {
	var all []Choice
	for _, p := range parts {
		all = append(all, p.Listed...)
	}
	offers := ""
	if len(all) > 0 {
		if b, err := json.Marshal(all); err == nil {
			offers = string(b)
		}
	}
	key := s.key("offers", conversation)
	if had, ok, err := s.sent.Recall(ctx, key); err != nil || (ok || offers != "") && had != offers {
		s.note(ctx, key, offers, "it is not known what a user means who answers with a number")
	}
}

// Chosen returns the payload of the choice that a user means who writes text: the number or the title of one of those
// that the last message in the conversation listed. It is for text without a payload of its own. The error is that of
// Sent: take the message again later then, as it may be a choice.
func (s *Screen) Chosen(ctx context.Context, conversation, text string) (payload string, ok bool, err error) {
	text = oneLine(text)
	if text == "" || len(text) > 1000 {
		return "", false, nil
	}
	offers, ok, err := s.sent.Recall(ctx, s.key("offers", conversation))
	if err != nil {
		return "", false, fmt.Errorf("channel: Sent.Recall: %w", err)
	}
	var all []Choice
	if !ok || offers == "" || json.Unmarshal([]byte(offers), &all) != nil {
		return "", false, nil
	}
	payload, ok = meant(all, text)
	return payload, ok, nil
}

// meant is the payload of the choice that a text names.
func meant(all []Choice, text string) (payload string, ok bool) {
	for _, c := range all {
		if strings.EqualFold(text, c.Title) {
			return c.Payload, true
		}
	}
	of := all[len(all)-1].Number
	for _, c := range all {
		if crispcontent.IsListed(text, crispcontent.Listed(c.Title, c.Number, of)) || of > 1 && strings.TrimSuffix(text, ".") == strconv.Itoa(c.Number) {
			return c.Payload, true
		}
	}
	return "", false
}

// tokenMark begins what stands for a long payload.
const tokenMark = "~"

// Data returns what a button is to send for a payload on a platform that takes so many bytes, at least 24: the payload
// itself, or if it is longer a token that Payload knows. The error is that of Sent: show no button then, which would
// mean nothing for ever, but have the message tried again.
func (s *Screen) Data(ctx context.Context, payload string, limit int) (string, error) {
	if len(payload) <= limit && !strings.HasPrefix(payload, tokenMark) && utf8.ValidString(payload) {
		return payload, nil
	}
	token := tokenMark + short(payload)
	return token, s.keep(ctx, s.key("payload", token), payload)
}

// Payload returns the payload of a button that sent this. It is false if that is no longer known: then take the
// button's title for what the user says. The error is that of Sent: take the message again later then.
func (s *Screen) Payload(ctx context.Context, data string) (payload string, ok bool, err error) {
	if !strings.HasPrefix(data, tokenMark) {
		return data, true, nil
	}
	payload, ok, err = s.sent.Recall(ctx, s.key("payload", data))
	if err != nil {
		return "", false, fmt.Errorf("channel: Sent.Recall: %w", err)
	}
	return payload, ok, nil
}

func (s *Screen) key(what, of string) string { return s.source + "/" + what + "/" + of }

// short is a name for a text, of 22 letters.
func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
