package webchat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// begins opens the page at a handler without a socket, where time is faked.
func begins(t *testing.T, h http.Handler, body string, cookie *http.Cookie, change ...func(*http.Request)) (*http.Response, *http.Cookie) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/chat/session", strings.NewReader(body))
	if cookie != nil {
		r.AddCookie(cookie)
	}
	for _, fn := range change {
		fn(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		cookie = c
	}
	return w.Result(), cookie
}

// nameIn is the name of the session that an answer gives.
func nameIn(t *testing.T, response *http.Response) string {
	t.Helper()
	require.Equal(t, 200, response.StatusCode)
	var b begun
	require.NoError(t, json.NewDecoder(response.Body).Decode(&b))
	return b.Name
}

func newChat(t *testing.T, change ...func(*Config)) *Chat {
	t.Helper()
	c := Config{URL: testURL, Key: handover.NewSecret(testKey)}
	for _, fn := range change {
		fn(&c)
	}
	chat, err := New(c)
	require.NoError(t, err)
	return chat
}

// TestSessions follows one browser through a day of a user.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat(t)
		h := chat.Handler(nobody{})
		first, cookie := begins(t, h, `{"session":""}`, nil)
		guest := nameIn(t, first)
		time.Sleep(20 * 24 * time.Hour)
		again, cookie := begins(t, h, `{"session":""}`, cookie)
		require.Equal(t, guest, nameIn(t, again), "a guest who comes back")
		time.Sleep(20 * 24 * time.Hour)
		again, cookie = begins(t, h, `{"session":null}`, cookie)
		require.Equal(t, guest, nameIn(t, again), "each visit counts")

		token, err := chat.Token(Login{UserID: "42", User: handover.UserData{FirstName: "Ann"}})
		require.NoError(t, err)
		login := fmt.Sprintf(`{"session":%q}`, token)
		in, cookie := begins(t, h, login, cookie)
		user := nameIn(t, in)
		require.NotEqual(t, guest, user)
		elsewhere, _ := begins(t, h, login, nil)
		require.Equal(t, user, nameIn(t, elsewhere), "the same conversation in each browser")
		alone, cookie := begins(t, h, `{"session":null}`, cookie)
		require.Equal(t, user, nameIn(t, alone), "the page by itself goes on")
		v, err := chat.Visitor(t.Context(), chat.Conversation("42"))
		require.NoError(t, err)
		require.Equal(t, "Ann", v.User.FirstName, "and what is known of the user stays")

		out, outside := begins(t, h, `{"session":""}`, cookie)
		require.NotContains(t, []string{user, guest}, nameIn(t, out), "who signed out leaves nothing to the next")
		require.NotEqual(t, cookie.Value, outside.Value)

		time.Sleep(defaultTTL)
		late, _ := begins(t, h, login, nil)
		require.Equal(t, 401, late.StatusCode, "a login that expired")
		r := httptest.NewRequest(http.MethodGet, "/chat/session", nil)
		r.AddCookie(cookie)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, 401, w.Code, "and its session with it")
		gone, _ := begins(t, h, `{"session":null}`, cookie)
		require.NotEqual(t, user, nameIn(t, gone))
	})
}

