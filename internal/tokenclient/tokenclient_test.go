package tokenclient_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/tokenclient"
)

func TestRedirectsAreNotFollowed(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	given := &http.Client{Timeout: time.Minute}
	for _, client := range []*http.Client{tokenclient.Of(nil), tokenclient.Of(given)} {
		calls.Store(0)
		answer, err := client.Get(server.URL)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusTemporaryRedirect, answer.StatusCode)
		require.EqualValues(t, 1, calls.Load())
	}
	require.Equal(t, time.Minute, tokenclient.Of(given).Timeout)
	require.Nil(t, given.CheckRedirect, "the host's own client stays as it is")
}

func TestConnectionsAreKept(t *testing.T) {
	const atOnce = 16
	var connections atomic.Int64
	arrived, all := make(chan struct{}, atOnce), make(chan struct{}, atOnce)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-all
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := tokenclient.Of(&http.Client{Timeout: time.Minute})
	for range 10 { // with two kept connections, 142 are made
		var calls sync.WaitGroup
		for range atOnce {
			calls.Go(func() {
				answer, err := client.Get(server.URL)
				require.NoError(t, err)
				_, _ = io.Copy(io.Discard, answer.Body)
				require.NoError(t, answer.Body.Close())
			})
		}
		for range atOnce {
			<-arrived
		}
		for range atOnce {
			all <- struct{}{}
		}
		calls.Wait()
	}
	require.Less(t, connections.Load(), int64(80)) // some calls come before a connection is free again
}

// A transport that the program has put in the place of the default is used.
func TestTheProgramsOwnTransport(t *testing.T) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	http.DefaultTransport = &http.Transport{}
	require.Nil(t, tokenclient.Of(nil).Transport)
	http.DefaultTransport = wrapped{}
	require.Nil(t, tokenclient.Of(nil).Transport)
	http.DefaultTransport = before
	own := &http.Transport{}
	require.Equal(t, own, tokenclient.Of(&http.Client{Transport: own}).Transport)
}

// wrapped is a transport that cannot be compared.
type wrapped struct {
	http.RoundTripper
	_ []string
}
