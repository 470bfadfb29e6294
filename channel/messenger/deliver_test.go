package messenger_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/messenger"
)

// rig is a page on the fake, and a user.
type rig struct {
	t    *testing.T
	fake *channeltest.Messenger
	user *channeltest.MessengerUser
	page *messenger.Channel
}

func newRig(t *testing.T, change ...func(*messenger.Config)) *rig {
	fake := channeltest.NewMessenger()
	config := messenger.Config{
		PageID: fake.PageID(), Token: handover.NewSecret(fake.Token()), AppSecret: handover.NewSecret(fake.AppSecret()), VerifyToken: handover.NewSecret(fake.VerifyToken()),
		Client: fake.Client(), BaseURL: fake.URL(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range change {
		f(&config)
	}
	page, err := messenger.New(config)
	require.NoError(t, err)
	return &rig{t, fake, fake.User("user-1"), page}
}

var session = handover.Session{Conversation: handover.Conversation{Source: "messenger", ID: "user-1"}}

// longText is more than one message.
var longText = strings.TrimSpace(strings.Repeat("123456789 ", 210))

var ann = handover.Agent{ID: "1", Name: "Ann", Avatar: "https://pictures.invalid/ann"}

// says delivers what an agent says.
func (r *rig) says(id string, content handover.RichMessage) error {
	_, err := r.page.Deliver(r.t.Context(), session, handover.Message{ID: id, From: handover.FromAgent, Agent: ann, Content: content, Attempt: 1})
	return err
}

func (r *rig) saw(want ...string) {
	r.t.Helper()
	require.Equal(r.t, want, r.user.New())
	require.Empty(r.t, r.fake.Faults())
}

func choices(titles ...string) (all []handover.QuickReply) {
	for _, title := range titles {
		all = append(all, handover.QuickReply{ContentType: handover.ReplyText, Title: title, Payload: strings.ToUpper(title)})
	}
	return all
}

func TestDeliver(t *testing.T) {
	picture := &handover.Attachment{Type: handover.AttachmentImage, Payload: handover.AttachmentPayload{URL: "https://cdn.invalid/a.png"}}
	card := func(title string, buttons ...handover.Button) handover.Element {
		return handover.Element{Title: title, Subtitle: "Light", Buttons: buttons}
	}
	link := handover.Button{Type: handover.ButtonURL, Title: "See it", URL: "https://bikes.invalid/1"}
	template := func(p handover.AttachmentPayload) handover.RichMessage {
		return handover.RichMessage{Attachment: &handover.Attachment{Type: handover.AttachmentTemplate, Payload: p}}
	}
	for name, c := range map[string]struct {
		content handover.RichMessage
		want    []string
	}{
		"text":          {handover.TextMessage("Hello"), []string{"(Ann) Hello"}},
		"Markdown":      {handover.TextMessage("**Hello**, see [this](https://a.invalid/)"), []string{"(Ann) Hello, see this (https://a.invalid/)"}},
		"a long text":   {handover.TextMessage(longText), []string{"(Ann) " + longText[:1999], "(Ann) " + longText[2000:]}},
		"quick replies": {handover.RichMessage{Text: "Which?", QuickReplies: choices("Red", "Blue")}, []string{"(Ann) Which? [Red] [Blue]"}},
		"long choices": {handover.RichMessage{Text: "And now?", QuickReplies: choices("Contact me back via email", "No")},
			[]string{"(Ann) And now?\n\n1. Contact me back via email\n2. No [1. Contact me back…] [2. No]"}},
		"what Messenger fills in": {handover.RichMessage{Text: "Where?", QuickReplies: []handover.QuickReply{{ContentType: handover.ReplyEmail}}}, []string{"(Ann) Where? []"}},
		"a picture":               {handover.RichMessage{Attachment: picture}, []string{"(Ann)  <https://cdn.invalid/a.png>"}},
		"a picture with choices":  {handover.RichMessage{Attachment: picture, QuickReplies: choices("Red", "Blue")}, []string{"(Ann)  <https://cdn.invalid/a.png>", "(Ann) 1. Red\n2. Blue [1. Red] [2. Blue]"}},
		"cards": {template(handover.AttachmentPayload{TemplateType: handover.TemplateGeneric, Elements: []handover.Element{card("One", link), {Title: "Two"}, card("Three")}}),
			[]string{"(Ann) One\nLight [See it]", "(Ann) Two", "(Ann) Three\nLight"}},
		"links": {template(handover.AttachmentPayload{TemplateType: handover.TemplateButton, Text: "Look", Buttons: []handover.Button{link, {Type: handover.ButtonPostback, Title: "Later", Payload: "LATER"}}}),
			[]string{"(Ann) Look [See it] [Later]"}},
		"many links": {template(handover.AttachmentPayload{TemplateType: handover.TemplateButton, Text: longText[:689], Buttons: []handover.Button{link, link, link, link, {Type: handover.ButtonPostback, Title: "Later", Payload: "LATER"}}}),
			[]string{"(Ann) " + longText[:689], "(Ann) …" + strings.Repeat(" [See it]", 3), "(Ann) … [See it]", "(Ann) … [Later]"}},
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

// TestVoices has what makes Ann's name stand where.
func TestVoices(t *testing.T) {
	r := newRig(t)
	deliver := func(m handover.Message) {
		_, err := r.page.Deliver(t.Context(), session, m)
		require.NoError(t, err)
	}
	deliver(handover.Message{ID: "1", From: handover.FromSystem, Content: handover.TextMessage("Ann joined.")})
	deliver(handover.Message{ID: "2", From: handover.FromAgent, Agent: handover.Agent{Name: "Bob"}, Content: handover.TextMessage("Hi")})
	deliver(handover.Message{ID: "3", From: handover.FromAgent, Agent: ann, Corrects: "2", Content: handover.TextMessage("Hello")})
	r.saw("Ann joined.", "Bob: Hi", "✏️ Ann: Hello")
	require.NoError(t, r.page.Send(t.Context(), "user-1", handover.TextMessage("I am a bot.")))
	require.NoError(t, r.page.Send(t.Context(), "user-1", handover.TextMessage("I am a bot.")))
	r.saw("I am a bot.", "I am a bot.")

	require.NoError(t, r.says("4", handover.TextMessage("One")))
	r.fake.ForgetPersonas()
	require.NoError(t, r.says("5", handover.TextMessage("Two")))
	require.NoError(t, r.says("6", handover.TextMessage("Three")))
	r.saw("(Ann) One", "Ann: Two", "Ann: Three")
	require.Equal(t, 1, r.fake.Refused(), "what Meta refuses is not tried again and again")

	r = newRig(t)
	r.fake.NoPersonas = true
	require.NoError(t, r.says("1", handover.TextMessage("One")))
	require.NoError(t, r.says("2", handover.TextMessage("Two")))
	r.saw("Ann: One", "Ann: Two")
	require.Equal(t, 1, r.fake.Refused())
}

// TestVoiceStays has a persona come into being while a message is shown in parts: they stay as they began.
func TestVoiceStays(t *testing.T) {
	r := newRig(t)
	r.fake.PersonasDown = true
	long := handover.TextMessage(longText)
	r.user.Fail(channeltest.Down, 1, 1)
	require.Error(t, r.says("1", long))
	r.fake.PersonasDown = false
	require.NoError(t, r.says("1", long))
	r.saw("Ann: "+longText[:1989], ""+longText[1990:])
	require.NoError(t, r.says("2", handover.TextMessage("Hi")))
	r.saw("(Ann) Hi")
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		refusal           channeltest.MetaRefusal
		away, unsupported bool
		says              string
	}{
		"24 hours are over":        {channeltest.MessengerOutside, true, false, "2018278"},
		"24 hours, as once said":   {channeltest.MetaRefusal{Code: 10, Subcode: 2018065}, true, false, ""},
		"no permission":            {channeltest.MetaRefusal{Code: 10}, false, false, "permission"},
		"another app's turn":       {channeltest.MetaRefusal{Code: 10, Subcode: 2018300}, false, false, "another app"},
		"user blocked the page":    {channeltest.MessengerGone, true, false, "551"},
		"the same, by code 200":    {channeltest.MetaRefusal{Code: 200, Subcode: 1545041}, true, false, ""},
		"user does not receive":    {channeltest.MetaRefusal{Code: 10, Subcode: 2018108}, true, false, ""},
		"no such user":             {channeltest.MetaRefusal{Code: 100, Subcode: 2018001}, true, false, ""},
		"message as it may not be": {channeltest.MessengerFormat, false, true, ""},
		"no such object":           {channeltest.MetaRefusal{Code: 100, Subcode: 33}, false, false, ""},
		"token expired":            {channeltest.MessengerToken, false, false, "page access token"},
		"of a proxy":               {channeltest.MetaRefusal{Status: 502}, false, false, "HTTP 502"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Refuse(-1, c.refusal)
			err := r.says("1", handover.TextMessage("words of an agent"))
			require.Error(t, err)
			require.Equal(t, c.away, errors.Is(err, handover.ErrUserAway))
			require.Equal(t, c.unsupported, errors.Is(err, errors.ErrUnsupported))
			require.ErrorContains(t, err, c.says)
			e, ok := errors.AsType[*messenger.Error](err)
			require.True(t, ok)
			require.Equal(t, c.refusal.Code, e.Code)
			for _, hidden := range []string{r.fake.Token(), "words of an agent", "user-1", "graph.messenger"} {
				require.NotContains(t, err.Error(), hidden)
			}
			r.fake.Accept()
			require.NoError(t, r.says("1", handover.TextMessage("words of an agent")))
			r.saw("(Ann) words of an agent")
		})
	}
}

// TestHumanAgent has a user who wrote two days, and then eight days ago.
func TestHumanAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, may := range []bool{false, true} {
			r := newRig(t, func(c *messenger.Config) { c.HumanAgent = may })
			r.fake.HumanAgent = may
			time.Sleep(48 * time.Hour)
			err := r.says("1", handover.TextMessage("Are you there?"))
			if !may {
				require.ErrorIs(t, err, handover.ErrUserAway)
				continue
			}
			require.NoError(t, err)
			r.saw("(Ann) Are you there?")
			require.ErrorIs(t, r.page.Send(t.Context(), "user-1", handover.TextMessage("a bot")), handover.ErrUserAway, "the tag is for people")
			time.Sleep(6 * 24 * time.Hour)
			require.ErrorIs(t, r.says("2", handover.TextMessage("And now?")), handover.ErrUserAway)
		}
	})
}

