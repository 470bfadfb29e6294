package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/admin"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// browser asks for pages as a browser does, at the path that the handler is mounted at.
type browser struct {
	t *testing.T
	h http.Handler
}

func newBrowser(t *testing.T, h *handover.Handover, o admin.Options) browser {
	mux := http.NewServeMux()
	mux.Handle("/ops/admin/", admin.New(h, o))
	return browser{t, mux}
}

// do makes a request, and checks what each answer must have.
func (b browser) do(r *http.Request) *httptest.ResponseRecorder {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
	} {
		require.Equal(b.t, want, w.Header().Get(name), name)
	}
	policy := w.Header().Get("Content-Security-Policy")
	require.Contains(b.t, policy, "default-src 'none'")
	require.Contains(b.t, policy, "frame-ancestors 'none'")
	require.NotContains(b.t, policy, "unsafe")
	return w
}

func (b browser) get(path string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://bot.example/ops/admin/"+path, nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	return b.do(r)
}

// page is the text of a page that is shown.
func (b browser) page(path string) string {
	b.t.Helper()
	w := b.get(path)
	require.Equal(b.t, http.StatusOK, w.Code, path)
	return w.Body.String()
}

// post sends a form from the page itself.
func (b browser) post(path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://bot.example/ops/admin/"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", "https://bot.example")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return b.do(r)
}

