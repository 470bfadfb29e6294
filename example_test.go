package handover_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// The examples run on handovertest's fake Crisp.

var user = handover.Conversation{Source: "webchat", ID: "user-1"}

// configFor is the configuration of a bot on a fake Crisp, which prints what its user sees.
func configFor(crisp *handovertest.Crisp) handover.Config {
	id, key := crisp.Token()
	return handover.Config{
		WebsiteID:  crisp.WebsiteID(),
		Token:      handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook:    handover.Webhook{Secrets: handover.NewSecrets(crisp.Secret())},
		HTTPClient: crisp.Client(),
		BaseURL:    crisp.URL(),
		Store:      new(handover.MemoryStore),
		Deliver: func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
			fmt.Println(strings.TrimSpace(string(m.From)+" "+m.Agent.Name)+":", m.PlainText())
			return "", nil
		},
		Texts: func(handover.Session) handover.Texts {
			texts := handover.DefaultTexts()
			texts.Leave = "" // no quick reply under the waiting message
			return texts
		},
	}
}

// start makes the bot and gives it Crisp's hooks.
func start(crisp *handovertest.Crisp, c handover.Config) *handover.Handover {
	h, err := handover.New(c)
	if err != nil {
		log.Fatal(err)
	}
	crisp.Attach(h)
	return h
}

// ask takes a message of the user with which they ask for a human.
func ask(h *handover.Handover) handover.Turn {
	turn, err := h.Receive(context.Background(), handover.Incoming{Conversation: user, ID: "1", Text: "A human, please"})
	if err != nil {
		log.Fatal(err)
	}
	return turn
}

// A conversation goes from the bot to an agent, and comes back.
func Example() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := configFor(crisp)
	config.Answer = func(_ context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		fmt.Println("bot: I am only a bot.")
		if strings.Contains(m.Text, "human") {
			return &handover.Request{Segments: []string{"Customer"}}, nil
		}
		return nil, nil
	}
	config.OnEnd = func(_ context.Context, _ handover.Session, sum handover.Summary) error {
		fmt.Println("ended:", sum.Reason)
		return nil
	}
	h := start(crisp, config)

	// The channel calls this for each message of the user, and repeats the message on an error.
	hear := func(id, text string) error {
		return h.Handle(context.Background(), handover.Incoming{Conversation: user, ID: id, Text: text})
	}

	script := []func() error{
		func() error { return hear("1", "I need a human") },
		func() error { return hear("2", "My invoice is wrong") },
		func() error { crisp.Last().Operator("Ann").Say("I will have a look."); return nil },
		func() error { crisp.Last().Operator("Ann").Resolve(); return nil },
		func() error { return hear("3", "Thanks") },
	}
	for _, step := range script {
		if err := step(); err != nil {
			log.Fatal(err)
		}
		crisp.Settle()
	}
	// Output:
	// bot: I am only a bot.
	// system: A person will be with you soon. You can already describe your question.
	// system: Ann joined the conversation.
	// agent Ann: I will have a look.
	// system: This conversation was closed. You are talking with the bot again.
	// ended: resolved
	// bot: I am only a bot.
}

// New names everything that is wrong at once.
func ExampleNew() {
	_, err := handover.New(handover.Config{
		WebsiteID: "7a3c5e10-6f0b-4d55-9c1e-000000000001",
		Token:     handover.Token{Tier: handover.TierWebsite, Identifier: handover.NewSecret(os.Getenv("NOT_SET")), Key: handover.NewSecret(os.Getenv("NOT_SET"))},
	})
	fmt.Println(err)
	// Output:
	// handover: config: Token.Identifier and Token.Key must be set
	// Deliver must be set: it shows messages to the user
}

