package handover_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// said says how each sentence of Texts comes to be said.
var said = map[string]func(r *rig){
	"Opening":      func(r *rig) { r.opened() },
	"Waiting":      func(r *rig) { r.opened() },
	"Leave":        func(r *rig) { r.opened() },
	"StillWaiting": func(r *rig) { r.opened(); r.after(4 * time.Minute) },
	"NobodyCame":   nobodyCame, "NoteNobodyCame": nobodyCame,
	"Joined":      func(r *rig) { r.opened().Operator("Ann").Say("hello") },
	"Transferred": func(r *rig) { c := r.opened(); c.Operator("Ann").Say("hello"); c.Operator("Bob").Say("hi") },
	"StillThere":  func(r *rig) { r.opened().Operator("Ann").Say("hello"); r.after(2*time.Hour + time.Minute) },
	"Idle":        func(r *rig) { r.opened().Operator("Ann").Say("hello"); r.after(3*time.Hour + time.Minute) },
	"Resolved":    func(r *rig) { r.opened().Operator("Ann").Resolve() },
	"Left":        leaves, "NoteLeft": leaves,
	"Closed": func(r *rig) { r.opened().Remove(); r.after(time.Minute) },
	"Queued": func(r *rig) {
		for i := range 25 { // as many as may be made in a minute
			r.conv.ID = fmt.Sprint("another user ", i)
			r.asks(handover.Request{Locale: "fr"})
		}
		r.conv.ID = "user-1"
		r.opened()
	},
	"OpenFailed": func(r *rig) {
		r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteCreate, Status: 403, Reason: "not_allowed"})
		r.asks(handover.Request{Locale: "fr"})
	},
	"RelayFailed": func(r *rig) {
		r.opened()
		sends(r)
		_, _ = r.receiveFor(time.Minute, handover.Incoming{ID: "x", Text: "x"})
		r.after(5 * time.Minute)
	},
	"NotSent": func(r *rig) {
		r.opened()
		r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: 400, Reason: "invalid_data"})
		_, err := r.receive(handover.Incoming{Text: "odd"})
		require.ErrorIs(r.t, err, handover.ErrRefused)
	},
	"NoteOtherFile": func(r *rig) {
		r.opened()
		r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: 400, Reason: "invalid_data"})
		_, err := r.receive(handover.Incoming{Files: []handover.File{{URL: "https://example.com/x.bin"}}})
		require.ErrorIs(r.t, err, handover.ErrRefused)
	},
	"NoteNotShown": func(r *rig) { r.opened().Operator("Ann").Send("hologram", map[string]any{"x": 1}) },
	"TooSoon": func(r *rig) {
		nobodyCame(r)
		require.Equal(r.t, handover.TooSoon, r.asks(handover.Request{Locale: "fr"}))
	},
	"NotAllowed": func(r *rig) {
		r.conv.Source = "fax"
		require.Equal(r.t, handover.NotAllowed, r.asks(handover.Request{Locale: "fr"}))
	},
	"AskEmail":       func(r *rig) { byEmail(r) },
	"BadEmail":       func(r *rig) { byEmail(r, "at home") },
	"ByEmail":        func(r *rig) { byEmail(r, "anakin@example.com") },
	"OpeningByEmail": func(r *rig) { byEmail(r, "anakin@example.com") },
	"WithBot":        func(r *rig) { byEmail(r, bot) },
	"NoteAway": func(r *rig) {
		ann := r.opened().Operator("Ann")
		r.fails(func(handover.Message) error { return handover.ErrUserAway })
		ann.Say("hello")
		r.crisp.Settle()
		ann.Resolve()
		r.after(8 * 24 * time.Hour)
	},
	"NoteNotReached": func(r *rig) {
		r.fails(func(m handover.Message) error {
			if m.From == handover.FromAgent {
				return errChannelDown
			}
			return nil
		})
		r.opened().Operator("Ann").Say("hello")
		r.after(7 * time.Hour)
	},
	"NoteUnanswered": func(r *rig) {
		leaves(r)
		r.handles("hello?")
		r.after(16 * time.Minute)
	},
}

func nobodyCame(r *rig) { r.opened(); r.after(11 * time.Minute) }

func leaves(r *rig) {
	r.opened()
	_, err := r.receive(handover.Incoming{Payload: "handover:leave"})
	require.NoError(r.t, err)
}

// byEmail has nobody there, and the user choose email, and then say the rest.
func byEmail(r *rig, answers ...string) {
	r.crisp.Away()
	r.after(time.Minute)
	require.Equal(r.t, handover.NobodyThere, r.asks(handover.Request{Locale: "fr"}))
	for _, text := range append([]string{email}, answers...) {
		require.False(r.t, r.says(text).Bot)
		r.crisp.Settle()
	}
}

// marked are texts that say their own names, in a language.
func marked(locale string) (t handover.Texts) {
	v := reflect.ValueOf(&t).Elem()
	for i := range v.NumField() {
		v.Field(i).SetString("<" + locale + " " + v.Type().Field(i).Name + ">")
	}
	return t
}

// said is all that the user and the agents were told.
func (r *rig) everything() string {
	r.crisp.Settle()
	all := r.rawLines()
	for _, conv := range r.crisp.Conversations() {
		for _, m := range conv.Messages() {
			all = append(all, m.Text())
		}
	}
	return strings.Join(all, "\n")
}

// TestEveryTextCanBeReplacedAndSilenced says each sentence in the language of the request, and then
// leaves it out: nothing empty is shown or posted, and all goes on.
func TestEveryTextCanBeReplacedAndSilenced(t *testing.T) {
	fields := reflect.TypeFor[handover.Texts]()
	require.Len(t, said, fields.NumField())
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		require.NotEmpty(t, reflect.ValueOf(handover.DefaultTexts()).Field(i).String(), name)
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " silent ", silent), func(t *testing.T) {
				o := options{config: func(_ *rig, c *handover.Config) {
					c.Sources = []string{"webchat"}
					c.Timeouts.CoolDown = time.Hour
					c.Answer = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
						return nil, errors.New("no model")
					}
					c.Texts = func(s handover.Session) handover.Texts {
						texts := marked(s.Locale)
						if silent {
							reflect.ValueOf(&texts).Elem().FieldByName(name).SetString("")
						}
						return texts
					}
				}}
				bubble(t, o, func(r *rig) {
					r.locale = "fr"
					said[name](r)
					all := r.everything()
					require.Equal(t, !silent, strings.Contains(all, "<fr "+name+">"), all)
					for _, m := range r.shown {
						require.NotEmpty(t, strings.TrimSpace(m.Content.PlainText()))
					}
					require.NotContains(t, all, "{")
				})
			})
		}
	}
}
