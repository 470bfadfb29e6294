package webchat

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

func TestBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buckets
		count := func(what string) (n int) {
			for range 1000 {
				if b.allow(what, 60) {
					n++
				}
			}
			return n
		}
		require.Equal(t, 60, count("a"))
		require.Equal(t, 60, count("b"), "each for itself")
		time.Sleep(10 * time.Second)
		require.Equal(t, 10, count("a"))
		time.Sleep(time.Hour)
		require.Equal(t, 60, count("a"), "no more than a minute is saved up")
		for i := range maxBuckets {
			b.allow(fmt.Sprint(i), 60)
		}
		require.Len(t, b.all, maxBuckets, "that is all")
		require.False(t, b.allow("one more", 60))
		time.Sleep(2 * time.Minute)
		require.True(t, b.allow("one more", 60))
		require.Len(t, b.all, 1)
	})
}

// counted counts the signs of typing.
type counted struct {
	taking
	typed int
}

func (c *counted) UserTyping(handover.Conversation, bool) error { c.typed++; return nil }

// TestLimits has one session do everything a thousand times.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &counted{}
		chat := newChat(t, func(c *Config) { c.Limits = Limits{Messages: 5, Files: 3, Pages: 2, Sessions: 4} })
		h := chat.Handler(host)
		_, cookie := begins(t, h, `{"session":""}`, nil)
		statuses := func(path string, body func(i int) string) map[int]int {
			all := map[int]int{}
			for i := range 1000 {
				r := httptest.NewRequest(http.MethodPost, "/chat/"+path, strings.NewReader(body(i)))
				r.AddCookie(cookie)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				all[w.Code]++
				if w.Code == http.StatusTooManyRequests {
					require.NotEmpty(t, w.Header().Get("Retry-After"))
				}
			}
			return all
		}
		message := func(i int) string { return fmt.Sprintf(`{"id":"%d","text":"x"}`, i) }
		require.Equal(t, map[int]int{204: 1000}, statuses("typing", func(int) string { return `{"typing":true}` }))
		require.Equal(t, typingSigns, host.typed, "1,000 posts make few calls")
		require.Equal(t, map[int]int{204: 5, 429: 995}, statuses("messages", message))
		require.Equal(t, map[int]int{200: 3, 429: 997}, statuses("files?name=a", message))
		require.Len(t, host.all, 5)

		started := map[int]int{}
		for range 1000 {
			response, _ := begins(t, h, `{"session":""}`, nil)
			started[response.StatusCode]++
		}
		require.Equal(t, map[int]int{200: 3, 429: 997}, started, "new sessions of one address; there is one already")
		elsewhere, _ := begins(t, h, `{"session":""}`, nil, func(r *http.Request) { r.RemoteAddr = "198.51.100.1:1" })
		require.Equal(t, 200, elsewhere.StatusCode)

		time.Sleep(time.Minute)
		require.Equal(t, map[int]int{204: 5, 429: 995}, statuses("messages", func(i int) string { return message(2000 + i) }), "a minute later")
	})
}

// TestPagesOfASession are bounded, too.
func TestPagesOfASession(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits.Pages = 2 })
	for range 2 {
		defer r.streams("").Body.Close()
	}
	third := r.streams("")
	third.Body.Close()
	require.Equal(t, 429, third.StatusCode)
}

// TestAddress tells where requests come from.
func TestAddress(t *testing.T) {
	for name, c := range map[string]struct {
		remote, forwarded string
		trust             bool
		want              string
	}{
		"plain":             {"192.0.2.1:1234", "", false, "192.0.2.1"},
		"IPv6":              {"[2001:db8:1:2:3::4]:1234", "", false, "2001:db8:1:2::/64"},
		"mapped":            {"[::ffff:192.0.2.1]:1234", "", false, "192.0.2.1"},
		"a stranger's word": {"192.0.2.1:1234", "198.51.100.1", false, "192.0.2.1"},
		"a proxy":           {"10.0.0.1:1234", "203.0.113.9, 198.51.100.1", true, "198.51.100.1"},
		"a proxy's port":    {"10.0.0.1:1234", "198.51.100.1:4321", true, "198.51.100.1"},
		"a proxy's nothing": {"10.0.0.1:1234", "", true, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{chat: newChat(t, func(conf *Config) { conf.TrustProxy = c.trust })}
			r := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
			if c.forwarded != "" {
				r.Header.Set("X-Forwarded-For", c.forwarded)
			}
			require.Equal(t, c.want, s.address(r))
		})
	}
}

// never is a body that does not come.
type never struct{ ctx context.Context }

func (n never) Read([]byte) (int, error) { <-n.ctx.Done(); return 0, io.EOF }

// TestSlowBodies bounds how long posts and files may take, those of strangers too.
func TestSlowBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newChat(t).Handler(&counted{})
		_, cookie := begins(t, h, `{"session":""}`, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for path, want := range map[string]time.Duration{"session": postBounds.Time, "messages": postBounds.Time, "files?name=a": fileBounds(1).Time} {
			began := time.Now()
			r := httptest.NewRequest(http.MethodPost, "/chat/"+path, never{ctx})
			r.AddCookie(cookie)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, http.StatusServiceUnavailable, w.Code, path)
			require.Equal(t, want, time.Since(began), path)
		}
	})
}
