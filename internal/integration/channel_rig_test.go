package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/handovertest"
)

const somebodyComes = "A person will be with you soon. You can already describe your question. [Back to the bot]"

// platformUser is the user of a platform's fake.
type platformUser interface {
	channeltest.Platform
	New() []string
}

// onChannel is a bot in a channel of package channel, with fakes of the platform and of Crisp. It is a replica that
// can be started anew: what it keeps, it keeps in the store and in sent.
type onChannel struct {
	wired
	user   platformUser
	edits  bool // the channel can change and remove messages
	always bool // it may write to its users at any time, until they block it
	silent bool // who presses a button says nothing
	sent   *channel.Memory
	// start makes the channel, and leads the platform's web hooks to handle.
	start func(c *handover.Config, sent channel.Sent) (ch channel.Channel, hear func(handle func(context.Context, handover.Incoming) error))
	h     *handover.Handover
	stop  func()
}

// run starts the bot.
func (r *onChannel) run() {
	config := r.config
	ch, hear := r.start(&config, r.sent)
	chats, err := channel.Attach(&config, ch)
	require.NoError(r.t, err)
	config.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		text, needsHuman, err := r.brain.think(ctx, m.Text)
		if err == nil {
			err = chats.Send(ctx, m.Conversation, handover.TextMessage(text))
		}
		if err != nil || !needsHuman {
			return nil, err
		}
		return &handover.Request{Segments: []string{"Chat"}, Note: "The user writes: " + m.Text}, nil
	}
	r.h, err = handover.New(config)
	require.NoError(r.t, err)
	hear(r.h.Handle)
	r.stop = r.crisp.Run(r.h)
}

// saw is what the user sees and says since it was last asked for, once a second has passed.
func (r *onChannel) saw(want ...string) {
	r.t.Helper()
	r.passes(time.Second)
	require.Equal(r.t, want, r.user.New())
}

// presses has the user press a button, and see this then. On some platforms it is a message of theirs.
func (r *onChannel) presses(title string, want ...string) {
	r.t.Helper()
	require.True(r.t, r.user.Press(title))
	if !r.silent {
		want = append([]string{"> " + title}, want...)
	}
	r.saw(want...)
}

// lines is all that the user sees.
func (r *onChannel) lines() (all []string) {
	for _, s := range r.user.Seen() {
		all = append(all, s.String())
	}
	return all
}

// chosen reports whether a choice of a picker is marked in Crisp.
func (r *onChannel) chosen(label string) bool {
	return slices.ContainsFunc(r.crisp.Last().Messages(), func(m handovertest.Message) bool {
		return m.Type == "picker" && strings.Contains(fmt.Sprint(m.Content), "label:"+label+" selected:true")
	})
}

// fetched is what an agent gets who follows a link.
func (r *onChannel) fetched(link string) *http.Response {
	u, err := url.Parse(link)
	require.NoError(r.t, err)
	w := httptest.NewRecorder()
	r.h.FileHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, u.String(), nil))
	return w.Result()
}

// play plays a test in fake time.
func (r *onChannel) play(t *testing.T, test func(r *onChannel)) {
	synctest.Test(t, func(t *testing.T) {
		r.wired, r.sent = newWired(t), &channel.Memory{}
		r.run()
		test(r)
	})
}

// opened asks for a human, who has come.
func (r *onChannel) opened(agent string) {
	r.t.Helper()
	r.user.Write("a human!")
	r.saw("> a human!", "I ask for one.", somebodyComes)
	r.agent().Say("Hello")
	r.saw("Ann joined the conversation.", agent+"Hello")
}

