package signedlink

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPage(t *testing.T) {
	p := Page{Purpose: "test", URL: "https://a.example/page?x=1", Keys: []string{key, other}, TTL: time.Hour}
	link := p.Link(now, "a", "b")
	require.Equal(t, link, p.Link(now, "a", "b"))
	u, err := url.Parse(link)
	require.NoError(t, err)
	require.Equal(t, "1", u.Query().Get("x"))
	for _, row := range []struct {
		page  Page
		after time.Duration
		n     int
		want  error
	}{
		{p, 0, 2, nil},
		{Page{Purpose: "test", Keys: []string{other, key}}, 0, 2, nil},
		{p, 0, 3, ErrWrong},
		{p, time.Hour, 2, ErrExpired},
		{Page{Purpose: "other", Keys: p.Keys}, 0, 2, ErrWrong},
		{Page{Purpose: "test"}, 0, 2, ErrWrong},
	} {
		fields, err := row.page.Open(u.Query().Get("t"), now.Add(row.after), row.n)
		require.ErrorIs(t, err, row.want)
		if row.want == nil {
			require.Equal(t, []string{"a", "b"}, fields)
		}
	}
	require.Empty(t, Page{Keys: []string{key}}.Link(now))
	require.Empty(t, Page{URL: "https://a.example"}.Link(now))
}
