package handover_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

const email, bot = "Contact me back via email", "Continue with the bot"

// nobody is a rig whose user was told that nobody is there.
func nobody(t *testing.T, req handover.Request, config func(*rig.Rig, *handover.Config), test func(r *rig.Rig)) {
	rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Away: true}, Config: config}, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(req))
		test(r)
	})
}

// The address that a quick reply of type "user_email" asked for is the answer by email, as the text or the
// payload; what is no address is the bot's.
func TestTheAddressOfAQuickReplyIsTheAnswerByEmail(t *testing.T) {
	noAgent := []handover.RichMessage{{Text: "Nobody is there. May we mail you?", QuickReplies: []handover.QuickReply{{ContentType: "user_email"}}}}
	for name, tt := range map[string]struct {
		m   handover.Incoming
		bot bool
	}{
		"as Messenger sends it": {m: handover.Incoming{Text: "anakin@example.com", Payload: "anakin@example.com"}},
		"the text alone":        {m: handover.Incoming{Text: " anakin@example.com "}},
		"the payload alone":     {m: handover.Incoming{Text: "my address", Payload: "anakin@example.com"}},
		"a question":            {m: handover.Incoming{Text: "why do you mail to anakin@example.com?"}, bot: true},
		"no address":            {m: handover.Incoming{Text: "anakin@"}, bot: true},
	} {
		for where, o := range map[string]rig.Options{
			"of Config":  {Config: func(_ *rig.Rig, c *handover.Config) { c.NoAgent = noAgent }},
			"of Request": {},
		} {
			t.Run(name+", "+where, func(t *testing.T) {
				o.Crisp.Away = true
				rig.Bubble(t, o, func(r *rig.Rig) {
					var request handover.Request
					if o.Config == nil {
						request.NoAgent = noAgent
					}
					require.Equal(t, handover.OutcomeNobodyThere, r.Asks(request))
					turn, err := r.Receive(tt.m)
					require.NoError(t, err)
					r.Crisp.Settle()
					require.Equal(t, tt.bot, turn.Bot)
					require.Equal(t, !tt.bot, r.Session().FollowUp)
					if !tt.bot {
						require.Equal(t, "anakin@example.com", r.Crisp.Last().Meta().Email)
					}
				})
			})
		}
	}
}

func TestNoAgentMessageIsTheConnectorsExample(t *testing.T) {
	nobody(t, handover.Request{}, nil, func(r *rig.Rig) {
		require.Len(t, r.Shown(), 1)
		m := r.Shown()[0]
		require.Equal(t, handover.FromSystem, m.From)
		require.Equal(t, "It seems that nobody is available right now ", m.Content.Text)
		require.Len(t, m.Content.QuickReplies, 2)
		require.Equal(t, handover.QuickReply{Payload: email, Title: email, ContentType: "text"}, m.Content.QuickReplies[0])
		require.True(t, r.Session().Offer)
	})
}

func TestNoAgentMessageIsConfigured(t *testing.T) {
	for name, set := range map[string]func(*handover.Config){
		"plain text": func(c *handover.Config) { c.NoAgentText = "Come back at nine." },
		"values":     func(c *handover.Config) { c.NoAgent = []handover.RichMessage{{Text: "Come back at nine."}} },
		"JSON":       func(c *handover.Config) { c.NoAgentText = `[{"text":"Come back at nine."}]` },
	} {
		t.Run(name, func(t *testing.T) {
			nobody(t, handover.Request{}, func(_ *rig.Rig, c *handover.Config) { set(c) }, func(r *rig.Rig) {
				require.Equal(t, []string{"system: Come back at nine."}, r.Saw())
			})
		})
	}
	_, err := os.Stat("testdata")
	require.NoError(t, err)
}

