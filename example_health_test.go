package handover_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// A readiness probe. It asks nobody: a process is not ready when it takes no more work, when it cannot reach its store,
// or when its Run hangs. That Crisp cannot be reached is no reason, since another process would fare no better: what
// waits is stored, and sent later. Have an alarm on that, by WebsiteHealth.Held and WebsiteHealth.Lag.
func ExampleHandover_Health() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, quiet(configFor(crisp)))
	ready := func(w http.ResponseWriter, _ *http.Request) {
		health := h.Health()
		switch {
		case health.ShutDown, health.Full:
		case health.Store.Failing && health.At.Sub(health.Store.FailingSince) > 10*time.Second:
		case health.Running && !health.LastPoll.IsZero() && health.At.Sub(health.LastPoll) > time.Minute:
		default:
			return // 200
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	probe := func() {
		answer := httptest.NewRecorder()
		ready(answer, nil)
		fmt.Println(answer.Code)
	}

	probe()
	if err := h.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	probe()
	// Output:
	// 200
	// 503
}

// Of all conversations those that somebody should look at, and what waits in them.
func ExampleHandover_Conversations() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := configFor(crisp)
	config.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) {
		return "", errors.New("the channel is down")
	}
	h := start(crisp, config)
	activeConversation(crisp, h)

	for s, err := range h.Conversations(context.Background(), handover.ConversationFilter{Troubled: true}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.Conversation.Source, s.Conversation.ID, s.State, s.Condition)
		for _, p := range s.Waits {
			fmt.Printf("%s %s, attempt %d: %q\n", p.Direction, p.Kind, p.Attempt, p.Fault)
		}
	}
	// Output:
	// webchat user-1 active failing
	// to_user text, attempt 1: "error"
	// to_user text, attempt 0: ""
	// to_user deliver, attempt 0: ""
}
