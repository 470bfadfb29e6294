package handover

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crisplog"
)

// answers is a transport that gives one answer.
type answers string

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a))), Request: req}, nil
}

// callsOf are calls to a website that gives these answers.
func callsOf(all answers) (*crispCalls, *record) {
	cfg := &Config{WebsiteID: "w", HTTPClient: &http.Client{Transport: all}}
	return &crispCalls{cfg: cfg, sites: newSites(cfg, &storage{}, "p", func(...Activity) {})}, &record{Website: "w"}
}

// What cannot be used of Crisp's log is told, with why; the rest is as hooks bring it.
func TestLogPartsWhatCannotBeUsed(t *testing.T) {
	page := answers(`{"error":false,"reason":"listed","data":[
		{"type":"text","content":"micro","fingerprint":-1,"timestamp":1634080131140000,"user":{"nickname":"Ann"},"read":0},
		{"type":"note","type":"text","content":"private","fingerprint":2,"timestamp":1634080131141},
		{"type":"text","content":"x","fingerprint":0,"timestamp":1634080131142},
		{"type":"text","content":"x","fingerprint":4,"timestamp":253402300800000}]}`)
	calls, rec := callsOf(page)
	read, err := calls.log(t.Context(), rec, hookSession, nil, crispapi.Reach{Since: 1634080131140})
	require.NoError(t, err)
	msgs, odd := read.Messages, read.Odd
	require.Len(t, msgs, 1)
	require.EqualValues(t, -1, msgs[0].Fingerprint)
	require.EqualValues(t, 1634080131140, msgs[0].Timestamp)
	require.Equal(t, "Ann", msgs[0].Author.Name)
	whys := make(map[crispapi.Why]crisplog.Odd)
	for _, m := range odd {
		require.NotEmpty(t, m.ID)
		m.ID = ""
		whys[crispapi.Why(m.Why)] = m
	}
	require.Equal(t, map[crispapi.Why]crisplog.Odd{
		crispapi.Doubled:       {Fingerprint: 2, At: 1634080131141, Why: "doubled"},
		crispapi.NoFingerprint: {At: 1634080131142, Why: "no_fingerprint"},
		crispapi.NoTime:        {Fingerprint: 4, Why: "no_time"},
	}, whys)
}

func TestPublicErrors(t *testing.T) {
	calls, rec := callsOf(answers(`{"error":true,"reason":"internal"}`))
	api := calls.sites.of(rec).API
	err := api.SetState(t.Context(), hookSession, "resolved")
	var e *APIError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "change state", e.Op)
	require.Equal(t, 200, e.StatusCode)
	require.True(t, e.Temporary())
	require.False(t, apiError(err).Read)
	require.ErrorContains(t, err, "handover: crisp: change state: HTTP 200 internal: the answer is not what Crisp documents")
	_, err = api.Metas(t.Context(), hookSession)
	require.True(t, apiError(fmt.Errorf("wrapped: %w", err)).Read)

	own := &APIError{Op: "send message", StatusCode: 403, Reason: "not_allowed"}
	require.True(t, apiError(own).NeedsPerson())
	require.False(t, (&APIError{StatusCode: 402}).Temporary())
}

// A result may be heard of twice, the second time when its effect waits again: the count of its attempts stays one that
// the record can be read with.
func TestAUserWhoIsAwayTwice(t *testing.T) {
	for _, signed := range []bool{false, true} {
		s := &crisplog.Session{ID: "session_a"}
		e := &effect{N: 1, Kind: kindDeliver, Crisp: s.ID, FP: 1, Signed: signed, Message: &Message{ID: "m", From: FromAgent}}
		rec := &record{Sessions: crisplog.Sessions{s}, env: &env{cfg: &Config{}, now: time.Unix(1e9, 0)}}
		rec.Serial, rec.ToUser = 1, queue{e}
		rec.settle(&rec.ToUser, result{effect: 1, err: ErrUserAway})
		require.Len(t, rec.all(), 1)
		require.Empty(t, rec.all()[0].fault(1))
	}
}
