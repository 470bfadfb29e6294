// Package demotest tests examples of channels.
package demotest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/crisphandover/handover/examples/internal/demo"
)

// longest is how long a run may take before it has failed.
const longest = 2 * time.Minute

// Handover plays a whole handover with an example without settings: the bot, Ann, and the bot again.
func Handover(t *testing.T, name string, run func(context.Context, *demo.Demo) error) {
	in, write := io.Pipe()
	read, out := io.Pipe()
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	go func() {
		ended <- run(ctx, &demo.Demo{Name: name, Getenv: func(string) string { return "" }, In: in, Out: out})
		_ = out.Close()
	}()
	lines := bufio.NewScanner(read)
	says := func(text string) {
		t.Helper()
		_, err := io.WriteString(write, text+"\n")
		must(t, err)
	}
	sees := func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("the program ended without %q: %v", part, <-ended)
	}
	sees("missing: " + strings.ToUpper(name))
	sees("missing: CRISP_*")
	sees("Write to the bot")
	says("Hello")
	sees("You said Hello [Talk to a human]")
	says("[Talk to a human]")
	sees("A person will be with you soon.")
	says("My parcel is lost")
	sees("Ann joined the conversation.")
	sees("Hello, this is Ann")
	says("Goodbye")
	sees("Goodbye! The bot is yours again.")
	sees("This conversation was closed.")
	says("Thanks")
	sees("You said Thanks")
	must(t, write.Close())
	must(t, <-ended)
}

// Settings runs an example with all of its settings, as far as can be without a network, and with some of them.
func Settings(t *testing.T, name string, run func(context.Context, *demo.Demo) error, settings map[string]string) {
	starts := func(more map[string]string) (string, error) {
		http.DefaultServeMux = http.NewServeMux() // the example's, in this run
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out strings.Builder
		err := run(ctx, &demo.Demo{Name: name, In: strings.NewReader(""), Out: &out, Getenv: func(key string) string {
			switch {
			case key == "ADDR":
				return "127.0.0.1:0"
			case more[key] != "":
				return more[key]
			}
			return settings[key]
		}})
		return out.String(), err
	}
	out, err := starts(nil)
	must(t, err)
	if !strings.Contains(out, "listening at http://127.0.0.1:") || strings.Contains(out, "missing: "+strings.ToUpper(name)) {
		t.Fatalf("with all settings the example says: %s", out)
	}
	if _, err = starts(map[string]string{"CRISP_KEY": "a part of Crisp's"}); err == nil || !strings.Contains(err.Error(), "WebsiteID must be") {
		t.Fatalf("with a part of Crisp's settings the error is %v", err)
	}
	for key := range settings {
		delete(settings, key)
		out, err = starts(nil)
		must(t, err)
		if !strings.Contains(out, key) {
			t.Fatalf("without %s the example does not say so: %s", key, out)
		}
		break
	}
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
