package handover_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

const inbox = "bf690000-0000-4000-8000-000000000001"

// steps are the calls that changed something in Crisp, in order, as long as they were answered 2xx.
func steps(r *rig.Rig) (routes []string) {
	for _, c := range r.Crisp.Calls() {
		if c.Method != "GET" && c.Status/100 == 2 {
			routes = append(routes, c.Route)
		}
	}
	return routes
}

func TestOpeningStepByStep(t *testing.T) {
	rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Operators: []string{"Ann"}}}, func(r *rig.Rig) {
		ann := r.Opened().Operator("Ann").ID()
		before := len(steps(r))
		r.Conv.ID = "user-2"
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{
			Segments: []string{"Customer", "vip", "Customer", ""},
			Inbox:    inbox, Operator: ann, Locale: "fr", Note: "asked three times",
			User: handover.UserData{FirstName: "Anakin", LastName: "Skywalker", Email: "anakin@example.com", Phone: "06 05 77 69 95", Data: map[string]any{"plan": "pro", "seats": 3.0}},
		}))
		require.Equal(t, []string{
			handovertest.RouteCreate, handovertest.RoutePatchMeta, handovertest.RoutePatchInbox, handovertest.RoutePatchRouting,
			handovertest.RouteSend, handovertest.RouteSend,
		}, steps(r)[before:])
		conv := r.Crisp.Last()
		require.Equal(t, inbox, conv.Inbox())
		require.Equal(t, "Ann", conv.Assigned())
		require.Equal(t, []string{"Customer", "vip"}, conv.Segments())
		meta := conv.Meta()
		require.Equal(t, "Anakin Skywalker", meta.Nickname)
		require.Equal(t, "anakin@example.com", meta.Email)
		require.Equal(t, "0605776995", meta.Phone)
		require.Equal(t, map[string]any{"plan": "pro", "seats": 3.0}, meta.Data)
		require.JSONEq(t, `{"locales":["fr"]}`, string(meta.Device))
		require.Equal(t, []string{"user: Hi, this user need your help.", "note: asked three times"}, rig.Kinds(conv))
		require.Equal(t, handover.StateWaiting, r.Session().State, "being assigned is no human sign")
	})
}

func TestOpeningWithTheConnectorsUserData(t *testing.T) {
	var user handover.UserData
	require.NoError(t, json.Unmarshal([]byte(`{
		"first_name":"Anakin", "last_name":"Skywalker", "email":"[email protected]", "phone_number":"0605776995",
		"gtu_accepted":"false", "comments":"in this guy, the force is strong"}`), &user))
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: user}))
		meta := r.Crisp.Last().Meta()
		require.Equal(t, "Anakin Skywalker", meta.Nickname)
		require.Equal(t, "0605776995", meta.Phone)
		require.Empty(t, meta.Email)
		require.Equal(t, map[string]any{
			"email": "[email protected]", "gtu_accepted": "false", "comments": "in this guy, the force is strong",
		}, meta.Data, "an address that is none goes among the data; the text false stays a text")
		require.Empty(t, r.Crisp.FaultCounts())
	})
}

func TestOpeningWithAThousandKeys(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		data := map[string]any{}
		for i := range 1000 {
			data[fmt.Sprintf("Key %d!", i)] = strings.Repeat("v", 100)
		}
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: handover.UserData{Data: data}}))
		require.Len(t, r.Crisp.Last().Meta().Data, 1000)
	})
}

// refusing lets Crisp refuse the metas whole, and then the ones with these numbers.
func refusing(r *rig.Rig, numbers ...int) {
	r.Crisp.SetFaults(func(c handovertest.CallInfo) handovertest.Fault {
		if c.Route == handovertest.RoutePatchMeta && slices.Contains(numbers, c.Ordinal) {
			return handovertest.Fault{Status: 400, Reason: "invalid_data"}
		}
		return handovertest.Fault{}
	})
}