// wholeHandover is what every channel plays: what Ann says begins with agent.
func wholeHandover(t *testing.T, on func() *onChannel, agent string) {
	t.Run("a restart in the middle", func(t *testing.T) {
		on().play(t, func(r *onChannel) {
			r.user.Write("hello")
			r.saw("> hello", "You said hello")
			r.opened(agent)
			ann := r.agent()
			ann.Picker("Which one?", "the red one", "the blue one")
			r.saw(agent + "Which one? [the red one] [the blue one]")
			r.stop()
			ann.Say("Take your time")
			r.passes(time.Minute)
			r.run()
			r.passes(4 * time.Minute) // the hook was lost
			r.saw(agent + "Take your time")
			r.presses("the red one")
			require.True(r.t, r.chosen("the red one"))
			fingerprint := ann.Say("I lok for it")
			r.saw(agent + "I lok for it")
			ann.Edit(fingerprint, "I look for it")
			if r.edits {
				r.saw([]string(nil)...)
				require.Contains(r.t, r.lines(), agent+"I look for it (edited)")
				ann.Remove(fingerprint)
				r.saw([]string(nil)...)
				require.Contains(r.t, r.lines(), "(removed)")
			} else {
				r.saw("✏️ Ann: I look for it")
			}
			ann.Resolve()
			r.saw("This conversation was closed. You are talking with the bot again.")
			r.user.Write("thanks")
			r.saw("> thanks", "You said thanks")
		})
	})
	t.Run("a flood wait", func(t *testing.T) {
		on().play(t, func(r *onChannel) {
			r.opened(agent)
			r.user.Fail(channeltest.Busy, 0, 3)
			r.agent().Say("One")
			r.agent().Say("Two")
			r.passes(6 * time.Second)
			require.Empty(r.t, r.user.New(), "it is left alone")
			r.passes(time.Minute)
			r.saw(agent+"One", agent+"Two")
		})
	})
	t.Run("a user outside of the window", func(t *testing.T) {
		on().play(t, func(r *onChannel) {
			r.opened(agent)
			if r.always {
				r.user.Fail(channeltest.Away, 0, -1)
			} else {
				r.passes(25 * time.Hour)
			}
			r.user.New()
			r.agent().Reopen()
			fingerprint := r.agent().Say("Are you still there?")
			r.saw([]string(nil)...)
			m, _ := r.crisp.Last().Message(fingerprint)
			require.Empty(r.t, m.Read, "not shown, so not marked")
			r.user.Mend()
			r.user.Write("I am")
			r.passes(time.Minute)
			require.Contains(r.t, r.user.New(), agent+"Are you still there?")
			m, _ = r.crisp.Last().Message(fingerprint)
			require.Equal(r.t, "chat", m.Read)
		})
	})
	t.Run("a store that is down", func(t *testing.T) {
		on().play(t, func(r *onChannel) {
			r.crisp.Store().Break()
			time.AfterFunc(time.Minute, r.crisp.Store().Mend)
			r.user.Write("hello") // it is repeated
			r.passes(2 * time.Minute)
			r.saw("> hello", "You said hello")
		})
	})
	t.Run("a crash between the answer and the asking", func(t *testing.T) {
		for name, breaks := range breaks {
			t.Run(name, func(t *testing.T) {
				on().play(t, func(r *onChannel) {
					r.brain.asks = func() {
						breaks(r.crisp.Store(), 1)
						time.AfterFunc(20*time.Second, r.crisp.Store().Mend)
					}
					r.user.Write("a human!")
					r.passes(2 * time.Minute)
					require.Len(r.t, r.crisp.Conversations(), 1, "asked once")
					require.Equal(r.t, 1, strings.Count(strings.Join(r.user.New(), "\n"), "A person will be with you soon."))
				})
			})
		}
	})
	t.Run("a bot that cannot reach its user", func(t *testing.T) {
		on().play(t, func(r *onChannel) {
			r.user.Fail(channeltest.Away, 0, -1)
			r.user.Write("a human!")
			r.passes(time.Hour)
			require.Equal(r.t, []string{"> a human!"}, r.user.New())
			require.Empty(r.t, r.crisp.Conversations(), "a human could not reach them either")
			r.user.Mend()
			r.user.Write("hello")
			r.saw("> hello", "You said hello")
		})
	})
	t.Run("nobody is there", func(t *testing.T) {
		on().play(t, func(r *onChannel) {
			r.crisp.Away()
			r.user.Write("a human!")
			r.passes(time.Minute)
			seen := r.user.Seen()
			title := seen[len(seen)-1].Buttons[1].Title
			require.Contains(r.t, title, "Continue with the bot"[:12])
			r.user.New()
			r.presses(title, "All right, I am listening.")
		})
	})
}
