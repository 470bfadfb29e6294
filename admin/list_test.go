package admin_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/admin"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// slow is a store whose lists take their time.
type slow struct {
	*rig.Brittle
	lists atomic.Int64
	takes time.Duration
}

// List is the store's.
func (s *slow) List(ctx context.Context, q handover.ListQuery) ([]handover.Record, error) {
	s.lists.Add(1)
	select {
	case <-time.After(s.takes):
		return s.Brittle.List(ctx, q)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// slowly makes the rig's store a slow one.
func slowly(s *slow) rig.Options {
	return rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		s.Brittle = r.Store
		c.Store = s
	}}
}

func TestASearchThatTakesLongGoesOn(t *testing.T) {
	store := &slow{takes: 6 * time.Second}
	rig.Bubble(t, slowly(store), func(r *rig.Rig) {
		for source, count := range map[string]int{"a": 150, "z": 350} {
			for i := range count {
				_, err := r.Store.Save(t.Context(), handover.Record{Key: fmt.Sprintf("%s/%s/%03d", r.Crisp.WebsiteID(), source, i), Live: true, Data: []byte("{")})
				require.NoError(t, err)
			}
		}
		in(r, "webchat", "found")
		require.NoError(t, r.H.Mute(context.Background(), r.Says("hello")))
		b := newBrowser(r.T, r.H, admin.Options{})
		next := regexp.MustCompile(`class="button" href="([^"]*)">Go on from here`)

		page := b.page("?source=webchat")
		require.Contains(t, page, "<bdi>found</bdi>")
		require.Contains(t, page, "as far as was looked")
		pages := 1
		for link := next.FindStringSubmatch(page); link != nil; link = next.FindStringSubmatch(page) {
			require.Contains(t, page, "took too long")
			page = b.page(html.UnescapeString(link[1]))
			require.NotContains(t, page, "<bdi>found</bdi>", "it was listed before")
			pages++
		}
		require.Contains(t, page, "There are none.")
		require.Greater(t, pages, 1)

		l := read[list](b, "list.json?source=webchat")
		require.Len(t, l.Conversations, 1)
		require.NotEmpty(t, l.Next)

		store.takes = time.Hour
		require.Equal(t, http.StatusServiceUnavailable, b.get("").Code, "nothing was found out")
	})
}

// What needs attention is searched for the page alone.
func TestJSONReadsTheListOnce(t *testing.T) {
	store := new(slow)
	rig.Bubble(t, slowly(store), func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		before := store.lists.Load()
		read[list](b, "list.json")
		require.EqualValues(t, 1, store.lists.Load()-before)
		b.page("")
		require.EqualValues(t, 3, store.lists.Load()-before)
	})
}

func TestARecordOfAWebsiteThatIsNotConfigured(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		_, err := r.Store.Save(t.Context(), handover.Record{Key: "former/webchat/left", Live: true, Data: []byte("{")})
		require.NoError(t, err)
		page := newBrowser(r.T, r.H, admin.Options{}).page("")
		require.Contains(t, page, "<bdi>left</bdi>")
		require.Contains(t, page, "former is not configured")
		require.NotContains(t, page, `href="conversation`)
	})
}

func TestAListThatCannotBe(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		for _, name := range []string{"after", "website"} {
			for _, odd := range []string{"\xff", "a\x00b"} {
				query := url.Values{name: {odd}}.Encode()
				require.Equal(t, http.StatusBadRequest, b.get("?"+query).Code, query)
				require.Equal(t, http.StatusBadRequest, b.get("list.json?"+query).Code, query)
			}
		}
	})
}
