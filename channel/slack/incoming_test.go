package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
)

// event wraps an event as Slack documents it.
func eventOf(members string) []byte {
	return []byte(`{"type":"event_callback","team_id":"T1","authorizations":[{"team_id":"T1","user_id":"U0BOT","is_bot":true}],"event":{` + members + `}}`)
}

const im = `"type":"message","channel":"D1","channel_type":"im","user":"U1","ts":"1700000000.000100","event_ts":"1700000000.000200"`

func TestIncoming(t *testing.T) {
	at := time.Unix(1700000000, 100_000)
	for name, tt := range map[string]struct {
		event string
		want  handover.Incoming // without what all have
		none  bool
	}{
		"text":             {event: im + `,"text":"hello"`, want: handover.Incoming{Text: "hello"}},
		"escapes":          {event: im + `,"text":"5 &lt; 6 &amp;amp; <https://a.b/?x=1&amp;y|our shop> <https://c.d> <mailto:a@b.c|a@b.c> <tel:+1555|+1555> <http://e.f|e.f>"`, want: handover.Incoming{Text: "5 < 6 &amp; our shop (https://a.b/?x=1&y) https://c.d a@b.c +1555 http://e.f"}},
		"mentions":         {event: im + `,"text":"<@U0BOT> hi <@U2> <@U3|ann> <#C1|general> <#C2> <!here> <!subteam^S1|@team> <>"`, want: handover.Incoming{Text: "hi @U2 @ann #general #C2 @here @team <>"}},
		"an edit":          {event: `"type":"message","subtype":"message_changed","channel":"D1","channel_type":"im","ts":"1700000009.000000","event_ts":"1700000009.000300","message":{"user":"U1","ts":"1700000000.000100","text":"hallo","edited":{"ts":"1700000008.000000"}},"previous_message":{"text":"helo"}`, want: handover.Incoming{ID: "edit 1700000009.000300", Edits: "1700000000.000100", Text: "hallo", At: time.Unix(1700000008, 0)}},
		"a file":           {event: im + `,"subtype":"file_share","text":"","files":[{"id":"F1","name":"a.ogg","mimetype":"audio/ogg","size":9,"duration_ms":3000.5,"url_private":"https://files.slack.com/x"},{"id":"F2","mode":"tombstone"}]`, want: handover.Incoming{Files: []handover.File{{ID: "F1", Name: "a.ogg", MIMEType: "audio/ogg", Size: 9, Duration: 3 * time.Second}}}},
		"a file elsewhere": {event: im + `,"subtype":"file_share","text":"see","files":[{"id":"F1","name":"doc","mode":"external","external_url":"https://docs.example/1"}]`, want: handover.Incoming{Text: "see\ndoc https://docs.example/1"}},
		"a shared message": {event: im + `,"text":"look","attachments":[{"is_share":true,"author_name":"Ann","text":"My &lt;invoice&gt; is wrong","fallback":"x","files":[{"id":"F1"}]}]`, want: handover.Incoming{Text: "look\nAnn: My <invoice> is wrong", Files: []handover.File{{ID: "F1"}}}},
		"only shared":      {event: im + `,"text":"","attachments":[{"is_share":true,"fallback":"[Nov 14th] ann: wrong"}]`, want: handover.Incoming{Text: "[Nov 14th] ann: wrong"}},
		"a link's preview": {event: im + `,"text":"https://a.b","attachments":[{"text":"A shop","fallback":"A shop"}]`, want: handover.Incoming{Text: "https://a.b"}},
		"of oneself":       {event: im + `,"subtype":"me_message","text":"is angry"`, want: handover.Incoming{Text: "is angry"}},
		"a lost file":      {event: im + `,"subtype":"file_share","text":"","files":[{"id":"F2","mode":"tombstone"}]`, want: handover.Incoming{Text: "(file)"}},
		"an unknown block": {event: im + `,"text":"","blocks":[{"type":"holo_gram"}]`, want: handover.Incoming{Text: "(holo gram)"}},
		"a preview":        {event: `"type":"message","subtype":"message_changed","channel":"D1","channel_type":"im","message":{"user":"U1","ts":"1.1","text":"same"},"previous_message":{"text":"same"}`, none: true},
		"a removal":        {event: `"type":"message","subtype":"message_deleted","channel":"D1","channel_type":"im","deleted_ts":"1.1"`, none: true},
		"a bot":            {event: im + `,"text":"x","bot_id":"B1"`, none: true},
		"a bot's edit":     {event: `"type":"message","subtype":"message_changed","channel":"D1","channel_type":"im","message":{"user":"U1","bot_id":"B1","ts":"1.1","text":"b"},"previous_message":{"text":"a"}`, none: true},
		"Slackbot":         {event: `"type":"message","channel":"D1","channel_type":"im","user":"USLACKBOT","ts":"1.1","text":"x"`, none: true},
		"somebody joins":   {event: `"type":"message","subtype":"channel_join","channel":"D1","channel_type":"im","user":"U1","ts":"1.1","text":"joined"`, none: true},
		"a channel":        {event: `"type":"message","channel":"C1","channel_type":"channel","user":"U1","ts":"1.1","text":"x"`, none: true},
		"a mention there":  {event: `"type":"app_mention","channel":"C1","user":"U1","ts":"1.1","text":"<@U0BOT> x"`, none: true},
		"a reaction":       {event: `"type":"reaction_added","user":"U1"`, none: true},
		"nothing":          {event: im + `,"text":" "`, none: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newOn(t, channeltest.NewSlack(), nil)
			in, ok, err := c.Incoming(t.Context(), eventOf(tt.event))
			require.NoError(t, err)
			require.Equal(t, !tt.none, ok)
			if tt.none {
				return
			}
			want := tt.want
			want.Conversation = handover.Conversation{Source: "slack", ID: "D1"}
			if want.ID == "" {
				want.ID, want.At, want.Seq = "1700000000.000100", at, at.UnixMicro()
			}
			require.Equal(t, want, in)
		})
	}
}