// read reads an answer in JSON.
func read[T any](b browser, path string) (v T) {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://bot.example/ops/admin/"+path, nil)
	w := b.do(r)
	require.Equal(b.t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(b.t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	require.NoError(b.t, json.Unmarshal(w.Body.Bytes(), &v))
	return v
}

type list struct {
	Conversations []handover.ConversationStatus
	Next          string
}

func in(r *rig.Rig, source, id string) { r.Conv = handover.Conversation{Source: source, ID: id} }

// stuck has an agent write to a user whose channel is down.
func stuck(r *rig.Rig, id string) *handovertest.Operator {
	in(r, "webchat", id)
	_, ann := r.Greeted()
	r.Fails(func(handover.Message) error { return errors.New("secret words") })
	ann.Say("secret words")
	r.After(10 * time.Second)
	return ann
}

func TestAStuckConversationIsFoundAndRetried(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		var done []string
		b := newBrowser(r.T, r.H, admin.Options{Audit: func(_ *http.Request, action string, c handover.Conversation, err error) {
			done = append(done, fmt.Sprint(action, " ", c.ID, " ", err))
		}})
		require.Contains(t, b.page(""), "Nothing needs attention")
		in(r, "webchat", "well")
		r.Opened()
		stuck(r, `<script>"stuck" & alone`)

		page := b.page("")
		require.Contains(t, page, "1 needs attention")
		require.NotContains(t, page, "<script")
		attention, _, _ := strings.Cut(page, "</section>")
		require.Contains(t, attention, "&lt;script&gt;")
		link := html.UnescapeString(regexp.MustCompile(`href="(conversation\?[^"]*)"`).FindStringSubmatch(attention)[1])
		page = b.page(link)
		for _, want := range []string{"Failing", "returned an error", "an agent&#39;s message to the user", "with an agent", "Retry now", "A human was asked for", "It ends, whatever happens"} {
			require.Contains(t, page, want)
		}
		require.NotContains(t, page, "<script")

		form := url.Values{}
		for _, field := range regexp.MustCompile(`(?s)action="retry">(.*?)</form>`).FindAllStringSubmatch(page, 1) {
			for _, input := range regexp.MustCompile(`name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(field[1], -1) {
				form.Set(input[1], html.UnescapeString(input[2]))
			}
		}
		r.Fails(nil)
		w := b.post("retry", form)
		require.Equal(t, http.StatusSeeOther, w.Code)
		r.Crisp.Settle()
		require.Equal(t, "secret words", r.Last().Content.Text)
		page = b.page(w.Header().Get("Location"))
		require.Contains(t, page, "tried again now")
		require.Contains(t, page, "Well")
		require.Contains(t, b.page(""), "Nothing needs attention")
		require.Equal(t, []string{`retry <script>"stuck" & alone <nil>`}, done)
	})
}

func TestEnd(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		conv, _ := r.Greeted()
		form := url.Values{"source": {r.Conv.Source}, "id": {r.Conv.ID}, "handover": {"another"}, "resolve": {"1"}}
		require.Equal(t, http.StatusSeeOther, b.post("end", form).Code)
		require.Equal(t, handover.StateActive, r.Session().State, "another handover was meant")
		form.Set("handover", r.Session().HandoverID)
		require.Equal(t, http.StatusSeeOther, b.post("end", form).Code)
		r.After(time.Second)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, "resolved", conv.State())
		page := b.page("conversation?source=webchat&id=user-1&done=end")
		require.Contains(t, page, "The handover ended: host ended")
		require.Contains(t, page, `class="done"`)
		require.Contains(t, page, "The end is asked for")
		require.NotContains(t, page, "End it")
		require.NotContains(t, b.page("conversation?source=webchat&id=user-1&done=<b>"), `class="done"`)
	})
}

// An action that another site has a browser send is not done.
func TestActionsComeFromThePage(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		r.Greeted()
		form := url.Values{"source": {r.Conv.Source}, "id": {r.Conv.ID}}
		for _, headers := range [][]string{
			{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
			{"Sec-Fetch-Site", "same-site", "Origin", "https://other.bot.example"},
			{"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
			{"Sec-Fetch-Site", "", "Origin", "null"},
		} {
			for _, action := range []string{"end", "retry", "end.json"} {
				require.Equal(t, http.StatusForbidden, b.post(action, form, headers...).Code, headers)
			}
		}
		require.Equal(t, handover.StateActive, r.Session().State)
		for _, action := range []string{"end", "retry"} {
			w := b.get(action + "?" + form.Encode())
			require.Equal(t, http.StatusMethodNotAllowed, w.Code)
			require.Equal(t, "POST", w.Header().Get("Allow"))
		}
		require.Equal(t, http.StatusMethodNotAllowed, b.post("conversation", form).Code)
		require.Equal(t, handover.StateActive, r.Session().State)

		only := newBrowser(r.T, r.H, admin.Options{ReadOnly: true})
		require.Equal(t, http.StatusNotFound, only.post("end", form).Code)
		require.NotContains(t, only.page("conversation?"+form.Encode()), "End it")

		require.Equal(t, http.StatusOK, b.post("end.json", form, "Sec-Fetch-Site", "", "Origin", "").Code, "a program")
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestListInPages(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		for i := range 5 {
			in(r, []string{"telegram", "webchat"}[i%2], fmt.Sprint("user ", i))
			require.NoError(t, r.H.Mute(context.Background(), r.Says("hello")))
		}
		in(r, "webchat", "idle")
		r.Says("hello")
		b := newBrowser(r.T, r.H, admin.Options{PageSize: 2})
		var ids []string
		path := "list.json?state=muted&source=webchat"
		for range 5 {
			l := read[list](b, path)
			for _, s := range l.Conversations {
				ids = append(ids, s.Conversation.ID)
			}
			if l.Next == "" {
				break
			}
			path = "list.json?state=muted&after=" + url.QueryEscape(l.Next)
		}
		require.Equal(t, []string{"user 1", "user 3"}, ids)

		page, seen := b.page("?state=muted"), 0
		for {
			seen += strings.Count(page, `href="conversation?`)
			next := regexp.MustCompile(`class="button" href="([^"]*)"`).FindStringSubmatch(page)
			if next == nil {
				break
			}
			page = b.page(html.UnescapeString(next[1]))
			require.NotContains(t, page, "attention</h2>")
		}
		require.Equal(t, 5, seen)
		for query, want := range map[string]int{
			"": 5, "state=bot": 0, "state=bot&idle=1": 1, "age=new": 5, "age=1h": 0, "troubled=1": 0, "source=telegram": 3,
			"website=" + r.Crisp.WebsiteID(): 5, "website=another": 0, "state=odd": 5,
		} {
			b := newBrowser(r.T, r.H, admin.Options{PageSize: 1000})
			require.Len(t, read[list](b, "list.json?"+query).Conversations, want, query)
		}
		require.Contains(t, b.page(`?source="><b>`), "&#34;&gt;&lt;b&gt;")
	})
}

func TestJSON(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		require.NotNil(t, read[list](b, "list.json").Conversations)
		stuck(r, "stuck")
		s := read[handover.ConversationStatus](b, "conversation.json?source=webchat&id=stuck")
		require.Equal(t, handover.ConditionFailing, s.Condition)
		require.Equal(t, "deliver", s.Waits[0].Kind)
		require.True(t, read[handover.Health](b, "health.json").Running)

		req := httptest.NewRequest(http.MethodGet, "https://bot.example/ops/admin/", nil)
		req.Header.Set("Accept", "application/json")
		w := b.do(req)
		require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
		for _, path := range []string{"", "?troubled=1", "conversation?source=webchat&id=stuck", "list.json", "conversation.json?source=webchat&id=stuck"} {
			require.NotContains(t, b.page(path), "secret", path)
		}
		w = b.post("retry.json", url.Values{"source": {"webchat"}, "id": {"stuck"}})
		require.JSONEq(t, `{"done":"retry"}`, w.Body.String())
	})
}

