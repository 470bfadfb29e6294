package telegram

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
)

func TestNewRefuses(t *testing.T) {
	for name, config := range map[string]Config{
		"no token":       {},
		"half a token":   {Token: handover.NewSecret("secret")},
		"a line break":   {Token: handover.NewSecret("1:secret\n")},
		"a path":         {Token: handover.NewSecret("1:secret/../x")},
		"no server":      {Token: handover.NewSecret("1:secret"), BaseURL: "telegram"},
		"a server's key": {Token: handover.NewSecret("1:secret"), BaseURL: "https://a:b@c.d"},
	} {
		_, err := New(config)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "secret", name)
	}
}

// TestTokenIsInNoError has calls fail in ways whose errors hold the URL.
func TestTokenIsInNoError(t *testing.T) {
	moved := httptest.NewServer(http.RedirectHandler("https://elsewhere.invalid/", http.StatusTemporaryRedirect))
	defer moved.Close()
	for name, config := range map[string]Config{
		"nobody listens":  {BaseURL: "http://127.0.0.1:1"},
		"a loud client":   {Client: &http.Client{Transport: loud{}}},
		"another address": {BaseURL: moved.URL},
	} {
		config.Token = handover.NewSecret("4711:secret")
		c, err := New(config)
		require.NoError(t, err)
		err = c.Send(t.Context(), "7", handover.TextMessage("hello"))
		require.Error(t, err, name)
		for e := err; e != nil; e = errors.Unwrap(e) {
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", e, e, e), "secret", name)
		}
		_, err = c.OpenFile(t.Context(), handover.Conversation{}, "x")
		require.Error(t, err, name)
		require.NotContains(t, fmt.Sprintf("%+v %#v", err, err), "secret", name)
	}
}

// loud tells the URL in its error.
type loud struct{}

func (loud) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, errors.New("cannot reach " + r.URL.String())
}

// TestKeyboard lays short buttons side by side.
func TestKeyboard(t *testing.T) {
	c := newOn(t, channeltest.NewTelegram(), nil)
	k, err := c.rows(t.Context(), []channel.Button{{Title: "Yes", Payload: "y"}, {Title: "No", Payload: "n"}, {Title: "Contact me back via email", Payload: "e"}, {Title: "Shop", URL: "https://a.b"}, {Title: "Bare"}})
	require.NoError(t, err)
	require.Equal(t, [][]button{{{Text: "Yes", Data: "y"}, {Text: "No", Data: "n"}}, {{Text: "Contact me back via email", Data: "e"}},
		{{Text: "Shop", URL: "https://a.b"}, {Text: "Bare", Data: "Bare"}}}, k.Rows)
}

// TestFilesThatTelegramDoesNotTake come as links.
func TestFilesThatTelegramDoesNotTake(t *testing.T) {
	fake := channeltest.NewTelegram()
	c := newOn(t, fake, nil)
	fake.Fail(channeltest.Format, 0, 1)
	file := handover.RichMessage{Attachment: &handover.Attachment{Type: handover.AttachmentFile, Payload: handover.AttachmentPayload{URL: "https://files.example/bill.docx"}}}
	_, err := c.Deliver(t.Context(), handover.Session{Conversation: handover.Conversation{ID: "7"}}, handover.Message{ID: "1", From: handover.FromAgent, Agent: handover.Agent{Name: "Ann"}, Content: file})
	require.NoError(t, err)
	require.Equal(t, []string{"Ann:\nhttps://files.example/bill.docx"}, fake.Lines())
}

// TestMarkupThatTelegramDoesNotTake comes without it.
func TestMarkupThatTelegramDoesNotTake(t *testing.T) {
	fake := channeltest.NewTelegram()
	c := newOn(t, fake, nil)
	fake.Fail(channeltest.Format, 0, 1)
	m := handover.Message{ID: "1", From: handover.FromAgent, Agent: handover.Agent{Name: "Ann"}, Content: handover.TextMessage("**5 < 6**")}
	_, err := c.Deliver(t.Context(), handover.Session{Conversation: handover.Conversation{ID: "7"}}, m)
	require.NoError(t, err)
	require.Equal(t, "Ann: 5 < 6", fake.Seen()[0].Raw)
	require.Equal(t, 2, fake.Calls("sendMessage"))
	m.ID = "2"
	_, err = c.Deliver(t.Context(), handover.Session{Conversation: handover.Conversation{ID: "7"}}, m)
	require.NoError(t, err)
	require.Equal(t, "Ann: <b>5 &lt; 6</b>", fake.Seen()[1].Raw)
	require.Equal(t, 3, fake.Calls("sendMessage"))
}

