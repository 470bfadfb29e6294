// Webchat is a chat page with a small bot that hands its conversations over to human agents.
//
//	go run ./examples/webchat
//
// needs no account: it prints the address of a page with the user's chat on the left and the agents'
// inbox on the right, on a fake Crisp inside this process. bot.go is the file for a host to copy.
//
// With CRISP_WEBSITE_ID, CRISP_TIER (website or plugin), CRISP_IDENTIFIER, CRISP_KEY, and
// CRISP_WEBHOOK_SECRET (hooks of a plugin) or CRISP_WEBHOOK_KEY (hooks of a website) it serves that
// Crisp, and the inbox is gone. CRISP_URL is another server with Crisp's API. LISTEN is where it
// listens (127.0.0.1:8080, or a free port if that is taken); PUBLIC_URL is how that is reached from
// outside, by Crisp's hooks (/crisp/hooks) and by agents who open the history or a file.
//
// SIGHUP restarts the bot's server in the middle of whatever it does: connections are cut, the
// library begins anew from its store. The log of the chat and the store stay, as they would in a
// database.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "webchat takes no arguments, and its settings from the environment: go doc ./examples/webchat")
	}
	if flag.Parse(); flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, syscall.SIGHUP)
	if err := run(ctx, restart, os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "webchat:", err)
		os.Exit(1)
	}
}

// app is what lives on when the server restarts.
type app struct {
	config   handover.Config
	fake     *handovertest.Crisp // nil with a real Crisp
	chat     *chat
	files    *files
	inbox    *inbox // nil with a real Crisp
	listener net.Listener
	base     string // the address of the page
}

// run serves until ctx ends.
func run(ctx context.Context, restart <-chan os.Signal, getenv func(string) string, out io.Writer) error {
	config, isLive := crispOf(getenv)
	listener, err := listen(getenv("LISTEN"), isLive)
	if err != nil {
		return err
	}
	a := &app{config: config, chat: newChat(), listener: listener, base: strings.TrimSuffix(getenv("PUBLIC_URL"), "/")}
	if a.base == "" {
		a.base = "http://" + listener.Addr().String()
	}
	a.files = &files{base: a.base}
	if !isLive {
		a.fake = handovertest.New(handovertest.Options{Operators: operators})
		defer a.fake.Close()
		a.config = configOf(a.fake)
		a.inbox = &inbox{crisp: a.fake, files: a.files, typing: map[string]bool{}}
		a.config.Presence = a.inbox.there
		a.config.Policy.LocalFiles = true // the agents are on this machine
	}
	a.config.Store = &handover.MemoryStore{} // a real bot keeps its sessions in a database, see package sqlstore
	a.config.History = handover.History{URL: a.base + "/history", SigningKey: handover.NewSecret(rand.Text() + rand.Text())}
	for first := out; ; first = io.Discard {
		b, err := newBot(a.config, a.chat)
		if err != nil {
			return errors.Join(err, a.listener.Close())
		}
		a.greet(first, getenv)
		again, err := a.serve(ctx, restart, b)
		if err != nil || !again {
			return err
		}
		if a.listener, err = net.Listen("tcp", a.listener.Addr().String()); err != nil {
			return err
		}
	}
}

// greet says where the page is, and what is missing.
func (a *app) greet(out io.Writer, getenv func(string) string) {
	fmt.Fprintln(out, a.base)
	if a.fake != nil {
		return
	}
	if len(a.config.Webhook.Secrets)+len(a.config.Webhook.URLKeys) == 0 {
		slog.Warn("webchat: without CRISP_WEBHOOK_SECRET or CRISP_WEBHOOK_KEY every hook is refused")
	}
	if getenv("PUBLIC_URL") == "" {
		slog.Warn("webchat: without PUBLIC_URL agents elsewhere can open neither the history nor files")
	}
}

// crispOf reads from the environment how to reach a Crisp; false if nothing is set.
func crispOf(getenv func(string) string) (c handover.Config, isLive bool) {
	get := func(name string) string {
		value := getenv("CRISP_" + name)
		isLive = isLive || value != ""
		return value
	}
	c.WebsiteID = get("WEBSITE_ID")
	c.Token = handover.Token{Tier: handover.Tier(get("TIER")), Identifier: handover.NewSecret(get("IDENTIFIER")), Key: handover.NewSecret(get("KEY"))}
	c.BaseURL = get("URL")
	if secret := get("WEBHOOK_SECRET"); secret != "" {
		c.Webhook.Secrets = handover.NewSecrets(secret)
	}
	if key := get("WEBHOOK_KEY"); key != "" {
		c.Webhook.URLKeys = map[string][]handover.Secret{c.WebsiteID: handover.NewSecrets(key)}
	}
	return c, isLive
}

// configOf says how to reach the fake.
func configOf(fake *handovertest.Crisp) handover.Config {
	id, key := fake.Token()
	return handover.Config{
		WebsiteID: fake.WebsiteID(), Token: handover.Token{Tier: handover.Tier(fake.Tier()), Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook: handover.Webhook{Secrets: handover.NewSecrets(fake.Secret())}, BaseURL: fake.URL(), HTTPClient: fake.Client(),
	}
}

const defaultAddress = "127.0.0.1:8080"

// listen takes the address, or any port where nobody depends on it.
func listen(address string, isLive bool) (net.Listener, error) {
	if address != "" {
		return net.Listen("tcp", address)
	}
	listener, err := net.Listen("tcp", defaultAddress)
	if err != nil && !isLive {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return listener, err
}

// serve is one life of the bot's server. It reports whether there is to be another.
func (a *app) serve(ctx context.Context, restart <-chan os.Signal, b *bot) (again bool, err error) {
	life, end := context.WithCancel(ctx)
	defer end()
	server := &http.Server{
		Handler:           routes{chat: a.chat, bot: b, files: a.files}.handler(&page{Base: a.base, Inbox: a.inbox != nil}, a.inbox),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return life }, // its end ends the streams
	}
	if a.fake != nil {
		defer a.fake.Attach(a.inbox.listen(b))()
	}
	go b.Run(life)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(a.listener) }()
	select {
	case err := <-failed:
		return false, err
	case <-restart:
		again = true
		server.Close() // cuts all connections
	case <-ctx.Done():
	}
	end()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return again, errors.Join(server.Shutdown(last), b.Shutdown(last))
}
