package handoverotel_test

import (
	"context"
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
	telemetry, err := handoverotel.New(handoverotel.Options{})
	if err != nil {
		panic(err)
	}
	telemetry.Configure(&config)
	h, err := handover.New(config)
	if err != nil {
		return // the ids above are missing
	}
	stop, err := telemetry.Watch(h.Health)
	if err != nil {
		panic(err)
	}
	defer func() { _ = stop() }()
	http.Handle("POST /crisp/hooks", h) // in otelhttp.NewHandler, so that hooks have spans
}