// TestThreads takes a thread from the mention of the bot on.
func TestThreads(t *testing.T) {
	fake, sent := channeltest.NewSlack(), &channel.Memory{}
	c := newOn(t, fake, sent)
	c.config.Channels, c.config.TeamID = true, "T1"
	takes := func(event string) (string, bool) {
		in, ok, err := c.Incoming(t.Context(), eventOf(event))
		require.NoError(t, err)
		return in.Conversation.ID + " " + in.Text, ok
	}
	_, ok := takes(`"type":"message","channel":"C1","channel_type":"channel","user":"U1","ts":"1.1","thread_ts":"1.0","text":"before"`)
	require.False(t, ok)
	for _, kind := range []string{`"type":"app_mention"`, `"type":"message","channel_type":"channel"`} { // Slack sends both
		got, ok := takes(kind + `,"channel":"C1","user":"U1","ts":"2.1","text":"<@U0BOT> help"`)
		require.True(t, ok)
		require.Equal(t, "C1/2.1 help", got)
	}
	got, ok := takes(`"type":"message","channel":"C1","channel_type":"channel","user":"U1","ts":"2.2","thread_ts":"2.1","text":"more"`)
	require.True(t, ok)
	require.Equal(t, "C1/2.1 more", got)
	_, ok = takes(`"type":"message","channel":"C1","channel_type":"channel","user":"U1","ts":"2.3","text":"to all"`)
	require.False(t, ok)
	press := `{"type":"block_actions","team":{"id":"T1"},"user":{"id":"U1"},"channel":{"id":"C1"},"message":{"ts":"2.4","thread_ts":"2.1"},"actions":[{"type":"button","action_id":"choice-1","value":"y","action_ts":"3.1","text":{"type":"plain_text","text":"Yes"}}]}`
	in, ok, err := c.Incoming(t.Context(), []byte(press))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "C1/2.1 y Yes", in.Conversation.ID+" "+in.Payload+" "+in.Text)
	for _, other := range []string{strings.Replace(press, "T1", "T2", 1), strings.Replace(press, "choice-1", "link-1", 1), strings.Replace(press, `"button"`, `"datepicker"`, 1)} {
		_, ok, err = c.Incoming(t.Context(), []byte(other))
		require.NoError(t, err)
		require.False(t, ok, other)
	}
	c.config.TeamID = "T2"
	_, ok = takes(`"type":"app_mention","channel":"C1","user":"U1","ts":"4.1","text":"x"`)
	require.False(t, ok, "another workspace")
}