func TestContinueWithTheBot(t *testing.T) {
	for name, m := range map[string]handover.Incoming{
		"by payload": {Payload: bot},
		"by title":   {Text: bot},
	} {
		t.Run(name, func(t *testing.T) {
			nobody(t, handover.Request{}, nil, func(r *rig.Rig) {
				r.Saw()
				turn, err := r.Receive(m)
				require.NoError(t, err)
				require.False(t, turn.Bot, "it was an answer to our question")
				require.Equal(t, []string{"system: All right, I am listening."}, r.Saw())
				require.False(t, r.Session().Offer)
				require.True(t, r.Says("what is your name?").Bot)
			})
		})
	}
}

func TestOtherTextGoesToTheBotAndEndsTheOffer(t *testing.T) {
	nobody(t, handover.Request{}, nil, func(r *rig.Rig) {
		turn, err := r.Receive(handover.Incoming{Payload: "SOME_BUTTON_OF_THE_BOT", Text: "Prices"})
		require.NoError(t, err)
		require.True(t, turn.Bot)
		require.False(t, r.Session().Offer)
		require.True(t, r.Says(email).Bot, "without an offer it is a text like any other")
	})
}

// A choice that stands alone has no number: "1" is for the bot.
func TestOneChoiceHasNoNumber(t *testing.T) {
	one := func(_ *rig.Rig, c *handover.Config) {
		c.NoAgent = []handover.RichMessage{{Text: "Nobody is there.", QuickReplies: []handover.QuickReply{{ContentType: "text", Title: email, Payload: email}}}}
	}
	nobody(t, handover.Request{}, one, func(r *rig.Rig) {
		require.NotContains(t, r.Last().Content.PlainText(), "1.")
		require.True(t, r.Says("1").Bot)
	})
}

func TestOfferExpires(t *testing.T) {
	rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Away: true}, Still: true}, func(r *rig.Rig) {
		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(handover.Request{}))
		r.After(7*24*time.Hour - time.Minute)
		r.Replica(rig.Options{})
		r.After(30 * time.Second)
		require.True(t, r.Session().Offer)
		r.After(time.Minute)
		require.False(t, r.Session().Offer)
	})
}

func TestContactByEmailWithAKnownAddress(t *testing.T) {
	req := handover.Request{User: handover.UserData{Email: "anakin@example.com", FirstName: "Anakin"}, Segments: []string{"Customer"}}
	nobody(t, req, nil, func(r *rig.Rig) {
		r.Saw()
		require.False(t, r.Says(email).Bot)
		require.Equal(t, []string{"system: Thank you. We will answer by email."}, r.Saw())
		conv := r.Crisp.Last()
		require.Equal(t, "anakin@example.com", conv.Meta().Email)
		require.Equal(t, []string{"Customer"}, conv.Segments())
		require.Equal(t, []string{"Hi, this user asks for an answer by email."}, rig.UserTexts(conv))
		require.Equal(t, handover.StateBot, r.Session().State)
		require.True(t, r.Session().FollowUp)
		require.True(t, r.Says("meanwhile").Bot, "the bot goes on")
		require.Empty(t, r.Ends(), "a follow-up is no handover")
	})
}

func TestContactByEmailAsksForTheAddress(t *testing.T) {
	nobody(t, handover.Request{}, nil, func(r *rig.Rig) {
		r.Saw()
		require.False(t, r.Says(email).Bot)
		require.Equal(t, []string{"system: Which email address may we write to? [Continue with the bot]"}, r.Saw())
		require.False(t, r.Says("anakin at home").Bot)
		require.Equal(t, []string{"system: That does not look like an email address. Which address may we write to? [Continue with the bot]"}, r.Saw())
		require.False(t, r.Says(" anakin@example.com ").Bot)
		require.Equal(t, []string{"system: Thank you. We will answer by email."}, r.Saw())
		require.Equal(t, "anakin@example.com", r.Crisp.Last().Meta().Email)
		require.True(t, r.Says("bye").Bot)
	})
}

func TestContactByEmailCanBeLeft(t *testing.T) {
	nobody(t, handover.Request{}, nil, func(r *rig.Rig) {
		r.Says(email)
		r.Saw()
		require.False(t, r.Says(bot).Bot)
		require.Equal(t, []string{"system: All right, I am listening."}, r.Saw())
		require.Empty(t, r.Crisp.Conversations())
		require.True(t, r.Says("anakin@example.com").Bot)
	})
}