// A service has one handler for Crisp's hooks, one for history links, and Run.
func ExampleHandover_Run() {
	h, err := handover.New(handover.Config{
		WebsiteID: os.Getenv("CRISP_WEBSITE_ID"),
		Token: handover.Token{
			Tier: handover.TierPlugin, Identifier: handover.NewSecret(os.Getenv("CRISP_IDENTIFIER")), Key: handover.NewSecret(os.Getenv("CRISP_KEY")),
		},
		Webhook: handover.Webhook{Secrets: handover.NewSecrets(os.Getenv("CRISP_WEBHOOK_SECRET"))},
		Deliver: func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			return "", errors.New("send m to the user of s.Conversation")
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go h.Run(ctx)

	http.Handle("POST /crisp/hooks", h)
	server := &http.Server{Addr: ":8080"}
	go server.ListenAndServe()

	<-ctx.Done() // until the service ends
	last, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = server.Shutdown(last)
	_ = h.Shutdown(last)
}

// The channel gives each message to Handle, and the bot is behind Config.Answer. With a Request it asks for
// a human, and from then on the user's messages go to the agents.
func ExampleHandover_Handle() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := configFor(crisp)
	config.Answer = func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
		fmt.Println("bot: You said:", m.Text) // send it to the user of m.Conversation
		if strings.Contains(m.Text, "human") {
			return &handover.Request{Segments: []string{"Customer"}}, nil
		}
		return nil, nil
	}
	h := start(crisp, config)

	for i, text := range []string{"Hello", "A human, please", "My parcel is lost"} {
		err := h.Handle(context.Background(), handover.Incoming{Conversation: user, ID: strconv.Itoa(i), Text: text})
		if err != nil {
			log.Fatal(err) // a host has the channel repeat the message
		}
		crisp.Settle()
	}
	fmt.Println(crisp.Last().Transcript()[1])
	// Output:
	// bot: You said: Hello
	// bot: You said: A human, please
	// system: A person will be with you soon. You can already describe your question.
	// user: My parcel is lost
}

func ExampleHandover_Receive() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, configFor(crisp))

	turn, err := h.Receive(context.Background(), handover.Incoming{Conversation: user, ID: "1", Text: "Hello"})
	fmt.Println("the bot is to answer:", turn.Bot, err)

	_, _ = h.Start(context.Background(), turn, handover.Request{})
	crisp.Settle()
	turn, err = h.Receive(context.Background(), handover.Incoming{Conversation: user, ID: "2", Text: "Is anybody there?"})
	crisp.Settle()
	fmt.Println("the bot is to answer:", turn.Bot, err)
	fmt.Println(crisp.Last().Transcript()[1])
	// Output:
	// the bot is to answer: true <nil>
	// system: A person will be with you soon. You can already describe your question.
	// the bot is to answer: false <nil>
	// user: Is anybody there?
}

// A reply that comes too late is not sent: the agent has the user's message.
func ExampleHandover_Reply() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, configFor(crisp))
	ctx := context.Background()
	send := func(context.Context) error {
		fmt.Println("bot: Hello!")
		return nil
	}

	turn := ask(h)
	fmt.Println(h.Reply(ctx, turn, send))

	outcome, err := h.Start(ctx, turn, handover.Request{})
	crisp.Settle()
	fmt.Println(outcome, err)
	fmt.Println(errors.Is(h.Reply(ctx, turn, send), handover.ErrNotYourTurn))
	// Output:
	// bot: Hello!
	// <nil>
	// system: A person will be with you soon. You can already describe your question.
	// opened <nil>
	// true
}

func ExampleHandover_Start() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, configFor(crisp))

	outcome, err := h.Start(context.Background(), ask(h), handover.Request{
		Segments: []string{"Customer"},
		User: handover.NewUserData(map[string]any{
			"first_name": "Anakin", "last_name": "Skywalker", "gtu_accepted": "false",
		}),
		Resume: "checkout", // comes back in Summary.Resume
	})
	crisp.Settle()
	fmt.Println(outcome, err)
	meta := crisp.Last().Meta()
	fmt.Println(meta.Nickname, meta.Segments, meta.Data)
	// Output:
	// system: A person will be with you soon. You can already describe your question.
	// opened <nil>
	// Anakin Skywalker [Customer] map[gtu_accepted:false]
}

