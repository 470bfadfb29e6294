package channeltest

import (
	"bytes"
	"encoding/json"
	"html"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// slackCall has the parameters of the methods that the fake knows.
type slackCall struct {
	Channel string `json:"channel"`
	Thread  string `json:"thread_ts"`
	TS      string `json:"ts"`
	Text    string `json:"text"`
	Name    string `json:"username"`
	Icon    string `json:"icon_url"`
	File    string `json:"file"`
	Blocks  []struct {
		Type     string     `json:"type"`
		Text     *slackText `json:"text"`
		ImageURL string     `json:"image_url"`
		Alt      string     `json:"alt_text"`
		Elements []struct {
			Type     string    `json:"type"`
			Text     slackText `json:"text"`
			ActionID string    `json:"action_id"`
			Value    string    `json:"value"`
			URL      string    `json:"url"`
		} `json:"elements"`
	} `json:"blocks"`
}

// slackTakesJSON are the methods that Slack documents to take JSON. The others take a form.
var slackTakesJSON = []string{"chat.postMessage", "chat.update", "chat.delete"}

// readSlackCall reads the parameters of a method. A call of the wrong kind has none, as with Slack.
func readSlackCall(method, contentType string, body []byte) (in slackCall, ok bool) {
	kind, _, _ := mime.ParseMediaType(contentType)
	if kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		in.File = form.Get("file")
		return in, err == nil && method == "files.info" && len(form) == 1
	}
	if kind != "application/json" || !slices.Contains(slackTakesJSON, method) {
		return in, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return in, d.Decode(&in) == nil
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func slackError(code string) map[string]any { return map[string]any{"ok": false, "error": code} }

// answer answers a call.
func (f *Slack) answer(r *http.Request, method string, in slackCall) *http.Response {
	result := map[string]any{"ok": true}
	switch method {
	case "chat.postMessage":
		if refusal, refused := f.Refuses(); refused {
			return refusedBySlack(r, refusal)
		}
		s, fault := seenOnSlack(in)
		switch {
		case in.Channel != SlackChannel:
			fault = "channel_not_found"
		case fault == "":
			s.ID = f.ts()
			f.Show(s)
			result["ts"], result["channel"] = s.ID, in.Channel
		}
		if fault != "" {
			result = slackError(fault)
		}
	case "chat.update":
		s, fault := seenOnSlack(in)
		if fault == "" && !f.Change(in.TS, func(old *Seen) {
			s.ID, s.Edited = old.ID, true
			*old = s
		}) {
			fault = "message_not_found"
		}
		if fault != "" {
			result = slackError(fault)
		}
	case "chat.delete":
		if !f.Change(in.TS, func(s *Seen) { s.Removed = true }) {
			result = slackError("message_not_found")
		}
	case "files.info":
		f.api.Lock()
		_, known := f.files[in.File]
		f.api.Unlock()
		if !known {
			result = slackError("file_not_found")
			break
		}
		result["file"] = f.file(in.File)
	default:
		result = slackError("unknown_method")
	}
	return respond(r, http.StatusOK, result)
}

// refusedBySlack is how Slack refuses a call.
func refusedBySlack(r *http.Request, refusal Refusal) *http.Response {
	switch refusal {
	case Busy:
		response := respond(r, http.StatusTooManyRequests, slackError("ratelimited"))
		response.Header.Set("Retry-After", "7")
		return response
	case Away:
		return respond(r, http.StatusOK, slackError("is_archived"))
	case Format:
		return respond(r, http.StatusOK, slackError("invalid_blocks"))
	}
	return respond(r, http.StatusBadGateway, "<html>bad gateway</html>")
}

// seenOnSlack is what the user would see of a call, or why it is refused.
func seenOnSlack(in slackCall) (s Seen, fault string) {
	if strings.TrimSpace(in.Text) == "" && len(in.Blocks) == 0 {
		return s, "no_text"
	}
	if utf8.RuneCountInString(in.Text) > 40_000 {
		return s, "msg_too_long"
	}
	s.Raw = in.Text
	s.Text = readMrkdwn(in.Text)
	if len(in.Blocks) > 0 {
		s.Text, s.Raw = "", ""
	}
	ids := map[string]bool{}
	for _, b := range in.Blocks {
		switch b.Type {
		case "section":
			if b.Text == nil || b.Text.Type != "mrkdwn" || b.Text.Text == "" || utf8.RuneCountInString(b.Text.Text) > 3000 {
				return s, "invalid_blocks"
			}
			s.Raw, s.Text = b.Text.Text, readMrkdwn(b.Text.Text)
		case "image":
			if b.Alt == "" || !strings.HasPrefix(b.ImageURL, "http") || len(b.ImageURL) > 3000 {
				return s, "invalid_blocks"
			}
			s.Files = append(s.Files, b.ImageURL)
		case "actions":
			if len(b.Elements) == 0 || len(b.Elements) > 25 {
				return s, "invalid_blocks"
			}
			for _, e := range b.Elements {
				n := utf8.RuneCountInString(e.Text.Text)
				if len(e.URL) > 3000 || e.Type != "button" || e.Text.Type != "plain_text" || n == 0 || n > 75 || utf8.RuneCountInString(e.Value) > 2000 || e.ActionID == "" || ids[e.ActionID] {
					return s, "invalid_blocks"
				}
				ids[e.ActionID] = true
				s.Buttons = append(s.Buttons, Press{e.Text.Text, e.Value, e.URL})
			}
		default:
			return s, "invalid_blocks"
		}
	}
	if in.Name != "" {
		s.Text = "(" + in.Name + ") " + s.Text
	}
	return s, ""
}

var (
	slackLink  = regexp.MustCompile(`<(https?://|mailto:|tel:)([^<>|]*)(\|[^<>]*)?>`)
	slackCode  = regexp.MustCompile("```\n?|`")
	slackMarks = []*regexp.Regexp{
		regexp.MustCompile(`(^|[^\pL\pN*])\*([^\s*](?:[^*\n]*[^\s*])?)\*($|[^\pL\pN*])`),
		regexp.MustCompile(`(^|[^\pL\pN_])_([^\s_](?:[^_\n]*[^\s_])?)_($|[^\pL\pN_])`),
		regexp.MustCompile(`(^|[^\pL\pN~])~([^\s~](?:[^~\n]*[^\s~])?)~($|[^\pL\pN~])`),
	}
)

// readMrkdwn is what Slack shows of mrkdwn, nearly. A link is its label and its URL.
func readMrkdwn(raw string) string {
	text := slackLink.ReplaceAllStringFunc(raw, func(link string) string {
		target, label, labeled := strings.Cut(link[1:len(link)-1], "|")
		if !labeled {
			return target
		}
		return label + " (" + target + ")"
	})
	for _, marks := range slackMarks {
		text = marks.ReplaceAllString(text, "$1$2$3")
	}
	return html.UnescapeString(slackCode.ReplaceAllString(text, ""))
}
