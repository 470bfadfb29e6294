package admin_test

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/admin"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// formOf is what a form of a page sends.
func formOf(page, action string) url.Values {
	form := url.Values{}
	_, page, _ = strings.Cut(page, `action="`+action+`">`)
	page, _, _ = strings.Cut(page, "</form>")
	for _, input := range regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		form.Set(input[1], html.UnescapeString(input[2]))
	}
	return form
}

// A form that was loaded before the conversation got another owner ends nothing.
func TestAnOldFormEndsNothing(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		address := "conversation?source=webchat&id=user-1"
		require.NoError(t, r.H.Mute(context.Background(), r.Says("hello")))
		old := formOf(b.page(address), "end")
		require.NotEmpty(t, old)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		r.Greeted()
		w := b.post("end", old)
		require.Equal(t, http.StatusConflict, w.Code)
		require.Contains(t, w.Body.String(), "has changed since")
		require.Equal(t, handover.StateActive, r.Session().State)
		old.Set("epoch", "x")
		require.Equal(t, http.StatusConflict, b.post("end", old).Code)

		require.Equal(t, http.StatusSeeOther, b.post("end", formOf(b.page(address), "end")).Code)
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestARetryOfNothing(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		r.Says("hello")
		w := b.post("retry", url.Values{"source": {r.Conv.Source}, "id": {r.Conv.ID}})
		require.Equal(t, http.StatusSeeOther, w.Code)
		page := b.page(w.Header().Get("Location"))
		require.NotContains(t, page, "tried again now")
		require.Contains(t, page, "Nothing waited")
	})
}

func TestPathsBelowTheMount(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Greeted()
		form := url.Values{"source": {r.Conv.Source}, "id": {r.Conv.ID}}
		page := admin.New(r.H, admin.Options{})
		for name, h := range map[string]http.Handler{
			"/admin/": page, "/{tenant}/": page, "POST bot.example/admin/{rest...}": page,
			"/admin/{$}": page, "/": http.StripPrefix("/admin", page), "/{tenant}/{rest...}": http.StripPrefix("/admin/", page),
		} {
			mux := http.NewServeMux()
			mux.Handle(name, h)
			post := func(path string) int {
				req := httptest.NewRequest(http.MethodPost, "https://bot.example"+path, strings.NewReader(form.Encode()))
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				mux.ServeHTTP(w, req)
				return w.Code
			}
			for _, path := range []string{"/admin/anything/end", "/admin/anything/end.json", "/admin/end/", "/admin/nothing"} {
				require.Equal(t, http.StatusNotFound, post(path), "%s %s", name, path)
			}
			require.Equal(t, handover.StateActive, r.Session().State)
			if name != "/admin/{$}" {
				require.Equal(t, http.StatusSeeOther, post("/admin/retry"), name)
			}
		}
		req := httptest.NewRequest(http.MethodGet, "https://bot.example/anywhere/health", nil)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, req)
		require.Equal(t, http.StatusOK, w.Code, "another router")
	})
}
