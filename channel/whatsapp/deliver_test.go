package whatsapp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/whatsapp"
)

const phone = "4915112345678"

// rig is a number on the fake, and a user.
type rig struct {
	t      *testing.T
	fake   *channeltest.WhatsApp
	user   *channeltest.WhatsAppUser
	number *whatsapp.Channel
	heard  []handover.Incoming
	seen   int
}

func newRig(t *testing.T, change ...func(*whatsapp.Config)) *rig {
	r := &rig{t: t, fake: channeltest.NewWhatsApp()}
	r.user = r.fake.User(phone)
	r.restart(change...)
	return r
}

// restart makes the channel anew.
func (r *rig) restart(change ...func(*whatsapp.Config)) {
	config := whatsapp.Config{
		PhoneNumberID: r.fake.PhoneNumberID(), Token: handover.NewSecret(r.fake.Token()), AppSecret: handover.NewSecret(r.fake.AppSecret()),
		VerifyToken: handover.NewSecret(r.fake.VerifyToken()), Client: r.fake.Client(), BaseURL: r.fake.URL(),
		Logger: slog.New(slog.NewTextHandler(r.t.Output(), nil)),
	}
	for _, f := range change {
		f(&config)
	}
	var err error
	r.number, err = whatsapp.New(config)
	require.NoError(r.t, err)
	require.NoError(r.t, r.fake.Hook(r.number.Webhook(r.hear)))
}

func (r *rig) hear(_ context.Context, m handover.Incoming) error {
	r.heard = append(r.heard, m)
	return nil
}

var session = handover.Session{Conversation: handover.Conversation{Source: "whatsapp", ID: phone}}

// says delivers what an agent says.
func (r *rig) says(id string, content handover.RichMessage) error {
	_, err := r.number.Deliver(r.t.Context(), session, handover.Message{ID: id, From: handover.FromAgent, Agent: handover.Agent{Name: "Ann"}, Content: content, Attempt: 1})
	return err
}

func (r *rig) saw(want ...string) {
	r.t.Helper()
	var lines []string
	all := r.user.Seen()
	for _, seen := range all[r.seen:] {
		lines = append(lines, line(seen))
	}
	r.seen = len(all)
	require.Equal(r.t, want, lines)
	require.Empty(r.t, r.fake.Faults())
}

// line is a message as it was sent, with its files, [buttons] and {rows of a list}.
func line(s channeltest.Seen) string {
	parts := []string{}
	for _, f := range s.Files {
		parts = append(parts, "<"+f+">")
	}
	if s.Raw != "" {
		parts = append(parts, s.Raw)
	}
	for _, b := range s.Buttons {
		if strings.HasPrefix(b.Data, "list_reply:") {
			parts = append(parts, "{"+b.Title+"}")
		} else {
			parts = append(parts, "["+b.Title+"]")
		}
	}
	if s.User {
		parts = append([]string{">"}, parts...)
	}
	return strings.Join(parts, " ")
}

func choices(titles ...string) (all []handover.QuickReply) {
	for _, title := range titles {
		all = append(all, handover.QuickReply{ContentType: handover.ReplyText, Title: title, Payload: strings.ToUpper(title)})
	}
	return all
}

func file(kind, url string) handover.RichMessage {
	return handover.RichMessage{Attachment: &handover.Attachment{Type: kind, Payload: handover.AttachmentPayload{URL: url}}}
}

