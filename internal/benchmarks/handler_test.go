//go:build unix

package benchmarks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/quickcrisp"
)

// BenchmarkHandler is an agent's message from its hook until all that comes of it is done: the hook is verified and
// stored, Crisp's log read, the message delivered, and marked as delivered and read. Crisp answers at once and without
// a network. By hand nothing is stored, read or marked.
func BenchmarkHandler(b *testing.B) {
	for _, n := range []int64{1, 1_000, 100_000} {
		b.Run(fmt.Sprint("ours/conversations=", n), func(b *testing.B) {
			n := min(n, most(b))
			c, store, shown := quickcrisp.New(), new(handover.MemoryStore), make(chan struct{}, 1)
			h := newBot(b, c, func(cfg *handover.Config) {
				cfg.Store = store
				cfg.Deliver = func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
					if m.From == handover.FromAgent {
						shown <- struct{}{}
					}
					return m.ID, nil
				}
			})
			open(b, h, conversation(1))
			require.NoError(b, handovertest.Drain(b.Context(), h))
			copies(b, store, c, n)
			measured(b, func() {
				hook := c.Hook("/", c.Says(quickcrisp.SessionID(1+rand.Int64N(n)), "Have you tried turning it off and on again?"))
				answer := httptest.NewRecorder()
				h.ServeHTTP(answer, hook)
				if answer.Code != http.StatusOK {
					b.Fatal("the hook was answered", answer.Code)
				}
				<-shown
				if err := handovertest.Drain(b.Context(), h); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
	b.Run("client", func(b *testing.B) {
		c, shown := quickcrisp.New(), make(chan struct{}, 1)
		bot := byHand(c, "http://crisp.test/v1/", &http.Client{Transport: c}, func(string, string) { shown <- struct{}{} })
		require.NoError(b, bot.Listen())
		measured(b, func() {
			hook := c.Hook("/", c.Says(quickcrisp.SessionID(1), "Have you tried turning it off and on again?"))
			answer := httptest.NewRecorder()
			bot.ServeHTTP(answer, hook)
			if answer.Code != http.StatusOK {
				b.Fatal("the hook was answered", answer.Code)
			}
			<-shown
		})
	})
}
