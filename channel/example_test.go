package channel_test

import (
	"fmt"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

// What an agent wrote, in a channel with two short buttons and no links in its texts.
func ExampleCapabilities_Render() {
	can := channel.Capabilities{Text: 1024, Buttons: 2, Title: 20, Markup: channel.WhatsApp}
	message := handover.Message{From: handover.FromAgent, Agent: handover.Agent{Name: "Ann"}, Content: handover.RichMessage{
		Text: "**Which** one is [yours](https://shop.example/bikes)?",
		QuickReplies: []handover.QuickReply{
			{Title: "The red one", Payload: "red"}, {Title: "The blue one", Payload: "blue"}, {Title: "None of these", Payload: "none"},
		},
	}}
	for _, part := range can.Render(message) {
		fmt.Println(part.Text)
		for _, b := range part.Buttons {
			fmt.Printf("[%s] sends %q\n", b.Title, b.Payload)
		}
	}
	// Output:
	// Ann: *Which* one is yours (https://shop.example/bikes)?
	//
	// 1. The red one
	// 2. The blue one
	// 3. None of these
	// [1. The red one] sends "red"
	// [2. The blue one] sends "blue"
}
