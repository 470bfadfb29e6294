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
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// said says how each sentence of Texts comes to be said.
var said = map[string]func(r *rig.Rig){
	"Opening":      func(r *rig.Rig) { r.Opened() },
	"Waiting":      func(r *rig.Rig) { r.Opened() },
	"Leave":        func(r *rig.Rig) { r.Opened() },
	"StillWaiting": func(r *rig.Rig) { r.Opened(); r.After(4 * time.Minute) },
	"NobodyCame":   nobodyCame, "NoteNobodyCame": nobodyCame,
	"Agent":       func(r *rig.Rig) { r.Opened().Operator("Ann").Without("user").Say("hello") },
	"Joined":      func(r *rig.Rig) { r.Opened().Operator("Ann").Say("hello") },
	"Transferred": func(r *rig.Rig) { c := r.Opened(); c.Operator("Ann").Say("hello"); c.Operator("Bob").Say("hi") },
	"StillThere":  func(r *rig.Rig) { r.Opened().Operator("Ann").Say("hello"); r.After(2*time.Hour + time.Minute) },
	"Idle":        func(r *rig.Rig) { r.Opened().Operator("Ann").Say("hello"); r.After(3*time.Hour + time.Minute) },
	"Resolved":    func(r *rig.Rig) { r.Opened().Operator("Ann").Resolve() },
	"Left":        leaves, "NoteLeft": leaves,
	"Closed": func(r *rig.Rig) { r.Opened().Remove(); r.After(time.Minute) },
	"Queued": func(r *rig.Rig) {
		for i := range 25 { // as many as may be made in a minute
			r.Conv.ID = fmt.Sprint("another user ", i)
			r.Asks(handover.Request{Locale: "fr"})
		}
		r.Conv.ID = "user-1"
		r.Opened()
	},
	"OpenFailed": func(r *rig.Rig) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteCreate, Status: 403, Reason: "not_allowed"})
		r.Asks(handover.Request{Locale: "fr"})
	},
	"RelayFailed": func(r *rig.Rig) {
		r.Opened()
		sends(r)
		_, _ = receiveFor(r, time.Minute, handover.Incoming{ID: "x", Text: "x"})
		r.After(5 * time.Minute)
	},
	"NotSent": func(r *rig.Rig) {
		r.Opened()
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: 400, Reason: "invalid_data"})
		_, err := r.Receive(handover.Incoming{Text: "odd"})
		require.ErrorIs(r.T, err, handover.ErrRefused)
	},
	"NoteOtherFile": func(r *rig.Rig) {
		r.Opened()
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: 400, Reason: "invalid_data"})
		_, err := r.Receive(handover.Incoming{Files: []handover.File{{URL: "https://example.com/x.bin"}}})
		require.ErrorIs(r.T, err, handover.ErrRefused)
	},
	"Edited":       func(r *rig.Rig) { r.Opened(); edited(r, "of long ago", "my parcel") },
	"NoteNotShown": func(r *rig.Rig) { r.Opened().Operator("Ann").Send("hologram", map[string]any{"x": 1}) },
	"TooSoon": func(r *rig.Rig) {
		nobodyCame(r)
		require.Equal(r.T, handover.OutcomeTooSoon, r.Asks(handover.Request{Locale: "fr"}))
	},
	"NotAllowed": func(r *rig.Rig) {
		r.Conv.Source = "fax"
		require.Equal(r.T, handover.OutcomeNotAllowed, r.Asks(handover.Request{Locale: "fr"}))
	},
	"AskEmail":       func(r *rig.Rig) { byEmail(r) },
	"BadEmail":       func(r *rig.Rig) { byEmail(r, "at home") },
	"ByEmail":        func(r *rig.Rig) { byEmail(r, "anakin@example.com") },
	"OpeningByEmail": func(r *rig.Rig) { byEmail(r, "anakin@example.com") },
	"WithBot":        func(r *rig.Rig) { byEmail(r, bot) },
	"NoteAway": func(r *rig.Rig) {
		ann := r.Opened().Operator("Ann")
		r.Fails(func(handover.Message) error { return handover.ErrUserAway })
		ann.Say("hello")
		r.Crisp.Settle()
		ann.Resolve()
		r.After(13 * time.Hour)
	},
	"NoteNotReached": func(r *rig.Rig) {
		r.Fails(func(m handover.Message) error {
			if m.From == handover.FromAgent {
				return rig.ErrChannelDown
			}
			return nil
		})
		r.Opened().Operator("Ann").Say("hello")
		r.After(7 * time.Hour)
	},
	"NoteUnanswered": func(r *rig.Rig) {
		leaves(r)
		r.Handles("hello?")
		r.After(16 * time.Minute)
	},
}

func nobodyCame(r *rig.Rig) { r.Opened(); r.After(11 * time.Minute) }

func leaves(r *rig.Rig) {
	r.Opened()
	_, err := r.Receive(handover.Incoming{Payload: "handover:leave"})
	require.NoError(r.T, err)
}

// byEmail has nobody there, and the user choose email, and then say the rest.
func byEmail(r *rig.Rig, answers ...string) {
	r.Crisp.Away()
	r.After(time.Minute)
	require.Equal(r.T, handover.OutcomeNobodyThere, r.Asks(handover.Request{Locale: "fr"}))
	for _, text := range append([]string{email}, answers...) {
		require.False(r.T, r.Says(text).Bot)
		r.Crisp.Settle()
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
func everything(r *rig.Rig) string {
	r.Crisp.Settle()
	all := r.Lines()
	for _, conv := range r.Crisp.Conversations() {
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
				o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
					c.Sources = []string{"webchat"}
					c.Timeouts.CoolDown, c.Timeouts.Late = time.Hour, 12*time.Hour
					c.Answer = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
						return nil, errors.New("no model")
					}
					c.Texts = func(s handover.Session) handover.Texts {
						texts := marked(s.Locale)
						texts.Joined += "{agent}"
						if silent {
							reflect.ValueOf(&texts).Elem().FieldByName(name).SetString("")
						}
						return texts
					}
				}}
				rig.Bubble(t, o, func(r *rig.Rig) {
					r.Locale = "fr"
					said[name](r)
					all := everything(r)
					require.Equal(t, !silent, strings.Contains(all, "<fr "+name+">"), all)
					for _, m := range r.Shown() {
						require.NotEmpty(t, strings.TrimSpace(m.Content.PlainText()))
					}
					require.NotContains(t, all, "{")
				})
			})
		}
	}
}
