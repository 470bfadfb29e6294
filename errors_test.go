package handover_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// answer is a response with that body; header is names and values in turn.
func answer(req *http.Request, status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}
}

// called is the error of a call when Crisp answers like that.
func called(t *testing.T, f rig.RoundTrip) error {
	c := goodConfig()
	c.HTTPClient = &http.Client{Transport: f}
	h, err := handover.New(c)
	require.NoError(t, err)
	_, err = h.Available(t.Context(), handover.Conversation{ID: "user-1"})
	return err
}

func TestAPIErrorTellsWhatFailedAndWhatToDo(t *testing.T) {
	for name, tt := range map[string]struct {
		status  int
		body    string
		reason  string
		says    string
		safe    bool
		retries bool
	}{
		"bad data":          {400, `{"error":true,"reason":"invalid_data","data":{"message":"private words"}}`, "invalid_data", "HTTP 400", true, false},
		"no token":          {401, `{"error":true,"reason":"invalid_session"}`, "invalid_session", "check Token: Identifier and Key", true, true},
		"wrong token":       {401, ``, "", "check Token", true, true},
		"wrong tier":        {403, `{"error":true,"reason":"restricted_route_tier"}`, "restricted_route_tier", "Token.Tier", true, true},
		"no scope":          {403, `{"error":true,"reason":"token_scope_forbidden"}`, "token_scope_forbidden", "scope", true, true},
		"not installed":     {404, `{"error":true,"reason":"not_subscribed"}`, "not_subscribed", "install the plugin", true, true},
		"free plan":         {402, `{"error":true,"reason":"subscription_upgrade_required"}`, "subscription_upgrade_required", "HTTP 402", true, false},
		"quota":             {423, `{"error":true,"reason":"quota_limit_exceeded"}`, "quota_limit_exceeded", "quota", true, true},
		"rate":              {429, ``, "", "HTTP 429", true, true},
		"calm":              {420, ``, "", "HTTP 420", true, true},
		"server":            {500, `{"error":true,"reason":"internal"}`, "internal", "HTTP 500", false, true},
		"gateway":           {502, `<html>private words</html>`, "", "HTTP 502", false, true},
		"reason with words": {400, `{"error":true,"reason":"private words of a user"}`, "", "HTTP 400", true, false},
		"redirect":          {307, ``, "", "HTTP 307", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := called(t, func(req *http.Request) (*http.Response, error) { return answer(req, tt.status, tt.body), nil })
			var api *handover.APIError
			require.ErrorAs(t, err, &api)
			require.Equal(t, tt.status, api.StatusCode)
			require.Equal(t, tt.reason, api.Reason)
			require.NotEmpty(t, api.Op)
			require.ErrorContains(t, err, tt.says)
			require.ErrorContains(t, err, api.Op)
			require.NotContains(t, err.Error(), "private words")
			require.True(t, strings.HasPrefix(err.Error(), "handover: "), err)
			require.Equal(t, tt.safe, handover.SafeToRetry(api))
			require.Equal(t, tt.retries, api.Temporary())
		})
	}
}

func TestAPIErrorWithoutAnAnswer(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	read := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")}
	for name, tt := range map[string]struct {
		err  error
		safe bool
	}{
		"not connected": {dial, true},
		"cut":           {read, false},
		"cut early":     {io.ErrUnexpectedEOF, false},
		"too slow":      {context.DeadlineExceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := called(t, func(*http.Request) (*http.Response, error) { return nil, tt.err })
			var api *handover.APIError
			require.ErrorAs(t, err, &api)
			require.Zero(t, api.StatusCode)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.safe, handover.SafeToRetry(api))
			require.True(t, api.Temporary())
		})
	}
}

// endless is a body that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func (e *endless) Close() error { return nil }

func TestAnswersThatAreNotCrisps(t *testing.T) {
	availability := func(resp func(*http.Request) *http.Response) error {
		c := goodConfig()
		c.HTTPClient = &http.Client{Transport: rig.RoundTrip(func(req *http.Request) (*http.Response, error) { return resp(req), nil })}
		h, err := handover.New(c)
		require.NoError(t, err)
		_, err = h.Available(t.Context(), handover.Conversation{ID: "1"})
		return err
	}
	endless := &endless{}
	for name, resp := range map[string]func(*http.Request) *http.Response{
		"not JSON": func(req *http.Request) *http.Response { return answer(req, 200, "private words") },
		"wrong types": func(req *http.Request) *http.Response {
			return answer(req, 200, `{"data":{"status":["private words"]}}`)
		},
		"another data": func(req *http.Request) *http.Response { return answer(req, 200, `{"data":"private words"}`) },
		"empty":        func(req *http.Request) *http.Response { return answer(req, 200, "") },
		"endless": func(req *http.Request) *http.Response {
			r := answer(req, 200, "")
			r.Body = endless
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := availability(resp)
			var api *handover.APIError
			require.ErrorAs(t, err, &api)
			require.NotContains(t, err.Error(), "private")
		})
	}
	require.Less(t, endless.read, 64<<20)
}

