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
	"net/http"
	"os"
	"strings"
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
	shown, told, last := 0, 0, http.StatusOK // lines, hooks, and the last answer to one
	for {
		select {
		case line, more := <-typed:
			if !more {
				return nil
			}
			if answer := act(crisp, line); answer != "" {
				fmt.Fprintln(out, answer)
			}
		case <-time.After(100 * time.Millisecond):
			for _, line := range unseen(crisp.Record(), &shown) {
				fmt.Fprintln(out, line)
			}
			for _, hook := range unseen(crisp.Hooks(), &told) {
				if hook.Status != last {
					fmt.Fprint(out, untaken(hooks, hook.Status))
				}
				last = hook.Status
			}
		}
	}
}

// untaken says that hooks are not taken, which makes a bot look dead. A status of 0 means that there was no answer.
func untaken(hooks string, status int) string {
	switch {
	case status == 0:
		return fmt.Sprintf("nobody listens at %s; HOOKS says where hooks go\n", hooks)
	case status/100 != 2:
		return fmt.Sprintf("%s answers hooks with HTTP %d; HOOKS says where they go\n", hooks, status)
	}
	return ""
}

// unseen is what is new of a record that grows, and whose oldest entries are dropped when it is too long.
func unseen[T any](all []T, seen *int) []T {
	fresh := all[min(*seen, len(all)):]
	*seen = len(all)
	return fresh
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

// act does what was typed. It answers what cannot be done.
func act(crisp *handovertest.Crisp, line string) (answer string) {
	switch line {
	case "":
		return ""
	case "/away":
		crisp.Away()
		return ""
	case "/online":
		crisp.Online()
		return ""
	}
	conversation := crisp.Last()
	if conversation == nil {
		return "nobody has asked for a human yet"
	}
	switch ann := conversation.Operator("Ann"); {
	case line == "/resolve":
		ann.Resolve()
	case line == "/reopen":
		ann.Reopen()
	case strings.HasPrefix(line, "/"):
		return "there are /resolve, /reopen, /away and /online; all else is said by Ann"
	default:
		ann.Say(line)
	}
	return ""
}
