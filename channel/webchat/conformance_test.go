package webchat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
)

// flaky is a store that fails as a test says.
type flaky struct {
	*MemoryStore
	wall *channeltest.Wall
}

func (s flaky) Save(ctx context.Context, conversation string, e Entry) (Entry, error) {
	if e.Visitor == nil && e.From != handover.FromUser {
		if _, refused := s.wall.Refuses(); refused {
			return Entry{}, errors.New("the database is away")
		}
	}
	return s.MemoryStore.Save(ctx, conversation, e)
}

// page is a user's: what it shows is read from the stream, as the page does.
type page struct {
	*channeltest.Wall // its faults
	t                 *testing.T
	host              *taking
	*browser
	n int
}

// taking is a library that keeps what it is given.
type taking struct {
	nobody
	mu  sync.Mutex
	all []handover.Incoming
}

func (h *taking) Handle(_ context.Context, m handover.Incoming) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, m)
	return nil
}

func (h *taking) take(context.Context) ([]handover.Incoming, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all, nil
}

// Seen implements channeltest.Platform.
func (p *page) Seen() (all []channeltest.Seen) {
	for _, e := range p.reads("") {
		if e.Name != "message" {
			continue
		}
		var v view
		require.NoError(p.t, json.Unmarshal([]byte(e.Data), &v))
		s := channeltest.Seen{ID: fmt.Sprint(v.Place), User: v.From == handover.FromUser, Text: v.Content.Text, Edited: v.Edited, Removed: v.Removed}
		for _, q := range v.Content.QuickReplies {
			s.Buttons = append(s.Buttons, channeltest.Press{Title: q.Title, Data: q.Payload})
		}
		if a := v.Content.Attachment; a != nil {
			s.Text = strings.TrimSpace(s.Text + "\n" + a.Payload.Text)
			if a.Payload.URL != "" {
				s.Files = append(s.Files, a.Payload.URL)
			}
			for _, c := range a.Payload.Elements {
				s.Text = strings.TrimSpace(s.Text + "\n" + c.Title + "\n" + c.Subtitle)
				s.Buttons = append(s.Buttons, presses(c.Buttons)...)
			}
			s.Buttons = append(s.Buttons, presses(a.Payload.Buttons)...)
		}
		all = append(all, s)
	}
	place := func(s channeltest.Seen) (n int) {
		_, err := fmt.Sscan(s.ID, &n)
		require.NoError(p.t, err)
		return n
	}
	slices.SortFunc(all, func(a, b channeltest.Seen) int { return place(a) - place(b) })
	return all
}

// Typing is how many people a page shows that type.
func (p *page) Typing() (n int) {
	for _, e := range p.reads("") {
		if e.Name == "status" && !strings.Contains(e.Data, `"typing":null`) {
			n++
		}
	}
	return n
}

// presses are buttons as the page shows them.
func presses(all []handover.Button) (list []channeltest.Press) {
	for _, b := range all {
		if b.Type == handover.ButtonPhone {
			b.Title, b.URL = b.Title+" "+b.Payload, "tel:"+b.Payload
		}
		list = append(list, channeltest.Press{Title: b.Title, Data: b.Payload, URL: b.URL})
	}
	return list
}

// Write implements channeltest.Platform.
func (p *page) Write(text string) { p.post(text, "") }

// Press implements channeltest.Platform.
func (p *page) Press(title string) bool {
	data := ""
	for _, s := range p.Seen() {
		for _, b := range s.Buttons {
			if b.Title == title {
				data = b.Data
			}
		}
	}
	if data != "" {
		p.post(title, data)
	}
	return data != ""
}

func (p *page) post(text, payload string) {
	p.t.Helper()
	p.n++
	body, err := json.Marshal(posted{ID: fmt.Sprint(p.n), Text: text, Payload: payload})
	require.NoError(p.t, err)
	require.Equal(p.t, 204, p.posts("/messages", string(body)))
}

// TestConformance passes the tests of all channels. A store that is down is all that can refuse a message: nobody sets
// limits or formats. TestAway has the user who is.
func TestConformance(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Subject {
		p := &page{Wall: &channeltest.Wall{}, t: t, host: &taking{}}
		store := flaky{&MemoryStore{}, p.Wall}
		start := func() channel.Channel {
			return newChat(t, func(c *Config) { c.Store, c.Limits = store, Limits{Messages: 10_000} })
		}
		c := start().(*Chat)
		r := serve(t, c, p.host)
		p.browser = r.opens(`{"session":null}`)
		open := p.streams("")
		t.Cleanup(func() { open.Body.Close() })
		return channeltest.Subject{
			Channel: c, Again: start, Platform: p, Conversation: r.conversationOf(p.browser).ID, Take: p.host.take,
			Without: []channeltest.Refusal{channeltest.Busy, channeltest.Away, channeltest.Format}, Secrets: []string{testKey},
		}
	})
}
