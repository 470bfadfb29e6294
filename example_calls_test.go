package handover_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// activeConversation has the user ask for a human, and an agent answer.
func activeConversation(crisp *handovertest.Crisp, h *handover.Handover) *handovertest.Conversation {
	if _, err := h.Start(context.Background(), ask(h), handover.Request{}); err != nil {
		log.Fatal(err)
	}
	crisp.Last().Operator("Ann").Say("Hello")
	crisp.Settle()
	return crisp.Last()
}

// quiet leaves out what the user sees.
func quiet(c handover.Config) handover.Config {
	c.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
	return c
}

// A Handover is the handler of Crisp's hooks. What is not signed is refused.
func ExampleHandover_ServeHTTP() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, quiet(configFor(crisp)))
	mux := http.NewServeMux()
	mux.Handle("POST /crisp/hooks", h)

	body := handovertest.HookBody(crisp.WebsiteID(), "website:users:available", time.Now(), map[string]any{"available": true})
	for _, secret := range []string{crisp.Secret(), "wrong"} {
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, handovertest.Hook("/crisp/hooks", secret, time.Now(), body))
		fmt.Println(answer.Code)
	}
	// Output:
	// 200
	// 403
}

// A worker takes events from the host's queue. On an error the queue brings the event again.
func ExampleHandover_HandleEvent() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, quiet(configFor(crisp)))

	body := handovertest.HookBody(crisp.WebsiteID(), "session:set_state", time.Now(), map[string]any{
		"website_id": crisp.WebsiteID(), "session_id": "session_7a3c5e10-6f0b-4d55-9c1e-000000000002", "state": "resolved",
	})
	verified, err := handover.ParseEvent(body)
	if err != nil {
		log.Fatal(err)
	}
	verified.Signed = true // its signature was checked before it came into the queue
	queued, err := json.Marshal(verified)
	if err != nil {
		log.Fatal(err)
	}

	var event handover.Event
	if err := json.Unmarshal(queued, &event); err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.State, event.Signed, h.HandleEvent(context.Background(), event))
	// Output: resolved true <nil>
}

// The channel tells that the user types, and the agent in Crisp sees it.
func ExampleHandover_UserTyping() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, quiet(configFor(crisp)))
	activeConversation(crisp, h)

	fmt.Println(h.UserTyping(user, true))
	// Output: <nil>
}

// A user wants to be forgotten. What Crisp has is for Crisp to erase.
func ExampleHandover_Forget() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, quiet(configFor(crisp)))
	activeConversation(crisp, h)

	err := h.Forget(context.Background(), user)
	session, _ := h.Session(context.Background(), user)
	fmt.Println(err, session.State, session.CrispID == "")
	// Output: <nil> bot true
}

// A dashboard compares the day's calls with the token's quota.
func ExampleHandover_Spent() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, quiet(configFor(crisp)))
	activeConversation(crisp, h)

	spent, err := h.Spent(context.Background())
	fmt.Println(spent.Calls > 0, spent.Day == time.Now().UTC().Format(time.DateOnly), err)
	// Output: true true <nil>
}

// At its end a process finishes what it has begun. What users write then, another process takes, or the next start.
func ExampleHandover_Shutdown() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := quiet(configFor(crisp))
	config.Answer = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) { return nil, nil }
	h := start(crisp, config)

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	fmt.Println(h.Shutdown(ctx))
	err := h.Handle(ctx, handover.Incoming{Conversation: user, ID: "1", Text: "Hello"})
	fmt.Println(errors.Is(err, handover.ErrShutdown), handover.Permanent(err))
	// Output:
	// <nil>
	// true false
}

// The link stands in the opening message; a host may show it elsewhere as well.
func ExampleHandover_HistoryLink() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := quiet(configFor(crisp))
	config.History = handover.History{URL: "https://bot.example.com/history", SigningKey: handover.NewSecret(strings.Repeat("secret", 10))}
	config.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) { return nil, nil }
	h := start(crisp, config)

	link, err := h.HistoryLink(user)
	before, _, _ := strings.Cut(link, "?t=")
	fmt.Println(before, err)
	// Output: https://bot.example.com/history <nil>
}

// A message that will never be taken is not to be repeated.
func ExamplePermanent() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := quiet(configFor(crisp))
	config.Answer = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) { return nil, nil }
	h := start(crisp, config)

	err := h.Handle(context.Background(), handover.Incoming{Conversation: user, ID: "1"})
	fmt.Println(err)
	fmt.Println(handover.Permanent(err))
	// Output:
	// handover: the message or conversation cannot be taken: it holds no text, no payload and no file
	// true
}

// A channel that answers "too many requests" says how long it is to be left alone.
func ExampleRetryAfter() {
	send := func(m handover.Message) (id string, status int) { return "", http.StatusTooManyRequests }
	config := handover.Config{
		Deliver: func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
			id, status := send(m)
			if status == http.StatusTooManyRequests {
				return "", handover.RetryAfter(30*time.Second, errors.New("the channel is busy"))
			}
			return id, nil
		},
	}
	_, err := config.Deliver(context.Background(), handover.Session{}, handover.Message{})
	fmt.Println(err)
	// Output: the channel is busy
}

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
