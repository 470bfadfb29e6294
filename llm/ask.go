package llm

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/crisphandover/handover"
)

// Starter asks for a human. A *[handover.Handover] is one.
type Starter interface {
	Start(ctx context.Context, t handover.Turn, r handover.Request) (handover.Outcome, error)
}

// Result is what a call of the tool came to.
type Result struct {
	// Text tells the model what came of it, and whether to go on speaking. Store it as the tool's result: APIs refuse
	// a history in which a call has none.
	Text string
	// GoOn is true if the bot still has the conversation: call the model once more, with Text. Else return without
	// another word: ctx has ended, and what comes next is between the user and the agents.
	GoOn bool
	// Outcome is that of Start; empty if it failed.
	Outcome handover.Outcome
}

// Ask carries out a call of the tool: it reads the model's arguments, and asks for a human with them and base, which
// may hold what the host knows of the user. Call it on the context of [handover.Config.Answer], or of the send of
// [handover.Handover.Reply], with their turn. There it waits for the store and for Crisp's answer who is there;
// elsewhere also until the conversation in Crisp is open, as [handover.Handover.Start] does.
//
// After an error nobody was asked: return it, so that the message is answered again. It is
// [handover.ErrNotYourTurn] if the bot has lost the conversation. The result has a text for the model all the same,
// for hosts that would rather go on.
//
// Without an error the message counts as answered: what fails afterwards is not repeated. When nobody is there, the
// library has told the user so.
func (t *Tool) Ask(ctx context.Context, s Starter, turn handover.Turn, arguments []byte, base handover.Request) (Result, error) {
	a := t.Parse(arguments)
	outcome, err := s.Start(ctx, turn, t.Request(a, base))
	if outcome != "" {
		err = nil // the opening goes on, whoever has ceased to wait for it
	}
	result := t.result(outcome, err)
	if result.GoOn && len(a.Faults) > 0 {
		result.Text += " The arguments of " + t.Name + " were understood in part: " + strings.Join(a.Faults, "; ") + "."
	}
	return result, err
}

// result says what an outcome, or an error without one, means for the model.
func (t *Tool) result(outcome handover.Outcome, err error) Result {
	s := &t.options.Sentences
	r := Result{Outcome: outcome, GoOn: true}
	switch outcome {
	case handover.OutcomeOpened, handover.OutcomeOpening:
		r.Text, r.GoOn = s.Asked, false
	case handover.OutcomeAlreadyOpen:
		r.Text, r.GoOn = s.HasHuman, false
	case handover.OutcomeNobodyThere:
		r.Text = s.NobodyThere
	case handover.OutcomeNotAllowed:
		r.Text = s.NotAllowed
	case handover.OutcomeTooSoon:
		r.Text = s.TooSoon
	case handover.OutcomeOpenFailed:
		r.Text = s.OpenFailed
	default:
		r.Text = s.Failed
	}
	if errors.Is(err, handover.ErrNotYourTurn) {
		r.Text, r.GoOn = s.Lost, false
	}
	return r
}

// Sentences are what the model is told as the tool's result. Each must say whether to go on speaking. An empty one is
// that of DefaultSentences.
type Sentences struct {
	// The bot says no more.
	Asked    string // a human was asked for; the user is told
	HasHuman string // a human has the conversation, or was asked for before
	Lost     string // the bot has lost the conversation
	// The bot goes on.
	NobodyThere string // nobody is there; the user is told, after the bot's answer
	NotAllowed  string // no handover on this channel; the user is told
	TooSoon     string // nobody came a short while ago; the user is told
	OpenFailed  string // Crisp could not be reached; the user is told
	Failed      string // it could not be asked; the user is not told
}

// DefaultSentences are those that a tool uses without Options.Sentences.
func DefaultSentences() Sentences {
	const (
		stop = " You no longer have the conversation: say nothing more."
		goOn = " You still have the conversation: go on and help the user yourself as well as you can. " +
			"Do not promise that a person will come, and do not call this tool again unless the user asks for a person in a later message."
	)
	return Sentences{
		Asked:       "A human agent was asked for. The user is told so by the system." + stop,
		HasHuman:    "A human agent was asked for already, and gets the user's message." + stop,
		Lost:        "A human agent may have taken over." + stop,
		NobodyThere: "No human agent is available now, so nobody was asked. The system tells the user so after your answer." + goOn,
		NotAllowed:  "Human agents do not answer on this channel, so nobody was asked. The system tells the user so after your answer." + goOn,
		TooSoon:     "Human agents were asked for a short while ago and nobody came, so nobody was asked again. The system tells the user so after your answer." + goOn,
		OpenFailed:  "The human agents could not be reached. The system tells the user so." + goOn,
		Failed:      "Because of a technical fault nobody was asked, and the user does not know it: tell them that you could not reach a person just now." + goOn,
	}
}

func (s Sentences) orDefault() Sentences {
	d := DefaultSentences()
	return Sentences{
		Asked: cmp.Or(s.Asked, d.Asked), HasHuman: cmp.Or(s.HasHuman, d.HasHuman), Lost: cmp.Or(s.Lost, d.Lost),
		NobodyThere: cmp.Or(s.NobodyThere, d.NobodyThere), NotAllowed: cmp.Or(s.NotAllowed, d.NotAllowed),
		TooSoon: cmp.Or(s.TooSoon, d.TooSoon), OpenFailed: cmp.Or(s.OpenFailed, d.OpenFailed), Failed: cmp.Or(s.Failed, d.Failed),
	}
}
