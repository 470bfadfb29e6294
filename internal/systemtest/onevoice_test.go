package systemtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/internal/testhook"
)

// interleaving is one run of a slow bot with workers on two replicas, its user, an agent and the
// host, all of whom act when they like, on a store that takes its time.
type interleaving struct {
	*rig.Rig
	second *handover.Handover
	rnd    *rand.Rand

	mu       sync.Mutex
	trace    []string // what happened, in order, without the times
	wrong    []string
	speaking int             // sends under way that honour their context
	fate     map[string]fate // of the user's messages
}

// fate is what the host was told of one message.
type fate struct {
	turn, answered, refused bool
	// had: a human had the conversation since, and left: the message is in theirs. Else the handover
	// may end before that, or never come to be, and the user is asked to send it again.
	had bool
}

func (v *interleaving) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trace = append(v.trace, fmt.Sprintf(format, args...))
}

// owned counts how often a human got the conversation so far.
func (v *interleaving) owned() (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, what := range v.trace {
		if what == "opening > waiting" || what == "bot > active" {
			n++
		}
	}
	return n
}

func (v *interleaving) violated(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// lazyStore takes up to 40 ms, and never does two things at one time: what a caller does next
// comes before what anybody else does.
type lazyStore struct {
	handover.Store
	mu   sync.Mutex
	rnd  *rand.Rand
	used map[time.Time]bool
}

func (s *lazyStore) pause() {
	s.mu.Lock()
	at := time.Now().Add(time.Duration(s.rnd.IntN(40)) * time.Millisecond)
	for s.used[at] {
		at = at.Add(time.Microsecond)
	}
	s.used[at] = true
	s.mu.Unlock()
	time.Sleep(time.Until(at))
}

func (s *lazyStore) Load(ctx context.Context, key string) (handover.Record, error) {
	s.pause()
	return s.Store.Load(ctx, key)
}

func (s *lazyStore) Save(ctx context.Context, rec handover.Record) (int64, error) {
	s.pause()
	return s.Store.Save(ctx, rec)
}

// interleave runs one seed. Without the epoch check turns hold for ever.
func interleave(t *testing.T, seed uint64, withoutEpoch bool) (v *interleaving) {
	v = &interleaving{rnd: rand.New(rand.NewPCG(seed, 2)), fate: map[string]fate{}}
	var lazy *lazyStore
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		if lazy == nil {
			lazy = &lazyStore{Store: c.Store, rnd: rand.New(rand.NewPCG(seed, 3)), used: map[time.Time]bool{}}
		}
		c.Store = lazy
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			v.delivers(m)
			return r.Deliver(ctx, s, m)
		}
		c.Observe = func(_ context.Context, a handover.Activity) {
			if a.Kind == handover.ActivityState {
				v.note("%s > %s", a.From, a.To)
			}
		}
	}, Made: func(h *handover.Handover) { testhook.Set(h, testhook.Hooks{NoEpoch: withoutEpoch}) }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		v.Rig, v.second = r, r.Replica(rig.Options{Still: true, Config: o.Config, Made: o.Made})
		conv := v.Opened()
		ann := conv.Operator("Ann")
		if v.rnd.IntN(4) > 0 { // else the first handover still waits
			ann.Resolve()
			r.After(2 * time.Second)
		}
		v.run(ann)
		r.After(15 * time.Second)
		v.judge()
	})
	return v
}

// run lets everybody act.
func (v *interleaving) run(ann *handovertest.Operator) {
	var all sync.WaitGroup
	plan := func() (pauses []time.Duration) {
		for range 3 {
			pauses = append(pauses, time.Duration(v.rnd.IntN(60))*25*time.Millisecond)
		}
		return pauses
	}
	for n := range 3 {
		pauses, replicas := plan(), []*handover.Handover{v.H, v.second}
		v.rnd.Shuffle(2, func(i, j int) { replicas[i], replicas[j] = replicas[j], replicas[i] })
		starts, deaf := v.rnd.IntN(3) == 0, v.rnd.IntN(6) == 0
		all.Go(func() { v.asksTheBot(fmt.Sprint("message ", n), replicas, pauses, starts, deaf) })
	}
	agent, host := []int{v.rnd.IntN(4), v.rnd.IntN(4)}, v.rnd.IntN(4)
	pauses, later := plan(), plan()
	all.Go(func() {
		for i, act := range agent {
			time.Sleep(pauses[i])
			switch act {
			case 0, 1:
				ann.Say(fmt.Sprint("words ", i))
			case 2:
				ann.Resolve()
			case 3:
				ann.Reopen()
			}
		}
	})
	all.Go(func() {
		time.Sleep(later[0])
		switch host {
		case 0:
			_ = v.H.End(v.T.Context(), v.Conv, handover.EndOptions{})
		case 1:
			v.startsFor(v.second, v.sessionOn(v.second).Turn())
		}
	})
	all.Wait()
}

func (v *interleaving) sessionOn(h *handover.Handover) handover.Session {
	s, err := h.Session(v.T.Context(), v.Conv)
	require.NoError(v.T, err)
	return s
}

