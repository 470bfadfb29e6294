package graphapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const token = "secret-token"

// answers is a transport that answers every request in the same way.
type answers struct {
	status int
	header http.Header
	body   string
	err    error
	got    *http.Request
	sent   string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.got = r
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		a.sent = string(b)
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// noSecret is for an app whose secret is not known.
func noSecret() string { return "" }

func (a *answers) client() *Client {
	return New(&http.Client{Transport: a}, "https://graph.invalid/v1", func() string { return token }, noSecret)
}

func TestCall(t *testing.T) {
	a := &answers{status: 200, body: `{"id":"7"}`}
	var out struct{ ID string }
	require.NoError(t, a.client().Call(t.Context(), http.MethodPost, "me/messages", map[string]string{"a": "b"}, &out))
	require.Equal(t, "7", out.ID)
	require.Equal(t, "https://graph.invalid/v1/me/messages", a.got.URL.String(), "the token is in no URL")
	require.Equal(t, "Bearer "+token, a.got.Header.Get("Authorization"))
	require.Equal(t, "application/json", a.got.Header.Get("Content-Type"))
	require.JSONEq(t, `{"a":"b"}`, a.sent)

	require.NoError(t, a.client().Call(t.Context(), http.MethodGet, "1", nil, &out))
	require.Empty(t, a.got.Header.Get("Content-Type"))
	require.Equal(t, BaseURL, New(nil, "", nil, noSecret).base)
}

// TestProof has the example of RFC 4231 for the proof: "Jefe" as the app's secret, and the token as what is signed.
func TestProof(t *testing.T) {
	a := &answers{status: 200, body: `{}`}
	client := New(&http.Client{Transport: a}, "https://graph.invalid/v1", func() string { return "what do ya want for nothing?" }, func() string { return "Jefe" })
	const proof = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	for path, want := range map[string]string{
		"me/messages":   "https://graph.invalid/v1/me/messages?appsecret_proof=" + proof,
		"7?fields=name": "https://graph.invalid/v1/7?fields=name&appsecret_proof=" + proof,
	} {
		require.NoError(t, client.Call(t.Context(), http.MethodGet, path, nil, &struct{}{}))
		require.Equal(t, want, a.got.URL.String())
	}
	_, err := client.Open(t.Context(), "https://lookaside.fbsbx.com/file")
	require.NoError(t, err)
	require.Empty(t, a.got.URL.RawQuery, "files are not the Graph API's")
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   Error
	}{
		"with codes":      {400, `{"error":{"message":"words of a user","code":10,"error_subcode":2018278}}`, Error{Status: 400, Code: 10, Subcode: 2018278}},
		"without subcode": {401, `{"error":{"code":190}}`, Error{Status: 401, Code: 190}},
		"of a proxy":      {502, `<html>words of a user</html>`, Error{Status: 502}},
		"a redirect":      {307, ``, Error{Status: 307}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &answers{status: c.status, body: c.body, header: http.Header{"Location": {"https://elsewhere.invalid/"}}}
			err := a.client().Call(t.Context(), http.MethodPost, "me/messages", nil, &struct{}{})
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok)
			require.Equal(t, c.want, *e)
			require.Equal(t, "graph.invalid", a.got.URL.Host, "no redirect is followed")
			require.NotContains(t, err.Error(), "words of a user")
			require.ErrorContains(t, err, fmt.Sprintf("code %d", c.want.Code))
		})
	}
	err := (&answers{status: 200, body: "words of a user"}).client().Call(t.Context(), http.MethodGet, "1", nil, &struct{}{})
	require.EqualError(t, err, "the Graph API's answer is not JSON")
}

// TestNoSecrets lets each step fail that knows the token or an address.
func TestNoSecrets(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"no network":             {errors.New("no route"), nil},
		"an error with a token":  {errors.New("bad header: Bearer " + token), nil},
		"an error of an address": {&url.Error{Op: "Get", URL: "https://a.invalid/?access_token=" + token, Err: errors.New("no route")}, nil},
		"wrapped":                {fmt.Errorf("proxy: %w", &url.Error{Op: "Get", URL: "https://a.invalid/" + token, Err: io.EOF}), io.EOF},
		"too slow":               {context.DeadlineExceeded, context.DeadlineExceeded},
		"ended":                  {fmt.Errorf("%s: %w", token, context.Canceled), context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&answers{err: c.err}).client().Call(t.Context(), http.MethodGet, "user-1", nil, nil)
			require.ErrorContains(t, err, "the Graph API cannot be reached")
			for e := err; e != nil; e = errors.Unwrap(e) {
				require.NotContains(t, fmt.Sprintf("%s %v %+v %#v", e, e, e, e), token)
				require.NotContains(t, e.Error(), "invalid")
			}
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
	client := New(http.DefaultClient, "http://127.0.0.1:1/", func() string { return token }, noSecret)
	require.ErrorIs(t, client.Call(ctx, http.MethodGet, "x", nil, nil), context.Canceled)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", client, *client, *client), token)
	require.Error(t, New(nil, "::", func() string { return token }, noSecret).Call(t.Context(), http.MethodGet, "x", nil, nil))
}

func TestAfter(t *testing.T) {
	for name, c := range map[string]struct {
		header http.Header
		want   string
	}{
		"nothing":     {nil, "0s"},
		"Retry-After": {http.Header{"Retry-After": {"90"}}, "1m30s"},
		"a date":      {http.Header{"Retry-After": {"Mon, 30 Nov 2026 01:00:00 GMT"}}, "0s"},
		"negative":    {http.Header{"Retry-After": {"-5"}}, "0s"},
		"usage": {http.Header{"X-Business-Use-Case-Usage": {
			`{"1":[{"type":"messenger","estimated_time_to_regain_access":19}],"2":[{"estimated_time_to_regain_access":2.5}]}`}}, "19m0s"},
		"both":      {http.Header{"Retry-After": {"90"}, "X-Business-Use-Case-Usage": {`{"1":[{"estimated_time_to_regain_access":1}]}`}}, "1m30s"},
		"for ever":  {http.Header{"X-Business-Use-Case-Usage": {`{"1":[{"estimated_time_to_regain_access":1e300}]}`}}, "24h0m0s"},
		"not usage": {http.Header{"X-Business-Use-Case-Usage": {`[]`}}, "0s"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, after(c.header).String()) })
	}
}

func TestOpen(t *testing.T) {
	for address, trusted := range map[string]bool{
		"https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1": true,
		"https://mmg.whatsapp.net/x":                                       true,
		"https://graph.invalid/media/1":                                    true,
		"https://evilfbsbx.com/":                                           false,
		"http://lookaside.fbsbx.com/":                                      false,
		"https://lookaside.fbsbx.com:444/":                                 false,
		"https://a@lookaside.fbsbx.com/":                                   false,
		"https://fbsbx.com.evil.invalid/":                                  false,
		"http://169.254.169.254/":                                          false,
		"http://graph.invalid/":                                            false,
		"":                                                                 false,
		"https://[::1":                                                     false,
	} {
		a := &answers{status: 200, body: "file"}
		response, err := a.client().Open(t.Context(), address)
		if !trusted {
			require.Error(t, err, address)
			require.Nil(t, a.got, "no token goes to %s", address)
			continue
		}
		require.NoError(t, err, address)
		require.Equal(t, "Bearer "+token, a.got.Header.Get("Authorization"))
		require.NoError(t, response.Body.Close())
	}
	_, err := (&answers{status: 404}).client().Open(t.Context(), "https://graph.invalid/1")
	require.ErrorContains(t, err, "HTTP 404")
}