func TestFollowUpThatCannotBeOpened(t *testing.T) {
	nobody(t, handover.Request{User: handover.UserData{Email: "a@example.com"}}, nil, func(r *rig.Rig) {
		r.Saw()
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteCreate, Status: 402, Reason: "subscription_upgrade_required"})
		r.Says(email)
		require.Equal(t, []string{"system: I am sorry, I could not reach anybody. You are talking with the bot again."}, r.Saw())
		require.False(t, r.Session().FollowUp)
	})
}

func TestAnswerToAFollowUpTakesOverWhenShown(t *testing.T) {
	nobody(t, handover.Request{User: handover.UserData{Email: "a@example.com"}}, nil, func(r *rig.Rig) {
		r.Says(email)
		r.Saw()
		conv := r.Crisp.Last()
		r.Fails(func(m handover.Message) error { return handover.ErrUserAway })
		conv.Operator("Ann").Say("We are back")
		r.Crisp.Settle()
		require.Equal(t, handover.StateBot, r.Session().State, "the user is gone: the mail follows up")
		require.True(t, r.Session().FollowUp)
		r.Fails(nil)
		conv.Operator("Ann").Say("Are you there?")
		require.Contains(t, r.Saw(), "agent Ann: Are you there?")
		require.Equal(t, handover.StateActive, r.Session().State)
		require.False(t, r.Says("yes").Bot)
	})
}

func TestClaimTimeoutMakesAnOffer(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Saw()
		r.After(11 * time.Minute)
		saw := r.Saw()
		require.Contains(t, saw, "system: I am sorry, nobody could answer in time.")
		require.True(t, r.Session().Offer)
		require.Equal(t, handover.EndClaimTimeout, r.Ends()[0].Reason)
		require.False(t, r.Ends()[0].HumanReplied)
		notes := conv.Messages()
		require.Equal(t, "note", notes[len(notes)-1].Type)
		conv.Operator("Ann").Say("Sorry, I was at lunch")
		require.Contains(t, r.Saw(), "agent Ann: Sorry, I was at lunch")
		require.Equal(t, handover.StateActive, r.Session().State, "a later reply takes over")
		require.False(t, r.Session().Offer)
	})
}

// The no-agent message of one request, in the user's language: its choices are known by their titles.
func TestNoAgentMessageOfOneRequest(t *testing.T) {
	french := []handover.RichMessage{{Text: "Personne n'est là.", QuickReplies: []handover.QuickReply{
		{ContentType: "text", Title: "Par email", Payload: email}, {ContentType: "text", Title: "Avec le bot", Payload: bot},
	}}}
	req := handover.Request{Locale: "fr", NoAgent: french}
	for name, asks := range map[string]func(r *rig.Rig){
		"nobody is there": func(r *rig.Rig) { r.Crisp.Away(); require.Equal(r.T, handover.OutcomeNobodyThere, r.Asks(req)) },
		"nobody came": func(r *rig.Rig) {
			require.Equal(r.T, handover.OutcomeOpened, r.Asks(req))
			r.After(11 * time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				asks(r)
				saw := r.Saw()
				require.Equal(t, "system: Personne n'est là. [Par email] [Avec le bot]", saw[len(saw)-1])
				require.False(t, r.Says("Par email").Bot)
				require.Equal(t, []string{"system: Which email address may we write to? [Avec le bot]"}, r.Saw())
				require.False(t, r.Says("Avec le bot").Bot)
				require.Equal(t, []string{"system: All right, I am listening."}, r.Saw())
			})
		})
	}
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		_, err := r.H.Start(r.T.Context(), r.Session().Turn(), handover.Request{NoAgent: []handover.RichMessage{{}}})
		require.ErrorContains(t, err, "Request.NoAgent[0]")
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

