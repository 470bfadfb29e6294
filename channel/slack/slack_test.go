package slack

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/channeltest"
)

func TestNewRefuses(t *testing.T) {
	token, secret := handover.NewSecret("xoxb-secret"), handover.NewSecret("secret")
	for name, config := range map[string]Config{
		"no token":     {SigningSecret: secret},
		"no secret":    {Token: token},
		"another key":  {Token: secret, SigningSecret: secret},
		"a line break": {Token: handover.NewSecret("xoxb-secret\n"), SigningSecret: secret},
		"no server":    {Token: token, SigningSecret: secret, BaseURL: "slack.com"},
	} {
		_, err := New(config)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "xoxb-secret", name)
	}
}

// answering answers every call.
type answering func(r *http.Request) string

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	_, _ = w.WriteString(f(r))
	return w.Result(), nil
}

func TestWhatRefusalsMean(t *testing.T) {
	for answer, want := range map[string]error{
		`{"ok":false,"error":"channel_not_found"}`: handover.ErrUserAway,
		`{"ok":false,"error":"is_archived"}`:       handover.ErrUserAway,
		`{"ok":false,"error":"msg_too_long"}`:      errors.ErrUnsupported,
		`{"ok":false,"error":"invalid_auth"}`:      nil,
		`{"ok":false,"error":"Her words: xoxb-1"}`: nil,
		`not JSON`: nil,
	} {
		c, err := New(Config{Token: handover.NewSecret("xoxb-1"), SigningSecret: handover.NewSecret("s"), Client: &http.Client{Transport: answering(func(*http.Request) string { return answer })}})
		require.NoError(t, err)
		err = c.Send(t.Context(), "D1", handover.TextMessage("hello"))
		require.Error(t, err, answer)
		require.NotContains(t, err.Error(), "words")
		for _, meaning := range []error{handover.ErrUserAway, errors.ErrUnsupported} {
			require.Equal(t, meaning == want, errors.Is(err, meaning), answer)
		}
	}
}

// loud tells the token in its error.
type loud struct{}

func (loud) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("cannot send %v", r.Header)
}

func TestTokenIsInNoError(t *testing.T) {
	c, err := New(Config{Token: handover.NewSecret("xoxb-secret"), SigningSecret: handover.NewSecret("s"), Client: &http.Client{Transport: loud{}}})
	require.NoError(t, err)
	for err := c.Send(t.Context(), "D1", handover.TextMessage("hello")); err != nil; err = errors.Unwrap(err) {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "xoxb-secret")
	}
}

// TestCustomize shows an agent by their own name.
func TestCustomize(t *testing.T) {
	fake := channeltest.NewSlack()
	c := newOn(t, fake, nil)
	c.config.Customize = true
	m := handover.Message{ID: "1", From: handover.FromAgent, Agent: handover.Agent{Name: "Ann", Avatar: "https://a.b/ann.png"}, Content: handover.TextMessage("Hello")}
	_, err := c.Deliver(t.Context(), handover.Session{Conversation: handover.Conversation{ID: channeltest.SlackChannel}}, m)
	require.NoError(t, err)
	require.Equal(t, []string{"(Ann) Hello"}, fake.Lines())
}

// TestBlocksThatSlackDoesNotTake come as text, in which nothing is a mention.
func TestBlocksThatSlackDoesNotTake(t *testing.T) {
	fake := channeltest.NewSlack()
	c := newOn(t, fake, nil)
	fake.Fail(channeltest.Format, 0, 1)
	picture := handover.RichMessage{Text: "<!channel> & more", Attachment: &handover.Attachment{Type: handover.AttachmentImage, Payload: handover.AttachmentPayload{URL: "https://a.b/?x=1&y"}}}
	require.NoError(t, c.Send(t.Context(), channeltest.SlackChannel, picture))
	fake.Fail(channeltest.Format, 0, 1)
	require.NoError(t, c.Send(t.Context(), channeltest.SlackChannel, handover.TextMessage("<!here>")))
	seen := fake.Seen()
	require.Equal(t, "&lt;!channel&gt; &amp; more", seen[0].Raw)
	require.Equal(t, []string{"https://a.b/?x=1&y"}, seen[1].Files)
	require.Equal(t, "&lt;!here&gt;", seen[2].Raw)
}

// TestThreadsAreAnsweredThere posts into a thread.
func TestThreadsAreAnsweredThere(t *testing.T) {
	var bodies []string
	c, err := New(Config{Token: handover.NewSecret("xoxb-1"), SigningSecret: handover.NewSecret("s"), Client: &http.Client{Transport: answering(func(r *http.Request) string {
		body := make([]byte, 1000)
		n, _ := r.Body.Read(body)
		bodies = append(bodies, string(body[:n]))
		return `{"ok":true,"ts":"5.1"}`
	})}})
	require.NoError(t, err)
	require.NoError(t, c.Send(t.Context(), "C1/2.1", handover.TextMessage("hello")))
	require.Equal(t, []string{`{"channel":"C1","thread_ts":"2.1","text":"hello","blocks":[]}`}, bodies)
}

// TestRemovalThatSlackRefuses empties the message.
func TestRemovalThatSlackRefuses(t *testing.T) {
	var calls []string
	c, err := New(Config{Token: handover.NewSecret("xoxb-1"), SigningSecret: handover.NewSecret("s"), Client: &http.Client{Transport: answering(func(r *http.Request) string {
		calls = append(calls, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		if len(calls) == 1 {
			return `{"ok":false,"error":"compliance_exports_prevent_deletion"}`
		}
		return `{"ok":true}`
	})}})
	require.NoError(t, err)
	err = c.Revise(t.Context(), handover.Session{Conversation: handover.Conversation{ID: "D1"}}, handover.Revision{Message: handover.Message{ChannelID: "5.1"}, Removed: true})
	require.NoError(t, err)
	require.Equal(t, []string{"chat.delete", "chat.update"}, calls)
}

// TestLinkThatIsTooLongForAButton stands in the text, whole.
func TestLinkThatIsTooLongForAButton(t *testing.T) {
	fake := channeltest.NewSlack()
	long := "https://a.b/" + strings.Repeat("x", 3500)
	require.NoError(t, newOn(t, fake, nil).Send(t.Context(), channeltest.SlackChannel, handover.RichMessage{Attachment: &handover.Attachment{
		Type: handover.AttachmentTemplate, Payload: handover.AttachmentPayload{TemplateType: handover.TemplateButton, Text: "Your bill", Buttons: []handover.Button{
			{Type: handover.ButtonURL, Title: "Open", URL: long}, {Type: handover.ButtonURL, Title: "Shop", URL: "https://a.b/"}}}}}))
	require.Contains(t, strings.Join(fake.Lines(), "\n"), "Open: "+long)
	require.Contains(t, strings.Join(fake.Lines(), "\n"), "[Shop]")
}
