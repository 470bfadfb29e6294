package scenarios

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/internal/testmain"
)

// Twenty conversations get a thousand hooks a second together, while calls take their time and the log
// lags. All that was answered 200 is shown, in order.
func TestManyHooksASecond(t *testing.T) {
	if testmain.Raced() {
		t.Skip("it runs tens of thousands of hooks or records, without goroutines that other tests lack: too slow with the race detector")
	}
	for rate, seconds := range map[int]int{500: 1, 1000: 2} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			const users = 20
			var mu sync.Mutex
			var worst time.Duration
			shown := map[string][]string{}
			said := map[string]time.Time{}
			o := rig.Options{Crisp: handovertest.Options{LogLag: 3 * time.Second, PageSize: 50}, Config: func(r *rig.Rig, c *handover.Config) {
				c.Deliver = func(_ context.Context, s handover.Session, m handover.Message) (string, error) {
					time.Sleep(5 * time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					if m.From == handover.FromAgent {
						shown[s.Conversation.ID] = append(shown[s.Conversation.ID], m.Content.Text)
						if at := said[s.Conversation.ID+m.Content.Text]; !at.IsZero() {
							worst = max(worst, time.Since(at))
						}
					}
					return "", nil
				}
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				r.Opened()
				convs := append([]*handovertest.Conversation{r.Crisp.Last()}, r.Crowd(users-1)...)
				r.After(5 * time.Second)
				r.Crisp.SetFaults(func(i handovertest.CallInfo) handovertest.Fault {
					return handovertest.Fault{Delay: 50 * time.Millisecond}
				})
				ids := []string{"user-1"}
				for _, c := range convs {
					c.Operator("Ann").Say("first")
				}
				r.After(10 * time.Second)
				mu.Lock()
				require.Len(t, shown, users)
				ids = ids[:0]
				for id := range shown {
					ids = append(ids, id)
				}
				clear(shown)
				mu.Unlock()
				n := rate * seconds / users
				begun := time.Now()
				var want []string
				for i := range n {
					text := fmt.Sprint("message ", i)
					want = append(want, text)
					for _, id := range ids {
						mu.Lock()
						said[id+text] = time.Now()
						mu.Unlock()
					}
					for _, c := range convs {
						c.Operator("Ann").Say(text)
						time.Sleep(time.Second / time.Duration(rate))
					}
				}
				took := time.Since(begun)
				time.Sleep(30 * time.Second)
				mu.Lock()
				defer mu.Unlock()
				total, order := 0, 0
				for _, id := range ids {
					total += len(shown[id])
					for i, text := range shown[id] {
						if i < len(want) && text != want[i] {
							order++
						}
					}
				}
				t.Logf("%d hooks a second: %d of %d shown, %d out of order, in %v; slowest after %v", rate, total, n*users, order, took, worst)
				for _, id := range ids {
					require.Equal(t, want, shown[id], id)
				}
			})
		})
	}
}
