package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	crisp "github.com/crisp-im/go-crisp-api/crisp/v3"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/byhand"
	"github.com/crisphandover/handover/internal/quickcrisp"
)

// asBot is the variable of the environment that makes this program the bot: with its settings.
const asBot = "HANDOVER_LOADTEST_BOT"

// botSettings is what the bot is told.
type botSettings struct {
	Crisp, Website, Secret string
	Conversations          int
	Hand                   bool
}

func (s botSettings) text() string {
	b, _ := json.Marshal(s)
	return string(b)
}

// serveBot serves the bot until its standard input ends. It prints its address.
func serveBot(settings string) error {
	var s botSettings
	if err := json.Unmarshal([]byte(settings), &s); err != nil {
		return err
	}
	d := &deliveries{of: make(map[string][]int)}
	var hooks http.Handler
	var h *handover.Handover
	if s.Hand {
		bot := &byhand.Bot{WebsiteID: s.Website, Secret: s.Secret, Client: crisp.New(), Deliver: d.delivered}
		if err := bot.Listen(); err != nil {
			return err
		}
		hooks = bot
	} else {
		var err error
		if h, err = newBot(s, d); err != nil {
			return err
		}
		go func() { _ = h.Run(context.Background()) }()
		hooks = h
	}
	mux := http.NewServeMux()
	mux.Handle("POST /hooks", hooks)
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		if h != nil && r.URL.Query().Has("drain") {
			ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
			defer cancel()
			_ = handovertest.Drain(ctx, h)
		}
		_ = json.NewEncoder(w).Encode(d.report(r.URL.Query().Has("all")))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(l, mux)
}

// newBot is a bot with the library, whose conversations are all open: the first as hosts open one, the others as copies
// of its record.
func newBot(s botSettings, d *deliveries) (*handover.Handover, error) {
	ctx, store := context.Background(), new(handover.MemoryStore)
	h, err := handover.New(handover.Config{
		WebsiteID: s.Website, BaseURL: s.Crisp + "/v1/", Webhook: handover.Webhook{Secrets: handover.NewSecrets(s.Secret)},
		Token:  handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret("identifier"), Key: handover.NewSecret("key of the token")},
		Store:  store,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Limits: handover.Limits{CreatesPerMinute: -1, DailyCalls: 1_000_000_000},
		Deliver: func(_ context.Context, s handover.Session, m handover.Message) (string, error) {
			if m.From == handover.FromAgent {
				d.delivered(s.CrispID, m.Content.Text)
			}
			return "", nil
		},
	})
	if err != nil {
		return nil, err
	}
	conversation := func(n int64) handover.Conversation {
		return handover.Conversation{Source: "load", ID: fmt.Sprintf("user-%012d", n)}
	}
	view, err := h.Session(ctx, conversation(1))
	if err != nil {
		return nil, err
	}
	if _, err := h.Start(ctx, view.Turn(), handover.Request{}); err != nil {
		return nil, err
	}
	if err := handovertest.Drain(ctx, h); err != nil {
		return nil, err
	}
	first, err := store.Load(ctx, s.Website+"/load/"+conversation(1).ID)
	if err != nil {
		return nil, err
	}
	for i := int64(2); i <= int64(s.Conversations); i++ {
		other := strings.NewReplacer(quickcrisp.SessionID(1), quickcrisp.SessionID(i), conversation(1).ID, conversation(i).ID)
		r := handover.Record{Key: other.Replace(first.Key), CrispIDs: []string{s.Website + "/" + quickcrisp.SessionID(i)}, Due: first.Due}
		r.Data = []byte(other.Replace(string(first.Data)))
		r.Live = first.Live
		if _, err := store.Save(ctx, r); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// deliveries is what users were shown: the texts of agents' messages have a number and the time of the hook.
type deliveries struct {
	mu    sync.Mutex
	of    map[string][]int // numbers, by session
	took  []time.Duration  // since the last report
	count int
}

func (d *deliveries) delivered(session, text string) {
	now := time.Now().UnixNano()
	var n int
	var at int64
	if _, err := fmt.Sscanf(text, messageText, &n, &at); err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of[session] = append(d.of[session], n)
	d.took = append(d.took, time.Duration(now-at))
	d.count++
}

// messageText is what agents write: the number of the message in its conversation, and the time.
const messageText = "message %d of %d: have you tried turning it off and on again?"

// report is what the bot tells of itself.
type report struct {
	Count         int // of all deliveries
	P50, P95, P99 time.Duration
	Memory        uint64 // in use of the system, in bytes
	CPU           time.Duration
	Of            map[string][]int `json:",omitempty"`
}

// report tells what was delivered since the last one; with all, everything.
func (d *deliveries) report(all bool) report {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := report{Count: d.count}
	if n := len(d.took); n > 0 {
		slices.Sort(d.took)
		r.P50, r.P95, r.P99 = d.took[n/2], d.took[n*95/100], d.took[n*99/100]
	}
	d.took = nil
	if all {
		r.Of = d.of
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Memory = m.Sys - m.HeapReleased
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		r.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return r
}