func TestMetasRefusedFieldByField(t *testing.T) {
	user := handover.UserData{
		FirstName: "Ann", Email: "a@example.com", Phone: "0605776995", Avatar: "https://example.com/a.png",
		Data: map[string]any{"plan": "pro"},
	}
	// The whole is refused first (0); then come nickname, email, phone, avatar, segments, locale and data.
	for refused, lost := range map[int]string{1: "nickname", 2: "email", 3: "phone", 4: "avatar", 5: "segments", 6: "locale", 7: "data"} {
		t.Run(lost, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				refusing(r, 0, refused)
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: user, Segments: []string{"vip"}, Locale: "fr"}))
				m := r.Crisp.Last().Meta()
				got := map[string]string{"nickname": m.Nickname, "email": m.Email, "phone": m.Phone, "avatar": m.Avatar, "segments": strings.Join(m.Segments, ","), "locale": string(m.Device)}
				want := map[string]string{"nickname": "Ann", "email": "a@example.com", "phone": "0605776995", "avatar": "https://example.com/a.png", "segments": "vip", "locale": `{"locales":["fr"]}`}
				data := map[string]any{"plan": "pro"}
				switch lost {
				case "nickname", "email", "phone", "avatar":
					data[lost] = want[lost]
				case "data":
					data = nil
				}
				if lost != "data" {
					want[lost] = ""
				}
				require.Equal(t, want, got)
				require.Equal(t, data, m.Data, "what has no field is shown among the data")
				require.Equal(t, 1, r.Count(handover.ActivityLimited), "and the host is told")
			})
		})
	}
}

func TestMetasThatCrispRefusesAltogether(t *testing.T) {
	for name, f := range map[string]handovertest.Fault{
		"400": {Status: 400, Reason: "invalid_data"}, "402": {Status: 402, Reason: "subscription_upgrade_required"},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				f.Route = handovertest.RoutePatchMeta
				r.Crisp.Fail(100, f)
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: handover.UserData{FirstName: "Ann"}, Segments: []string{"x"}}))
				require.Len(t, rig.UserTexts(r.Crisp.Last()), 1)
			})
		})
	}
}

func TestRequestsThatCannotBe(t *testing.T) {
	for name, req := range map[string]handover.Request{
		"a session that is none":    {CrispID: "session_../../x"},
		"a path as a session":       {CrispID: "../other"},
		"an inbox by its name":      {Inbox: "Sales"},
		"an operator by their name": {Operator: "Ann Smith"},
		"an operator with a path":   {Operator: "a/../b"},
		"an operator in capitals":   {Operator: "3F608878-C579-4BD5-B62A-E84DFFE3F31C"},
		"a deadline that is none":   {Timeouts: handover.Timeouts{Max: -time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				turn, err := r.Receive(handover.Incoming{Text: "help"})
				require.NoError(t, err)
				outcome, err := r.H.Start(r.T.Context(), turn, req)
				require.ErrorContains(t, err, "handover: ")
				require.Empty(t, outcome)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.NoError(t, r.Reply(turn, "the turn still holds"))
				require.Zero(t, r.Crisp.CountCalls("POST"))
			})
		})
	}
}

func TestReopeningKeepsDataAndSegments(t *testing.T) {
	for name, replaced := range map[string]bool{"Crisp merges": false, "Crisp replaces": true} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Crisp: handovertest.Options{DataReplaced: replaced}}, func(r *rig.Rig) {
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{
					Segments: []string{"first"}, User: handover.UserData{Data: map[string]any{"plan": "free", "visits": 1.0}},
				}))
				conv := r.Crisp.Last()
				conv.Operator("Ann").Resolve()
				r.Crisp.Settle()
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{
					Segments: []string{"second", "first"}, User: handover.UserData{Data: map[string]any{"plan": "pro", "seats": 2.0}},
				}))
				require.Len(t, r.Crisp.Conversations(), 1)
				require.Equal(t, []string{"first", "second"}, conv.Segments())
				require.Equal(t, map[string]any{"plan": "pro", "visits": 1.0, "seats": 2.0}, conv.Meta().Data)
				require.Len(t, rig.UserTexts(conv), 2, "two opening messages, and none twice")
			})
		})
	}
}

func TestEmailPolicies(t *testing.T) {
	user := handover.UserData{Email: "a@example.com", Data: map[string]any{"plan": "pro"}}
	for name, tt := range map[string]struct {
		policy      handover.EmailPolicy
		first, away string
		data        any
	}{
		"always":    {handover.EmailAlways, "a@example.com", "a@example.com", nil},
		"when away": {handover.EmailWhenAway, "", "a@example.com", nil},
		"never":     {handover.EmailNever, "", "", "a@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.Email = tt.policy }}, func(r *rig.Rig) {
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{User: user}))
				conv := r.Crisp.Last()
				require.Equal(t, tt.first, conv.Meta().Email)
				require.Equal(t, tt.data, conv.Meta().Data["email"])
				require.Equal(t, "pro", conv.Meta().Data["plan"])
				r.Fails(func(handover.Message) error { return handover.ErrUserAway })
				conv.Operator("Ann").Say("are you there?")
				r.After(time.Minute)
				require.Equal(t, tt.away, conv.Meta().Email)
			})
		})
	}
}