func TestCrispSaysWhenToComeBack(t *testing.T) {
	for name, tt := range map[string]struct {
		fault    handovertest.Fault
		from, to time.Duration
	}{
		"429 with a time":        {handovertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"30"}}}, 30 * time.Second, 35 * time.Second},
		"429 without one":        {handovertest.Fault{Status: 429}, time.Second, 5 * time.Second},
		"429 with words":         {handovertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"soon"}}}, time.Second, 5 * time.Second},
		"423 waits a minute":     {handovertest.Fault{Status: 423, Reason: "quota_limit_exceeded"}, time.Minute, 65 * time.Second},
		"423 that asks for more": {handovertest.Fault{Status: 423, Header: http.Header{"Retry-After": {"90"}}}, 90 * time.Second, 95 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				tt.fault.Route = handovertest.RouteSend
				r.Crisp.Fail(1, tt.fault)
				begun := time.Now()
				r.Says("hello")
				require.GreaterOrEqual(t, time.Since(begun), tt.from)
				require.LessOrEqual(t, time.Since(begun), tt.to)
				require.Equal(t, []string{"hello"}, rig.UserTexts(conv)[1:])
			})
		})
	}
}

func TestErrorsOfCrispReachTheCaller(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteWebsite, Status: 401})
		var api *handover.APIError
		require.ErrorAs(t, r.H.Check(r.T.Context()).Err(), &api)
		require.Equal(t, 401, api.StatusCode)
		require.NoError(t, r.H.Check(r.T.Context()).Err())

		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteAvailability, Status: 503})
		there, err := r.H.Available(r.T.Context(), r.Conv)
		require.ErrorAs(t, err, &api)
		require.Equal(t, handover.PresenceUnknown, there)
	})
}

// A channel that asks for a pause gets it, to the second, and the message is shown then.
func TestDeliverRetriesAfterTheChannelsPause(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		var tries []time.Time
		r.Fails(func(handover.Message) error {
			if tries = append(tries, time.Now()); len(tries) == 1 {
				return fmt.Errorf("show: %w", handover.RetryAfter(291*time.Second, errors.New("flood wait")))
			}
			return nil
		})
		ann.Say("hello")
		r.After(10 * time.Minute)
		require.Len(t, tries, 2)
		require.GreaterOrEqual(t, tries[1].Sub(tries[0]), 291*time.Second)
		require.Less(t, tries[1].Sub(tries[0]), 294*time.Second)
		require.Equal(t, []string{"agent Ann: hello"}, r.Saw())
	})
	require.EqualError(t, handover.RetryAfter(time.Second, nil), "the channel is busy")
}

// A pause that is longer than the message is tried for gives it up at once, and the agents hear why.
func TestDeliverGivesUpForALongPause(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(handover.Message) error { return handover.RetryAfter(24*time.Hour, errors.New("banned")) })
		ann.Say("hello")
		r.After(time.Minute)
		require.Equal(t, 1, r.Count(handover.ActivityGivenUp))
		require.Contains(t, everything(r), handover.DefaultTexts().NoteNotReached)
	})
}

// While the channel is down the order is kept, however long that lasts; a message that alone cannot be shown
// keeps nobody waiting.
func TestDeliverKeepsTheOrderThroughAnOutage(t *testing.T) {
	for _, minutes := range []int{1, 3, 10, 60} {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
			for i := range 5 {
				ann.Say(fmt.Sprint("message ", i))
			}
			r.After(time.Duration(minutes) * time.Minute)
			r.Fails(nil)
			r.After(5 * time.Minute)
			var want []string
			for i := range 5 {
				want = append(want, fmt.Sprint("agent Ann: message ", i))
			}
			require.Equal(t, want, r.Saw())
		})
	}
	rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(m handover.Message) error {
			if m.Content.Text == "cursed" {
				return rig.ErrChannelDown
			}
			return nil
		})
		ann.Say("cursed")
		for i := range 3 {
			ann.Say(fmt.Sprint("message ", i))
		}
		r.After(5 * time.Minute)
		require.Equal(t, []string{"agent Ann: message 0", "agent Ann: message 1", "agent Ann: message 2"}, r.Saw())
		r.Fails(nil)
		r.After(2 * time.Minute)
		require.Equal(t, []string{"agent Ann (late): cursed"}, r.Saw())
	})
}

// What Deliver documents as answers are no faults.
func TestAnswersOfDeliverAreNoFaults(t *testing.T) {
	for _, answer := range []error{handover.ErrUserAway, errors.ErrUnsupported} {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			r.Fails(func(handover.Message) error { return answer })
			ann.Say("hello")
			r.After(time.Minute)
			require.Zero(t, r.Count(handover.ActivityFault))
		})
	}
}

// An upload may take its time: Timeouts.Callback bounds a call.
func TestDeliverMayTakeAsLongAsCallbackSays(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts.Callback = 3 * time.Minute
		deliver := c.Deliver
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			if m.From == handover.FromAgent {
				if err := sleep(ctx, 2*time.Minute); err != nil {
					return "", err
				}
			}
			return deliver(ctx, s, m)
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(5 * time.Minute)
		r.Saw()
		ann.Say("hello")
		r.After(3 * time.Minute)
		require.Equal(t, []string{"agent Ann: hello"}, r.Saw())
		require.Zero(t, r.Count(handover.ActivityFault))
		require.Equal(t, 1, r.Last().Attempt)
	})
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		c := r.Config()
		c.Timeouts.Callback = time.Hour
		_, err := handover.New(c)
		require.ErrorContains(t, err, "Timeouts.Callback")
	})
}
