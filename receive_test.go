package handover_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestReceiveRefusesBadMessages(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		for name, m := range map[string]handover.Incoming{
			"no id":             {Conversation: r.Conv, Text: "a"},
			"no conversation":   {ID: "1", Text: "a"},
			"nothing":           {Conversation: r.Conv, ID: "1"},
			"white space":       {Conversation: r.Conv, ID: "1", Text: " \n\t"},
			"invisible":         {Conversation: r.Conv, ID: "1", Text: "\u200b", Payload: "\x00"},
			"too long":          {Conversation: r.Conv, ID: "1", Text: strings.Repeat("a", 100_001)},
			"long payload":      {Conversation: r.Conv, ID: "1", Payload: strings.Repeat("a", 100_001)},
			"NUL in the id":     {Conversation: r.Conv, ID: "a\x00b", Text: "a"},
			"NUL in the conv":   {Conversation: handover.Conversation{ID: "a\x00b"}, ID: "1", Text: "a"},
			"long id":           {Conversation: r.Conv, ID: strings.Repeat("a", 257), Text: "a"},
			"id not UTF-8":      {Conversation: r.Conv, ID: "\xff\xfe", Text: "a"},
			"another website":   {Conversation: handover.Conversation{WebsiteID: "00", ID: "1"}, ID: "1", Text: "a"},
			"file without URL":  {Conversation: r.Conv, ID: "1", Files: []handover.File{{Name: "x"}}},
			"script as a file":  {Conversation: r.Conv, ID: "1", Files: []handover.File{{URL: "javascript:alert(1)"}}},
			"password in a URL": {Conversation: r.Conv, ID: "1", Files: []handover.File{{URL: "https://a:b@example.com/x"}}},
			"Telegram's token":  {Conversation: r.Conv, ID: "1", Files: []handover.File{{URL: "https://api.telegram.org/file/bot123:secret/photo.jpg"}}},
			"own server's":      {Conversation: r.Conv, ID: "1", Files: []handover.File{{URL: "https://telegram.example.com/api/file/bot123:secret/photo.jpg"}}},
		} {
			_, err := r.H.Receive(context.Background(), m)
			require.Error(t, err, name)
			require.ErrorIs(t, err, handover.ErrBadMessage, name)
			require.NotContains(t, err.Error(), "secret")
		}
		require.True(t, r.Says("all is well").Bot)
	})
}

func TestOddIDsArePassedThrough(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		for _, id := range []string{"a/b", "../../x", "a?b=c", "100%", "a b", "ä€😀"} {
			r.Conv = handover.Conversation{Source: "telegram/?", ID: id}
			require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}), "%q", id)
			require.False(t, r.Says("hello from "+id).Bot)
			require.Equal(t, r.Conv, r.Session().Conversation)
		}
		require.Len(t, r.Crisp.Conversations(), 6)
	})
}

func TestReceiveTakesAMessageOnce(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		m := handover.Incoming{ID: "same", Text: "once"}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				m := m
				m.Conversation = r.Conv
				turn, err := r.H.Receive(context.Background(), m)
				require.NoError(t, err)
				require.False(t, turn.Bot)
			})
		}
		all.Wait()
		require.Equal(t, []string{"Hi, this user need your help.", "once"}, rig.UserTexts(conv))
		m.Text = "other"
		_, err := r.Receive(m)
		require.ErrorIs(t, err, handover.ErrIDReused)
	})
}

func TestRepeatedReceiveGetsTheSameTurnUntilAnswered(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		m := handover.Incoming{ID: "m", Text: "hello"}
		first, err := r.Receive(m)
		require.NoError(t, err)
		second, err := r.Receive(m)
		require.NoError(t, err)
		require.Equal(t, first, second)
		require.True(t, first.Bot)
		require.NoError(t, r.Reply(first, "hi"))
		third, err := r.Receive(m)
		require.NoError(t, err)
		require.False(t, third.Bot, "it was answered")
	})
}

func TestRelayKeepsTheOrder(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		want := []string{"Hi, this user need your help."}
		for i := range 30 {
			text := strings.Repeat("x", i+1)
			want = append(want, text)
			r.Says(text)
		}
		require.Equal(t, want, rig.UserTexts(conv))
	})
}

