package graphapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

const (
	secret = "app-secret"
	verify = "verify-token"
)

func text(s string) func() string { return func() string { return s } }

func TestChallenge(t *testing.T) {
	for name, c := range map[string]struct {
		mode, token, configured string
		status                  int
	}{
		"ours":             {"subscribe", verify, verify, 200},
		"wrong token":      {"subscribe", "other", verify, 403},
		"no token":         {"subscribe", "", verify, 403},
		"other mode":       {"unsubscribe", verify, verify, 403},
		"none configured":  {"subscribe", "", "", 403},
		"token as a start": {"subscribe", verify[:3], verify, 403},
	} {
		t.Run(name, func(t *testing.T) {
			q := url.Values{"hub.mode": {c.mode}, "hub.verify_token": {c.token}, "hub.challenge": {"<b>1158201444"}}
			w := httptest.NewRecorder()
			NewHook(text(secret), text(c.configured), nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/meta?"+q.Encode(), nil))
			require.Equal(t, c.status, w.Code)
			if c.status == 200 {
				require.Equal(t, "<b>1158201444", w.Body.String())
				require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"), "never a page")
				return
			}
			require.NotContains(t, w.Body.String(), "1158201444")
		})
	}
}

func post(signature string, body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/meta", body)
	r.Header.Set(SignatureHeader, signature)
	return r
}

func TestSignature(t *testing.T) {
	body := `{"object":"page"}`
	good := Sign(secret, []byte(body))
	for name, c := range map[string]struct {
		secret, signature, body string
		status                  int
	}{
		"good":           {secret, good, body, 200},
		"upper case":     {secret, "sha256=" + strings.ToUpper(good[7:]), body, 200},
		"other body":     {secret, good, body + " ", 403},
		"other secret":   {"other", good, body, 403},
		"missing":        {secret, "", body, 403},
		"only a prefix":  {secret, "sha256=", body, 403},
		"shortened":      {secret, good[:20], body, 403},
		"of another sum": {secret, "sha1=" + good[7:], body, 403},
		"no secret":      {"", Sign("", []byte(body)), body, 403},
	} {
		t.Run(name, func(t *testing.T) {
			taken := 0
			h := NewHook(text(c.secret), text(verify), func(_ context.Context, got []byte) error {
				taken++
				require.Equal(t, c.body, string(got))
				return nil
			})
			w := httptest.NewRecorder()
			h.ServeHTTP(w, post(c.signature, strings.NewReader(c.body)))
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.status == 200, taken == 1)
		})
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		err    error
		status int
	}{
		"taken":       {"{}", nil, 200},
		"not a hook":  {"{", ErrBody, 400},
		"not now":     {"{}", errors.New("the store is down"), 503},
		"too large":   {strings.Repeat(" ", int(hookBounds.Size)+1), nil, 413},
		"as large":    {strings.Repeat(" ", int(hookBounds.Size)), nil, 200},
		"nothing":     {"", ErrBody, 400},
		"not in time": {"{}", context.DeadlineExceeded, 503},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHook(text(secret), text(verify), func(ctx context.Context, _ []byte) error {
				_, bounded := ctx.Deadline()
				require.True(t, bounded)
				return c.err
			})
			w := httptest.NewRecorder()
			h.ServeHTTP(w, post(Sign(secret, []byte(c.body)), strings.NewReader(c.body)))
			require.Equal(t, c.status, w.Code)
			require.NotContains(t, w.Body.String(), "store")
		})
	}
	w := httptest.NewRecorder()
	NewHook(text(secret), text(verify), nil).ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/meta", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

// never is a body that does not come.
type never struct{ ctx context.Context }

func (n never) Read([]byte) (int, error) { <-n.ctx.Done(); return 0, io.EOF }

func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := httptest.NewRecorder()
		NewHook(text(secret), text(verify), nil).ServeHTTP(w, post("sha256=00", never{ctx}))
		require.Equal(t, http.StatusRequestTimeout, w.Code)
	})
}
