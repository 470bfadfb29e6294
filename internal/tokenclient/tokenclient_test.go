package tokenclient_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/tokenclient"
)

func TestRedirectsAreNotFollowed(t *testing.T) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	given := &http.Client{Timeout: time.Minute}
	for _, client := range []*http.Client{tokenclient.Of(nil), tokenclient.Of(given)} {
		calls = 0
		answer, err := client.Get(server.URL)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusTemporaryRedirect, answer.StatusCode)
		require.Equal(t, 1, calls)
	}
	require.Equal(t, time.Minute, tokenclient.Of(given).Timeout)
	require.Nil(t, given.CheckRedirect, "the host's own client stays as it is")
}