func TestRelayKindsOfContent(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		for _, m := range []handover.Incoming{
			{Text: "plain"},
			{Payload: "BUTTON_7", Text: "Seven"},
			{Payload: "BUTTON_8", Text: "\u200b"}, // which shows nothing
			{Files: []handover.File{{URL: "https://example.com/a/cat.png", MIMEType: "image/png"}}},
			{Text: "listen", Files: []handover.File{{URL: "https://example.com/v", MIMEType: "audio/mp4", Duration: 12 * time.Second}}},
			{Files: []handover.File{{URL: "https://example.com/d", Name: "invoice.pdf"}}},
		} {
			_, err := r.Receive(m)
			require.NoError(t, err)
		}
		var got []any
		for _, m := range conv.Messages()[1:] {
			got = append(got, m.Type, m.Content)
			require.Equal(t, "user", m.From)
			require.Equal(t, "chat", m.Origin)
			require.Less(t, m.Fingerprint, int64(1)<<53)
		}
		require.Equal(t, []any{
			"text", "plain", "text", "Seven", "text", "BUTTON_8",
			"file", map[string]any{"name": "cat.png", "url": "https://example.com/a/cat.png", "type": "image/png"},
			"text", "listen",
			"audio", map[string]any{"url": "https://example.com/v", "type": "audio/mp4", "duration": 12.0},
			"file", map[string]any{"name": "invoice.pdf", "url": "https://example.com/d", "type": "application/pdf"},
		}, got)
	})
}

func TestRelayLongTextInParts(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		text := strings.Repeat("some words and then 😀 ", 4000)
		r.Says(text)
		parts := rig.UserTexts(conv)[1:]
		require.Greater(t, len(parts), 40)
		require.Equal(t, strings.Fields(text), strings.Fields(strings.Join(parts, " ")), "nothing is cut")
	})
}

func TestRelayOddText(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		for _, text := range []string{"a\x00b", "bad \xff utf-8", "\u202eright to left", `"}],{`, strings.Repeat("é", 2001)} {
			r.Says(text)
		}
		require.Equal(t, []string{"a\ufffdb", "bad \ufffd utf-8", "\u202eright to left", `"}],{`}, rig.UserTexts(conv)[1:5], "no NUL is stored: databases refuse it")
	})
}

func TestRelayWaitsOutFaults(t *testing.T) {
	for name, f := range map[string]handovertest.Fault{
		"500":         {Status: 500},
		"503":         {Status: 503, NoBody: true},
		"429":         {Status: 429},
		"420":         {Status: 420},
		"423":         {Status: 423, Reason: "quota_limit_exceeded"},
		"refused":     {Refuse: true},
		"cut before":  {CutBefore: true},
		"cut after":   {CutAfter: true},
		"cut answer":  {CutBody: true},
		"slow":        {DelayAnswer: 15 * time.Second},
		"slower":      {Delay: 15 * time.Second},
		"unsupported": {Status: 200, Body: "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				f.Route = handovertest.RouteSend
				r.Crisp.Fail(1, f)
				require.False(t, r.Says("does it pass?").Bot)
				r.Says("and the next?")
				r.After(time.Minute)
				require.Equal(t, []string{"does it pass?", "and the next?"}, rig.UserTexts(conv)[1:], "once, in order")
				require.Equal(t, handover.StateWaiting, r.Session().State)
			})
		})
	}
}

func TestRelayedMessageThatCrispRefuses(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Saw()
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: 400, Reason: "invalid_data"})
		m := handover.Incoming{ID: "bad", Text: "odd"}
		_, err := r.Receive(m)
		require.ErrorIs(t, err, handover.ErrRefused)
		_, err = r.Receive(m)
		require.ErrorIs(t, err, handover.ErrRefused, "the recorded answer")
		require.Equal(t, []string{"system: I am sorry, your last message could not be sent. Please send it again."}, r.Saw())
		refused := slices.DeleteFunc(r.Activities(), func(a handover.Activity) bool { return a.Kind != handover.ActivityNotSent })
		require.Len(t, refused, 1)
		var api *handover.APIError
		require.ErrorAs(t, refused[0].Err, &api)
		require.Equal(t, 400, api.StatusCode)
		r.Says("next")
		require.Equal(t, []string{"next"}, rig.UserTexts(conv)[1:])
	})
}

func TestRelayFailedEndsTheHandover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		r.Saw()
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		turn, err := r.Receive(handover.Incoming{Text: "anybody?"})
		require.NoError(t, err)
		require.True(t, turn.Bot, "the message becomes the bot's")
		require.NoError(t, r.Reply(turn, "I am here"))
		r.Crisp.Settle()
		require.Equal(t, handover.EndRelayFailed, r.Ends()[0].Reason)
		require.Contains(t, r.Saw(), "bot: I am here")
	})
}