func TestDeliver(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("123456789 ", 420))
	pick := func(text string, titles ...string) handover.RichMessage {
		return handover.RichMessage{Text: text, QuickReplies: choices(titles...)}
	}
	withChoices := file(handover.AttachmentImage, "https://cdn.invalid/a.png")
	withChoices.QuickReplies = choices("Red", "Blue")
	twice := pick("Which?", "Red", "Red")
	twice.QuickReplies[1].Payload = "OTHER RED"
	same := pick("Which?", "Red", "Crimson")
	same.QuickReplies[1].Payload = "RED"
	for name, c := range map[string]struct {
		content handover.RichMessage
		want    []string
	}{
		"text":          {handover.TextMessage("Hello"), []string{"Ann: Hello"}},
		"Markdown":      {handover.TextMessage("**Hello** and *welcome*, see [this](https://a.invalid/)"), []string{"Ann: *Hello* and _welcome_, see this (https://a.invalid/)"}},
		"a long text":   {handover.TextMessage(long), []string{"Ann: " + long[:4089], long[4090:]}},
		"buttons":       {pick("Which?", "Red", "Blue", "Green"), []string{"Ann: Which? [Red] [Blue] [Green]"}},
		"a list":        {pick("Which?", "Red", "Blue", "Green", "Black"), []string{"Ann: Which? {Red} {Blue} {Green} {Black}"}},
		"longer titles": {pick("Which?", "A title of 21 letters", "Blue"), []string{"Ann: Which? {A title of 21 letters} {Blue}"}},
		"long titles": {pick("And now?", "Contact me back via email", "No"),
			[]string{"Ann: And now?\n\n1. Contact me back via email\n2. No {1. Contact me back via…} {2. No}"}},
		"many choices": {pick("When?", strings.Fields("1 2 3 4 5 6 7 8 9 10 11")...),
			[]string{"Ann: When?\n\n1. 1\n2. 2\n3. 3\n4. 4\n5. 5\n6. 6\n7. 7\n8. 8\n9. 9\n10. 10\n11. 11 {1. 1} {2. 2} {3. 3} {4. 4} {5. 5} {6. 6} {7. 7} {8. 8} {9. 9} {10. 10}"}},
		"one title twice":        {twice, []string{"Ann: Which? [Red] [Red (2)]"}},
		"one payload twice":      {same, []string{"Ann: Which?\nCrimson [Red]"}},
		"choices of a long text": {pick(long[:1199], "Red", "Blue"), []string{"Ann: " + long[:1019], long[1020:1199] + " [Red] [Blue]"}},
		"a picture":              {file(handover.AttachmentImage, "https://cdn.invalid/a.png"), []string{"<https://cdn.invalid/a.png> Ann:"}},
		"a picture with choices": {withChoices, []string{"<https://cdn.invalid/a.png> Ann:", "1. Red\n2. Blue [1. Red] [2. Blue]"}},
		"voice":                  {file(handover.AttachmentAudio, "https://cdn.invalid/a.mp3"), []string{"Ann:", "<https://cdn.invalid/a.mp3>"}},
		"a document":             {file(handover.AttachmentFile, "https://cdn.invalid/a.pdf"), []string{"<https://cdn.invalid/a.pdf> Ann:"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			require.NoError(t, r.says("1", c.content))
			r.saw(c.want...)
			require.NoError(t, r.says("1", c.content), "again")
			r.saw([]string(nil)...)
		})
	}
}

// TestFiles has files that WhatsApp takes, and does not.
func TestFiles(t *testing.T) {
	for name, c := range map[string]struct {
		kind, mimeType string
		want           []string
	}{
		"a picture":          {handover.AttachmentImage, "image/png", []string{"<https://cdn.invalid/a> Ann:"}},
		"an animation":       {handover.AttachmentImage, "image/gif", []string{"Ann:\nhttps://cdn.invalid/a"}},
		"a recording":        {handover.AttachmentAudio, "audio/ogg; codecs=opus", []string{"Ann:", "<https://cdn.invalid/a>"}},
		"a browser's":        {handover.AttachmentAudio, "audio/webm", []string{"Ann:\nhttps://cdn.invalid/a"}},
		"a film":             {handover.AttachmentVideo, "video/mp4", []string{"<https://cdn.invalid/a> Ann:"}},
		"a film of Apple's":  {handover.AttachmentVideo, "video/quicktime", []string{"Ann:\nhttps://cdn.invalid/a"}},
		"a document":         {handover.AttachmentFile, "application/pdf", []string{"<a b.pdf https://cdn.invalid/a> Ann:"}},
		"a type in capitals": {handover.AttachmentImage, "IMAGE/JPEG", []string{"<https://cdn.invalid/a> Ann:"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			m := handover.Message{ID: "1", From: handover.FromAgent, Agent: handover.Agent{Name: "Ann"}, Content: file(c.kind, "https://cdn.invalid/a")}
			m.File = &handover.File{URL: "https://cdn.invalid/a", Name: "a b.pdf", MIMEType: c.mimeType}
			_, err := r.number.Deliver(t.Context(), session, m)
			require.NoError(t, err)
			r.saw(c.want...)
		})
	}
}

