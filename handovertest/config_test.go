package handovertest_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// A bot that is made of Config reaches the fake, whatever its token and its hooks are.
func TestConfig(t *testing.T) {
	other := "7a3c5e10-6f0b-4d55-9c1e-000000000002"
	for name, o := range map[string]handovertest.Options{
		"plugin":           {},
		"website":          {Tier: "website", Hooks: handovertest.WebsiteHooks},
		"several websites": {Websites: []string{other}, Hooks: handovertest.WebsiteHooks},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bot := newBot(t, o)
				for i, website := range append([]string{""}, o.Websites...) {
					bot.user.WebsiteID = website
					bot.hears("a human, please")
					bot.saw(comes)
					ann := bot.crisp.Conversation(i).Operator("Ann")
					ann.Say("Hello")
					bot.saw("system: Ann joined the conversation.", "agent: Hello")
				}
			})
		})
	}
}

// What one Handover stored the next one finds, once the first was stopped.
func TestConfigsShareAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crisp := handovertest.NewCrisp(t, handovertest.Options{})
		conv := handover.Conversation{Source: "chat", ID: "joe"}
		config := crisp.Config()
		config.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
		first, err := handover.New(config)
		require.NoError(t, err)
		stop := crisp.Run(first)
		s, err := first.Session(t.Context(), conv)
		require.NoError(t, err)
		_, err = first.Start(t.Context(), s.Turn(), handover.Request{})
		require.NoError(t, err)
		stop()
		stop()
		require.ErrorContains(t, first.Handle(t.Context(), handover.Incoming{}), "Config.Answer")
		_, err = first.Receive(t.Context(), handover.Incoming{Conversation: conv, ID: "1", Text: "hello"})
		require.ErrorIs(t, err, handover.ErrShutdown)

		config = crisp.Config()
		config.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
		second, err := handover.New(config)
		require.NoError(t, err)
		crisp.Run(second)
		s, err = second.Session(t.Context(), conv)
		require.NoError(t, err)
		require.Equal(t, handover.StateWaiting, s.State)
	})
}

// quiet is a bot made of Config that is neither attached nor run.
func quiet(t *testing.T) (*handovertest.Crisp, *handover.Handover) {
	crisp := handovertest.New(handovertest.Options{})
	config := crisp.Config()
	config.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
	h, err := handover.New(config)
	require.NoError(t, err)
	s, err := h.Session(t.Context(), handover.Conversation{ID: "joe"})
	require.NoError(t, err)
	_, err = h.Start(t.Context(), s.Turn(), handover.Request{})
	require.NoError(t, err)
	return crisp, h
}

// A test that forgot to attach the bot, or to run it, is told so.
func TestForgottenInATest(t *testing.T) {
	const nobody, idle = "nothing was ever attached", "nobody ran the bot"
	for name, row := range map[string]struct {
		attaches, runs bool
		acts           func(v *handovertest.Conversation)
		want           []string
	}{
		"an operator speaks":     {acts: func(v *handovertest.Conversation) { v.Operator("Ann").Say("x"); v.Operator("Ann").Say("y") }, want: []string{nobody, idle}},
		"an operator resolves":   {acts: func(v *handovertest.Conversation) { v.Operator("Ann").Resolve() }, want: []string{nobody, idle}},
		"somebody resolves":      {acts: func(v *handovertest.Conversation) { v.SetState("resolved") }, want: []string{nobody, idle}},
		"attached, and not run":  {attaches: true, acts: func(v *handovertest.Conversation) { v.Operator("Ann").Say("x") }, want: []string{idle}},
		"run":                    {runs: true, acts: func(v *handovertest.Conversation) { v.Operator("Ann").Say("x") }},
		"nobody does anything":   {acts: func(*handovertest.Conversation) {}},
		"the user writes a mail": {acts: func(v *handovertest.Conversation) { v.UserByEmail("x") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				crisp, h := quiet(t)
				if row.attaches {
					crisp.Attach(h)
				}
				if row.runs {
					crisp.Run(h)
				}
				row.acts(crisp.Last())
				crisp.Settle()
				crisp.Close()
				got := crisp.Violations()
				require.Len(t, got, len(row.want), "%q", got)
				for i, want := range row.want {
					require.Contains(t, got[i], want)
				}
			})
		})
	}
}

// The bot's log is the test's, as long as there is one.
func TestConfigLogsToTheTest(t *testing.T) {
	log := &testLog{TB: t}
	crisp := handovertest.NewCrisp(log, handovertest.Options{})
	logger := crisp.Config().Logger
	logger.Warn("a fault", "why", "relay")
	require.Contains(t, log.text.String(), `level=WARN msg="a fault" why=relay`)
	crisp.Close()
	logger.Warn("too late")
	require.NotContains(t, log.text.String(), "too late")
	require.Nil(t, handovertest.New(handovertest.Options{}).Config().Logger, "a program has a log of its own")
}

// A callback that never returns is reported, not waited for.
func TestRunReportsACallbackThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crisp, stuck := handovertest.New(handovertest.Options{}), make(chan struct{})
		config := crisp.Config()
		config.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
		config.Answer = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			<-stuck
			return nil, nil
		}
		h, err := handover.New(config)
		require.NoError(t, err)
		crisp.Run(h)
		require.NoError(t, h.Handle(t.Context(), handover.Incoming{Conversation: handover.Conversation{ID: "joe"}, ID: "1", Text: "hello"}))
		time.Sleep(time.Second)
		crisp.Close()
		require.Len(t, crisp.Violations(), 1)
		require.Contains(t, crisp.Violations()[0], "does not return")
		close(stuck)
		time.Sleep(10 * time.Minute)
	})
}

type testLog struct {
	testing.TB
	text strings.Builder
}

func (l *testLog) Output() io.Writer { return &l.text }
