package crispapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
)

const session = "session_36ba3566-0000-4790-afc8-000000000001"

// reply is one of Crisp's answers.
type reply struct {
	status int
	body   string
	header http.Header
	err    error
}

// server answers requests without a network.
type server struct {
	mu     sync.Mutex
	asked  []string // method, path and query below the website
	bodies []string
	answer func(method, path string) reply
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	path, _ := strings.CutPrefix(req.URL.RequestURI(), "/v1/website/w")
	s.mu.Lock()
	s.asked = append(s.asked, req.Method+" "+path)
	body := ""
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		body = strings.TrimSpace(string(b))
	}
	s.bodies = append(s.bodies, body)
	s.mu.Unlock()
	r := s.answer(req.Method, path)
	if r.err != nil {
		return nil, r.err
	}
	if r.header == nil {
		r.header = http.Header{}
	}
	return &http.Response{StatusCode: r.status, Header: r.header, Body: io.NopCloser(strings.NewReader(r.body)), Request: req}, nil
}

func (s *server) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// client returns a client of a server that gives these answers.
func client(answer func(method, path string) reply) (*crispapi.Client, *server) {
	s := &server{answer: answer}
	return crispapi.New(crispapi.Config{WebsiteID: "w", HTTP: &http.Client{Transport: s},
		Token: crispapi.Token{Identifier: "i", Key: "k", Tier: "plugin"}}), s
}

// always gives one answer.
func always(r reply) func(string, string) reply { return func(string, string) reply { return r } }

func data(v string) reply {
	return reply{status: 200, body: `{"error":false,"reason":"resolved","data":` + v + `}`}
}

// failure returns the Error within err, which must be one.
func failure(t *testing.T, err error) *crispapi.Error {
	t.Helper()
	var e *crispapi.Error
	require.ErrorAs(t, err, &e)
	return e
}

// changes are the calls that change something.
func changes(c *crispapi.Client) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"send message": func(ctx context.Context) error {
			_, err := c.Send(ctx, session, crispapi.Outgoing{Type: "text", From: "user", Origin: "chat", Content: []byte(`"hi"`), Fingerprint: 5})
			return err
		},
		"create conversation": func(ctx context.Context) error { _, err := c.Create(ctx); return err },
		"change state":        func(ctx context.Context) error { return c.SetState(ctx, session, "resolved") },
		"change inbox":        func(ctx context.Context) error { return c.SetInbox(ctx, session, "x") },
		"assign":              func(ctx context.Context) error { return c.Assign(ctx, session, "x") },
		"update metas":        func(ctx context.Context) error { return c.SetMetas(ctx, session, crispapi.Metas{Nickname: "x"}) },
		"update message":      func(ctx context.Context) error { return c.Edit(ctx, session, 5, []byte(`"x"`)) },
		"mark as delivered":   func(ctx context.Context) error { return c.MarkDelivered(ctx, session, "chat", []int64{5}) },
		"mark as read":        func(ctx context.Context) error { return c.MarkRead(ctx, session, "chat", []int64{5}) },
		"ask for a rating":    func(ctx context.Context) error { return c.AskRating(ctx, session) },
		"show typing":         func(ctx context.Context) error { return c.Typing(ctx, session, true) },
	}
}

// P5: done is what Crisp says is done.
func TestWhatCrispDoesNotSayIsDoneIsNotDone(t *testing.T) {
	for name, body := range map[string]string{
		"error": `{"error":true,"reason":"internal","data":{}}`, "error with data": `{"error":true,"data":{"fingerprint":5,"session_id":"` + session + `"}}`,
		"odd error": `{"error":"yes","data":{}}`, "error twice": `{"error":true,"error":false,"reason":"updated","data":{}}`,
		"nothing": `{}`, "HTML": `<html>private words</html>`, "a list": `[]`, "null": `null`, "a string": `"updated"`,
		"other JSON": `{"ok":true,"status":"private words"}`, "cut": `{"error":false,"reason":"upd`, "empty data": `{"data":{}}`,
		"followed": `{"error":false} x`,
	} {
		t.Run(name, func(t *testing.T) {
			for op := range changes(nil) {
				c, _ := client(always(reply{status: 200, body: body})) // another one: its breaker is closed
				e := failure(t, changes(c)[op](t.Context()))
				require.Equal(t, crispapi.Soon, e.Class(), op)
				require.Equal(t, op, e.Op)
				require.Equal(t, 200, e.StatusCode)
				require.False(t, e.SafeToRetry(), "it may be done")
				require.NotContains(t, e.Error(), "private words")
			}
		})
	}
}