// Without a deadline of the host's Receive ends all the same, whatever Crisp does.
func TestReceiveHasABound(t *testing.T) {
	for name, fault := range map[string]handovertest.Fault{
		"down": {Refuse: true}, "503": {Status: 503}, "429": {Status: 429, RetryAfter: 10 * time.Hour}, "401": {Status: 401}, "hanging": {Delay: 10 * time.Hour},
		"hanging at the answer": {DelayAnswer: 10 * time.Hour}, "HTML": {Status: 200, Body: handovertest.BodyHTML}, "answers lost": {CutAfter: true},
	} {
		for _, opening := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", while it opens: ", opening), func(t *testing.T) {
				rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
					if !opening {
						r.Opened()
					}
					r.Crisp.Fail(handovertest.Always, fault)
					if opening {
						ctx, cancel := context.WithTimeout(context.Background(), time.Second)
						defer cancel()
						turn, err := r.Receive(handover.Incoming{Text: "help"})
						require.NoError(t, err)
						_, _ = r.H.Start(ctx, turn, handover.Request{})
					}
					begun := time.Now()
					_, _ = r.H.Receive(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "waits", Text: "anybody?"})
					require.LessOrEqual(t, time.Since(begun), 2*time.Minute+30*time.Second, "Timeouts.Relay and half a minute")
				})
			})
		}
	}
}

func TestReceiveEndsItsWaitWithItsContext(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Crisp.Fail(2, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		m := handover.Incoming{Conversation: r.Conv, ID: "slow", Text: "hello?"}
		_, err := r.H.Receive(ctx, m)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		turn, err := r.H.Receive(context.Background(), m)
		require.NoError(t, err, "repeating the id joins it")
		require.False(t, turn.Bot)
		require.Equal(t, []string{"hello?"}, rig.UserTexts(conv)[1:])
	})
}

func TestMessagesDuringTheOpening(t *testing.T) {
	for name, fails := range map[string]int{"it succeeds": 2, "it fails": 100} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				r.Crisp.Fail(fails, handovertest.Fault{Route: handovertest.RouteCreate, Status: 503})
				turn, err := r.Receive(handover.Incoming{Text: "help"})
				require.NoError(t, err)
				var all sync.WaitGroup
				asked := turn
				all.Go(func() { _, _ = r.H.Start(context.Background(), asked, handover.Request{}) })
				time.Sleep(time.Second / 2)
				turn, err = r.Receive(handover.Incoming{Text: "it is about my order"})
				require.NoError(t, err)
				all.Wait()
				r.Crisp.Settle()
				require.Equal(t, fails == 100, turn.Bot)
				if fails == 2 {
					require.Equal(t, []string{"Hi, this user need your help.", "it is about my order"}, rig.UserTexts(r.Crisp.Last()))
				} else {
					require.NoError(t, r.Reply(turn, "let me try"))
					r.Crisp.Settle()
					require.Equal(t, handover.EndOpenFailed, r.Ends()[0].Reason)
				}
			})
		})
	}
}

func TestUnsentMessagesAreTold(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		r.Saw()
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := r.H.Receive(ctx, handover.Incoming{Conversation: r.Conv, ID: "lost?", Text: "hello?"})
		require.Error(t, err)
		r.After(5 * time.Minute)
		require.Equal(t, []string{"lost?"}, r.Ends()[0].Unsent)
		require.Contains(t, r.Saw(), "system: I am sorry, your last message could not be sent. Please send it again.")
	})
}

func TestAnsweringAPicker(t *testing.T) {
	for name, answer := range map[string]func(q handover.QuickReply) handover.Incoming{
		"by payload": func(q handover.QuickReply) handover.Incoming { return handover.Incoming{Payload: q.Payload} },
		"by title":   func(q handover.QuickReply) handover.Incoming { return handover.Incoming{Text: q.Title} },
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				fp := conv.Operator("Ann").Picker("Which one?", "Red", "Blue")
				r.Saw()
				shown := r.Shown()[len(r.Shown())-1].Content
				require.Equal(t, "Blue", shown.QuickReplies[1].Title)
				_, err := r.Receive(answer(shown.QuickReplies[1]))
				require.NoError(t, err)
				m, _ := conv.Message(fp)
				choices := m.Content.(map[string]any)["choices"].([]any)
				require.Equal(t, map[string]any{"value": "Blue", "label": "Blue", "selected": true}, choices[1])
				require.Equal(t, false, choices[0].(map[string]any)["selected"])
				require.Empty(t, rig.UserTexts(conv)[1:])
				r.After(time.Minute)
				require.Empty(t, r.Saw(), "our own update is no edit")
			})
		})
	}
}

func TestAnswerThatThePickerRefusesGoesAsText(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Picker("Which one?", "Red", "Blue")
		r.Crisp.Settle()
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteEdit, Status: 400, Reason: "invalid_data"})
		r.Says("Blue")
		require.Equal(t, []string{"Blue"}, rig.UserTexts(conv)[1:])
	})
}