// With nobody there the user is told so, and the bot goes on.
func ExampleHandover_Start_nobodyThere() {
	crisp := handovertest.New(handovertest.Options{Away: true})
	defer crisp.Close()
	config := configFor(crisp)
	config.NoAgentText = "Nobody is there now. Ask me, or come back tomorrow."
	h := start(crisp, config)

	outcome, err := h.Start(context.Background(), ask(h), handover.Request{})
	crisp.Settle()
	fmt.Println(outcome, err)
	// Output:
	// system: Nobody is there now. Ask me, or come back tomorrow.
	// nobody_there <nil>
}

// A bot that was made for the connector sets its output.
func ExampleHandover_Apply() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, configFor(crisp))

	var output handover.BotOutput
	_ = json.Unmarshal([]byte(`{"muted": true, "need_help": true, "handover_category_name": "Customer"}`), &output)
	outcome, err := h.Apply(context.Background(), ask(h), output, handover.Request{})
	crisp.Settle()
	fmt.Println(outcome, err)
	fmt.Println(crisp.Last().Segments())
	// Output:
	// system: A person will be with you soon. You can already describe your question.
	// opened <nil>
	// [Customer]
}

// A "talk to a human" button answers no message: it starts with the session's turn.
func ExampleHandover_Session() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, configFor(crisp))
	ctx := context.Background()

	s, err := h.Session(ctx, user)
	fmt.Println(s.State, err)
	_, _ = h.Start(ctx, s.Turn(), handover.Request{})
	crisp.Settle()
	s, err = h.Session(ctx, user)
	fmt.Println(s.State, err)
	// Output:
	// bot <nil>
	// system: A person will be with you soon. You can already describe your question.
	// waiting <nil>
}

// The user closes the chat: the bot has the conversation again, and the agents are told.
func ExampleHandover_End() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, configFor(crisp))
	ctx := context.Background()
	_, _ = h.Start(ctx, ask(h), handover.Request{})
	crisp.Settle()

	err := h.End(ctx, user, handover.EndOptions{UserLeft: true, Resolve: true})
	crisp.Settle()
	fmt.Println(err, crisp.Last().State())
	// Output:
	// system: A person will be with you soon. You can already describe your question.
	// system: You are talking with the bot again.
	// <nil> resolved
}

func ExampleHandover_Mute() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, configFor(crisp))
	ctx := context.Background()

	fmt.Println(h.Mute(ctx, ask(h)))
	turn, _ := h.Receive(ctx, handover.Incoming{Conversation: user, ID: "2", Text: "Hello?"})
	fmt.Println("the bot is to answer:", turn.Bot)
	_ = h.End(ctx, user, handover.EndOptions{})
	turn, _ = h.Receive(ctx, handover.Incoming{Conversation: user, ID: "3", Text: "Hello?"})
	fmt.Println("the bot is to answer:", turn.Bot)
	// Output:
	// <nil>
	// the bot is to answer: false
	// the bot is to answer: true
}

func ExampleHandover_Available() {
	crisp := handovertest.New(handovertest.Options{Away: true})
	defer crisp.Close()
	h := start(crisp, configFor(crisp))

	presence, err := h.Available(context.Background(), user)
	fmt.Println(presence, err)
	// Output: away <nil>
}

