package channeltest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// call makes a call of a fake of Meta's, and returns the status and the code of its answer.
func call(t *testing.T, client *http.Client, token, url, body string) (status, code int) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	var answer struct{ Error struct{ Code int } }
	b, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	_ = json.Unmarshal(b, &answer)
	return response.StatusCode, answer.Error.Code
}

// TestMessengerRefuses has messages that the Send API does not take, and their like that it takes.
func TestMessengerRefuses(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	reply := func(title, payload string) string {
		return fmt.Sprintf(`{"content_type":"text","title":%q,"payload":%q}`, title, payload)
	}
	replies := func(n int) string {
		return `{"text":"a","quick_replies":[` + strings.TrimSuffix(strings.Repeat(reply("a", "b")+",", n), ",") + `]}`
	}
	card := func(members string) string {
		return `{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[{"title":"a"` + members + `}]}}}`
	}
	template := func(text, buttons string) string {
		return fmt.Sprintf(`{"attachment":{"type":"template","payload":{"template_type":"button","text":%q,"buttons":[%s]}}}`, text, buttons)
	}
	button := `{"type":"postback","title":"a","payload":"b"}`
	for good, bad := range map[string]string{
		`{"text":"` + x(2000) + `"}`: `{"text":"` + x(2001) + `"}`,
		`{"text":"a"}`:               `{}`,
		replies(13):                  replies(14),
		`{"text":"a","quick_replies":[` + reply(x(20), "b") + `]}`:                 `{"text":"a","quick_replies":[` + reply(x(21), "b") + `]}`,
		`{"text":"a","quick_replies":[` + reply("a", x(1000)) + `]}`:               `{"text":"a","quick_replies":[` + reply("a", x(1001)) + `]}`,
		`{"text":"b","quick_replies":[{"content_type":"user_email"}]}`:             `{"text":"b","quick_replies":[` + reply("a", "") + `]}`,
		card(`,"subtitle":"` + x(80) + `"`):                                        card(`,"subtitle":"` + x(81) + `"`),
		card(`,"image_url":"https://a.invalid/"`):                                  card(``),
		card(`,"buttons":[` + button + "," + button + "," + button + `]`):          card(`,"buttons":[` + button + "," + button + "," + button + "," + button + `]`),
		template(x(640), button):                                                   template(x(641), button),
		template("a", button):                                                      template("a", ""),
		template("a", `{"type":"web_url","title":"a","url":"https://a.invalid/"}`): template("a", `{"type":"web_url","title":"a"}`),
		`{"attachment":{"type":"image","payload":{"url":"https://a.invalid/"}}}`:   `{"attachment":{"type":"image","payload":{"url":"/a"}}}`,
		`{"attachment":{"type":"file","payload":{"url":"https://a.invalid/"}}}`:    `{"attachment":{"type":"hologram","payload":{"url":"https://a.invalid/"}}}`,
		`{"text":"c"}`: `{"text":"c","unknown":1}`,
	} {
		fake := NewMessenger()
		fake.User("1")
		send := func(message string) (int, int) {
			return call(t, fake.Client(), fake.Token(), fake.URL()+"me/messages", `{"recipient":{"id":"1"},"messaging_type":"RESPONSE","message":`+message+`}`)
		}
		status, _ := send(good)
		require.Equal(t, http.StatusOK, status, good)
		status, code := send(bad)
		require.Equal(t, []int{http.StatusBadRequest, 100}, []int{status, code}, bad)
		require.Len(t, fake.Faults(), 1)
	}
	fake := NewMessenger()
	status, code := call(t, fake.Client(), "another token", fake.URL()+"me/messages", `{}`)
	require.Equal(t, []int{http.StatusUnauthorized, 190}, []int{status, code})
}