// TestHostHasNoPermission says that a permission is missing where the host says that it is there.
func TestHostHasNoPermission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *messenger.Config) { c.HumanAgent = true })
		time.Sleep(48 * time.Hour)
		err := r.says("1", handover.TextMessage("Are you there?"))
		require.ErrorContains(t, err, "permission")
		require.NotErrorIs(t, err, handover.ErrUserAway)
	})
}

func TestTyping(t *testing.T) {
	r := newRig(t)
	r.page.Typing(t.Context(), session, handover.AgentTyping{Agent: ann, On: true})
	r.page.Typing(t.Context(), session, handover.AgentTyping{Agent: ann})
	require.Equal(t, []string{"typing_on", "typing_off"}, r.user.Signs())
	r.page.Typing(t.Context(), handover.Session{}, handover.AgentTyping{On: true}) // refused, and logged
	require.ErrorIs(t, r.page.Revise(t.Context(), session, handover.Revision{}), errors.ErrUnsupported)
}

func TestUser(t *testing.T) {
	r := newRig(t)
	require.Equal(t, handover.UserData{FirstName: "Anakin", LastName: "Skywalker", Avatar: "https://pictures.invalid/user-1"}, r.page.User(t.Context(), session.Conversation))
	require.Zero(t, r.page.User(t.Context(), handover.Conversation{ID: "../me"}))
}

func TestNew(t *testing.T) {
	_, err := messenger.New(messenger.Config{})
	require.ErrorContains(t, err, "PageID must be set")
	require.ErrorContains(t, err, "Token must be set")
	config := messenger.Config{PageID: "1", Token: handover.NewSecret("page-token"), AppSecret: handover.NewSecret("app-secret"), VerifyToken: handover.NewSecret("verify-token")}
	c, err := messenger.New(config)
	require.NoError(t, err)
	require.Equal(t, "messenger", c.Source())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, value := range []any{config, &config, c, struct{ c *messenger.Channel }{c}} {
			printed := fmt.Sprintf(verb, value)
			for _, secret := range []string{"page-token", "app-secret", "verify-token"} {
				require.NotContains(t, printed, secret)
			}
		}
	}
}

var _ channel.Channel = (*messenger.Channel)(nil)