func TestHistoryLinkInTheOpeningMessage(t *testing.T) {
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		c.History = handover.History{URL: "https://bot.example.com/history", SigningKey: handover.NewSecret(strings.Repeat("k", 32)), TTL: time.Hour}
		c.Transcript = func(_ context.Context, conv handover.Conversation) ([]handover.Message, error) {
			require.Equal(r.T, r.Conv, conv)
			return []handover.Message{{From: handover.FromUser, Content: handover.RichMessage{Text: "where is my <b>order</b>?"}}}, nil
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		text := rig.UserTexts(conv)[0]
		link, ok := strings.CutPrefix(text, "Hi, this user need your help.\nYou can find the conversation history here: ")
		require.True(t, ok, "the connector's two lines: %q", text)
		require.Equal(t, []string{link}, rig.Notes(conv), "the user can imitate the message, not the note")
		page := func(link string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			r.H.HistoryHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, link, nil))
			return w
		}
		for range 3 {
			w := page(link)
			require.Equal(t, http.StatusOK, w.Code)
			require.Contains(t, w.Body.String(), "where is my &lt;b&gt;order&lt;/b&gt;?")
		}
		same, err := r.H.HistoryLink(r.Conv)
		require.NoError(t, err)
		require.Equal(t, link, same)

		wrong := page(link[:len(link)-1] + string(link[len(link)-1]^1))
		require.NotContains(t, wrong.Body.String(), "where is my")
		time.Sleep(time.Hour)
		expired := page(link)
		require.NotContains(t, expired.Body.String(), "where is my")
		require.GreaterOrEqual(t, expired.Code, 400)
	})
}

func TestHistoryLinkOfTheHostsOwn(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{HistoryURL: "https://crm.example.com/42"}))
		require.Equal(t, []string{"Hi, this user need your help.\nYou can find the conversation history here: https://crm.example.com/42"}, rig.UserTexts(r.Crisp.Last()))
		link, err := r.H.HistoryLink(r.Conv)
		require.NoError(t, err)
		require.Empty(t, link, "there is no page of ours")
		_, err = r.H.HistoryLink(handover.Conversation{})
		require.ErrorIs(t, err, handover.ErrBadMessage)
	})
}

func TestOpeningMessageThatIsSilencedStillExists(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Texts = func(handover.Session) handover.Texts { return handover.Texts{Opening: "{link}"} }
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		require.Len(t, rig.UserTexts(r.Opened()), 1, "Crisp's lists hide a conversation without a message")
	})
}

func TestCreationIsPaced(t *testing.T) {
	for name, tt := range map[string]struct {
		limit, asked, first int
	}{
		"25 a minute by default": {0, 60, 25},
		"as configured":          {3, 5, 3},
		"not at all":             {-1, 60, 60},
	} {
		t.Run(name, func(t *testing.T) {
			o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
				c.Limits.CreatesPerMinute = tt.limit
				c.Timeouts.Open = 10 * time.Minute
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				second := r.Replica(o)
				var all sync.WaitGroup
				for i := range tt.asked {
					h := []*handover.Handover{r.H, second}[i%2]
					all.Go(func() {
						conv := handover.Conversation{ID: fmt.Sprint("user ", i)}
						s, err := h.Session(r.T.Context(), conv)
						require.NoError(t, err)
						outcome, err := h.Start(r.T.Context(), s.Turn(), handover.Request{})
						require.NoError(t, err)
						require.Equal(t, handover.OutcomeOpened, outcome)
					})
				}
				r.After(59 * time.Second)
				require.Len(t, r.Crisp.Conversations(), tt.first, "over all replicas")
				all.Wait()
				require.Len(t, r.Crisp.Conversations(), tt.asked)
			})
		})
	}
}

func TestOpeningMessageOfUnknownFateIsLookedForUntilThatIsKnown(t *testing.T) {
	for name, f := range map[string]handovertest.Fault{"429": {Status: 429}, "refused": {Refuse: true}, "503": {Status: 503}, "404": {Status: 404, Reason: "not_found"}} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
					return handovertest.HookFault{Drop: i.Event == "message:send"}
				})
				r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutAfter: true})
				f.Route = handovertest.RouteMessages
				r.Crisp.Fail(1, f)
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Timeouts: handover.Timeouts{Open: 5 * time.Minute}}))
				require.Len(t, rig.UserTexts(r.Crisp.Last()), 1, "never posted twice")
			})
		})
	}
}