// TestWhatsAppRefuses has messages that the Cloud API does not take, and their like that it takes.
func TestWhatsAppRefuses(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	text := func(n int) string { return `"type":"text","text":{"body":"` + x(n) + `"}` }
	image := func(members string) string {
		return `"type":"image","image":{"link":"https://a.invalid/"` + members + `}`
	}
	buttons := func(body string, titles ...string) string {
		var all []string
		for i, title := range titles {
			all = append(all, fmt.Sprintf(`{"type":"reply","reply":{"id":"%d","title":%q}}`, i, title))
		}
		return fmt.Sprintf(`"type":"interactive","interactive":{"type":"button","body":{"text":%q},"action":{"buttons":[%s]}}`, body, strings.Join(all, ","))
	}
	list := func(button string, titles ...string) string {
		var all []string
		for i, title := range titles {
			all = append(all, fmt.Sprintf(`{"id":"%d","title":%q}`, i, title))
		}
		return fmt.Sprintf(`"type":"interactive","interactive":{"type":"list","body":{"text":"a"},"action":{"button":%q,"sections":[{"rows":[%s]}]}}`, button, strings.Join(all, ","))
	}
	ten := strings.Split("abcdefghij", "")
	for good, bad := range map[string]string{
		text(4096):                  text(4097),
		text(1):                     text(0),
		image(`,"caption":"a"`):     image(`,"caption":"` + x(1025) + `"`),
		image(``):                   image(`,"filename":"a"`),
		buttons("a", "b", "c", "d"): buttons("a", "b", "c", "d", "e"),
		buttons("a", x(20)):         buttons("a", x(21)),
		buttons(x(1024), "b"):       buttons(x(1025), "b"),
		buttons("a", "b"):           buttons("a", "b", "b"),
		buttons("b", "b"):           buttons("", "b"),
		list("a", ten...):           list("a", append(ten, "k")...),
		list("a", x(24)):            list("a", x(25)),
		list(x(20), "b"):            list(x(21), "b"),
		text(2):                     text(2) + `,"unknown":1`,
		`"type":"audio","audio":{"link":"https://a.invalid/"}`: `"type":"audio","audio":{"link":"https://a.invalid/","caption":"a"}`,
		`"type":"video","video":{"link":"https://a.invalid/"}`: `"type":"hologram"`,
	} {
		fake := NewWhatsApp()
		fake.User("1")
		send := func(message string) (int, int) {
			return call(t, fake.Client(), fake.Token(), fake.URL()+fake.PhoneNumberID()+"/messages", `{"messaging_product":"whatsapp","to":"1",`+message+`}`)
		}
		status, _ := send(good)
		require.Equal(t, http.StatusOK, status, good)
		status, _ = send(bad)
		require.Equal(t, http.StatusBadRequest, status, bad)
		require.Len(t, fake.Faults(), 1)
	}
	fake := NewWhatsApp()
	status, code := call(t, fake.Client(), "another token", fake.URL()+fake.PhoneNumberID()+"/messages", `{}`)
	require.Equal(t, []int{http.StatusUnauthorized, 190}, []int{status, code})
}

// TestWindows has the 24 hours after a user's last message pass.
func TestWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, w := NewMessenger(), NewWhatsApp()
		mUser, wUser := m.User("1"), w.User("1")
		codes := func(tag string) [2]int {
			_, a := call(t, m.Client(), m.Token(), m.URL()+"me/messages", `{"recipient":{"id":"1"},`+tag+`,"message":{"text":"a"}}`)
			_, b := call(t, w.Client(), w.Token(), w.URL()+w.PhoneNumberID()+"/messages", `{"messaging_product":"whatsapp","to":"1","type":"text","text":{"body":"a"}}`)
			return [2]int{a, b}
		}
		const response, human = `"messaging_type":"RESPONSE"`, `"messaging_type":"MESSAGE_TAG","tag":"HUMAN_AGENT"`
		require.Equal(t, [2]int{0, 0}, codes(response))
		time.Sleep(24 * time.Hour)
		require.Equal(t, [2]int{10, 131047}, codes(response))
		require.Equal(t, [2]int{10, 131047}, codes(human), "without the permission")
		m.HumanAgent = true
		require.Equal(t, [2]int{0, 131047}, codes(human))
		mUser.Write("hello")
		wUser.Write("hello")
		require.Equal(t, [2]int{0, 0}, codes(response))
		mUser.Block(true)
		wUser.Leave(true)
		require.Equal(t, [2]int{551, 131026}, codes(response))
	})
}

// TestHookRepeats has a hook that is down for a while: the pauses grow.
func TestHookRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := NewMessenger()
		require.ErrorContains(t, fake.Hook(http.NotFoundHandler()), "HTTP 404")
		tries := 0
		require.NoError(t, fake.Hook(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
				return
			}
			if tries++; tries < 4 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})))
		start := time.Now()
		fake.User("1").Write("hello")
		require.Equal(t, 4, tries)
		require.Equal(t, 35*time.Second, time.Since(start), "after 5, 10 and 20")
	})
}

// TestProof has calls without a proof of the app's secret, and with a wrong one.
func TestProof(t *testing.T) {
	messenger, whatsApp := NewMessenger(), NewWhatsApp()
	messenger.User("1")
	whatsApp.User("1")
	for _, c := range []struct {
		app    *meta
		client *http.Client
		url    string
		body   string
	}{
		{&messenger.meta, messenger.Client(), messenger.URL() + "me/messages", `{"recipient":{"id":"1"},"messaging_type":"RESPONSE","message":{"text":"a"}}`},
		{&whatsApp.meta, whatsApp.Client(), whatsApp.URL() + whatsApp.PhoneNumberID() + "/messages",
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"1","type":"text","text":{"body":"a"}}`},
	} {
		status, _ := call(t, c.client, c.app.Token(), c.url, c.body)
		require.Equal(t, http.StatusOK, status, "nobody has to prove anything")
		status, code := call(t, c.client, c.app.Token(), c.url+"?appsecret_proof=00", c.body)
		require.Equal(t, []int{http.StatusBadRequest, 100}, []int{status, code}, "a wrong proof")
		c.app.RequireAppSecret()
		status, code = call(t, c.client, c.app.Token(), c.url, c.body)
		require.Equal(t, []int{http.StatusBadRequest, 100}, []int{status, code}, "no proof")
	}
}
