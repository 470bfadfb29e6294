//go:build unix

package benchmarks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/quickcrisp"
	"github.com/crisphandover/handover/internal/tokenclient"
)

// far is how long a call to Crisp takes at least where the network counts.
const far = 20 * time.Millisecond

// BenchmarkOpening is how long a user waits for a human to be asked: until the agents have the conversation. Each call
// takes 20 ms at least, and calls/op are made one after the other.
func BenchmarkOpening(b *testing.B) {
	opening := func(b *testing.B, c *quickcrisp.Crisp, once func()) {
		calls := c.Calls()
		measured(b, once)
		b.ReportMetric(float64(c.Calls()-calls)/float64(b.N), "calls/op")
	}
	b.Run("ours", func(b *testing.B) {
		c := quickcrisp.New()
		h := newBot(b, c, overNetwork(b, c))
		c.Latency = far
		n := int64(0)
		opening(b, c, func() { n++; open(b, h, conversation(n)) })
	})
	b.Run("client", func(b *testing.B) {
		c := quickcrisp.New()
		bot := byHand(c, served(b, c), nil, nil)
		c.Latency = far
		opening(b, c, func() {
			if _, err := bot.Open("Ben", "A user asks for a human."); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// BenchmarkRelay posts users' messages to Crisp over loopback, from so many conversations at once: through Receive,
// which returns when the message is in Crisp, by the official client, and by net/http alone. Crisp answers at once, or
// as far away as it is.
func BenchmarkRelay(b *testing.B) {
	for _, latency := range []time.Duration{0, far} {
		for _, atOnce := range []int{1, 64} {
			run := func(name string, make func(b *testing.B, c *quickcrisp.Crisp) (post func(conversation, n int) error)) {
				b.Run(fmt.Sprintf("latency=%v/at-once=%d/%s", latency, atOnce, name), func(b *testing.B) {
					c := quickcrisp.New()
					post := make(b, c)
					c.Latency = latency
					relay(b, atOnce, post)
				})
			}
			run("ours", func(b *testing.B, c *quickcrisp.Crisp) func(int, int) error {
				h := newBot(b, c, overNetwork(b, c))
				for i := range atOnce {
					open(b, h, conversation(int64(i)))
				}
				return func(i, n int) error {
					_, err := h.Receive(b.Context(), handover.Incoming{Conversation: conversation(int64(i)), ID: fmt.Sprint(n), Text: "Is it plugged in?"})
					return err
				}
			})
			run("client", func(b *testing.B, c *quickcrisp.Crisp) func(int, int) error {
				bot := byHand(c, served(b, c), nil, nil)
				return func(i, _ int) error { return bot.Post(quickcrisp.SessionID(int64(i)), "Is it plugged in?") }
			})
			run("bare", func(b *testing.B, c *quickcrisp.Crisp) func(int, int) error { return bare(c, served(b, c)) })
		}
	}
}

// bare posts messages with net/http and nothing else.
func bare(c *quickcrisp.Crisp, url string) func(conversation, n int) error {
	client := tokenclient.Of(nil)
	return func(i, n int) error {
		body, err := json.Marshal(map[string]any{"type": "text", "from": "user", "origin": "chat", "content": "Is it plugged in?", "fingerprint": n + 1})
		if err != nil {
			return err
		}
		r, err := http.NewRequest(http.MethodPost, url+"website/"+c.WebsiteID+"/conversation/"+quickcrisp.SessionID(int64(i))+"/message", bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.SetBasicAuth("identifier", "key of the token")
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
}

// relay posts b.N messages, each conversation one after the other.
func relay(b *testing.B, atOnce int, post func(conversation, n int) error) {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	work := func(messages int64) {
		next.Store(0)
		var all sync.WaitGroup
		for i := range atOnce {
			all.Go(func() {
				for n := next.Add(1); n <= messages; n = next.Add(1) {
					if err := post(i, int(messages*1_000_000+n)); err != nil {
						failed.Store(&err)
						return
					}
				}
			})
		}
		all.Wait()
	}
	work(int64(2 * atOnce)) // the connections are made
	b.ReportAllocs()
	begun, cpu := time.Now(), processTime()
	b.ResetTimer()
	work(int64(b.N))
	b.StopTimer()
	if err := failed.Load(); err != nil {
		require.NoError(b, *err)
	}
	b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "messages/s")
	b.ReportMetric(float64((processTime()-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
