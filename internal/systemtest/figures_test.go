package systemtest

import (
	"github.com/crisphandover/handover/internal/systemtest/rig"

	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// meter is a store that counts what it is asked for.
type meter struct {
	handover.MemoryStore
	saves, bytes, reads atomic.Int64
}

func (m *meter) Save(ctx context.Context, r handover.Record) (int64, error) {
	version, err := m.MemoryStore.Save(ctx, r)
	if err == nil && !strings.HasPrefix(r.Key, "website/") { // saved once in a minute, whatever is said
		m.saves.Add(1)
		m.bytes.Add(int64(len(r.Data)))
	}
	return version, err
}

func (m *meter) Load(ctx context.Context, key string) (handover.Record, error) {
	if !strings.HasPrefix(key, "website/") {
		m.reads.Add(1)
	}
	return m.MemoryStore.Load(ctx, key)
}

func (m *meter) Find(ctx context.Context, crispID string) (handover.Record, error) {
	m.reads.Add(1)
	return m.MemoryStore.Find(ctx, crispID)
}

// cost is what one message costs in the store, on average.
type cost struct{ saves, bytes, reads float64 }

func (c cost) String() string {
	return fmt.Sprintf("%.2f saves, %.1f KB written, %.2f reads", c.saves, c.bytes/1000, c.reads)
}

// of measures n messages.
func (m *meter) of(n int, message func()) cost {
	saves, bytes, reads := m.saves.Load(), m.bytes.Load(), m.reads.Load()
	for range n {
		message()
	}
	each := func(now, before int64) float64 { return float64(now-before) / float64(n) }
	return cost{each(m.saves.Load(), saves), each(m.bytes.Load(), bytes), each(m.reads.Load(), reads)}
}

// add adds one of a sample's costs.
func (c *cost) add(o cost, of int) {
	n := float64(of)
	c.saves, c.bytes, c.reads = c.saves+o.saves/n, c.bytes+o.bytes/n, c.reads+o.reads/n
}

// metered runs a test with a meter as the store, without Run: only what messages cost is counted.
func metered(t *testing.T, test func(r *rig.Rig, m *meter)) {
	m := new(meter)
	o := rig.Options{Still: true, Config: func(_ *rig.Rig, c *handover.Config) {
		c.Store = m
		c.Timeouts.Max = 30 * 24 * time.Hour // longer than the talk
	}}
	rig.Bubble(t, o, func(r *rig.Rig) { test(r, m) })
}

// TestCostOfAMessage requires that a message costs the same however many were written before: 10,000 of
// them when HANDOVER_FIGURES is set.
func TestCostOfAMessage(t *testing.T) {
	talk, pauses := []int{10, 100, 500}, []time.Duration{5 * time.Second}
	if os.Getenv("HANDOVER_FIGURES") != "" {
		talk, pauses = []int{10, 100, 1000, 10_000}, []time.Duration{10 * time.Millisecond, 5 * time.Second, time.Minute}
	}
	for _, pause := range pauses {
		t.Run(fmt.Sprint("every ", pause), func(t *testing.T) {
			metered(t, func(r *rig.Rig, m *meter) {
				conv := r.Opened()
				ann := conv.Operator("Ann")
				agent := func() {
					ann.Say("Have you tried turning it off and on again?")
					r.Crisp.Settle()
					time.Sleep(pause)
				}
				user := func() {
					r.Says("Yes, I did, and it is no better.")
					r.Crisp.Settle()
					time.Sleep(pause)
				}
				var first, firstUser cost
				said := 0
				for _, n := range talk {
					for ; said < n; said += 2 {
						agent()
						user()
					}
					var ofAgent, ofUser cost
					sample := min(n/2, 64) // not each message moves others to the old log
					for range sample {
						ofAgent.add(m.of(1, agent), sample)
						ofUser.add(m.of(1, user), sample)
					}
					said += 2 * sample
					t.Logf("agent message after %6d: %s", n, ofAgent)
					t.Logf("user  message after %6d: %s", n, ofUser)
					if n == talk[0] {
						first, firstUser = ofAgent, ofUser
					}
					require.LessOrEqual(t, ofAgent.saves, 4.2)
					require.LessOrEqual(t, ofUser.saves, 3.2)
					require.LessOrEqual(t, ofAgent.bytes, 2*first.bytes)
					require.LessOrEqual(t, ofUser.bytes, 2*firstUser.bytes)
				}
			})
		})
	}
}

// TestCostOfABotMessage is the same for a message that only the bot answers. Until as many messages
// were written as are remembered, the record grows a little.
func TestCostOfABotMessage(t *testing.T) {
	metered(t, func(r *rig.Rig, m *meter) {
		message := func() {
			r.Says("What does it cost?")
			time.Sleep(time.Second)
		}
		t.Logf("the first: %s", m.of(1, message))
		m.of(99, message)
		hundredth := m.of(1, message)
		t.Logf("the hundredth: %s", hundredth)
		m.of(898, message)
		thousandth := m.of(1, message)
		t.Logf("the thousandth: %s", thousandth)
		require.Equal(t, 2.0, thousandth.saves)
		require.InDelta(t, hundredth.bytes, thousandth.bytes, 20)
		require.Less(t, thousandth.bytes, 3000.0)
	})
}
