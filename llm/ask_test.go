package llm_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/llm"
)

// starter gives what Start is to give.
type starter struct {
	request handover.Request
	outcome handover.Outcome
	err     error
}

func (s *starter) Start(_ context.Context, _ handover.Turn, r handover.Request) (handover.Outcome, error) {
	s.request = r
	return s.outcome, s.err
}

var (
	arguments = []byte(`{"reason":"A refund","summary":"Paid twice","category":"billing"}`)
	errStore  = errors.New("the store is down")
)

// Each outcome has a sentence, which says whether to go on speaking.
func TestAskSaysWhatCameOfIt(t *testing.T) {
	d := llm.DefaultSentences()
	for _, tt := range []struct {
		outcome handover.Outcome
		err     error
		text    string
		goOn    bool
		want    error
	}{
		{handover.OutcomeOpened, nil, d.Asked, false, nil},
		{handover.OutcomeOpening, nil, d.Asked, false, nil},
		{handover.OutcomeOpening, context.DeadlineExceeded, d.Asked, false, nil},
		{handover.OutcomeOpening, handover.ErrShutdown, d.Asked, false, nil},
		{handover.OutcomeAlreadyOpen, nil, d.HasHuman, false, nil},
		{handover.OutcomeNobodyThere, nil, d.NobodyThere, true, nil},
		{handover.OutcomeNotAllowed, nil, d.NotAllowed, true, nil},
		{handover.OutcomeTooSoon, nil, d.TooSoon, true, nil},
		{handover.OutcomeOpenFailed, nil, d.OpenFailed, true, nil},
		{"", handover.ErrNotYourTurn, d.Lost, false, handover.ErrNotYourTurn},
		{"", errStore, d.Failed, true, errStore},
	} {
		s := &starter{outcome: tt.outcome, err: tt.err}
		tool := newTool(t, llm.Options{Categories: []string{"billing"}})
		result, err := tool.Ask(t.Context(), s, handover.Turn{}, arguments, handover.Request{Locale: "fr"})
		require.ErrorIs(t, err, tt.want, tt.outcome)
		require.Equal(t, llm.Result{Text: tt.text, GoOn: tt.goOn, Outcome: tt.outcome}, result)
		require.Equal(t, handover.Request{Locale: "fr", Segments: []string{"billing"}, Note: "The bot writes: A refund\n\nPaid twice"}, s.request)
		require.Equal(t, tt.goOn, strings.Contains(result.Text, "go on and help"))
		require.Equal(t, !tt.goOn, strings.Contains(result.Text, "say nothing more"))
	}
}

// Sentences can be replaced, one by one.
func TestAskWithOtherSentences(t *testing.T) {
	var other, want llm.Sentences
	for i := range reflect.TypeFor[llm.Sentences]().NumField() {
		reflect.ValueOf(&want).Elem().Field(i).SetString("sentence")
	}
	other = want
	tool := newTool(t, llm.Options{Sentences: other})
	for _, outcome := range []handover.Outcome{handover.OutcomeOpened, handover.OutcomeAlreadyOpen, handover.OutcomeNobodyThere, handover.OutcomeNotAllowed, handover.OutcomeTooSoon, handover.OutcomeOpenFailed} {
		result, err := tool.Ask(t.Context(), &starter{outcome: outcome}, handover.Turn{}, []byte(`{"reason":"a","summary":"b"}`), handover.Request{})
		require.NoError(t, err)
		require.Equal(t, "sentence", result.Text)
	}
	tool = newTool(t, llm.Options{Sentences: llm.Sentences{Asked: "sentence"}})
	result, err := tool.Ask(t.Context(), &starter{outcome: handover.OutcomeNobodyThere}, handover.Turn{}, []byte(`{"reason":"a","summary":"b"}`), handover.Request{})
	require.NoError(t, err)
	require.Equal(t, llm.DefaultSentences().NobodyThere, result.Text)
}

// The human is asked for whatever the arguments are. A model that goes on hears what was wrong with them.
func TestAskWithBadArguments(t *testing.T) {
	s := &starter{outcome: handover.OutcomeNobodyThere}
	tool := newTool(t, llm.Options{Categories: []string{"billing"}})
	result, err := tool.Ask(t.Context(), s, handover.Turn{}, []byte(`{"reason":7,"category":"money"`), handover.Request{})
	require.NoError(t, err)
	require.Equal(t, llm.DefaultSentences().NobodyThere+" The arguments of ask_for_human were understood in part: "+
		"reason must be a string; category must be one of those in the schema; category is missing.", result.Text)
	require.Equal(t, handover.Request{Note: "The bot writes: 7\n\ncategory: money"}, s.request)

	s.outcome = handover.OutcomeOpening
	result, err = tool.Ask(t.Context(), s, handover.Turn{}, nil, handover.Request{})
	require.NoError(t, err)
	require.Equal(t, llm.DefaultSentences().Asked, result.Text)
	require.Zero(t, s.request)
}

