package channeltest

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/channel"
)

// telegramCall has the parameters of the methods that the fake knows.
type telegramCall struct {
	Chat      string      `json:"chat_id"`
	MessageID json.Number `json:"message_id"`
	Text      string      `json:"text"`
	Caption   string      `json:"caption"`
	ParseMode string      `json:"parse_mode"`
	Photo     string      `json:"photo"`
	Animation string      `json:"animation"`
	Video     string      `json:"video"`
	Audio     string      `json:"audio"`
	Document  string      `json:"document"`
	Action    string      `json:"action"`
	Callback  string      `json:"callback_query_id"`
	FileID    string      `json:"file_id"`
	Offset    int64       `json:"offset"`
	Timeout   int64       `json:"timeout"`
	Allowed   []string    `json:"allowed_updates"`
	Markup    *struct {
		Rows [][]struct {
			Text string `json:"text"`
			Data string `json:"callback_data"`
			URL  string `json:"url"`
		} `json:"inline_keyboard"`
	} `json:"reply_markup"`
}

func telegramError(code int, description string) map[string]any {
	return map[string]any{"ok": false, "error_code": code, "description": description}
}

func badRequest(what string) (int, any) { return 400, telegramError(400, "Bad Request: "+what) }

// answer answers a call.
func (f *Telegram) answer(ctx context.Context, method string, in telegramCall) (int, any) {
	result := any(true)
	switch method {
	case "getUpdates":
		updates, ok := f.next(ctx, in.Offset, time.Duration(in.Timeout)*time.Second)
		if !ok {
			return 409, telegramError(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
		}
		result = updates
	case "sendMessage", "sendPhoto", "sendAnimation", "sendVideo", "sendAudio", "sendDocument":
		return f.send(method, in)
	case "editMessageText":
		return f.edit(in)
	case "deleteMessage":
		if !f.Change(in.MessageID.String(), func(s *Seen) { s.Removed = true }) {
			return badRequest("message to delete not found")
		}
	case "sendChatAction":
		if in.Action != "typing" {
			return badRequest("wrong parameter action in request")
		}
		f.Types()
	case "answerCallbackQuery":
		if in.Callback == "" {
			return badRequest("query is too old and response timeout expired or query ID is invalid")
		}
	case "getChat":
		if in.Chat != TelegramChat {
			return badRequest("chat not found")
		}
		result = map[string]any{"id": 7, "type": "private", "first_name": "Jim", "last_name": "Knopf"}
	case "getFile":
		f.api.Lock()
		content, ok := f.files[in.FileID]
		f.api.Unlock()
		if !ok {
			return badRequest("invalid file_id")
		}
		result = map[string]any{"file_id": in.FileID, "file_size": len(content), "file_path": "files/" + in.FileID}
	default:
		return 404, telegramError(404, "Not Found")
	}
	return http.StatusOK, map[string]any{"ok": true, "result": result}
}

// send shows a message.
func (f *Telegram) send(method string, in telegramCall) (int, any) {
	if r, refused := f.Refuses(); refused {
		return refusedByTelegram(r, in)
	}
	if in.Chat != TelegramChat {
		return badRequest("chat not found")
	}
	s, fault := f.seenOf(method, in)
	if fault != "" {
		return badRequest(fault)
	}
	s = f.Show(s)
	return http.StatusOK, map[string]any{"ok": true, "result": f.message(s, map[string]any{"text": s.Text})}
}

// refusedByTelegram is how Telegram refuses a call. It quotes what it was given.
func refusedByTelegram(r Refusal, in telegramCall) (int, any) {
	switch r {
	case Busy:
		e := telegramError(429, "Too Many Requests: retry after 7")
		e["parameters"] = map[string]any{"retry_after": RetryAfter}
		return 429, e
	case Away:
		return 403, telegramError(403, "Forbidden: bot was blocked by the user")
	case Format:
		return badRequest("can't parse entities: Unsupported start tag in " + in.Text + in.Caption)
	}
	return http.StatusBadGateway, "<html>bad gateway</html>"
}

func (f *Telegram) edit(in telegramCall) (int, any) {
	s, fault := f.seenOf("sendMessage", in)
	if fault != "" {
		return badRequest(fault)
	}
	same := false
	found := f.Change(in.MessageID.String(), func(old *Seen) {
		if same = old.Raw == s.Raw && slices.Equal(old.Buttons, s.Buttons); same || len(old.Files) > 0 || old.User {
			return
		}
		s.ID, s.Edited = old.ID, true
		*old = s
	})
	switch {
	case !found:
		return badRequest("message to edit not found")
	case same:
		return badRequest("message is not modified: specified new message content and reply markup are exactly the same")
	}
	return http.StatusOK, map[string]any{"ok": true, "result": f.message(s, nil)}
}

// seenOf is what the user would see of a call, or why it is refused.
func (f *Telegram) seenOf(method string, in telegramCall) (s Seen, fault string) {
	limit, raw := 4096, in.Text
	if method != "sendMessage" {
		file := in.Photo + in.Animation + in.Video + in.Audio + in.Document
		if u, err := url.Parse(file); err != nil || u.Scheme != "https" && u.Scheme != "http" {
			return s, "wrong file identifier/HTTP URL specified"
		}
		s.Files, limit, raw = []string{file}, 1024, in.Caption
	}
	s.Raw, s.Text = raw, raw
	if in.ParseMode == "HTML" {
		if s.Text, fault = readHTML(raw); fault != "" {
			return s, fault
		}
	}
	s.Text = strings.TrimSpace(s.Text)
	switch n := channel.UTF16.Len(s.Text); {
	case n == 0 && limit == 4096:
		return s, "message text is empty"
	case n > limit:
		return s, "message is too long"
	}
	if in.Markup == nil {
		return s, ""
	}
	for _, row := range in.Markup.Rows {
		for _, b := range row {
			switch {
			case strings.TrimSpace(b.Text) == "":
				return s, "text buttons are not allowed to be empty"
			case len(b.Data) > 64 || b.Data == "" && b.URL == "":
				return s, "BUTTON_DATA_INVALID"
			case b.URL != "" && !strings.HasPrefix(b.URL, "http"):
				return s, "BUTTON_URL_INVALID"
			}
			s.Buttons = append(s.Buttons, Press{b.Text, b.Data, b.URL})
		}
		if len(row) == 0 || len(row) > 8 || len(s.Buttons) > 100 {
			return s, "REPLY_MARKUP_TOO_LONG"
		}
	}
	return s, ""
}

var (
	htmlTag  = regexp.MustCompile(`</?[a-z]+(?: href="[^"<>]*")?>`)
	htmlTags = []string{"b", "i", "u", "s", "code", "pre", "a"}
)

// readHTML returns the text of HTML as the Bot API takes it.
func readHTML(raw string) (text, fault string) {
	var open []string
	for _, tag := range htmlTag.FindAllString(raw, -1) {
		name, _, _ := strings.Cut(strings.Trim(tag, "</>"), " ")
		switch n := len(open); {
		case !slices.Contains(htmlTags, name):
			return "", "can't parse entities: Unsupported start tag " + name
		case tag[1] != '/':
			open = append(open, name)
		case n == 0 || open[n-1] != name:
			return "", "can't parse entities: Unexpected end tag"
		default:
			open = open[:n-1]
		}
	}
	rest := htmlTag.ReplaceAllString(raw, "")
	if len(open) > 0 || strings.ContainsAny(rest, "<>") {
		return "", "can't parse entities: Can't find end tag corresponding to start tag"
	}
	return html.UnescapeString(rest), ""
}
