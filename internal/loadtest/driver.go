package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover/internal/quickcrisp"
)

// driver plays Crisp: agents write, and hooks tell of it.
type driver struct {
	crisp  *quickcrisp.Crisp
	server *http.Server
	url    string // of the REST API
	bot    string
	client *http.Client

	mu    sync.Mutex
	said  []int   // how many messages each conversation has
	taken [][]int // the numbers of those whose hook was answered 200
}

// step is what came of one rate.
type step struct {
	rate            int
	answered        float64 // a second
	refused, failed int
	p50, p95, p99   time.Duration
	late            time.Duration // from the last hook until all was delivered
	cpu             float64       // processors that the bot used
	memory          uint64
}

// held reports whether the bot keeps up with the rate.
func (s step) held() bool { return s.refused+s.failed == 0 && s.late < time.Second }

func newDriver(crisp *quickcrisp.Crisp, conversations int) (*driver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &driver{
		crisp: crisp, url: "http://" + l.Addr().String(), server: &http.Server{Handler: crisp},
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 512}},
		said:   make([]int, conversations), taken: make([][]int, conversations),
	}
	go func() { _ = d.server.Serve(l) }()
	return d, nil
}

func (d *driver) close() { _ = d.server.Close() }

// drive sends hooks at a rate: each at its time, whether the ones before were answered or not. It returns when the bot
// has nothing left to do.
func (d *driver) drive(ctx context.Context, rate int, lasts time.Duration) (step, error) {
	before, err := d.report(ctx, "")
	if err != nil {
		return step{}, err
	}
	var taken, refused, failed atomic.Int64
	var under sync.WaitGroup
	begun := time.Now()
	total := int(float64(rate) * lasts.Seconds())
	for n := range total {
		if wait := time.Until(begun.Add(time.Duration(n) * time.Second / time.Duration(rate))); wait > time.Millisecond {
			time.Sleep(wait)
		}
		under.Go(func() {
			switch status := d.send(ctx, n%len(d.said)); {
			case status == http.StatusOK:
				taken.Add(1)
			case status == http.StatusServiceUnavailable:
				refused.Add(1)
			default:
				failed.Add(1)
			}
		})
	}
	under.Wait()
	took := time.Since(begun)
	ended := time.Now()
	after, err := d.report(ctx, "?drain")
	if err != nil {
		return step{}, err
	}
	return step{
		rate: rate, answered: float64(taken.Load()) / took.Seconds(), refused: int(refused.Load()), failed: int(failed.Load()),
		p50: after.P50, p95: after.P95, p99: after.P99, late: time.Since(ended), memory: after.Memory,
		cpu: (after.CPU - before.CPU).Seconds() / time.Since(begun).Seconds(),
	}, nil
}

// send has an agent write in a conversation, and returns what the bot answers to the hook; 0 for no answer.
func (d *driver) send(ctx context.Context, conversation int) (status int) {
	d.mu.Lock()
	d.said[conversation]++
	n := d.said[conversation]
	body := d.crisp.Says(quickcrisp.SessionID(int64(conversation+1)), fmt.Sprintf(messageText, n, time.Now().UnixNano()))
	d.mu.Unlock()
	hook := d.crisp.Hook(d.bot+"/hooks", body)
	hook.RequestURI = "" // of a request that a server got
	answer, err := d.client.Do(hook.WithContext(ctx))
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		d.mu.Lock()
		d.taken[conversation] = append(d.taken[conversation], n)
		d.mu.Unlock()
	}
	return answer.StatusCode
}

// report asks the bot for its report.
func (d *driver) report(ctx context.Context, query string) (r report, err error) {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, d.bot+"/report"+query, nil)
	if err != nil {
		return r, err
	}
	answer, err := (&http.Client{Timeout: 2 * time.Minute}).Do(ask)
	if err != nil {
		return r, err
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(answer.Body); err != nil {
		return r, err
	}
	return r, json.Unmarshal(body.Bytes(), &r)
}

// check requires that everything that was answered 200 was delivered once, and that nothing is out of order. What was
// refused may have been delivered as well: it is in Crisp's log.
func (d *driver) check(ctx context.Context) error {
	deadline := time.Now().Add(time.Minute)
	for {
		r, err := d.report(ctx, "?drain&all")
		if err != nil {
			return err
		}
		err = d.compare(r.Of)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Second) // what waits for its time
	}
}

// compare compares what was delivered with what was answered.
func (d *driver) compare(delivered map[string][]int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, taken := range d.taken {
		session := quickcrisp.SessionID(int64(i + 1))
		got := delivered[session]
		if !slices.IsSorted(got) {
			return fmt.Errorf("%s: delivered out of order: %v", session, got)
		}
		if len(slices.Compact(slices.Clone(got))) != len(got) {
			return fmt.Errorf("%s: delivered twice: %v", session, got)
		}
		for _, n := range taken {
			if _, found := slices.BinarySearch(got, n); !found {
				return fmt.Errorf("%s: message %d was answered 200 and not delivered: %v", session, n, got)
			}
		}
	}
	return nil
}
