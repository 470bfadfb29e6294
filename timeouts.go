package handover

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/times"
)

// Timeouts are the deadlines of a handover. Zero takes the default, -1 switches the deadline off
// where the table says so. All others are from one second to ten years: New and Start refuse the
// rest, so that Timeouts{Claim: 10}, which is ten nanoseconds, is no surprise. They are stored with
// the handover and run out once, however many replicas there are.
type Timeouts struct {
	Open   time.Duration `json:"open,omitzero"`   // opening a Crisp conversation, once Limits.CreatesPerMinute lets it begin; default 30 s
	Reply  time.Duration `json:"reply,omitzero"`  // one send of Reply, and how long an Answer may go on after the end of its ctx; default 2 min
	Answer time.Duration `json:"answer,omitzero"` // one call of Config.Answer; default 5 min
	// Callback is how long one call of Deliver, Revise, OnEnd or Presence may take, such as with an
	// upload in it; default 10 s, at most 10 min.
	Callback time.Duration `json:"callback,omitzero"`
	// Deliver is for how long a message is tried to be shown, before it is given up and the agents are told;
	// default 6 h.
	Deliver time.Duration `json:"deliver,omitzero"`
	// Unanswered is for how long Config.Answer is called again for one message before a human is asked
	// for; default 15 min. A process without Config.Answer asks for one once nobody has tried for as long: set it
	// alike in all processes.
	Unanswered time.Duration `json:"unanswered,omitzero"`
	Relay      time.Duration `json:"relay,omitzero"`     // passing a message on, before the handover is given up; default 2 min
	Claim      time.Duration `json:"claim,omitzero"`     // an agent's first message; default 10 min; -1: no deadline
	Remind     time.Duration `json:"remind,omitzero"`    // "still waiting", each time; default 3 min; -1: never
	Idle       time.Duration `json:"idle,omitzero"`      // silence while active, since the agent's last word or the user's first after it, until the user is asked; half of it more ends it; default 2 h; -1: no deadline
	Max        time.Duration `json:"max,omitzero"`       // a mute or a handover in all; default 24 h
	FollowUp   time.Duration `json:"follow_up,omitzero"` // an offer's or follow-up's life; default 7 days
	Reopen     time.Duration `json:"reopen,omitzero"`    // after an end, the same Crisp conversation is used again; default 1 h; -1: never
	CoolDown   time.Duration `json:"cool_down,omitzero"` // after a claim timeout, Start answers OutcomeTooSoon; default -1: none
	Late       time.Duration `json:"late,omitzero"`      // after an end, agents' messages are still awaited; default 7 days
}

// timeout is one row of the table of defaults.
type timeout struct {
	name     string
	value    *time.Duration
	standard time.Duration
	optional bool // -1 switches it off
}

// fields is that table.
func (t *Timeouts) fields() [15]timeout {
	return [...]timeout{
		{"Open", &t.Open, 30 * time.Second, false},
		{"Reply", &t.Reply, 2 * time.Minute, false},
		{"Answer", &t.Answer, 5 * time.Minute, false},
		{"Unanswered", &t.Unanswered, 15 * time.Minute, false},
		{"Callback", &t.Callback, 10 * time.Second, false},
		{"Deliver", &t.Deliver, 6 * time.Hour, false},
		{"Relay", &t.Relay, 2 * time.Minute, false},
		{"Claim", &t.Claim, 10 * time.Minute, true},
		{"Remind", &t.Remind, 3 * time.Minute, true},
		{"Idle", &t.Idle, 2 * time.Hour, true},
		{"Max", &t.Max, 24 * time.Hour, false},
		{"FollowUp", &t.FollowUp, 7 * 24 * time.Hour, false},
		{"Reopen", &t.Reopen, time.Hour, true},
		{"CoolDown", &t.CoolDown, -1, true},
		{"Late", &t.Late, 7 * 24 * time.Hour, false},
	}
}

// prepare fills in the defaults, or names the fields that make no sense.
func (t *Timeouts) prepare() error {
	var faults []error
	for _, f := range t.fields() {
		switch {
		case *f.value == 0:
			*f.value = f.standard
		case *f.value == -1 && f.optional:
		case *f.value < 0 && f.optional:
			faults = append(faults, fmt.Errorf("field Timeouts.%s is %v: for no deadline write exactly -1", f.name, *f.value))
		case *f.value < 0:
			faults = append(faults, fmt.Errorf("field Timeouts.%s must be positive: without it a user could stay muted", f.name))
		default:
			if fault := times.SpanFault(*f.value); fault != "" {
				faults = append(faults, fmt.Errorf("field Timeouts.%s %s", f.name, fault))
			}
		}
	}
	if t.Callback > maxCallback {
		faults = append(faults, fmt.Errorf("field Timeouts.Callback is %v, more than %v: a call of Deliver must not take longer", t.Callback, maxCallback))
	}
	return errors.Join(faults...)
}

// maxCallback is the most that Timeouts.Callback may be: so long nothing else is shown in the conversation.
const maxCallback = 10 * time.Minute

// override returns t with the fields that are set in o.
func (t Timeouts) override(o Timeouts) Timeouts {
	from := o.fields()
	for i, f := range t.fields() {
		if *from[i].value != 0 {
			*f.value = *from[i].value
		}
	}
	return t
}

// keptTimeouts are the Timeouts of a record, which has them for each handover: a text such as "Claim=5m0s Idle=-1ns", of
// those that are not as in the table. Who changes a default there raises recordVersion: what was left out must not change.
type keptTimeouts struct{ Timeouts }

// standardTimeouts are the defaults.
var standardTimeouts = func() (t Timeouts) {
	for _, f := range t.fields() {
		*f.value = f.standard
	}
	return t
}()

// IsZero reports whether nothing is to be written.
func (t *keptTimeouts) IsZero() bool { return t.Timeouts == standardTimeouts }

// complete puts in the defaults, in place of what was not written or cannot be read.
func (t *keptTimeouts) complete() {
	for _, f := range t.fields() {
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
}

// MarshalJSONTo implements json.MarshalerTo.
func (t keptTimeouts) MarshalJSONTo(enc *jsontext.Encoder) error {
	var list []string
	for _, f := range t.fields() {
		if *f.value != f.standard {
			list = append(list, f.name+"="+f.value.String())
		}
	}
	return enc.WriteToken(jsontext.String(strings.Join(list, " ")))
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. What is no span, or has another name, is left out: a record is mended
// when it is read.
func (t *keptTimeouts) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != jsontext.KindString {
		return errors.New("timeouts must be a list in a string")
	}
	fields := t.fields()
	for _, set := range strings.Fields(token.String()) {
		name, span, _ := strings.Cut(set, "=")
		i := slices.IndexFunc(fields[:], func(f timeout) bool { return f.name == name })
		if d, err := time.ParseDuration(span); err == nil && i >= 0 {
			*fields[i].value = d
		}
	}
	return nil
}
