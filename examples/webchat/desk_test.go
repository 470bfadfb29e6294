package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// slowPage is a page behind a connection whose writes fail after their deadline.
type slowPage struct {
	bytes.Buffer
	header   http.Header
	deadline time.Time
	late     int
}

func (p *slowPage) Header() http.Header { return p.header }
func (p *slowPage) WriteHeader(int)     {}
func (p *slowPage) Flush()              {}
func (p *slowPage) SetWriteDeadline(at time.Time) error {
	p.deadline = at
	return nil
}
func (p *slowPage) Write(b []byte) (int, error) {
	if time.Now().After(p.deadline) {
		p.late++
	}
	return p.Buffer.Write(b)
}

// TestInboxQuiet changes something after a quiet minute: the stream goes on.
func TestInboxQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := handovertest.NewCrisp(t, handovertest.Options{Operators: operators})
		in := &inbox{crisp: fake, files: &files{}, typing: map[string]bool{}}
		p := &slowPage{header: http.Header{}}
		go in.events(p, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/inbox/events", nil))
		synctest.Wait()
		time.Sleep(time.Minute)
		in.away.Store(true)
		fake.Away()
		synctest.Wait()
		require.Zero(t, p.late)
		require.Contains(t, p.String(), `"online":false`)
	})
}
