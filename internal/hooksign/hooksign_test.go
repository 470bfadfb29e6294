package hooksign

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// signed are the headers of a hook that is signed as Crisp does.
func signed(secret, stamp, body string) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("[" + stamp + ";" + body + "]"))
	h := http.Header{}
	h.Set("X-Crisp-Signature", hex.EncodeToString(mac.Sum(nil)))
	h.Set("X-Crisp-Request-Timestamp", stamp)
	return h
}

func TestVerify(t *testing.T) {
	key := NewKey("secret")
	h := signed("secret", "1506985696616", "{}")
	require.True(t, Signed(h))
	for range 3 { // the first one makes what the others use again
		require.True(t, key.Verify(h, []byte("{}")))
		require.False(t, key.Verify(h, []byte("{} ")), "another body")
	}
	require.False(t, NewKey("other").Verify(h, []byte("{}")))
	require.False(t, NewKey("").Verify(signed("", "1", "{}"), []byte("{}")), "everybody knows the empty secret")
	require.False(t, Signed(http.Header{}))
	require.False(t, key.Verify(http.Header{}, []byte("{}")))
	h.Set("X-Crisp-Request-Timestamp", "1506985696617")
	require.False(t, key.Verify(h, []byte("{}")), "another time")
	h.Set("X-Crisp-Signature", "no hex")
	require.False(t, key.Verify(h, []byte("{}")))
	h.Set("X-Crisp-Signature", strings.Repeat("x", 64))
	require.False(t, key.Verify(h, []byte("{}")))
	long := signed("secret", strings.Repeat("9", 1000), "{}")
	require.True(t, key.Verify(long, []byte("{}")), "the time is taken as it is")
}

// TestKeysAtOnce has many verify hooks with the same key: none sees what another one hashes.
func TestKeysAtOnce(t *testing.T) {
	key := NewKey("secret")
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for i := range 20 {
				body := strings.Repeat("x", 100*n+i)
				h := signed("secret", "1506985696616", body)
				assert.True(t, key.Verify(h, []byte(body)))
				assert.False(t, key.Verify(h, []byte(body+"x")))
			}
		})
	}
	group.Wait()
}

// BenchmarkVerify verifies a hook of 600 bytes.
func BenchmarkVerify(b *testing.B) {
	key, body := NewKey("a secret of 32 characters or more"), strings.Repeat("x", 600)
	h := signed(key.Secret(), "1506985696616", body)
	b.ReportAllocs()
	for b.Loop() {
		if !key.Verify(h, []byte(body)) {
			b.Fatal("the hook is not the key's")
		}
	}
}

func TestEmitted(t *testing.T) {
	want := time.UnixMilli(1506985696616)
	at, ok := Emitted(signed("s", "1506985696616", ""))
	require.True(t, ok)
	require.Equal(t, want, at)
	at, ok = Emitted(signed("s", "1506985696", ""))
	require.True(t, ok)
	require.Equal(t, want.Truncate(time.Second), at)
	for _, year := range []int{1980, 2000, 2100} { // a test in a synctest bubble begins in 2000
		want = time.Date(year, 1, 2, 3, 4, 5, 0, time.UTC)
		for _, n := range []int64{want.Unix(), want.UnixMilli()} {
			at, ok = Emitted(signed("s", fmt.Sprint(n), ""))
			require.True(t, ok)
			require.True(t, want.Equal(at), "%d is %v", n, at)
		}
	}
	for _, stamp := range []string{"", "soon", "1e12", "99999999999999999999"} {
		_, ok = Emitted(signed("s", stamp, ""))
		require.False(t, ok, stamp)
	}
}

func TestKeys(t *testing.T) {
	require.Empty(t, Keys(""))
	require.Empty(t, Keys("monkey=a&key=&x=y"))
	require.Contains(t, Keys("x=1&key=a%2Bb&y=2"), "a+b")
	require.Contains(t, Keys("key=a+b"), "a b")
	require.Contains(t, Keys("key=a+b"), "a+b")
	require.Contains(t, Keys("key=50%"), "50%")
	require.True(t, Match([]string{"a", "b"}, []string{"c", "b"}))
	require.False(t, Match([]string{"a", "b"}, []string{"c"}))
	require.False(t, Match([]string{""}, []string{""}), "an empty key is none")
	require.False(t, Match(nil, []string{"a"}))
}

func FuzzKeysInURLs(f *testing.F) {
	f.Add("a+b%", "x=1&")
	f.Add("%zz;&#", "key=&")
	f.Add("\xff\x00", "")
	f.Fuzz(func(t *testing.T, key, before string) {
		for _, given := range Keys(before + key) {
			require.NotEmpty(t, before+key)
			require.False(t, Match([]string{given}, nil))
		}
		if key == "" || strings.Contains("&"+before, "&key=") {
			return
		}
		if before != "" {
			before += "&"
		}
		require.True(t, Match(Keys(before+"key="+url.QueryEscape(key)), []string{key}))
		if !strings.Contains(key, "&") {
			require.True(t, Match(Keys(before+"key="+url.PathEscape(key)), []string{key}))
			require.True(t, Match(Keys(before+"key="+key+"&after"), []string{key}))
		}
	})
}