// The history page shows what Transcript returns, to whoever has the link.
func ExampleHandover_HistoryHandler() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := configFor(crisp)
	config.History = handover.History{URL: "https://bot.example.com/history", SigningKey: handover.NewSecret(strings.Repeat("secret", 10))}
	config.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) {
		return []handover.Message{{From: handover.FromUser, Content: handover.TextMessage("My invoice is wrong")}}, nil
	}
	h := start(crisp, config)

	link, err := h.HistoryLink(user)
	fmt.Println(strings.HasPrefix(link, "https://bot.example.com/history?t="), err)
	page := httptest.NewRecorder()
	h.HistoryHandler().ServeHTTP(page, httptest.NewRequest("GET", link, nil))
	fmt.Println(page.Code, strings.Contains(page.Body.String(), "My invoice is wrong"))
	page = httptest.NewRecorder()
	h.HistoryHandler().ServeHTTP(page, httptest.NewRequest("GET", link[:len(link)-1], nil))
	fmt.Println(page.Code)
	// Output:
	// true <nil>
	// 200 true
	// 404
}

// Check says what is wrong before users find out. Here the plugin is not installed on the website.
func ExampleHandover_Check() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	c := configFor(crisp)
	c.WebsiteID = "7a3c5e10-6f0b-4d55-9c1e-00000000000f"
	h := start(crisp, c)

	report := h.Check(context.Background())
	for _, f := range report {
		if f.Severity == handover.SeverityProblem || f.Severity == handover.SeverityWarning {
			fmt.Println(f.Name+":", f.Says)
			fmt.Println("  ", f.Do)
		}
	}
	fmt.Println(report.Err() != nil)
	// Output:
	// website: Crisp does not let the token read the website: HTTP 404 not_subscribed.
	//    Install the plugin on this website, and check the website's id.
	// store_durable: The state dies with the process: running handovers are forgotten, and their bots speak again.
	//    Set Config.Store to a durable store, such as one of package sqlstore, unless this is a test.
	// true
}

// A host with a queue of its own verifies a hook, and handles it later.
func ExampleReadEvent() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h := start(crisp, configFor(crisp))

	receive := func(w http.ResponseWriter, r *http.Request) {
		event, err := handover.ReadEvent(w, r, handover.Webhook{Secrets: handover.NewSecrets(crisp.Secret())})
		if refused, ok := errors.AsType[*handover.HookError](err); ok {
			w.WriteHeader(refused.Status())
			return
		} else if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable) // the body did not come to its end
			return
		}
		fmt.Println(event.Name, event.State)
		queued, _ := json.Marshal(event) // an event travels as JSON
		var later handover.Event
		_ = json.Unmarshal(queued, &later)
		if err := h.HandleEvent(r.Context(), later); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable) // Crisp repeats it
		}
	}

	body := handovertest.HookBody(crisp.WebsiteID(), "session:set_state", time.Now(), map[string]any{
		"website_id": crisp.WebsiteID(), "session_id": "session_7a3c5e10-6f0b-4d55-9c1e-000000000002", "state": "resolved",
	})
	for _, secret := range []string{crisp.Secret(), "wrong"} {
		w := httptest.NewRecorder()
		receive(w, handovertest.Hook("https://bot.example.com/crisp/hooks", secret, time.Now(), body))
		fmt.Println(w.Code)
	}
	// Output:
	// session:set_state resolved
	// 200
	// 403
}

func ExampleParseEvent() {
	event, err := handover.ParseEvent([]byte(`{
		"website_id": "42286ab3-0000-4fde-8538-000000000001", "event": "message:send", "timestamp": 1506985696616,
		"data": {"website_id": "42286ab3-0000-4fde-8538-000000000001",
			"session_id": "session_36ba3566-0000-4790-afc8-000000000001",
			"type": "text", "content": "Hey :)", "from": "user", "origin": "chat",
			"timestamp": 1506985696616, "fingerprint": 150698569649423}}`))
	fmt.Println(event.Name, event.Message.Fingerprint, err)
	// Output: message:send 150698569649423 <nil>
}

