package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/crisphandover/handover"
)

func main() {
	h, err := handover.New(handover.Config{
		WebsiteID: os.Getenv("CRISP_WEBSITE_ID"),
		Token:     handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(os.Getenv("CRISP_IDENTIFIER")), Key: handover.NewSecret(os.Getenv("CRISP_KEY"))},
		BaseURL:   os.Getenv("CRISP_URL"), Webhook: handover.Webhook{Secrets: handover.NewSecrets(os.Getenv("CRISP_WEBHOOK_SECRET"))},
		Store: &handover.MemoryStore{}, // its state ends with the process; a database keeps it: docs/stores.md
		Answer: func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
			if m.Text == "human" {
				return &handover.Request{Segments: []string{"Customer"}, Note: "The user writes: " + m.Text}, nil
			}
			_, err := fmt.Println("bot: I am only a bot.") // yours says it to m.Conversation, and may take minutes
			return nil, err
		},
		Deliver: func(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error) {
			_, err = fmt.Println(string(m.From)+":", m.PlainText()) // agents, and the library's own sentences
			return "", err
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	go h.Run(context.Background()) // deadlines, retries, what a crash left
	http.Handle("POST /crisp/hooks", h)
	http.HandleFunc("POST /messages", func(w http.ResponseWriter, r *http.Request) {
		m := handover.Incoming{Conversation: handover.Conversation{Source: "chat", ID: r.FormValue("user")}, ID: r.FormValue("id"), Text: r.FormValue("text")}
		if err := h.Handle(r.Context(), m); handover.Permanent(err) {
			log.Print(err) // a repeat would not help
		} else if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable) // the channel repeats the message
		}
	})
	log.Fatal(http.ListenAndServe(os.Getenv("ADDR"), nil))
}
