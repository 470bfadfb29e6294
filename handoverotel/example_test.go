package handoverotel_test

import (
	"context"
	"log"
	"net/http"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handoverotel"
)

// A bot with metrics and traces by the program's providers. What Deliver does is part of the trace of the agent's hook.
func Example() {
	var show func(ctx context.Context, conversation, text string) (id string, err error)
	config := handover.Config{
		// WebsiteID, Token, Webhook, Store …
		Deliver: func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			return show(handoverotel.Context(ctx, m.TraceParent), s.Conversation.ID, m.PlainText())
		},
	}
	if err := run(config); err != nil {
		log.Print(err)
	}
}

func run(config handover.Config) error {
	telemetry, err := handoverotel.New(handoverotel.Options{}) // the global providers
	if err != nil {
		return err
	}
	telemetry.Configure(&config) // sets Observe and TraceParent; an Observe of yours is called as well, a TraceParent of yours stays
	h, err := handover.New(config)
	if err != nil {
		return err
	}
	stop, err := telemetry.Watch(h.Health) // the gauges, of one Handover at a time
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	http.Handle("POST /crisp/hooks", h) // in otelhttp.NewHandler, so that hooks have spans
	return http.ListenAndServe(":8080", nil)
}