// TestCards has a card become a picture and buttons.
func TestCards(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.says("1", handover.RichMessage{Attachment: &handover.Attachment{Type: handover.AttachmentTemplate, Payload: handover.AttachmentPayload{
		TemplateType: handover.TemplateGeneric, Elements: []handover.Element{
			{Title: "One", Subtitle: "Light", ImageURL: "https://cdn.invalid/1.png", Buttons: []handover.Button{{Type: handover.ButtonPostback, Title: "Buy", Payload: "BUY 1"}}},
			{Title: "Two", Buttons: []handover.Button{{Type: handover.ButtonURL, Title: "See", URL: "https://a.invalid/"}}},
		}}}}))
	r.saw("<https://cdn.invalid/1.png> Ann: *One*\nLight [Buy]", "*Two*\nSee: https://a.invalid/")
	require.True(t, r.user.Press("Buy"))
	require.Equal(t, "BUY 1", r.heard[0].Payload)
}

// TestChoices has the user press, write a number and a title.
func TestChoices(t *testing.T) {
	r := newRig(t)
	payload := strings.Repeat("x", 500)
	require.NoError(t, r.number.Send(t.Context(), phone, handover.RichMessage{Text: "Which?", QuickReplies: []handover.QuickReply{
		{Title: "A very long title that no button can show", Payload: payload}, {Title: "Blue", Payload: " BLUE "}, {Title: "Green"},
	}}))
	for i, press := range []string{"1. A very long title th…", "2. Blue", "3. Green"} {
		require.True(t, r.user.Press(press))
		require.Equal(t, []string{payload, " BLUE ", "Green"}[i], r.heard[i].Payload)
	}
	for _, text := range []string{"1", "blue", "hello"} {
		r.user.Write(text)
	}
	require.Equal(t, payload, r.heard[3].Payload)
	require.Equal(t, " BLUE ", r.heard[4].Payload)
	require.Empty(t, r.heard[5].Payload)
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		refusal           channeltest.MetaRefusal
		away, unsupported bool
		says              string
	}{
		"24 hours are over":      {channeltest.WhatsAppOutside, true, false, "131047"},
		"cannot be reached":      {channeltest.WhatsAppGone, true, false, "131026"},
		"no permission":          {channeltest.MetaRefusal{Code: 10}, false, false, "whatsapp_business_messaging"},
		"not as it should be":    {channeltest.WhatsAppFormat, false, true, ""},
		"an invalid parameter":   {channeltest.MetaRefusal{Code: 100}, false, true, ""},
		"an unsupported kind":    {channeltest.MetaRefusal{Code: 131051}, false, true, ""},
		"a file it cannot fetch": {channeltest.MetaRefusal{Code: 131053}, false, true, ""},
		"token expired":          {channeltest.WhatsAppToken, false, false, "new access token"},
		"a locked account":       {channeltest.MetaRefusal{Status: 403, Code: 131031}, false, false, "locked"},
		"of a proxy":             {channeltest.MetaRefusal{Status: 502}, false, false, "HTTP 502"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Refuse(-1, c.refusal)
			err := r.says("1", handover.TextMessage("words of an agent"))
			require.Error(t, err)
			require.Equal(t, c.away, errors.Is(err, handover.ErrUserAway))
			require.Equal(t, c.unsupported, errors.Is(err, errors.ErrUnsupported))
			require.ErrorContains(t, err, c.says)
			e, ok := errors.AsType[*whatsapp.Error](err)
			require.True(t, ok)
			require.Equal(t, c.refusal.Code, e.Code)
			for _, hidden := range []string{r.fake.Token(), "words of an agent", phone, "graph.whatsapp"} {
				require.NotContains(t, err.Error(), hidden)
			}
			r.fake.Accept()
			require.NoError(t, r.says("1", handover.TextMessage("words of an agent")))
			r.saw("Ann: words of an agent")
		})
	}
}

