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
