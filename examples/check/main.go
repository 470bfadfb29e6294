// Check proves that a Crisp account is set up for handovers. It prints what is right, what is missing and what to do.
//
//	go run ./examples/check [-read] [-ask] [-wait 1m]
//
// It takes its account from the environment, as the other examples do:
//
//	CRISP_WEBSITE_ID       the website
//	CRISP_TIER             of the token: plugin (the default) or website
//	CRISP_IDENTIFIER       the token
//	CRISP_KEY
//	CRISP_WEBHOOK_SECRET   what a plugin's hooks are signed with
//	CRISP_WEBHOOK_KEY      what a website's hooks carry as ?key= in their URL
//	CRISP_URL              another API than Crisp's, such as that of examples/fakecrisp
//	ADDR                   where it takes web hooks, on every path (127.0.0.1:8080). Stop your bot meanwhile
//
// It first reads, as Handover.Check does. Then it makes a conversation of its own in Crisp, which is called a test. It writes
// in it, waits for the hooks of what it wrote, and removes it. Agents may see it come and go; nobody is mailed.
//
//	-read   only read: nothing is written, and no hook is waited for
//	-ask    besides, ask Crisp what its documentation does not say, and print the answers. It writes more, and says before how much
//	-wait   how long to wait for hooks, each time
//
// The exit code is 0 if nothing must be mended, 1 if something must be, and 2 if it could not check all: a variable or an
// argument is missing or wrong, ADDR is taken, Crisp fails, or it was interrupted. (go run makes
// 1 of every code but 0.) No secret is printed. docs/check.md shows a good and a bad run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/crisphandover/handover"
)

// The exit codes.
const (
	exitGood     = 0
	exitProblem  = 1
	exitNotKnown = 2
)

// defaultAddress is where hooks are taken unless ADDR says otherwise.
const defaultAddress = "127.0.0.1:8080"

// program is what a run of check uses of its surroundings.
type program struct {
	getenv func(string) string
	out    io.Writer
	client *http.Client // nil: a new one
	// listen serves h at an address until stop is called, and says where.
	listen func(address string, h http.Handler) (at string, stop func(), err error)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := program{getenv: os.Getenv, out: os.Stdout, listen: listen}
	code := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// settings are the arguments and variables of a run.
type settings struct {
	config  handover.Config
	address string
	read    bool
	ask     bool
	wait    time.Duration
}

// run checks, prints, and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	s, err := p.settings(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	case errors.Is(err, errSaid):
		return exitNotKnown
	}
	var h *handover.Handover
	if err == nil {
		h, err = handover.New(s.config)
	}
	if err != nil {
		fmt.Fprintln(p.out, "check:", err)
		return exitNotKnown
	}
	c := &check{out: p.out, settings: s, crisp: newCrisp(s.config)}
	c.hooks = newHooks(s.config.Webhook)
	if !s.read {
		at, stop, err := p.listen(s.address, c.hooks)
		if err != nil {
			fmt.Fprintf(p.out, "check: %v: stop what listens there, say in ADDR where else, or use -read\n", err)
			return exitNotKnown
		}
		defer stop()
		c.at = at
	}
	c.readAll(ctx, h)
	if !s.read {
		c.writeAll(ctx)
	}
	c.print()
	if ctx.Err() != nil {
		fmt.Fprintln(p.out, "check: interrupted: not everything was looked at")
		return exitNotKnown
	}
	return c.verdict()
}

// errSaid is for arguments of which the flag package has said what is wrong.
var errSaid = errors.New("wrong arguments")

// settings reads the arguments and the variables.
func (p *program) settings(args []string) (settings, error) {
	s := settings{address: p.getenv("ADDR")}
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(p.out)
	flags.BoolVar(&s.read, "read", false, "only read: nothing is written, and no hook is waited for")
	flags.BoolVar(&s.ask, "ask", false, "ask Crisp what its documentation does not say; writes more")
	flags.DurationVar(&s.wait, "wait", time.Minute, "how long to wait for hooks, each time")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return s, err
	} else if err != nil {
		return s, errSaid
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("there are arguments left over: %d. Its settings are variables: go doc ./examples/check", flags.NArg())
	case s.read && s.ask:
		return s, errors.New("-ask writes, and -read forbids it: leave one out")
	case s.wait < time.Second || s.wait > 10*time.Minute:
		return s, errors.New("-wait must be from 1s to 10m")
	}
	if s.address == "" {
		s.address = defaultAddress
	}
	var missing []string
	get := func(name string, needed bool) string {
		value := p.getenv(name)
		if value == "" && needed {
			missing = append(missing, name)
		}
		return value
	}
	c := handover.Config{
		WebsiteID:  get("CRISP_WEBSITE_ID", true),
		BaseURL:    get("CRISP_URL", false),
		HTTPClient: p.client,
		Store:      &handover.MemoryStore{},
		Logger:     slog.New(slog.DiscardHandler),
		Deliver: func(context.Context, handover.Session, handover.Message) (string, error) {
			return "", nil // there is no user
		},
	}
	c.Token = handover.Token{
		Tier:       handover.Tier(get("CRISP_TIER", false)),
		Identifier: handover.NewSecret(get("CRISP_IDENTIFIER", true)),
		Key:        handover.NewSecret(get("CRISP_KEY", true)),
	}
	if c.Token.Tier == "" {
		c.Token.Tier = handover.TierPlugin
	}
	if secret := get("CRISP_WEBHOOK_SECRET", false); secret != "" {
		c.Webhook.Secrets = handover.NewSecrets(secret)
	}
	if key := get("CRISP_WEBHOOK_KEY", false); key != "" {
		c.Webhook.URLKeys = map[string][]handover.Secret{c.WebsiteID: handover.NewSecrets(key)}
	}
	if len(missing) > 0 {
		return s, fmt.Errorf("these variables are missing: %s (go doc ./examples/check says what they are)", strings.Join(missing, ", "))
	}
	s.config = c
	return s, nil
}

// listen serves h over the network.
func listen(address string, h http.Handler) (at string, stop func(), err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // hooks under way are answered
	}, nil
}
