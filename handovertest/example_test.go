package handovertest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// The fake answers what a bot calls, sends it hooks, and lets a script play the operator.
func Example() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	crisp.Attach(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("a hook from", r.UserAgent())
	}))

	// A bot would do this. Here it is one call, to open a conversation.
	r, _ := http.NewRequest("POST", crisp.URL()+"website/"+crisp.WebsiteID()+"/conversation", nil)
	r.SetBasicAuth(crisp.Token())
	r.Header.Set("X-Crisp-Tier", crisp.Tier())
	response, err := crisp.Client().Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	response.Body.Close()
	fmt.Println(response.Status)

	crisp.Last().UserByEmail("Is anybody there?")
	crisp.Last().Operator("Ann").Note("answer this one")
	crisp.Settle()
	fmt.Println(strings.Join(crisp.Last().Transcript(), "\n"))
	// Output:
	// 201 Created
	// a hook from Crisp-HooksDeliver 1.0 (+https://crisp.chat)
	// a hook from Crisp-HooksDeliver 1.0 (+https://crisp.chat)
	// user: Is anybody there?
	// Ann (note): answer this one
}

// A bot on a fake Crisp, with the whole of a handover. In a test call NewCrisp instead of New; docs/testing.md has
// recipes.
func ExampleCrisp_Config() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	config := crisp.Config()
	config.Answer = func(_ context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		fmt.Println("bot: I ask for a human")
		return &handover.Request{Note: m.Text}, nil
	}
	config.Deliver = func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
		fmt.Printf("%s: %s\n", m.From, m.Content.Text)
		return "", nil
	}
	h, err := handover.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	crisp.Run(h)

	joe := handover.Conversation{Source: "chat", ID: "joe"}
	err = h.Handle(context.Background(), handover.Incoming{Conversation: joe, ID: "1", Text: "My parcel is lost"})
	if err != nil {
		fmt.Println(err)
	}
	crisp.Settle()
	ann := crisp.Last().Operator("Ann")
	ann.Say("I look for it")
	ann.Resolve()
	crisp.Settle()
	fmt.Println(crisp.Last().Transcript()[1], "|", crisp.Last().State())
	// Output:
	// bot: I ask for a human
	// system: A person will be with you soon. You can already describe your question.
	// system: Ann joined the conversation.
	// agent: I look for it
	// system: This conversation was closed. You are talking with the bot again.
	// operator (note): My parcel is lost | resolved
}
