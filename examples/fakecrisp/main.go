// Fakecrisp is a Crisp without an account, for a bot that runs beside it.
//
//	go run github.com/crisphandover/handover/examples/fakecrisp
//
// prints the variables with which examples/firstbot reaches it, or a bot of your own that reads them. After them it prints
// what happens in it. Each line that you type is said by the agent Ann, in the newest conversation. The lines /resolve,
// /reopen, /away and /online are what she does. It ends with its input.
//
// HOOKS is where the bot takes web hooks (http://127.0.0.1:8080/crisp/hooks).
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/crisphandover/handover/handovertest"
)

func main() {
	if err := serve(os.Stdin, os.Stdout, cmp.Or(os.Getenv("HOOKS"), "http://127.0.0.1:8080/crisp/hooks")); err != nil {
		log.Fatal(err)
	}
}

func serve(in io.Reader, out io.Writer, hooks string) error {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	if err := crisp.Listen(); err != nil {
		return err
	}
	crisp.AttachURL(hooks)
	id, key := crisp.Token()
	fmt.Fprintf(out, "export CRISP_URL=%s CRISP_WEBSITE_ID=%s CRISP_TIER=%s CRISP_IDENTIFIER=%s CRISP_KEY=%s CRISP_WEBHOOK_SECRET=%s\n",
		crisp.URL(), crisp.WebsiteID(), crisp.Tier(), id, key, crisp.Secret())
	typed := lines(in)
	shown := 0
	for {
		select {
		case line, more := <-typed:
			if !more {
				return nil
			}
			if !act(crisp, line) {
				fmt.Fprintln(out, "nobody has asked for a human yet")
			}
		case <-time.After(100 * time.Millisecond):
			record := crisp.Record()
			for _, line := range record[shown:] {
				fmt.Fprintln(out, line)
			}
			shown = len(record)
		}
	}
}

// lines are those of a reader, one after the other.
func lines(in io.Reader) <-chan string {
	all := make(chan string)
	go func() {
		defer close(all)
		for s := bufio.NewScanner(in); s.Scan(); {
			all <- s.Text()
		}
	}()
	return all
}

// act does what was typed. It is false where there is no conversation to do it in.
func act(crisp *handovertest.Crisp, line string) bool {
	switch line {
	case "":
		return true
	case "/away":
		crisp.Away()
		return true
	case "/online":
		crisp.Online()
		return true
	}
	conversation := crisp.Last()
	if conversation == nil {
		return false
	}
	switch ann := conversation.Operator("Ann"); line {
	case "/resolve":
		ann.Resolve()
	case "/reopen":
		ann.Reopen()
	default:
		ann.Say(line)
	}
	return true
}
