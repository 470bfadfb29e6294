package messenger

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// hookBody is a post with these events.
func hookBody(events ...string) string {
	return `{"object":"page","entry":[{"id":"page-1","time":1700000000000,"messaging":[` + strings.Join(events, ",") + `]}]}`
}

// userEvent is an event of the user with these members.
func userEvent(members string) string {
	return `{"sender":{"id":"user-1"},"recipient":{"id":"page-1"},"timestamp":1700000000001,` + members + `}`
}

func TestIncoming(t *testing.T) {
	for name, c := range map[string]struct {
		event string
		want  handover.Incoming
	}{
		"text": {`"message":{"mid":"m1","text":"Hello"}`, handover.Incoming{ID: "m1", Text: "Hello"}},
		"quick reply": {`"message":{"mid":"m1","text":"Red","quick_reply":{"payload":"RED"}}`,
			handover.Incoming{ID: "m1", Text: "Red", Payload: "RED"}},
		"postback": {`"postback":{"mid":"m1","title":"Start","payload":"START"}`,
			handover.Incoming{ID: "m1", Text: "Start", Payload: "START"}},
		"postback of old": {`"postback":{"title":"Start","payload":"START"}`,
			handover.Incoming{ID: "postback 1700000000001", Text: "Start", Payload: "START"}},
		"reply": {`"message":{"mid":"m2","text":"This one","reply_to":{"mid":"m1"}}`, handover.Incoming{ID: "m2", Text: "This one"}},
		"edit": {`"message_edit":{"mid":"m1","text":"Hello!","num_edit":2}`,
			handover.Incoming{ID: "m1 edit 2", Text: "Hello!", Edits: "m1"}},
		"edit, as the page shows it": {`"message_edit":{"mid":"m1","text":"Hello!","num_edit":"1"}`,
			handover.Incoming{ID: "m1 edit 1", Text: "Hello!", Edits: "m1"}},
		"several attachments": {`"message":{"mid":"m1","text":"Look","attachments":[
				{"type":"image","payload":{"url":"https://cdn.invalid/a.png?x=1"}},
				{"type":"image","payload":{"url":"https://cdn.invalid/b","sticker_id":1}},
				{"type":"audio","payload":{"url":"https://cdn.invalid/c.mp4"}},
				{"type":"file","payload":{"url":"https://cdn.invalid/d.pdf"}},
				{"type":"file","payload":{"url":"https://cdn.invalid/e"}},
				{"type":"sticker","payload":{"url":"https://cdn.invalid/f"}}]}`,
			handover.Incoming{ID: "m1", Text: "Look", Files: []handover.File{
				{URL: "https://cdn.invalid/a.png?x=1", MIMEType: "image/png"}, {URL: "https://cdn.invalid/b", MIMEType: "image/jpeg"},
				{URL: "https://cdn.invalid/c.mp4", MIMEType: "audio/mp4"}, {URL: "https://cdn.invalid/d.pdf", MIMEType: "application/pdf"},
				{URL: "https://cdn.invalid/e"}, {URL: "https://cdn.invalid/f", MIMEType: "image/png"}}}},
		"location": {`"message":{"mid":"m1","attachments":[{"type":"location","title":"My place","payload":{"coordinates":{"lat":48.8584,"long":2.2945}}}]}`,
			handover.Incoming{ID: "m1", Text: "Location: 48.858400, 2.294500\nMy place"}},
		"shared link": {`"message":{"mid":"m1","text":"https://a.invalid/","attachments":[{"type":"fallback","title":"A page","url":"https://a.invalid/","payload":{"url":"https://a.invalid/"}}]}`,
			handover.Incoming{ID: "m1", Text: "https://a.invalid/\nA page"}},
		"picture that is kept back": {`"message":{"mid":"m1","text":"Look","attachments":[{"type":"image","payload":{}}]}`,
			handover.Incoming{ID: "m1", Text: "Look\n(image)"}},
		"something new": {`"message":{"mid":"m1","attachments":[{"type":"hologram","payload":{}}]}`, handover.Incoming{ID: "m1", Text: "(hologram)"}},
		"an SDK's value": {`"message":{"mid":"m1","text":"Hello","is_echo":false,"quick_reply":null,"attachments":null},"postback":null,"read":null`,
			handover.Incoming{ID: "m1", Text: "Hello"}},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := newChannel(t).Incoming(t.Context(), []byte(hookBody(userEvent(c.event))))
			require.NoError(t, err)
			c.want.Conversation = handover.Conversation{Source: "messenger", ID: "user-1"}
			c.want.At, c.want.Seq = time.UnixMilli(1700000000001), 1700000000001
			require.Equal(t, []handover.Incoming{c.want}, all)
		})
	}
}

