package integration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/sqlstore"
)

const (
	fleetSize  = 10
	fleetUsers = 20
	fleetTries = 8 // of a message that cannot be shown at first

	shownLater = "this can only be shown later"
	inHand     = "the first replica dies while it shows this"
)

// TestTenReplicasOnPostgres is the root's TestWhatADueRecordCosts and TestTakeoverAfterADeath with PostgreSQL and real
// time: ten replicas that poll do not get into each other's way, and one of them that dies is missed for no longer
// than its claims hold.
func TestTenReplicasOnPostgres(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	t.Run("herd", f.herd)
	t.Run("takeover", f.takeover)
}

// fleet is ten replicas of a bot, each with a pool of its own, and users who talk with agents.
type fleet struct {
	ctx   context.Context
	crisp *handovertest.Crisp
	first *handovertest.BrittleStore // of the replica that dies
	stop  func()                     // stops that one

	costs fleetCosts
	due   atomic.Int64  // deliveries that were tried again
	tried chan struct{} // a message was tried for the first time that can only be shown later
	held  chan struct{} // the first replica has a message in hand
	died  chan struct{} // closed when that replica dies
	shown chan string   // the conversations in which an agent's message was shown
}

func newFleet(t *testing.T) *fleet {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	const room = 10 * fleetUsers // more than is sent if all goes well
	f := &fleet{
		ctx: ctx, crisp: handovertest.NewCrisp(t, handovertest.Options{}),
		tried: make(chan struct{}, room), held: make(chan struct{}, room), died: make(chan struct{}), shown: make(chan string, room),
	}
	config := postgresSchema(t, postgresConfig(t), nil)
	var all []*handover.Handover
	for i := range fleetSize {
		db := openPostgres(t, config)
		db.SetMaxOpenConns(2) // besides the one that listens
		db.SetMaxIdleConns(2)
		store := handovertest.NewBrittleStore(&countedStore{watchedStore(t, db, config), &f.costs})
		c := f.crisp.Config()
		c.Store, c.Logger = store, slog.New(slog.DiscardHandler)
		c.HTTPClient = &http.Client{Transport: dying{c.HTTPClient.Transport, store}}
		c.Limits.CreatesPerMinute, c.Limits.DailyCalls = -1, 10 // catch-up looks at others
		c.Timeouts.Callback = 2 * time.Minute                   // longer than the one that dies has its messages in hand
		c.Deliver = func(_ context.Context, s handover.Session, m handover.Message) (string, error) {
			return m.ID, f.show(i == 0, s, m)
		}
		if i == 0 {
			f.first = store
		}
		h, err := handover.New(c)
		require.NoError(t, err)
		all = append(all, h)
	}
	f.stop = f.crisp.Run(all[0])
	for _, h := range all[1:] { // at once, so that all poll at the same moments
		f.crisp.Run(h)
	}
	for i := range fleetUsers {
		openedSession(t, all[i%fleetSize], fmt.Sprint(i))
	}
	f.crisp.Settle()
	require.Len(t, f.crisp.Conversations(), fleetUsers)
	return f
}

// show is Deliver, of the replica that dies or of another one.
func (f *fleet) show(dies bool, s handover.Session, m handover.Message) error {
	switch text := m.Content.Text; {
	case text == shownLater && m.Attempt == 1:
		f.tried <- struct{}{}
		return handover.RetryAfter(3*time.Second, nil)
	case text == shownLater && m.Attempt < fleetTries:
		f.due.Add(1)
		return handover.RetryAfter(time.Second, nil)
	case text == shownLater:
		f.due.Add(1)
	case text == inHand && dies:
		f.held <- struct{}{}
		<-f.died
		return errDead
	}
	if m.From == handover.FromAgent {
		f.shown <- s.Conversation.ID
	}
	return nil
}

// say has an agent write to all users.
func (f *fleet) say(text string) {
	for _, conv := range f.crisp.Conversations() {
		conv.Operator("Ann").Say(text)
	}
}

// each receives what comes of all users.
func each[T any](t *testing.T, f *fleet, what string, from <-chan T) (got []T) {
	t.Helper()
	for len(got) < fleetUsers {
		select {
		case one := <-from:
			got = append(got, one)
		case <-f.ctx.Done():
			require.Failf(t, "the run took too long", "%s: %d of %d", what, len(got), fleetUsers)
		}
	}
	return got
}

// herd has deliveries become due that must be tried again, while all replicas poll.
func (f *fleet) herd(t *testing.T) {
	f.say(shownLater)
	each(t, f, "tried", f.tried)
	f.crisp.Settle()
	f.costs.claimed.Store(0)
	f.costs.loads.Store(0)
	f.costs.conflicts.Store(0)
	f.due.Store(0)
	each(t, f, "shown", f.shown)
	f.crisp.Settle()
	due, claimed, loads, conflicts := f.due.Load(), f.costs.claimed.Load(), f.costs.loads.Load(), f.costs.conflicts.Load()
	fmt.Printf("herd, %d replicas on PostgreSQL: %d due records, %d claimed, %d loaded besides, %d conflicts\n", fleetSize, due, claimed, loads, conflicts)
	require.Greater(t, due, int64(fleetUsers*fleetTries/2))
	require.LessOrEqual(t, float64(claimed+loads), 1.5*float64(due), "a replica reads what another one works on")
	require.LessOrEqual(t, conflicts, due/20)
}

// takeover has a replica die while it has a message for each user in hand. The others show them.
func (f *fleet) takeover(t *testing.T) {
	f.crisp.SetChooser(func(handovertest.HookInfo, int) int { return 0 }) // hooks go to the first that is left
	f.say(inHand)
	each(t, f, "in hand", f.held)
	f.first.Break()
	died := time.Now()
	close(f.died)
	go f.stop() // it never stops trying to store what came of it else
	seen := map[string]bool{}
	for _, conv := range each(t, f, "taken over", f.shown) {
		seen[conv] = true
	}
	took := time.Since(died)
	fmt.Printf("takeover after a process died, %d replicas on PostgreSQL: %.1f s\n", fleetSize, took.Seconds())
	require.LessOrEqual(t, took, 45*time.Second)
	require.Len(t, seen, fleetUsers)
	f.crisp.Settle()
	require.Empty(t, f.shown, "shown twice")
}

// fleetCosts counts what all replicas read of conversations.
type fleetCosts struct{ claimed, loads, conflicts atomic.Int64 }

// countedStore is the store of one replica.
type countedStore struct {
	*sqlstore.Store
	costs *fleetCosts
}

func (s *countedStore) Load(ctx context.Context, key string) (handover.Record, error) {
	if !strings.HasPrefix(key, "website/") {
		s.costs.loads.Add(1)
	}
	return s.Store.Load(ctx, key)
}

func (s *countedStore) Find(ctx context.Context, crispID string) (handover.Record, error) {
	s.costs.loads.Add(1)
	return s.Store.Find(ctx, crispID)
}

func (s *countedStore) Save(ctx context.Context, r handover.Record) (int64, error) {
	version, err := s.Store.Save(ctx, r)
	if errors.Is(err, handover.ErrConflict) && !strings.HasPrefix(r.Key, "website/") {
		s.costs.conflicts.Add(1)
	}
	return version, err
}

func (s *countedStore) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	due, err := s.Store.Claim(ctx, limit, ttl)
	for _, r := range due {
		if !strings.HasPrefix(r.Key, "website/") {
			s.costs.claimed.Add(1)
		}
	}
	return due, err
}