// TestNoAgentMessageMadeInGo leaves out what ParseRichMessages completes, which Messenger demands.
func TestNoAgentMessageMadeInGo(t *testing.T) {
	short := []handover.RichMessage{{Text: "Nobody is there.", QuickReplies: []handover.QuickReply{{Title: bot}}}}
	whole := handover.QuickReply{ContentType: "text", Title: bot, Payload: bot}
	for name, c := range map[string]struct {
		request handover.Request
		set     func(_ *rig.Rig, c *handover.Config)
	}{
		"of the config":  {set: func(_ *rig.Rig, c *handover.Config) { c.NoAgent = short }},
		"of the request": {request: handover.Request{NoAgent: short}},
	} {
		t.Run(name, func(t *testing.T) {
			nobody(t, c.request, c.set, func(r *rig.Rig) {
				require.Equal(t, []handover.QuickReply{whole}, r.Last().Content.QuickReplies)
				require.Empty(t, short[0].QuickReplies[0].Payload, "the host's own message stays as it is")
			})
		})
	}
}

func TestTheSessionShowsTheNewestRequest(t *testing.T) {
	ended(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		first := r.Session().HandoverID
		r.Crisp.Away()
		r.After(time.Minute)
		require.Equal(t, handover.OutcomeNobodyThere, r.Asks(handover.Request{Locale: "fr", Resume: "second"}))
		s := r.Session()
		require.Equal(t, "fr", s.Locale)
		require.Equal(t, "second", s.Resume)
		require.Equal(t, first, s.HandoverID, "the last handover is still that one")
	})
}

// A second follow-up takes the place of the first, whose opening may not be done yet.
func TestContactByEmailTwice(t *testing.T) {
	req := handover.Request{User: handover.UserData{Email: "a@example.com"}}
	for name, failing := range map[string]int{"one after the other": 0, "while the first is being opened": 3} {
		t.Run(name, func(t *testing.T) {
			nobody(t, req, nil, func(r *rig.Rig) {
				r.Crisp.Fail(failing, handovertest.Fault{Route: handovertest.RouteCreate, Status: 503})
				r.Says(email)
				r.Crisp.Settle()
				require.Equal(t, handover.OutcomeNobodyThere, r.Asks(req))
				r.Says(email)
				r.After(time.Minute)
				require.True(t, r.Session().FollowUp)
				require.Len(t, r.Crisp.Conversations(), 1)
				require.Contains(t, r.Saw(), "system: Thank you. We will answer by email.")
				r.Crisp.Online("Ann")
				require.Equal(t, handover.OutcomeOpened, r.Asks(req))
			})
		})
	}
}

// A number means a choice of the last message that numbers its choices, as users see them: PlainText numbers those
// of each message. A whole line of a list means its choice wherever it stands.
func TestNumbersOfSeveralNoAgentMessages(t *testing.T) {
	reply := func(title, payload string) handover.QuickReply {
		return handover.QuickReply{ContentType: "text", Title: title, Payload: payload}
	}
	req := handover.Request{User: handover.UserData{Email: "a@example.com"}, NoAgent: []handover.RichMessage{
		{Text: "Nobody is there. What about", QuickReplies: []handover.QuickReply{reply("our opening hours?", "hours"), reply("our shops?", "shops"), reply("mail", email)}},
		{Text: "Or:", QuickReplies: []handover.QuickReply{reply("Mail me", email), reply("The bot", bot)}},
		{Text: "Whatever you like.", QuickReplies: []handover.QuickReply{reply("Go on", "on")}},
	}}
	for text, want := range map[string]struct{ followUp, forBot bool }{
		"1": {followUp: true}, "2": {}, "3": {forBot: true}, "1. Mail me": {followUp: true}, "3. mail": {followUp: true}, "2. The bot": {},
		"2. our shops?": {forBot: true}, "4": {forBot: true}, "5": {forBot: true},
	} {
		t.Run(text, func(t *testing.T) {
			nobody(t, req, nil, func(r *rig.Rig) {
				require.Equal(t, want.forBot, r.Says(text).Bot)
				require.Equal(t, want.followUp, r.Session().FollowUp)
				require.False(t, r.Session().Offer)
			})
		})
	}
}