// brittle is a Sent that can fail.
type brittle struct {
	channel.Memory
	fails bool
}

func (b *brittle) Recall(ctx context.Context, key string) (string, bool, error) {
	if b.fails {
		return "", false, errors.New("the store is away")
	}
	return b.Memory.Recall(ctx, key)
}

func (b *brittle) Keep(ctx context.Context, key, value string) error {
	if b.fails {
		return errors.New("the store is away")
	}
	return b.Memory.Keep(ctx, key, value)
}

// TestThreadsWithoutMemory has Slack post again what may be in a thread of the bot's.
func TestThreadsWithoutMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, sent := channeltest.NewSlack(), &brittle{}
		c := newOn(t, fake, sent)
		c.config.Channels, c.config.Logger = true, slog.New(slog.DiscardHandler)
		var took []string
		require.NoError(t, fake.Hook(c.Webhook(func(_ context.Context, m handover.Incoming) error {
			took = append(took, m.Text)
			return nil
		})))
		for _, event := range []string{
			`"type":"app_mention","channel":"C1","user":"U1","ts":"2.1","text":"help"`,
			`"type":"message","channel":"C1","channel_type":"channel","user":"U1","ts":"2.2","thread_ts":"2.1","text":"more"`,
		} {
			sent.fails = true
			status, _ := fake.Post(t.Context(), "application/json", eventOf(event))
			require.Equal(t, http.StatusServiceUnavailable, status)
			sent.fails = false
			status, _ = fake.Post(t.Context(), "application/json", eventOf(event))
			require.Equal(t, http.StatusOK, status)
		}
		require.Equal(t, []string{"help", "more"}, took)
	})
}

// TestOtherEvents leaves alone what a bot did not ask for, whatever its form.
func TestOtherEvents(t *testing.T) {
	c := newOn(t, channeltest.NewSlack(), nil)
	for _, event := range []string{
		`"type":"team_join","user":{"id":"U1"}`,
		`"type":"channel_created","channel":{"id":"C1","name":"fun"}`,
		`"type":"file_created","files":"none"`,
		`"type":7`,
	} {
		_, ok, err := c.Incoming(t.Context(), eventOf(event))
		require.NoError(t, err, event)
		require.False(t, ok)
	}
	_, ok, err := c.Incoming(t.Context(), []byte(`{"type":"event_callback","event":7}`))
	require.NoError(t, err)
	require.False(t, ok)
	_, _, err = c.Incoming(t.Context(), eventOf(im+`,"text":7`))
	require.ErrorIs(t, err, errNotJSON, "a message that cannot be read is not left alone")
}

// never is a body that does not come.
type never struct{ ctx context.Context }

func (n never) Read([]byte) (int, error) { <-n.ctx.Done(); return 0, io.EOF }

// TestSlowBody bounds how long a stranger may take.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := httptest.NewRecorder()
		newOn(t, channeltest.NewSlack(), nil).Webhook(nil).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/slack", never{ctx}))
		require.Equal(t, http.StatusRequestTimeout, w.Code)
	})
}

func FuzzIncoming(f *testing.F) {
	f.Add(eventOf(im + `,"text":"<https://a.b|c> &amp; <@U1>"`))
	f.Add([]byte(`{"type":"block_actions","user":{"id":"U1"},"channel":{"id":"D1"},"actions":[{"type":"button","value":"y","action_ts":"9999999999999.9"}]}`))
	f.Add(eventOf(im + `,"files":[{"id":"F","duration_ms":1e300,"size":-1}]`))
	c, err := New(Config{Token: handover.NewSecret("xoxb-1"), SigningSecret: handover.NewSecret("s")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, ok, err := c.Incoming(t.Context(), raw)
		if err != nil || !ok {
			return
		}
		require.NotEmpty(t, in.ID)
		require.NotEmpty(t, in.Conversation.ID)
		for _, f := range in.Files {
			require.GreaterOrEqual(t, f.Duration, time.Duration(0))
		}
	})
}

func TestWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := channeltest.NewSlack()
		c := newOn(t, fake, nil)
		c.config.Logger = slog.New(slog.DiscardHandler)
		var took []handover.Incoming
		var fails error
		require.NoError(t, fake.Hook(c.Webhook(func(_ context.Context, m handover.Incoming) error {
			err := fails
			if fails = nil; err == nil {
				took = append(took, m)
			}
			return err
		})))
		fails = errors.New("the store is away")
		fake.Write("hello") // is posted again
		require.Len(t, took, 1)
		require.NoError(t, c.Send(t.Context(), channeltest.SlackChannel, handover.RichMessage{Text: "?", QuickReplies: []handover.QuickReply{{Title: "Yes", Payload: "y"}}}))
		require.True(t, fake.Press("Yes"))
		require.Len(t, took, 2)
		require.Equal(t, "y", took[1].Payload)
		fails = handover.ErrBadMessage
		fake.Write("never")
		require.Len(t, took, 2)

		hello := eventOf(im + `,"text":"hello"`)
		post := func(body []byte, stamp time.Time, signature string) int {
			status, _ := fake.PostSigned(t.Context(), "application/json", body, fmt.Sprint(stamp.Unix()), signature)
			return status
		}
		require.Equal(t, http.StatusUnauthorized, post(hello, time.Now(), ""))
		require.Equal(t, http.StatusUnauthorized, post(hello, time.Now(), "v0=00"))
		require.Equal(t, http.StatusUnauthorized, post(hello, time.Now(), "v1="+strings.Repeat("0", 64)))
		status, _ := fake.Post(t.Context(), "application/json", []byte("{"))
		require.Equal(t, http.StatusBadRequest, status)
		status, _ = fake.Post(t.Context(), "application/x-www-form-urlencoded", []byte("x=y"))
		require.Equal(t, http.StatusBadRequest, status)
		status, _ = fake.Post(t.Context(), "application/json", []byte(strings.Repeat(" ", 2<<20)))
		require.Equal(t, http.StatusRequestEntityTooLarge, status)
		status, _ = fake.Post(t.Context(), "application/x-www-form-urlencoded", []byte(url.Values{"payload": {`{"type":"view_submission"}`}}.Encode()))
		require.Equal(t, http.StatusOK, status)
		require.Len(t, took, 2)
	})
}

// TestSignature has the example of Slack's documentation, of December 2018, verified at that time and ten minutes later.
func TestSignature(t *testing.T) {
	body := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	h := http.Header{"X-Slack-Request-Timestamp": {"1531420618"}, "X-Slack-Signature": {"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"}}
	c, err := New(Config{Token: handover.NewSecret("xoxb-1"), SigningSecret: handover.NewSecret("8f742231b10e8888abcd99yyyzzz85a5")})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(1531420618, 0)))
		require.True(t, c.genuine(h, []byte(body)))
		require.False(t, c.genuine(h, []byte(body+"x")))
		time.Sleep(10 * time.Minute)
		require.False(t, c.genuine(h, []byte(body)), "a repeat by somebody who listened")
	})
}

func TestOpenFile(t *testing.T) {
	fake := channeltest.NewSlack()
	c := newOn(t, fake, nil)
	fake.File("a.png", "image/png", []byte("picture"))
	in, ok, err := c.Incoming(t.Context(), fake.Posts()[0])
	require.NoError(t, err)
	require.True(t, ok)
	file, err := c.OpenFile(t.Context(), in.Conversation, in.Files[0].ID)
	require.NoError(t, err)
	content, err := io.ReadAll(file.Body)
	require.NoError(t, err)
	require.NoError(t, file.Body.Close())
	require.Equal(t, "picture", string(content))
	require.Equal(t, "image/png", file.MIMEType)
	_, err = c.OpenFile(t.Context(), in.Conversation, "F9")
	require.ErrorContains(t, err, "file_not_found")

	for address, want := range map[string]bool{
		"https://files.slack.com/files-pri/T1-F1/a.png": true, "https://slack.invalid/files/1": true, "http://files.slack.com/x": false,
		"https://files.slack.com.evil.example/x": false, "https://evilslack.com/x": false, "https://a@files.slack.com/x": false, "": false,
	} {
		require.Equal(t, want, c.ours(address), "the token goes to Slack only: %s", address)
	}
}
