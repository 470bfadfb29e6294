// Messenger is a bot for Facebook Messenger that hands its conversations over to human agents.
//
//	go run ./examples/messenger
//
// It takes Meta's webhooks at LISTEN (127.0.0.1:8080) under /messenger, and sends through the Graph
// API. It needs, from the app's settings at developers.facebook.com,
//
//	MESSENGER_PAGE_TOKEN    the page's access token
//	MESSENGER_APP_SECRET    which Meta signs with
//	MESSENGER_VERIFY_TOKEN  any word, given to Meta with the webhook's address; subscribe to
//	                        messages and messaging_postbacks
//
// and refuses all webhooks without them. GRAPH_URL is another server with the Graph API.
//
// With CRISP_WEBSITE_ID, CRISP_TIER (website or plugin), CRISP_IDENTIFIER, CRISP_KEY, and
// CRISP_WEBHOOK_SECRET (hooks of a plugin) or CRISP_WEBHOOK_KEY (hooks of a website) agents answer
// in that Crisp, whose hooks come to /crisp/hooks. CRISP_URL is another server with Crisp's API.
// Without them it is a fake Crisp, in which Ann answers by herself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/crisphandover/handover"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "messenger takes no arguments, and its settings from the environment: go doc ./examples/messenger")
	}
	if flag.Parse(); flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "messenger:", err)
		os.Exit(1)
	}
}

const defaultAddress = "127.0.0.1:8080"

// run serves until ctx ends.
func run(ctx context.Context, getenv func(string) string, out io.Writer) error {
	address := getenv("LISTEN")
	if address == "" {
		address = defaultAddress
	}
	graphURL := getenv("GRAPH_URL")
	if graphURL == "" {
		graphURL = defaultGraph
	}
	config, isLive := crispOf(getenv)
	config.Store = &handover.MemoryStore{} // a real bot keeps its sessions in a database, see package sqlstore
	var ann *ann
	if !isLive {
		ann = hireAnn(&config)
		defer ann.crisp.Close()
	}
	client := &http.Client{Timeout: 10 * time.Second}
	b, err := newBot(config, &channel{graph: newGraph(client, graphURL, getenv("MESSENGER_PAGE_TOKEN"))})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w: say in LISTEN where else", err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /crisp/hooks", b)
	hook := webhook{secret: getenv("MESSENGER_APP_SECRET"), verify: getenv("MESSENGER_VERIFY_TOKEN"), hear: b.Handle}
	mux.Handle("GET /messenger", hook)
	mux.Handle("POST /messenger", hook)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	go b.Run(ctx)
	if ann != nil {
		ann.crisp.Attach(b)
		go ann.work(ctx)
	}
	greet(out, listener.Addr(), getenv, config, isLive)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(last), b.Shutdown(last))
}

// greet says where the webhook is, and what is missing.
func greet(out io.Writer, address net.Addr, getenv func(string) string, config handover.Config, isLive bool) {
	fmt.Fprintf(out, "messenger: Meta's webhook is http://%s/messenger\n", address)
	var missing []string
	for _, name := range []string{"MESSENGER_PAGE_TOKEN", "MESSENGER_APP_SECRET", "MESSENGER_VERIFY_TOKEN"} {
		if getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(out, "messenger: missing: %s (see go doc ./examples/messenger)\n", strings.Join(missing, ", "))
	}
	switch {
	case !isLive:
		fmt.Fprintln(out, "messenger: no CRISP_* is set: agents are played by a fake Crisp")
	case len(config.Webhook.Secrets)+len(config.Webhook.URLKeys) == 0:
		fmt.Fprintln(out, "messenger: missing: CRISP_WEBHOOK_SECRET or CRISP_WEBHOOK_KEY; every hook of Crisp's is refused")
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