// TestWindow sends nothing to a user who wrote more than 24 hours ago: WhatsApp would take it, and lose it.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := &channel.Memory{}
		r := newRig(t, func(c *whatsapp.Config) { c.Sent = sent })
		r.user.Write("Hello")
		time.Sleep(24*time.Hour - time.Second)
		require.NoError(t, r.says("1", handover.TextMessage("Hi")))
		time.Sleep(time.Second)
		require.ErrorIs(t, r.says("2", handover.TextMessage("Are you there?")), handover.ErrUserAway)
		r.restart(func(c *whatsapp.Config) { c.Sent = sent })
		require.ErrorIs(t, r.says("2", handover.TextMessage("Are you there?")), handover.ErrUserAway)
		require.Zero(t, r.fake.Refused(), "it was not asked")
		r.user.Write("Yes")
		require.NoError(t, r.says("2", handover.TextMessage("Are you there?")))
		r.saw("> Hello", "Ann: Hi", "> Yes", "Ann: Are you there?")
	})
}

// TestWindowWithoutTime has a user who has just written, as an SDK tells of it that leaves the time out.
func TestWindowWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		all, err := r.number.Incoming(t.Context(), []byte(`{"entry":[{"changes":[{"value":{"metadata":{"phone_number_id":"`+r.fake.PhoneNumberID()+`"},
			"messages":[{"from":"`+phone+`","id":"wamid.1","type":"text","text":{"body":"Hello"}}]}}]}]}`))
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.NoError(t, r.says("1", handover.TextMessage("Hi")))
	})
}

// TestLost has WhatsApp say later that a message could not be delivered.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.user.Write("Hello")
		time.Sleep(time.Minute)
		id, err := r.number.Deliver(t.Context(), session, handover.Message{ID: "1", Content: handover.TextMessage("Hi")})
		require.NoError(t, err)
		r.user.Failed(id, 131000)
		require.NoError(t, r.says("2", handover.TextMessage("Hi")), "a fault of WhatsApp's")
		r.user.Failed(id, 131026)
		require.Equal(t, int64(2), r.number.Lost())
		require.ErrorIs(t, r.says("3", handover.TextMessage("Are you there?")), handover.ErrUserAway)
		time.Sleep(time.Minute)
		r.user.Write("Yes")
		require.NoError(t, r.says("3", handover.TextMessage("Are you there?")))
	})
}

// TestUserName writes to a user who has a user name in place of a phone number.
func TestUserName(t *testing.T) {
	r := newRig(t)
	user := r.fake.User("US.13491208655302741918")
	user.Write("Hello")
	require.NoError(t, r.number.Send(t.Context(), r.heard[0].Conversation.ID, handover.TextMessage("Hi")))
	require.Equal(t, []string{"> Hello", "Hi"}, user.New())
	require.Equal(t, handover.UserData{FirstName: "Joe"}, r.number.User(r.heard[0].Conversation))
}

func TestTyping(t *testing.T) {
	r := newRig(t)
	r.number.Typing(t.Context(), session, handover.AgentTyping{On: true})
	require.Zero(t, r.user.Typing(), "no message of theirs is known")
	r.user.Write("Hello")
	r.number.Typing(t.Context(), session, handover.AgentTyping{On: true})
	r.number.Typing(t.Context(), session, handover.AgentTyping{})
	require.Equal(t, 1, r.user.Typing())
	require.ErrorIs(t, r.number.Revise(t.Context(), session, handover.Revision{}), errors.ErrUnsupported)
}

