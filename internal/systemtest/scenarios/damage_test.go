package scenarios

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// richStates bring the rig's conversation into states in which its record holds as much as it can.
var richStates = map[string]func(r *rig.Rig){
	"opening": func(r *rig.Rig) {
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteCreate, Status: 503})
		turn, err := r.Receive(handover.Incoming{Text: "help"})
		require.NoError(r.T, err)
		ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
		defer cancel()
		_, err = r.H.Start(ctx, turn, handover.Request{Segments: []string{"a"}, Note: "why", Resume: "there", User: handover.UserData{Email: "a@example.com"}})
		require.Error(r.T, err)
	},
	"waiting": func(r *rig.Rig) {
		conv := r.Opened()
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteMessages, Status: 503})
		receivesInVain(r, "on its way")
		r.Hooked(r.Hook("session:set_state", conv.ID(), map[string]any{"state": "resolved"}))
		conv.Operator("Ann").Say("not read yet")
		r.After(time.Second)
	},
	"active": func(r *rig.Rig) {
		conv := r.Opened()
		ann := conv.Operator("Ann")
		fp := ann.Say("at five")
		ann.Picker("Which one?", "red", "blue")
		r.Says("one of mine")
		r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
		ann.Edit(fp, "at six")
		ann.Say("not shown yet")
		ann.Note("private")
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteRead, Status: 503})
		conv.Operator("Bob").Say("nor this")
		r.After(time.Second)
	},
	"offer": func(r *rig.Rig) {
		r.Crisp.Away()
		r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
		require.Equal(r.T, handover.OutcomeNobodyThere, r.Asks(handover.Request{}))
		_, err := r.Receive(handover.Incoming{Text: "Contact me back via email"})
		require.NoError(r.T, err)
	},
	"follow-up": func(r *rig.Rig) {
		r.Crisp.Away()
		require.Equal(r.T, handover.OutcomeNobodyThere, r.Asks(handover.Request{User: handover.UserData{Email: "a@example.com"}}))
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		_, err := r.Receive(handover.Incoming{Text: "Contact me back via email"})
		require.NoError(r.T, err)
		r.After(time.Second)
	},
	"muted": func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Text: "hush"})
		require.NoError(r.T, err)
		require.NoError(r.T, r.H.Mute(r.T.Context(), turn))
		r.Says("kept one")
		r.Says("kept two")
	},
	"ended": func(r *rig.Rig) {
		ann := r.Opened().Operator("Ann")
		ann.Say("hello")
		r.After(time.Second)
		r.Fails(func(handover.Message) error { return handover.ErrUserAway })
		ann.Say("are you there?")
		r.After(time.Second)
		r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
		ann.Say("still there?")
		ann.Resolve()
		r.After(time.Second)
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteMessages, Status: 503})
		ann.Say("too late")
		r.After(time.Second)
	},
	"speaking": func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Say("hello")
		r.After(time.Second)
		require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{Note: "bye", Resolve: true}))
		turn, err := r.Receive(handover.Incoming{Text: "bot?"})
		require.NoError(r.T, err)
		go func() {
			_ = r.H.Reply(context.Background(), turn, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		}()
		r.After(time.Second)
		conv.Operator("Ann").Note("hm")
		r.After(time.Second)
	},
}

// receivesInVain has a message of the user whose Receive gives up.
func receivesInVain(r *rig.Rig, text string) {
	ctx, cancel := context.WithTimeout(r.T.Context(), time.Second)
	defer cancel()
	_, err := r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: text, Text: text})
	require.Error(r.T, err)
}

// mutant is a record with one member changed.
type mutant struct {
	name string
	data []byte
}

// mutants changes each member of a record in each way.
func mutants(t *testing.T, data []byte) (all []mutant) {
	parse := func() (tree any) {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		require.NoError(t, d.Decode(&tree))
		return tree
	}
	const twin = "\x01twin"
	emit := func(name string, tree any) {
		b, err := json.Marshal(tree)
		require.NoError(t, err)
		all = append(all, mutant{name, bytes.ReplaceAll(b, []byte(`\u0001twin":`), []byte(`":`))})
	}
	var walk func(path []any, v any)
	walk = func(path []any, v any) {
		if len(path) > 0 {
			for how, w := range mutations(v) {
				tree := parse()
				place(tree, path, func(any) any { return w })
				emit(fmt.Sprint(how, " ", path), tree)
			}
			last := len(path) - 1
			if key, ok := path[last].(string); ok {
				tree := parse()
				place(tree, path[:last], func(o any) any { delete(o.(map[string]any), key); return o })
				emit(fmt.Sprint("removed ", path), tree)
				tree = parse()
				place(tree, path[:last], func(o any) any { m := o.(map[string]any); m[key+twin] = m[key]; return o })
				emit(fmt.Sprint("twice ", path), tree)
			}
		}
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(append(slices.Clone(path), key), v[key])
			}
		case []any:
			for i := range v {
				walk(append(slices.Clone(path), i), v[i])
			}
		}
	}
	walk(nil, parse())
	slices.SortFunc(all, func(a, b mutant) int { return strings.Compare(a.name, b.name) })
	return all
}

// place changes what is at a path of a tree.
func place(tree any, path []any, change func(any) any) any {
	if len(path) == 0 {
		return change(tree)
	}
	switch at := path[0].(type) {
	case string:
		m := tree.(map[string]any)
		m[at] = place(m[at], path[1:], change)
	case int:
		l := tree.([]any)
		l[at] = place(l[at], path[1:], change)
	}
	return tree
}

