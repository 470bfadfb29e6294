package weblink

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinks(t *testing.T) {
	for link, tt := range map[string]struct{ safe, web bool }{
		"https://a.example/b?c#d":               {true, true},
		"HTTP://a.example":                      {true, true},
		"mailto:ann@a.example":                  {true, false},
		"tel:+15551234":                         {true, false},
		"http:":                                 {false, false},
		"https://":                              {false, false},
		"https:///path":                         {false, false},
		"https://ann:secret@a.example":          {false, false},
		"https://ann@a.example":                 {false, false},
		"javascript:alert(1)":                   {false, false},
		"data:text/html,x":                      {false, false},
		"//a.example":                           {false, false},
		"a.example":                             {false, false},
		"":                                      {false, false},
		"mailto://a.example":                    {false, false},
		"https://a.example/b c":                 {false, false},
		"https://a.example/\u202Egnp.exe":       {false, false},
		"https://a.example/\x00":                {false, false},
		"https://a.example/\"><script>":         {false, false},
		"https://a.example\\@b.example":         {false, false},
		"https://a.example/" + long(maxLink-18): {true, true},
		"https://a.example/" + long(maxLink-17): {false, false},
	} {
		require.Equal(t, tt.safe, Safe(link), "%.60q", link)
		require.Equal(t, tt.web, Web(link), "%.60q", link)
	}
}

func long(n int) string { return strings.Repeat("x", n) }

func TestHoldsToken(t *testing.T) {
	for link, want := range map[string]bool{
		"https://api.telegram.org/file/bot123:ABC/photos/file_1.jpg": true,
		"http://localhost:8081/file/bot123:ABC/x":                    true,
		"https://a.example/file/bot":                                 false,
		"https://a.example/bot/x":                                    false,
		"https://a.example/x?of=/file/bot1:x":                        false,
	} {
		u, err := url.Parse(link)
		require.NoError(t, err)
		require.Equal(t, want, HoldsToken(u), link)
	}
}

func TestLocal(t *testing.T) {
	for host, want := range map[string]bool{
		"a.example": false, "a.example.": false, "xn--bcher-kva.example": false, "8.8.8.8": false, "2001:4860:4860::8888": false,
		"localhost": true, "a.localhost": true, "LOCALHOST.": true, "printer": true, "nas.local": true, "db.internal": true,
		"router.lan": true, "x.home.arpa": true, "": true, ".": true,
		"127.0.0.1": true, "127.1": true, "2130706433": true, "0x7f000001": true, "0x7f.1": true, "10.0.0.1": true, "172.16.0.1": true,
		"192.168.1.5": true, "169.254.169.254": true, "100.64.0.1": true, "0.0.0.0": true, "0.1.2.3": true, "224.0.0.1": true,
		"255.255.255.255": true, "198.18.0.1": true, "::1": true, "::": true, "fe80::1": true, "fe80::1%eth0": true, "fc00::1": true,
		"::ffff:127.0.0.1": true, "::ffff:8.8.8.8": false, "64:ff9b::7f00:1": true, "64:ff9b::808:808": false, "ff02::1": true,
		"172.32.0.1": false, "11.0.0.1": false, "local.example": false, "internal.example": false,
	} {
		require.Equal(t, want, Local(host), "%q", host)
	}
}

func TestPublic(t *testing.T) {
	for link, want := range map[string]bool{
		"https://a.example/b.png": true, "http://[2001:4860:4860::8888]/b.png": true,
		"http://192.168.1.5/b.png": false, "http://[::1]:8080/b.png": false, "http://nas/b.png": false,
		"https://ann@a.example/b.png": false, "mailto:ann@a.example": false, "https://a.example/\"b": false, "": false,
	} {
		require.Equal(t, want, Public(link), link)
	}
}

func TestHoldsSecret(t *testing.T) {
	for link, want := range map[string]bool{
		"https://a.example/b.png":                                   false,
		"https://a.example/b.png?w=100&h=50&v=3":                    false,
		"https://a.example/b.png?t=eyJ&page=2#top":                  false,
		"https://a.example/b.png?token=":                            false,
		"https://a.example/b.png?keyboard=1&tokens=2":               false,
		"https://a.example/b.png?token=x":                           true,
		"https://a.example/b.png?access_token=x":                    true,
		"https://a.example/b.png?a=1&Access-Token=x":                true,
		"https://a.example/b.png?a=1;api_key=x":                     true,
		"https://a.example/b.png?%74oken=x":                         true,
		"https://a.example/b.png#access_token=x":                    true,
		"https://a.example/b.png#/p?access_token=x":                 true,
		"https://s3.example/b?X-Amz-Date=1&X-Amz-Signature=x":       true,
		"https://storage.example/b?X-Goog-Signature=x":              true,
		"https://blob.example/b?sv=1&sig=x":                         true,
		"https://cdn.example/b?Expires=1&Signature=x&Key-Pair-Id=y": true,
		"https://files.slack.example/b?t=xoxe-1-abc":                true,
		"https://git.example/b?private_token=x":                     true,
		"https://a.example/b?X-Api-Key=x":                           true,
		"https://a.example/b?botToken=x":                            true,
		"https://oss.example/b?OSSAccessKeyId=x&Expires=1":          true,
		"https://cos.example/b?q-ak=x&q-signature=y":                true,
		"https://s3.example/b?key=photos/a.png&signatures=2":        false,
		"https://ann:secret@a.example/b.png":                        true,
		"https://api.telegram.org/file/bot123:ABC/x.jpg":            true,
	} {
		u, err := url.Parse(link)
		require.NoError(t, err)
		require.Equal(t, want, HoldsSecret(u), link)
	}
}