func TestWhatCrispSaysIsDoneIsDone(t *testing.T) {
	whole := `{"error":false,"reason":"some_word","data":{"fingerprint":5,"session_id":"` + session + `"}}`
	for name, r := range map[string]reply{
		"as documented": {status: 200, body: whole}, "201": {status: 201, body: whole}, "206": {status: 206, body: whole},
		"no reason": {status: 200, body: strings.Replace(whole, `"reason":"some_word",`, "", 1)},
		"no error":  {status: 202, body: strings.Replace(whole, `"error":false,`, "", 1)},
		"null":      {status: 202, body: strings.Replace(whole, `"error":false,`, `"error":null,`, 1)},
		"more":      {status: 200, body: strings.Replace(whole, `{"error"`, `{"Error":true,"x":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+`,"error"`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := client(always(r))
			for op, call := range changes(c) {
				require.NoError(t, call(t.Context()), op)
			}
			require.EqualValues(t, s.calls(), c.Calls.Load())
		})
	}
}

func TestAnswersWithoutABody(t *testing.T) {
	for status, patches := range map[int]bool{200: true, 204: true} {
		c, _ := client(always(reply{status: status}))
		for op, call := range changes(c) {
			err := call(t.Context())
			switch {
			case op == "send message" || op == "create conversation":
				require.Error(t, err, op)
			case op == "ask for a rating":
				require.Equal(t, status == 204, err == nil)
			default:
				require.Equal(t, patches, err == nil, op)
			}
		}
		require.Error(t, c.Website(t.Context()) /* a GET */)
	}
}

func TestSend(t *testing.T) {
	for body, want := range map[string]int64{
		`{"error":false,"reason":"dispatched","data":{"fingerprint":77}}`:  77,
		`{"error":false,"reason":"dispatched","data":{"fingerprint":-77}}`: -77,
		`{"data":{"fingerprint":77}}`:                                      77,
		`{"error":false,"reason":"dispatched","data":{}}`:                  0,
		`{"error":false,"reason":"dispatched","data":[]}`:                  0,
		`{"error":false,"reason":"dispatched","data":null}`:                0,
		`{"error":false}`: 0,
		`{"error":false,"data":{"fingerprint":1.5}}`: 0,
	} {
		c, s := client(always(reply{status: 202, body: body}))
		fp, err := c.Send(t.Context(), session, crispapi.Outgoing{Type: "text", From: "user", Origin: "chat", Content: []byte(`"hi"`), Fingerprint: 5})
		require.Equal(t, want != 0, err == nil, body)
		require.Equal(t, want, fp, body)
		require.Equal(t, []string{"POST /conversation/" + session + "/message"}, s.asked)
		require.JSONEq(t, `{"type":"text","from":"user","origin":"chat","content":"hi","fingerprint":5}`, s.bodies[0])
	}
}

func TestRequests(t *testing.T) {
	c, s := client(always(data(`{}`)))
	require.NoError(t, c.SetState(t.Context(), session, "resolved"))
	require.NoError(t, c.Assign(t.Context(), session, "ann"))
	require.NoError(t, c.SetInbox(t.Context(), session, "inbox"))
	require.NoError(t, c.MarkRead(t.Context(), session, "urn:a:b:0", []int64{1, -2}))
	require.NoError(t, c.MarkRead(t.Context(), session, "urn:a:b:0", nil), "which Crisp would take for all")
	require.NoError(t, c.Typing(t.Context(), session, false))
	require.NoError(t, c.Edit(t.Context(), session, -3, []byte(`"x"`)))
	require.NoError(t, c.SetMetas(t.Context(), session, crispapi.Metas{Data: map[string]any{"a": 1}, Device: &crispapi.Device{Locales: []string{"fr"}}}))
	base := "PATCH /conversation/" + session
	require.Equal(t, []string{base + "/state", base + "/routing", base + "/inbox", base + "/read", base + "/compose", base + "/message/-3", base + "/meta"}, s.asked)
	for i, want := range []string{`{"state":"resolved"}`, `{"assigned":{"user_id":"ann"}}`, `{"inbox_id":"inbox"}`,
		`{"from":"operator","origin":"urn:a:b:0","fingerprints":[1,-2]}`, `{"type":"stop","from":"user"}`, `{"content":"x"}`,
		`{"data":{"a":1},"device":{"locales":["fr"]}}`} {
		require.JSONEq(t, want, s.bodies[i])
	}
}

func TestNothingIsAskedForWithABadID(t *testing.T) {
	c, s := client(always(data(`{}`)))
	e := failure(t, c.SetState(t.Context(), "session_../../x", "resolved"))
	require.Equal(t, crispapi.Never, e.Class())
	require.True(t, e.SafeToRetry())
	e = failure(t, c.Edit(t.Context(), session, 1, []byte(`{`)))
	require.Equal(t, crispapi.Never, e.Class(), "no JSON")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.SetState(ctx, session, "resolved"), context.Canceled)
	require.Zero(t, s.calls())
}

// The list is asked for by the last update, and a row that is odd fails nothing.
func TestListReadsRowsLeniently(t *testing.T) {
	c, s := client(always(reply{status: 206, body: `{"error":false,"reason":"listed","data":[
		{"session_id":"` + session + `","state":"pending","status":0,"updated_at":1634080131140,"is_blocked":true,"meta":{"email":"a@b.c"}},
		{"session_id":"session_2","state":1,"meta":[],"updated_at":1634080131},
		{"session_id":"session_3","status":2,"meta":null,"updated_at":"yesterday","is_blocked":"no"},
		{"session_id":["session_4"],"state":7,"updated_at":0},
		{"session_id":"session_5","meta":{"email":"a","email":"b"}},
		null,5,[],{}]}`}))
	rows, err := c.List(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, []string{"GET /conversations/2?per_page=50&order_date_updated=1"}, s.asked)
	require.Len(t, rows, 9)
	for i := range rows {
		if i < 3 {
			require.Equal(t, []string{"pending", "unresolved", "resolved"}[i], rows[i].State)
		} else {
			require.Empty(t, rows[i].State)
		}
	}
	require.True(t, rows[0].Blocked)
	require.Equal(t, "a@b.c", rows[0].Meta.Email)
	require.EqualValues(t, 1634080131140, rows[0].Changed())
	require.EqualValues(t, 1634080131000, rows[1].Changed())
	require.Zero(t, rows[2].Changed())
	require.Equal(t, "session_5", rows[4].SessionID)
	for _, body := range []string{`{"error":false,"data":{}}`, `{"error":true,"data":[]}`, `{"data":null}`, `{}`, ``} {
		c, _ := client(always(reply{status: 206, body: body}))
		_, err := c.List(t.Context(), 1)
		require.Equal(t, crispapi.Soon, failure(t, err).Class(), body)
	}
}

// P1: what cannot be read of metas is as good as empty, and what can is written back as it was.
func TestMetas(t *testing.T) {
	for body, want := range map[string]crispapi.Metas{
		`[]`: {}, `{}`: {}, `null`: {},
		`{"nickname":5,"email":"a@b.c","segments":["x",1,"y"],"data":[],"device":[]}`: {Email: "a@b.c", Segments: []string{"x", "y"}},
		`{"segments":"x","data":"y","device":{"locales":["fr"],"system":{}}}`:         {Device: &crispapi.Device{Locales: []string{"fr"}}},
		`{"data":{"a":1,"a":2}}`: {},
	} {
		c, _ := client(always(data(body)))
		m, err := c.Metas(t.Context(), session)
		require.NoError(t, err, body)
		require.Equal(t, want, m, body)
	}
	c, s := client(always(data(`{"data":{"order":12345678901234567890,"vip":true,"plan":"pro","n":1.50,"more":{"a":[]}}}`)))
	m, err := c.Metas(t.Context(), session)
	require.NoError(t, err)
	require.NoError(t, c.SetMetas(t.Context(), session, m))
	require.Equal(t, `{"data":{"more":{"a":[]},"n":1.50,"order":12345678901234567890,"plan":"pro","vip":true}}`, s.bodies[1])
	c, _ = client(always(data(`"x"`)))
	_, err = c.Metas(t.Context(), session)
	require.Error(t, err)
}

func TestGone(t *testing.T) {
	for name, tt := range map[string]struct {
		conversation, website reply
		gone                  bool
	}{
		"there":        {data(`{}`), data(`{}`), false},
		"gone":         {reply{status: 404}, data(`{}`), true},
		"both missing": {reply{status: 404}, reply{status: 404}, false},
		"refused":      {reply{status: 403}, data(`{}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := client(func(_, path string) reply {
				if path == "" {
					return tt.website
				}
				return tt.conversation
			})
			require.Equal(t, tt.gone, c.Gone(t.Context(), session))
		})
	}
}

func TestErrors(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for name, tt := range map[string]struct {
		reply reply
		class crispapi.Class
		safe  bool
		says  string
	}{
		"bad data":         {reply{status: 400, body: `{"error":true,"reason":"invalid_data","data":{"message":"private words"}}`}, crispapi.Never, true, "HTTP 400 invalid_data"},
		"full":             {reply{status: 409, body: `{"reason":"too_many_messages"}`}, crispapi.Never, true, "too_many_messages"},
		"too large":        {reply{status: 413}, crispapi.Never, true, "HTTP 413"},
		"unprocessable":    {reply{status: 422}, crispapi.Never, true, "HTTP 422"},
		"teapot":           {reply{status: 418}, crispapi.Never, true, "HTTP 418"},
		"plan":             {reply{status: 402, body: `{"reason":"subscription_upgrade_required"}`}, crispapi.Never, true, "plan"},
		"plan by 403":      {reply{status: 403, body: `{"reason":"subscription_upgrade_required"}`}, crispapi.Never, true, "plan"},
		"no token":         {reply{status: 401, body: `{"reason":"invalid_session"}`}, crispapi.Person, true, "check Token"},
		"401":              {reply{status: 401}, crispapi.Person, true, "check Token"},
		"not allowed":      {reply{status: 403, body: `{"reason":"not_allowed"}`}, crispapi.Person, true, "website:conversation:messages (write)"},
		"scope":            {reply{status: 403, body: `{"reason":"token_scope_forbidden"}`}, crispapi.Person, true, "website:conversation:messages (write)"},
		"scope, other way": {reply{status: 401, body: `{"reason":"token_scope_forbidden"}`}, crispapi.Person, true, "website:conversation:messages (write)"},
		"tier":             {reply{status: 403, body: `{"reason":"restricted_route_tier"}`}, crispapi.Person, true, "Token.Tier"},
		"session":          {reply{status: 403, body: `{"reason":"invalid_session"}`}, crispapi.Person, true, "Token.Tier"},
		"role":             {reply{status: 403, body: `{"reason":"website_member_role_not_allowed"}`}, crispapi.Person, true, "role"},
		"not installed":    {reply{status: 404, body: `{"reason":"not_subscribed"}`}, crispapi.Person, true, "install the plugin"},
		"no website":       {reply{status: 404, body: `{"reason":"website_not_found"}`}, crispapi.Person, true, "website's id"},
		"rate":             {reply{status: 429}, crispapi.Later, true, "quota"},
		"calm":             {reply{status: 420}, crispapi.Later, true, "quota"},
		"quota":            {reply{status: 423, body: `{"reason":"quota_limit_exceeded"}`}, crispapi.Later, true, "quota"},
		"not there":        {reply{status: 404}, crispapi.Soon, true, "HTTP 404"},
		"timeout":          {reply{status: 408}, crispapi.Soon, true, "HTTP 408"},
		"server":           {reply{status: 503, body: `<html>private words</html>`}, crispapi.Soon, false, "HTTP 503"},
		"redirect":         {reply{status: 302, header: http.Header{"Location": {"https://elsewhere.example"}}}, crispapi.Soon, true, "HTTP 302"},
		"odd reason":       {reply{status: 500, body: `{"reason":"private words"}`}, crispapi.Soon, false, "HTTP 500"},
		"not connected":    {reply{err: dial}, crispapi.Soon, true, "refused"},
		"cut":              {reply{err: io.ErrUnexpectedEOF}, crispapi.Soon, false, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := client(always(tt.reply))
			e := failure(t, changes(c)["send message"](t.Context()))
			require.Equal(t, tt.class, e.Class())
			require.Equal(t, tt.safe, e.SafeToRetry())
			require.ErrorContains(t, e, tt.says)
			require.ErrorContains(t, e, "crisp: send message")
			require.NotContains(t, e.Error(), "private words")
			require.False(t, e.Held)
			require.Equal(t, 1, s.calls())
			require.Equal(t, strings.HasPrefix(name, "plan"), e.NotOnPlan())
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Now()
	date := func(d time.Duration) string { return now.Add(d).UTC().Format(http.TimeFormat) }
	for value, want := range map[string]time.Duration{
		"30": 30 * time.Second, " 30 ": 30 * time.Second, "0.5": time.Second / 2, "7200": time.Hour, "1e300": time.Hour,
		"0": 0, "-5": 0, "soon": 0, "NaN": 0, "": 0, date(90 * time.Second): 90 * time.Second, date(-time.Hour): 0, date(48 * time.Hour): time.Hour,
	} {
		c, _ := client(always(reply{status: 429, header: http.Header{"Retry-After": {value}, "Date": {date(0)}}}))
		e := failure(t, c.SetState(t.Context(), session, "resolved"))
		require.Equal(t, want, e.RetryAfter, value)
		if want > 0 {
			require.InDelta(t, want, e.Wait, float64(time.Second))
		} else {
			require.Equal(t, 2*time.Second, e.Wait.Round(time.Second))
		}
	}
}

func TestNothingPrints(t *testing.T) {
	token := crispapi.Token{Identifier: "secret-id", Key: "secret-key", Tier: "plugin"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(verb, token), "secret", verb)
		require.NotContains(t, fmt.Sprintf(verb, crispapi.Config{Token: token}), "secret", verb)
	}
}

// A call that hangs is cut, and one whose caller leaves says nothing about Crisp.
func TestCallsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		s := roundTrip(func(req *http.Request) (*http.Response, error) {
			select {
			case <-req.Context().Done():
				return nil, req.Context().Err()
			case <-hang:
				return nil, io.EOF
			}
		})
		c := crispapi.New(crispapi.Config{WebsiteID: "w", HTTP: &http.Client{Transport: s}})
		begun := time.Now()
		e := failure(t, c.SetState(t.Context(), session, "resolved"))
		require.Equal(t, crispapi.CallTimeout, time.Since(begun))
		require.ErrorIs(t, e, context.DeadlineExceeded)
		require.False(t, e.SafeToRetry())
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			e = failure(t, c.SetState(ctx, session, "resolved"))
			cancel()
			require.Zero(t, e.Wait)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A transport that panics is an error like a network that fails.
func TestATransportThatPanics(t *testing.T) {
	var stack string
	transport := &server{answer: func(string, string) reply { panic("secret") }}
	c := crispapi.New(crispapi.Config{WebsiteID: "w", HTTP: &http.Client{Transport: transport}, OnPanic: func(s string) { stack = s }})
	e := failure(t, c.SetState(t.Context(), session, "resolved"))
	require.ErrorContains(t, e, "the HTTP client panicked")
	require.NotContains(t, e.Error(), "secret")
	require.False(t, e.SafeToRetry(), "it may have been sent")
	require.Contains(t, stack, "RoundTrip")
}

// Config.Fault makes the errors that callers get, of every call.
func TestErrorsOfTheCaller(t *testing.T) {
	own := errors.New("the caller's own")
	var faults []*crispapi.Error
	c := crispapi.New(crispapi.Config{WebsiteID: "w", HTTP: &http.Client{Transport: &server{answer: always(reply{status: 500})}},
		Fault: func(e *crispapi.Error) error { faults = append(faults, e); return own }})
	for _, call := range []struct {
		reads bool
		make  func() error
	}{
		{false, func() error { return c.SetState(t.Context(), session, "resolved") }},
		{true, func() error { _, err := c.Conversation(t.Context(), session); return err }},
		{true, func() error { _, err := c.Message(t.Context(), session, 1); return err }},
		{true, func() error { _, err := c.Messages(t.Context(), session, crispapi.Reach{}); return err }},
		{true, func() error { _, err := c.Page(t.Context(), session, 0); return err }},
	} {
		faults = nil
		require.ErrorIs(t, call.make(), own)
		require.Len(t, faults, 1)
		require.Equal(t, call.reads, faults[0].Read)
	}
}
