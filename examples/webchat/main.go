// Webchat is a bot with the chat of package webchat that hands its conversations over to human agents.
//
//	go run ./examples/webchat
//
// needs no setting and no account: it prints the address of a page with the agents' inbox, on a fake Crisp inside this
// process, and the user's chat as a widget on it. To serve your Crisp set CRISP_WEBSITE_ID, CRISP_TIER (plugin or
// website), CRISP_IDENTIFIER, CRISP_KEY, CRISP_WEBHOOK_SECRET (of a plugin) or CRISP_WEBHOOK_KEY (of a website),
// PUBLIC_URL (where Crisp's hooks, /crisp/hooks, and agents reach this server), and CHAT_KEY (32 random bytes, which
// sign sessions); CRISP_URL is another server with Crisp's API. The inbox is gone then. ADDR is where it listens.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/webchat"
	"github.com/crisphandover/handover/translations"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv, os.Stdout); err != nil {
		log.Fatal("webchat: ", err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, getenv func(string) string, out io.Writer) error {
	listener, err := net.Listen("tcp", cmp.Or(getenv("ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return fmt.Errorf("set ADDR to a free address, such as 127.0.0.1:0: %w", err)
	}
	defer listener.Close()
	site := cmp.Or(strings.TrimSuffix(getenv("PUBLIC_URL"), "/"), "http://"+listener.Addr().String())
	files := &webchat.MemoryFiles{}
	key := handover.NewSecret(cmp.Or(getenv("CHAT_KEY"), rand.Text()+rand.Text()))
	chat, err := webchat.New(webchat.Config{URL: site + "/chat/", Key: key, Title: "Acorn Bikes", Welcome: welcome, Request: ask, Files: files})
	if err != nil {
		return err
	}
	config, desk := crisp(getenv, site, files)
	defer desk.close()
	config.Store = &handover.MemoryStore{} // a real bot keeps its sessions in a database, see package sqlstore
	config.History = handover.History{URL: site + "/history", SigningKey: handover.NewSecret(rand.Text() + rand.Text())}
	config.Answer, config.Texts = bot{chat}.answer, translations.Texts("en")
	err = chat.Attach(&config)
	h, failed := handover.New(config)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	server := &http.Server{Handler: routes(chat, h, desk), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	go h.Run(ctx)
	go server.Serve(listener)
	fmt.Fprintln(out, site)
	<-ctx.Done()
	return errors.Join(server.Close(), h.Shutdown(context.Background()))
}

// routes is the site: the chat, what agents and Crisp open, and the page with the widget.
func routes(chat *webchat.Chat, h *handover.Handover, desk *desk) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/chat/", chat.Handler(h))
	mux.Handle("GET /history", h.HistoryHandler())
	desk.mount(mux, chat, h)
	return mux
}