func TestWhatCannotBeShown(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		for path, want := range map[string]int{
			"nothing": http.StatusNotFound, "conversation?source=webchat&id=nobody": http.StatusNotFound, "conversation": http.StatusBadRequest,
			"conversation?website=another&id=a": http.StatusBadRequest, "conversation.json?id=nobody": http.StatusNotFound, "health": http.StatusOK,
		} {
			require.Equal(t, want, b.get(path).Code, path)
		}
		require.Equal(t, http.StatusNotFound, b.post("retry", url.Values{"id": {"nobody"}}).Code)
		require.Equal(t, http.StatusBadRequest, b.post("retry", url.Values{"id": {strings.Repeat("x", 100_000)}}).Code)

		_, err := r.Store.Save(context.Background(), handover.Record{Key: r.Crisp.WebsiteID() + "/webchat/damaged", Live: true, Data: []byte("{secret")})
		require.NoError(t, err)
		require.Contains(t, b.page(""), "1 needs attention")
		damaged := url.Values{"website": {r.Crisp.WebsiteID()}, "source": {"webchat"}, "id": {"damaged"}}
		page := b.page("conversation?" + damaged.Encode())
		require.Contains(t, page, "cannot be read")
		require.NotContains(t, page, "secret")
		require.Equal(t, http.StatusConflict, b.post("retry", damaged).Code)

		r.Store.Fails(true)
		w := b.get("conversation?source=webchat&id=a")
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotContains(t, w.Body.String(), rig.ErrStoreDown.Error())
		require.Contains(t, w.Body.String(), "The store has failed")
		r.Store.Fails(false)
	})
	for _, h := range []*handover.Handover{nil, new(handover.Handover)} {
		require.Equal(t, http.StatusServiceUnavailable, newBrowser(t, h, admin.Options{}).get("").Code)
	}
}

// bare is a store that cannot list.
type bare struct{ handover.Store }

func TestAStoreThatCannotList(t *testing.T) {
	rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store = bare{c.Store} }}, func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		require.Equal(t, http.StatusNotImplemented, b.get("").Code)
		r.Opened()
		require.Contains(t, b.page("conversation?source=webchat&id=user-1"), "waiting for an agent")
	})
}

// What is wrong with the process stands above all.
func TestThePageTellsOfTheProcess(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		b := newBrowser(r.T, r.H, admin.Options{})
		require.NotContains(t, b.page(""), "This process")
		_, ann := r.Greeted()
		r.Crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault {
			return handovertest.Fault{Status: http.StatusUnauthorized}
		})
		ann.Say("hello")
		r.After(time.Minute)
		require.Contains(t, b.page(""), "it answered 401")
		require.Contains(t, b.page("health"), "Run works here")
		r.After(24 * time.Hour)
		require.Contains(t, b.page(""), "Hooks that never came are looked for")
		r.Crisp.SetFaults(nil)
		require.NoError(t, r.H.Shutdown(context.Background()))
		require.Contains(t, b.page(""), "This process is shut down")
	})
}