func (v *interleaving) startsFor(h *handover.Handover, turn handover.Turn) {
	outcome, err := h.Start(v.T.Context(), turn, handover.Request{})
	if err != nil {
		require.ErrorIs(v.T, err, handover.ErrNotYourTurn)
	}
	v.note("start %s %v", outcome, err != nil)
}

// asksTheBot is a message of the user: one replica takes it, the other one's bot answers.
func (v *interleaving) asksTheBot(text string, on []*handover.Handover, pauses []time.Duration, starts, deaf bool) {
	time.Sleep(pauses[0])
	turn, err := on[0].Receive(v.T.Context(), handover.Incoming{Conversation: v.Conv, ID: text, Text: text})
	require.NoError(v.T, err)
	v.note("%s: bot %v", text, turn.Bot)
	f := fate{turn: turn.Bot}
	if owned := v.owned(); turn.Bot {
		time.Sleep(pauses[1]) // the model thinks
		wire, err := json.Marshal(turn)
		require.NoError(v.T, err)
		require.NoError(v.T, json.Unmarshal(wire, &turn))
		err = on[1].Reply(v.T.Context(), turn, func(ctx context.Context) error { return v.sends(ctx, text, pauses[2], deaf) })
		v.note("%s: replied %v", text, err)
		f.answered, f.refused = err == nil, errors.Is(err, handover.ErrNotYourTurn)
		f.had = v.owned() > owned && v.recorded() == handover.StateBot
		if f.answered && starts {
			v.startsFor(on[1], turn)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fate[text] = f
}

// sends is the bot speaking for a while. One that is deaf does not heed its context.
func (v *interleaving) sends(ctx context.Context, text string, takes time.Duration, deaf bool) error {
	v.note("%s: send", text)
	if state := v.recorded(); state != handover.StateBot {
		v.violated("%s: the bot begins to speak in %s", text, state)
	}
	if deaf {
		time.Sleep(takes)
		return nil
	}
	v.count(1)
	defer v.count(-1)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(takes):
		return nil
	}
}

func (v *interleaving) count(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.speaking += n
}

// recorded is the state that the store has at this moment.
func (v *interleaving) recorded() handover.State {
	rec, err := v.Store.Load(context.Background(), v.Crisp.WebsiteID()+"/webchat/user-1")
	require.NoError(v.T, err)
	var d struct{ State handover.State }
	require.NoError(v.T, json.Unmarshal(rec.Data, &d))
	return d.State
}

func (v *interleaving) delivers(m handover.Message) {
	if m.From != handover.FromAgent {
		return
	}
	v.note("agent: %s", m.Content.Text)
	v.mu.Lock()
	speaking := v.speaking
	v.mu.Unlock()
	if speaking > 0 {
		v.violated("the agent speaks while the bot does")
	}
}

// judge checks that each message of the user was answered by the bot, or is in Crisp, once: never
// neither, and never both.
func (v *interleaving) judge() {
	in := map[string]int{}
	for _, conv := range v.Crisp.Conversations() {
		for _, text := range rig.UserTexts(conv) {
			in[text]++
		}
	}
	told := slices.ContainsFunc(v.Lines(), func(l string) bool { return strings.Contains(l, "could not be sent") })
	for text, f := range v.fate {
		switch n := in[text]; {
		case n > 1:
			v.violated("%s: %d times in Crisp", text, n)
		case f.answered && n > 0:
			v.violated("%s: answered by the bot, and in Crisp", text)
		case !f.answered && n == 0 && (f.had || !told):
			v.violated("%s: neither answered nor in Crisp (%+v)", text, f)
		}
	}
}

// TestOneVoice runs many interleavings of slow replies, takeovers, starts, resolves and ends over two
// replicas. No send begins while a human owns the conversation, no agent's message is delivered
// while the bot speaks, and each message of the user has one answer.
func TestOneVoice(t *testing.T) {
	t.Parallel()
	const runs = 700
	different := map[string]bool{}
	var spoken, refused, toHuman int
	for seed := range uint64(runs) {
		v := interleave(t, seed, false)
		require.Empty(t, v.wrong, "seed %d: %q", seed, v.trace)
		different[strings.Join(v.trace, "; ")] = true
		for _, f := range v.fate {
			switch {
			case f.answered:
				spoken++
			case f.refused:
				refused++
			default:
				toHuman++
			}
		}
	}
	fmt.Printf("one voice: runs=%d different interleavings=%d messages answered=%d refused=%d taken by a human=%d\n",
		runs, len(different), spoken, refused, toHuman)
	require.GreaterOrEqual(t, len(different), 500)
	require.NotZero(t, spoken)
	require.NotZero(t, refused)
	require.NotZero(t, toHuman)
}

// TestOneVoiceMissesTheEpochCheck takes away the check that makes a turn void.
func TestOneVoiceMissesTheEpochCheck(t *testing.T) {
	t.Parallel()
	const runs = 100
	violations := map[string]int{}
	for seed := range uint64(runs) {
		for _, wrong := range interleave(t, seed, true).wrong {
			_, what, _ := strings.Cut(wrong, ": ")
			violations[what]++
		}
	}
	fmt.Printf("one voice without the epoch check: runs=%d violations=%v\n", runs, violations)
	require.NotZero(t, violations["the bot begins to speak in waiting"]+violations["the bot begins to speak in active"])
}
