package crispapi_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
)

// picky refuses metas with one of these words in them.
type picky struct {
	words []string
	took  []string
}

func (p *picky) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	for _, word := range p.words {
		if strings.Contains(string(body), word) {
			return &http.Response{StatusCode: 400, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"error":true,"reason":"invalid_data"}`)), Request: req}, nil
		}
	}
	p.took = append(p.took, string(body))
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"error":false,"reason":"updated","data":{}}`)), Request: req}, nil
}

func TestSetMetasThatFit(t *testing.T) {
	const id = "session_11111111-2222-3333-4444-555555555555"
	all := crispapi.Metas{Nickname: "Ann", Email: "ann@", Phone: "+1", Segments: []string{"vip"}, Data: map[string]any{"plan": "pro"}}
	for name, tt := range map[string]struct {
		refuses, left, took []string
	}{
		"all fits":       {nil, nil, []string{`{"nickname":"Ann","email":"ann@","phone":"+1","segments":["vip"],"data":{"plan":"pro"}}`}},
		"the email":      {[]string{`"email":"ann@","phone`, `{"email":"ann@"}`}, []string{"email"}, []string{`{"nickname":"Ann"}`, `{"phone":"+1"}`, `{"segments":["vip"]}`, `{"data":{"email":"ann@","plan":"pro"}}`}},
		"segments":       {[]string{`"segments"`}, []string{"segments"}, []string{`{"nickname":"Ann"}`, `{"email":"ann@"}`, `{"phone":"+1"}`, `{"data":{"plan":"pro"}}`}},
		"nothing at all": {[]string{`{`}, []string{"nickname", "email", "phone", "segments", "data"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := &picky{words: tt.refuses}
			c := crispapi.New(crispapi.Config{BaseURL: "https://crisp.example/v1/", WebsiteID: "w", HTTP: &http.Client{Transport: p}})
			left, err := c.SetMetasThatFit(t.Context(), id, all)
			require.NoError(t, err)
			require.Equal(t, tt.left, left)
			require.Len(t, p.took, len(tt.took))
			for i, want := range tt.took {
				require.JSONEq(t, want, p.took[i])
			}
			require.Equal(t, map[string]any{"plan": "pro"}, all.Data, "what was given stays as it is")
		})
	}
	down := crispapi.New(crispapi.Config{BaseURL: "https://crisp.example/v1/", WebsiteID: "w", HTTP: &http.Client{Transport: fails{}}})
	_, err := down.SetMetasThatFit(t.Context(), id, all)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// fails is a transport that gives no answer.
type fails struct{}

func (fails) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func TestMetasWithOthers(t *testing.T) {
	have := crispapi.Metas{Nickname: "Ann", Segments: []string{"vip"}, Data: map[string]any{"plan": "free", "city": "Oslo"}}
	got := have.With(crispapi.Metas{Email: "ann@x", Segments: []string{"vip", "bot"}, Data: map[string]any{"plan": "pro"}})
	require.Equal(t, crispapi.Metas{Email: "ann@x", Segments: []string{"vip", "bot"}, Data: map[string]any{"plan": "pro", "city": "Oslo"}}, got)
	require.Equal(t, "free", have.Data["plan"])
	require.Nil(t, crispapi.Metas{}.With(crispapi.Metas{}).Data)
}
