package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// webRig is the bot in a server, with PostgreSQL, and its page.
type webRig struct {
	t      *testing.T
	crisp  *handovertest.Crisp
	config handover.Config
	store  *handovertest.BrittleStore
	bot    *web
	url    string
	stop   func()
	lines  <-chan string // what the page shows of agents and the library

	thinks chan struct{} // an answer waits for it, if it is set
	asks   func()        // called before the bot asks for a human
	begun  chan string   // tells of each answer that begins
}

func newWebRig(t *testing.T) *webRig {
	r := &webRig{t: t, crisp: handovertest.NewCrisp(t, handovertest.Options{}), begun: make(chan string, 100)}
	r.store = handovertest.NewBrittleStore(postgresStore(t, openPostgres(t, postgresSchema(t, postgresConfig(t), nil))))
	r.config = r.crisp.Config()
	r.config.Store = r.store
	r.config.Timeouts.Reply = 2 * time.Second // so long a repeat waits after a store that failed at its end
	r.start()
	return r
}

// start starts a server; stop stops it, as a new version does that takes its place.
func (r *webRig) start() {
	r.bot = &web{stream: r.stream}
	require.NoError(r.t, r.bot.handsOver(r.config))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /plain", r.bot.plain)
	mux.HandleFunc("POST /ask", r.bot.ask)
	mux.HandleFunc("GET /events", r.bot.events)
	server := httptest.NewServer(mux)
	r.url = server.URL
	halt := r.crisp.Run(r.bot.handover)
	ctx, cancel := context.WithCancel(r.t.Context())
	r.stop = func() {
		cancel()
		server.CloseClientConnections()
		server.Close()
		halt()
	}
	r.t.Cleanup(r.stop)
	r.lines = r.page(ctx)
}

