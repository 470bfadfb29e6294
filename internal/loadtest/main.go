// Command loadtest drives a bot's web hook handler from another process, at rising rates, and says what it holds:
//
//	go run ./internal/loadtest -conversations 10000 -rates 250,500,1000,2000,4000 -seconds 5
//
// The bot runs in a process of its own, with the library or, with -hand, written by hand on Crisp's official client.
// This process plays Crisp: agents write in all conversations in turn, and each hook goes out at its time, whether the
// bot keeps up or not. For each rate it prints how many hooks were answered and refused, how long it took from the hook
// to Deliver, and the bot's memory. Then it checks what the bot has delivered: everything that was answered 200, once
// and in order. The rate that is held is the highest at which nothing is refused and all is delivered within a second.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/crisphandover/handover/internal/quickcrisp"
)

// plan is what is tried.
type plan struct {
	conversations int
	rates         []int
	lasts         time.Duration // each rate
	hand          bool
}

func main() {
	if os.Getenv(asBot) != "" {
		if err := serveBot(os.Getenv(asBot)); err != nil {
			fmt.Fprintln(os.Stderr, "loadtest: the bot:", err)
			os.Exit(1)
		}
		return
	}
	conversations := flag.Int("conversations", 10_000, "how many are open")
	rates := flag.String("rates", "250,500,1000,2000,4000", "hooks a second, one after the other")
	seconds := flag.Float64("seconds", 5, "how long each rate lasts")
	hand := flag.Bool("hand", false, "drive the bot that is written by hand")
	flag.Parse()
	p := plan{conversations: *conversations, lasts: time.Duration(*seconds * float64(time.Second)), hand: *hand}
	for _, text := range strings.Split(*rates, ",") {
		rate, err := strconv.Atoi(text)
		if err != nil || rate < 1 {
			fmt.Fprintln(os.Stderr, "loadtest: -rates is a list of positive numbers, such as 500,1000")
			os.Exit(2)
		}
		p.rates = append(p.rates, rate)
	}
	steps, err := run(context.Background(), p, os.Stderr)
	printSteps(steps)
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

// printSteps writes the table.
func printSteps(steps []step) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "hooks/s\tanswered/s\trefused\tfailed\tp50 ms\tp95 ms\tp99 ms\tlast after ms\tbot CPU %\tbot MB\theld\t")
	for _, s := range steps {
		fmt.Fprintf(w, "%d\t%.0f\t%d\t%d\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f\t%d\t%v\t\n", s.rate, s.answered, s.refused, s.failed,
			ms(s.p50), ms(s.p95), ms(s.p99), ms(s.late), 100*s.cpu, s.memory>>20, s.held())
	}
	_ = w.Flush()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// run starts the bot, drives it at each rate, and checks what it has delivered.
func run(ctx context.Context, p plan, log *os.File) (steps []step, err error) {
	crisp := quickcrisp.New()
	d, err := newDriver(crisp, p.conversations)
	if err != nil {
		return nil, err
	}
	defer d.close()
	bot, err := startBot(ctx, d, p)
	if err != nil {
		return nil, err
	}
	defer bot.stop()
	d.bot = bot.url
	for _, rate := range p.rates {
		s, err := d.drive(ctx, rate, p.lasts)
		if err != nil {
			return steps, err
		}
		steps = append(steps, s)
		fmt.Fprintf(log, "%d hooks/s: %d refused, p99 %v\n", rate, s.refused, s.p99)
	}
	if p.hand {
		return steps, nil // it promises nothing
	}
	return steps, d.check(ctx)
}

// process is a bot that was started.
type process struct {
	command *exec.Cmd
	url     string
}

// startBot starts this program once more, as the bot.
func startBot(ctx context.Context, d *driver, p plan) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	settings := botSettings{Crisp: d.url, Website: d.crisp.WebsiteID, Secret: d.crisp.Secret, Conversations: p.conversations, Hand: p.hand}
	b := &process{command: exec.CommandContext(ctx, self)}
	b.command.Env = append(os.Environ(), asBot+"="+settings.text())
	b.command.Stderr = os.Stderr
	if _, err := b.command.StdinPipe(); err != nil { // its end ends the bot, also when this process is killed
		return nil, err
	}
	out, err := b.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.command.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(out, &b.url); err != nil {
		b.stop()
		return nil, errors.New("the bot did not start")
	}
	return b, nil
}

// stop ends the bot.
func (b *process) stop() {
	_ = b.command.Process.Kill()
	_ = b.command.Wait()
}
