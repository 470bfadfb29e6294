// Quickstart is a bot, its user and a human agent in one terminal.
//
//	go run ./examples/quickstart
//
// plays a story on a fake Crisp, without an account, and ends by itself. Lines that begin with
// "crisp:" are the fake's own record; all others are what the user writes and sees.
//
// With CRISP_WEBSITE_ID, CRISP_TIER (website or plugin), CRISP_IDENTIFIER, CRISP_KEY, and
// CRISP_WEBHOOK_SECRET (hooks of a plugin) or CRISP_WEBHOOK_KEY (hooks of a website) the same bot
// talks to that Crisp. It takes hooks at ADDR (127.0.0.1:8080) under /crisp/hooks, and reads the
// user from standard input, one message a line; the end of the input is the user who leaves.
// CRISP_URL is another server with Crisp's API.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"

	"github.com/crisphandover/handover"
)

// conversation is the only one that this bot has.
var conversation = handover.Conversation{Source: "terminal", ID: "1"}

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "quickstart takes no arguments, and its settings from the environment: go doc ./examples/quickstart")
	}
	if flag.Parse(); flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run plays the story, or serves the Crisp that the environment names.
func run(ctx context.Context, getenv func(string) string) error {
	config, isLive := crispOf(getenv)
	address := "127.0.0.1:0"
	if isLive {
		address = "127.0.0.1:8080"
		if a := getenv("ADDR"); a != "" {
			address = a
		}
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if isLive {
		return live(ctx, config, listener, os.Stdin, os.Stdout)
	}
	s, err := newStory(os.Stdout, listener, http.DefaultClient)
	if err != nil {
		return err
	}
	return s.play(ctx)
}

// newBot makes the bot, and serves its hooks and its history page until stop is called.
func newBot(config handover.Config, s *screen, listener net.Listener) (b *bot, stop func(), err error) {
	b = &bot{screen: s, request: request}
	config.Answer, config.Deliver, config.Transcript = b.answer, s.deliver, s.transcript
	config.Store = &handover.MemoryStore{} // a real bot keeps its state in a database: see package sqlstore
	config.History = handover.History{
		URL:        "http://" + listener.Addr().String() + "/history",
		SigningKey: handover.NewSecret(rand.Text() + rand.Text()), // all replicas of a real bot share theirs
	}
	b.Handover, err = handover.New(config)
	if err != nil {
		listener.Close()
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /crisp/hooks", b)
	mux.Handle("GET /history", b.HistoryHandler())
	server := &http.Server{Handler: mux}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = server.Serve(listener)
	}()
	stop = func() {
		server.Close()
		<-stopped
	}
	return b, stop, nil
}

// request is what the agents learn of the user.
var request = handover.Request{
	Segments: []string{"Customer"},
	User: handover.NewUserData(map[string]any{
		"first_name": "Anakin", "last_name": "Skywalker",
		"email": "anakin@example.com", "phone_number": "0605776995",
		"gtu_accepted": "false", "comments": "in this guy, the force is strong",
	}),
}

// think is the bot's brain: what it answers, and whether the user needs a human.
func think(text string) (answer string, needsHelp bool) {
	text = strings.ToLower(text)
	switch {
	case strings.Contains(text, "human"):
		return "Ok, I will check if an agent is available right now.", true
	case strings.Contains(text, "open"):
		return "We open at nine.", false
	case strings.Contains(text, "bye"):
		return "Goodbye!", false
	}
	return "Hello, I am a bot. Ask me when we open, or for a human.", false
}
