package handovertest_test

import (
	"fmt"
	"net/http"
	"strings"

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