// TestOpenFile opens what a user sent, with the token.
func TestOpenFile(t *testing.T) {
	r := newRig(t)
	voice := bytes.Repeat([]byte("voice"), 10_000)
	r.user.Send("audio", "audio/ogg; codecs=opus", "", voice)
	require.Equal(t, "audio/ogg", r.heard[0].Files[0].MIMEType)
	opened, err := r.number.OpenFile(t.Context(), session.Conversation, r.heard[0].Files[0].ID)
	require.NoError(t, err)
	got, err := io.ReadAll(opened.Body)
	require.NoError(t, err)
	require.NoError(t, opened.Body.Close())
	require.Equal(t, voice, got)
	for _, id := range []string{"", "nothing", "../" + r.fake.PhoneNumberID(), "media1?x="} {
		_, err = r.number.OpenFile(t.Context(), session.Conversation, id)
		require.Error(t, err, id)
		require.NotContains(t, err.Error(), r.fake.Token())
	}
}

func TestNew(t *testing.T) {
	_, err := whatsapp.New(whatsapp.Config{ListTitle: "far more than twenty characters"})
	require.ErrorContains(t, err, "PhoneNumberID must be set")
	require.ErrorContains(t, err, "Token must be set")
	require.ErrorContains(t, err, "ListTitle")
	config := whatsapp.Config{PhoneNumberID: "1", Token: handover.NewSecret("access-token"), AppSecret: handover.NewSecret("app-secret"), VerifyToken: handover.NewSecret("verify-token")}
	c, err := whatsapp.New(config)
	require.NoError(t, err)
	require.Equal(t, "whatsapp", c.Source())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, value := range []any{config, &config, c, struct{ c *whatsapp.Channel }{c}} {
			printed := fmt.Sprintf(verb, value)
			for _, secret := range []string{"access-token", "app-secret", "verify-token"} {
				require.NotContains(t, printed, secret)
			}
		}
	}
}

// TestWebhook has what is not Meta's, and what is taken once it can be.
func TestWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		body := r.user.Message("wamid.x", map[string]any{"type": "text", "text": map[string]any{"body": "Hello"}})
		require.Equal(t, http.StatusForbidden, r.fake.PostSigned(t.Context(), body, "sha256=00"))
		require.Equal(t, http.StatusBadRequest, r.fake.Post(t.Context(), []byte("[]")))
		require.Empty(t, r.heard)
		down := 3
		require.NoError(t, r.fake.Hook(r.number.Webhook(func(_ context.Context, m handover.Incoming) error {
			if down--; down >= 0 {
				return errors.New("the store is down")
			}
			r.heard = append(r.heard, m)
			return nil
		})))
		r.user.Write("Hello")
		require.Len(t, r.heard, 1)
		require.Equal(t, "Hello", r.heard[0].Text)
	})
}

// TestLostIsCountedOnce has a post come again that tells of a message that was lost.
func TestLostIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		body := []byte(`{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"` + r.fake.PhoneNumberID() + `"},
			"statuses":[{"id":"wamid.1","status":"failed","timestamp":"1700000000","recipient_id":"` + phone + `","errors":[{"code":131000}]}],
			"messages":[{"from":"` + phone + `","id":"wamid.2","timestamp":"1700000001","type":"text","text":{"body":"Hello"}}]}}]}]}`)
		down := true
		require.NoError(t, r.fake.Hook(r.number.Webhook(func(context.Context, handover.Incoming) error {
			if down {
				return errors.New("the store is down")
			}
			return nil
		})))
		require.Equal(t, http.StatusServiceUnavailable, r.fake.Post(t.Context(), body))
		down = false
		require.Equal(t, http.StatusOK, r.fake.Post(t.Context(), body))
		require.Equal(t, int64(1), r.number.Lost())
	})
}
