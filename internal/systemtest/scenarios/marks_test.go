package scenarios

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// moody is a store that fails now and then, and may say so of saves that it has stored.
type moody struct {
	handover.Store
	mu     sync.Mutex
	chance *rand.Rand
	fails  float64
	lies   float64
}

// drawn draws from one of its chances.
func (s *moody) drawn(p *float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chance.Float64() < *p
}

// be sets how often it fails and lies.
func (s *moody) be(fails, lies float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails, s.lies = fails, lies
}

// Load is the store's.
func (s *moody) Load(ctx context.Context, key string) (handover.Record, error) {
	if s.drawn(&s.fails) {
		return handover.Record{}, rig.ErrStoreDown
	}
	return s.Store.Load(ctx, key)
}

// Save is the store's.
func (s *moody) Save(ctx context.Context, rec handover.Record) (int64, error) {
	if s.drawn(&s.fails) {
		return 0, rig.ErrStoreDown
	}
	v, err := s.Store.Save(ctx, rec)
	if err == nil && s.drawn(&s.lies) {
		return 0, rig.ErrStoreDown
	}
	return v, err
}

// Whatever fails, what agents wrote is shown once and in order, and marked as delivered and read unless the store said
// of a save that it had failed.
func TestMarksWhateverFails(t *testing.T) {
	for seed := range uint64(12) {
		lies := 0.0
		if seed%4 == 3 {
			lies = 0.1
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { marksSurvive(t, seed, lies) })
	}
}

// marksSurvive is one run, on two replicas.
func marksSurvive(t *testing.T, seed uint64, lies float64) {
	chance := rand.New(rand.NewPCG(seed, 1))
	var store *moody
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		if store == nil {
			store = &moody{Store: c.Store, chance: rand.New(rand.NewPCG(seed, 2))}
		}
		c.Store, c.Limits.Attempts = store, 100
	}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Replica(o)
		r.Crisp.SetFaults(func(i handovertest.CallInfo) handovertest.Fault { return markFault(seed, i) })
		var said []string
		for range 40 {
			switch chance.IntN(6) {
			case 0, 1, 2:
				for range 1 + chance.IntN(4) {
					words := fmt.Sprint("word ", len(said))
					ann.Say(words)
					said = append(said, "agent Ann: "+words)
				}
			case 3:
				m := handover.Incoming{Conversation: r.Conv, ID: fmt.Sprint("of ", time.Now()), Text: "yes"}
				go func() { _, _ = r.H.Receive(context.Background(), m) }()
			case 4:
				store.be(0.5, lies)
				time.Sleep(time.Duration(chance.IntN(10_000)) * time.Millisecond)
				store.be(0, lies)
			}
			time.Sleep(time.Duration(chance.IntN(2_500)) * time.Millisecond)
		}
		store.be(0, 0)
		r.After(time.Hour)
		require.Equal(t, said, rig.Unlate(r.AgentLines()), "once each, and in order")
		require.NotContains(t, string(r.Record().Data), `"mark"`)
		if lies == 0 {
			require.Zero(t, unmarked(conv), "messages without marks")
		}
		most := 1 + len(said)
		for _, n := range r.Crisp.FaultCounts() {
			most += n
		}
		require.LessOrEqual(t, conv.CountCalls(handovertest.RouteDelivered), most)
		require.LessOrEqual(t, conv.CountCalls(handovertest.RouteRead), most)
	})
}

// markFault lets four of ten calls fail that mark messages.
func markFault(seed uint64, i handovertest.CallInfo) handovertest.Fault {
	marks := i.Route == handovertest.RouteDelivered || i.Route == handovertest.RouteRead
	if !marks || !handovertest.Chance(0.4, seed, i.Route, i.Ordinal) {
		return handovertest.Fault{}
	}
	all := []handovertest.Fault{{Status: 503}, {CutBefore: true}, {CutAfter: true}, {Delay: time.Minute}, {Refuse: true}}
	return all[handovertest.Hash(seed, "kind", i.Route, i.Ordinal)%uint64(len(all))]
}

// Marks that are tried begin without a save. Where they fail, they are tried again, also if the record was saved meanwhile.
func TestMarksThatFailWhileTheRecordIsSaved(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteDelivered, Delay: 2 * time.Second})
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteDelivered, Delay: 2 * time.Second, Status: 503})
		for range 4 {
			ann.Say("and this")
			time.Sleep(time.Second)
		}
		r.After(time.Minute)
		require.Zero(t, unmarked(conv))
		require.Zero(t, r.Count(handover.ActivityGivenUp))
	})
}

// Where the store fails when marks have failed, they are kept for it.
func TestMarksThatFailWhileTheStoreFails(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteDelivered, Delay: 2 * time.Second, Status: 503})
		ann.Say("and this")
		time.Sleep(time.Second)
		r.Store.Fails(true)
		time.Sleep(10 * time.Second)
		r.Store.Fails(false)
		r.After(time.Minute)
		require.Zero(t, unmarked(conv))
	})
}

// unmarked counts the messages of agents that are not marked as delivered and read.
func unmarked(conv *handovertest.Conversation) (n int) {
	for _, m := range conv.Messages() {
		if m.From == "operator" && m.Type == "text" && (m.Read == "" || m.Delivered == "") {
			n++
		}
	}
	return n
}