// answering is a bot that calls the tool within Config.Answer, so many times, and goes on if it may.
type answering struct {
	r       *rig.Rig
	tool    *llm.Tool
	calls   int
	results []llm.Result
	errs    []error
	causes  []error
}

func (b *answering) answer(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
	if m.Text != "a human" {
		b.r.Spoke("You said: " + m.Text)
		return nil, nil
	}
	var result llm.Result
	for range max(1, b.calls) {
		var err error
		result, err = b.tool.Ask(ctx, b.r.H, t, arguments, handover.Request{})
		b.results, b.errs, b.causes = append(b.results, result), append(b.errs, err), append(b.causes, context.Cause(ctx))
		if err != nil {
			return nil, err
		}
	}
	if result.GoOn {
		b.r.Spoke("Then let me help you")
	}
	return nil, nil
}

// managed runs a test with a bot that calls the tool.
func managed(t *testing.T, o handovertest.Options, test func(r *rig.Rig, b *answering)) {
	b := &answering{tool: newTool(t, llm.Options{Categories: []string{"billing"}})}
	rig.Bubble(t, rig.Options{Crisp: o, Config: func(r *rig.Rig, c *handover.Config) {
		b.r, c.Answer = r, b.answer
	}}, func(r *rig.Rig) { test(r, b) })
}

func says(r *rig.Rig, id, text string) {
	r.T.Helper()
	require.NoError(r.T, r.H.Handle(context.Background(), handover.Incoming{Conversation: r.Conv, ID: id, Text: text}))
	r.Crisp.Settle()
}

func TestAskInAnswer(t *testing.T) {
	managed(t, handovertest.Options{}, func(r *rig.Rig, b *answering) {
		says(r, "1", "a human")
		require.Equal(r.T, []string{"system: A person will be with you soon. You can already describe your question. [Back to the bot]"}, r.Saw())
		require.Equal(r.T, []llm.Result{{Text: llm.DefaultSentences().Asked, Outcome: handover.OutcomeOpening}}, b.results)
		require.Equal(r.T, []error{handover.ErrNotYourTurn}, b.causes)
		require.Equal(r.T, []string{"billing"}, r.Crisp.Last().Segments())
		require.Equal(r.T, "note: The bot writes: A refund\n\nPaid twice", rig.Kinds(r.Crisp.Last())[1])
	})
}

func TestAskInAnswerTwice(t *testing.T) {
	managed(t, handovertest.Options{}, func(r *rig.Rig, b *answering) {
		b.calls = 2 // models call tools in parallel
		says(r, "1", "a human")
		require.Equal(r.T, handover.OutcomeAlreadyOpen, b.results[1].Outcome)
		require.False(r.T, b.results[1].GoOn)
		require.Len(r.T, r.Crisp.Conversations(), 1)
		require.Len(r.T, r.Saw(), 1)
	})
}

func TestAskInAnswerWithNobodyThere(t *testing.T) {
	managed(t, handovertest.Options{Away: true}, func(r *rig.Rig, b *answering) {
		says(r, "1", "a human")
		require.Equal(r.T, []string{
			"bot: Then let me help you",
			"system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]",
		}, r.Saw())
		require.Equal(r.T, handover.OutcomeNobodyThere, b.results[0].Outcome)
		require.Equal(r.T, []error{nil}, b.causes)
	})
}

// Within the send of Reply an error lets the message be answered again, until somebody was asked.
func TestAskInSend(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		tool := newTool(r.T, llm.Options{Categories: []string{"billing"}})
		turn, err := r.Receive(handover.Incoming{Text: "a human"})
		require.NoError(r.T, err)
		var results []llm.Result
		send := func(ctx context.Context) error {
			result, err := tool.Ask(ctx, r.H, turn, arguments, handover.Request{})
			results = append(results, result)
			return err
		}
		failing := func(ctx context.Context) error {
			defer r.Store.Fails(false)
			r.Store.Fails(true)
			return send(ctx)
		}
		require.Error(r.T, r.H.Reply(r.T.Context(), turn, failing))
		require.Empty(r.T, r.Saw())
		require.NoError(r.T, r.H.Reply(r.T.Context(), turn, send))
		require.Equal(r.T, []llm.Result{
			{Text: llm.DefaultSentences().Failed, GoOn: true},
			{Text: llm.DefaultSentences().Asked, Outcome: handover.OutcomeOpening},
		}, results)
		require.Len(r.T, r.Saw(), 1)
		require.Equal(r.T, handover.StateWaiting, r.Session().State)
	})
}

// A model that asks after an agent took over hears that it has lost the conversation.
func TestAskAfterTheConversationWasLost(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		tool := newTool(r.T, llm.Options{})
		turn, err := r.Receive(handover.Incoming{Text: "a human"})
		require.NoError(r.T, err)
		require.NoError(r.T, r.H.Mute(r.T.Context(), turn))
		require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
		result, err := tool.Ask(r.T.Context(), r.H, turn, nil, handover.Request{})
		require.ErrorIs(r.T, err, handover.ErrNotYourTurn)
		require.Equal(r.T, llm.Result{Text: llm.DefaultSentences().Lost}, result)
	})
}