// TestIgnored has what is no message of a user to this page.
func TestIgnored(t *testing.T) {
	const text = `"timestamp":1,"message":{"mid":"m1","text":"Hello"}`
	for name, body := range map[string]string{
		"echo":                  hookBody(userEvent(`"message":{"mid":"m1","text":"Hello","is_echo":true,"app_id":1}`)),
		"deleted":               hookBody(userEvent(`"message":{"mid":"m1","is_deleted":true}`)),
		"empty":                 hookBody(userEvent(`"message":{"mid":"m1"}`)),
		"without an id":         hookBody(userEvent(`"message":{"text":"Hello"}`)),
		"read":                  hookBody(userEvent(`"read":{"watermark":1700000000000}`)),
		"delivery":              hookBody(userEvent(`"delivery":{"mids":["m1"],"watermark":1700000000000}`)),
		"reaction":              hookBody(userEvent(`"reaction":{"mid":"m1","action":"react","emoji":"\u2764"}`)),
		"opt-in":                hookBody(userEvent(`"optin":{"ref":"x"}`)),
		"edit to nothing":       hookBody(userEvent(`"message_edit":{"mid":"m1","text":"","num_edit":1}`)),
		"the page itself":       hookBody(`{"sender":{"id":"page-1"},"recipient":{"id":"user-1"},` + text + `}`),
		"the page to itself":    hookBody(`{"sender":{"id":"page-1"},"recipient":{"id":"page-1"},` + text + `}`),
		"no sender":             hookBody(`{"recipient":{"id":"page-1"},` + text + `}`),
		"another page":          hookBody(`{"sender":{"id":"user-1"},"recipient":{"id":"page-2"},` + text + `}`),
		"another page's entry":  strings.Replace(hookBody(userEvent(text)), `"id":"page-1","time"`, `"id":"page-2","time"`, 1),
		"Instagram":             strings.Replace(hookBody(userEvent(text)), `"page"`, `"instagram"`, 1),
		"standby":               strings.Replace(hookBody(userEvent(text)), `"messaging"`, `"standby"`, 1),
		"a change of the page":  `{"object":"page","entry":[{"id":"page-1","changes":[{"field":"feed","value":{}}]}]}`,
		"nothing":               `{}`,
		"what follows an error": hookBody(),
	} {
		t.Run(name, func(t *testing.T) {
			all, err := newChannel(t).Incoming(t.Context(), []byte(body))
			require.NoError(t, err)
			require.Empty(t, all)
		})
	}
	for _, body := range []string{``, `{"entry":`, `{"entry":"page"}`, `[]`} {
		_, err := newChannel(t).Incoming(t.Context(), []byte(body))
		require.ErrorIs(t, err, errBody, body)
	}
}

// TestOddEvent has an event that is not as Meta documents it among others.
func TestOddEvent(t *testing.T) {
	all, err := newChannel(t).Incoming(t.Context(), []byte(hookBody(
		userEvent(`"message":{"mid":"m1","text":"one"}`), userEvent(`"message":{"mid":2,"text":[]}`), `7`, userEvent(`"message":{"mid":"m3","text":"three"}`))))
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "three", all[1].Text)
}

func FuzzIncoming(f *testing.F) {
	f.Add(hookBody(userEvent(`"message":{"mid":"m1","text":"Hello","attachments":[{"type":"image","payload":{"url":"https://a.invalid/%zz"}}]}`)))
	f.Add(hookBody(userEvent(`"message_edit":{"mid":"m1","text":"Hello!","num_edit":"\""}`)))
	f.Add(hookBody(userEvent(`"postback":{"title":"Start"}`)))
	f.Fuzz(func(t *testing.T, body string) {
		all, err := newChannel(t).Incoming(t.Context(), []byte(body))
		require.True(t, err == nil || len(all) == 0)
		for _, m := range all {
			require.NotEmpty(t, m.ID)
			require.NotEmpty(t, m.Conversation.ID)
			require.NotEqual(t, "page-1", m.Conversation.ID)
			require.True(t, m.Text != "" || m.Payload != "" || len(m.Files) > 0)
		}
	})
}

// hung is a Meta that does not answer.
type hung struct{}

func (hung) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestHungCall bounds calls, also those of a client that sets no limit.
func TestHungCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		c, err := New(Config{PageID: "page-1", Token: handover.NewSecret("page-token"), Client: &http.Client{Transport: hung{}}})
		require.NoError(t, err)
		began := time.Now()
		require.ErrorIs(t, c.Send(ctx, "user-1", handover.TextMessage("Hello")), context.DeadlineExceeded)
		require.Equal(t, callTime, time.Since(began))
	})
}
