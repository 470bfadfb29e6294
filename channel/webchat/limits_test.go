package webchat

import (
	"fmt"
	"net/http"
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
	nobody
	typed int
}

func (c *counted) UserTyping(handover.Conversation, bool) error { c.typed++; return nil }

// TestLimits has one session do everything a thousand times.
func TestLimits(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limits = Limits{Messages: 5, Files: 3, Pages: 2, Sessions: 4} })
	host := &counted{}
	typing := &server{chat: r.chat, host: host}
	for range 1000 {
		request, err := http.NewRequest(http.MethodPost, "/typing", http.NoBody)
		require.NoError(t, err)
		request.Body = body(`{"typing":true}`)
		typing.typing(discard{}, request, session{id: "1"})
	}
	require.Less(t, host.typed, 2*typingSigns)

	statuses := func(n int, do func(i int) int) map[int]int {
		all := map[int]int{}
		for i := range n {
			all[do(i)]++
		}
		return all
	}
	require.Equal(t, map[int]int{204: 5, 429: 15}, statuses(20, func(i int) int { return r.posts("/messages", fmt.Sprintf(`{"id":"%d","text":"x"}`, i)) }))
	require.Equal(t, map[int]int{200: 3, 429: 7}, statuses(10, func(int) int { return r.posts("/files?name=a", "x") }))
	require.Equal(t, map[int]int{200: 3, 429: 7}, statuses(10, func(int) int {
		stranger := &browser{t: t, base: r.base}
		return stranger.begins(`{"session":""}`)
	}), "new sessions of one address; the rig's browser had one")
	for range 2 {
		defer r.streams("").Body.Close()
	}
	third := r.streams("")
	defer third.Body.Close()
	require.Equal(t, 429, third.StatusCode)
	require.NotEmpty(t, third.Header.Get("Retry-After"))
	r.crisp.Settle()
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