// TestForged takes no session that the host did not sign.
func TestForged(t *testing.T) {
	chat := newChat(t, func(c *Config) { c.OldKeys = handover.NewSecrets(strings.Repeat("o", 32)) })
	h := chat.Handler(nobody{})
	other := newChat(t, func(c *Config) { c.Key = handover.NewSecret(strings.Repeat("x", 32)) })
	old := newChat(t, func(c *Config) { c.Key = handover.NewSecret(strings.Repeat("o", 32)) })
	status := func(c *Chat, change func(string) string) int {
		token, err := c.Token(Login{UserID: "42"})
		require.NoError(t, err)
		response, _ := begins(t, h, fmt.Sprintf(`{"session":%q}`, change(token)), nil)
		return response.StatusCode
	}
	same := func(s string) string { return s }
	require.Equal(t, 200, status(chat, same))
	require.Equal(t, 200, status(old, same), "a former key")
	require.Equal(t, 401, status(other, same), "another's")
	require.Equal(t, 401, status(chat, func(s string) string { return "B" + s[1:] }), "a later end") // it begins with an A
	require.Equal(t, 401, status(chat, func(string) string { return "nonsense" }))
	require.Equal(t, 401, status(chat, func(string) string { return strings.Repeat("x", maxToken+1) }))
	_, cookie := begins(t, h, `{"session":""}`, nil)
	require.Equal(t, 401, status(chat, func(string) string { return cookie.Value }), "a cookie is no login")

	for _, bad := range []Login{{}, {UserID: strings.Repeat("x", maxUserID+1)}, {UserID: "1", User: handover.UserData{Data: map[string]any{"x": strings.Repeat("x", maxToken)}}}} {
		_, err := chat.Token(bad)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "xxx")
	}
}

// TestCookie is as strict as it can be.
func TestCookie(t *testing.T) {
	proxied := func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }
	for name, c := range map[string]struct {
		url, path string
		trust     bool
		change    func(*http.Request)
		secure    bool
	}{
		"https":               {url: "https://shop.example/chat", path: "/chat/", secure: true},
		"http":                {url: "http://127.0.0.1:8080/chat/", path: "/chat/"},
		"at the root":         {url: "https://chat.shop.example", path: "/", secure: true},
		"a proxy":             {url: "http://shop.example/chat/", path: "/chat/", trust: true, change: proxied, secure: true},
		"a stranger's header": {url: "http://shop.example/chat/", path: "/chat/", change: proxied},
	} {
		t.Run(name, func(t *testing.T) {
			chat := newChat(t, func(conf *Config) { conf.URL, conf.TrustProxy = c.url, c.trust })
			_, cookie := begins(t, chat.Handler(nobody{}), `{"session":""}`, nil, func(r *http.Request) {
				r.URL.Path = c.path + "session"
				if c.change != nil {
					c.change(r)
				}
			})
			require.NotNil(t, cookie)
			require.True(t, cookie.HttpOnly)
			require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
			require.Equal(t, c.secure, cookie.Secure)
			require.Equal(t, c.path, cookie.Path)
		})
	}
}

// TestLocale chooses the language: the host's word, else the page's, else the browser's, else the host's for all.
func TestLocale(t *testing.T) {
	chat := newChat(t, func(c *Config) { c.Locale = "nl" })
	h := chat.Handler(nobody{})
	token := func(locale string) string {
		token, err := chat.Token(Login{UserID: "42", Locale: locale})
		require.NoError(t, err)
		return token
	}
	for name, c := range map[string]struct {
		session, page, browser string
		want                   string
	}{
		"the host's":  {token("pt-BR"), "fr", "de", "pt"},
		"the page's":  {token(""), "fr-CA", "de", "fr"},
		"the browser": {"", "", "sv, de-AT;q=0.8, en;q=0.5", "de"},
		"none":        {"", "tlh", "sv", "nl"},
		"unknown":     {token("sv"), "fr", "de", "nl"},
		"nonsense":    {"", strings.Repeat(",", 1000), ";;;,,,", "nl"},
	} {
		t.Run(name, func(t *testing.T) {
			response, _ := begins(t, h, fmt.Sprintf(`{"session":%q,"locale":%q}`, c.session, c.page), nil, func(r *http.Request) { r.Header.Set("Accept-Language", c.browser) })
			var b begun
			require.NoError(t, json.NewDecoder(response.Body).Decode(&b))
			require.Equal(t, c.want, b.Locale)
			require.Equal(t, words[c.want], b.Words)
			require.Equal(t, c.want == "ar", b.Right)
		})
	}
	v, err := chat.Visitor(t.Context(), chat.Conversation("42"))
	require.NoError(t, err)
	require.NotEmpty(t, v.Locale)
}
