package webchat_test

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/webchat"
	"github.com/crisphandover/handover/handovertest"
)

// The code of docs/webchat.md stands in the functions below, so that it compiles.

var _ = []any{suggestions, shopPage, limits}

type brain struct{}

func (brain) Answer(_ context.Context, text string) (answer string, needsHelp bool) {
	return "You said " + text, strings.Contains(text, "human")
}

// newChat is the wiring of a site.
func newChat(config handover.Config, bot brain) (*webchat.Chat, *handover.Handover, error) {
	chat, err := webchat.New(webchat.Config{
		URL: "https://shop.example/chat/", Key: handover.NewSecret(os.Getenv("CHAT_KEY")), Title: "Shop",
	})
	if err != nil {
		return nil, nil, err
	}
	config.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		chat.BotTyping(m.Conversation, true)
		defer chat.BotTyping(m.Conversation, false)
		answer, needsHelp := bot.Answer(ctx, m.Text)
		if err := chat.SendOnce(ctx, m.Conversation.ID, m.ID, handover.TextMessage(answer)); err != nil || !needsHelp {
			return nil, err
		}
		visitor, err := chat.Visitor(ctx, m.Conversation)
		return &handover.Request{User: visitor.User, Locale: visitor.Locale}, err
	}
	if err := chat.Attach(&config); err != nil {
		return nil, nil, err
	}
	h, err := handover.New(config)
	if err != nil {
		return nil, nil, err
	}
	http.Handle("/chat/", chat.Handler(h))
	return chat, h, nil
}

// suggestions are those at the start.
func suggestions() webchat.Config {
	return webchat.Config{
		Welcome: func(v webchat.Visitor) handover.RichMessage {
			m := handover.TextMessage("Hello " + v.User.FirstName + ", what can I do for you?")
			for _, title := range []string{"Where is my order?", "Talk to a human"} {
				m.QuickReplies = append(m.QuickReplies, handover.QuickReply{ContentType: handover.ReplyText, Title: title, Payload: title})
			}
			return m
		},
	}
}

// limits are others than the defaults.
func limits() webchat.Config {
	return webchat.Config{
		Limits: webchat.Limits{Messages: 60, Files: 20, FileSize: 20 << 20},
		Store:  &webchat.MemoryStore{Entries: 200, Bytes: 64 << 20},
		Files:  &webchat.MemoryFiles{Count: 5, ConversationBytes: 50 << 20, Bytes: 1 << 30},
	}
}

var page = template.Must(template.New("").Parse(`<script src="/chat/widget.js" data-session="{{.}}" defer></script>`))

type account struct{ ID, FirstName, Email string }

func signedIn(*http.Request) *account {
	return &account{ID: "42", FirstName: "Ann", Email: "ann@example.com"}
}

// shopPage is a page whose user is known.
func shopPage(chat *webchat.Chat) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := "" // a guest
		if a := signedIn(r); a != nil {
			var err error
			token, err = chat.Token(webchat.Login{UserID: a.ID, User: handover.UserData{FirstName: a.FirstName, Email: a.Email}, Locale: "fr"})
			if err != nil {
				http.Error(w, "please try again", http.StatusInternalServerError)
				return
			}
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; frame-src 'self'")
		_ = page.Execute(w, token)
	}
}

// A whole handover, as the user's page sees it.
func Example() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	os.Setenv("CHAT_KEY", strings.Repeat("k", 32))
	chat, h, err := newChat(crisp.Config(), brain{})
	if err != nil {
		fmt.Println(err)
		return
	}
	crisp.Run(h)
	server := httptest.NewTLSServer(chat.Handler(h))
	defer server.Close()

	// What the page does.
	client := server.Client()
	client.Jar, _ = cookiejar.New(nil)
	post := func(path, body string) {
		response, err := client.Post(server.URL+"/chat/"+path, "application/json", strings.NewReader(body))
		if err != nil || response.StatusCode >= 300 {
			fmt.Println(path, response, err)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		crisp.Settle()
	}
	token, err := chat.Token(webchat.Login{UserID: "42"})
	if err != nil {
		fmt.Println(err)
		return
	}
	post("session", `{"session": "`+token+`"}`)
	post("messages", `{"id": "1", "text": "a human!"}`)
	crisp.Last().Operator("Ann").Say("How can I help?")
	crisp.Settle()

	log, err := chat.Transcript(context.Background(), chat.Conversation("42"))
	for _, m := range log {
		fmt.Println(m.From, m.Agent.Name+":", m.Content.Text)
	}
	fmt.Println(err)
	// Output:
	// user : a human!
	// bot : You said a human!
	// system : A person will be with you soon. You can already describe your question.
	// system : Ann joined the conversation.
	// agent Ann: How can I help?
	// <nil>
}
