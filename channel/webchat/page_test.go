package webchat

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// gets makes a request without a cookie.
func gets(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestPages serves the page, the widget and their files, and nothing else.
func TestPages(t *testing.T) {
	chat := newChat(t, func(c *Config) { c.FrameAncestors = []string{"https://www.shop.example"} })
	h := chat.Handler(nobody{})
	w := gets(h, "/chat/")
	require.Equal(t, 200, w.Code)
	policy := w.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'self' https://www.shop.example;", "require-trusted-types-for 'script'"} {
		require.Contains(t, policy, part)
	}
	require.NotContains(t, policy, "unsafe")
	require.Empty(t, w.Result().Cookies(), "nobody has a session who only looks")
	for path, kind := range map[string]string{
		"/chat/widget.js": "text/javascript; charset=utf-8", "/chat/page/chat.js": "text/javascript; charset=utf-8",
		"/chat/page/style.css": "text/css; charset=utf-8", "/chat/page/icon.svg": "image/svg+xml",
	} {
		w := gets(h, path)
		require.Equal(t, 200, w.Code, path)
		require.Equal(t, kind, w.Header().Get("Content-Type"), path)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), path)
		require.Equal(t, 304, gets(h, path, "If-None-Match", w.Header().Get("ETag")).Code, path)
	}
	for _, path := range []string{"/chat/page/", "/chat/page/widget.js", "/chat/page/index.html", "/chat/page/..%2fpage.go", "/chat/words/en.json", "/chat/files/", "/chat/files/x/y", "/chat/nothing"} {
		require.Equal(t, 404, gets(h, path).Code, path)
	}
	require.Equal(t, "/chat/", gets(h, "/chat").Header().Get("Location"))
	require.Equal(t, 200, gets(http.StripPrefix("/chat", h), "/chat/widget.js").Code, "with the path taken off")
	require.Equal(t, 405, func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/chat/messages", nil))
		return w.Code
	}())
}

// TestScripts has no way from a text to HTML or code, and nothing of a third party.
func TestScripts(t *testing.T) {
	for name, a := range assets {
		require.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|\bimport\(`, string(a.content), name)
		for _, address := range regexp.MustCompile(`https?://[^"'\s)>]+`).FindAllString(string(a.content), -1) {
			require.Contains(t, []string{"http://www.w3.org/2000/svg"}, address, name)
		}
		require.Less(t, strings.Count(string(a.content), "\n"), 500, name)
	}
	require.NotRegexp(t, `(?i)<script>|<style|\sstyle=|\son\w+=`, string(assets["index.html"].content))
	require.Contains(t, string(assets["widget.js"].content), `"Ouvrir la discussion"`)
}

// TestConfig names everything that is wrong, and no key.
func TestConfig(t *testing.T) {
	_, err := New(Config{
		URL: "shop.example/chat", Key: handover.NewSecret("short"), FrameAncestors: []string{"https://a.example; script-src *"}, Locale: "tlh",
	})
	for _, part := range []string{"URL must", "Key, and each", "FrameAncestors[0]", "Locale must"} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "short")
	for _, url := range []string{"", "ftp://shop.example/", "https:///chat", "https://ann@shop.example/", "https://shop.example/?a", "https://shop.example/#a", "://"} {
		_, err := New(Config{URL: url, Key: handover.NewSecret(testKey)})
		require.ErrorContains(t, err, "URL must", url)
	}
	require.Equal(t, "webchat at "+testURL, newChat(t).cfg.String())
}