// Plain text, one message or a list, as the connector's console took it.
func ExampleParseRichMessages() {
	messages, err := handover.ParseRichMessages(`[{"text": "Nobody is there.", "quick_replies": [
		{"content_type": "text", "title": "Continue with the bot", "payload": "Continue with the bot"}]}]`)
	fmt.Println(messages[0].Text, messages[0].QuickReplies[0].Title, err)
	_, err = handover.ParseRichMessages(`[{"text": "Nobody is there.", "quick_replies": [{"content_type": "text"}]}]`)
	fmt.Println(err)
	// Output:
	// Nobody is there. Continue with the bot <nil>
	// handover: rich message: offset 48: /0/quick_replies/0/title: a quick reply needs a title
}

func ExampleNewUserData() {
	var data handover.UserData
	err := json.Unmarshal([]byte(`{"first_name": "Anakin", "email": "anakin@example.com", "gtu_accepted": "false"}`), &data)
	fmt.Println(data.FirstName, data.Email, data.Data, err)
	// Output: Anakin anakin@example.com map[gtu_accepted:false] <nil>
}

// Counters for Prometheus or spans for OpenTelemetry are made of activities.
func ExampleActivity() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := configFor(crisp)
	config.Observe = func(_ context.Context, a handover.Activity) {
		if a.Kind == handover.ActivityState {
			fmt.Printf("handover_states_total{from=%q, to=%q}++\n", a.From, a.To)
		}
	}
	config.Texts = func(handover.Session) handover.Texts { return handover.Texts{Opening: "Help, please."} }
	h := start(crisp, config)

	_, _ = h.Start(context.Background(), ask(h), handover.Request{})
	crisp.Settle()
	// Output:
	// handover_states_total{from="bot", to="opening"}++
	// handover_states_total{from="opening", to="waiting"}++
}

// A report is made of activities alone: how many asked, how long they waited, how it ended, and what
// it cost. Handovers that agents began by writing were asked for by nobody.
func ExampleActivity_report() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := configFor(crisp)
	config.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
	var mu sync.Mutex // activities come from several goroutines
	asked, ended, calls, stars := map[handover.Outcome]int{}, map[handover.EndReason]int{}, 0, 0
	waited := map[string]time.Duration{} // by handover
	config.Observe = func(_ context.Context, a handover.Activity) {
		mu.Lock()
		defer mu.Unlock()
		switch a.Kind {
		case handover.ActivityAsked:
			asked[a.Outcome]++
		case handover.ActivityState:
			if a.From == handover.StateWaiting { // until somebody came, or nobody did
				waited[a.HandoverID] = a.Took
			}
			if a.Reason != "" {
				ended[a.Reason]++
			}
		case handover.ActivityCall:
			calls++
		case handover.ActivityRated:
			stars += a.Stars
		}
	}
	h := start(crisp, config)

	_, _ = h.Start(context.Background(), ask(h), handover.Request{})
	crisp.Settle()
	crisp.Last().Operator("Ann").Say("Hello")
	crisp.Settle()
	crisp.Last().Operator("Ann").Resolve()
	crisp.Settle()
	crisp.Last().Rate(5, "quick")
	crisp.Settle()

	mu.Lock()
	defer mu.Unlock()
	for _, took := range waited {
		fmt.Println("waited less than a minute:", took < time.Minute)
	}
	fmt.Println("asked:", asked, "ended:", ended, "calls:", calls, "stars:", stars)
	// Output:
	// waited less than a minute: true
	// asked: map[opening:1] ended: map[resolved:1] calls: 8 stars: 5
}

// Texts are chosen for each session, and so for each language.
func ExampleTexts() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := configFor(crisp)
	config.Texts = func(s handover.Session) handover.Texts {
		texts := handover.DefaultTexts()
		texts.Leave = ""
		if s.Locale == "fr" {
			texts.Waiting = "Quelqu'un arrive."
		}
		return texts
	}
	h := start(crisp, config)
	_, _ = h.Start(context.Background(), ask(h), handover.Request{Locale: "fr"})
	crisp.Settle()
	// Output: system: Quelqu'un arrive.
}
