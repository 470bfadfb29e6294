package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/crisphandover/handover"
)

// web is a bot in a web page, as its author wrote it: POST /ask streams the answer, word by word, into the request
// that brought the question. What handing over added stands between the markers; TestWiringSSE counts it.
type web struct {
	stream func(ctx context.Context, text string, word func(string) error) (needsHuman bool, err error)

	// handing over {
	handover *handover.Handover
	mu       sync.Mutex
	feeds    map[string][]handover.Message // of each user, for GET /events; a host with a database keeps them there
	changed  chan struct{}                 // closed when there is more
	// }
}

// sse writes an event of a stream.
func sse(w http.ResponseWriter, id int, event string, data any) error {
	body, err := json.Marshal(data)
	if err == nil {
		_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", id, event, body)
	}
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	return err
}

// plain is how the bot answered before.
func (b *web) plain(w http.ResponseWriter, r *http.Request) {
	word := func(s string) error { return sse(w, 0, "word", s) }
	if _, err := b.stream(r.Context(), r.FormValue("text"), word); err != nil {
		_ = sse(w, 0, "again", "") // the page repeats its question
	}
}

// handing over {

// handsOver has the bot hand its users over, as config says.
func (b *web) handsOver(config handover.Config) (err error) {
	b.feeds, b.changed = make(map[string][]handover.Message), make(chan struct{})
	config.Deliver = b.deliver
	b.handover, err = handover.New(config)
	return err
}

// ask takes a question, and has the bot answer it unless an agent has the conversation.
func (b *web) ask(w http.ResponseWriter, r *http.Request) {
	conv, text := handover.Conversation{Source: "web", ID: r.FormValue("user")}, r.FormValue("text")
	turn, err := b.handover.Receive(r.Context(), handover.Incoming{Conversation: conv, ID: r.FormValue("id"), Text: text})
	switch {
	case handover.Permanent(err):
		w.WriteHeader(http.StatusBadRequest)
		return
	case err != nil:
		w.WriteHeader(http.StatusServiceUnavailable) // the page repeats its question, with the same id
		return
	case !turn.Bot:
		_ = sse(w, 0, "taken", turn.Why) // what comes of it comes by GET /events
		return
	}
	err = b.handover.Reply(r.Context(), turn, func(ctx context.Context) error {
		needsHuman, err := b.stream(ctx, text, func(s string) error { return sse(w, 0, "word", s) })
		if err == nil && needsHuman {
			_, err = b.handover.Start(ctx, turn, handover.Request{Note: "The user writes: " + text})
		}
		return err
	})
	if errors.Is(err, handover.ErrNotYourTurn) {
		_ = sse(w, 0, "taken", handover.WhyHuman)
	} else if err != nil {
		_ = sse(w, 0, "again", "")
	}
}

// deliver puts what agents and the library say into the user's feed.
func (b *web) deliver(_ context.Context, s handover.Session, m handover.Message) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.feeds[s.Conversation.ID] = append(b.feeds[s.Conversation.ID], m)
	close(b.changed)
	b.changed = make(chan struct{})
	return m.ID, nil
}

// events streams the user's feed, from where the page left it. It drops what it has shown, by Message.ID.
func (b *web) events(w http.ResponseWriter, r *http.Request) {
	next, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	for {
		b.mu.Lock()
		feed, changed := b.feeds[r.FormValue("user")], b.changed
		b.mu.Unlock()
		for ; next < len(feed); next++ {
			if sse(w, next+1, "message", feed[next]) != nil {
				return
			}
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// }