// stream is a language model: it says "You said …", word by word.
func (r *webRig) stream(ctx context.Context, text string, word func(string) error) (needsHuman bool, err error) {
	r.begun <- text
	answer := "You said " + text
	if needsHuman = strings.Contains(text, "human"); needsHuman {
		answer = "I ask for one."
	}
	for _, w := range strings.Fields(answer) {
		if err := word(w); err != nil {
			return false, err
		}
	}
	if r.thinks != nil {
		select {
		case <-r.thinks:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if needsHuman && r.asks != nil {
		r.asks()
		r.asks = nil
	}
	return needsHuman, nil
}

// event is one of a stream.
type event struct{ name, data string }

// events reads a stream.
func events(response *http.Response, each func(event)) {
	defer response.Body.Close()
	var e event
	for s := bufio.NewScanner(response.Body); s.Scan(); {
		switch name, value, _ := strings.Cut(s.Text(), ": "); name {
		case "event":
			e.name = value
		case "data":
			e.data = value
			each(e)
		}
	}
}

// page shows what comes by GET /events.
func (r *webRig) page(ctx context.Context) <-chan string {
	lines := make(chan string, 100)
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/events?user=joe", nil)
	require.NoError(r.t, err)
	go func() {
		response, err := http.DefaultClient.Do(q)
		if err != nil {
			return
		}
		events(response, func(e event) {
			var m handover.Message
			if json.Unmarshal([]byte(e.data), &m) == nil {
				lines <- string(m.From) + ": " + m.Content.Text
			}
		})
	}()
	return lines
}

// asked is what the page gets for a question: the words, or what came instead.
func (r *webRig) asked(id, text string) (string, error) {
	response, err := http.PostForm(r.url+"/ask", url.Values{"user": {"joe"}, "id": {id}, "text": {text}})
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return "", errors.New(response.Status)
	}
	var words []string
	again := false
	events(response, func(e event) {
		again = again || e.name == "again"
		words = append(words, strings.Trim(e.data, `"`))
	})
	if again {
		return "", errors.New("again")
	}
	return strings.Join(words, " "), nil
}

// says asks until there is an answer, as the page does.
func (r *webRig) says(id, text string) string {
	for {
		answer, err := r.asked(id, text)
		if err == nil {
			return answer
		}
		require.NoError(r.t, r.t.Context().Err(), err)
	}
}

// shows is the next line in the page.
func (r *webRig) shows(want string) {
	r.t.Helper()
	require.Equal(r.t, want, <-r.lines)
}

func TestWiringSSE(t *testing.T) {
	fmt.Printf("wiring: SSE: handing over adds %d lines; by hand it took 92\n", addedLines(t, "wiring_sse_test.go"))
	const comes = "system: A person will be with you soon. You can already describe your question."
	t.Run("the bot before", func(t *testing.T) {
		r := newWebRig(t)
		response, err := http.PostForm(r.url+"/plain", url.Values{"text": {"hello"}})
		require.NoError(t, err)
		var words []string
		events(response, func(e event) { words = append(words, e.data) })
		require.Equal(t, []string{`"You"`, `"said"`, `"hello"`}, words)
	})
	t.Run("a whole handover", func(t *testing.T) {
		r := newWebRig(t)
		require.Equal(t, "You said hello", r.says("1", "hello"))
		require.Equal(t, "I ask for one.", r.says("2", "a human!"))
		r.shows(comes)
		require.Equal(t, "human", r.says("3", "my parcel is lost"))
		ann := r.crisp.Last().Operator("Ann")
		ann.Say("I look for it")
		r.shows("system: Ann joined the conversation.")
		r.shows("agent: I look for it")
		ann.Resolve()
		r.shows("system: This conversation was closed. You are talking with the bot again.")
		require.Equal(t, "You said thanks", r.says("4", "thanks"))
		require.Contains(t, r.crisp.Last().Transcript(), "user: my parcel is lost")
	})
	t.Run("a repeat during a slow answer", func(t *testing.T) {
		r := newWebRig(t)
		r.thinks = make(chan struct{})
		answers := make(chan string, 3)
		ask := func() { answers <- r.says("1", "hello") }
		go ask()
		<-r.begun
		go ask() // the page was reloaded
		go ask()
		close(r.thinks)
		got := []string{<-answers, <-answers, <-answers}
		require.ElementsMatch(t, []string{"You said hello", "repeat", "repeat"}, got)
		require.Empty(t, r.begun)
	})
	t.Run("a crash between the answer and the asking", func(t *testing.T) {
		t.Parallel()
		for name, breaks := range breaks {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // the repeat waits until Timeouts.Reply and some seconds have passed
				r := newWebRig(t)
				require.Equal(t, "You said hello", r.says("1", "hello"))
				r.asks = func() { breaks(r.store, 1) }
				_, err := r.asked("2", "a human!")
				require.Error(t, err)
				r.store.Mend()
				require.Contains(t, []string{"I ask for one.", "repeat", "human"}, r.says("2", "a human!"))
				r.shows(comes)
				require.Len(t, r.crisp.Conversations(), 1, "asked once")
				r.crisp.Last().Operator("Ann").Say("Hello")
				r.shows("system: Ann joined the conversation.")
				r.shows("agent: Hello")
			})
		}
	})
	t.Run("an agent takes over while the answer streams", func(t *testing.T) {
		r := newWebRig(t)
		require.Equal(t, "I ask for one.", r.says("1", "a human!"))
		r.shows(comes)
		conv := handover.Conversation{Source: "web", ID: "joe"}
		require.NoError(t, r.bot.handover.End(t.Context(), conv, handover.EndOptions{}))
		<-r.begun
		r.thinks = make(chan struct{})
		answer := make(chan string)
		go func() { answer <- r.says("2", "where is my parcel?") }()
		<-r.begun
		r.crisp.Last().Operator("Ann").Say("I look for it")
		require.Equal(t, "You said where is my parcel? human", <-answer)
		require.NoError(t, r.crisp.Await(t.Context(), func() bool {
			return strings.Contains(strings.Join(r.crisp.Last().Transcript(), "\n"), "user: where is my parcel?")
		}))
	})
	t.Run("another process goes on", func(t *testing.T) {
		r := newWebRig(t)
		require.Equal(t, "I ask for one.", r.says("1", "a human!"))
		r.shows(comes)
		r.stop()
		r.start()
		require.Equal(t, "human", r.says("2", "my parcel is lost"))
		r.crisp.Last().Operator("Ann").Say("Hello")
		r.shows("system: Ann joined the conversation.")
		r.shows("agent: Hello")
	})
}
