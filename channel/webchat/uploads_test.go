package webchat

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUploads(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.Files = 100 })
	png, err := os.ReadFile("../../internal/integration/webchat_bike.png")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		name        string
		content     []byte
		kind, place string
	}{
		"picture":             {"bike.png", png, "image/png", "inline"},
		"page":                {"page.html", []byte("<script>alert(1)</script>"), "application/octet-stream", `attachment; filename=page.html`},
		"page as a picture":   {"page.png", []byte("<html><script>alert(1)</script>"), "application/octet-stream", `attachment; filename=page.png`},
		"SVG":                 {"a.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "application/octet-stream", `attachment; filename=a.svg`},
		"folder in the name":  {"../../etc/passwd", []byte("x"), "application/octet-stream", `attachment; filename=passwd`},
		"hidden":              {"..", []byte("x"), "application/octet-stream", `attachment; filename=file`},
		"quotes in the name":  {`a";b`, []byte("x"), "application/octet-stream", `attachment; filename="a\";b"`},
		"a line in the name":  {"a\r\nSet-Cookie: x", []byte("x"), "application/octet-stream", `attachment; filename="aSet-Cookie: x"`},
		"a turned name":       {"a\u202egpj.exe", []byte("x"), "application/octet-stream", `attachment; filename=agpj.exe`},
		"no name":             {"", []byte("x"), "application/octet-stream", `attachment; filename=file`},
		"letters of a script": {"自転車.txt", []byte("x"), "application/octet-stream", `attachment; filename*=utf-8''%E8%87%AA%E8%BB%A2%E8%BB%8A.txt`},
	} {
		t.Run(name, func(t *testing.T) {
			response := r.does(http.MethodPost, "/files?name="+url.QueryEscape(c.name), bytes.NewReader(c.content))
			id, err := io.ReadAll(response.Body)
			response.Body.Close()
			require.NoError(t, err)
			u, err := r.chat.cfg.Files.Open(t.Context(), string(id))
			require.NoError(t, err)
			file := r.chat.fileOf(string(id), u)
			require.EqualValues(t, len(c.content), file.Size)
			path, ok := strings.CutPrefix(file.URL, testURL)
			require.True(t, ok)
			got, err := http.Get(r.base + "/" + path) // agents have no cookie
			require.NoError(t, err)
			defer got.Body.Close()
			content, err := io.ReadAll(got.Body)
			require.NoError(t, err)
			require.Equal(t, c.content, content)
			require.Equal(t, c.kind, got.Header.Get("Content-Type"))
			require.Equal(t, c.place, got.Header.Get("Content-Disposition"))
			require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
			require.Equal(t, "default-src 'none'; sandbox", got.Header.Get("Content-Security-Policy"))
			require.Empty(t, got.Header.Get("Set-Cookie"))
			part := (&browser{t: t, base: r.base}).does(http.MethodGet, "/"+path, nil, "Range", "bytes=0-0")
			part.Body.Close()
			require.Equal(t, http.StatusPartialContent, part.StatusCode)
		})
	}
	require.Equal(t, 413, r.posts("/files", strings.Repeat("x", 5<<20+1)))
	require.Equal(t, 413, r.posts("/files", ""))
}

// TestSendFile sends one: the agents have its link. A file is only its owner's to send.
func TestSendFile(t *testing.T) {
	r := newRig(t)
	require.Equal(t, 204, r.posts("/human", `{}`))
	response := r.does(http.MethodPost, "/files?name=bill.pdf", strings.NewReader("%PDF-1.7"))
	id, err := io.ReadAll(response.Body)
	response.Body.Close()
	require.NoError(t, err)
	stranger := r.opens(`{"session":""}`)
	require.Equal(t, 422, stranger.posts("/messages", fmt.Sprintf(`{"id":"1","file":%q}`, id)))
	require.Equal(t, 204, r.posts("/messages", fmt.Sprintf(`{"id":"1","file":%q}`, id)))
	r.crisp.Settle()
	sent := r.crisp.Last().Messages()
	require.Contains(t, fmt.Sprint(sent[len(sent)-1].Content), testURL+"files/"+string(id)+"/bill.pdf")
}

// TestPicture asks Crisp's servers only.
func TestPicture(t *testing.T) {
	for address, want := range map[string]bool{
		"https://storage.crisp.chat/users/upload/a.png": true,
		"https://image.crisp.chat/avatar/a":             true,
		"http://storage.crisp.chat/a.png":               false,
		"https://storage.crisp.chat:8443/a.png":         false,
		"https://user@storage.crisp.chat/a.png":         false,
		"https://storage.crisp.chat.evil.example/a":     false,
		"https://evilcrisp.chat/a":                      false,
		"https://127.0.0.1/.crisp.chat":                 false,
		"file:///etc/passwd":                            false,
		"//storage.crisp.chat/a":                        false,
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, want, isCrisp(u), address)
	}
	for name, c := range map[string]struct {
		status int
		kind   string
		want   int
	}{
		"picture":   {200, "image/png", 200},
		"SVG":       {200, "image/svg+xml", 404},
		"page":      {200, "text/html", 404},
		"elsewhere": {302, "image/png", 404},
	} {
		t.Run(name, func(t *testing.T) {
			chat := newChat(t, func(conf *Config) {
				conf.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					require.Empty(t, r.Header.Get("Cookie"))
					return &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {c.kind}, "Location": {"http://127.0.0.1/"}}, Body: body("content"), Request: r}, nil
				})}
			})
			h := chat.Handler(nobody{})
			_, cookie := begins(t, h, `{"session":""}`, nil)
			get := func(cookie *http.Cookie) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodGet, "/chat/picture?url="+url.QueryEscape("https://storage.crisp.chat/a"), nil)
				if cookie != nil {
					r.AddCookie(cookie)
				}
				h.ServeHTTP(w, r)
				return w
			}
			w := get(cookie)
			require.Equal(t, c.want, w.Code)
			require.Equal(t, c.want == 200, w.Body.String() == "content")
			require.Equal(t, 401, get(nil).Code, "it serves nobody else")
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