// TestRemovalAfterTwoDays empties what Telegram does not remove any more.
func TestRemovalAfterTwoDays(t *testing.T) {
	var calls []string
	c, err := New(Config{Token: handover.NewSecret("1:x"), Client: &http.Client{Transport: answering(func(r *http.Request) string {
		method := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		calls = append(calls, method)
		if method == "deleteMessage" {
			return `{"ok":false,"error_code":400,"description":"Bad Request: message can't be deleted for everyone"}`
		}
		return `{"ok":true,"result":{"message_id":5}}`
	})}})
	require.NoError(t, err)
	err = c.Revise(t.Context(), handover.Session{Conversation: handover.Conversation{ID: "7"}}, handover.Revision{Message: handover.Message{ChannelID: "5"}, Removed: true})
	require.NoError(t, err)
	require.Equal(t, []string{"deleteMessage", "editMessageText"}, calls)
}

func TestUser(t *testing.T) {
	c := newOn(t, channeltest.NewTelegram(), nil)
	require.Equal(t, handover.UserData{FirstName: "Jim", LastName: "Knopf"}, c.User(t.Context(), handover.Conversation{ID: "7"}))
	require.Empty(t, c.User(t.Context(), handover.Conversation{ID: "8"}))
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
		`{"ok":false,"error_code":403,"description":"Forbidden: user is deactivated"}`:                                   handover.ErrUserAway,
		`{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`:                                      handover.ErrUserAway,
		`{"ok":false,"error_code":400,"description":"Bad Request: not enough rights to send text messages to the chat"}`: handover.ErrUserAway,
		`{"ok":false,"error_code":400,"description":"Bad Request: CHAT_WRITE_FORBIDDEN"}`:                                handover.ErrUserAway,
		`{"ok":false,"error_code":400,"description":"Bad Request: BUTTON_URL_INVALID"}`:                                  errors.ErrUnsupported,
		`{"ok":false,"error_code":413,"description":"Request Entity Too Large"}`:                                         errors.ErrUnsupported,
		`{"ok":false,"error_code":500,"description":"Internal Server Error: secret words of hers"}`:                      nil,
		`not JSON`: nil,
	} {
		c, err := New(Config{Token: handover.NewSecret("1:x"), Client: &http.Client{Transport: answering(func(*http.Request) string { return answer })}})
		require.NoError(t, err)
		err = c.Send(t.Context(), "7", handover.TextMessage("hello"))
		require.Error(t, err, answer)
		require.NotContains(t, err.Error(), "hers")
		for _, meaning := range []error{handover.ErrUserAway, errors.ErrUnsupported} {
			require.Equal(t, meaning == want, errors.Is(err, meaning), answer)
		}
	}
}

// TestGroupThatMoved becomes a supergroup: its conversation stays, both ways.
func TestGroupThatMoved(t *testing.T) {
	for name, told := range map[string]bool{"a call tells": false, "an update tells": true} {
		t.Run(name, func(t *testing.T) {
			var to []string
			c, err := New(Config{Token: handover.NewSecret("1:x"), Groups: true, Client: &http.Client{Transport: answering(func(r *http.Request) string {
				var in struct {
					Chat string `json:"chat_id"`
				}
				require.NoError(t, json.NewDecoder(r.Body).Decode(&in))
				to = append(to, in.Chat)
				if in.Chat == "-7" {
					return `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1007}}`
				}
				return `{"ok":true,"result":{"message_id":9}}`
			})}})
			require.NoError(t, err)
			update := `{"update_id":1,"message":{"message_id":2,"date":1700000000,"from":{"id":5},"chat":{"id":-1007,"type":"supergroup"},`
			want := []string{"-7", "-1007", "-1007"}
			if told {
				_, ok, err := c.Incoming(t.Context(), []byte(update+`"migrate_from_chat_id":-7}}`))
				require.NoError(t, err)
				require.False(t, ok)
				want = want[1:]
			}
			for range 2 {
				require.NoError(t, c.Send(t.Context(), "-7", handover.TextMessage("Hi")))
			}
			require.Equal(t, want, to)
			in, ok, err := c.Incoming(t.Context(), []byte(update+`"text":"hello"}}`))
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, "-7", in.Conversation.ID)
		})
	}
}
