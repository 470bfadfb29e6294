// Llmbot is a bot on a language model, its user and a human agent in one terminal.
//
//	go run ./examples/llmbot
//
// plays a story on a fake Crisp, without an account and without network, and ends by itself. The model is a script,
// which stands where a real one would be called: model.go. bot.go is all that a bot on a model needs.
//
// The model asks for a human and hears that nobody is there, so it goes on speaking. When it asks again an agent is
// there, and it is silent. After the end it knows what the agent said, and does not ask again.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := play(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "llmbot:", err)
		os.Exit(1)
	}
}
