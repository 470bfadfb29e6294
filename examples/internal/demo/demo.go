// Package demo is what the examples of channels have in common: settings from the environment, a Crisp, and a terminal
// in which whoever runs an example without settings is the user.
package demo

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// Demo is one run of an example.
type Demo struct {
	Name   string
	Getenv func(string) string
	In     io.Reader // what the user writes, a line a message
	Out    io.Writer
	Fake   bool // a setting of the channel is missing: it is played by a fake

	crisp *handovertest.Crisp // nil: the real one
}

// Main runs an example until it is interrupted, and ends the process if it fails.
func Main(name string, run func(context.Context, *Demo) error) {
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "%s takes no arguments, and its settings from the environment: go doc ./examples/%s\n", name, name)
	}
	if flag.Parse(); flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &Demo{Name: name, Getenv: os.Getenv, In: os.Stdin, Out: os.Stdout}); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// say prints a line.
func (d *Demo) say(format string, args ...any) { fmt.Fprintf(d.Out, d.Name+": "+format+"\n", args...) }

// Settings returns these variables of the environment. If one is missing it says so, and sets Fake.
func (d *Demo) Settings(names ...string) map[string]handover.Secret {
	all := map[string]handover.Secret{}
	var missing []string
	for _, name := range names {
		if all[name] = handover.NewSecret(d.Getenv(name)); d.Getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if d.Fake = len(missing) > 0; d.Fake {
		d.say("missing: %s: the channel is played by a fake, and you are its user (go doc ./examples/%s)", strings.Join(missing, ", "), d.Name)
	}
	return all
}

// Crisp returns how to reach a Crisp: that of the variables CRISP_*, or, without any, a fake one, in which Ann answers.
func (d *Demo) Crisp() handover.Config {
	isLive := false
	get := func(name string) handover.Secret {
		value := d.Getenv("CRISP_" + name)
		isLive = isLive || value != ""
		return handover.NewSecret(value)
	}
	c := handover.Config{Store: &handover.MemoryStore{}} // a real bot keeps its sessions in a database, see package sqlstore
	c.WebsiteID = get("WEBSITE_ID").Reveal()
	c.Token = handover.Token{Tier: handover.Tier(get("TIER").Reveal()), Identifier: get("IDENTIFIER"), Key: get("KEY")}
	c.BaseURL = get("URL").Reveal()
	if secret := get("WEBHOOK_SECRET"); secret.Reveal() != "" {
		c.Webhook.Secrets = []handover.Secret{secret}
	}
	if key := get("WEBHOOK_KEY"); key.Reveal() != "" {
		c.Webhook.URLKeys = map[string][]handover.Secret{c.WebsiteID: {key}}
	}
	switch {
	case !isLive:
		d.say("missing: CRISP_*: Crisp is played by a fake, in which Ann answers")
		d.crisp = handovertest.New(handovertest.Options{})
		return d.crisp.Config()
	case len(c.Webhook.Secrets)+len(c.Webhook.URLKeys) == 0:
		d.say("missing: CRISP_WEBHOOK_SECRET or CRISP_WEBHOOK_KEY: every hook of Crisp's is refused")
	}
	return c
}

// Serve runs h and serves http.DefaultServeMux at ADDR (127.0.0.1:8080), with Crisp's web hooks at /crisp/hooks, until
// ctx ends.
func (d *Demo) Serve(ctx context.Context, h *handover.Handover) error {
	mux := http.NewServeMux()
	mux.Handle("/", http.DefaultServeMux)
	if d.crisp == nil { // nobody else can act as the agents of a fake one
		mux.Handle("POST /crisp/hooks", h)
	}
	address := d.Getenv("ADDR")
	if address == "" {
		address = "127.0.0.1:8080"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w: say in ADDR where else", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	d.say("listening at http://%s", listener.Addr())
	err = d.run(ctx, h, func(ctx context.Context) error {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer stop()
	return errors.Join(err, server.Shutdown(last))
}

const endTime = 10 * time.Second

// run runs h, with what acts in a fake Crisp, until serve returns.
func (d *Demo) run(ctx context.Context, h *handover.Handover, serve func(context.Context) error) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	if d.crisp != nil {
		defer d.crisp.Close()
		d.crisp.Attach(h)
		go ann(running, d.crisp)
	}
	go func() { _ = h.Run(running) }()
	err := serve(running)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	return errors.Join(err, h.Shutdown(last))
}

// User is the user of a platform's fake.
type User interface {
	Write(text string)
	Press(title string) bool
	New() []string
}

// lookEvery is how often it is looked for what the user sees.
const lookEvery = 20 * time.Millisecond

// Play runs h on the fake of a platform. Its user writes what stands in In, a line a message, or presses what is called
// so, and what they see is printed, until In or ctx ends.
func (d *Demo) Play(ctx context.Context, h *handover.Handover, user User) error {
	fmt.Fprintln(d.Out, `Write to the bot. "human" asks for an agent; the title of a button, as in [Back to the bot], presses it; Ctrl-D ends.`)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(d.In); in.Scan(); {
			lines <- strings.TrimSpace(in.Text())
		}
	}()
	return d.run(ctx, h, func(ctx context.Context) error {
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		for {
			select {
			case line, more := <-lines:
				if !more {
					return nil
				}
				if line != "" && !user.Press(strings.Trim(line, "[]")) {
					user.Write(line)
				}
			case <-look.C:
				for _, line := range user.New() {
					if !strings.HasPrefix(line, "> ") {
						fmt.Fprintln(d.Out, line)
					}
				}
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// ann answers every user in a fake Crisp, until ctx ends.
func ann(ctx context.Context, crisp *handovertest.Crisp) {
	_ = crisp.Await(ctx, func() bool {
		for _, c := range crisp.Conversations() {
			greeted, text := false, "" // text is what waits for an answer
			for _, m := range c.Messages() {
				switch {
				case m.From == "user":
					text = strings.ToLower(m.Text())
				case m.Type != "note":
					greeted, text = true, ""
				}
			}
			switch ann := c.Operator("Ann"); {
			case text == "":
			case strings.Contains(text, "bye"):
				ann.Say("Goodbye! The bot is yours again.")
				ann.Resolve()
			case !greeted:
				ann.Say("Hello, this is Ann, in a fake Crisp. Say goodbye when you have had enough of me.")
			default:
				ann.Say("I see. Tell me more.")
			}
		}
		return false
	})
}