// mutations are what a value is changed into.
func mutations(v any) map[string]any {
	all := map[string]any{"null": nil}
	switch v := v.(type) {
	case string:
		all["number"], all["empty"], all["list"] = 7, "", []any{}
		if _, err := time.Parse(time.RFC3339Nano, v); err == nil {
			all["far future"], all["zero"], all["long ago"] = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1999-01-01T00:00:00Z"
			all["an hour ahead"] = time.Now().Add(time.Hour).Format(time.RFC3339)
		} else {
			all["other"] = "x"
		}
	case json.Number:
		all["text"], all["zero"], all["negative"], all["huge"] = "x", 0, -1, json.Number("9223372036854775807")
		all["very negative"], all["ahead"] = json.Number("-9223372036854775808"), json.Number("4102444800000")
	case bool:
		all["other"], all["text"] = !v, "x"
	case map[string]any:
		all["empty"], all["list"] = map[string]any{}, []any{}
	case []any:
		all["empty"], all["object"] = []any{}, map[string]any{}
		if len(v) > 0 {
			all["doubled"] = append(slices.Clone(v), v...)
			all["a null more"] = append(slices.Clone(v), nil)
		}
	}
	return all
}

// stride is of how many mutants one is tried; HANDOVER_MUTANTS=all tries each.
func stride() int {
	if os.Getenv("HANDOVER_MUTANTS") == "all" {
		return 1
	}
	return 40
}

// Whatever a store returns: nothing panics or goes on for ever, what cannot be worked on is named in
// the log, and others are served.
func TestMutatedRecords(t *testing.T) {
	for name, prepare := range richStates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log rig.Log
			var store rig.Counted
			o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
				store.Store, c.Store = &r.Store.MemoryStore, &store
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
				c.Revise = func(context.Context, handover.Session, handover.Revision) error { return nil }
				c.Policy.NoMarks = false
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				prepare(r)
				rec := r.Record()
				require.NotZero(r.T, rec.Version)
				r.Crisp.Heal()
				r.Fails(nil)
				all := mutants(r.T, rec.Data)
				tried := 0
				for i := range all {
					if i%stride() != len(name)%stride() {
						continue
					}
					tried++
					tryMutant(r, &store, &log, rec, all[i])
				}
				t.Logf("%d of %d mutants, a record of %d bytes", tried, len(all), len(rec.Data))
				require.NoError(r.T, r.H.Forget(r.T.Context(), r.Conv))
				r.Conv.ID = "another user"
				r.Crisp.Availability("online")
				r.After(time.Minute)
				ann := r.Opened().Operator("Ann")
				ann.Say("good morning")
				require.Contains(r.T, r.Saw(), "agent Ann: good morning", "nobody else is harmed")
			})
		})
	}
}

// tryMutant has a mutated record worked on, and asks all that can be asked about it.
func tryMutant(r *rig.Rig, store *rig.Counted, log *rig.Log, rec handover.Record, m mutant) {
	require.NoError(r.T, r.H.Forget(r.T.Context(), r.Conv))
	store.Reset()
	log.Take()
	calls := len(r.Crisp.Calls())
	rec.Version, rec.Data, rec.Due = 0, m.data, time.Now()
	_, err := r.Store.MemoryStore.Save(r.T.Context(), rec)
	require.NoError(r.T, err)
	r.After(3 * time.Second)

	bounded := func(call func(ctx context.Context) error) {
		ctx, cancel := context.WithTimeout(r.T.Context(), 2*time.Second)
		defer cancel()
		_ = call(ctx)
	}
	turn := handover.Turn{Conversation: r.Conv, Bot: true}
	bounded(func(ctx context.Context) error {
		s, err := r.H.Session(ctx, r.Conv)
		if err != nil {
			require.Contains(r.T, log.Take(), r.Key(), "%s: it is named in the log", m.name)
			if m.name == "ahead [v]" || m.name == "huge [v]" { // nothing is damaged
				require.ErrorContains(r.T, err, "later version")
				require.NotErrorIs(r.T, err, handover.ErrRecord)
			} else {
				require.ErrorIs(r.T, err, handover.ErrRecord, m.name)
			}
		}
		turn.Epoch = s.Epoch
		return err
	})
	bounded(func(ctx context.Context) error {
		r.Sent++
		_, err := r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: fmt.Sprint("new ", r.Sent), Text: "hello"})
		return err
	})
	bounded(func(ctx context.Context) error {
		return r.H.Reply(ctx, turn, func(context.Context) error { return nil })
	})
	for _, id := range rec.CrispIDs {
		_, session, _ := strings.Cut(id, "/")
		r.Hooked(r.Hook("session:set_state", session, map[string]any{"state": "resolved"}))
		r.Hooked(r.Hook("message:updated", session, map[string]any{"fingerprint": 163240180126629, "content": "hm"}))
	}
	bounded(func(ctx context.Context) error { _, err := r.H.Start(ctx, turn, handover.Request{}); return err })
	r.After(30 * time.Second)
	bounded(func(ctx context.Context) error { return r.H.End(ctx, r.Conv, handover.EndOptions{Note: "bye"}) })
	r.After(30 * time.Second)
	require.NotContains(r.T, log.Take(), "panicked", m.name)
	require.Less(r.T, len(r.Crisp.Calls())-calls, 600, "%s: calls", m.name)
	require.Less(r.T, store.Saves.Load(), int64(150), "%s: saves", m.name)
	require.Less(r.T, store.Loads.Load(), int64(300), "%s: loads", m.name)
	// How many writers meet is the scheduler's choice. A save is in the way of one other at the most.
	require.LessOrEqual(r.T, store.Conflicts.Load(), store.Saves.Load(), "%s: conflicts", m.name)
}