func TestTheWayOutWhileWaiting(t *testing.T) {
	for name, m := range map[string]handover.Incoming{
		"by payload": {Payload: "handover:leave"},
		"by title":   {Text: "Back to the bot"},
		"in words":   {Text: " back to the bot."},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				r.Saw()
				turn, err := r.Receive(m)
				require.NoError(t, err)
				require.False(t, turn.Bot)
				require.Equal(t, []string{"system: You are talking with the bot again."}, r.Saw())
				require.Equal(t, handover.EndUserLeft, r.Ends()[0].Reason)
				require.Equal(t, "note", conv.Messages()[len(conv.Messages())-1].Type)
			})
		})
	}
}

// The way out of the waiting message works as long as the handover lasts, also in one that an agent
// began: the user may remember it.
func TestTheWayOutWhileActive(t *testing.T) {
	for name, leave := range map[string]func(*rig.Rig){
		"pressed": func(r *rig.Rig) {
			_, err := r.Receive(handover.Incoming{Payload: "handover:leave"})
			require.NoError(r.T, err)
		},
		"written": func(r *rig.Rig) { require.False(r.T, r.Says("Back to the bot").Bot) },
		"by the host's own menu": func(r *rig.Rig) {
			require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{UserLeft: true}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				for i := range 2 {
					leave(r)
					require.Equal(t, []string{"system: You are talking with the bot again."}, r.Saw())
					require.Equal(t, handover.EndUserLeft, r.Ends()[i].Reason)
					require.Equal(t, "note", conv.Messages()[len(conv.Messages())-1].Type, "the agents are told")
					require.NotContains(t, rig.UserTexts(conv), "Back to the bot")
					require.True(t, r.Says("hello bot").Bot)
					ann.Say("one more thing")
					r.Saw()
					require.Equal(t, handover.StateActive, r.Session().State, "a takeover")
				}
			})
		})
	}
}

// An answer that is under way when its handover ends, and does not pass, is a turn of the bot's: it
// holds up neither its own Receive nor the next handover.
func TestAnswerThatFailsAfterTheEnd(t *testing.T) {
	for name, status := range map[string]int{"for a time": 503, "for good": 400} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				ann.Picker("Which?", "red", "blue")
				r.After(time.Second)
				r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteEdit, Delay: 3 * time.Second, Status: status})
				turns := make(chan handover.Turn, 1)
				go func() {
					turn, _ := r.Receive(handover.Incoming{Text: "red"})
					turns <- turn
				}()
				time.Sleep(time.Second)
				ann.Resolve()
				require.True(t, (<-turns).Bot)
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
			})
		})
	}
}

// A message in parts is not divided by an end: while it is not known whether Crisp has one of them, none
// is the bot's.
func TestAMessageInPartsIsNotDividedByTheEnd(t *testing.T) {
	for name, blind := range map[string]bool{"looked for": false, "while the log cannot be read": true} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutBefore: true})
				if blind {
					r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteMessages, Status: 503})
				}
				text := strings.Repeat("some words ", 300)
				turn, err := handover.Turn{Bot: true}, error(nil)
				go func() { turn, err = r.TrySay(text) }()
				r.After(time.Second)
				require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
				r.After(5 * time.Minute)
				require.False(t, turn.Bot)
				if blind {
					require.ErrorIs(t, err, handover.ErrRefused)
					require.Len(t, rig.UserTexts(conv), 1)
					return
				}
				require.NoError(t, err)
				require.Equal(t, strings.Fields(text), strings.Fields(strings.Join(rig.UserTexts(conv)[1:], " ")))
			})
		})
	}
}

// What a call refused without a doubt decides nothing either, once Crisp has a part of the message.
func TestAPartThatIsRefusedAfterTheEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		refused []int // calls that are answered 429
		late    int   // call that takes until after the end
		bot     bool
		parts   int
	}{
		"the first, at the end":       {refused: []int{1}, late: 1, bot: true},
		"the second, at the end":      {refused: []int{2}, late: 1, parts: 3},
		"the second, before and then": {refused: []int{2, 3}, parts: 3},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				var calls atomic.Int64
				r.Crisp.SetFaults(func(i handovertest.CallInfo) (f handovertest.Fault) {
					if i.Route != handovertest.RouteSend {
						return f
					}
					n := int(calls.Add(1))
					if slices.Contains(tt.refused, n) {
						f.Status = 429
					}
					if n == tt.late {
						f.Delay = 2 * time.Second
					}
					return f
				})
				text := strings.Repeat("some words ", 500)
				var turn handover.Turn
				go func() { turn, _ = r.TrySay(text) }()
				r.After(500 * time.Millisecond)
				require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
				r.After(5 * time.Minute)
				require.Equal(t, tt.bot, turn.Bot)
				require.Len(t, rig.UserTexts(conv)[1:], tt.parts)
				if !tt.bot {
					require.Equal(t, strings.Fields(text), strings.Fields(strings.Join(rig.UserTexts(conv)[1:], " ")))
				}
			})
		})
	}
}
